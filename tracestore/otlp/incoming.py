"""Finished spans of OpenTelemetry, from wherever they come, and the rows of the store that they become.

Knows no wire format: a ForeignSpan holds plain values. What has no column here goes into two attributes,
`otel.span` (of the span) and `otel.resource` (of what emitted it), so that a span can leave as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.conventions.rules import MARKERS
from tracestore.conventions.translation import ABSENT, Translation, translate
from tracestore.encoding import clean_text, encode, encode_text, text_of
from tracestore.entities.span import (
    COST_KEY,
    INPUTS_KEY,
    OUTPUTS_KEY,
    TRACE_ID_KEY,
    TYPE_KEY,
    USAGE_KEY,
)
from tracestore.redaction import policy
from tracestore.storage.record_rows import SpanRecord
from tracestore.summary.calls import what_was_called

#: Among the details: when a span says that it ended, where that is before it began.
END_KEY = "end_time_unix_nano"

DETAILS_KEY, RESOURCE_KEY = "otel.span", "otel.resource"

#: What this package's own export adds to a span, and says that it added.
ADDED_KEY, TRACE_KEY = "tracestore.added", "tracestore.trace"
TAG_PREFIX = "mlflow.traceTag."

#: How a resource says that our export made it up, because the trace had none.
SDK_KEY, SDK_NAME = "telemetry.sdk.name", "tracestore"

_NOTHING = Translation(None, ABSENT, ABSENT, {}, None, None)


class ForeignSpan(NamedTuple):
    """A span that has ended elsewhere.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_id: Likewise, None for a root.
        name: Its name.
        start_time_ns: Since 1970.
        end_time_ns: Likewise.
        status: UNSET, OK or ERROR.
        message: Of an ERROR.
        attributes: Plain JSON values.
        events: `{"name", "time_unix_nano", "attributes"}` each.
        links: `{"trace_id", "span_id", "attributes"}` each.
        details: Kind, scope and what else has no place of its own.
        resource: What emitted it.
        is_root: Whether it begins its trace, as far as the emitting process knows.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_time_ns: int
    end_time_ns: int | None
    status: str
    message: str | None
    attributes: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, Any]]
    details: Mapping[str, Any]
    resource: Mapping[str, Any]
    is_root: bool = False


class Understood(NamedTuple):
    """A ForeignSpan as a row, and what it says about its trace."""

    record: SpanRecord
    span_id: str
    parent_id: str | None
    name: str
    start_time_ns: int
    end_time_ns: int | None
    failed: bool
    is_root: bool
    usage: Any
    cost: Any
    session: str | None
    user: str | None
    inputs: bytes | None
    outputs: bytes | None
    tags: Mapping[str, str]
    resource: str | None
    trace: Mapping[str, Any]


def understand(span: ForeignSpan) -> Understood:
    """Return a span as a row of the store, with what its attributes mean."""
    end_ns = span.end_time_ns
    if end_ns is not None and end_ns < span.start_time_ns:  # by another clock
        details = {**span.details, END_KEY: end_ns}
        span = span._replace(end_time_ns=span.start_time_ns, details=details)
    attributes = {clean_text(key): _value(key, value) for key, value in span.attributes.items()}
    added = attributes.pop(ADDED_KEY, None)
    for key in added if isinstance(added, list) else ():
        attributes.pop(str(key), None)
    trace = attributes.pop(TRACE_KEY, None)
    trace = trace if isinstance(trace, Mapping) else {}
    attributes.pop(TRACE_ID_KEY, None)
    said = _NOTHING if MARKERS.isdisjoint(attributes) else translate(attributes, span.events)
    tags = _tags(attributes)
    span_type, inputs, outputs = _pop_columns(attributes, said)
    for key, value in said.attributes.items():
        attributes.setdefault(key, value)
    if USAGE_KEY in attributes and COST_KEY not in attributes:
        attributes.update(what_was_called(attributes.get, inputs, outputs, span.start_time_ns or 0))
    if span.details:
        attributes[DETAILS_KEY] = dict(span.details)
    ended = span.end_time_ns is not None
    record: SpanRecord = (
        f"tr-{span.trace_id}",
        span.span_id,
        span.parent_id,
        clean_text(span.name),
        span_type,
        span.status if span.status != "UNSET" or not ended else "OK",
        clean_text(span.message) if span.message else None,
        span.start_time_ns,
        span.end_time_ns,
        _error(span.events),
        encode(attributes) if attributes else None,
        encode(list(span.events)) if span.events else None,
        encode(list(span.links)) if span.links else None,
        inputs,
        outputs,
    )
    if policy.clean is not None:
        record = policy.clean(record)
        inputs, outputs = record[-2:]
    return Understood(
        record,
        span.span_id,
        span.parent_id,
        record[3],
        span.start_time_ns,
        span.end_time_ns,
        span.status == "ERROR",
        span.is_root or span.parent_id is None,
        attributes.get(USAGE_KEY),
        attributes.get(COST_KEY),
        said.session,
        said.user,
        inputs,
        outputs,
        tags,
        _resource(span.resource),
        trace,
    )


def _resource(resource: Mapping[str, Any]) -> str | None:
    return encode_text(dict(resource)) if resource and resource.get(SDK_KEY) != SDK_NAME else None


def _value(key: str, value: Any) -> Any:
    """Return an attribute's value; MLflow's are JSON text on their way through OpenTelemetry."""
    if (key.startswith("mlflow.") or key == TRACE_KEY) and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def _tags(attributes: dict[str, Any]) -> dict[str, str]:
    keys = [key for key in attributes if key.startswith(TAG_PREFIX)]
    return {key[len(TAG_PREFIX) :]: text_of(attributes.pop(key)) for key in keys}


def _pop_columns(
    attributes: dict[str, Any], said: Translation
) -> tuple[str | None, bytes | None, bytes | None]:
    """Return type, inputs and outputs: what MLflow's attributes say, else what the conventions do."""
    given = attributes.pop(TYPE_KEY, None)
    span_type = given if given not in (None, "UNKNOWN") else said.span_type or given or "UNKNOWN"
    payloads = []
    for key, value in ((INPUTS_KEY, said.inputs), (OUTPUTS_KEY, said.outputs)):
        payload = attributes.pop(key) if key in attributes else value
        payloads.append(None if payload is ABSENT else encode(payload))
    return text_of(span_type), payloads[0], payloads[1]


def _error(events: Sequence[Mapping[str, Any]]) -> str | None:
    """Return "Type: message" of the last exception event."""
    for event in reversed(events):
        if event.get("name") == "exception":
            values = event.get("attributes") or {}
            kind, message = values.get("exception.type"), values.get("exception.message")
            return text_of(f"{kind or 'Exception'}: {message or ''}")
    return None
