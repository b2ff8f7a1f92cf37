"""What do the calls about one trace cost: get, tag, feedback, delete?

    python -m benchmarks.get [--traces 10000] [--runs 200] [--quick] [--json FILE]

On a copy of the file of `benchmarks.dataset`. The floor of each call, in turn with it: the least SQL that does the same
on a connection of its own that is already open, with a commit where the call is durable on return.

What would change our mind: `get_trace` of 4 spans above 0.5 ms or of 1,000 spans above 30 ms; a tag or feedback above
1 ms at the median; deleting 1,000 traces by time above 50 ms.
"""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.dataset import DATA, dataset, trace_id
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio
from tracestore import Store

#: Spans of the large trace.
SPANS = 1_000

#: Traces of one call of `delete_traces`.
DELETED = 1_000

_SPANS_OF = "SELECT * FROM spans WHERE trace = (SELECT id FROM traces WHERE trace_id = ?)"
_TAG = "INSERT OR REPLACE INTO tags SELECT id, ?, ? FROM traces WHERE trace_id = ?"

Call = Callable[[int], object]


class Timing(NamedTuple):
    """Milliseconds of a call and of its floor; `key` is the name of the median among the figures."""

    key: str
    name: str
    samples_ms: Sequence[float]
    floors_ms: Sequence[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    of = parser("get", __doc__)
    of.add_argument("--traces", type=int, default=10_000)
    of.add_argument("--runs", type=int, default=200)
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    options = options_of(of, arguments)
    question = f"What do the calls about one of {options.traces:,} traces cost?"
    with (
        Report("get", question, options) as report,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        path = _copy(dataset(options.traces, options.data), pathlib.Path(folder, "get.db"))
        with Store(path) as store, _connect(path) as connection:
            timings = _timings(store, connection, options.traces, options.runs)
        report.table(
            ("ms", "median", "p99", "max", "floor", "of floor"),
            [_cells(timing) for timing in timings],
        )
        report.figures(**{timing.key: percentiles(timing.samples_ms).median for timing in timings})


def _copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    with _connect(source) as connection, _connect(target) as copy:
        connection.backup(copy)
    return target


def _connect(path: pathlib.Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10))


def _timings(store: Store, connection: sqlite3.Connection, traces: int, runs: int) -> list[Timing]:
    ids = [trace_id(traces * run // runs, traces) for run in range(runs)]
    large = _record_large(store)

    def spans_of(wanted: str) -> object:
        return connection.execute(_SPANS_OF, (wanted,)).fetchall()

    def tag(run: int) -> object:
        return connection.execute(_TAG, ("floor", str(run), ids[run]))

    timings = [
        _in_turn("get_trace_ms", "get_trace, 4 spans", runs,
                 lambda run: store.get_trace(ids[run]), lambda run: spans_of(ids[run])),
        _in_turn("get_large_trace_ms", f"get_trace, {SPANS:,} spans", 20,
                 lambda _run: store.get_trace(large), lambda _run: spans_of(large)),
        _in_turn("set_tag_ms", "set_trace_tag, durable", runs,
                 lambda run: store.set_trace_tag(ids[run], "reviewed", str(run)), tag),
        _in_turn("log_feedback_ms", "log_feedback, durable", runs,
                 lambda run: store.log_feedback(ids[run], "reviewed", run), tag),
    ]  # fmt: skip
    return [*timings, _deletion(store, connection)]


def _in_turn(key: str, name: str, runs: int, call: Call, floor: Call) -> Timing:
    """Time both in turn; the first run of each, which warms up, is left out."""
    samples_ms: list[float] = []
    floors_ms: list[float] = []
    for run in range(runs):
        samples_ms.append(_timed(call, run))
        floors_ms.append(_timed(floor, run))
    return Timing(key, name, samples_ms[1:], floors_ms[1:])


def _timed(call: Call, run: int) -> float:
    started = time.perf_counter()
    call(run)
    return (time.perf_counter() - started) * 1e3


def _cells(timing: Timing) -> tuple[str, ...]:
    found, floor = percentiles(timing.samples_ms), percentiles(timing.floors_ms)
    return (
        timing.name,
        number(found.median),
        number(found.p99),
        number(found.max),
        number(floor.median),
        ratio(found.median, floor.median),
    )


def _record_large(store: Store) -> str:
    """Record one trace of SPANS spans into the store; return its id."""
    import tracestore  # noqa: PLC0415 - records into a store that is named just before

    tracestore.set_tracking_uri(store.path)
    with tracestore.start_span("large") as root:
        for step in range(SPANS - 1):
            with tracestore.start_span(f"step {step % 20}") as span:
                span.set_inputs({"step": step, "text": "what a step was asked " * 20})
                span.set_outputs({"answer": "what it answered " * 20})
    tracestore.flush()
    return str(root.trace_id)


def _deletion(store: Store, connection: sqlite3.Connection) -> Timing:
    """Delete the oldest traces of the file by time, a call each time; the floor deletes as many rows."""
    samples_ms = []
    for _ in range(3):
        key = connection.execute(
            "SELECT id FROM traces ORDER BY id LIMIT 1 OFFSET ?", (DELETED - 1,)
        )
        until_ms = key.fetchone()[0] >> 20
        started = time.perf_counter()
        deleted = store.delete_traces("0", max_timestamp_millis=until_ms, max_traces=DELETED)
        samples_ms.append((time.perf_counter() - started) * 1e3)
        if deleted != DELETED:
            raise SystemExit(f"{deleted} traces deleted, {DELETED} were there")
    name = f"delete_traces, {DELETED:,} by time"
    return Timing("delete_ms", name, samples_ms, [_delete_rows(connection)])


def _delete_rows(connection: sqlite3.Connection) -> float:
    """Return milliseconds of deleting the rows of as many traces, tables in one transaction."""
    last = connection.execute("SELECT id FROM traces ORDER BY id LIMIT 1 OFFSET ?", (DELETED - 1,))
    key = last.fetchone()[0]
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for table in ("spans", "tags", "metadata", "assessments"):
        connection.execute(f"DELETE FROM {table} WHERE trace <= ?", (key,))
    connection.execute("DELETE FROM traces WHERE id <= ?", (key,))
    connection.execute("COMMIT")
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
