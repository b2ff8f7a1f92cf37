"""How many traces a second are durable, and how near is that to the limit?

    python -m benchmarks.ingest [--traces 10000] [--repeats 3] [--burst 100000] [--quick] [--json FILE]

Records the workload through the public API from one thread into a new file and waits for `flush`; checks that
every trace, every span and a sample of the payload is there and that nothing was dropped. The floor, in the
same run: the rows of that very file, inserted into the same schema by multi-row statements, 50 rows each and
400 traces a transaction, on one thread that does nothing else. Feedback is a call that is durable when it
returns, so it is timed by itself, after the burst.

What would change our mind: less than 60 % of the floor, a dropped span, memory that grows with the number of
traces, a file larger than 1.25 times its payload + 600 bytes a trace.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import pathlib
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tracestore
from benchmarks import peers
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio
from benchmarks.workload import WorkloadTrace, give_feedback, record, trace_of
from tracestore.encoding import encode_text
from tracestore.storage.connection import (
    WAL_BYTES,
    checkpoint,
    open_for_writing,
    transaction,
    wal_bytes,
)

#: Traces in one transaction of the floor, and rows in one of its statements.
FLOOR_TRACES, FLOOR_ROWS = 400, 50

#: Traces whose payload is read back and compared.
SAMPLE = 50

#: Tables of the file whose rows belong to a trace, with the column of the trace's key, written in this order.
_TABLES = {
    "traces": "id",
    "tags": "trace",
    "metadata": "trace",
    "spans": "trace",
    "span_attributes": "trace",
}


class Ingest(NamedTuple):
    """What one burst through the public API took."""

    call_s: float
    durable_s: float
    cpu_s: float
    growth_bytes: int
    dropped: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    of = parser("ingest", __doc__)
    of.add_argument("--traces", type=int, default=10_000)
    of.add_argument("--repeats", type=int, default=3)
    of.add_argument(
        "--burst", type=int, default=100_000, help="traces at once, for what is dropped"
    )
    of.add_argument("--peer-traces", type=int, default=300, help="traces of a peer: they are slow")
    options = options_of(of, arguments, traces=3_000, burst=5_000, peer_traces=60)
    question = f"How fast are {options.traces:,} traces of 4 spans durable?"
    with (
        Report("ingest", question, options) as report,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        _measure(report, options, pathlib.Path(folder))


def _measure(report: Report, options: argparse.Namespace, folder: pathlib.Path) -> None:
    traces = [trace_of(index) for index in range(options.traces)]
    gc.freeze()  # a program does not hold its next 10,000 answers, which garbage collection would look through
    bursts: list[Ingest] = []
    floors: list[tuple[float, float]] = []
    for repeat in range(options.repeats):
        path = folder / f"burst-{repeat}.db"
        burst, trace_ids = record_into(path, traces)
        bursts.append(burst)
        _check(path, traces, trace_ids)
        floors.append(_floor(path, folder / f"floor-{repeat}.db"))
    feedback_ms = _feedback(path, traces, trace_ids)
    _report_rates(report, bursts, floors, options.traces)
    _report_sizes(report, bursts, _sizes(path), feedback_ms)
    _report_burst(report, folder / "long.db", traces, options.burst)
    _report_peers(report, options.peer_traces, options.traces / bursts[-1].durable_s)


def _report_burst(
    report: Report, path: pathlib.Path, traces: Sequence[WorkloadTrace], count: int
) -> None:
    """Record so many traces as fast as one thread can; nothing may be dropped."""
    tracestore.set_tracking_uri(str(path))
    started = time.perf_counter()
    for index in range(count):
        record(traces[index % len(traces)])
    dropped = tracestore.flush(timeout_s=600.0).dropped
    took_s = time.perf_counter() - started
    head = ("one burst", "traces", "traces/s", "spans dropped")
    report.table(head, [("from one thread", f"{count:,}", number(count / took_s), str(dropped))])
    report.figures(
        **{f"burst_{count}_dropped_spans": dropped, f"burst_{count}_per_s": count / took_s}
    )


def _report_peers(report: Report, traces: int, ours_per_s: float) -> None:
    """Have each installed peer that stores traces record some and wait until they are stored."""
    rows = []
    for peer in peers.installed():
        if peer.stores:
            with peer:
                stored, took_s = peer.ingest(traces)
            report.figures(**{f"ingest_{peer.key}_per_s": stored / took_s})
            share = f"{stored / traces:.0%}"
            rows.append(
                (peer.name, str(traces), share, number(stored / took_s),
                 ratio(ours_per_s, stored / took_s))
            )  # fmt: skip
    if rows:
        report.table(("peers", "traces", "stored", "traces/s stored", "ours faster"), rows)


def record_into(
    path: str | pathlib.Path, traces: Sequence[WorkloadTrace]
) -> tuple[Ingest, list[str]]:
    """Record the traces into a new file, through the public API; return what it took and their ids."""
    tracestore.set_tracking_uri(str(path))
    gc.collect()
    peak_bytes = _peak_bytes()
    started, cpu_started = time.perf_counter(), time.process_time()
    trace_ids = [record(trace) for trace in traces]
    called = time.perf_counter()
    flushed = tracestore.flush(timeout_s=600.0)
    ended, cpu_ended = time.perf_counter(), time.process_time()
    growth_bytes = _peak_bytes() - peak_bytes
    if flushed.pending:
        raise SystemExit(f"{flushed.pending} records are still pending after the flush")
    burst = Ingest(
        called - started, ended - started, cpu_ended - cpu_started, growth_bytes, flushed.dropped
    )
    return burst, trace_ids


def _peak_bytes() -> int:
    """Return the largest resident size of this process so far, 0 where the system doesn't say."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _check(path: pathlib.Path, traces: Sequence[WorkloadTrace], trace_ids: Sequence[str]) -> None:
    """Stop unless all is in the file, read through a connection of its own."""
    expected = {"traces": len(traces), "spans": 4 * len(traces), "tags": 6 * len(traces)}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table, count in expected.items():
            found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if found != count:
                raise SystemExit(f"{table}: {found} rows in the file, {count} were recorded")
        for index in range(0, len(traces), max(1, len(traces) // SAMPLE)):
            _check_payload(connection, traces[index], trace_ids[index])


def _check_payload(connection: sqlite3.Connection, trace: WorkloadTrace, trace_id: str) -> None:
    sql = "SELECT name, inputs, outputs FROM spans WHERE trace = (SELECT id FROM traces WHERE trace_id = ?)"
    found = {
        name: (inputs, outputs) for name, inputs, outputs in connection.execute(sql, (trace_id,))
    }
    done = not trace.fails
    expected = {
        trace.name: (encode_text(trace.question), encode_text(trace.answer) if done else None),
        "retrieve": (encode_text(trace.query), encode_text(trace.documents)),
        "generate": (encode_text(trace.prompt), encode_text(trace.completion)),
        trace.tool: (encode_text(trace.call), encode_text(trace.result) if done else None),
    }
    if found != expected:
        raise SystemExit(f"trace {trace_id} was recorded as\n{expected}\nand read back as\n{found}")


# ------------------------------------------------------------------------------------------ the floor


def _floor(source: pathlib.Path, target: pathlib.Path) -> tuple[float, float]:
    """Insert the rows of `source` into a new file; return seconds and seconds of CPU."""
    batches = _batches(source)
    connection = open_for_writing(str(target))
    started, cpu_started = time.perf_counter(), time.process_time()
    for batch in batches:
        with transaction(connection):
            for table, rows in batch.items():
                _insert_all(connection, table, rows)
        if wal_bytes(str(target)) > WAL_BYTES:  # as the writer does
            checkpoint(connection)
    ended, cpu_ended = time.perf_counter(), time.process_time()
    connection.close()
    target.unlink()
    return ended - started, cpu_ended - cpu_started


def _batches(source: pathlib.Path) -> list[dict[str, list[tuple[Any, ...]]]]:
    """Return the rows of all tables, some traces at a time, in the order in which they were recorded."""
    by_trace: dict[int, dict[str, list[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(list))
    with contextlib.closing(sqlite3.connect(source)) as connection:
        for table, key in _TABLES.items():
            cursor = connection.execute(f"SELECT * FROM {table}")
            position = [column[0] for column in cursor.description].index(key)
            for row in cursor:
                by_trace[row[position]][table].append(row)
    keys = sorted(by_trace)
    batches = []
    for start in range(0, len(keys), FLOOR_TRACES):
        batch = {
            table: [
                row for key in keys[start : start + FLOOR_TRACES] for row in by_trace[key][table]
            ]
            for table in _TABLES
        }
        batches.append(batch)
    return batches


def _insert_all(connection: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    for chunk in _chunks(rows, FLOOR_ROWS):
        marks = ",".join(["(" + ",".join("?" * len(chunk[0])) + ")"] * len(chunk))
        connection.execute(
            f"INSERT INTO {table} VALUES {marks}", list(itertools.chain.from_iterable(chunk))
        )


def _chunks(rows: list[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


# ------------------------------------------------------------------------------------------ after the burst


def _sizes(path: pathlib.Path) -> tuple[float, float]:
    """Return bytes of the file and bytes of payload, each a trace."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        columns = ("inputs", "outputs", "attributes", "events")
        total = " + ".join(f"ifnull(length(CAST({column} AS BLOB)), 0)" for column in columns)
        payload = connection.execute(f"SELECT sum({total}) FROM spans").fetchone()[0]
        count = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
    return path.stat().st_size / count, payload / count


def _feedback(
    path: pathlib.Path, traces: Sequence[WorkloadTrace], trace_ids: Sequence[str]
) -> list[float]:
    """Give feedback to a fifth of the traces, two calls each; return milliseconds of each pair."""
    samples_ms: list[float] = []
    with tracestore.Store(path) as store:
        for trace_id, trace in zip(trace_ids, traces, strict=True):
            started = time.perf_counter()
            if give_feedback(store, trace_id, trace):
                samples_ms.append((time.perf_counter() - started) * 1e3)
    return samples_ms


# ------------------------------------------------------------------------------------------ printing


def _report_rates(
    report: Report, bursts: Sequence[Ingest], floors: Sequence[tuple[float, float]], traces: int
) -> None:
    rates = [traces / burst.durable_s for burst in bursts]
    floor_rates = [traces / wall_s for wall_s, _ in floors]
    calls_us = [burst.call_s / traces * 1e6 for burst in bursts]
    cpu_ms = [burst.cpu_s / traces * 1e3 for burst in bursts]
    floor_cpu_ms = [cpu_s / traces * 1e3 for _, cpu_s in floors]
    shares = [rate / floor for rate, floor in zip(rates, floor_rates, strict=True)]
    report.figures(
        durable_per_s=statistics.median(rates),
        durable_floor_per_s=statistics.median(floor_rates),
        durable_share=statistics.median(shares),
        durable_cpu_ms=statistics.median(cpu_ms),
    )
    report.table(
        (f"{len(bursts)} runs of each, in turn", "median", "least", "most"),
        (
            ("through the API: traces/s until durable", *_spread(rates)),
            ("floor, the same rows: traces/s", *_spread(floor_rates)),
            ("share of the floor", *(f"{share:.0%}" for share in _three(shares))),
            ("CPU per trace, ms", *_spread(cpu_ms)),
            ("floor: CPU per trace, ms", *_spread(floor_cpu_ms)),
            ("recording thread until its last call returned, µs a trace", *_spread(calls_us)),
        ),
    )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def _spread(values: Sequence[float]) -> tuple[str, ...]:
    return tuple(number(value) for value in _three(values))


def _report_sizes(
    report: Report,
    bursts: Sequence[Ingest],
    sizes: tuple[float, float],
    feedback_ms: Sequence[float],
) -> None:
    file_bytes, payload_bytes = sizes
    feedback = percentiles(feedback_ms or [0.0])
    report.table(
        ("of the traces", ""),
        (
            ("all there, payload of a sample compared", "yes"),
            ("spans dropped", str(sum(burst.dropped for burst in bursts))),
            ("bytes of file a trace", number(file_bytes)),
            ("bytes of payload a trace", number(payload_bytes)),
            ("file / payload", ratio(file_bytes, payload_bytes)),
            ("growth of peak memory in the first run, MB", number(bursts[0].growth_bytes / 1e6)),
            ("two log_feedback until durable, ms: median", number(feedback.median)),
            ("two log_feedback until durable, ms: p99", number(feedback.p99)),
        ),
    )


if __name__ == "__main__":
    main()
