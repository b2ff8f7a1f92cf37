"""Many traces as a table for the terminal.

Knows columns and their room. Invariant: a row is one line, and every width from 40 columns on is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tracestore.cli.terminal import safe
from tracestore.display.payload import preview_text
from tracestore.display.units import NS_PER_MS, duration_text, time_text
from tracestore.entities import Trace, TraceState

#: Digits of a trace id that a table shows: 12 of the time, 6 random ones.
SHORT_ID_DIGITS = 18

STATE_STYLES = {"OK": "green", "ERROR": "bold red", "IN_PROGRESS": "yellow"}
STATE_MARKS = {"OK": "✓", "ERROR": "✗", "IN_PROGRESS": "…"}


class _Column(NamedTuple):
    title: str
    cell: Callable[[Trace], Text]
    least_width: int  # of the terminal, for the column to be shown
    most: int | None = None
    ratio: int | None = None  # share of the room that is left
    is_number: bool = False


def traces_table(traces: Sequence[Trace], width: int) -> Table:
    """Return `traces` as a table for a terminal of `width` columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="bold")
    columns = [column for column in _columns(width) if width >= column.least_width]
    for column in columns:
        table.add_column(
            Text(column.title),
            no_wrap=True,
            overflow="ellipsis",
            max_width=column.most,
            ratio=column.ratio,
            justify="right" if column.is_number else "left",
        )
    for trace in traces:
        cells: list[RenderableType] = [column.cell(trace) for column in columns]
        table.add_row(*cells)
    return table


def _columns(width: int) -> tuple[_Column, ...]:
    # One offset for all rows, also those of the other half of the year: the header states it.
    zone = datetime.now().astimezone().tzinfo
    is_wide, is_widest = width >= 120, width >= 160
    return (
        _Column("trace", lambda t: safe(_id(t, is_whole=is_widest), "cyan"), 0),
        _Column("state" if is_wide else "", lambda t: state_text(t.info.state, is_wide=is_wide), 0),
        _Column("name", lambda t: safe(t.info.name or "unnamed trace"), 0, max(12, width // 6)),
        _Column(f"start {_zone_text(zone)}", lambda t: _start(t, zone, is_wide=is_wide), 72),
        _Column("took", lambda t: safe(took_text(t)), 50, is_number=True),
        _Column("tokens", lambda t: safe(_tokens(t)), 90, is_number=True),
        _Column("request", lambda t: safe(preview_text(t.info.request_preview)), 0, ratio=3),
        _Column("response", lambda t: safe(preview_text(t.info.response_preview)), 100, ratio=3),
    )


def _id(trace: Trace, *, is_whole: bool) -> str:
    trace_id = trace.trace_id
    return trace_id if is_whole else trace_id.removeprefix("tr-")[:SHORT_ID_DIGITS]


def state_text(state: TraceState, *, is_wide: bool = True) -> Text:
    """Return a state in its colour: a mark, and if `is_wide` the word that filters use."""
    mark = STATE_MARKS.get(state.value, "·")
    return safe(f"{mark} {state.value}" if is_wide else mark, STATE_STYLES.get(state.value, ""))


def took_text(trace: Trace) -> str:
    """Return how long a trace took; it is kept in whole milliseconds."""
    duration_ms = trace.info.execution_duration
    if duration_ms == 0:
        return "< 1 ms"
    return duration_text(None if duration_ms is None else duration_ms * NS_PER_MS)


def _zone_text(zone: tzinfo | None) -> str:
    return time_text(0, zone).rpartition(" ")[2]


def _start(trace: Trace, zone: tzinfo | None, *, is_wide: bool) -> Text:
    text = time_text(trace.info.request_time, zone).partition(" UTC")[0]
    is_date = text[:4].isdecimal()
    return safe(text[slice(0, 19) if is_wide else slice(5, 19)] if is_date else text)


def _tokens(trace: Trace) -> str:
    total = (trace.info.token_usage or {}).get("total_tokens")
    return f"{total:,}" if isinstance(total, int) else ""
