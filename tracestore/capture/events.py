"""Events of a span, and moments, as programs give them: read, and encoded at once."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from tracestore.arguments import shown
from tracestore.encoding import MAX_PAYLOAD_BYTES, encode, text_of
from tracestore.entities.span import SpanEvent
from tracestore.storage.schema import END_NS

log = logging.getLogger("tracestore")


def moment_ns(
    value: Any, what: str, unit: str = "nanoseconds since 1970", end: int = END_NS
) -> int | None:
    """Return `value` as a whole number of `unit` below `end`; None, and a warning that names `what`, for anything else."""
    try:
        moment = int(value)
    except (TypeError, ValueError, OverflowError):
        moment = -1
    if 0 <= moment < end:
        return moment
    log.warning("%s is %s and ignored: it must be %s, below %s", what, shown(value), unit, end)
    return None


def event_json(event: SpanEvent) -> msgspec.Raw:
    """Return an event as JSON."""
    attributes = encode(event.attributes)  # only these may be cut
    if not attributes.startswith(b"{"):
        attributes = b'{"tracestore.cut":%b}' % attributes
    moment = moment_ns(event.timestamp, f"timestamp of event {event.name!r:.100}")
    fields = {
        "name": text_of(event.name),
        "time_unix_nano": time.time_ns() if moment is None else moment,
        "attributes": msgspec.Raw(attributes),
    }
    return msgspec.Raw(msgspec.json.encode(fields))


def events_json(events: list[msgspec.Raw]) -> bytes:
    """Return the events as a JSON array; of those that are too large together, the first ones."""
    data = msgspec.json.encode(events)
    if len(data) <= MAX_PAYLOAD_BYTES:
        return data
    kept, size_bytes = 0, 0
    while kept < len(events) and size_bytes <= MAX_PAYLOAD_BYTES // 2:
        size_bytes += len(bytes(events[kept]))
        kept += 1
    note = f"{len(events) - kept + 1} further events were cut"
    last = SpanEvent("tracestore.cut", attributes={"tracestore.cut": note})
    return msgspec.json.encode([*events[: kept - 1], event_json(last)])


def error_of(event: SpanEvent) -> str:
    """Return `Type: message` of an `exception` event."""
    values = event.attributes
    return text_of(f"{values.get('exception.type')}: {values.get('exception.message')}")
