"""How long do figures over all traces take, and beside what one would do without them?

    python -m benchmarks.metrics [--traces 10000,100000,1000000] [--runs 5] [--data FOLDER] [--rebuild]
    .venv-mlflow/bin/python -m benchmarks.metrics --peer [--traces 10000] …

For each file, through `Store.metrics`: the first run on a new connection, and those after it. Beside the group-by
stands the same from a data frame: `search_frame` of all traces with pandas' groupby, at up to 100,000 traces (a
million do not fit into memory). With `--peer` the version comparison of MLflow's guides, a search for each version
and a loop, runs on MLflow and its own file of the same traces, and the figures must be the same.

What would change our mind: at 1,000,000 traces a group-by on one tag with error rate and p95, or token sums by
model, that takes more than 1.5 s, or the last hour of them more than 50 ms.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.dataset import DATA, SPAN_NS, START_NS, dataset
from benchmarks.report import load_average, number, percentiles, print_header, print_table, ratio
from tracestore import Store

#: Traces up to which the data frame of all of them is made.
FRAME_TRACES = 100_000

VERSIONS = [f"2.{minor}.0" for minor in range(12)]
LAST_HOUR_MS = (START_NS + SPAN_NS) // 1_000_000 - 3_600_000

Run = Callable[[Store], Any]


class Timing(NamedTuple):
    """Milliseconds of the first run on a new connection, and of those after it; CPU of the best."""

    first_ms: float
    runs_ms: list[float]
    cpu_ms: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print a table for each size, or the one beside MLflow."""
    options = _parser().parse_args(arguments)
    if options.peer:
        _beside_mlflow(options)
        return
    print_header("How long do figures over all traces take?")
    for traces in options.traces:
        path = dataset(traces, options.data, rebuild=options.rebuild)
        timings = {name: _timed(path, run, options.runs) for name, run in cases(traces).items()}
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
        print_table((f"{traces:,} traces, ms", "median", "least", "first", "CPU"), rows)
    print(load_average())


def cases(traces: int) -> dict[str, Run]:
    """Return what is timed in a file of so many traces."""
    asked = ["count", "error_rate", "p95"]
    found: dict[str, Run] = {
        "by one tag: count, error rate, p95": lambda s: s.metrics(asked, None, "tags.app_version"),
        "the same of the last hour": lambda s: s.metrics(
            asked, None, "tags.app_version", start=LAST_HOUR_MS
        ),
        "the same of the last day, by hour": lambda s: s.metrics(
            asked, None, "tags.app_version", "1h", start=LAST_HOUR_MS - 23 * 3_600_000
        ),
        "token sums by model": lambda s: s.metrics("tokens_total", None, "span.model"),
        "no group: the six default metrics": lambda s: s.metrics(),
        "by day: count, error rate, p95": lambda s: s.metrics(asked, every="1d"),
        "of a filter (2 %), by one tag": lambda s: s.metrics(
            asked, "status = 'ERROR'", "tags.app_version"
        ),
        "mean of a feedback by one tag": lambda s: s.metrics(
            "mean(feedback.score)", "feedback.score IS NOT NULL", "tags.app_version"
        ),
        "what distinguishes failing traces": lambda s: s.correlate("status = 'ERROR'"),
    }
    if traces <= FRAME_TRACES:
        found["pandas: by one tag, from a data frame of all"] = _with_pandas
    return found


def _with_pandas(store: Store) -> Any:
    frame = store.search_frame(max_results=None, include_spans=False)
    frame["version"] = frame["tags"].map(lambda tags: tags.get("app_version"))
    groups = frame.groupby("version")
    return (
        groups.size(),
        groups["state"].agg(lambda state: (state == "ERROR").mean()),
        groups["execution_duration"].quantile(0.95),
    )


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
    print_header("How long does the version comparison of MLflow's guides take?")
    folder = options.data.resolve()
    os.chdir(folder)  # MLflow makes a directory of its own where it runs
    (traces,) = options.traces
    ours = dataset(traces, folder, rebuild=options.rebuild)
    theirs = peer_search._mlflow_dataset(mlflow, traces, folder, rebuild=options.rebuild)  # noqa: SLF001
    mlflow.set_tracking_uri(f"sqlite:///{theirs}")
    samples: dict[str, list[float]] = {"loop": [], "line": []}
    with Store(ours, read_only=True) as store:
        for _ in range(options.runs):
            started = time.perf_counter()
            expected = the_loop(mlflow)
            between = time.perf_counter()
            found = the_line(store)
            samples["line"].append((time.perf_counter() - between) * 1e3)
            samples["loop"].append((between - started) * 1e3)
            if found != expected:
                raise SystemExit(f"the figures differ: {expected} and {found}")
    loop, line = (percentiles(samples[name]).median for name in ("loop", "line"))
    print_table(
        (f"{traces:,} traces, 12 versions, ms; MLflow {mlflow.__version__}", "median", "ratio"),
        [
            ("MLflow: search and loop, as in the guide", number(loop), ratio(loop, line)),
            ("tracestore.metrics: one line", number(line), "1.00x"),
        ],
    )
    print(load_average())


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--traces", type=_sizes, default=None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    parser.add_argument("--rebuild", action="store_true", help="build the files again")
    parser.add_argument("--peer", action="store_true", help="beside MLflow")
    parser.set_defaults(traces=[10_000, 100_000, 1_000_000])
    return parser


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


if __name__ == "__main__":
    main()
