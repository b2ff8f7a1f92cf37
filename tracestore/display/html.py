"""Traces as HTML for a notebook cell: markup and style, no script, no link, no request.

A page lives on in saved notebooks and on machines of others, so it asks for nothing and trusts nothing:
markup.py escapes all that was recorded, colours come from a closed table of span types, and the only styles
are numbers computed here. Invariant: `trace_html` and `traces_html` return at most MAX_HTML_BYTES and say
what they left out.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from tracestore.display.blocks import (
    MAX_ITEMS,
    assessment_mark,
    assessments_block,
    chips,
    fields_block,
    line,
    more,
    text_block,
)
from tracestore.display.failures import cause_row, failure_of
from tracestore.display.layout import Axis, Row, time_axis, tree_rows
from tracestore.display.markup import Markup, element, join
from tracestore.display.payload import Allowance, preview_text
from tracestore.display.units import NS_PER_MS, cost_text, count_text, duration_text, time_text
from tracestore.display.waterfall import axis_block, span_block

if TYPE_CHECKING:
    from tracestore.entities.assessment import Expectation, Feedback
    from tracestore.entities.trace import Trace, TraceInfo

#: A page larger than this makes notebooks slow to load and to save.
MAX_HTML_BYTES = 2_000_000

#: Spans and traces that one page shows.
MAX_SPANS = 1_000
MAX_TRACES = 200

_RESERVE_BYTES = 10_000  # for what follows the spans: notes and closing tags
_PAYLOAD_CHARACTERS = 800_000
_MOST_PER_SPAN = 40_000
_LEAST_PER_SPAN = 600
_MOST_PER_HEAD = 20_000
_MAX_PREVIEW = 600
_MAX_LABELS = 6  # of a trace in a table
_MAX_HEAD_LABELS = 12  # of a trace by itself; all tags are in the folded table

_COLUMNS = (
    ("trace", "Trace"),
    ("start", "Start"),
    ("time", "Duration"),
    ("spans", "Spans"),
    ("tokens", "Tokens"),
    ("preview", "Request"),
    ("preview", "Response"),
    ("labels", "Labels"),
)

_STATES = {"OK": ("ok", "OK"), "ERROR": ("error", "Error"), "IN_PROGRESS": ("open", "In progress")}


def trace_html(trace: Trace, zone: tzinfo | None = None) -> str:
    """Return `trace` as HTML: head, waterfall, and every span with what it did, folded.

    Long values are cut with a note of how much more there is, long traces after MAX_SPANS; the result has
    at most MAX_HTML_BYTES. Takes about 0.15 ms a span, and more where payloads are large.

    Args:
        trace: The trace.
        zone: Time zone of the times, by default this machine's.
    """
    rows = tree_rows(trace)
    axis = time_axis(trace)
    said = _assessments_by_span(trace)
    head = _head(trace, rows, said.get(None, []), zone)
    axis_line = axis_block(axis)
    share = max(_LEAST_PER_SPAN, min(_MOST_PER_SPAN, _PAYLOAD_CHARACTERS // max(1, len(rows))))
    blocks = (
        span_block(row, said.get(row.span.span_id, []), Allowance(share))
        for row in rows[:MAX_SPANS]
    )
    shown = fill_room(blocks, _room_bytes(head, axis_line))
    spans = element("div", "ts-spans", *shown, style=f"--ts-step:{_step_percent(axis)}%")
    return card(head, axis_line, spans, _omitted_note(rows, len(shown)))


def traces_html(
    traces: Sequence[Trace], zone: tzinfo | None = None, *, head: Sequence[str] = ()
) -> str:
    """Return `traces` as a table, a row each, at most MAX_TRACES of them and MAX_HTML_BYTES.

    Args:
        traces: The traces, in the order they are to be shown.
        zone: Time zone of the times, by default this machine's.
        head: What stands above the table.
    """
    if not traces:
        return card(*head, _note("No traces."))
    longest_ms = max(trace.info.execution_duration or 0 for trace in traces)
    rows = (_trace_row(trace, longest_ms, zone) for trace in traces[:MAX_TRACES])
    shown = fill_room(rows, _room_bytes())
    table = element("table", "ts-table", header_row(_COLUMNS), element("tbody", "", *shown))
    left_out = len(traces) - len(shown)
    note = f"The first {len(shown):,} of {count_text(len(traces), 'trace')} are shown."
    return card(*head, table, _note(note) if left_out else "")


def header_row(columns: Iterable[tuple[str, str]]) -> Markup:
    """Return the head of a table; a column is its kind, as in `ts-cell-…`, and its title."""
    titles = (element("th", f"ts-cell-{kind}", title) for kind, title in columns)
    return element("thead", "", element("tr", "", *titles))


def card(*parts: str) -> str:
    """Return parts as one framed piece of a notebook, with the style sheet."""
    return element("div", "tracestore", _style(), element("div", "ts-card", *parts))


@functools.cache
def _style() -> Markup:
    resource = importlib.resources.files(__package__) / "static" / "tracestore.css"
    css = resource.read_text(encoding="utf-8")
    css = re.sub(r"(/\*.*?\*/|\s)+", " ", css, flags=re.DOTALL)
    css = re.sub(r" ?([{};]) ?", r"\1", css)
    return Markup(f"<style>{css}</style>")


def _note(text: str) -> Markup:
    return element("div", "ts-note", text)


def _room_bytes(*parts: str) -> int:
    return MAX_HTML_BYTES - _RESERVE_BYTES - sum(len(part.encode()) for part in (_style(), *parts))


def fill_room(pieces: Iterable[Markup], room_bytes: int) -> list[Markup]:
    """Return the pieces that fit, from the first on."""
    shown: list[Markup] = []
    for piece in pieces:
        room_bytes -= len(piece.encode())
        if room_bytes < 0:
            break
        shown.append(piece)
    return shown


def _omitted_note(rows: Sequence[Row], shown: int) -> str:
    if not rows:
        return _note("No span of this trace has been recorded.")
    if shown == len(rows):
        return ""
    failed = sum(row.is_error for row in rows[shown:])
    note = f"The first {shown:,} of {count_text(len(rows), 'span')} are shown, in tree order"
    return _note(f"{note}; {failed:,} of the others failed." if failed else f"{note}.")


def _step_percent(axis: Axis) -> str:
    return f"{100 * axis.step_ns / axis.length_ns:.2f}" if axis.length_ns else "100"


def _assessments_by_span(trace: Trace) -> dict[str | None, list[Feedback | Expectation]]:
    """Return assessments by span id; under None those of the trace, or of a span that it does not have."""
    known = {span.span_id for span in trace.data.spans}
    said: dict[str | None, list[Feedback | Expectation]] = {}
    for assessment in trace.info.assessments:
        key = assessment.span_id if assessment.span_id in known else None
        said.setdefault(key, []).append(assessment)
    return said


# Head ------------------------------------------------------------------------------------------------------


def _head(
    trace: Trace,
    rows: Sequence[Row],
    assessments: Sequence[Feedback | Expectation],
    zone: tzinfo | None,
) -> Markup:
    info = trace.info
    allowance = Allowance(_MOST_PER_HEAD)
    return element(
        "div",
        "ts-head",
        element(
            "div",
            "ts-title",
            state_mark(str(info.state)),
            " ",
            element("span", "ts-name", _name(trace), title=_name(trace)),
            " ",
            element("span", "ts-total", _duration(info)),
        ),
        element(
            "div",
            "ts-facts",
            element("span", "", time_text(info.request_time, zone)),
            " ",
            element("span", "", count_text(len(rows), "span")),
            " ",
            element("span", "ts-id", line(info.trace_id), title=line(info.trace_id)),
        ),
        chips(_trace_chips(info), _MAX_HEAD_LABELS),
        _previews(info),
        _problem(rows),
        assessments_block(assessments, allowance),
        _trace_fields(info, allowance),
    )


def _name(trace: Trace) -> str:
    name = trace.info.tags.get("mlflow.traceName")
    if name is None and trace.data.spans:
        name = trace.data.spans[0].name
    return line(name) or "unnamed trace"


def _duration(info: TraceInfo) -> str:
    duration_ms = info.execution_duration
    return duration_text(None if duration_ms is None else duration_ms * NS_PER_MS)


def state_mark(state: str) -> Markup:
    """Return a trace's state as a mark with its word."""
    kind, label = _STATES.get(state, ("unknown", "State unknown"))
    return element("span", f"ts-state ts-is-{kind}", label)


def _trace_chips(info: TraceInfo) -> list[tuple[str, str]]:
    return [*_owner_chips(info), *_usage_chips(info), *_tag_chips(info)]


def _owner_chips(info: TraceInfo) -> list[tuple[str, str]]:
    pairs = (
        ("session", info.trace_metadata.get("mlflow.trace.session")),
        ("user", info.trace_metadata.get("mlflow.trace.user")),
        ("request id", info.client_request_id),
    )
    return [(label, value) for label, value in pairs if value]


def _usage_chips(info: TraceInfo) -> list[tuple[str, str]]:
    pairs = (("tokens", _tokens(info.token_usage)), ("cost", cost_text(info.cost)))
    return [(label, value) for label, value in pairs if value]


def _tag_chips(info: TraceInfo) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in info.tags.items() if not key.startswith("mlflow.")]


def _tokens(usage: dict[str, Any] | None) -> str:
    counts = [(usage or {}).get(f"{kind}_tokens") for kind in ("total", "input", "output")]
    total, into, out = (f"{count:,}" if isinstance(count, int) else "" for count in counts)
    parts = f"{into or '?'} in, {out or '?'} out" if into or out else ""
    return f"{total} ({parts})" if total and parts else total or parts


def _previews(info: TraceInfo) -> str:
    previews = (("Request", info.request_preview), ("Response", info.response_preview))
    lines = [
        element(
            "div",
            "ts-preview",
            element("span", "ts-key", label),
            " ",
            text_block(line(text, _MAX_PREVIEW)),
        )
        for label, text in ((label, preview_text(said)) for label, said in previews)
        if text
    ]
    return element("div", "ts-previews", *lines) if lines else ""


def _problem(rows: Sequence[Row]) -> str:
    """Return a banner with the failure that explains the others, and how many there are."""
    cause = cause_row(rows)
    if cause is None:
        return ""
    kind, message = failure_of(cause.span)
    failed = sum(row.is_error for row in rows)
    return element(
        "div",
        "ts-problem",
        element("strong", "", line(kind) or "Error"),
        " in ",
        element("strong", "", line(cause.span.name) or "unnamed span"),
        f": {line(message, _MAX_PREVIEW)}" if message else "",
        f" ({failed:,} spans failed)" if failed > 1 else "",
    )


def _trace_fields(info: TraceInfo, allowance: Allowance) -> str:
    """Return a folded table of all tags and metadata, those that have chips too."""
    fields = {
        **{f"tag {key}": value for key, value in info.tags.items()},
        **{f"metadata {key}": value for key, value in info.trace_metadata.items()},
    }
    if not fields:
        return ""
    title = count_text(len(fields), "tag or metadata field", "tags and metadata fields")
    return element(
        "details", "ts-more", element("summary", "", title), fields_block(fields, allowance)
    )


# Table -----------------------------------------------------------------------------------------------------


def _trace_row(trace: Trace, longest_ms: int, zone: tzinfo | None) -> Markup:
    info = trace.info
    name = element("span", "ts-name", _name(trace), title=line(info.trace_id))
    tokens = (info.token_usage or {}).get("total_tokens")
    cells = (
        ("trace", join([state_mark(str(info.state)), " ", name])),
        ("start", time_text(info.request_time, zone)),
        ("time", join([_duration(info), _share(info.execution_duration or 0, longest_ms)])),
        ("spans", f"{len(trace.data.spans):,}"),
        ("tokens", f"{tokens:,}" if isinstance(tokens, int) else ""),
        ("preview", _clamped(info.request_preview)),
        ("preview", _failure(trace) or _clamped(info.response_preview)),
        ("labels", _labels(info)),
    )
    return element("tr", "", *(element("td", f"ts-cell-{kind}", text) for kind, text in cells))


def _share(duration_ms: int, longest_ms: int) -> Markup:
    """Return a small bar, as long as the duration is of the longest."""
    percent = max(0, 100 * duration_ms / longest_ms) if longest_ms > 0 else 0
    return element("span", "ts-share", element("span", "ts-bar", style=f"width:{percent:.1f}%"))


def _failure(trace: Trace) -> str:
    """Return what a trace failed of; "" where it did not, or its spans are not there."""
    cause = cause_row(tree_rows(trace)) if str(trace.info.state) == "ERROR" else None
    said = ": ".join(filter(None, failure_of(cause.span))) if cause else ""
    return element("div", "ts-clamp ts-failure", line(said, _MAX_PREVIEW)) if said else ""


def _clamped(text: str | None) -> str:
    preview = line(preview_text(text), _MAX_PREVIEW)
    return element("div", "ts-clamp", preview, title=preview) if preview else ""


def _labels(info: TraceInfo) -> Markup:
    """Return the assessments in force, then whose trace it is and the first of its tags."""
    in_force = [assessment for assessment in info.assessments if assessment.valid is not False]
    return join(
        [
            *(assessment_mark(assessment) for assessment in in_force[:MAX_ITEMS]),
            *more(len(in_force) - MAX_ITEMS, "assessment"),
            chips([*_owner_chips(info), *_tag_chips(info)], _MAX_LABELS),
        ]
    )
