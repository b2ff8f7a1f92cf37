"""Traces and spans as the JSON that the front end reads.

Knows entities and the order of a tree, not how anything is drawn. Payloads stay the JSON text they are
stored as, so that nothing is decoded before somebody looks at it and no number loses a digit. Moments of
spans are nanoseconds from the start of the trace's axis, which a JavaScript number holds exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracestore.display.failures import failure_of
from tracestore.display.layout import Row, time_axis, tree_rows

if TYPE_CHECKING:
    from tracestore.entities.assessment import Expectation, Feedback
    from tracestore.entities.trace import Trace

#: The recorded texts of a span, by the names that the front end has for them.
PAYLOADS = ("inputs", "outputs", "attributes", "events", "links")

#: What is shown of a span's attributes also where they are not loaded, by the names of the front end.
_OWN = {
    "model": ("mlflow.llm.model", str),
    "tokens": ("mlflow.chat.tokenUsage", dict),
    "cost": ("mlflow.llm.cost", dict),
}

_SURROGATE = re.compile("[\ud800-\udfff]")


def trace_record(
    trace: Trace, *, span_count: int | None = None, error: str | None = None
) -> dict[str, Any]:
    """Return what a list shows of a trace, and all that is known about it as a whole.

    Args:
        trace: The trace, with or without its spans.
        span_count: How many spans it has, where they were not loaded.
        error: What it failed of, where they were not loaded.
    """
    info = trace.info
    metadata = info.trace_metadata
    spans = len(trace.data.spans) if span_count is None else span_count
    return {
        "id": info.trace_id,
        "name": _name(trace),
        "state": str(info.state),
        "start_ms": info.request_time,
        "duration_ms": info.execution_duration,
        "experiment": info.experiment_id,
        "session": metadata.get("mlflow.trace.session"),
        "user": metadata.get("mlflow.trace.user"),
        "client_request_id": info.client_request_id,
        "tokens": info.token_usage,
        "cost": info.cost,
        "span_count": spans or None,
        "error": error or _error(trace),
        "request": info.request_preview,
        "response": info.response_preview,
        "tags": dict(info.tags),
        "metadata": dict(metadata),
        "assessments": [assessment_record(each) for each in info.assessments],
    }


def _error(trace: Trace) -> str | None:
    """Return what the failed span says that started last: those above it failed because of it."""
    if str(trace.info.state) != "ERROR":
        return None
    failed = [span for span in trace.data.spans if str(span.status.status_code) == "ERROR"]
    if not failed:
        return None
    return (
        ": ".join(filter(None, failure_of(max(failed, key=lambda span: span.start_time_ns))))
        or None
    )


def _name(trace: Trace) -> str | None:
    spans = trace.data.spans
    return trace.info.name or (spans[0].name if spans else None)


def assessment_record(assessment: Feedback | Expectation) -> dict[str, Any]:
    """Return an assessment with its kind, its value as JSON allows it, and who said it."""
    error = getattr(assessment, "error", None)  # feedback only
    return {
        "id": assessment.assessment_id,
        "kind": type(assessment).__name__.lower(),
        "name": assessment.name,
        "value": assessment.value,
        "error": None if error is None else f"{error.error_code}: {error.error_message or ''}",
        "source": f"{assessment.source.source_type} {assessment.source.source_id}",
        "rationale": assessment.rationale,
        "span": assessment.span_id,
        "valid": assessment.valid is not False,
        "time_ms": assessment.create_time_ms,
    }


def span_records(trace: Trace, *, payload_characters: int | None = None) -> dict[str, Any]:
    """Return the spans in tree order, children after their parents, and the axis they are on.

    Args:
        trace: The trace with its spans.
        payload_characters: Of all payloads together, from the first span on; what is beyond is null, and
            its length in characters is in `sizes`. None: all.

    Returns:
        `{"axis_ms", "axis_ns", "spans"}`: the start of the axis in milliseconds since 1970, its length in
        nanoseconds, and a dictionary for each span.
    """
    axis = time_axis(trace)
    room = Room(payload_characters)
    return {
        "axis_ms": axis.start_ns / 1_000_000,
        "axis_ns": axis.length_ns,
        "spans": [_span_record(row, room) for row in tree_rows(trace)],
    }


class Room:
    """How many characters of payloads still go along; None: any number."""

    def __init__(self, characters: int | None) -> None:
        self._left = characters

    def takes(self, text: str) -> bool:
        """Return whether `text` goes along, and count it if so."""
        if self._left is None:
            return True
        if len(text) > self._left:
            return False
        self._left -= len(text)
        return True


def _span_record(row: Row, room: Room) -> dict[str, Any]:
    span = row.span
    texts = payload_texts(span)
    record: dict[str, Any] = {
        "id": span.span_id,
        "parent": span.parent_id,
        "depth": row.depth,
        "name": span.name,
        "type": span.span_type,
        "status": str(span.status.status_code),
        "message": span.status.description or None,
        "start_ns": row.offset_ns,
        "duration_ns": row.duration_ns,
        **_own(texts.get("attributes", "{}")),
    }
    if row.is_orphan:
        record["orphan"] = True
    sizes: dict[str, int] = {}
    for name, text in texts.items():
        if room.takes(text):
            record[name] = text
        else:
            record[name], sizes[name] = None, len(text)
    if sizes:
        record["sizes"] = sizes
    return {key: value for key, value in record.items() if value is not None}


def _own(text: str) -> dict[str, Any]:
    attributes = msgspec.json.decode(text)
    found = ((name, attributes.get(key), kind) for name, (key, kind) in _OWN.items())
    return {name: value for name, value, kind in found if isinstance(value, kind)}


def payload_texts(span: Any) -> dict[str, str]:
    """Return the JSON texts that were recorded with a span, by name; those it does not have are left out."""
    texts = {name: getattr(span, f"_{name}") for name in PAYLOADS}  # the texts are already there
    return {name: text for name, text in texts.items() if text is not None}


def json_text(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return `value` as JSON text that any encoding takes: lone surrogates are escapes.

    What JSON has no form for (numbers that are none, objects of other kinds) becomes text.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, default=str, separators=(",", ":"))
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    """Return `value` with texts in the place of NaN and the infinities."""
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
