"""Stored traces as OTLP messages.

Attributes leave under their names, MLflow's as MLflow sends them (JSON text). Beside them go OpenInference's, so
that other receivers show inputs, outputs, type, model and tokens too; `tracestore.added` lists those, and the root
carries what is known of the trace as a whole in `tracestore.trace`: an import restores the trace as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tracestore.entities import Span, Trace
from tracestore.entities.span import (
    INPUTS_KEY,
    MODEL_KEY,
    OUTPUTS_KEY,
    TRACE_ID_KEY,
    TYPE_KEY,
    USAGE_KEY,
)
from tracestore.entities.trace import (
    COST_KEY,
    NAME_KEY,
    SCHEMA_KEY,
    SESSION_KEY,
    TOKEN_USAGE_KEY,
    USER_KEY,
)
from tracestore.otlp.incoming import (
    ADDED_KEY,
    DETAILS_KEY,
    END_KEY,
    RESOURCE_KEY,
    SDK_KEY,
    SDK_NAME,
    TAG_PREFIX,
    TRACE_KEY,
)
from tracestore.otlp.messages import SPAN_KINDS, STATUS_CODES
from tracestore.otlp.values import key_values

#: OpenInference's kinds by our types. Source:
#: https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
_KINDS = {
    "LLM": "LLM",
    "CHAT_MODEL": "LLM",
    "CHAIN": "CHAIN",
    "AGENT": "AGENT",
    "TOOL": "TOOL",
    "RETRIEVER": "RETRIEVER",
    "EMBEDDING": "EMBEDDING",
    "RERANKER": "RERANKER",
    "GUARDRAIL": "GUARDRAIL",
    "EVALUATOR": "EVALUATOR",
}

_TOKENS = {
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "total_tokens": "llm.token_count.total",
    "cache_read_input_tokens": "llm.token_count.prompt_details.cache_read",
    "cache_creation_input_tokens": "llm.token_count.prompt_details.cache_write",
}

_DERIVED = frozenset({TOKEN_USAGE_KEY, COST_KEY, SCHEMA_KEY, RESOURCE_KEY})

_json = msgspec.json.encode


def traces_data(traces: Iterable[Trace]) -> dict[str, Any]:
    """Return traces as one TracesData: spans by what emitted them and by instrumentation scope."""
    resources: dict[bytes, tuple[dict[str, Any], dict[bytes, dict[str, Any]]]] = {}
    for trace in traces:
        of_trace = _resource(trace)
        for span in trace.data.spans:
            details = _details(span)
            resource = _resource_spans(details, of_trace)
            key = _json(resource, order="sorted")
            _, scopes = resources.setdefault(key, (resource, {}))
            scope = _scope_spans(details)
            found = scopes.setdefault(_json(scope, order="sorted"), scope)
            found.setdefault("spans", []).append(span_message(span, trace, details))
    return {
        "resourceSpans": [
            resource | {"scopeSpans": list(scopes.values())}
            for resource, scopes in resources.values()
        ]
    }


def _resource_spans(details: Mapping[str, Any], of_trace: Mapping[str, Any]) -> dict[str, Any]:
    """Return what emitted a span as a ResourceSpans without its spans."""
    given = details.get("resource")
    resource = given if isinstance(given, Mapping) else of_trace
    made: dict[str, Any] = {"resource": {"attributes": key_values(resource)}}
    made["resource"] |= _dropped(details, "resource")
    if details.get("resource_schema_url"):
        made["schemaUrl"] = str(details["resource_schema_url"])
    return made


def _dropped(
    details: Mapping[str, Any], what: str, name: str = "droppedAttributesCount"
) -> dict[str, int]:
    """Return a count of what was dropped as a field, {} where nothing was."""
    dropped = details.get("dropped")
    return _count(dropped.get(what), name) if isinstance(dropped, Mapping) else {}


def _dropped_of(details: Mapping[str, Any], what: str, number: int) -> dict[str, int]:
    dropped = details.get("dropped")
    value = _listed(dropped, what, number) if isinstance(dropped, Mapping) else None
    return _count(value, "droppedAttributesCount")


def _count(value: Any, name: str) -> dict[str, int]:
    return {name: value} if isinstance(value, int) and 0 < value < 2**32 else {}


def _listed(details: Mapping[str, Any], key: str, number: int) -> Any:
    """Return what a list among the details says of one event or link, None where it says nothing."""
    values = details.get(key)
    return values[number] if isinstance(values, list) and number < len(values) else None


def _resource(trace: Trace) -> dict[str, Any]:
    text = trace.info.trace_metadata.get(RESOURCE_KEY)
    resource = _object(text)
    source = trace.info.trace_metadata.get("mlflow.source.name", "python")
    return resource or {"service.name": source, SDK_KEY: SDK_NAME}


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _details(span: Span) -> Mapping[str, Any]:
    details = span.attributes.get(DETAILS_KEY)
    return details if isinstance(details, Mapping) else {}


def _scope_spans(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span's instrumentation scope as a ScopeSpans without its spans."""
    given = details.get("scope")
    scope: Mapping[str, Any] = given if isinstance(given, Mapping) else {"name": "tracestore"}
    message: dict[str, Any] = {
        key: str(scope[key]) for key in ("name", "version") if scope.get(key)
    }
    if isinstance(scope.get("attributes"), Mapping):
        message["attributes"] = key_values(scope["attributes"])
    made: dict[str, Any] = {"scope": message | _dropped(details, "scope")}
    if scope.get("schema_url"):
        made["schemaUrl"] = str(scope["schema_url"])
    return made


def span_message(span: Span, trace: Trace, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return one span as OTLP's Span."""
    status = span.status
    code = status.status_code.value
    if code == "OK" and details.get("status") == "UNSET":
        code = "UNSET"
    kind, said_ns = details.get("kind"), details.get(END_KEY)
    message: dict[str, Any] = {
        "traceId": span.trace_id.removeprefix("tr-"),
        "spanId": span.span_id,
        "name": span.name,
        "kind": SPAN_KINDS.index(kind) if kind in SPAN_KINDS else 1,
        "startTimeUnixNano": span.start_time_ns,
        "endTimeUnixNano": said_ns if isinstance(said_ns, int) else span.end_time_ns or 0,
        "attributes": key_values(_attributes(span, trace)),
        "status": {"code": STATUS_CODES.index(code)},
    }
    if span.parent_id:
        message["parentSpanId"] = span.parent_id
    if status.description:
        message["status"]["message"] = status.description
    if details.get("trace_state"):
        message["traceState"] = str(details["trace_state"])
    message |= _count(details.get("flags"), "flags")
    message |= _dropped(details, "attributes")
    message |= _dropped(details, "events", "droppedEventsCount")
    message |= _dropped(details, "links", "droppedLinksCount")
    events, links = _events(span, details), _links(span, details)
    return message | ({"events": events} if events else {}) | ({"links": links} if links else {})


def _events(span: Span, details: Mapping[str, Any]) -> list[dict[str, Any]]:
    events = []
    for number, event in enumerate(span.events):
        message: dict[str, Any] = {
            "timeUnixNano": max(0, event.timestamp),
            "name": event.name,
            "attributes": key_values(event.attributes),
        }
        events.append(message | _dropped_of(details, "of_events", number))
    return events


def _links(span: Span, details: Mapping[str, Any]) -> list[dict[str, Any]]:
    links = []
    for number, link in enumerate(span.links):
        trace_id = link.trace_id.removeprefix("tr-")
        if not (_TRACE_ID.fullmatch(trace_id) and _SPAN_ID.fullmatch(link.span_id)):
            continue  # a program's own: OTLP has no room for it
        message: dict[str, Any] = {
            "traceId": trace_id,
            "spanId": link.span_id,
            "attributes": key_values(link.attributes or {}),
            "traceState": str(_listed(details, "link_states", number) or ""),
        }
        message |= _count(_listed(details, "link_flags", number), "flags")
        links.append(message | _dropped_of(details, "of_links", number))
    return links


_TRACE_ID, _SPAN_ID = re.compile("(?:[0-9a-f]{32})?"), re.compile("(?:[0-9a-f]{16})?")


def _attributes(span: Span, trace: Trace) -> dict[str, Any]:
    attributes = {k: v for k, v in span.attributes.items() if k != DETAILS_KEY}
    is_root = span.parent_id is None or span is trace.data.spans[0]
    added = {k: v for k, v in _openinference(attributes).items() if k not in attributes}
    if is_root:
        metadata = trace.info.trace_metadata
        for key, name in ((SESSION_KEY, "session.id"), (USER_KEY, "user.id")):
            if key in metadata and name not in attributes:
                added[name] = metadata[key]
    sent = {
        key: _json(value).decode() if key.startswith("mlflow.") else value
        for key, value in attributes.items()
        if key != TRACE_ID_KEY
    }
    if is_root:
        tags = {k: v for k, v in trace.info.tags.items() if k != NAME_KEY}
        sent |= {TAG_PREFIX + key: value for key, value in tags.items()}
        sent[TRACE_KEY] = _json(_facts(trace)).decode()
    if added:
        sent |= added | {ADDED_KEY: list(added)}
    return sent


def _facts(trace: Trace) -> dict[str, Any]:
    """Return what is known of the trace as a whole and is not in a span."""
    info = trace.info
    facts = {
        "name": info.name,
        "status": info.state.value,
        "client_request_id": info.client_request_id,
        "request_preview": info.request_preview,
        "response_preview": info.response_preview,
        "metadata": {k: v for k, v in info.trace_metadata.items() if k not in _DERIVED},
    }
    return {key: value for key, value in facts.items() if value not in (None, {})}


def _openinference(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenInference has names for."""
    span_type = attributes.get(TYPE_KEY)
    found: dict[str, Any] = {
        "openinference.span.kind": _KINDS.get(str(span_type), "CHAIN"),
    }
    for key, name in ((INPUTS_KEY, "input"), (OUTPUTS_KEY, "output")):
        if key in attributes:
            value = attributes[key]
            is_text = isinstance(value, str)
            found[f"{name}.value"] = value if is_text else _json(value).decode()
            found[f"{name}.mime_type"] = "text/plain" if is_text else "application/json"
    if attributes.get(MODEL_KEY):
        found["llm.model_name"] = attributes[MODEL_KEY]
    usage = attributes.get(USAGE_KEY)
    if isinstance(usage, Mapping):
        found |= {_TOKENS[k]: v for k, v in usage.items() if k in _TOKENS and isinstance(v, int)}
    return found
