"""Traces as plain text for terminals, logs and `text/plain`.

Knows columns, not colours: the command line colours by itself. Invariant: no line is wider than asked for
(from MIN_WIDTH on), and none holds a control character, so recorded text can't reach the terminal.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from tracestore.display.escape import visible_line
from tracestore.display.failures import cause_row, failure_of
from tracestore.display.layout import Row, tree_rows
from tracestore.display.payload import preview_text
from tracestore.display.units import (
    NS_PER_MS,
    count_text,
    duration_text,
    short_time_text,
    time_text,
)

if TYPE_CHECKING:
    from tracestore.entities.trace import Trace

#: A narrower width counts as this.
MIN_WIDTH = 40

#: Spans and traces that one text shows.
MAX_SPANS = 1_000
MAX_TRACES = 1_000

_DURATION_CELLS = 11
_CUT_COLUMNS = ("name", "request")  # the others are shown whole or not at all
_LEAST_CUT = 8
_STATES = {"OK": "✓", "ERROR": "✗", "IN_PROGRESS": "…"}
_EIGHTHS = "▏▎▍▌▋▊▉"
_FULL = "█"
_OPEN = "▒"

# What this package draws, for terminals that know ASCII only. Each is as wide as what it replaces.
_ASCII = str.maketrans(
    {
        **dict.fromkeys(_EIGHTHS + _FULL, "#"),
        **dict(zip("▒│├└─⋯✓✗…µ·", "~||`-:+x~u-", strict=True)),
    }
)


def trace_text(
    trace: Trace, width: int = 100, *, ascii_only: bool = False, zone: tzinfo | None = None
) -> str:
    """Return `trace` as a tree of spans with type, duration and a bar on the time axis.

    Args:
        trace: The trace; of its spans the first MAX_SPANS in tree order are drawn.
        width: Columns, at least MIN_WIDTH.
        ascii_only: Use ASCII only; what was recorded is written with backslash escapes where needed.
        zone: Time zone of the start, by default this machine's.
    """
    width = max(MIN_WIDTH, width)
    rows = tree_rows(trace)
    name_cells = min(max([_cells(_label(row)) for row in rows[:MAX_SPANS]], default=0), width // 2)
    lines = [*_head_lines(trace, len(rows), width, zone), *_failure_lines(rows, width)]
    lines += [_span_line(row, name_cells, width) for row in rows[:MAX_SPANS]]
    if len(rows) > MAX_SPANS:
        lines.append(fit(f"… {count_text(len(rows) - MAX_SPANS, 'more span')}", width))
    return _finish(lines, width, ascii_only=ascii_only)


def traces_text(
    traces: Sequence[Trace],
    width: int = 100,
    *,
    ascii_only: bool = False,
    zone: tzinfo | None = None,
) -> str:
    """Return `traces` as a table: state, trace id, name, duration, spans, start and request.

    Args:
        traces: The first MAX_TRACES are shown.
        width: Columns, at least MIN_WIDTH; columns that find no room are left out, the last ones first.
        ascii_only: As in `trace_text`.
        zone: Time zone of the starts, by default this machine's.
    """
    width = max(MIN_WIDTH, width)
    if not traces:
        return "no traces"
    table: list[tuple[str, ...]] = [("", "trace", "name", "duration", "spans", "start", "request")]
    table += [_trace_cells(trace, zone) for trace in traces[:MAX_TRACES]]
    lines = _table_lines(table, width)
    if len(traces) > MAX_TRACES:
        lines.append(f"… {count_text(len(traces) - MAX_TRACES, 'more trace')}")
    return _finish(lines, width, ascii_only=ascii_only)


def fit(text: str, cells: int) -> str:
    """Return `text` in at most `cells` terminal columns, cut with "…"."""
    if _cells(text) <= cells:
        return text
    if cells < 1:
        return ""
    kept = sum(taken < cells for taken in itertools.accumulate(map(_cells, text)))
    return f"{text[:kept]}…"


def pad(text: str, cells: int) -> str:
    """Return `text` in exactly `cells` terminal columns, cut or filled with spaces at the end."""
    text = fit(text, cells)
    return text + " " * (cells - _cells(text))


def _cells(text: str) -> int:
    """Return the terminal columns `text` takes: 2 for wide characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        2
        if unicodedata.east_asian_width(character) in "WF"
        else 0
        if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf")
        else 1
        for character in text
    )


def _finish(lines: Sequence[str], width: int, *, ascii_only: bool) -> str:
    if ascii_only:
        lines = [
            fit(
                line.translate(_ASCII).encode("ascii", "backslashreplace").decode(), width
            ).translate(_ASCII)
            for line in lines
        ]
    return "\n".join(line.rstrip() for line in lines)


def _text(value: object) -> str:
    return "" if value is None else visible_line(str(value)[:1_000])


def _head_lines(trace: Trace, span_count: int, width: int, zone: tzinfo | None) -> list[str]:
    info = trace.info
    facts = [
        f"{_STATES.get(str(info.state), '·')} {str(info.state).replace('_', ' ').lower()}",
        _name(trace),
        _duration(info.execution_duration),
        count_text(span_count, "span"),
        _tokens(info.token_usage),
        time_text(info.request_time, zone),
    ]
    return [fit(_text(info.trace_id), width), fit(" · ".join(filter(None, facts)), width)]


def _failure_lines(rows: Sequence[Row], width: int) -> list[str]:
    cause = cause_row(rows)
    if cause is None:
        return []
    said = [_text(cause.span.name), *map(_text, failure_of(cause.span))]
    return [fit(f"✗ {': '.join(filter(None, said))}", width)]


def _name(trace: Trace) -> str:
    return _text(trace.info.tags.get("mlflow.traceName")) or "unnamed trace"


def _duration(duration_ms: int | None) -> str:
    return duration_text(None if duration_ms is None else duration_ms * NS_PER_MS)


def _tokens(usage: dict[str, Any] | None) -> str:
    total = usage.get("total_tokens") if usage else None
    return count_text(total, "token") if isinstance(total, int) else ""


def _label(row: Row) -> str:
    mark = "✗ " if row.is_error else "… " if row.is_open else ""
    name = _text(row.span.name) or "unnamed span"
    kind = f" · {_text(row.span.span_type)}" if row.span.span_type else ""
    return f"{row.branch}{mark}{name}{kind}"


def _span_line(row: Row, name_cells: int, width: int) -> str:
    duration = "open" if row.is_open else duration_text(row.duration_ns)
    bar_cells = width - name_cells - _DURATION_CELLS - 2
    bar = bar_text(row, bar_cells)
    return (
        f"{pad(_label(row), name_cells)} {fit(duration, _DURATION_CELLS):>{_DURATION_CELLS}} {bar}"
    )


def bar_text(row: Row, cells: int) -> str:
    """Return the row's bar on an axis of `cells` columns; at least a sliver, and never more than fit."""
    start = min(int(row.offset * cells), cells - 1)
    eighths = max(1, min(round(row.fraction * cells * 8), (cells - start) * 8))
    if row.is_open:
        return " " * start + _OPEN * max(1, eighths // 8)
    whole, part = divmod(eighths, 8)
    return " " * start + _FULL * whole + (_EIGHTHS[part - 1] if part else "")


def _trace_cells(trace: Trace, zone: tzinfo | None) -> tuple[str, ...]:
    info = trace.info
    return (
        _STATES.get(str(info.state), "·"),
        _text(info.trace_id),
        _name(trace),
        _duration(info.execution_duration),
        f"{len(trace.data.spans):,}",
        short_time_text(info.request_time, zone),
        _text(preview_text(info.request_preview)),
    )


def _table_lines(table: Sequence[tuple[str, ...]], width: int) -> list[str]:
    widths = _column_widths(table, width)
    return [
        "  ".join(pad(cell, cells) for cell, cells in zip(line, widths, strict=False))
        for line in table
    ]


def _column_widths(table: Sequence[tuple[str, ...]], width: int) -> list[int]:
    """Return the widths of the columns that find room, from the first on."""
    widths: list[int] = []
    for column, title in enumerate(table[0]):
        wanted = max(_cells(cells[column]) for cells in table)
        left = width - sum(widths) - 2 * len(widths)
        if title in _CUT_COLUMNS:
            wanted = min(wanted, width // 2)
        if left < (min(wanted, _LEAST_CUT) if title in _CUT_COLUMNS else wanted):
            break
        widths.append(min(wanted, left))
    return widths
