"""The waterfall as HTML: the time axis, and each span as a row that opens to what the span did.

Knows spans and their rows, not the trace they are part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracestore.display.blocks import (
    MAX_ITEMS,
    assessments_block,
    chips,
    fields_block,
    line,
    mark,
    more,
    titled,
    value_block,
)
from tracestore.display.failures import EXCEPTION
from tracestore.display.layout import Axis, Row
from tracestore.display.markup import Markup, element
from tracestore.display.payload import Allowance
from tracestore.display.units import cost_text, count_text, duration_text

if TYPE_CHECKING:
    from tracestore.entities.assessment import Expectation, Feedback
    from tracestore.entities.span import Span, SpanEvent

_MAX_DRAWN_DEPTH = 24
_LAST_TICK = 0.94  # of the axis; a label further right would leave the page
_LAST_BAR_PERCENT = 99.5  # a bar at the very end keeps its least width on the page

#: Span types that have a colour of their own, by the suffix of its class.
_COLOURS = {
    "LLM": "model",
    "CHAT_MODEL": "model",
    "CHAIN": "chain",
    "WORKFLOW": "chain",
    "TASK": "chain",
    "AGENT": "agent",
    "TOOL": "tool",
    "RETRIEVER": "retriever",
    "RERANKER": "retriever",
    "EMBEDDING": "embedding",
    "MEMORY": "embedding",
    "PARSER": "parser",
    "GUARDRAIL": "guard",
    "EVALUATOR": "guard",
}

#: Attributes that are shown elsewhere: as inputs, outputs and type; the trace's id; and a level that all have.
SHOWN_ATTRIBUTES = frozenset(
    {"mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.spanType", "mlflow.traceRequestId"}
    | {"mlflow.spanLogLevel"}
)
_EXCEPTION_FIELDS = ("exception.type", "exception.message", "exception.stacktrace")


def axis_block(axis: Axis) -> str:
    """Return the ticks above the bars; "" where there is no time to divide."""
    if not axis.length_ns:
        return ""
    ticks = [
        element(
            "span",
            "ts-tick",
            duration_text(tick_ns),
            style=f"left:{100 * tick_ns / axis.length_ns:.2f}%",
        )
        for tick_ns in axis.ticks_ns()
        if tick_ns <= _LAST_TICK * axis.length_ns
    ]
    return element("div", "ts-axis", element("div", "ts-ticks", *ticks))


def span_block(
    row: Row, assessments: Sequence[Feedback | Expectation], allowance: Allowance
) -> Markup:
    """Return a span's row and, folded, what it did, of as many characters as `allowance` has."""
    colour = _COLOURS.get(str(row.span.span_type), "other")
    return element(
        "details",
        f"ts-span ts-type-{colour}",
        _summary(row, is_assessed=bool(assessments)),
        _details(row, assessments, allowance),
    )


def _summary(row: Row, *, is_assessed: bool) -> Markup:
    span = row.span
    name = line(span.name) or "unnamed span"
    duration = "…" if row.is_open else duration_text(row.duration_ns)
    label = element(
        "span",
        "ts-label",
        element("span", "ts-indent", style=f"--ts-depth:{min(row.depth, _MAX_DRAWN_DEPTH)}"),
        element("span", "ts-fold"),
        element("span", "ts-span-name", name, title=f"{name} · level {row.depth + 1}"),
        " ",
        element("span", "ts-type", line(span.span_type, 40)) if span.span_type else "",
        *_marks(row, is_assessed=is_assessed),
        " ",
        element("span", "ts-model", used) if (used := _usage(span)) else "",
    )
    return element(
        "summary", "ts-row", label, " ", element("span", "ts-duration", duration), " ", _bar(row)
    )


def _usage(span: Span) -> str:
    """Return "gpt-4o · 670 tokens · $0.0021", as far as it is known; a span without a model has none."""
    if not span.model_name:
        return ""
    attributes = span.attributes
    usage = attributes.get("mlflow.chat.tokenUsage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    tokens = count_text(total, "token") if isinstance(total, int) else ""
    facts = (line(span.model_name, 60), tokens, cost_text(span.llm_cost))
    return " · ".join(fact for fact in facts if fact)


def _marks(row: Row, *, is_assessed: bool) -> list[Markup]:
    marks = (
        (row.is_error, mark("error", "error")),
        (row.is_open, mark("open", "open", "had not ended when it was recorded")),
        (row.is_orphan, mark("orphan", "no parent", "its parent was not recorded")),
        (is_assessed, mark("assessed", "assessed")),
    )
    return [drawn for applies, drawn in marks if applies]


def _bar(row: Row) -> Markup:
    state = " ts-is-error" if row.is_error else " ts-is-open" if row.is_open else ""
    left = min(100 * row.offset, _LAST_BAR_PERCENT)
    style = f"left:{left:.2f}%;width:{min(100 * row.fraction, 100 - left):.2f}%"
    length = "still open" if row.is_open else f"takes {duration_text(row.duration_ns)}"
    title = f"starts after {duration_text(row.offset_ns)}, {length}"
    return element("span", "ts-track", element("span", f"ts-bar{state}", style=style), title=title)


def _details(
    row: Row, assessments: Sequence[Feedback | Expectation], allowance: Allowance
) -> Markup:
    span = row.span
    attributes = {k: v for k, v in span.attributes.items() if k not in SHOWN_ATTRIBUTES}
    exceptions = [event for event in span.events if event.name == EXCEPTION]
    events = [event for event in span.events if event.name != EXCEPTION]
    return element(
        "div",
        "ts-details",
        _status(row) if row.is_error and not exceptions else "",
        *(_exception(event, allowance) for event in exceptions[:MAX_ITEMS]),
        *more(len(exceptions) - MAX_ITEMS, "exception"),
        assessments_block(assessments, allowance),
        element(
            "div",
            "ts-payloads",
            _payload("Inputs", span.inputs, allowance),
            _payload("Outputs", span.outputs, allowance),
        ),
        titled("Attributes", fields_block(attributes, allowance)) if attributes else "",
        titled("Events", *_events(events, row, allowance)) if events else "",
        chips(_facts(row)),
    )


def _facts(row: Row) -> list[tuple[str, str]]:
    return [
        ("span", row.span.span_id),
        ("starts after", duration_text(row.offset_ns)),
        ("takes", "still open" if row.is_open else duration_text(row.duration_ns)),
    ]


def _payload(title: str, value: Any, allowance: Allowance) -> str:
    return "" if value is None else titled(title, value_block(value, allowance))


def _status(row: Row) -> Markup:
    text = line(row.span.status.description, 2_000) or "The span failed and did not say why."
    return element("div", "ts-problem", text)


def _exception(event: SpanEvent, allowance: Allowance) -> Markup:
    attributes = event.attributes or {}
    kind, message, stack = (str(attributes.get(key) or "") for key in _EXCEPTION_FIELDS)
    rest = {
        key: value
        for key, value in attributes.items()
        if key not in _EXCEPTION_FIELDS and key != "exception.escaped"
    }
    return element(
        "div",
        "ts-problem",
        element("strong", "", line(kind) or "Exception"),
        f": {allowance.cut(message)}" if message else "",
        element("pre", "ts-stack", allowance.cut(stack)) if stack else "",
        fields_block(rest, allowance) if rest else "",
    )


def _events(events: Sequence[SpanEvent], row: Row, allowance: Allowance) -> list[Markup]:
    shown = [
        element(
            "div",
            "ts-event",
            element("span", "ts-duration", _since_start(event, row)),
            " ",
            element("strong", "", line(event.name)),
            fields_block(event.attributes, allowance) if event.attributes else "",
        )
        for event in events[:MAX_ITEMS]
    ]
    return [*shown, *more(len(events) - len(shown), "event")]


def _since_start(event: SpanEvent, row: Row) -> str:
    since_ns = event.timestamp - row.span.start_time_ns
    return f"{'+' if since_ns >= 0 else ''}{duration_text(since_ns)}"
