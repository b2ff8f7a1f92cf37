"""One span as MLflow writes it to a row of the store: all forms of its JSON since 2.14.

The newest has base64 ids and OpenTelemetry's names, 3.5.0's hex ids, MLflow 2's a `context`. Attribute values are
JSON texts of their own in all of them. Pure functions; what is no span gives None.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tracestore.encoding import clean_text, encode
from tracestore.entities.span import INPUTS_KEY, OUTPUTS_KEY, TRACE_ID_KEY, TYPE_KEY
from tracestore.storage.record_rows import SpanRecord

_STATUS_CODES = {
    code: code.removeprefix("STATUS_CODE_")
    for status in ("OK", "ERROR", "UNSET")
    for code in (status, f"STATUS_CODE_{status}")
}


def span_record(trace_id: str, content: Any) -> SpanRecord | None:
    """Return the row of a span, given as JSON text or as what was read from it; None where it is no span."""
    try:
        return _span_record(trace_id, _decode(content) if isinstance(content, str) else content)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return None


def _decode(text: str) -> Any:
    """Return what is in a JSON text, as MLflow writes it: with NaN and the infinities as they are."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text)


def _span_record(trace_id: str, span: Mapping[str, Any]) -> SpanRecord:
    given = span["attributes"]
    attributes = {clean_text(key): _value(value) for key, value in given.items()}
    attributes.pop(TRACE_ID_KEY, None)
    span_type = attributes.pop(TYPE_KEY, None)
    inputs, outputs = attributes.pop(INPUTS_KEY, None), attributes.pop(OUTPUTS_KEY, None)
    events = [_event(event) for event in span.get("events") or ()]
    span_id, parent_id, start_ns, end_ns, status, message = _frame(span)
    return (
        trace_id,
        span_id,
        parent_id,
        clean_text(str(span["name"])),
        None if span_type is None else clean_text(str(span_type)),
        _STATUS_CODES.get(status, "UNSET"),
        clean_text(str(message)) if message else None,
        start_ns,
        end_ns,
        _error(events),
        encode(attributes) if attributes else None,
        encode(events) if events else None,
        encode(_links(span)) if span.get("links") else None,
        encode(inputs) if INPUTS_KEY in given else None,
        encode(outputs) if OUTPUTS_KEY in given else None,
    )


def _frame(span: Mapping[str, Any]) -> tuple[str, str | None, int, int | None, Any, Any]:
    """Return ids, times and status of a span of any version."""
    if "context" in span:  # MLflow 2
        end_ns = span["end_time"]
        return (
            _span_id(span["context"]["span_id"]),
            _span_id(span["parent_id"]) if span.get("parent_id") else None,
            _moment(span["start_time"]),
            None if end_ns is None else _moment(end_ns),
            str(span.get("status_code")),
            span.get("status_message"),
        )
    parent, end_ns = span.get("parent_span_id"), span.get("end_time_unix_nano")
    return (
        _span_id(span["span_id"]),
        _span_id(parent) if parent else None,
        _moment(span["start_time_unix_nano"]),
        _moment(end_ns) if end_ns else None,
        str(span["status"]["code"]),
        span["status"].get("message"),
    )


def _span_id(text: str) -> str:
    """Return 16 hex digits of an id: eight bytes in base64, or a number in hex."""
    if len(text) == 12 and text.endswith("="):
        return base64.b64decode(text, validate=True).hex()
    return f"{int(text, 16) & 0xFFFFFFFFFFFFFFFF:016x}"


def _moment(value: Any) -> int:
    moment = int(value)
    if not 0 <= moment < 2**63:
        raise ValueError("no nanoseconds since 1970")
    return moment


def _value(value: Any) -> Any:
    """Return an attribute's value: each is a JSON text of its own."""
    if not isinstance(value, str):
        return value
    try:
        return _decode(value)
    except (ValueError, RecursionError):
        return value


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    moment = event["time_unix_nano"] if "time_unix_nano" in event else event["timestamp"]
    attributes = event.get("attributes") or {}
    return {
        "name": clean_text(str(event["name"])),
        "time_unix_nano": _moment(moment),
        "attributes": {clean_text(str(key)): value for key, value in attributes.items()},
    }


def _error(events: Sequence[Mapping[str, Any]]) -> str | None:
    """Return "Type: message" of the last exception event."""
    for event in reversed(events):
        if event["name"] == "exception":
            attributes = event["attributes"]
            kind, message = attributes.get("exception.type"), attributes.get("exception.message")
            return clean_text(f"{kind or 'Exception'}: {message or ''}")
    return None


def _links(span: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "trace_id": clean_text(str(link["trace_id"])),
            "span_id": clean_text(str(link["span_id"])),
            "attributes": dict(link["attributes"]) if link.get("attributes") else None,
        }
        for link in span["links"]
    ]
