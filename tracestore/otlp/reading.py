"""OTLP messages as finished spans. What is no span of W3C's form is left out and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracestore.encoding import clean_text
from tracestore.otlp.incoming import ForeignSpan
from tracestore.otlp.messages import SPAN_KINDS, STATUS_CODES
from tracestore.otlp.values import plain_attributes
from tracestore.storage.schema import END_NS

_DROPPED = "droppedAttributesCount"


def foreign_spans(data: Mapping[str, Any]) -> Iterator[ForeignSpan | None]:
    """Yield each span of a TracesData; None for one that has no valid ids or times."""
    for resource_spans in data.get("resourceSpans", ()):
        described = resource_spans.get("resource") or {}
        resource = plain_attributes(described.get("attributes", ()))
        for scope_spans in resource_spans.get("scopeSpans", ()):
            scope = _scope(scope_spans)
            above = {
                "schema_url": resource_spans.get("schemaUrl"),
                "resource": described.get(_DROPPED),
                "scope": (scope_spans.get("scope") or {}).get(_DROPPED),
            }
            for span in scope_spans.get("spans", ()):
                yield _foreign_span(span, scope, resource, above)


def _scope(scope_spans: Mapping[str, Any]) -> dict[str, Any]:
    given = scope_spans.get("scope") or {}
    scope = {key: given[key] for key in ("name", "version") if given.get(key)}
    attributes = plain_attributes(given.get("attributes", ()))
    if attributes:
        scope["attributes"] = attributes
    if scope_spans.get("schemaUrl"):
        scope["schema_url"] = scope_spans["schemaUrl"]
    return scope


def _foreign_span(
    span: Mapping[str, Any],
    scope: Mapping[str, Any],
    resource: Mapping[str, Any],
    above: Mapping[str, Any],
) -> ForeignSpan | None:
    trace_id, span_id = span.get("traceId", ""), span.get("spanId", "")
    start_ns, end_ns = span.get("startTimeUnixNano", 0), span.get("endTimeUnixNano", 0)
    parent_id = span.get("parentSpanId", "")
    if (len(trace_id), len(span_id)) != (32, 16) or max(start_ns, end_ns) >= END_NS:
        return None
    if not int(trace_id, 16) or not int(span_id, 16) or len(parent_id) not in (0, 16):
        return None
    status = span.get("status") or {}
    code = status.get("code", 0)
    return ForeignSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id if parent_id.strip("0") else None,
        name=span.get("name", ""),
        start_time_ns=start_ns,
        end_time_ns=end_ns or None,
        status=STATUS_CODES[code] if code < len(STATUS_CODES) else "UNSET",
        message=status.get("message"),
        attributes=plain_attributes(span.get("attributes", ())),
        events=[_event(event) for event in span.get("events", ())],
        links=[_link(link) for link in span.get("links", ())],
        details=_details(span, scope, STATUS_CODES[0] if not code else "")
        | _rarely_said(span, above),
        resource=resource,
    )


def _details(span: Mapping[str, Any], scope: Mapping[str, Any], unset: str) -> dict[str, Any]:
    kind = span.get("kind", 0)
    details: dict[str, Any] = {
        "kind": SPAN_KINDS[kind] if kind < len(SPAN_KINDS) else SPAN_KINDS[0]
    }
    if scope and scope != {"name": "tracestore"}:
        details["scope"] = dict(scope)
    if unset:
        details["status"] = unset
    if span.get("traceState"):
        details["trace_state"] = span["traceState"]
    if span.get("flags"):
        details["flags"] = span["flags"]
    return {} if details == {"kind": "INTERNAL"} else details


def _rarely_said(span: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return what few spans say: how much was dropped, what is known of links, the schema of the resource."""
    links, events = span.get("links", ()), span.get("events", ())
    dropped = {
        "attributes": span.get(_DROPPED),
        "events": span.get("droppedEventsCount"),
        "links": span.get("droppedLinksCount"),
        "resource": above["resource"],
        "scope": above["scope"],
        "of_events": _unless_all_empty([event.get(_DROPPED, 0) for event in events]),
        "of_links": _unless_all_empty([link.get(_DROPPED, 0) for link in links]),
    }
    said = {
        "resource_schema_url": above["schema_url"],
        "link_states": _unless_all_empty([link.get("traceState", "") for link in links]),
        "link_flags": _unless_all_empty([link.get("flags", 0) for link in links]),
        "dropped": {key: value for key, value in dropped.items() if value},
    }
    return {key: value for key, value in said.items() if value}


def _unless_all_empty(values: list[Any]) -> list[Any] | None:
    return values if any(values) else None


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": clean_text(event.get("name", "")),
        "time_unix_nano": min(event.get("timeUnixNano", 0), 2**63 - 1),
        "attributes": plain_attributes(event.get("attributes", ())),
    }


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": f"tr-{link.get('traceId', '')}",
        "span_id": link.get("spanId", ""),
        "attributes": plain_attributes(link.get("attributes", ())) or None,
    }
