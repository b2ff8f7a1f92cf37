"""What do the calls about one trace cost: get, tag, feedback, delete?

    python -m benchmarks.get [--traces 10000] [--runs 200]

On a copy of the file of `benchmarks.dataset`. The floor of each call, in turn with it: the least SQL that does the same
on a connection of its own that is already open, with a commit where the call is durable on return.

What would change our mind: `get_trace` of 4 spans above 0.5 ms or of 1,000 spans above 30 ms; a tag or feedback above
1 ms at the median; deleting 1,000 traces by time above 50 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence

from benchmarks.dataset import DATA, dataset, trace_id
from benchmarks.report import (
    load_average,
    number,
    percentiles,
    print_header,
    print_table,
    ratio,
)
from tracestore import Store

#: Spans of the large trace.
SPANS = 1_000

#: Traces of one call of `delete_traces`.
DELETED = 1_000

_SPANS_OF = "SELECT * FROM spans WHERE trace = (SELECT id FROM traces WHERE trace_id = ?)"
_TAG = "INSERT OR REPLACE INTO tags SELECT id, ?, ? FROM traces WHERE trace_id = ?"

Call = Callable[[int], object]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.get", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    options = parser.parse_args(arguments)
    print_header(f"What do the calls about one of {options.traces:,} traces cost?")
    source = dataset(options.traces, options.data, rebuild=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = _copy(source, pathlib.Path(folder, "get.db"))
        with Store(path) as store, _connect(path) as connection:
            rows = _rows(store, connection, options.traces, options.runs)
    print_table(("ms", "median", "p99", "max", "floor", "of floor"), rows)
    print(load_average())


def _copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    with _connect(source) as connection, _connect(target) as copy:
        connection.backup(copy)
    return target


def _connect(path: pathlib.Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10))


def _rows(
    store: Store, connection: sqlite3.Connection, traces: int, runs: int
) -> list[tuple[str, ...]]:
    ids = [trace_id(traces * run // runs, traces) for run in range(runs)]
    large = _record_large(store)

    def spans_of(wanted: str) -> object:
        return connection.execute(_SPANS_OF, (wanted,)).fetchall()

    def tag(run: int) -> object:
        return connection.execute(_TAG, ("floor", str(run), ids[run]))

    rows = [
        _row("get_trace, 4 spans", runs, lambda run: store.get_trace(ids[run]),
             lambda run: spans_of(ids[run])),
        _row(f"get_trace, {SPANS:,} spans", 20, lambda _run: store.get_trace(large),
             lambda _run: spans_of(large)),
        _row("set_trace_tag, durable", runs,
             lambda run: store.set_trace_tag(ids[run], "reviewed", str(run)), tag),
        _row("log_feedback, durable", runs,
             lambda run: store.log_feedback(ids[run], "reviewed", run), tag),
    ]  # fmt: skip
    return [*rows, _deletion(store, connection)]


def _row(name: str, runs: int, call: Call, floor: Call) -> tuple[str, ...]:
    """Time both in turn; the first run of each, which warms up, is left out."""
    samples_ms: list[float] = []
    floors_ms: list[float] = []
    for run in range(runs):
        samples_ms.append(_timed(call, run))
        floors_ms.append(_timed(floor, run))
    return _cells(name, samples_ms[1:], floors_ms[1:])


def _timed(call: Call, run: int) -> float:
    started = time.perf_counter()
    call(run)
    return (time.perf_counter() - started) * 1e3


def _cells(name: str, samples_ms: Sequence[float], floors_ms: Sequence[float]) -> tuple[str, ...]:
    found, floor = percentiles(samples_ms), percentiles(floors_ms)
    return (
        name,
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


def _deletion(store: Store, connection: sqlite3.Connection) -> tuple[str, ...]:
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
    return _cells(f"delete_traces, {DELETED:,} by time", samples_ms, [_delete_rows(connection)])


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
