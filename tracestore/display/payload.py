"""Recorded values to what a person reads: chat messages, tools, retrieved documents, bounded outlines.

Knows the shapes that model providers and frameworks use, not how anything is drawn. A shape that is almost
right is no error, it is shown as an outline. Invariant: nothing recorded is left out without a note that
says how much, and work is bounded by what is shown rather than by what was recorded.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tracestore.display.units import count_text, size_text

#: Characters of one text that are shown.
MAX_TEXT = 8_000

_MAX_ITEMS = 100
_MAX_DEPTH = 24
_MAX_NUMBERS_ON_A_LINE = 32
_MAX_LINE = 72

_LANGCHAIN_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "summary_text"})
_CALL_PARTS = frozenset({"tool_use", "function_call", "tool_call", "server_tool_use"})
_RESULT_PARTS = frozenset({"tool_result", "function_call_output"})
_SOURCE_KEYS = ("title", "source", "doc_uri", "url", "id")
_TOOL_ROLES = frozenset({"tool", "function"})
_SCHEMA_KEYS = ("parameters", "input_schema", "inputSchema")
_ROLELESS_ITEMS = _CALL_PARTS | _RESULT_PARTS | {"reasoning"}  # of OpenAI's Responses API


@dataclass(frozen=True)
class Part:
    """A piece of a message: its title, such as "calls search" (empty for plain text), and its value."""

    title: str
    value: Any


@dataclass(frozen=True)
class Message:
    """One turn of a conversation: who spoke, what was said, and what else was recorded with it."""

    role: str
    parts: list[Part]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A retrieved document: where it is from, its text, and what else was recorded with it."""

    source: str
    text: str
    extra: dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool that a model was offered: its name, what it says it does, and the schema of its arguments."""

    name: str
    description: str
    schema: dict[str, Any]


class Allowance:
    """How many characters may still be shown. Not for sharing between threads."""

    def __init__(self, characters: int) -> None:
        self.characters = characters

    def cut(self, text: str) -> str:
        """Return `text`, cut to what is left and to MAX_TEXT with a note of how much more there is."""
        shown = cut(text, min(self.characters, MAX_TEXT))
        self.characters = max(0, self.characters - len(shown))
        return shown

    def outline(self, value: Any) -> str:
        """Return `outline(value)` in what is left."""
        text = outline(value, min(self.characters, MAX_TEXT))
        self.characters = max(0, self.characters - len(text))
        return text


def cut(text: str, most: int) -> str:
    """Return `text` if it has at most `most` characters, else its start and "… 1.2 MB more"."""
    if len(text) <= most:
        return text
    # ASCII text, the usual one, knows its size; a megabyte of other text is encoded to be counted.
    rest_bytes = (
        len(text) - most if text.isascii() else len(text[most:].encode("utf-8", "surrogatepass"))
    )
    return f"{text[:most]}… {size_text(rest_bytes)} more"


# Messages --------------------------------------------------------------------------------------------------


def messages_in(value: Any) -> list[Message] | None:
    """Return the conversation that `value` is, None if it is none.

    Reads OpenAI's chat messages, choices and response items, Anthropic's content blocks, Gemini's
    contents, LangChain's messages, and lists of such lists.
    """
    if _is_message(value):
        return [_message(value)]
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, list) for item in value):
        value = list(itertools.chain.from_iterable(value))
    turns = [_turn(item) for item in value]
    if not any(_is_message(turn) for turn in turns):
        return None
    return [_message(turn) for turn in turns] if all(map(_is_turn, turns)) else None


def _turn(item: Any) -> Any:
    """Return the message within one of OpenAI's choices, with what else the choice says."""
    if isinstance(item, dict) and _is_message(item.get("message")):
        rest = {key: value for key, value in item.items() if key != "message"}
        return {**rest, **item["message"]}
    return item


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _role(value) is not None
        and ("content" in value or "parts" in value or "tool_calls" in value)
    )


def _is_turn(value: Any) -> bool:
    return _is_message(value) or (isinstance(value, dict) and _kind(value) in _ROLELESS_ITEMS)


def _role(value: Mapping[str, Any]) -> str | None:
    role = value.get("role")
    return role if isinstance(role, str) else _LANGCHAIN_ROLES.get(_kind(value))


def _kind(value: Mapping[str, Any]) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _message(value: dict[str, Any]) -> Message:
    if not _is_message(value):
        return Message("tool" if _kind(value) in _RESULT_PARTS else "assistant", [_part(value)])
    content = value.get("content", value.get("parts"))
    if isinstance(content, str) and _role(value) in _TOOL_ROLES:
        content = [_structured(content)]
    calls = value.get("tool_calls")
    parts = _parts(content) + (_parts(calls) if isinstance(calls, list) else [])
    shown = {"role", "content" if "content" in value else "parts"}
    shown |= {"tool_calls"} if isinstance(calls, list) else set()
    shown |= {"type"} if _kind(value) in {"message", *_LANGCHAIN_ROLES} else set()
    extra = {k: v for k, v in value.items() if k not in shown and v not in (None, {}, [])}
    return Message(_role(value) or "", parts, extra)


def _parts(content: Any) -> list[Part]:
    if content is None:
        return []
    return [_part(item) for item in content] if isinstance(content, list) else [Part("", content)]


def _part(item: Any) -> Part:
    if not isinstance(item, dict):
        return Part("", item)
    kind = _kind(item)
    function = item.get("function")
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return Part(f"calls {function['name']}", _decoded(function.get("arguments")))
    if kind in _CALL_PARTS:
        arguments = item.get("input", item.get("arguments", item.get("args")))
        return Part(f"calls {item.get('name', '')}", _decoded(arguments))
    if kind in _RESULT_PARTS:
        return Part("result", _structured(item.get("content", item.get("output"))))
    if isinstance(item.get("text"), str) and (kind in _TEXT_PARTS or set(item) == {"text"}):
        return Part("", item["text"])
    return Part(kind, item)


def _decoded(arguments: Any) -> Any:
    """Return what JSON text says; anything else as it is."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments)
    except (ValueError, RecursionError):  # no JSON, or a text that can't be encoded
        return arguments


def _structured(said: Any) -> Any:
    """Return the object or array that a text holds; any other text stays text."""
    value = _decoded(said)
    return value if isinstance(value, (dict, list)) else said


# Tools -----------------------------------------------------------------------------------------------------


def tools_in(value: Any) -> list[Tool] | None:
    """Return the tools that `value`, a list of definitions as OpenAI's and Anthropic's, offers; else None."""
    if not isinstance(value, list) or not value:
        return None
    tools = [_tool(item) for item in value]
    return None if None in tools else [tool for tool in tools if tool is not None]


def _tool(item: Any) -> Tool | None:
    function = item.get("function") if isinstance(item, dict) else None
    given = function if isinstance(function, dict) else item
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        return None
    schema = next((given[key] for key in _SCHEMA_KEYS if isinstance(given.get(key), dict)), None)
    description = given.get("description")
    said = description if isinstance(description, str) else ""
    return None if schema is None else Tool(given["name"], said, schema)


# Documents -------------------------------------------------------------------------------------------------


def documents_in(value: Any) -> list[Document] | None:
    """Return the documents that `value`, a list of dictionaries with `page_content`, holds; else None."""
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(v, dict) and isinstance(v.get("page_content"), str) for v in value):
        return None
    return [_document(item) for item in value]


def _document(item: dict[str, Any]) -> Document:
    metadata = item.get("metadata")
    fields = {**item, **metadata} if isinstance(metadata, dict) else item
    source_key = next((k for k in _SOURCE_KEYS if isinstance(fields.get(k), str)), None)
    shown = {"page_content", source_key} | ({"metadata"} if fields is not item else set())
    extra = {k: v for k, v in fields.items() if k not in shown and v not in (None, {}, [])}
    return Document(fields[source_key] if source_key else "", item["page_content"], extra)


# Previews --------------------------------------------------------------------------------------------------


def preview_text(text: str | None) -> str:
    """Return a preview as a person reads it: a text or an object's only text by itself, fields without quotes."""
    value = _decoded(text)
    if value is None:
        return ""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else str(text)
    if len(value) == 1 and isinstance(only := next(iter(value.values())), str):
        return only
    said = ((key, each if isinstance(each, str) else _json(each)) for key, each in value.items())
    return ", ".join(f"{key}: {each}" for key, each in said)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Outlines --------------------------------------------------------------------------------------------------


def outline(value: Any, most: int = MAX_TEXT, *, is_folded: bool = True) -> str:
    """Return `value` as indented JSON for people, of about `most` characters at most.

    Each text in it is cut by itself, so that a picture does not hide what comes after it; line breaks in
    texts are kept; lists of numbers, and other values of a few scalars where `is_folded`, go on one line. Notes
    say what was left out.
    """
    pieces: list[str] = []
    length = 0
    for piece in _pieces(value, 0, max(80, most // 4), is_folded=is_folded):
        pieces.append(piece)
        length += len(piece)
        if length > most:
            return f"{''.join(pieces)[:most]}… cut{_size_note(value)}"
    return "".join(pieces)


def _pieces(value: Any, depth: int, most: int, *, is_folded: bool) -> Iterator[str]:
    if isinstance(value, str):
        yield _quoted(value, depth, most)
    elif is_folded and (short := _one_line(value)):
        yield short
    elif isinstance(value, dict) and value:
        yield from _members(value, depth, most, is_folded=is_folded)
    elif isinstance(value, (list, tuple)) and value:
        yield from _items(value, depth, most, is_folded=is_folded)
    else:
        yield _scalar(value)


def _one_line(value: Any) -> str:
    """Return an object or array of a few scalars as one line; "" where it needs more, or is neither."""
    if not isinstance(value, (dict, list, tuple)) or not 0 < len(value) <= _MAX_LINE // 4:
        return ""
    scalars = [*value, *value.values()] if isinstance(value, dict) else value
    if not all(map(_is_short, scalars)):
        return ""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""
    return text if len(text) <= _MAX_LINE else ""


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) < _MAX_LINE and "\n" not in value
    return (
        value is None
        or isinstance(value, (bool, float))
        or (isinstance(value, int) and abs(value) < 1e18)
    )


def _members(value: dict[Any, Any], depth: int, most: int, *, is_folded: bool) -> Iterator[str]:
    if depth >= _MAX_DEPTH:
        yield f"{{… {count_text(len(value), 'key')}}}"
        return
    yield "{"
    for place, (key, item) in enumerate(itertools.islice(value.items(), _MAX_ITEMS)):
        yield ("," if place else "") + _line(depth + 1) + _quoted(str(key), depth + 1, most) + ": "
        yield from _pieces(item, depth + 1, most, is_folded=is_folded)
    if len(value) > _MAX_ITEMS:
        yield f",{_line(depth + 1)}… {count_text(len(value) - _MAX_ITEMS, 'more key')}"
    yield _line(depth) + "}"


def _items(
    value: list[Any] | tuple[Any, ...], depth: int, most: int, *, is_folded: bool
) -> Iterator[str]:
    if depth >= _MAX_DEPTH:
        yield f"[… {count_text(len(value), 'item')}]"
        return
    if all(isinstance(item, (int, float)) for item in value[:_MAX_ITEMS]):
        yield _numbers(value)
        return
    yield "["
    for place, item in enumerate(value[:_MAX_ITEMS]):
        yield ("," if place else "") + _line(depth + 1)
        yield from _pieces(item, depth + 1, most, is_folded=is_folded)
    if len(value) > _MAX_ITEMS:
        yield f",{_line(depth + 1)}… {count_text(len(value) - _MAX_ITEMS, 'more item')}"
    yield _line(depth) + "]"


def _numbers(value: list[Any] | tuple[Any, ...]) -> str:
    shown = ", ".join(_scalar(item) for item in value[:_MAX_NUMBERS_ON_A_LINE])
    rest = len(value) - _MAX_NUMBERS_ON_A_LINE
    return f"[{shown}, … {rest:,} more]" if rest > 0 else f"[{shown}]"


def _quoted(text: str, depth: int, most: int) -> str:
    lines = text[:most].split("\n")
    quoted = _line(depth).join(json.dumps(line, ensure_ascii=False)[1:-1] for line in lines)
    note = cut(text, most)[most:] if len(text) > most else ""
    return f'"{quoted}"{note}'


def _scalar(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):  # not JSON, or an integer of more digits than Python writes
        return f"<{type(value).__name__}>"


def _line(depth: int) -> str:
    return "\n" + "  " * depth


def _size_note(value: Any) -> str:
    try:
        return f"; {size_text(len(msgspec.json.encode(value)))} in all"
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        return ""  # no JSON value, so it has no size in JSON
