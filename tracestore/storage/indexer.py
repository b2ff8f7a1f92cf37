"""The text index: trigrams of what a person reads in a span, kept behind the writer in small steps.

An FTS5 table without content (https://www.sqlite.org/fts5.html#the_trigram_tokenizer): for each block of
SPANS_PER_BLOCK spans, numbered in the order of writing, which runs of three characters occur, folded. It only
says which spans are worth a look; a search looks at those and at all that is newer than `text_progress`, so
its answer is exact at all times, and what is left in the index of deleted spans does no harm. An entry can't be
taken out of such a table, so once most of it is about deleted spans it is made anew.

Blocks of eight spans of 1.4 KB and no positions took 0.28 of the bytes of 13 MB of source code, 0.33 of 5 MB and
0.58 of 0.8 MB, at 11 MB a second; blocks of four 0.38, 0.43 and 0.64.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from tracestore.readable import readable
from tracestore.storage.schema import SPANS_PER_BLOCK, whole

#: Spans read in one step, and how long a step may take; the writer looks for work between two steps.
STEP_SPANS = 2 * SPANS_PER_BLOCK
STEP_S = 0.004

_CREATE = """
CREATE VIRTUAL TABLE IF NOT EXISTS span_text USING fts5(
    text, content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1'
)"""
_NEXT = f"""
SELECT id, name, {whole("inputs")}, {whole("outputs")}, attributes, events FROM spans WHERE id >= ? AND id < ? ORDER BY id"""


def can_index(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite has FTS5, which has had trigrams since 3.34."""
    module = connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
    return module.fetchone() is not None


def has_work(connection: sqlite3.Connection) -> bool:
    """Whether there is a block to index, and an FTS5 to do it with. About 10 µs."""
    done, end = _range(connection)
    return (done < end or _is_stale(connection)) and can_index(connection)


def indexed_to(connection: sqlite3.Connection) -> int:
    """Return the id of a span below which all are indexed."""
    return int(connection.execute("SELECT indexed_to FROM text_progress").fetchone()[0])


def question(runs: Iterable[str]) -> str:
    """Return what the text index is asked for the blocks that have all these runs of three characters."""
    return " ".join('"' + run.replace('"', '""') + '"' for run in runs)


def _range(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the ids from which and below which spans can be indexed.

    Whole blocks only, so that no later span belongs to one that is done.
    """
    done, newest = connection.execute(
        "SELECT indexed_to, (SELECT ifnull(max(id), 0) FROM spans) FROM text_progress"
    ).fetchone()
    return done, (newest + 1) // SPANS_PER_BLOCK * SPANS_PER_BLOCK


def index_some(connection: sqlite3.Connection) -> bool:
    """Index the next blocks, in the transaction that the caller began; return whether more remain."""
    if not can_index(connection):
        return False
    if _is_stale(connection):
        _begin_anew(connection)
    connection.execute(_CREATE)
    done, end = _range(connection)
    deadline = time.monotonic() + STEP_S
    while done < end and time.monotonic() < deadline:
        until = min(done + STEP_SPANS, end)
        rows = connection.execute(_NEXT, (done, until)).fetchall()
        if not rows:  # a gap that deletions left: jump to what comes after it
            found = connection.execute(
                "SELECT min(id) FROM spans WHERE id >= ?", (done,)
            ).fetchone()
            until = (found[0] or end) // SPANS_PER_BLOCK * SPANS_PER_BLOCK
        connection.executemany(
            "INSERT INTO span_text (rowid, text) VALUES (?, ?)", list(_blocks(rows).items())
        )
        done = until
    connection.execute("UPDATE text_progress SET indexed_to = ?", (done,))
    return bool(done < end)


#: Deleted spans that are in the index at least before it is made anew.
STALE_SPANS = 10_000

_STALE = "text_index.deleted_spans"


def forget_spans(connection: sqlite3.Connection, spans: int) -> None:
    """Note that so many spans were deleted."""
    # The ids of the newest spans are given again once those are gone: to spans that are not indexed yet.
    connection.execute(
        "UPDATE text_progress SET indexed_to = min(indexed_to,"
        " (SELECT ifnull(max(id), 0) + 1 FROM spans) / ? * ?)",
        (SPANS_PER_BLOCK, SPANS_PER_BLOCK),
    )
    connection.execute(
        "INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (_STALE, str(spans)),
    )


def _is_stale(connection: sqlite3.Connection) -> bool:
    """Whether more deleted spans than others are in the index."""
    sql = "SELECT CAST(value AS INTEGER) FROM state WHERE name = ?"
    row = connection.execute(sql, (_STALE,)).fetchone()
    deleted = 0 if row is None else row[0]
    if deleted < STALE_SPANS:
        return False
    done, first = connection.execute(
        "SELECT indexed_to, (SELECT ifnull(min(id), 0) FROM spans) FROM text_progress"
    ).fetchone()
    # Those in the index that are left have ids from `first` on: at most so many.
    return bool(deleted > done - first)


def _begin_anew(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE IF EXISTS span_text")
    connection.execute("UPDATE text_progress SET indexed_to = 0")
    connection.execute("DELETE FROM state WHERE name = ?", (_STALE,))


def _blocks(
    rows: list[tuple[int, str, str | None, str | None, str | None, str | None]],
) -> dict[int, str]:
    """Return the folded text of each block."""
    texts: dict[int, list[str]] = {}
    for key, name, *payload in rows:
        texts.setdefault(key // SPANS_PER_BLOCK, []).append(readable(name, *payload).casefold())
    return {block: "\n".join(found) for block, found in texts.items()}
