"""The deep check of a file: SQLite's own, then every rule that holds in a store.

Only reads, and in short steps: programs go on recording, and what they write meanwhile is no finding. Invariant:
damage ends one part of the check, never the check.
"""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tracestore.errors import DamagedFileError
from tracestore.storage import recovery, schema
from tracestore.storage.connection import open_for_reading
from tracestore.storage.file import File
from tracestore.storage.interruption import heeding_signals
from tracestore.storage.planted import differences
from tracestore.upkeep.findings import DAMAGE, ERROR, LEFTOVER, Finding, Findings
from tracestore.upkeep.invariants import INVARIANTS, JSON_COLUMNS
from tracestore.upkeep.new_file import unfinished
from tracestore.upkeep.progress import Progress
from tracestore.upkeep.spans_check import check_spans, check_text_index

#: Messages of SQLite's own check that are looked for; a damaged file has thousands.
_MOST_MESSAGES = 100


def check(file: File, progress: Progress) -> list[Finding]:
    """Return what is wrong with the file, the worst first; see `Store.check`."""
    findings = Findings()
    parts: tuple[tuple[str, Callable[[], None]], ...] = (
        ("schema", lambda: _check_schema(file, findings)),
        ("pages", lambda: _check_pages(file, findings)),
        ("rows", lambda: _check_rows(file, findings, progress)),
        ("JSON", lambda: _check_json(file, findings)),
        ("spans", lambda: check_spans(file, findings, progress)),
        ("files beside it", lambda: _check_beside(file, findings)),
        ("text index", lambda: check_text_index(file, findings, progress)),
    )
    for number, (name, part) in enumerate(parts):
        progress("check", number, len(parts))
        try:
            part()
        except (sqlite3.DatabaseError, DamagedFileError, UnicodeError) as error:
            findings.add(DAMAGE, f"{name} that can't be read", str(error))
    progress("check", len(parts), len(parts))
    return findings.all()


def _check_schema(file: File, findings: Findings) -> None:
    with file.reading() as connection:
        for difference in differences(connection):
            findings.add(ERROR, "a schema that is not a store's", difference)


def _check_beside(file: File, findings: Findings) -> None:
    for name in unfinished(pathlib.Path(file.path).parent):
        findings.add(LEFTOVER, "a copy that a killed process left unfinished", name)
    for name, reason in recovery.unreadable(file.path):
        findings.add(ERROR, "a spool that can't be read", f"{name}: {reason}")


def _check_pages(file: File, findings: Findings) -> None:
    # A connection of its own: from SQLite 3.44 on this asks FTS5, too, which on one that has read the text index
    # before it was merged looks for its parts where they were, and calls that damage. Beside one that is lent: so a
    # fork knows that somebody reads.
    with file.reading(), contextlib.closing(open_for_reading(file.path)) as connection:
        sql = f"PRAGMA integrity_check({_MOST_MESSAGES})"
        for (message,) in _all_rows(connection, sql):
            if message != "ok":
                findings.add(DAMAGE, "SQLite's integrity check", message)


def _check_rows(file: File, findings: Findings, progress: Progress) -> None:
    for number, invariant in enumerate(INVARIANTS):
        with file.reading() as connection:
            try:
                places = _all_rows(connection, invariant.sql)
            except sqlite3.DatabaseError as error:
                findings.add(DAMAGE, "rows that can't be read", str(error))
                continue
        for (place,) in places:
            findings.add(invariant.severity, invariant.message, str(place))
        progress("rows", number + 1, len(INVARIANTS))
    _check_keys(file, findings)


def _all_rows(connection: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    return heeding_signals(connection, lambda: connection.execute(sql).fetchall())


def _check_keys(file: File, findings: Findings) -> None:
    """Look for keys that stand for no time of this world: before 1970, or more than a day from now."""
    tomorrow = (time.time_ns() // 1_000_000 + 86_400_000) << schema.ID_BITS
    sql = "SELECT trace_id FROM traces WHERE id < 0 OR id > ?"
    with file.reading() as connection:
        for (place,) in connection.execute(sql, (tomorrow,)).fetchall():
            findings.add(ERROR, "a trace whose key stands for no time until now", place)


def _check_json(file: File, findings: Findings) -> None:
    for table, key, column in JSON_COLUMNS:
        sql = f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"
        with file.reading() as connection:
            for place, text in connection.execute(sql):
                try:
                    msgspec.json.decode(text)
                except (msgspec.DecodeError, RecursionError, UnicodeError, TypeError):
                    message = f"{table}.{column} that is no JSON"
                    findings.add(ERROR, message, f"{table} {place}")
