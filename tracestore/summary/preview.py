"""What a person reads of a trace in a list: the last user message, the assistant's answer, or the JSON.

Pure functions of JSON text. Called on the writing thread.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tracestore.encoding import clean_text

#: Characters of a preview at most, an ellipsis of three dots included. Source: MLflow 3.
MAX_CHARACTERS = 1000

#: Text larger than this is not searched for a chat, in characters.
_MAX_DECODED = 4 * 1024 * 1024


def request_preview(inputs: str | None) -> str | None:
    """Return the preview of a request from the root span's inputs as JSON text, None without any."""
    return _preview(inputs, "user")


def response_preview(outputs: str | None) -> str | None:
    """Return the preview of a response from the root span's outputs as JSON text, None without any."""
    return _preview(outputs, "assistant")


def _preview(text: str | None, role: str) -> str | None:
    if text is None:
        return None
    shown = text
    if '"content"' in text and len(text) <= _MAX_DECODED:
        shown = _chat_text(msgspec.json.decode(text), role) or text
    return cut(shown)


def cut(text: str) -> str:
    """Return `text` in at most MAX_CHARACTERS characters, the last three dots if there was more."""
    text = clean_text(text)
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "..."


def _chat_text(value: Any, role: str) -> str | None:
    """Return the last message of `role` (or the last of any) where `value` is shaped like a chat."""
    messages = _messages(value, depth=3)
    texts = [(message.get("role"), _content(message)) for message in messages]
    texts = [(who, text) for who, text in texts if text]
    chosen = [text for who, text in texts if who == role] or [text for _, text in texts]
    return chosen[-1] if chosen else None


def _messages(value: Any, depth: int) -> list[dict[str, Any]]:
    """Find the list of messages in the shapes that chat APIs use."""
    if isinstance(value, list):
        found = [item for item in value if isinstance(item, dict) and "content" in item]
        return found if len(found) == len(value) else []
    if not isinstance(value, dict) or depth == 0:
        return []
    choices = value.get("choices")
    if isinstance(choices, list):
        return [
            c["message"]
            for c in choices
            if isinstance(c, dict) and isinstance(c.get("message"), dict)
        ]
    for key in ("messages", "input", "output", "request"):
        if key in value and (found := _messages(value[key], depth - 1)):
            return found
    return [value] if "role" in value and "content" in value else []


def _content(message: dict[str, Any]) -> str | None:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                return str(part["text"])
    return None
