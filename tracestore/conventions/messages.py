"""Chat messages in the shapes that instrumentations write, read into the one that chat APIs use.

A message is `{"role": …, "content": …}` with `tool_calls` and `tool_call_id` where there are any, as OpenAI's API
has it (https://platform.openai.com/docs/api-reference/chat). Knows no attribute's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

#: Numbered attributes are read up to this depth, and lists of them up to this length.
MAX_DEPTH, MAX_ITEMS = 12, 10_000

#: Roles by the names that libraries have for them.
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}


def decoded(value: Any) -> Any:
    """Return what a JSON text holds; text that is none, and anything else, as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def nested(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """Return the list that is spread over `prefix.0.…`, `prefix.1.…`, in the order of the numbers."""
    start = f"{prefix}."
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(start):
            _put(tree, key[len(start) :].split(".", MAX_DEPTH), value)
    grown = _grown(tree)
    return grown if isinstance(grown, list) else []


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        below = tree.setdefault(step, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree.setdefault(path[-1], value)


def _grown(tree: Any) -> Any:
    """Return a tree of dictionaries with lists where all keys are numbers."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdecimal() and len(key) < 6 for key in tree):
        return [_grown(tree[key]) for key in sorted(tree, key=int)[:MAX_ITEMS]]
    return {key: _grown(value) for key, value in tree.items()}


def messages(value: Any) -> list[dict[str, Any]]:
    """Return the messages in a list of any known shape; [] where it is none."""
    value = decoded(value)
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if not isinstance(value, list):
        return []
    if len(value) == 1 and isinstance(value[0], list):  # a batch of one conversation
        value = value[0]
    found = [message(item) for item in value if isinstance(item, dict)]
    return [one for one in found if one]


def message(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one message; {} where there is nothing in it that a message has."""
    inner = item.get("message")
    if isinstance(inner, dict):  # OpenInference wraps each, chat APIs wrap the answer
        item = inner
    role = item.get("role") or item.get("type")
    content, calls, answers = _only_text(item) or _parts(item)
    if role is None and content is None and not calls:
        return {}
    role = str(role or "assistant")
    made: dict[str, Any] = {"role": _ROLES.get(role, role), "content": content}
    if calls:
        made["tool_calls"] = calls
    answered = item.get("tool_call_id") or answers
    if answered:
        made["tool_call_id"] = str(answered)
        if answers and role == "user":  # as some models' APIs have it
            made["role"] = "tool"
    if item.get("name"):
        made["name"] = str(item["name"])
    return made


def _parts(item: Mapping[str, Any]) -> tuple[Any, list[dict[str, Any]], str | None]:
    """Return content, tool calls and the call that is answered."""
    parts = item.get("parts", item.get("contents"))
    content = decoded(item.get("content"))
    if parts is None and isinstance(content, list) and _are_parts(content):
        parts = content
    calls = [call(one) for one in _list(item.get("tool_calls")) if isinstance(one, dict)]
    if not isinstance(parts, list):
        return item.get("content"), calls, None
    texts: list[str] = []
    others: list[Any] = []
    answers = None
    for part in parts:
        part = part.get("message_content", part) if isinstance(part, dict) else part  # noqa: PLW2901 - unwrapped
        if not isinstance(part, dict):
            others.append(part)
        elif part.get("type") in ("tool_call", "tool-call", "tool_use"):
            if part.get("name") or part.get("toolName"):  # else they are spread elsewhere
                calls.append(call(part))
        elif part.get("type") in ("tool_call_response", "tool-result", "tool_result"):
            answers = part.get("id") or part.get("toolCallId") or part.get("tool_use_id")
            others.append(part.get("response", part.get("result", part.get("content"))))
        elif isinstance(said := part.get("content", part.get("text")), str):
            texts.append(said)
        else:
            others.append(dict(part))
    if others:
        plain = [{"type": "text", "text": text} for text in texts]
        only = others[0] if len(others) == 1 and not plain else [*plain, *others]
        return only, calls, answers
    return "\n".join(texts) if texts else None, calls, answers


def _only_text(item: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]], None] | None:
    """Return what `_parts` does of a message that is one text, the usual case; None where it is anything else."""
    parts = item.get("parts")
    if type(parts) is list and len(parts) == 1 and "tool_calls" not in item:
        only = parts[0]
        if type(only) is dict and only.get("type") == "text" and type(only.get("content")) is str:
            return only["content"], [], None
    return None


def _are_parts(content: list[Any]) -> bool:
    kinds = {"text", "tool_call", "tool-call", "tool_use", "tool-result", "tool_result"}
    return bool(content) and all(
        isinstance(part, dict) and part.get("type") in kinds for part in content
    )


def call(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one tool call as chat APIs have it."""
    inner = item.get("tool_call")
    if isinstance(inner, dict):
        item = inner
    function = item.get("function")
    function = function if isinstance(function, dict) else item
    name = function.get("name") or item.get("toolName")
    arguments = function.get("arguments", item.get("args", item.get("input")))
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else msgspec.json.encode(arguments).decode()
    made = {"id": item.get("id") or item.get("toolCallId"), "type": "function"}
    return made | {"function": {"name": name, "arguments": arguments}}


def _list(value: Any) -> list[Any]:
    value = decoded(value)
    return value if isinstance(value, list) else []


def tool(item: Any) -> Any:
    """Return a tool's definition as chat APIs have it, `{"type": "function", "function": {…}}`."""
    item = decoded(item)
    if isinstance(item, dict) and isinstance(item.get("tool"), dict):
        item = decoded(item["tool"].get("json_schema", item["tool"]))
    if not isinstance(item, dict) or "function" in item or "name" not in item:
        return item
    function = {key: decoded(value) for key, value in item.items() if key != "type"}
    for theirs in ("input_schema", "inputSchema"):  # Anthropic's name for it, and Vercel's
        if theirs in function:
            function["parameters"] = function.pop(theirs)
    return {"type": "function", "function": function}


def cached_tokens(usage: Any) -> dict[str, Any]:
    """Return the cache's tokens of the usage that OpenAI's or Anthropic's API answers with."""
    usage = decoded(usage)
    if not isinstance(usage, dict):
        return {}
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    counts = {
        "cache_read_input_tokens": details.get(
            "cached_tokens", usage.get("cache_read_input_tokens")
        ),
        "cache_creation_input_tokens": usage.get("cache_creation_input_tokens"),
    }
    return {key: count for key, count in counts.items() if count is not None}
