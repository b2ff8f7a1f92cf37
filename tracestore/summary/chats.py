"""The last message of a role in what a chat API was sent or answered, whichever API it was.

Pure functions of decoded JSON. Shapes: OpenAI's chat completions and Responses, Anthropic's messages, Gemini's
contents and candidates, Bedrock's converse, Ollama and Cohere, LangChain's messages and generations. Anything
else is no chat; values of the wrong form are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

#: Roles by the names they have somewhere, also LangChain's types and classes.
_ROLES = {
    "user": "user",
    "human": "user",
    "HumanMessage": "user",
    "HumanMessageChunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "chat": "other",
    "system": "other",
    "SystemMessage": "other",
    "developer": "other",
    "tool": "other",
    "ToolMessage": "other",
    "function": "other",
}

#: Where messages are within a request or an answer, in the order in which they are looked for.
_PLACES = (
    "messages",
    "choices",
    "candidates",
    "contents",
    "generations",
    "input",
    "output",
    "message",
    "content",
    "request",
)

#: Of these the first one is the answer.
_ALTERNATIVES = ("choices", "candidates", "generations")

#: What `_ROLES` makes of roles.
_KNOWN = frozenset(_ROLES.values())

#: How far down messages are looked for.
_DEPTH = 4

#: Parts of a message that are no text, by their `type`, as a person would call them.
_KINDS = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
    "file": "file",
    "input_file": "file",
    "document": "file",
}


class _Message(NamedTuple):
    role: str
    text: str


def chat_text(value: Any, role: str) -> str | None:
    """Return the text of the last message of `role`, else of the last message; None where there is no chat.

    A message without text counts as what it holds instead: "[image]", "get_weather({"city": "Paris"})".

    Args:
        value: Inputs or outputs of a call, decoded.
        role: "user" or "assistant".

    Example:
        >>> chat_text({"messages": [{"role": "user", "content": "Why?"}], "model": "m"}, "user")
        'Why?'
    """
    usual = _usual_text(value, role)
    if usual is not None:
        return usual
    messages = list(_messages(value, _DEPTH))
    chosen = [message.text for message in messages if message.role == role]
    chosen = chosen or [message.text for message in messages]
    return chosen[-1] if chosen else None


def _usual_text(value: Any, role: str) -> str | None:
    """Return what `chat_text` does of a plain message of `role`, or of messages that end with one: 0.5 instead of 5 µs."""
    if type(value) is not dict or "kwargs" in value:
        return None
    if "role" not in value and "type" not in value:
        messages = value.get("messages")
        value = messages[-1] if type(messages) is list and messages else None
        if type(value) is not dict or "kwargs" in value:
            return None
    name, text = value.get("role"), value.get("content")
    if type(name) is str and type(text) is str and text and _ROLES.get(name) == role:
        return text
    return None


def _messages(value: Any, depth: int) -> Iterator[_Message]:
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _messages(item, depth - 1 if isinstance(item, list) else depth)
        return
    if not isinstance(value, dict):
        return
    own = _message(value)
    if own is not None and (depth < _DEPTH or own.role in _KNOWN):
        yield own
        return
    for key in _PLACES:
        place = value.get(key)
        if key in _ALTERNATIVES and isinstance(place, list):
            place = place[:1]
        found = list(_messages(place, depth - 1))
        if found:
            yield from found
            return
    yield from _bare_texts(value)


def _bare_texts(value: dict[str, Any]) -> Iterator[_Message]:
    """Yield what is a message although it has no role: a prompt of Responses or Gemini, a completion."""
    if "model" in value:
        for key in ("input", "contents"):
            if isinstance(value.get(key), str):
                yield _Message("user", value[key])
    parts = value.get("parts")
    text = _text_of_parts(parts) if isinstance(parts, list) else ""
    if text:
        yield _Message("user", text)
    is_completion = "generation_info" in value or "finish_reason" in value
    if isinstance(value.get("text"), str) and is_completion:
        yield _Message("assistant", value["text"])


def _message(item: dict[str, Any]) -> _Message | None:
    """Return an object as a message with a text, None where it is none."""
    inner = item.get("kwargs")  # LangChain's own JSON: {"id": [..., "HumanMessage"], "kwargs": {…}}
    if isinstance(inner, dict) and "content" in inner:
        path = item.get("id")
        name = path[-1] if isinstance(path, list) and path else None
        item = {"role": inner.get("type", name), **inner}
    role = item.get("role")
    kind = item.get("type")
    if role is None and isinstance(kind, str) and kind in _ROLES:
        role = kind
    if not isinstance(role, str) or not ("content" in item or "parts" in item):
        return None
    content = item["content"] if "content" in item else item["parts"]
    text = content if isinstance(content, str) else _text_of_parts(content)
    text = text or _calls(item)
    return _Message(_ROLES.get(role, role), text) if text else None


def _text_of_parts(content: Any) -> str:
    """Return the first text among the parts of a message, else what the others are; "" for tool results."""
    others: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            return part
        if not isinstance(part, dict):
            continue
        if isinstance(part.get("text"), str) and part["text"]:
            return str(part["text"])
        kind = _kind(part)
        if kind:
            others.append(kind)
    return " ".join(others)


def _kind(part: dict[str, Any]) -> str | None:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _KINDS:
        return f"[{_KINDS[kind]}]"
    if kind == "tool_use":
        return _call(part.get("name"), part.get("input"))
    call = part.get("functionCall", part.get("function_call", part.get("toolUse")))
    if isinstance(call, dict):
        return _call(call.get("name"), call.get("args", call.get("input")))
    for key in ("inlineData", "inline_data", "fileData", "file_data"):
        data = part.get(key)
        if isinstance(data, dict):
            mime = str(data.get("mimeType", data.get("mime_type", "")))
            return f"[{_KINDS.get(mime.partition('/')[0], 'file')}]"
    return next((f"[{_KINDS[key]}]" for key in part if key in _KINDS), None)


def _calls(item: dict[str, Any]) -> str:
    """Return the tool calls of a message that has nothing else, as code."""
    calls = item.get("tool_calls")
    shown: list[str] = []
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            function = call.get("function")
            function = function if isinstance(function, dict) else call
            shown.append(
                _call(function.get("name"), function.get("arguments", function.get("args")))
            )
    return ", ".join(filter(None, shown))


def _call(name: Any, arguments: Any) -> str:
    """Return a call as code, "" of one without a name."""
    if not isinstance(name, str):
        return ""
    text = (
        arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
    )
    return f"{name}({text})"
