"""Arize Phoenix's SQLite file (`phoenix.db`): traces and spans, with their sessions, users and annotations.

Read with SQLite alone, read-only. Knows no store. Attributes are kept as they are and understood as OpenInference.
Source: https://github.com/Arize-ai/phoenix/blob/main/src/phoenix/db/models.py
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.encoding import clean_text, encode_text, text_of
from tracestore.entities import AssessmentSource, Feedback
from tracestore.errors import ForeignFileError
from tracestore.importing.batch import Batch
from tracestore.importing.foreign_file import columns_of, connect, nanoseconds, tables_of
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

#: What is read of an annotation, of a span or a trace; the columns that came later are optional.
_ANNOTATED = {
    "name",
    "label",
    "score",
    "explanation",
    "metadata",
    "annotator_kind",
    "created_at",
    "updated_at",
}
_LATER_ANNOTATED = ("identifier", "user_id")

_OF_SPANS = """
SELECT t.trace_id, s.span_id, {columns} FROM span_annotations a
JOIN spans s ON s.id = a.span_rowid JOIN traces t ON t.id = s.trace_rowid
WHERE t.id > ? AND t.id <= ? ORDER BY a.id"""

_OF_TRACES = """
SELECT t.trace_id, NULL AS span_id, {columns} FROM trace_annotations a JOIN traces t ON t.id = a.trace_rowid
WHERE t.id > ? AND t.id <= ? ORDER BY a.id"""

_SOURCES = {"LLM": "LLM_JUDGE", "CODE": "CODE", "HUMAN": "HUMAN"}


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
        self._annotations = [
            sql.format(columns=_annotation_columns(connection, table))
            for table, place, sql in (
                ("span_annotations", "span_rowid", _OF_SPANS),
                ("trace_annotations", "trace_rowid", _OF_TRACES),
            )
            if columns_of(connection, table) >= _ANNOTATED | {"id", place}
        ]

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
            said = self._said(first, rows[-1][0], there)
            first = rows[-1][0]
            found = [_span(row) for row in spans if f"tr-{row[0]}" not in there]
            whole = [span for span in found if span is not None]
            understood = [understand(span) for span in whole]
            gathering = Gathering(runtime.recording_experiment, {})
            traces = gathering.add(understood)
            gathering.unfinished()
            known_spans = {span.record[:2] for span in understood} | {
                (f"tr-{i}", None) for i in _ids(whole)
            }
            kept = [one for one in said if one is not None and one[0] in known_spans]
            left_out = {
                "spans that can't be read": len(found) - len(whole),
                "annotations that can't be read": len(said) - len(kept),
            }
            yield Batch(
                seen=len(rows),
                present=len(there),
                traces=[trace.snapshot() for trace in traces],
                spans=[span.record for span in understood],
                assessments=[(feedback, encode_text(feedback.value)) for _, feedback in kept],
                skipped={reason: count for reason, count in left_out.items() if count},
            )

    def _said(
        self, first: int, last: int, there: set[str]
    ) -> list[tuple[tuple[str, str | None], Feedback] | None]:
        """Return the annotations of some traces that are not in the store yet, None for one that is none."""
        found = []
        for sql in self._annotations:
            cursor = self._connection.execute(sql, (first, last))
            names = [column[0] for column in cursor.description]
            rows = (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
            found += [_feedback(row) for row in rows if f"tr-{row['trace_id']}" not in there]
        return found

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


def _ids(spans: Sequence[ForeignSpan]) -> set[str]:
    return {span.trace_id for span in spans}


def _annotation_columns(connection: sqlite3.Connection, table: str) -> str:
    """Return what is read of a table of annotations; the name of who said it where users are kept."""
    there = columns_of(connection, table)
    later = [f"a.{name}" if name in there else f"NULL AS {name}" for name in _LATER_ANNOTATED]
    has_users = "user_id" in there and columns_of(connection, "users") >= {"id", "username"}
    user = "(SELECT u.username FROM users u WHERE u.id = a.user_id)" if has_users else "NULL"
    return ", ".join([*(f"a.{name}" for name in sorted(_ANNOTATED)), *later, f"{user} AS username"])


def _feedback(row: Mapping[str, Any]) -> tuple[tuple[str, str | None], Feedback] | None:
    """Return an annotation as feedback, with the trace and span that it is of; None where it is none.

    A label is the value where there is one, and the score is metadata then.
    """
    trace_id, span_id, label, score = (row[k] for k in ("trace_id", "span_id", "label", "score"))
    try:
        metadata = msgspec.json.decode(row["metadata"] or "{}")
        if label is not None and score is not None:
            metadata = {"score": score, **metadata}
        told = f"phoenix:{trace_id}:{span_id}:{row['name']}:{row['identifier'] or ''}"
        return (f"tr-{trace_id}", span_id), Feedback(
            name=clean_text(str(row["name"])),
            value=score if label is None else clean_text(str(label)),
            source=AssessmentSource(
                _SOURCES[row["annotator_kind"]], clean_text(str(row["username"] or "phoenix"))
            ),
            trace_id=f"tr-{trace_id}",
            span_id=span_id,
            assessment_id=f"a-{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:32]}",
            rationale=None if row["explanation"] is None else clean_text(str(row["explanation"])),
            metadata={text_of(key): text_of(value) for key, value in metadata.items()} or None,
            create_time_ms=nanoseconds(row["created_at"]) // 1_000_000,
            last_update_time_ms=nanoseconds(row["updated_at"]) // 1_000_000,
            valid=True,
        )
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
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
