"""How long does a search take beside MLflow itself, on the same traces, in one process?

    python -m benchmarks.peers install mlflow                  # makes .venv-mlflow, with both
    .venv-mlflow/bin/python -m benchmarks.peer_search [--traces 10000] [--runs 25] [--data FOLDER] [--rebuild] [--quick]

The traces of `benchmarks.dataset` go through MLflow's own store into an SQLite file of its own (10,000 take two
minutes, kept in `benchmarks/data`). Each filter that both take goes through
`MlflowClient().search_traces(max_results=100, include_spans=False)` of each, in turn, after one search that isn't
counted. Both must return the same ids in the same order: a line where they don't says so, and the exit code is 1.
A search of MLflow's that takes more than `--limit` seconds is interrupted, and its line says `>`: without statistics, which
MLflow never gathers, SQLite reads all spans once for each trace where a filter names a span. `--analyze` gathers
them in MLflow's file (for good; `--rebuild` undoes it).

What would change our mind: a filter for which MLflow is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import logging
import os
import pathlib
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.dataset import DATA, dataset, start_ns
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio
from benchmarks.workload import (
    RARE_EVERY,
    RARE_MODEL,
    RARE_REGION,
    RARE_TOOL,
    SEED,
    trace_of,
)
from tracestore import MlflowClient, Store

#: Runs of a filter stop after `--limit` seconds; at least so many are made.
LEAST_RUNS = 3

#: Traces in one write of spans while building.
BATCH_TRACES = 200


class Comparison(NamedTuple):
    """What both found, and milliseconds a search; MLflow's are empty where it was given up."""

    found: int
    is_same: bool
    limit_s: float
    ours_ms: list[float]
    mlflow_ms: list[float]

    @property
    def mlflow_median_ms(self) -> float:
        """The median of MLflow's searches, or the time after which it was given up."""
        return percentiles(self.mlflow_ms or [self.limit_s * 1e3]).median

    @property
    def speed(self) -> float:
        """How many times as fast tracestore is, at least."""
        return self.mlflow_median_ms / percentiles(self.ours_ms).median


class Limit:
    """Interrupts statements of MLflow's connections after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until_s = float("inf")
        event = importlib.import_module("sqlalchemy.event")
        engine = importlib.import_module("sqlalchemy.engine").Engine
        event.listen(engine, "connect", self._watch)

    def _watch(self, connection: sqlite3.Connection, _record: Any) -> None:
        connection.set_progress_handler(lambda: time.monotonic() > self._until_s, 1_000_000)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Interrupt what runs within for too long."""
        self._until_s = time.monotonic() + self.seconds
        try:
            yield
        finally:
            self._until_s = float("inf")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print one table."""
    of = parser("peer_search", __doc__)
    of.add_argument("--traces", type=int, default=10_000)
    of.add_argument("--runs", type=int, default=25)
    of.add_argument("--limit", type=float, default=10.0, help="seconds a search, and a filter")
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    of.add_argument("--rebuild", action="store_true", help="build the files again")
    of.add_argument("--analyze", action="store_true", help="ANALYZE in MLflow's file")
    options = options_of(of, arguments, traces=1_000, runs=5, limit=1.0)
    mlflow = _import_mlflow()
    question = "How long do the first 100 results of a search take, beside MLflow?"
    with Report("peer_search", question, options) as report:
        found = _measured(mlflow, options)
        _report_comparisons(
            report, f"{options.traces:,} traces, ms; MLflow {mlflow.__version__}", found
        )
    if not all(each.is_same for each in found.values()):
        sys.exit("MLflow and tracestore found different traces")


def _measured(mlflow: Any, options: argparse.Namespace) -> dict[str, Comparison]:
    folder = options.data.resolve()
    folder.mkdir(exist_ok=True)
    there = pathlib.Path.cwd()
    os.chdir(folder)  # MLflow makes a directory of its own where it runs
    ours = dataset(options.traces, folder, rebuild=options.rebuild)
    theirs = _mlflow_dataset(mlflow, options.traces, folder, rebuild=options.rebuild)
    os.chdir(there)
    if options.analyze:
        with contextlib.closing(sqlite3.connect(theirs)) as connection:
            connection.execute("ANALYZE")
    limit = Limit(options.limit)
    _use(mlflow, theirs)
    clients = (MlflowClient(f"sqlite:///{ours}"), mlflow.MlflowClient())
    return {
        name: _compare(clients, text, options.runs, limit)
        for name, text in filters(options.traces).items()
    }


def _import_mlflow() -> Any:
    """Return MLflow; it is in an environment of its own, and mypy's has none."""
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # reports interruptions
    try:
        return importlib.import_module("mlflow")
    except ImportError:
        sys.exit(
            "no MLflow here: `python -m benchmarks.peers install mlflow`, then this with .venv-mlflow/bin/python"
        )


def filters(traces: int) -> dict[str, str]:
    """Return filters that both take, by what they stand for, for files of so many traces."""
    trace = trace_of(traces // 2)
    failing = next(trace for trace in map(trace_of, itertools.count(traces // 2)) if trace.fails)
    first, last = (start_ns(traces * part // 100, traces) // 1_000_000 for part in (49, 50))
    asked = trace.query["query"].rpartition(". ")[2]
    user = "metadata.`mlflow.trace.user`"
    return {
        "no filter": "",
        "tag, common (80 %)": "tags.environment = 'production'",
        "tag, rare (0.1 %)": f"tags.region = '{RARE_REGION}'",
        "tag, unique": f"tags.deployment_id = '{trace.tags['deployment_id']}'",
        "tag, absent value": "tags.environment = 'nowhere'",
        "tag, absent key": "tags.no_such_key = 'x'",
        "tag !=": "tags.environment != 'production'",
        "tag LIKE": "tags.app_version LIKE '2.1%'",
        "tag IS NULL": "tags.environment IS NULL",
        "metadata, common (75 %)": "metadata.pipeline = 'rag-3'",
        "user (0.1 %)": f"{user} = '{trace.user}'",
        "session (20 traces)": f"metadata.`mlflow.trace.session` = '{trace.session}'",
        "client request id": f"client_request_id = '{trace.client_request_id}'",
        "status OK (98 %)": "status = 'OK'",
        "status ERROR (2 %)": "status = 'ERROR'",
        "name, common (75 %)": "name = 'answer_question'",
        "name, less common (5 %)": "name = 'triage_ticket'",
        "span.name, common (100 %)": "span.name = 'generate'",
        "span.name, rare (0.1 %)": f"span.name = '{trace_of(RARE_EVERY // 2).tool}'",
        "span.name, absent": "span.name = 'no_such_span'",
        "span.type (100 %)": "span.type = 'RETRIEVER'",
        "span.status ERROR (2 %)": "span.status = 'ERROR'",
        "span.name AND span.status": "span.name = 'look_up_order' AND span.status = 'ERROR'",
        "span.name AND span.type, rare": f"span.name = '{RARE_TOOL}' AND span.type = 'TOOL'",
        "span.attributes LIKE, common": "span.attributes.prompt_id LIKE '%p-1%'",
        "span.attributes LIKE, rare": f"span.attributes.mlflow.llm.model LIKE '%{RARE_MODEL}%'",
        "feedback, boolean (4 %)": "feedback.helpful = 'false'",
        "feedback, number (8 %)": "feedback.score >= 4",
        "text, in one trace": f"trace.text LIKE '%{asked}%'",
        "text, absent": "trace.text LIKE '%no such words%'",
        "time range (1 %)": f"timestamp_ms >= {first} AND timestamp_ms < {last}",
        "duration (3 %)": "execution_time_ms > 2000",
        "two tags, both common": "tags.environment = 'production' AND tags.customer_tier = 'free'",
        "two tags, common and rare": f"tags.environment = 'production' AND tags.region = '{RARE_REGION}'",
        "user AND status ERROR": f"{user} = '{failing.user}' AND status = 'ERROR'",
    }


def _compare(clients: tuple[Any, Any], text: str, runs: int, limit: Limit) -> Comparison:
    """Search with both in turn; the one that begins changes from run to run."""
    ours = _timed(clients[0], text)[0]
    is_same, counted = True, [0, 1]
    try:
        with limit():
            is_same = _timed(clients[1], text)[0] == ours
    except importlib.import_module("mlflow").MlflowException:
        counted = [0]
    samples: tuple[list[float], list[float]] = ([], [])
    deadline = time.perf_counter() + limit.seconds
    for run in range(runs):
        if run >= LEAST_RUNS and time.perf_counter() > deadline:
            break
        for which in counted if run % 2 else reversed(counted):
            samples[which].append(_timed(clients[which], text)[1])
    return Comparison(len(ours), is_same, limit.seconds, *samples)


def _timed(client: Any, text: str) -> tuple[list[str], float]:
    started = time.perf_counter()
    found = client.search_traces(
        locations=["0"], filter_string=text, max_results=100, include_spans=False
    )
    taken_ms = (time.perf_counter() - started) * 1e3
    return [trace.info.trace_id for trace in found], taken_ms


def _report_comparisons(report: Report, title: str, comparisons: dict[str, Comparison]) -> None:
    head = (title, "found", "MLflow", "tracestore", "ratio", "runs")
    report.table(head, [(name, *_cells(each)) for name, each in comparisons.items()])
    speed = percentiles([each.speed for each in comparisons.values()]).median
    least = min(each.speed for each in comparisons.values())
    report.note(
        f"tracestore is {speed:.0f} times as fast in the median filter, {least:.1f} at least"
    )
    report.figures(search_below_mlflow=speed, search_least_below_mlflow=least)


def _cells(each: Comparison) -> tuple[str, ...]:
    above = "" if each.mlflow_ms else "> "
    return (
        f"{each.found:,}" if each.is_same else "DIFFER",
        above + number(each.mlflow_median_ms),
        number(percentiles(each.ours_ms).median),
        above + ratio(each.speed, 1),
        str(len(each.ours_ms)),
    )


# ------------------------------------------------------------------------------------------ the file


def _use(mlflow: Any, path: pathlib.Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{path}")


def _mlflow_dataset(
    mlflow: Any, traces: int, folder: pathlib.Path, *, rebuild: bool
) -> pathlib.Path:
    """Return MLflow's file with so many traces, built if it is not there."""
    path = folder / f"mlflow-{mlflow.__version__}-traces-{traces}-seed-{SEED}.db"
    if rebuild or not path.exists():
        started = time.perf_counter()
        unfinished = path.with_suffix(".unfinished.db")
        unfinished.unlink(missing_ok=True)
        _build(mlflow, unfinished, dataset(traces, folder))
        unfinished.replace(path)
        print(f"built {path.name} in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return path


def _build(mlflow: Any, path: pathlib.Path, source: pathlib.Path) -> None:
    """Write all traces of our file through MLflow's store, as its server does."""
    stores = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store = stores.SqlAlchemyStore(f"sqlite:///{path}", str(path.parent / "mlruns"))
    token = None
    with contextlib.closing(Store(source, read_only=True)) as ours:
        while True:
            page = ours.search_traces(max_results=BATCH_TRACES, page_token=token)
            _write_batch(mlflow, store, [trace.to_dict() for trace in page])
            token = page.token
            if not token:
                break


def _write_batch(mlflow: Any, store: Any, traces: list[dict[str, Any]]) -> None:
    made = [mlflow.entities.Trace.from_dict(trace) for trace in traces]
    for trace in made:
        trace.info.trace_location = mlflow.entities.TraceLocation.from_experiment_id("0")
        store.start_trace(trace.info)
    store.log_spans("0", [span for trace in made for span in trace.data.spans])


if __name__ == "__main__":
    main()
