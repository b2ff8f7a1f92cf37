"""Bringing an older file up to date, one version at a time, after a backup beside it.

Imported only when a migration is due. Without sqlite-utils: a short program opens its file when it ends, and what
sqlite-utils imports can't be imported any more by then.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable

from tracestore.errors import StoreError
from tracestore.storage import schema


def _add_state(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"
    )


def _add_checksum(connection: sqlite3.Connection) -> None:
    """Add the column only: the checksums of a large file would hold it for minutes, and vouch for what is bad by now."""
    connection.execute("ALTER TABLE spans ADD COLUMN checksum INTEGER")


def _add_figures(connection: sqlite3.Connection) -> None:
    """Add the index: 3 s for a million traces."""
    connection.execute(
        "CREATE INDEX traces_figures ON traces (id, status, duration_ms, input_tokens, output_tokens, total_tokens,"
        " cache_read_tokens, cache_creation_tokens, input_cost, output_cost, total_cost)"
    )


def _add_payloads(connection: sqlite3.Connection) -> None:
    """Add the tables only: what was written before stays as it is, whole in its column."""
    for statement in (
        "CREATE TABLE payloads (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL) STRICT",
        """CREATE TABLE payload_traces (
               payload INTEGER NOT NULL, trace INTEGER NOT NULL, PRIMARY KEY (payload, trace)
           ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX payload_traces_trace ON payload_traces (trace)",
        "DROP VIEW span_view",
        *(each for each in schema.statements() if "CREATE VIEW span_view" in each),
    ):
        connection.execute(statement)


#: What leads from version n to n + 1, by n. A step ends no transaction.
STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _add_state,
    2: _add_checksum,
    3: _add_figures,
    4: _add_payloads,
}


def migrate(path: str, version: int) -> None:
    """Bring the store at `path` from `version` to `schema.VERSION` in one transaction.

    A copy of the file as it was stays beside it as `<path>.v<version>.bak`, mode 0600. Two processes may
    migrate at once: the second finds the work done.

    Raises:
        StoreError: There is no way from that version; the file was not touched.
        sqlite3.Error: A step failed; the file is as it was.
    """
    missing = [step for step in range(version, schema.VERSION) if step not in STEPS]
    if missing:
        raise StoreError(f"{path} has schema version {version}, which can't be migrated any more")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        _back_up(connection, f"{path}.v{version}.bak")
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            for step in range(found, schema.VERSION):
                STEPS[step](connection)
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _back_up(connection: sqlite3.Connection, path: str) -> None:
    """Copy the file, under its name only when it is whole: a kill in the middle leaves no half backup."""
    if os.path.exists(path):  # noqa: PTH110 - a path as text
        return
    unfinished = f"{path}.unfinished"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)  # noqa: PTH108
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with contextlib.closing(sqlite3.connect(unfinished)) as copy:
        connection.backup(copy)
    os.replace(unfinished, path)  # noqa: PTH105
