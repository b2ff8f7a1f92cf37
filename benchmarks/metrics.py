"""How long do figures over all traces take, and beside what one would do without them?

    python -m benchmarks.metrics [--traces 10000,100000,1000000] [--runs 5] [--data FOLDER] [--rebuild]
    .venv-mlflow/bin/python -m benchmarks.metrics --peer [--traces 10000] …

For each file, through `Store.metrics`: the first run on a new connection, and those after it. Beside the group-by
stands the same with pandas' groupby: from `search_frame` of all traces at up to 100,000 (a million do not fit into
memory), and from the three columns alone, read with SQL, whose figures must be the same. With `--peer` the version comparison of MLflow's guides, a search for each version
and a loop, runs on MLflow and its own file of the same traces, and the figures must be the same.

What would change our mind: at 1,000,000 traces a group-by on one tag with error rate and p95, or token sums by
model, that takes more than 1.5 s, or the last hour of them more than 50 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import os
import pathlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.dataset import DATA, SPAN_NS, START_NS, dataset
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio, sizes
from tracestore import Store

#: Traces up to which the data frame of all of them is made.
FRAME_TRACES = 100_000

VERSIONS = [f"2.{minor}.0" for minor in range(12)]
LAST_HOUR_MS = (START_NS + SPAN_NS) // 1_000_000 - 3_600_000

#: Cases that others refer to.
BY_TAG = "by one tag: count, error rate, p95"
LAST_HOUR = "the same of the last hour"
BY_MODEL = "token sums by model"
PANDAS = "pandas: by one tag, from a data frame of all"
PANDAS_SQL = "pandas: by one tag, from SQL for three columns"

Run = Callable[[Store], Any]


class Timing(NamedTuple):
    """Milliseconds of the first run on a new connection, and of those after it; CPU of the best."""

    first_ms: float
    runs_ms: list[float]
    cpu_ms: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print a table for each size, or the one beside MLflow."""
    options = _options(arguments)
    if options.peer:
        _beside_mlflow(options)
        return
    with Report("metrics", "How long do figures over all traces take?", options) as report:
        for traces in options.traces:
            path = dataset(traces, options.data, rebuild=options.rebuild)
            timings = {name: _timed(path, run, options.runs) for name, run in cases(traces).items()}
            _check_by_tag(path)
            _report(report, traces, timings)


def _report(report: Report, traces: int, timings: dict[str, Timing]) -> None:
    rows = [
        (
            name,
            number(percentiles(timing.runs_ms).median),
            number(min(timing.runs_ms)),
            number(timing.first_ms),
            number(timing.cpu_ms),
        )
        for name, timing in timings.items()
    ]
    report.table((f"{traces:,} traces, ms", "median", "least", "first", "CPU"), rows)
    keys = {
        BY_TAG: "by_tag",
        LAST_HOUR: "last_hour",
        BY_MODEL: "by_model",
        PANDAS: "pandas",
        PANDAS_SQL: "pandas_sql",
    }
    for name, key in keys.items():
        if name in timings:
            median_ms = percentiles(timings[name].runs_ms).median
            report.figures(**{f"metrics_{key}_{traces}_ms": median_ms})


def cases(traces: int) -> dict[str, Run]:
    """Return what is timed in a file of so many traces."""
    asked = ["count", "error_rate", "p95"]
    found: dict[str, Run] = {
        BY_TAG: lambda s: s.metrics(asked, None, "tags.app_version"),
        LAST_HOUR: lambda s: s.metrics(asked, None, "tags.app_version", start=LAST_HOUR_MS),
        "the same of the last day, by hour": lambda s: s.metrics(
            asked, None, "tags.app_version", "1h", start=LAST_HOUR_MS - 23 * 3_600_000
        ),
        BY_MODEL: lambda s: s.metrics("tokens_total", None, "span.model"),
        "no group: the six default metrics": lambda s: s.metrics(),
        "by day: count, error rate, p95": lambda s: s.metrics(asked, every="1d"),
        "of a filter (2 %), by one tag": lambda s: s.metrics(
            asked, "status = 'ERROR'", "tags.app_version"
        ),
        "mean of a feedback by one tag": lambda s: s.metrics(
            "mean(feedback.score)", "feedback.score IS NOT NULL", "tags.app_version"
        ),
        "what distinguishes failing traces": lambda s: s.correlate("status = 'ERROR'"),
        PANDAS_SQL: _with_pandas_and_sql,
    }
    if traces <= FRAME_TRACES:
        found[PANDAS] = _with_pandas
    return found


def _with_pandas(store: Store) -> Any:
    frame = store.search_frame(max_results=None, include_spans=False)
    frame["version"] = frame["tags"].map(lambda tags: tags.get("app_version"))
    return _grouped(frame.groupby("version"), "state", "execution_duration")


_COLUMNS = """
    SELECT g.value AS version, t.status, t.duration_ms FROM traces AS t
    LEFT JOIN tags AS g ON g.trace = t.id AND g.key = 'app_version'"""


def _with_pandas_and_sql(store: Store) -> Any:
    import pandas as pd  # noqa: PLC0415 - only this case needs it

    with contextlib.closing(sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)) as connection:
        frame = pd.read_sql_query(_COLUMNS, connection)
    return _grouped(frame.groupby("version"), "status", "duration_ms")


def _grouped(groups: Any, status: str, duration: str) -> tuple[Any, Any, Any]:
    failed = groups[status].agg(lambda each: (each == "ERROR").mean())
    return groups.size(), failed, groups[duration].quantile(0.95)


def _check_by_tag(path: pathlib.Path) -> None:
    """Stop where the figures by one tag are not those of pandas, to 12 digits."""
    with Store(path, read_only=True) as store:
        found = cases(0)[BY_TAG](store)
        for label, theirs in zip(found.names[1:], _with_pandas_and_sql(store), strict=True):
            ours = dict(zip(found[found.names[0]], found[label], strict=True))
            if any(
                not math.isclose(ours[key], value, rel_tol=1e-12) for key, value in theirs.items()
            ):
                raise SystemExit(f"{label} differs: {ours} and {theirs.to_dict()}")


def _timed(path: pathlib.Path, run: Run, runs: int) -> Timing:
    samples: list[float] = []
    cpu: list[float] = []
    with Store(path, read_only=True) as store:
        for _ in range(runs + 1):
            started, started_cpu = time.perf_counter(), time.process_time()
            run(store)
            samples.append((time.perf_counter() - started) * 1e3)
            cpu.append((time.process_time() - started_cpu) * 1e3)
    return Timing(samples[0], samples[1:], min(cpu))


# ------------------------------------------------------------------------------------------ MLflow


def _beside_mlflow(options: argparse.Namespace) -> None:
    from benchmarks import peer_search  # noqa: PLC0415 - MLflow is in an environment of its own

    mlflow = peer_search._import_mlflow()  # noqa: SLF001 - the benchmarks are one program
    folder = options.data.resolve()
    os.chdir(folder)  # MLflow makes a directory of its own where it runs
    (traces,) = options.traces
    ours = dataset(traces, folder, rebuild=options.rebuild)
    theirs = peer_search._mlflow_dataset(mlflow, traces, folder, rebuild=options.rebuild)  # noqa: SLF001
    mlflow.set_tracking_uri(f"sqlite:///{theirs}")
    samples: dict[str, list[float]] = {"loop": [], "line": []}
    with Store(ours, read_only=True) as store:
        for run in range(options.runs + 1):
            started = time.perf_counter()
            expected = the_loop(mlflow)
            between = time.perf_counter()
            found = the_line(store)
            if run:  # the first, which reads the files' pages, does not count
                samples["line"].append((time.perf_counter() - between) * 1e3)
                samples["loop"].append((between - started) * 1e3)
            if found != expected:
                raise SystemExit(f"the figures differ: {expected} and {found}")
    loop, line = (percentiles(samples[name]).median for name in ("loop", "line"))
    question = "How long does the version comparison of MLflow's guides take?"
    with Report("metrics_peer", question, options) as report:
        head = (
            f"{traces:,} traces, 12 versions, ms; MLflow {mlflow.__version__}",
            "median",
            "ratio",
        )
        rows = [
            ("MLflow: search and loop, as in the guide", number(loop), ratio(loop, line)),
            ("tracestore.metrics: one line", number(line), "1.00x"),
        ]
        report.table(head, rows)
        report.figures(versions_ms=line, versions_mlflow_ms=loop)


def the_loop(mlflow: Any) -> dict[str, tuple[int, float, float]]:
    """Return count, error rate and mean latency of what succeeded, by version, as MLflow's guide does."""
    importlib.import_module("pandas")
    found = {}
    for version in VERSIONS:
        traces = mlflow.search_traces(
            locations=["0"],
            filter_string=f"tags.environment = 'production' AND tags.app_version = '{version}'",
            include_spans=False,
            max_results=100_000,
        )
        errors = len(traces[traces["state"] == "ERROR"])
        ok = traces[traces["state"] == "OK"]
        mean = float(ok["execution_duration"].mean())
        found[version] = (len(traces), round(errors / len(traces), 12), round(mean, 6))
    return found


def the_line(store: Store) -> dict[str, tuple[int, float, float]]:
    """Return the same from one call."""
    found = store.metrics(
        ["count", "error_rate", "latency_ok_mean"],
        "tags.environment = 'production'",
        "tags.app_version",
    )
    return {
        version: (count, round(rate, 12), round(mean, 6))
        for version, count, rate, mean in found.tuples()
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    of = parser("metrics", __doc__)
    of.add_argument("--traces", type=sizes, default="10000,100000,1000000")
    of.add_argument("--runs", type=int, default=5)
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    of.add_argument("--rebuild", action="store_true", help="build the files again")
    of.add_argument("--peer", action="store_true", help="beside MLflow")
    return options_of(of, arguments, traces="10000", runs=3)


if __name__ == "__main__":
    main()
