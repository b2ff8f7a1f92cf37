"""One trace for the terminal: what is known about it, its tree with bars, payloads, errors, assessments.

Knows how it looks; order and places come from display.layout, words from display.units. Invariant: without
`is_full` everything recorded takes one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracestore.cli.terminal import heading, safe, safe_block
from tracestore.cli.traces import state_text, took_text
from tracestore.display.escape import visible_line
from tracestore.display.failures import cause_row, failure_of
from tracestore.display.layout import Row, tree_rows
from tracestore.display.payload import documents_in, outline, preview_text
from tracestore.display.text import bar_text, fit, pad
from tracestore.display.units import count_text, duration_text, time_text
from tracestore.display.waterfall import SHOWN_ATTRIBUTES
from tracestore.entities import Expectation, Feedback, Span, SpanEvent, Trace
from tracestore.entities.trace import SESSION_KEY, USER_KEY
from tracestore.summary.preview import request_preview, response_preview

#: Spans that are drawn; --json has them all.
MAX_SPANS = 1_000

_DURATION_CELLS = 11
_MOST_BAR_CELLS = 100
_EVERYTHING = 1_000_000_000  # characters: no payload is as large

_TYPE_STYLES = {
    "LLM": "magenta",
    "CHAT_MODEL": "magenta",
    "CHAIN": "blue",
    "AGENT": "blue",
    "TOOL": "yellow",
    "RETRIEVER": "green",
    "RERANKER": "green",
    "EMBEDDING": "cyan",
}


def trace_view(
    trace: Trace, width: int, experiment: str, *, is_full: bool = False
) -> Iterator[RenderableType]:
    """Yield what `tracestore show` prints of a trace, part by part.

    Args:
        trace: The trace with its spans.
        width: Columns of the terminal.
        experiment: The name of its experiment.
        is_full: Leave out one-line payloads, which `full_spans` has whole, and cut nothing else.
    """
    rows = tree_rows(trace)
    yield _facts(trace, experiment, is_full=is_full)
    cause = cause_row(rows)
    if cause is not None:
        yield Text()
        yield _failure(cause)
    yield Text()
    yield tree(rows, width)
    for title, section in (
        ("inputs and outputs", None if is_full else _payloads(rows)),
        ("tags", _pairs(trace.info.tags, is_full=is_full)),
        ("metadata", _pairs(trace.info.trace_metadata, is_full=True) if is_full else None),
        ("assessments", _assessments(trace.info.assessments, is_full=is_full)),
    ):
        if section is not None and section.row_count:
            yield Text()
            yield heading(title)
            yield section


def _grid(columns: int) -> Table:
    """Return a table without lines, of which the last column takes the room there is."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(columns - 1):
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    grid.add_column(overflow="ellipsis")
    return grid


def _value(text: object, *, is_full: bool) -> Text:
    return safe_block(str(text)) if is_full else safe(text)


def _facts(trace: Trace, experiment: str, *, is_full: bool) -> Table:
    info = trace.info
    grid = _grid(2)
    facts: tuple[tuple[str, Text], ...] = (
        ("trace", safe(info.trace_id, "cyan")),
        ("name", safe(info.name or "unnamed trace", "bold")),
        ("state", state_text(info.state)),
        ("start", safe(time_text(info.request_time))),
        ("took", safe(f"{took_text(trace)}, {count_text(len(trace.data.spans), 'span')}")),
        ("tokens", safe(_tokens(info.token_usage or {}))),
        ("cost", safe(_cost(info.cost or {}))),
        ("experiment", safe(experiment)),
        ("session", safe(info.trace_metadata.get(SESSION_KEY))),
        ("user", safe(info.trace_metadata.get(USER_KEY))),
        ("client id", safe(info.client_request_id)),
        ("request", _value(preview_text(info.request_preview), is_full=is_full)),
        ("response", _value(preview_text(info.response_preview), is_full=is_full)),
    )
    for name, value in facts:
        if value.plain:
            grid.add_row(Text(name, style="dim"), value)
    return grid


def _tokens(usage: Mapping[str, Any]) -> str:
    named = (("input", "in"), ("output", "out"), ("total", "in all"))
    counts = [(usage.get(f"{key}_tokens"), label) for key, label in named]
    return ", ".join(f"{count:,} {label}" for count, label in counts if isinstance(count, int))


def _cost(cost: Mapping[str, Any]) -> str:
    total = cost.get("total_cost")
    return f"${total:,.6g}" if isinstance(total, (int, float)) else ""


def _failure(row: Row) -> Text:
    """Return what went wrong first, of all that is shown the one thing that is never cut to a line."""
    kind, message = failure_of(row.span)
    said = ": ".join(filter(None, (row.span.name, kind, message)))
    return Text(f"✗ {safe(said).plain}", "red", overflow="fold")


# The tree -------------------------------------------------------------------------------------------------


def tree(rows: Sequence[Row], width: int) -> Group:
    """Return the spans as a tree, each with its type, duration and bar on the trace's time axis."""
    shown = rows[:MAX_SPANS]
    longest = max((cell_len(_plain_label(row)) for row in shown), default=0)
    name_cells = max(1, min(longest, width // 2))
    bar_cells = max(1, min(_MOST_BAR_CELLS, width - name_cells - _DURATION_CELLS - 2))
    lines = [_span_line(row, name_cells, bar_cells) for row in shown]
    if len(rows) > MAX_SPANS:
        more = count_text(len(rows) - MAX_SPANS, "more span")
        lines.append(Text(f"… {more}: --json has them", "dim"))
    return Group(*lines)


def _plain_label(row: Row) -> str:
    kind = f" {safe(row.span.span_type).plain}" if row.span.span_type else ""
    return f"{row.branch}{_mark(row)}{_name(row.span)}{kind}"


def _mark(row: Row) -> str:
    return "✗ " if row.is_error else "… " if row.is_open else ""


def _name(span: Span) -> str:
    return safe(span.name).plain or "unnamed span"


def _span_line(row: Row, name_cells: int, bar_cells: int) -> Text:
    label = pad(_plain_label(row), name_cells)
    named = len(row.branch) + len(_mark(row) + _name(row.span))
    kind_style = _TYPE_STYLES.get(str(row.span.span_type), "dim")
    line = Text(no_wrap=True, overflow="crop")
    line.append(label[: len(row.branch)], "dim")
    line.append(label[len(row.branch) : named], "red" if row.is_error else "")
    line.append(label[named:], kind_style)
    duration = "open" if row.is_open else duration_text(row.duration_ns)
    line.append(f" {fit(duration, _DURATION_CELLS):>{_DURATION_CELLS}} ")
    line.append(bar_text(row, bar_cells), "red" if row.is_error else kind_style)
    return line


# Payloads -------------------------------------------------------------------------------------------------


def _payloads(rows: Sequence[Row]) -> Table:
    grid = _grid(3)
    for row in rows[:MAX_SPANS]:
        inputs = _line(row.span.inputs, is_request=True)
        outputs = _line(row.span.outputs, is_request=False)
        name = safe(_name(row.span), "red" if row.is_error else "")
        for label, line in (("in", inputs), ("out", outputs)):
            if line is not None:
                grid.add_row(name, Text(label, style="dim"), safe(line))
                name = Text()
    return grid


def _line(value: Any, *, is_request: bool) -> str | None:
    """Return a payload in a line: a text itself, of a chat the message that counts, else JSON."""
    if value is None or isinstance(value, str):
        return value
    documents = documents_in(value)
    if documents:
        sources = ", ".join(document.source for document in documents if document.source)
        return f"{count_text(len(documents), 'document')}: {sources}"
    shorten = request_preview if is_request else response_preview
    return preview_text(shorten(json.dumps(value, ensure_ascii=False)))


def full_spans(trace: Trace) -> Iterator[RenderableType]:
    """Yield every span with all that was recorded of it."""
    for row in tree_rows(trace)[:MAX_SPANS]:
        yield Text()
        yield _full_title(row)
        attributes = {k: v for k, v in row.span.attributes.items() if k not in SHOWN_ATTRIBUTES}
        for label, value in (
            ("inputs", row.span.inputs),
            ("outputs", row.span.outputs),
            ("attributes", attributes or None),
            ("events", "\n".join(_event(event, row.span) for event in row.span.events) or None),
        ):
            if value is not None:
                text = value if isinstance(value, str) else outline(value, _EVERYTHING)
                yield Padding(Text(label, style="dim"), (0, 0, 0, 2), expand=False)
                yield Padding(safe_block(text.rstrip("\n")), (0, 0, 0, 4), expand=False)


def _event(event: SpanEvent, span: Span) -> str:
    """Return an event: when, its name, its attributes; stack traces keep their lines."""
    since = duration_text(event.timestamp - span.start_time_ns)
    attributes = dict(event.attributes or {})
    stack = attributes.pop("exception.stacktrace", None)
    said = json.dumps(attributes, ensure_ascii=False) if attributes else ""
    line = "  ".join(filter(None, (f"+{since}", visible_line(event.name), said)))
    return line if stack is None else f"{line}\n{stack}"


def _full_title(row: Row) -> Text:
    span = row.span
    title = heading(f"{_mark(row)}{_name(span)}")
    title.stylize("red" if row.is_error else "")
    took = "open" if row.is_open else duration_text(row.duration_ns)
    facts = (
        safe(span.span_type).plain,
        took,
        f"after {duration_text(row.offset_ns)}",
        span.span_id,
    )
    return title.append("  " + ", ".join(filter(None, facts)), "dim")


# What was said about it -----------------------------------------------------------------------------------


def _pairs(values: Mapping[str, str], *, is_full: bool) -> Table:
    """Return keys and values; those that this package sets itself only if all is wanted."""
    grid = _grid(2)
    for key, value in values.items():
        if is_full or not key.startswith("mlflow."):
            grid.add_row(safe(key), _value(value, is_full=is_full))
    return grid


def _assessments(assessments: Sequence[Feedback | Expectation], *, is_full: bool) -> Table:
    grid = _grid(3)
    for assessment in assessments:
        kind = "expected" if isinstance(assessment, Expectation) else "feedback"
        if not assessment.valid and assessment.valid is not None:
            kind = "overridden"
        source = f"{assessment.source.source_type} {assessment.source.source_id}"
        words = " · ".join(filter(None, (_verdict(assessment), source, assessment.rationale)))
        grid.add_row(Text(kind, style="dim"), safe(assessment.name), _value(words, is_full=is_full))
    return grid


def _verdict(assessment: Feedback | Expectation) -> str:
    error = getattr(assessment, "error", None)  # feedback only
    if error is not None:
        return f"{error.error_code}: {error.error_message or ''}"
    value = assessment.value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
