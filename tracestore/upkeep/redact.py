"""Redaction after the fact: secrets out of what is stored, and out of the bytes of the file.

A job a trace chunk on the writing thread, so that programs go on recording. SQLite overwrites what it frees
(`PRAGMA secure_delete`), the text index is made anew, and the write-ahead log is emptied at the end.
Source: https://www.sqlite.org/pragma.html#pragma_secure_delete
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.errors import InvalidArgumentError
from tracestore.redaction import clean_json, clean_json_text, clean_plain, redact_record
from tracestore.storage import payloads
from tracestore.storage.record_rows import (
    PAYLOADS_FROM,
    SPAN_FIELDS,
    WHOLE_COLUMNS,
    checksum_of_row,
    indexed_attributes,
)
from tracestore.storage.schema import SHARED_COLUMNS, whole
from tracestore.storage.statements import chunks
from tracestore.summary.preview import request_preview, response_preview

#: Traces of one transaction.
TRACES_PER_STEP = 20

_COLUMNS = ", ".join(whole(name) if name in SHARED_COLUMNS else name for name in SPAN_FIELDS[1:])
_CHANGED = ("status_message", "error", "attributes", "events", "links", "inputs", "outputs")


class Redacted(NamedTuple):
    """What a redaction did.

    Attributes:
        traces: Traces that were looked at.
        changed: Rows (spans, traces, tags, metadata, assessments) in which something was replaced.
    """

    traces: int
    changed: int


class Rules(NamedTuple):
    """What is replaced beside the well-known shapes and names."""

    patterns: tuple[re.Pattern[str], ...] = ()
    names: frozenset[str] = frozenset()


def rules(patterns: Sequence[str], names: Sequence[str]) -> Rules:
    """Return what a caller named, checked: a rule that is misread can't be taken back once it has run.

    Raises:
        InvalidArgumentError: One text instead of several, or a pattern that can't be read, or that matches
            where there is no text, such as "" and "x*".
    """
    for argument, values in (("patterns", patterns), ("names", names)):
        if isinstance(values, str):
            raise InvalidArgumentError(f"{argument} is one text; pass a list of texts")
    try:
        compiled = tuple(re.compile(pattern) for pattern in patterns)
    except (re.error, TypeError) as error:
        raise InvalidArgumentError(f"a pattern can't be read: {error}") from error
    for pattern in compiled:
        if pattern.search(""):
            raise InvalidArgumentError(
                f"pattern {pattern.pattern!r} also matches where there is no text; make it match something"
            )
    return Rules(compiled, frozenset(names))


Run = Callable[[Callable[[sqlite3.Connection], Any]], Any]


def redact(run: Run, trace_ids: Sequence[str], rules: Rules) -> Redacted:
    """Redact stored traces by id; `run` runs a job on the writing thread in a transaction."""
    changed = 0
    run(lambda connection: connection.execute("PRAGMA secure_delete = ON").fetchall())
    for chunk in chunks(list(trace_ids), TRACES_PER_STEP):
        changed += run(functools.partial(_redact_traces, ids=chunk, rules=rules))
    run(_forget_index)
    return Redacted(len(trace_ids), changed)


def _redact_traces(connection: sqlite3.Connection, ids: Sequence[str], rules: Rules) -> int:
    marks = ",".join("?" * len(ids))
    sql = f"SELECT id FROM traces WHERE trace_id IN ({marks})"
    keys = [row[0] for row in connection.execute(sql, ids).fetchall()]
    return sum(_redact_trace(connection, key, rules) for key in keys)


def _redact_trace(connection: sqlite3.Connection, key: int, rules: Rules) -> int:
    changed = 0
    sql = f"SELECT id, {_COLUMNS} FROM spans WHERE trace = ?"
    for number, *values in connection.execute(sql, (key,)).fetchall():
        record = ("", *values[: PAYLOADS_FROM - 1], *map(_utf8, values[PAYLOADS_FROM - 1 :]))
        cleaned = redact_record(record, rules.patterns, rules.names)
        if cleaned != record:
            changed += 1
            _replace_span(connection, key, number, record, cleaned)
            if record[2] is None:
                _replace_previews(connection, key, record, cleaned)
    if changed:
        payloads.forget_unused(connection, key)
    for table in ("tags", "metadata"):
        sql = f"SELECT key, value FROM {table} WHERE trace = ?"
        for name, value in connection.execute(sql, (key,)).fetchall():
            clean = _texts({name: value}, rules)[name]
            if clean != value:
                changed += 1
                connection.execute(
                    f"UPDATE {table} SET value = ? WHERE trace = ? AND key = ?", (clean, key, name)
                )
    for table, columns, condition in (
        ("traces", ("name", "request_preview", "response_preview"), "id = ?"),
        ("assessments", ("value", "scalar", "rationale", "metadata", "error"), "trace = ?"),
    ):
        changed += _redact_columns(connection, table, columns, condition, key, rules)
    return changed


def _replace_previews(
    connection: sqlite3.Connection, key: int, old: Sequence[Any], new: Sequence[Any]
) -> None:
    """Make the previews that were made of the root's payload anew: they may end within a value."""
    for column, place, preview in (
        ("request_preview", -2, request_preview),
        ("response_preview", -1, response_preview),
    ):
        connection.execute(
            f"UPDATE traces SET {column} = ? WHERE id = ? AND {column} = ?",
            (preview(new[place]), key, preview(old[place])),
        )


def _replace_span(
    connection: sqlite3.Connection, key: int, number: int, old: Sequence[Any], new: Sequence[Any]
) -> None:
    places = [SPAN_FIELDS.index(column) for column in _CHANGED]
    assignments = ", ".join(f"{column} = ?" for column in _CHANGED)
    stored, right = _checksums(connection, number)
    values = [
        _stored(connection, key, column, new[place])
        for column, place in zip(_CHANGED, places, strict=True)
    ]
    connection.execute(f"UPDATE spans SET {assignments} WHERE id = ?", (*values, number))
    if stored == right:  # a span that was damaged before stays one that shows
        right = _checksums(connection, number)[1]
        connection.execute("UPDATE spans SET checksum = ? WHERE id = ?", (right, number))
    before, after = (_index(record[SPAN_FIELDS.index("attributes")]) for record in (old, new))
    connection.executemany(
        "DELETE FROM span_attributes WHERE key = ? AND value = ? AND trace = ?",
        [(*pair, key) for pair in sorted(before - after, key=repr)],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO span_attributes VALUES (?, ?, ?)",
        [(*pair, key) for pair in sorted(after - before, key=repr)],
    )


def _utf8(payload: str | None) -> bytes | None:
    return None if payload is None else payload.encode()


def _stored(
    connection: sqlite3.Connection, key: int, column: str, value: str | bytes | None
) -> str | None:
    """Return the text that stands in a column for a value."""
    text = value.decode() if isinstance(value, bytes) else value
    if column in SHARED_COLUMNS and text is not None and payloads.is_large(text):
        return payloads.stored(connection, [(key, text)])[0]
    return text


def _checksums(connection: sqlite3.Connection, number: int) -> tuple[int | None, int]:
    """Return the checksum that a span has, and the one that is right for what it holds."""
    sql = f"SELECT checksum, {WHOLE_COLUMNS} FROM spans WHERE id = ?"
    stored, *values = connection.execute(sql, (number,)).fetchone()
    return stored, checksum_of_row(values)


def _index(attributes: bytes | None) -> set[tuple[str, Any]]:
    return set() if attributes is None else set(indexed_attributes(msgspec.json.decode(attributes)))


def _redact_columns(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    condition: str,
    key: int,
    rules: Rules,
) -> int:
    changed = 0
    sql = f"SELECT id, {', '.join(columns)} FROM {table} WHERE {condition}"
    for number, *values in connection.execute(sql, (key,)).fetchall():
        clean = [_any_text(value, rules) for value in values]
        if clean != values:
            changed += 1
            assignments = ", ".join(f"{column} = ?" for column in columns)
            connection.execute(f"UPDATE {table} SET {assignments} WHERE id = ?", (*clean, number))
    return changed


def _any_text(value: Any, rules: Rules) -> Any:
    """Return a column's value, JSON or plain text, redacted."""
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "[", '"'):
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return clean_plain(value, rules.patterns)
        return clean_json_text(value, rules.patterns, rules.names)
    return clean_plain(value, rules.patterns)


def _texts(values: dict[str, str], rules: Rules) -> dict[str, str]:
    cleaned = msgspec.json.decode(
        clean_json(msgspec.json.encode(values), rules.patterns, rules.names),
        type=dict[str, str],
    )
    return cleaned if cleaned.keys() == values.keys() else values


def _forget_index(connection: sqlite3.Connection) -> None:
    """Have the text index made anew: it holds pieces of what was taken out."""
    connection.execute("DROP TABLE IF EXISTS span_text")
    connection.execute("UPDATE text_progress SET indexed_to = 0")
