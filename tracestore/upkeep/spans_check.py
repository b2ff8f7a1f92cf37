"""Every span looked at: its checksum, its JSON, its times, its attributes in the attribute index, its text in the text index.

Reads in short steps, so that a long check pins no snapshot. Knows rows, no store.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from tracestore.readable import readable
from tracestore.storage.file import File
from tracestore.storage.indexer import question
from tracestore.storage.record_rows import (
    CHECKED_COLUMNS,
    WHOLE_COLUMNS,
    checksum_of_row,
    indexed_attributes,
)
from tracestore.storage.schema import ID_BITS, SPANS_PER_BLOCK, whole
from tracestore.upkeep.findings import DAMAGE, ERROR, Findings
from tracestore.upkeep.progress import Progress

#: Spans read at a time.
_STEP_SPANS = 256

#: Blocks of the text index that are looked at, evenly spread; each costs about 1 ms.
_MOST_BLOCKS = 1_000

#: What a span is that does not match its checksum.
CHANGED = "spans that are not as they were recorded"

_COLUMNS = ("attributes", "events", "links", "inputs", "outputs")
_SPAN = f"SELECT id, trace, checksum, {WHOLE_COLUMNS} FROM spans"
_NEXT = f"{_SPAN} WHERE id > ? ORDER BY id LIMIT {_STEP_SPANS}"

_PART_THAT_STARTS = """
    SELECT 1 FROM spans
    WHERE trace = ? AND parent_id IS NOT NULL AND start_time_ns >= ? AND start_time_ns < ?
"""

_PARENT, _STATUS, _START, _END = (
    CHECKED_COLUMNS.index(column)
    for column in ("parent_id", "status", "start_time_ns", "end_time_ns")
)
_PAYLOAD = [CHECKED_COLUMNS.index(column) for column in _COLUMNS]

_TYPES = {
    "attributes": dict[str, Any],
    "events": list[dict[str, Any]],
    "links": list[dict[str, Any]],
    "inputs": Any,
    "outputs": Any,
}
_DECODERS: list[Callable[[str], Any]] = [
    msgspec.json.Decoder(_TYPES[column]).decode for column in _COLUMNS
]


def check_spans(file: File, findings: Findings, progress: Progress) -> None:
    """Look at every span."""
    with file.reading() as connection:
        total = connection.execute("SELECT count(*) FROM spans").fetchone()[0]
    done = last = 0
    while True:
        with file.reading() as connection:
            rows, following = _next_rows(connection, last, findings)
            for row in rows:
                _check_span(connection, row, findings)
        if following == last:
            return
        last = following
        done += len(rows)
        progress("spans", done, max(done, total))


def _next_rows(
    connection: sqlite3.Connection, last: int, findings: Findings
) -> tuple[Sequence[tuple[Any, ...]], int]:
    """Return the next spans that can be read, and the last one that was looked at."""
    try:
        rows = connection.execute(_NEXT, (last,)).fetchall()
    except sqlite3.DatabaseError:
        return _readable_rows(connection, last, findings)
    return rows, rows[-1][0] if rows else last


def _readable_rows(
    connection: sqlite3.Connection, last: int, findings: Findings
) -> tuple[Sequence[tuple[Any, ...]], int]:
    """Look at the next spans one at a time: a text that is none, after one bit, ends the reading of many.

    What SQLite says of it is not passed on: it quotes the text.
    """
    sql = "SELECT id FROM spans WHERE id > ? ORDER BY id LIMIT ?"
    try:
        keys = [key for (key,) in connection.execute(sql, (last, _STEP_SPANS)).fetchall()]
    except sqlite3.DatabaseError as error:
        findings.add(DAMAGE, "spans that can't be read", f"after span {last}: {error}")
        return (), last
    rows: list[tuple[Any, ...]] = []
    for key in keys:
        try:
            rows += connection.execute(f"{_SPAN} WHERE id = ?", (key,)).fetchall()
        except sqlite3.DatabaseError:
            findings.add(DAMAGE, "spans that can't be read", _name(connection, key))
    return rows, keys[-1] if keys else last


def _name(connection: sqlite3.Connection, key: int) -> str:
    """Return a span's ids as users know them, or its key where they can't be read."""
    sql = "SELECT t.trace_id, s.span_id FROM spans AS s JOIN traces AS t ON t.id = s.trace WHERE s.id = ?"
    with contextlib.suppress(sqlite3.DatabaseError):
        for trace_id, span_id in connection.execute(sql, (key,)).fetchall():
            return f"trace {trace_id} span {span_id}"
    return f"spans {key}"


def changed_spans(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield the names of the spans that don't match their checksum."""
    sql = f"{_SPAN} WHERE checksum IS NOT NULL"
    for key, _, checksum, *values in connection.execute(sql):
        if checksum_of_row(values) != checksum:
            yield _name(connection, key)


def _check_span(connection: sqlite3.Connection, row: tuple[Any, ...], findings: Findings) -> None:
    key, trace, checksum, *values = row
    if checksum is not None and checksum_of_row(values) != checksum:
        findings.add(ERROR, CHANGED, _name(connection, key))
    if not _is_typed(values):
        findings.add(DAMAGE, "spans with values of other types", _name(connection, key))
        return
    _check_times(connection, key, trace, values, findings)
    _check_payload(connection, key, trace, [values[place] for place in _PAYLOAD], findings)


def _check_times(
    connection: sqlite3.Connection,
    key: int,
    trace: int,
    values: Sequence[Any],
    findings: Findings,
) -> None:
    place = f"spans {key}"
    parent_id, status = values[_PARENT], values[_STATUS]
    start_ns, end_ns = values[_START], values[_END]
    if end_ns is not None and end_ns < start_ns:
        findings.add(ERROR, "a span that ends before it starts", place)
    if status not in ("OK", "ERROR", "UNSET"):
        findings.add(ERROR, "a span with a status that there is not", place)
    if parent_id is None and start_ns // 1_000_000 < trace >> ID_BITS:
        # A part of the trace in another process that was written first has given it the key of its own start.
        starts = (trace, (trace >> ID_BITS) * 1_000_000, ((trace >> ID_BITS) + 1) * 1_000_000)
        if not connection.execute(_PART_THAT_STARTS, starts).fetchone():
            findings.add(ERROR, "a trace's key says a later time than its root span", place)


def _check_payload(
    connection: sqlite3.Connection,
    key: int,
    trace: int,
    payload: Sequence[str | None],
    findings: Findings,
) -> None:
    place = f"spans {key}"
    attributes: Any = None
    for column, text, decode in zip(_COLUMNS, payload, _DECODERS, strict=True):
        if text is None:
            continue
        try:
            value = decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            findings.add(ERROR, f"spans.{column} that is not the JSON it should be", place)
            continue
        if column == "attributes":
            attributes = value
    if attributes is not None:
        _check_index(connection, trace, attributes, findings, place)


def _is_typed(values: Sequence[Any]) -> bool:
    """Whether the values are of their columns' types: one bit makes a number of a text, and STRICT does not see it."""
    return isinstance(values[_START], int) and all(
        value is None or isinstance(value, int if place in (_START, _END) else str)
        for place, value in enumerate(values)
    )


def _check_index(
    connection: sqlite3.Connection,
    trace: int,
    attributes: dict[str, Any],
    findings: Findings,
    place: str,
) -> None:
    sql = "SELECT 1 FROM span_attributes WHERE key = ? AND value = ? AND trace = ?"
    for name, value in indexed_attributes(attributes):
        with contextlib.suppress(sqlite3.DatabaseError):  # the check of the pages says so
            if connection.execute(sql, (name, value, trace)).fetchone() is None:
                findings.add(ERROR, "attributes that are not in the attribute index", place)


def check_text_index(file: File, findings: Findings, progress: Progress) -> None:
    """Look whether the text index is sound in itself, and has what its spans say."""
    with file.reading() as connection:
        has_index = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'span_text'")
        indexed_to = connection.execute("SELECT max(indexed_to) FROM text_progress").fetchone()[0]
        if has_index.fetchone() is None:
            if indexed_to:
                findings.add(ERROR, "text that counts as indexed, and there is no text index")
            return
        try:
            _check_structure(connection)
        except sqlite3.DatabaseError as error:
            findings.add(DAMAGE, "a text index that is damaged", f"span_text: {error}")
            return
    _check_blocks(file, indexed_to or 0, findings, progress)


def _check_structure(connection: sqlite3.Connection) -> None:
    """Have FTS5 check a copy of the index: in the file that would count as writing, and hold it."""
    declared = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'span_text'")
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as copy:  # a temporary file
        copy.execute(declared.fetchone()[0])
        for table in ("span_text_data", "span_text_idx", "span_text_config"):
            rows = connection.execute(f"SELECT * FROM {table}")
            copy.execute(f"DELETE FROM {table}")
            marks = ",".join("?" * len(rows.description))
            copy.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        copy.execute("INSERT INTO span_text (span_text) VALUES ('integrity-check')")


_BLOCK = f"""
SELECT id, name, {whole("inputs")}, {whole("outputs")}, attributes, events FROM spans WHERE id >= ? AND id < ?"""
_FIND = "SELECT 1 FROM span_text WHERE span_text MATCH ? AND rowid = ?"


def _check_blocks(file: File, indexed_to: int, findings: Findings, progress: Progress) -> None:
    blocks = range(
        0, indexed_to // SPANS_PER_BLOCK, 1 + indexed_to // SPANS_PER_BLOCK // _MOST_BLOCKS
    )
    for start in range(0, len(blocks), 100):
        part = blocks[start : start + 100]
        with file.reading() as connection:
            for block in part:
                try:
                    _check_block(connection, block, findings)
                except sqlite3.DatabaseError as error:
                    findings.add(DAMAGE, "a text index that can't be searched", str(error))
        progress("text index", min(start + 100, len(blocks)), len(blocks))


def _check_block(connection: sqlite3.Connection, block: int, findings: Findings) -> None:
    first = block * SPANS_PER_BLOCK
    for key, *texts in connection.execute(_BLOCK, (first, first + SPANS_PER_BLOCK)).fetchall():
        if not all(text is None or isinstance(text, str) for text in texts):
            continue  # the check of the spans says so
        wanted = question(_trigrams(readable(*texts).casefold()))
        if wanted and connection.execute(_FIND, (wanted, block)).fetchone() is None:
            findings.add(ERROR, "text that is not in the text index", f"spans {key}")


def _trigrams(text: str) -> Iterable[str]:
    """Return some runs of three characters: the first, one of the middle, the last."""
    for start in {0, len(text) // 2, len(text) - 3}:
        run = text[max(0, start) : max(0, start) + 3]
        if len(run) == 3 and "\0" not in run:
            yield run
