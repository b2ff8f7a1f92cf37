"""Making a file small again: leftovers out, the text index without gaps, free pages back to the disk.

In steps that hold the file for a moment each, so programs go on recording.
"""

from __future__ import annotations

import functools
import pathlib
import sqlite3
import time
from typing import Any, NamedTuple

import msgspec

from tracestore.storage import indexer, payloads
from tracestore.storage.file import File
from tracestore.upkeep import LOCK_S, space
from tracestore.upkeep.new_file import remove_unfinished
from tracestore.upkeep.progress import Progress
from tracestore.upkeep.prune import give_back

#: Rows deleted in one transaction.
_STEP_ROWS = 1_000


#: Traces whose spans are looked at in one transaction; one of 30 turns takes 0.5 ms.
_STEP_TRACES = 50


class _Leftover(NamedTuple):
    """Rows that a search never sees: a table, the columns of its key, the condition; see invariants.py."""

    table: str
    key: tuple[str, ...]
    condition: str


_LEFTOVERS = (
    _Leftover("span_attributes", ("key", "value", "trace"), "trace NOT IN (SELECT id FROM traces)"),
    _Leftover("resources", ("id",), "id NOT IN (SELECT resource FROM traces)"),
    _Leftover("payload_traces", ("payload", "trace"), "trace NOT IN (SELECT id FROM traces)"),
    _Leftover("payloads", ("id",), "id NOT IN (SELECT payload FROM payload_traces)"),
    _Leftover(
        "experiment_tags", ("experiment", "key"), "experiment NOT IN (SELECT id FROM experiments)"
    ),
)


class Vacuumed(msgspec.Struct, frozen=True):
    """What a vacuum did.

    Attributes:
        removed_rows: Rows that belonged to nothing.
        freed_bytes: What the file is smaller by, its WAL not counted.
        size_bytes: Its size afterwards.
    """

    removed_rows: int
    freed_bytes: int
    size_bytes: int


def vacuum(file: File, progress: Progress) -> Vacuumed:
    """Make the file as small as it can be in place; see `Store.vacuum`."""
    remove_unfinished(pathlib.Path(file.path).parent)
    with file.reading() as connection:
        size = space.page_size_bytes(connection)
        before, _ = space.page_counts(connection)
    removed = _forget_payloads(file, progress)
    removed += sum([_remove(file, leftover, progress) for leftover in _LEFTOVERS])
    _merge_text_index(file, progress)
    give_back(file, progress)
    with file.reading() as connection:
        after, _ = space.page_counts(connection)
    return Vacuumed(removed, max(0, before - after) * size, after * size)


def _forget_payloads(file: File, progress: Progress) -> int:
    """Delete large texts that only a span had that was written while it was open, and with others when it ended."""
    with file.reading() as connection:
        rows = connection.execute("SELECT DISTINCT trace FROM payload_traces").fetchall()
    removed = 0
    for start in range(0, len(rows), _STEP_TRACES):
        part = [trace for (trace,) in rows[start : start + _STEP_TRACES]]
        removed += file.write(functools.partial(_forget_unused, traces=part))
        progress("payloads", start + len(part), len(rows))
    return removed


def _forget_unused(connection: sqlite3.Connection, traces: list[int]) -> int:
    return sum(payloads.forget_unused(connection, trace) for trace in traces)


def _remove(file: File, leftover: _Leftover, progress: Progress) -> int:
    with file.reading() as connection:
        key = ", ".join(leftover.key)
        sql = f"SELECT {key} FROM {leftover.table} WHERE {leftover.condition}"
        rows = connection.execute(sql).fetchall()
    for start in range(0, len(rows), _STEP_ROWS):
        part = rows[start : start + _STEP_ROWS]
        file.write(functools.partial(_delete, leftover=leftover, rows=part))
        progress("leftovers", start + len(part), len(rows))
    return len(rows)


def _delete(
    connection: sqlite3.Connection, leftover: _Leftover, rows: list[tuple[Any, ...]]
) -> None:
    # The condition again: what belonged to nothing may have been taken into use since.
    among = " AND ".join(f"{column} = ?" for column in leftover.key)
    sql = f"DELETE FROM {leftover.table} WHERE {among} AND {leftover.condition}"
    connection.executemany(sql, rows)


def _merge_text_index(file: File, progress: Progress) -> None:
    """Have FTS5 put its segments together, a few pages at a time, as its `optimize` does at once."""
    with file.reading() as connection:
        sql = "SELECT 1 FROM sqlite_master WHERE name = 'span_text'"
        if connection.execute(sql).fetchone() is None or not indexer.can_index(connection):
            return
    steps, pages, more = (
        0,
        -16,
        True,
    )  # the first merge is negative: it takes segments of all levels
    while more:
        more = file.write(functools.partial(_merge_some, pages=pages))
        pages, steps = 16, steps + 1
        progress("text index", steps, steps + more)


def _merge_some(connection: sqlite3.Connection, pages: int) -> bool:
    """Merge for about LOCK_S; return whether more remains, by the rule of FTS5's manual, section 6.8."""
    deadline = time.monotonic() + LOCK_S
    while True:
        before = connection.total_changes
        connection.execute("INSERT INTO span_text (span_text, rank) VALUES ('merge', ?)", (pages,))
        if connection.total_changes - before < 2:
            return False
        if time.monotonic() > deadline:
            return True
        pages = abs(pages)
