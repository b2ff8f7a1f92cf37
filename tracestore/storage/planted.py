"""What the schema of a file must be: the tables, indexes and views of a store as they were made, and no trigger.

A file from elsewhere may hold a trigger that runs when a row is written, or a view or a generated column in the
place of a table: code that this program would run for whoever made the file
(https://www.sqlite.org/security.html). Tables, indexes and views of other names are let be, and never used.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Iterator

from tracestore.storage import schema

_SQL = "SELECT type, name, sql FROM sqlite_master"

#: Names of the text index and of what FTS5 keeps for it; made by indexer.py.
_TEXT_INDEX = re.compile("span_text(_data|_idx|_content|_docsize|_config)?")

_COMMENT = re.compile(r"--[^\n]*")
_SPACE = re.compile(r"\s+")
_AROUND = re.compile(r" ?([(),]) ?")


def differences(connection: sqlite3.Connection) -> list[str]:
    """Return how the schema differs from a store's, one sentence each; none where it is one. 40 µs."""
    found = {
        name: (kind, sql)
        for kind, name, sql in connection.execute(_SQL).fetchall()
        if sql is not None
    }
    return [*_planted(found), *_missing(found)]


def planted(connection: sqlite3.Connection, *, is_current: bool = True) -> list[str]:
    """Return only what somebody added or changed, one sentence each; of an older file only triggers."""
    rows = connection.execute(_SQL).fetchall()
    if not is_current:
        rows = [row for row in rows if row[0] == "trigger"]
    return list(_planted({name: (kind, sql) for kind, name, sql in rows if sql is not None}))


def _planted(found: dict[str, tuple[str, str]]) -> Iterator[str]:
    expected = _expected()
    for name, (kind, sql) in found.items():
        if kind == "trigger":
            yield f"a trigger, {name!r}: a store has none"
        elif (name in expected and expected[name] != (kind, _words(sql))) or (
            _TEXT_INDEX.fullmatch(name) and (kind != "table" or not _is_text_index(name, sql))
        ):
            yield f"{kind} {name!r} is not as tracestore makes it"


def _missing(found: dict[str, tuple[str, str]]) -> Iterator[str]:
    for name, (kind, _) in _expected().items():
        if name not in found:
            yield f"{kind} {name!r} is missing"


def _is_text_index(name: str, sql: str) -> bool:
    if name == "span_text":
        return sql.upper().startswith("CREATE VIRTUAL TABLE") and "USING fts5(" in sql
    return sql.startswith(f"CREATE TABLE '{name}'(")


@functools.cache
def _expected() -> dict[str, tuple[str, str]]:
    """Return kind and normal text of what a new file has, by name."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in schema.statements():
            connection.execute(statement)
        rows = connection.execute(_SQL).fetchall()
    finally:
        connection.close()
    return {name: (kind, _words(sql)) for kind, name, sql in rows if sql is not None}


@functools.lru_cache(maxsize=256)
def _words(sql: str) -> str:
    """Return the text without comments, and with nothing said by spaces: a migration writes it otherwise."""
    return _AROUND.sub(r"\1", _SPACE.sub(" ", _COMMENT.sub("", sql))).strip()
