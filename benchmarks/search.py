"""How long does a search take, and how does that grow with the file?

    python -m benchmarks.search [--traces 10000,100000,1000000] [--runs 25] [--data FOLDER] [--rebuild] [--quick]

For each file, through `Store.search_traces(max_results=100, include_spans=False)`: one filter of each kind, with
common, rare and absent values. "first" is the first search on a new connection, with its pages in the operating
system's cache at best; the others follow on the same connection. The sizes take turns, run by run, and the last table
has the growth. The floor is SQL on a plain connection. MLflow, where it is installed, answers the filters that both take
on the smallest file's traces. Files are kept in `benchmarks/data`; a million traces take 11 GB, and ten minutes to build.

What would change our mind: an equality filter whose first 100 results take more than 5 ms at 1,000,000 traces, or
more than twice what they take at 10,000.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import functools
import itertools
import pathlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks import peers
from benchmarks.dataset import DATA, INDEXED_TRACES, dataset, start_ns, trace_id
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio, sizes
from benchmarks.workload import (
    RARE_EVERY,
    RARE_MODEL,
    RARE_REGION,
    RARE_TOOL,
    trace_of,
)
from tracestore import Store

#: Runs of a case stop after so many seconds; at least three are made.
SECONDS_A_CASE, LEAST_RUNS = 5.0, 3


#: Filters that an index serves whatever the file's size; the others look at as many rows as they must.
INDEXED = (
    "tag, common (80 %)",
    "tag, rare (0.1 %)",
    "tag, unique",
    "tag, absent value",
    "metadata, common (75 %)",
    "user (0.1 %)",
    "session (20 traces)",
    "client request id",
    "status OK (98 %)",
    "status ERROR (2 %)",
    "name, common (75 %)",
    "name, less common (5 %)",
    "span.name, common (100 %)",
    "span.name, rare (0.1 %)",
    "span.type (100 %)",
    "span.status ERROR (2 %)",
    "span.attributes, common (50 %)",
    "span.attributes, rare (0.1 %)",
    "feedback, boolean (4 %)",
    "time range (1 %)",
)

#: The least that the first 100 results can take.
FLOOR = "floor: SQL, the newest 100 rows"

#: Cases with a target of their own, by what their figures are called.
_KEYS = {
    "no filter": "none",
    "tag, common (80 %)": "tag",
    "100 with spans, no filter": "with_spans",
    "data frame of 10,000, no spans": "frame",
    "get_trace": "get_trace",
    FLOOR: "floor",
    "text, absent phrase": "text_absent",
    "text, rare phrase (0.1 %)": "text_rare",
}


class Case(NamedTuple):
    """One line of the table: what it is called, and what is run; returns how many were found."""

    name: str
    run: Callable[[Store], int]


class Timing(NamedTuple):
    """Milliseconds: the first run on a new connection, those after it, and of the processor in those."""

    found: int
    first_ms: float
    runs_ms: list[float]
    cpu_ms: list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print a table for each size, and one of the growth."""
    of = parser("search", __doc__)
    of.add_argument("--traces", type=sizes, default="10000,100000,1000000")
    of.add_argument("--runs", type=int, default=25)
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    of.add_argument("--rebuild", action="store_true", help="build the files again")
    options = options_of(of, arguments, traces="1000,10000", runs=7)
    question = "How long do the first 100 results of a search take?"
    with Report("search", question, options) as report:
        paths = {
            traces: dataset(traces, options.data, rebuild=options.rebuild)
            for traces in options.traces
        }
        _compare(report, paths, cases, options.runs)
        indexed = {traces: path for traces, path in paths.items() if traces <= INDEXED_TRACES}
        if indexed:
            _compare(report, indexed, text_cases, options.runs)
        _report_peers(report, options)


def _compare(
    report: Report,
    paths: dict[int, pathlib.Path],
    cases_of: Callable[[int], list[Case]],
    runs: int,
) -> None:
    """Time the same cases in files of several sizes; report a table for each, and one of the growth."""
    timings = {
        same[0].name: timings_of(list(paths.values()), same, runs)
        for same in zip(*(cases_of(traces) for traces in paths), strict=True)
    }
    for column, traces in enumerate(paths):
        row = {name: timing[column] for name, timing in timings.items()}
        _report_timings(report, traces, row)
        report.figures(**_figures(traces, row))
    if len(paths) > 1:
        report_growth(report, list(paths), timings)


def _figures(traces: int, timings: dict[str, Timing]) -> dict[str, float]:
    """Return what the targets ask: the slowest filter that an index serves, and what has its own target."""
    medians = {name: percentiles(timing.runs_ms).median for name, timing in timings.items()}
    found = {
        f"search_{key}_{traces}_ms": medians[name] for name, key in _KEYS.items() if name in medians
    }
    indexed = [medians[name] for name in INDEXED if name in medians]
    if indexed:
        found[f"search_indexed_least_{traces}_ms"] = min(indexed)
        found[f"search_indexed_most_{traces}_ms"] = max(indexed)
    return found


def _report_peers(report: Report, options: argparse.Namespace) -> None:
    """Have MLflow, where it is installed, answer the filters that both take, on the same traces."""
    traces, runs = min(options.traces), min(options.runs, 11)
    found = peers.search(traces, runs, options.data)
    if found is not None:
        for table in found.tables:
            report.table(table.head, table.rows)


def cases(traces: int) -> list[Case]:
    """Return what is timed in a file of so many traces."""
    found = [Case(name, _search(text)) for name, text in filters(traces).items()]
    middle = trace_id(traces // 2, traces)
    return [
        *found,
        Case("100 with spans, no filter", lambda store: len(store.search_traces(max_results=100))),
        Case(
            "count: common tag", lambda store: store.count_traces("tags.environment = 'production'")
        ),
        Case("get_trace", lambda store: len(store.get_trace(middle).data.spans)),
        Case("data frame of 10,000, no spans", _frame),
        Case(FLOOR, _newest),
    ]


def _search(text: str) -> Callable[[Store], int]:
    def run(store: Store) -> int:
        return len(store.search_traces(text, max_results=100, include_spans=False))

    return run


def _newest(store: Store) -> int:
    return len(
        _plain(store.path).execute("SELECT * FROM traces ORDER BY id DESC LIMIT 100").fetchall()
    )


@functools.cache
def _plain(path: str) -> sqlite3.Connection:
    """Return a connection of SQLite's own, kept open as a store keeps its own."""
    return sqlite3.connect(f"{pathlib.Path(path).as_uri()}?mode=ro", uri=True)


def _frame(store: Store) -> int:
    return len(store.search_frame(max_results=10_000, include_spans=False))


def text_cases(_traces: int) -> list[Case]:
    """Return the searches of text, which are timed in files with a text index."""
    texts = {
        "text, rare phrase (0.1 %)": f"text ILIKE '%{RARE_MODEL.upper()}%'",
        "text, absent phrase": "text ILIKE '%no such phrase%'",
        "text, common word": "text LIKE '%customer%'",
    }
    return [Case(name, _search(text)) for name, text in texts.items()]


def filters(traces: int) -> dict[str, str]:
    """Return the filters, by what they stand for, with values that a file of so many traces has."""
    trace = trace_of(traces // 2)
    rare = trace_of(min(traces - 1, RARE_EVERY // 2))
    failing = next(trace for trace in map(trace_of, itertools.count(traces // 2)) if trace.fails)
    first, last = (_iso(start_ns(traces * part // 100, traces)) for part in (49, 50))
    return {
        "no filter": "",
        "tag, common (80 %)": "tags.environment = 'production'",
        "tag, rare (0.1 %)": f"tags.region = '{RARE_REGION}'",
        "tag, unique": f"tags.deployment_id = '{trace.tags['deployment_id']}'",
        "tag, absent value": "tags.environment = 'nowhere'",
        "tag, absent key": "tags.no_such_key = 'x'",
        "metadata, common (75 %)": "metadata.pipeline = 'rag-3'",
        "user (0.1 %)": f"user = '{trace.user}'",
        "session (20 traces)": f"session = '{trace.session}'",
        "client request id": f"client_request_id = '{trace.client_request_id}'",
        "status OK (98 %)": "status = 'OK'",
        "status ERROR (2 %)": "status = 'ERROR'",
        "name, common (75 %)": "name = 'answer_question'",
        "name, less common (5 %)": "name = 'triage_ticket'",
        "span.name, common (100 %)": "span.name = 'generate'",
        "span.name, rare (0.1 %)": f"span.name = '{rare.tool}'",
        "span.name, absent": "span.name = 'no_such_span'",
        "span.type (100 %)": "span.type = 'RETRIEVER'",
        "span.status ERROR (2 %)": "span.status = 'ERROR'",
        "span.name AND span.status": "span.name = 'look_up_order' AND span.status = 'ERROR'",
        "span.attributes, common (50 %)": "span.attributes.temperature = 0.2",
        "span.attributes, rare (0.1 %)": "span.attributes.prompt_id = 'p-rare'",
        "span.attributes, rare model": f"span.attributes.mlflow.llm.model = '{RARE_MODEL}'",
        "span.attributes LIKE, common": "span.attributes.prompt_id LIKE 'p-1%'",
        "feedback, boolean (4 %)": "feedback.helpful = false",
        "feedback, number (8 %)": "feedback.score >= 4",
        "time range (1 %)": f"timestamp >= '{first}' AND timestamp < '{last}'",
        "duration (3 %)": "duration > 2s",
        "two tags, both common": "tags.environment = 'production' AND tags.customer_tier = 'free'",
        "two tags, common and rare": f"tags.environment = 'production' AND tags.region = '{RARE_REGION}'",
        "user AND status ERROR": f"user = '{failing.user}' AND status = 'ERROR'",
        "OR of two tags": f"tags.region = '{RARE_REGION}' OR tags.customer_tier = 'enterprise'",
        "NOT common tag": "NOT tags.environment = 'production'",
        "rare tool by name, any_span": f"any_span(name = '{RARE_TOOL}' AND type = 'TOOL')",
    }


def _iso(time_ns: int) -> str:
    moment = dt.datetime.fromtimestamp(time_ns / 1e9, dt.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def timings_of(paths: Sequence[pathlib.Path], same: Sequence[Case], runs: int) -> list[Timing]:
    """Time one case in each file, run by run in turn, so that all files meet the same machine."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(Store(path, read_only=True)) for path in paths]
        timings = []
        for case, store in zip(same, stores, strict=True):
            found, first_ms, _ = _timed(case, store)
            timings.append(Timing(found, first_ms, [], []))
        deadline = time.perf_counter() + SECONDS_A_CASE
        for run in range(runs):
            if run >= LEAST_RUNS and time.perf_counter() > deadline:
                break
            for case, store, timing in zip(same, stores, timings, strict=True):
                _, run_ms, cpu_ms = _timed(case, store)
                timing.runs_ms.append(run_ms)
                timing.cpu_ms.append(cpu_ms)
    return timings


def _timed(case: Case, store: Store) -> tuple[int, float, float]:
    started, cpu_started = time.perf_counter(), time.thread_time()
    found = case.run(store)
    cpu_ms = (time.thread_time() - cpu_started) * 1e3
    return found, (time.perf_counter() - started) * 1e3, cpu_ms


def _report_timings(report: Report, traces: int, timings: dict[str, Timing]) -> None:
    rows = [
        (
            name,
            f"{timing.found:,}",
            number(percentiles(timing.runs_ms).median),
            number(percentiles(timing.runs_ms).p99),
            number(min(timing.runs_ms)),
            number(timing.first_ms),
            str(len(timing.runs_ms)),
        )
        for name, timing in timings.items()
    ]
    report.table(
        (f"{traces:,} traces, ms", "found", "median", "p99", "least", "first", "runs"), rows
    )


def report_growth(report: Report, numbers: Sequence[int], timings: dict[str, list[Timing]]) -> None:
    """Report the growth of medians where as many traces were found: the rest is more work."""
    first, *others = (f"{size:,}" for size in numbers)
    head = [f"growth of the median since {first}"]
    for other in others:
        head += [other, f"{other}: CPU"]
    rows = [
        (name, *itertools.chain(*(_growth(timing, row[0]) for timing in row[1:])))
        for name, row in timings.items()
    ]
    report.table(head, rows)


def _growth(timing: Timing, base: Timing) -> tuple[str, str]:
    if timing.found != base.found:
        return f"{timing.found:,} found, not {base.found:,}", ""
    return ratio(*_medians(timing.runs_ms, base.runs_ms)), ratio(
        *_medians(timing.cpu_ms, base.cpu_ms)
    )


def _medians(samples: Sequence[float], base: Sequence[float]) -> tuple[float, float]:
    return percentiles(samples).median, percentiles(base).median


if __name__ == "__main__":
    main()
