"""Files of many traces for the benchmarks of reading: built once, kept in `data`, named by size and schema.

Goes through the writing code of the package with the same records that capture makes, in large transactions, and
spreads the traces over 30 days. Invariant: a file that bears its final name is whole.
"""

from __future__ import annotations

import pathlib
import sqlite3
import sys
import time

from benchmarks.workload import SEED, records, trace_of
from tracestore import ids
from tracestore.encoding import encode_text
from tracestore.entities import AssessmentSource, Feedback
from tracestore.storage import assessment_rows, indexer, record_rows, schema
from tracestore.storage.connection import (
    WAL_BYTES,
    checkpoint,
    open_for_writing,
    transaction,
    wal_bytes,
)

DATA = pathlib.Path(__file__).parent / "data"

#: Where the traces are in time: 30 days from 2026-09-01 UTC.
START_NS = 1_788_220_800 * 10**9
SPAN_NS = 30 * 86_400 * 10**9

#: Files of more traces are built without the text index: it takes a second for 10 MB of text.
INDEXED_TRACES = 100_000

#: Traces in one transaction while building.
BATCH_TRACES = 1_000


def start_ns(index: int, traces: int) -> int:
    """Return when a trace starts in a file of so many traces."""
    return START_NS + SPAN_NS * index // traces


def trace_id(index: int, traces: int) -> str:
    """Return the id of a trace in a file of so many traces."""
    return records(trace_of(index), start_ns(index, traces))[0].trace_id


def dataset(traces: int, folder: pathlib.Path = DATA, *, rebuild: bool = False) -> pathlib.Path:
    """Return the file with so many traces, built if it is not there. A million take minutes and 10 GB."""
    form = f"schema-{schema.VERSION}-pages-{schema.PAGE_SIZE_BYTES}"
    path = folder / f"traces-{traces}-{form}-seed-{SEED}.db"
    if rebuild or not path.exists():
        folder.mkdir(exist_ok=True)
        started = time.perf_counter()
        unfinished = path.with_suffix(".unfinished.db")
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{unfinished}{suffix}").unlink(missing_ok=True)
            pathlib.Path(f"{path}{suffix}").unlink(missing_ok=True)
        _build(unfinished, traces)
        unfinished.rename(path)
        print(f"built {path.name} in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return path


def _build(path: pathlib.Path, traces: int) -> None:
    connection = open_for_writing(str(path))
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -1048576")
    for first in range(0, traces, BATCH_TRACES):
        with transaction(connection):
            _write_batch(connection, range(first, min(first + BATCH_TRACES, traces)), traces)
        if wal_bytes(str(path)) > WAL_BYTES:
            checkpoint(connection)
    if traces <= INDEXED_TRACES:
        more = True
        while more:
            with transaction(connection):
                more = indexer.index_some(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _write_batch(connection: sqlite3.Connection, indexes: range, traces: int) -> None:
    batch = [trace_of(index) for index in indexes]
    made = [records(trace, start_ns(trace.number, traces)) for trace in batch]
    record_rows.write_records(
        connection, [record for record, _ in made], [span for _, spans in made for span in spans]
    )
    for trace, (record, _) in zip(batch, made, strict=True):
        for name, value in trace.feedback.items():
            feedback = _feedback(record, name, value, trace.user)
            assessment_rows.insert_assessment(connection, feedback, encode_text(value))


def _feedback(record: record_rows.TraceRecord, name: str, value: bool | int, user: str) -> Feedback:
    return Feedback(
        name=name,
        value=value,
        source=AssessmentSource("HUMAN", user),
        trace_id=record.trace_id,
        assessment_id=ids.new_assessment_id(),
        create_time_ms=record.start_time_ms + 60_000,
        last_update_time_ms=record.start_time_ms + 60_000,
        valid=True,
    )
