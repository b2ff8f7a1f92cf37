"""The log of Simon Willison's command line tool `llm` (`logs.db`): each response a trace, conversations as sessions.

Read with SQLite alone, read-only, no `llm`. Knows no store. There are two forms, also in one file: the table
`responses` (until llm 0.32), and `turns`, whose messages are shared between the calls that had them. A trace has
what its own call added, as `llm logs` shows it: the conversation is in the session's traces, once.

Source: https://github.com/simonw/llm/blob/main/llm/migrations.py
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.entities.span import INPUTS_KEY, OUTPUTS_KEY
from tracestore.errors import ForeignFileError
from tracestore.importing.batch import Batch
from tracestore.importing.foreign_file import columns_of, has_tables, nanoseconds, opened, tables_of
from tracestore.otlp.gathering import Gathering
from tracestore.otlp.incoming import TRACE_KEY, ForeignSpan, Understood, understand
from tracestore.runtime import runtime

CALLS_PER_BATCH = 200

#: Messages of one call, and parts of one message, that are read: a planted chain may have no end.
MAX_MESSAGES, MAX_PARTS = 100, 1000

#: Largest attachment whose bytes come along; of others there is what they were.
MAX_ATTACHMENT_BYTES = 1024 * 1024

#: What both forms have, and what came later.
_CALL = ("id", "model", "options_json", "duration_ms", "datetime_utc")
_LATER = ("resolved_model", "input_tokens", "output_tokens", "token_details", "schema_id")
_RESPONSES = {*_CALL, "prompt", "system", "response", "conversation_id"}
_TURNS = {*_CALL, *_LATER, "thread_id", "parent_message_hash", "tip_message_hash"}

#: What a call has in tables of its own, by table: the columns that are read.
_OWN = {
    "prompt_attachments": {"response_id", "attachment_id", "order"},
    "attachments": {"id", "type", "path", "url", "content"},
    "prompt_fragments": {"response_id", "fragment_id", "order"},
    "system_fragments": {"response_id", "fragment_id", "order"},
    "fragments": {"id", "content"},
    "tools": {"id", "name", "description", "input_schema"},
    "tool_responses": {"tool_id", "response_id"},
    "tool_calls": {"id", "response_id", "name", "arguments", "tool_call_id"},
    "tool_results": {"id", "response_id", "name", "output", "tool_call_id"},
    "schemas": {"id", "content"},
    "messages": {"hash", "parent_hash", "role"},
    "parts": {"message_hash", "position", "type", "text", "payload"},
    "turn_tools": {"turn_id", "tool_id"},
}


def recognises(path: str, beginning: bytes) -> bool:
    """Whether the file at `path` is a log of `llm`."""
    return has_tables(path, beginning, {"_llm_migrations", "responses"})


def open_source(path: str) -> LlmFile:
    """Return the file at `path`, opened read-only; ForeignFileError where it is no log of `llm`."""
    return opened(path, LlmFile)


class LlmFile:
    """An open log; see `batch.Source`.

    Attributes:
        total: How many responses it has.
    """

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self._connection = connection
        names = tables_of(connection)
        there = {
            name: columns_of(connection, name) for name in ("responses", "turns") if name in names
        }
        if "_llm_migrations" not in names or not there.get("responses", set()) >= _RESPONSES:
            raise ForeignFileError(f"{path} is no log of llm since 0.5")
        self._own = {
            name
            for name, wanted in _OWN.items()
            if name in names and columns_of(connection, name) >= wanted
        }
        self._later = {name for name in _LATER if name in there["responses"]}
        self._has_turns = there.get("turns", set()) >= _TURNS and {"messages", "parts"} <= self._own
        counted = ["SELECT count(*) FROM responses" + self._only_older()]
        counted += ["SELECT count(*) FROM turns"] if self._has_turns else []
        self.total: int | None = sum(connection.execute(sql).fetchone()[0] for sql in counted)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def batches(self, known: Callable[[Sequence[str]], set[str]]) -> Iterator[Batch]:
        """Yield the responses in the order in which they were logged, the older form first."""
        later = [name if name in self._later else f"NULL AS {name}" for name in _LATER]
        older = (*_CALL, *later, "conversation_id AS session", "prompt", "system", "response")
        sql = f"SELECT rowid AS row, {', '.join(older)} FROM responses{self._only_older()}"
        yield from self._batches(sql, self._older_call, known)
        if self._has_turns:
            newer = (
                *_CALL,
                *_LATER,
                "thread_id AS session",
                "parent_message_hash",
                "tip_message_hash",
            )
            sql = f"SELECT rowid AS row, {', '.join(newer)} FROM turns WHERE 1"
            yield from self._batches(sql, self._newer_call, known)

    def _only_older(self) -> str:
        return " WHERE id NOT IN (SELECT id FROM turns)" if self._has_turns else " WHERE 1"

    def _batches(
        self,
        sql: str,
        read: Callable[[Mapping[str, Any]], tuple[list[Any], list[Any]]],
        known: Callable[[Sequence[str]], set[str]],
    ) -> Iterator[Batch]:
        last = -(2**63)
        while rows := self._rows(
            f"{sql} AND rowid > ? ORDER BY rowid LIMIT ?", last, CALLS_PER_BATCH
        ):
            last = rows[-1]["row"]
            there = known([f"tr-{_digest(row['id'])}" for row in rows])
            wanted = [row for row in rows if f"tr-{_digest(row['id'])}" not in there]
            found = [self._understood(row, read) for row in wanted]
            whole = [span for span in found if span is not None]
            gathering = Gathering(runtime.recording_experiment, {})
            left_out = len(found) - len(whole)
            yield Batch(
                seen=len(rows),
                present=len(rows) - len(wanted),
                traces=[trace.snapshot() for trace in gathering.add(whole)],
                spans=[span.record for span in whole],
                skipped={"responses that can't be read": left_out} if left_out else {},
            )

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _understood(
        self,
        row: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], tuple[list[Any], list[Any]]],
    ) -> Understood | None:
        try:
            asked, answered = read(row)
            inputs = {"model": row["model"], **_object(row["options_json"]), "messages": asked}
            if tools := self._tools(row):
                inputs["tools"] = tools
            if schema := self._texts("schemas", "id = ?", row["schema_id"]):
                described = {"type": "json_schema", "json_schema": {"schema": _object(schema[0])}}
                inputs["response_format"] = described
            choices = [{"index": i, "message": one} for i, one in enumerate(answered)]
            return understand(_span(row, inputs, {"choices": choices}))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            return None

    # ------------------------------------------------------------------------ the older form

    def _older_call(self, row: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return the messages that went in and the ones that came out."""
        key = row["id"]
        asked: list[Any] = []
        if system := [*self._fragments("system_fragments", key), *_given(row["system"])]:
            asked.append({"role": "system", "content": "\n".join(system)})
        if "tool_results" in self._own:
            sql = "SELECT name, output, tool_call_id FROM tool_results WHERE response_id = ? ORDER BY id LIMIT ?"
            asked += [_result(one) for one in self._rows(sql, key, MAX_PARTS)]
        prompt = "\n".join([*self._fragments("prompt_fragments", key), *_given(row["prompt"])])
        attached = self._attached_to(key)
        if prompt or attached:
            asked.append({"role": "user", "content": _content(prompt, attached)})
        return asked, [_answer(str(row["response"] or ""), [], self._older_tool_calls(key))]

    def _older_tool_calls(self, key: Any) -> list[Any]:
        if "tool_calls" not in self._own:
            return []
        sql = "SELECT name, arguments, tool_call_id FROM tool_calls WHERE response_id = ? ORDER BY id LIMIT ?"
        return [
            _tool_call({**one, "arguments": _object(one["arguments"])})
            for one in self._rows(sql, key, MAX_PARTS)
        ]

    def _fragments(self, table: str, key: Any) -> list[str]:
        """Return the texts that a prompt or system prompt was begun with."""
        if not {table, "fragments"} <= self._own:
            return []
        where = f'id IN (SELECT fragment_id FROM {table} WHERE response_id = ? ORDER BY "order")'
        return self._texts("fragments", where, key)

    def _attached_to(self, key: Any) -> list[Any]:
        if not {"prompt_attachments", "attachments"} <= self._own:
            return []
        sql = 'SELECT attachment_id FROM prompt_attachments WHERE response_id = ? ORDER BY "order" LIMIT ?'
        return [self._attachment(one["attachment_id"]) for one in self._rows(sql, key, MAX_PARTS)]

    # ------------------------------------------------------------------------ the newer form

    def _newer_call(self, row: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return the messages that went in and the ones that came out."""
        parent, tip = row["parent_message_hash"], row["tip_message_hash"]
        asked = self._messages(self._chain(parent, lambda one: one["role"] in ("user", "tool")))
        if parent is not None:
            asked = self._system(parent) + asked
        return asked, self._messages(self._chain(tip, lambda one: one["hash"] != parent))

    def _chain(self, tip: Any, belongs: Callable[[Mapping[str, Any]], bool]) -> list[Any]:
        """Return the messages from `tip` upwards that belong to a call, the oldest first."""
        found: list[Any] = []
        sql = "SELECT hash, parent_hash, role FROM messages WHERE hash = ?"
        while tip is not None and len(found) < MAX_MESSAGES:
            rows = self._rows(sql, tip)
            if not rows or not belongs(rows[0]):
                break
            found.append(rows[0])
            tip = rows[0]["parent_hash"]
        return found[::-1]

    def _system(self, tip: Any) -> list[Any]:
        """Return the message that a conversation begins with where it is the system's."""
        sql = """
            WITH RECURSIVE above(hash, parent, role) AS (
                SELECT hash, parent_hash, role FROM messages WHERE hash = ?
                UNION SELECT m.hash, m.parent_hash, m.role FROM above a JOIN messages m ON m.hash = a.parent
                LIMIT 10000)
            SELECT hash, role FROM above WHERE parent IS NULL AND role = 'system' LIMIT 1"""
        return self._messages(self._rows(sql, tip))

    def _messages(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        found: list[Any] = []
        sql = (
            "SELECT type, text, payload FROM parts WHERE message_hash = ? ORDER BY position LIMIT ?"
        )
        for row in rows:
            parts = [
                {
                    **_object(part["payload"]),
                    **{k: part[k] for k in ("type", "text") if part[k] is not None},
                }
                for part in self._rows(sql, row["hash"], MAX_PARTS)
            ]
            found += self._message(str(row["role"]), parts)
        return found

    def _message(self, role: str, parts: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return a message as chat APIs have it; the results of tools are messages of their own."""
        texts = [self._text(part) for part in parts if part["type"] == "text"]
        others: list[Any] = [
            {"type": "reasoning", "text": self._text(part)}
            for part in parts
            if part["type"] == "reasoning"
        ]
        others += [
            self._attachment(part["attachment"]["id"])
            for part in parts
            if part["type"] == "attachment" and part.get("attachment")
        ]
        calls = [_tool_call(part) for part in parts if part["type"] == "tool_call"]
        found: list[Any] = [_result(part) for part in parts if part["type"] == "tool_result"]
        if role == "assistant":
            return [*found, _answer("\n".join(texts), others, calls)]
        if texts or others:
            found.append({"role": role, "content": _content("\n".join(texts), others)})
        return found

    def _text(self, part: Mapping[str, Any]) -> str:
        """Return a part's text; what is quoted from a fragment is there once and referred to."""
        pieces = part.get("text_ref")
        if pieces is None:
            return str(part.get("text") or "")
        texts = [
            [piece["literal"]]
            if "literal" in piece
            else self._texts("fragments", "id = ?", piece["fragment"])
            for piece in pieces[:MAX_PARTS]
        ]
        return "".join(str(text) for found in texts for text in found)

    # ------------------------------------------------------------------------ what both have

    def _texts(self, table: str, where: str, key: Any) -> list[str]:
        """Return what is in the column `content`."""
        if table not in self._own or key is None:
            return []
        rows = self._rows(f"SELECT content FROM {table} WHERE {where} LIMIT ?", key, MAX_PARTS)
        return [str(row["content"]) for row in rows]

    def _tools(self, row: Mapping[str, Any]) -> list[Any]:
        """Return the tools that the model could call."""
        table, column = (
            ("turn_tools", "turn_id")
            if "tip_message_hash" in row
            else ("tool_responses", "response_id")
        )
        if not {table, "tools"} <= self._own:
            return []
        sql = f"""
            SELECT name, description, input_schema FROM tools
            WHERE id IN (SELECT tool_id FROM {table} WHERE {column} = ?) ORDER BY id LIMIT ?"""
        return [
            {
                "type": "function",
                "function": {
                    "name": one["name"],
                    "description": one["description"],
                    "parameters": _object(one["input_schema"]),
                },
            }
            for one in self._rows(sql, row["id"], MAX_PARTS)
        ]

    def _attachment(self, key: Any) -> Any:
        """Return an attachment as a part of a message: by its URL or its bytes where those are few."""
        sql = """
            SELECT type, path, url, length(content) AS bytes,
                CASE WHEN length(content) <= ? THEN content END AS content FROM attachments WHERE id = ?"""
        rows = self._rows(sql, MAX_ATTACHMENT_BYTES, key) if "attachments" in self._own else []
        one = rows[0] if rows else {}
        url, content = one.get("url"), one.get("content")
        if isinstance(content, bytes):
            url = f"data:{one['type']};base64,{base64.b64encode(content).decode()}"
        if url is not None and str(one["type"]).startswith("image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        told = {
            "id": key,
            "mime_type": one.get("type"),
            "path": one.get("path"),
            "url": url,
            "bytes": one.get("bytes"),
        }
        return {
            "type": "attachment",
            **{name: value for name, value in told.items() if value is not None},
        }


def _span(row: Mapping[str, Any], inputs: Any, outputs: Any) -> ForeignSpan:
    """Return a call as a span; raises what its values raise where they are none."""
    key, start = row["id"], nanoseconds(row["datetime_utc"])
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": row["model"],
        "gen_ai.response.model": row["resolved_model"],
        "gen_ai.response.id": key,
        "gen_ai.conversation.id": row["session"],
        "gen_ai.usage.input_tokens": row["input_tokens"],
        "gen_ai.usage.output_tokens": row["output_tokens"],
        "llm.token_details": _object(row["token_details"]) or None,
    }
    given = {name: value for name, value in attributes.items() if value is not None}
    digest = _digest(key)
    return ForeignSpan(
        trace_id=digest,
        span_id=digest[:16],
        parent_id=None,
        name=f"chat {row['model']}",
        start_time_ns=start,
        end_time_ns=start + int(row["duration_ms"] or 0) * 1_000_000,
        status="OK",
        message=None,
        attributes={
            **given,
            INPUTS_KEY: inputs,
            OUTPUTS_KEY: outputs,
            TRACE_KEY: {"client_request_id": key},
        },
        events=(),
        links=(),
        details={},
        resource={},
    )


def _digest(key: Any) -> str:
    """Return a trace's id: the same for the same response, in whichever form and file it is."""
    return hashlib.sha256(f"llm:{key}".encode("utf-8", "replace")).hexdigest()[:32]


def _object(text: Any) -> dict[str, Any]:
    value = msgspec.json.decode(text or "{}")
    return value if isinstance(value, dict) else {}


def _given(text: Any) -> list[str]:
    return [str(text)] if text else []


def _content(text: str, others: Sequence[Any]) -> Any:
    if not others:
        return text
    return [*([{"type": "text", "text": text}] if text else []), *others]


def _answer(text: str, others: Sequence[Any], calls: Sequence[Any]) -> dict[str, Any]:
    made = {"role": "assistant", "content": _content(text, others)}
    return {**made, "tool_calls": list(calls)} if calls else made


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = msgspec.json.encode(call["arguments"]).decode()
    function = {"name": call["name"], "arguments": arguments}
    return {"id": call.get("tool_call_id"), "type": "function", "function": function}


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "role": "tool",
        "tool_call_id": result.get("tool_call_id"),
        "name": result["name"],
        "content": result["output"],
    }
