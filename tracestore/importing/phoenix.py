"""Arize Phoenix's SQLite file (`phoenix.db`): traces and spans, with their sessions and users.

Read with SQLite alone, read-only. Knows no store. Attributes are kept as they are and understood as OpenInference.
Source: https://github.com/Arize-ai/phoenix/blob/main/src/phoenix/db/models.py
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.errors import ForeignFileError
from tracestore.importing.batch import Batch
from tracestore.importing.foreign_file import connect, nanoseconds, tables_of
from tracestore.otlp.gathering import Gathering
from tracestore.otlp.incoming import ForeignSpan, understand
from tracestore.runtime import runtime

TRACES_PER_BATCH = 200

_REQUIRED = {"projects", "traces", "spans", "alembic_version"}

_SPANS = """
SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.start_time, s.end_time, s.status_code, s.status_message,
       s.attributes, s.events
FROM spans s JOIN traces t ON t.id = s.trace_rowid
WHERE t.id > ? AND t.id <= ? ORDER BY t.id, s.start_time"""


def recognises(path: str, beginning: bytes) -> bool:
    """Whether the file at `path` is Phoenix's."""
    if not beginning.startswith(b"SQLite format 3\0"):
        return False
    with contextlib.closing(_connect(path)) as connection:
        return tables_of(connection) >= _REQUIRED


def open_source(path: str) -> PhoenixFile:
    """Return the file at `path`, opened read-only; ForeignFileError where it is none of Phoenix's."""
    connection = _connect(path)
    if not tables_of(connection) >= _REQUIRED:
        connection.close()
        raise ForeignFileError(f"{path} is no file of Arize Phoenix")
    return PhoenixFile(connection)


def _connect(path: str) -> sqlite3.Connection:
    # Phoenix has indexes on json_extract(), which older SQLite calls unsafe. Only tables are read, by a
    # connection that has no functions but SQLite's own.
    return connect(path, trusts_schema=True)


class PhoenixFile:
    """An open Phoenix file; see `batch.Source`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.total: int | None = connection.execute("SELECT count(*) FROM traces").fetchone()[0]

    def batches(self, known: Callable[[Sequence[str]], set[str]]) -> Iterator[Batch]:
        """Yield the file in parts of whole traces."""
        first = 0
        while True:
            sql = "SELECT id, trace_id FROM traces WHERE id > ? ORDER BY id LIMIT ?"
            rows = self._connection.execute(sql, (first, TRACES_PER_BATCH)).fetchall()
            if not rows:
                return
            ids = [f"tr-{row[1]}" for row in rows]
            there = known(ids)
            spans = self._connection.execute(_SPANS, (first, rows[-1][0])).fetchall()
            first = rows[-1][0]
            found = [_span(row) for row in spans if f"tr-{row[0]}" not in there]
            whole = [span for span in found if span is not None]
            understood = [understand(span) for span in whole]
            gathering = Gathering(runtime.recording_experiment, {})
            traces = gathering.add(understood)
            gathering.unfinished()
            left_out = len(found) - len(whole)
            yield Batch(
                seen=len(rows),
                present=len(there),
                traces=[trace.snapshot() for trace in traces],
                spans=[span.record for span in understood],
                skipped={"spans that can't be read": left_out} if left_out else {},
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _span(row: Sequence[Any]) -> ForeignSpan | None:
    """Return a row as a span, None where it is none."""
    trace_id, span_id, parent_id, name, start, end, status, message, attributes, events = row
    try:
        if (len(trace_id), len(span_id)) != (32, 16) or not int(trace_id, 16) * int(span_id, 16):
            return None
        tree = msgspec.json.decode(attributes or "{}")
        return ForeignSpan(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent_id or None,
            name=str(name),
            start_time_ns=nanoseconds(start),
            end_time_ns=None if end is None else nanoseconds(end),
            status=status if status in ("OK", "ERROR") else "UNSET",
            message=message or None,
            attributes=dict(_flat(tree)),
            events=[_event(event) for event in msgspec.json.decode(events or "[]")],
            links=(),
            details={"status": "UNSET"} if status not in ("OK", "ERROR") else {},
            resource={},
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _flat(tree: Mapping[str, Any], prefix: str = "", depth: int = 20) -> Iterator[tuple[str, Any]]:
    """Yield attributes under the dotted names that they came with: Phoenix keeps them as a tree."""
    for key, value in tree.items():
        if isinstance(value, dict) and depth:
            yield from _flat(value, f"{prefix}{key}.", depth - 1)
        elif (
            isinstance(value, list) and value and depth and all(isinstance(v, dict) for v in value)
        ):
            for number, item in enumerate(value):
                yield from _flat(item, f"{prefix}{key}.{number}.", depth - 1)
        else:
            yield prefix + key, value


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(event["name"]),
        "time_unix_nano": nanoseconds(event["timestamp"]),
        "attributes": dict(event.get("attributes") or {}),
    }
