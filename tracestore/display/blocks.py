"""Recorded values as HTML: lines, chips, fields, conversations, documents, assessments.

Knows what payload.py recognises and draws it within an Allowance; knows nothing of spans or traces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracestore.display.escape import visible_line
from tracestore.display.markup import Markup, element, join
from tracestore.display.payload import (
    Allowance,
    Document,
    Message,
    Part,
    Tool,
    cut,
    documents_in,
    messages_in,
    tools_in,
)
from tracestore.display.units import count_text

if TYPE_CHECKING:
    from tracestore.entities.assessment import Expectation, Feedback

#: Messages, documents, fields, events or assessments that one list shows.
MAX_ITEMS = 100

_MAX_LINE = 300
_MAX_CHIPS = 24
_MAX_CHIP_TEXT = 120
_MAX_MESSAGES = 60
_FIRST_MESSAGES = 10

_ROLES = frozenset({"user", "assistant", "system", "tool", "developer", "model", "function"})
_SOURCES = {"LLM_JUDGE": "by the judge", "CODE": "by the code"}


def line(text: object, most: int = _MAX_LINE) -> str:
    """Return any text as one line of about `most` characters; "" for None."""
    return "" if text is None else visible_line(cut(str(text), most))


def mark(kind: str, label: str, title: str | None = None) -> Markup:
    """Return a small label; `kind`, one of the style sheet's `ts-is-…`, gives the colour."""
    return element("span", f"ts-mark ts-is-{kind}", label, title=title)


def more(count: int, noun: str) -> list[Markup]:
    """Return a note that `count` things are left out, nothing where none is."""
    return (
        [element("div", "ts-note", f"… {count_text(count, f'more {noun}')}")] if count > 0 else []
    )


def titled(title: str, *children: str) -> Markup:
    """Return a section with a heading."""
    return element("div", "ts-section", element("div", "ts-heading", title), *children)


def chips(pairs: Sequence[tuple[str, str]], most: int = _MAX_CHIPS) -> str:
    """Return labels with values, all short, the whole in the tooltip, `most` of them; "" for no pair."""
    if not pairs:
        return ""
    shown = [_chip(label, value) for label, value in pairs[:most]]
    if len(pairs) > most:
        shown.append(element("span", "ts-chip", f"… {len(pairs) - most:,} more"))
    return element("div", "ts-chips", *shown)


def _chip(label: str, value: str) -> Markup:
    key = element("span", "ts-key", line(label, _MAX_CHIP_TEXT))
    text = element("span", "", line(value, _MAX_CHIP_TEXT))
    # The space at the end parts chips where a viewer strips styles.
    return join([element("span", "ts-chip", key, " ", text, title=line(f"{label}: {value}")), " "])


def text_block(text: str) -> Markup:
    """Return text that keeps its line breaks."""
    return element("div", "ts-text", text)


def value_block(value: Any, allowance: Allowance) -> Markup:
    """Return a payload: a conversation, documents, the fields of a dictionary, text, or an outline."""
    if isinstance(value, dict) and value and not messages_in(value):
        return fields_block(value, allowance)
    return _field(value, allowance)


def fields_block(fields: Mapping[str, Any], allowance: Allowance) -> Markup:
    """Return keys and values, conversations and documents first; a dictionary among the values is outlined."""
    items = list(fields.items())[:MAX_ITEMS]
    wide = [bool(messages_in(value) or documents_in(value)) for _, value in items]
    order = sorted(range(len(items)), key=lambda place: not wide[place])
    rows = [_field_row(*items[place], allowance, is_wide=wide[place]) for place in order]
    return join([element("dl", "ts-fields", *rows), *more(len(fields) - len(items), "field")])


def _field_row(key: str, value: Any, allowance: Allowance, *, is_wide: bool) -> Markup:
    kind = "ts-wide" if is_wide else ""
    return join([element("dt", kind, line(key)), element("dd", kind, _field(value, allowance))])


def _field(value: Any, allowance: Allowance) -> Markup:
    if messages := messages_in(value):
        return _conversation(messages, allowance)
    if documents := documents_in(value):
        return _documents(documents, allowance)
    if tools := tools_in(value):
        return _tools(tools, allowance)
    if isinstance(value, str):
        return text_block(allowance.cut(value))
    return element("pre", "ts-outline", allowance.outline(value))


def _conversation(messages: Sequence[Message], allowance: Allowance) -> Markup:
    """Return the turns; of a long conversation the first few and the last, which matter most."""
    hidden = max(0, len(messages) - _MAX_MESSAGES)
    first = messages[:_FIRST_MESSAGES] if hidden else messages
    last = messages[len(first) + hidden :]
    turns = [_message(message, allowance) for message in first]
    turns += more(hidden, "message")
    turns += [_message(message, allowance) for message in last]
    return element("div", "ts-chat", *turns)


def _message(message: Message, allowance: Allowance) -> Markup:
    role = message.role if message.role in _ROLES else "other"
    return element(
        "div",
        f"ts-message ts-role-{role}",
        element("div", "ts-role", line(message.role, 80)),
        *(_part(part, allowance) for part in message.parts[:MAX_ITEMS]),
        *more(len(message.parts) - MAX_ITEMS, "part"),
        _extra(message.extra, allowance),
    )


def _part(part: Part, allowance: Allowance) -> Markup:
    if isinstance(part.value, str):
        content = text_block(allowance.cut(part.value))
    else:
        content = element("pre", "ts-outline", allowance.outline(part.value))
    if not part.title:
        return content
    return element("div", "ts-part", element("div", "ts-call", line(part.title)), content)


def _extra(extra: Mapping[str, Any], allowance: Allowance) -> str:
    return chips([(key, _short_text(value, allowance)) for key, value in extra.items()])


def _short_text(value: Any, allowance: Allowance) -> str:
    return allowance.cut(value) if isinstance(value, str) else allowance.outline(value)


def _documents(documents: Sequence[Document], allowance: Allowance) -> Markup:
    shown = [
        element(
            "li",
            "ts-document",
            element("div", "ts-source", line(document.source)) if document.source else "",
            text_block(allowance.cut(document.text)),
            _extra(document.extra, allowance),
        )
        for document in documents[:MAX_ITEMS]
    ]
    return join(
        [element("ol", "ts-documents", *shown), *more(len(documents) - len(shown), "document")]
    )


def _tools(tools: Sequence[Tool], allowance: Allowance) -> Markup:
    """Return names with what they do; the schemas are folded."""
    shown = [
        element(
            "details",
            "ts-more",
            element(
                "summary",
                "",
                element("span", "ts-call", line(tool.name)),
                f" {line(tool.description)}",
            ),
            element("pre", "ts-outline", allowance.outline(tool.schema)),
        )
        for tool in tools[:MAX_ITEMS]
    ]
    return join([*shown, *more(len(tools) - len(shown), "tool")])


# Assessments -----------------------------------------------------------------------------------------------


def assessments_block(assessments: Sequence[Feedback | Expectation], allowance: Allowance) -> str:
    """Return what was said about a trace or a span, overridden assessments struck out; "" for nothing."""
    if not assessments:
        return ""
    shown = [_assessment(assessment, allowance) for assessment in assessments[:MAX_ITEMS]]
    return element(
        "div", "ts-assessments", *shown, *more(len(assessments) - len(shown), "assessment")
    )


def assessment_mark(assessment: Feedback | Expectation) -> Markup:
    """Return an assessment as one small label, its rationale in the tooltip."""
    kind, text = _verdict(assessment, Allowance(_MAX_CHIP_TEXT))
    label = f"{line(assessment.name, 60)} {line(text, 60)}"
    return mark(kind, label, line(assessment.rationale) or None)


def _assessment(assessment: Feedback | Expectation, allowance: Allowance) -> Markup:
    kind, text = _verdict(assessment, allowance)
    overridden, rationale = assessment.valid is False, assessment.rationale
    source = assessment.source
    by = f"{_SOURCES.get(source.source_type, 'by')} {line(source.source_id, 80)}"
    return element(
        "div",
        f"ts-assessment{' ts-is-overridden' if overridden else ''}",
        element("span", "ts-key", type(assessment).__name__.lower()),
        " ",
        element("strong", "", line(assessment.name)),
        " ",
        mark(kind, text),
        " ",
        element("span", "ts-source", by),
        element("span", "ts-key", " · overridden") if overridden else "",
        element("div", "ts-rationale", allowance.cut(rationale)) if rationale else "",
    )


def _verdict(assessment: Feedback | Expectation, allowance: Allowance) -> tuple[str, str]:
    """Return the kind of mark an assessment gets, and its value or error in words."""
    error = getattr(assessment, "error", None)  # feedback only
    if error is not None:
        return "error", allowance.cut(f"{error.error_code}: {error.error_message or ''}")
    value = assessment.value
    if isinstance(value, bool):
        return ("ok", "✓ true") if value else ("error", "✗ false")
    return "plain", _short_text(value, allowance)
