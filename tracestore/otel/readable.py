"""The SDK's ReadableSpan as plain values."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from tracestore.otlp.incoming import ForeignSpan


def foreign_span(span: ReadableSpan) -> ForeignSpan | None:
    """Return what the SDK hands over, None where it has no ids."""
    context = span.get_span_context()
    if context is None:
        return None
    parent = span.parent
    message = span.status.description
    return ForeignSpan(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=None if parent is None else f"{parent.span_id:016x}",
        name=span.name,
        start_time_ns=span.start_time or 0,
        end_time_ns=span.end_time,
        status=span.status.status_code.name,
        message=message,
        attributes=plain_attributes(span.attributes),
        events=[
            {
                "name": event.name,
                "time_unix_nano": event.timestamp,
                "attributes": plain_attributes(event.attributes),
            }
            for event in span.events
        ],
        links=[
            {
                "trace_id": f"tr-{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                "attributes": plain_attributes(link.attributes) or None,
            }
            for link in span.links
        ],
        details=details(span),
        resource=plain_attributes(span.resource.attributes),
        is_root=parent is None or parent.is_remote,
    )


def details(span: ReadableSpan) -> dict[str, Any]:
    """Return what has no place of its own in a span here."""
    scope = span.instrumentation_scope
    found: dict[str, Any] = {"kind": span.kind.name}
    if scope is not None:
        known = {
            "name": scope.name,
            "version": scope.version,
            "schema_url": scope.schema_url,
            "attributes": plain_attributes(scope.attributes),
        }
        found["scope"] = {key: value for key, value in known.items() if value}
    if span.status.status_code.name == "UNSET":
        found["status"] = "UNSET"
    context = span.get_span_context()
    if context is not None and context.trace_state:
        found["trace_state"] = context.trace_state.to_header()
    return found


#: Types of values that need no second look.
_AS_THEY_ARE = frozenset({str, int, bool})


def plain_attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return attributes with plain JSON values: tuples as lists, bytes and odd numbers as objects."""
    return {
        str(key): value if type(value) in _AS_THEY_ARE else _plain(value)
        for key, value in (attributes or {}).items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        text = "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        return {"otel.double": text}
    if isinstance(value, bytes):
        return {"otel.bytes": base64.b64encode(value).decode()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return plain_attributes(value)
    return value
