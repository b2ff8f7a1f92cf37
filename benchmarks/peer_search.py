"""How long does a search take beside MLflow itself, on the same traces, in one process?

    bash .ci/mlflow                                            # makes .venv-mlflow, with both
    .venv-mlflow/bin/python -m benchmarks.peer_search [--traces 10000] [--runs 25] [--data FOLDER] [--rebuild]

The traces of `benchmarks.dataset` go through MLflow's own store into an SQLite file of its own (10,000 take two
minutes, kept in `benchmarks/data`). Each filter that both take goes through
`MlflowClient().search_traces(max_results=100, include_spans=False)` of each, in turn, after one search that isn't
counted. Both must return the same ids in the same order: a line where they don't says so.

What would change our mind: a filter for which MLflow is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.dataset import DATA, dataset, start_ns
from benchmarks.report import load_average, number, percentiles, print_header, print_table, ratio
from benchmarks.workload import (
    RARE_EVERY,
    RARE_MODEL,
    RARE_REGION,
    RARE_TOOL,
    SEED,
    trace_of,
)
from tracestore import MlflowClient, Store

#: Runs of a filter stop after so many seconds; at least three are made.
SECONDS_A_FILTER, LEAST_RUNS = 10.0, 3

#: Traces in one write of spans while building.
BATCH_TRACES = 200


class Comparison(NamedTuple):
    """What both found, and milliseconds a search."""

    found: int
    is_same: bool
    ours_ms: list[float]
    mlflow_ms: list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print one table."""
    options = _parser().parse_args(arguments)
    mlflow = _import_mlflow()
    print_header("How long do the first 100 results of a search take, beside MLflow?")
    ours = dataset(options.traces, options.data, rebuild=options.rebuild)
    theirs = _mlflow_dataset(mlflow, options.traces, options.data, rebuild=options.rebuild)
    _use(mlflow, theirs)
    clients = (MlflowClient(f"sqlite:///{ours}"), mlflow.MlflowClient())
    found = {
        name: _compare(clients, text, options.runs)
        for name, text in filters(options.traces).items()
    }
    _print_comparisons(f"{options.traces:,} traces, ms; MLflow {mlflow.__version__}", found)
    print(load_average())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_search", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    parser.add_argument("--rebuild", action="store_true", help="build the files again")
    return parser


def _import_mlflow() -> Any:
    """Return MLflow; it is in an environment of its own, and mypy's has none."""
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    try:
        return importlib.import_module("mlflow")
    except ImportError:
        sys.exit("no MLflow here: run .ci/mlflow, then this with .venv-mlflow/bin/python")


def filters(traces: int) -> dict[str, str]:
    """Return filters that both take, by what they stand for, for files of so many traces."""
    trace = trace_of(traces // 2)
    failing = next(trace for trace in map(trace_of, itertools.count(traces // 2)) if trace.fails)
    first, last = (start_ns(traces * part // 100, traces) // 1_000_000 for part in (49, 50))
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
        "text, in one trace": f"trace.text LIKE '%order {trace.call['order']}%'",
        "text, absent": "trace.text LIKE '%no such words%'",
        "time range (1 %)": f"timestamp_ms >= {first} AND timestamp_ms < {last}",
        "duration (3 %)": "execution_time_ms > 2000",
        "two tags, both common": "tags.environment = 'production' AND tags.customer_tier = 'free'",
        "two tags, common and rare": f"tags.environment = 'production' AND tags.region = '{RARE_REGION}'",
        "user AND status ERROR": f"{user} = '{failing.user}' AND status = 'ERROR'",
    }


def _compare(clients: tuple[Any, Any], text: str, runs: int) -> Comparison:
    """Search with both in turn; the one that begins changes from run to run."""
    ours, mlflow = (_timed(client, text)[0] for client in clients)
    samples: tuple[list[float], list[float]] = ([], [])
    deadline = time.perf_counter() + SECONDS_A_FILTER
    for run in range(runs):
        if run >= LEAST_RUNS and time.perf_counter() > deadline:
            break
        for which in (0, 1) if run % 2 else (1, 0):
            samples[which].append(_timed(clients[which], text)[1])
    return Comparison(len(ours), ours == mlflow, *samples)


def _timed(client: Any, text: str) -> tuple[list[str], float]:
    started = time.perf_counter()
    found = client.search_traces(
        locations=["0"], filter_string=text, max_results=100, include_spans=False
    )
    taken_ms = (time.perf_counter() - started) * 1e3
    return [trace.info.trace_id for trace in found], taken_ms


def _print_comparisons(title: str, comparisons: dict[str, Comparison]) -> None:
    head = (title, "found", "MLflow", "tracestore", "ratio", "least", "least", "runs")
    print_table(
        head,
        [
            (
                name,
                f"{each.found:,}" if each.is_same else "DIFFER",
                number(percentiles(each.mlflow_ms).median),
                number(percentiles(each.ours_ms).median),
                ratio(percentiles(each.mlflow_ms).median, percentiles(each.ours_ms).median),
                number(min(each.mlflow_ms)),
                number(min(each.ours_ms)),
                str(len(each.ours_ms)),
            )
            for name, each in comparisons.items()
        ],
    )
    ratios = [
        percentiles(each.mlflow_ms).median / percentiles(each.ours_ms).median
        for each in comparisons.values()
    ]
    least, median = min(ratios), percentiles(ratios).median
    print(f"tracestore is {median:.0f} times as fast in the median of the filters, {least:.1f} at least")


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
        _use(mlflow, unfinished)
        _build(mlflow, dataset(traces, folder))
        unfinished.replace(path)
        print(f"built {path.name} in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return path


def _build(mlflow: Any, source: pathlib.Path) -> None:
    """Write all traces of our file through MLflow's store, which a client would reach over HTTP."""
    store = importlib.import_module("mlflow.tracking._tracking_service.utils")._get_store()
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
