"""What a person reads of a trace in a list: the last user message, the assistant's answer, or the JSON.

Pure functions of JSON, as text or UTF-8. Called on the writing thread. Knows the shapes of chats (`summary/chats.py`), and that
a list is no place for an image: what is encoded in base64 is left out.
"""

from __future__ import annotations

import re

import msgspec

from tracestore.encoding import clean_text
from tracestore.summary.chats import chat_text

#: Characters of a preview at most, an ellipsis of three dots included. Source: MLflow 3.
MAX_CHARACTERS = 1000

#: Text larger than this is not searched for a chat, in characters.
_MAX_DECODED = 4 * 1024 * 1024

#: What every shape of a chat has one of.
_MARKS = ('"content', '"parts"', '"generations"', '"input"', '"finish_reason"')


def request_preview(inputs: bytes | str | None) -> str | None:
    """Return the preview of a request from the root span's inputs as JSON, None without any."""
    return _preview(inputs, "user")


def response_preview(outputs: bytes | str | None) -> str | None:
    """Return the preview of a response from the root span's outputs as JSON, None without any."""
    return _preview(outputs, "assistant")


def _preview(payload: bytes | str | None, role: str) -> str | None:
    if payload is None:
        return None
    text = payload if isinstance(payload, str) else payload.decode()
    return cut(_chat(text, role) or _without_base64(text))


def _chat(text: str, role: str) -> str | None:
    if len(text) > _MAX_DECODED or not any(mark in text for mark in _MARKS):
        return None
    try:
        return chat_text(msgspec.json.decode(text), role)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # of a file that is not ours
        return None


#: A data URI, and base64 under the names that OpenAI, Anthropic and Gemini use for it.
_BASE64 = re.compile(
    r'(data:[\w.+-]+/[\w.+-]+;base64,|"(?:data|b64_json|bytes)"\s*:\s*")[\w+/=-]{64,}', re.ASCII
)


def _without_base64(text: str) -> str:
    if "base64" not in text and '"data"' not in text and '"b64_json"' not in text:
        return text
    return _BASE64.sub(r"\1…", text[:_MAX_DECODED])


def cut(text: str) -> str:
    """Return `text` in at most MAX_CHARACTERS characters, the last three dots if there was more."""
    text = clean_text(text)
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "..."
