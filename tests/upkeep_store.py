"""A small store of known traces for the tests of upkeep, and looks at its tables."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
from typing import Any

from benchmarks.workload import records, trace_of
from tracestore.encoding import encode_text
from tracestore.entities import AssessmentSource, Feedback
from tracestore.ids import new_assessment_id
from tracestore.storage import assessment_rows, record_rows
from tracestore.storage.connection import open_for_writing, transaction

#: When the first trace starts: 2026-09-01 UTC; each further one a minute later.
START_MS = 1_788_220_800_000
MINUTE_MS = 60_000


def make(path: pathlib.Path, traces: int, *, first: int = 0) -> list[str]:
    """Write the workload's traces `first` to `first + traces`; return their ids, the oldest first."""
    connection = open_for_writing(str(path))
    made = [
        records(trace_of(number), (START_MS + number * MINUTE_MS) * 10**6)
        for number in range(first, first + traces)
    ]
    with contextlib.closing(connection):
        for start in range(0, len(made), 200):
            with transaction(connection):
                part = made[start : start + 200]
                record_rows.write_records(
                    connection,
                    [trace for trace, _ in part],
                    [s for _, spans in part for s in spans],
                )
                for trace, _ in part[::5]:
                    feedback = _feedback(trace.trace_id)
                    assessment_rows.insert_assessment(connection, feedback, encode_text(True))
    return [trace.trace_id for trace, _ in made]


def _feedback(trace_id: str) -> Feedback:
    return Feedback(
        name="good",
        value=True,
        source=AssessmentSource("HUMAN", "ada"),
        trace_id=trace_id,
        assessment_id=new_assessment_id(),
        create_time_ms=START_MS,
        last_update_time_ms=START_MS,
        valid=True,
    )


def query(path: pathlib.Path | str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement on a connection of its own, which commits."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def one(path: pathlib.Path | str, sql: str, *values: Any) -> Any:
    """Return the only value of a statement's only row."""
    [(value,)] = query(path, sql, *values)
    return value


#: Tables of which every row belongs to a trace.
OWNED = ("spans", "tags", "metadata", "assessments", "span_attributes")


def strays(path: pathlib.Path | str) -> dict[str, int]:
    """Return how many rows of each table belong to no trace."""
    sql = "SELECT count(*) FROM {} WHERE trace NOT IN (SELECT id FROM traces)"
    counts = {table: one(path, sql.format(table)) for table in OWNED}
    return {table: count for table, count in counts.items() if count}
