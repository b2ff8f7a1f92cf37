"""What a span's foreign attributes and events say in this package's terms.

Pure. Only adds: the original attributes stay where they are. A value of the wrong form is passed over, so that
no attribute of any library can break the recording of a span.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tracestore.conventions import messages as chat
from tracestore.conventions.rules import (
    CHOICE_EVENT,
    CONTENT_EVENTS,
    FLATTENED,
    KINDS,
    MESSAGE_EVENTS,
    PRESENT,
    RULES,
)
from tracestore.entities.span import COST_KEY, MODEL_KEY, USAGE_KEY, SpanType

PROVIDER_KEY = "mlflow.llm.provider"
TOOLS_KEY = "mlflow.chat.tools"
FORMAT_KEY = "mlflow.message.format"

_TOKENS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_COSTS = ("input_cost", "output_cost", "total_cost")

#: Types whose inputs and outputs are chats, where there are messages.
_CHATS = (SpanType.CHAT_MODEL, SpanType.LLM, None)

#: What stands for "nothing was said" where None is a value.
ABSENT: Any = object()


#: Each attribute's meaning, and which goes first of several with the same.
_RANKED = {
    key: (rank, rule.meaning)
    for rank, (rule, key) in reversed(
        list(enumerate((rule, key) for rule in RULES for key in rule.keys))
    )
}


class Translation(NamedTuple):
    """What was understood.

    Attributes:
        span_type: A SpanType, None where nobody says.
        inputs: Any JSON value, ABSENT where there is none.
        outputs: Likewise.
        attributes: To be added under MLflow's names: model, provider, token usage, cost, tools.
        session: The session the span says it belongs to.
        user: The user likewise.
    """

    span_type: str | None
    inputs: Any
    outputs: Any
    attributes: dict[str, Any]
    session: str | None
    user: str | None


def translate(
    attributes: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = ()
) -> Translation:
    """Return what `attributes` and `events` (`{"name": …, "attributes": {…}}`) of a span say."""
    found = _single_values(attributes)
    _add_lists(found, attributes)
    _add_events(found, events)
    if "message_events" in found:
        _add_events(found, _events_in(found["message_events"]))
    _add_derived(found)
    span_type = _span_type(attributes)
    if span_type == SpanType.CHAT_MODEL and not _is_chat(found):
        # OpenInference calls a plain completion LLM too.
        span_type = SpanType.LLM if "openinference.span.kind" in attributes else span_type
    return Translation(
        span_type,
        _inputs(found, span_type),
        _outputs(found, span_type),
        _added(found),
        _text(found.get("session")),
        _text(found.get("user")),
    )


def _single_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    best: dict[str, tuple[int, Any]] = {}
    for key in _RANKED.keys() & attributes.keys():
        rank, meaning = _RANKED[key]
        if attributes[key] is not None and (meaning not in best or rank < best[meaning][0]):
            best[meaning] = (rank, attributes[key])
    return {meaning: value for meaning, (_, value) in best.items()}


#: How attributes begin that a list is spread over.
_SPREAD = tuple(f"{flattened.prefix}." for flattened in FLATTENED)


def _add_lists(found: dict[str, Any], attributes: Mapping[str, Any]) -> None:
    spread = {key: attributes[key] for key in attributes if key.startswith(_SPREAD)}
    if not spread:
        return
    for meaning, prefix, _source in FLATTENED:
        if meaning not in found:
            items = chat.nested(spread, prefix)
            if items:
                found[meaning] = items


def _add_events(found: dict[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
    said: list[dict[str, Any]] = []
    answered: list[Any] = []
    for event in events:
        name, values = event.get("name"), event.get("attributes") or {}
        if name in MESSAGE_EVENTS:
            answered_call = {"tool_call_id": values["id"]} if "id" in values else {}
            said.append({"role": MESSAGE_EVENTS[name], **answered_call, **values})
        elif name == CHOICE_EVENT:
            message = chat.decoded(values.get("message"))
            answered.append(message if isinstance(message, dict) else dict(values))
        elif name in CONTENT_EVENTS:
            key, meaning = CONTENT_EVENTS[name]
            if key and values.get(key) is not None:
                found.setdefault(meaning, values[key])
            for key, meaning in _WHOLE_MESSAGES:
                if values.get(key) is not None:
                    found.setdefault(meaning, values[key])
    if said:
        found.setdefault("input_messages", said)
    if answered:
        found.setdefault("output_messages", answered)


def _events_in(value: Any) -> list[dict[str, Any]]:
    """Return the events that a JSON list in an attribute holds."""
    listed = chat.decoded(value)
    return [
        {"name": item["event.name"], "attributes": item}
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and isinstance(item.get("event.name"), str)
    ]


def _add_derived(found: dict[str, Any]) -> None:
    """Add what follows from values that hold more than one meaning, or hold it in another form."""
    for theirs, meaning in (("json_inputs", "inputs"), ("json_outputs", "outputs")):
        if theirs in found:
            found.setdefault(meaning, _each_decoded(found[theirs]))
    whole = chat.messages(found["conversation"]) if "conversation" in found else []
    if whole:  # what a run was given is what a person said last, and before
        asked = [number for number, message in enumerate(whole) if message["role"] == "user"]
        found.setdefault("input_messages", whole[: asked[-1] + 1] if asked else whole)
    if "model" not in found:  # of a call that failed, or of a stream that nobody has read
        asked_for = _model_asked_for(found)
        if asked_for:
            found["model"] = asked_for
    if "raw_usage" in found:
        for key, count in chat.cached_tokens(found["raw_usage"]).items():
            found.setdefault(key, count)


def _model_asked_for(found: Mapping[str, Any]) -> str | None:
    """Return the model that a request names."""
    parameters = chat.decoded(found.get("parameters"))
    whole = chat.decoded(found.get("inputs"))
    for request in (parameters, whole if _is_chat(found) else None):
        if isinstance(request, dict) and isinstance(request.get("model"), str):
            return str(request["model"])
    return None


def _each_decoded(value: Any) -> Any:
    """Return a JSON text, or a list of them, as values."""
    if isinstance(value, (list, tuple)):
        return [_each_decoded(item) for item in value]
    found = chat.decoded(f"[{value}]") if isinstance(value, str) else None
    return found[0] if isinstance(found, list) and len(found) == 1 else value


_WHOLE_MESSAGES = (
    ("gen_ai.input.messages", "input_messages"),
    ("gen_ai.output.messages", "output_messages"),
    ("gen_ai.system_instructions", "system"),
)


def _span_type(attributes: Mapping[str, Any]) -> str | None:
    for kinds in KINDS:
        value = attributes.get(kinds.key)
        if isinstance(value, str):
            known = kinds.types.get(value) or kinds.types.get(value.upper())
            if known:
                return known
    return next((kind for key, kind, _ in PRESENT if key in attributes), None)


def _is_chat(found: Mapping[str, Any]) -> bool:
    return "input_messages" in found or "output_messages" in found


def _inputs(found: Mapping[str, Any], span_type: str | None) -> Any:
    if span_type in _CHATS or "inputs" not in found:
        said = _with_system(chat.messages(found.get("input_messages")), found)
        if said:
            whole = chat.decoded(found.get("inputs"))
            rest = whole if isinstance(whole, dict) and _is_request(whole) else {}
            return {**rest, "messages": said}
    return chat.decoded(found["inputs"]) if "inputs" in found else ABSENT


def _with_system(said: list[dict[str, Any]], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return messages with the instructions before them, where these are said elsewhere."""
    if "system" not in found or any(message["role"] == "system" for message in said):
        return said
    instructions = chat.message({"role": "system", "parts": chat.decoded(found["system"])})
    return [instructions, *said] if said or instructions["content"] else []


def _is_request(whole: Mapping[str, Any]) -> bool:
    """Whether a value is a chat API's request, whose other arguments are worth keeping."""
    return "messages" in whole and "model" in whole


def _outputs(found: Mapping[str, Any], span_type: str | None) -> Any:
    if span_type in _CHATS or "outputs" not in found:
        said = chat.messages(found.get("output_messages"))
        if not said and "tool_calls" in found:
            text = {"role": "assistant", "content": found.get("outputs")}
            said = [chat.message(text | {"tool_calls": found["tool_calls"]})]
        if not said and span_type == SpanType.CHAT_MODEL and "input_messages" in found:
            said = _answer(found.get("outputs"))
        if said:
            whole = chat.decoded(found.get("outputs"))
            if isinstance(whole, dict) and isinstance(whole.get("choices"), list):
                return whole  # the API's own answer says the same and more
            return {"choices": [{"index": i, "message": m} for i, m in enumerate(said)]}
    if "documents" in found and span_type in (SpanType.RETRIEVER, SpanType.RERANKER):
        return [_document(item) for item in found["documents"]]
    return chat.decoded(found["outputs"]) if "outputs" in found else ABSENT


def _answer(text: Any) -> list[dict[str, Any]]:
    """Return a text that stands alone for what a model answered as a message."""
    return [{"role": "assistant", "content": text}] if isinstance(text, str) else []


def _document(item: Any) -> Any:
    """Return a document as MLflow has it: `page_content`, `metadata`, `id`."""
    document = item.get("document", item) if isinstance(item, dict) else item
    if not isinstance(document, dict):
        return item
    metadata = chat.decoded(document.get("metadata"))
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    if "score" in document:
        metadata["score"] = document["score"]
    return {
        "page_content": document.get("content"),
        "metadata": metadata,
        "id": document.get("id"),
    }


def _added(found: Mapping[str, Any]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    usage = {key: int(found[key]) for key in _TOKENS if key in found and _is_number(found[key])}
    if usage:
        if usage.keys() >= {"input_tokens", "output_tokens"}:
            usage.setdefault("total_tokens", usage["input_tokens"] + usage["output_tokens"])
        added[USAGE_KEY] = usage
    cost = {key: float(found[key]) for key in _COSTS if key in found and _is_number(found[key])}
    if cost:
        added[COST_KEY] = cost
    for meaning, key in (("model", MODEL_KEY), ("provider", PROVIDER_KEY)):
        if isinstance(found.get(meaning), str):
            added[key] = found[meaning]
    tools = chat.decoded(found.get("tools"))
    if isinstance(tools, (list, tuple)) and tools:
        added[TOOLS_KEY] = [chat.tool(item) for item in tools]
    if _is_chat(found):
        added[FORMAT_KEY] = "openai"  # what `_inputs` and `_outputs` make of it
    return added


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value < 2**53
    )


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and str(value) else None
