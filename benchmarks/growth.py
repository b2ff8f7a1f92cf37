"""What does a trace cost to write, and a search to answer, as the file grows by decades?

    python -m benchmarks.growth [--traces 1000,10000,100000,1000000] [--rounds 7] [--data FOLDER] [--quick] [--json FILE]

On copies of the files of `benchmarks.dataset`: in every round each file in turn gets 300 more traces through the public
API, until they are durable, and as many rows inserted without capture, the floor; without a text index, which follows
when there is nothing to write. Then the filters that an index serves
are timed in each file in turn, beside the floor: SQL that reads the newest 100 rows of `traces`. Where others use the
machine, time of the processor tells more than time.

What would change our mind: a filter whose first 100 results take more than twice as long in a hundred times the traces,
or a trace that takes more than twice as long to write.
"""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import tracestore
from benchmarks import search
from benchmarks.dataset import DATA, START_NS, dataset
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio, sizes
from benchmarks.workload import record, records, trace_of
from tracestore.runtime import runtime
from tracestore.storage import record_rows
from tracestore.storage.connection import open_for_writing, transaction

#: Traces that each file gets in one round.
WRITTEN = 300

#: The size from which growth is counted, if there is a larger one: smaller files find fewer than 100.
BASE = 10_000


class Written(NamedTuple):
    """Microseconds a trace in each round: until durable, of the processor, and of rows without capture."""

    durable_us: list[float]
    cpu_us: list[float]
    floor_us: list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    of = parser("growth", __doc__)
    of.add_argument("--traces", type=sizes, default="1000,10000,100000,1000000")
    of.add_argument("--rounds", type=int, default=7)
    of.add_argument("--runs", type=int, default=25, help="runs of each filter")
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    options = options_of(of, arguments, traces="1000,10000,100000", rounds=5, runs=11)
    question = "What does a trace cost to write, and a search to answer, as the file grows?"
    sources = {traces: dataset(traces, options.data) for traces in options.traces}
    with (
        Report("growth", question, options) as report,
        tempfile.TemporaryDirectory(dir=options.data, ignore_cleanup_errors=True) as folder,
    ):
        paths = {
            traces: pathlib.Path(shutil.copyfile(source, pathlib.Path(folder, f"{traces}.db")))
            for traces, source in sources.items()
        }
        runtime.configure(index_text=False)
        _report_writing(report, _written(paths, options.rounds))
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "other.db")))
        _report_searching(report, sources, options.runs)


# ------------------------------------------------------------------------------------------ writing


def _written(paths: dict[int, pathlib.Path], rounds: int) -> dict[int, Written]:
    """Write to each file in turn; the first round, which warms up, is left out."""
    found = {traces: Written([], [], []) for traces in paths}
    numbers = itertools.count(10_000_000)
    for round_ in range(rounds + 1):
        for traces, path in paths.items():
            batch = [trace_of(next(numbers)) for _ in range(WRITTEN)]
            tracestore.set_tracking_uri(str(path))
            record(trace_of(0))  # opens the file
            tracestore.flush()
            started, cpu_started = time.perf_counter(), time.process_time()
            for trace in batch:
                record(trace)
            tracestore.flush()
            cpu_us = (time.process_time() - cpu_started) / WRITTEN * 1e6
            durable_us = (time.perf_counter() - started) / WRITTEN * 1e6
            floor_us = _floor_us(path, next(numbers))
            if round_:
                for samples, sample in zip(
                    found[traces], (durable_us, cpu_us, floor_us), strict=True
                ):
                    samples.append(sample)
    return found


def _floor_us(path: pathlib.Path, first: int) -> float:
    """Insert rows of as many traces in one transaction; return microseconds of each."""
    start_ns = START_NS + first * 1_000_000_000
    made = [
        records(trace_of(first + index), start_ns + index * 1_000_000) for index in range(WRITTEN)
    ]
    with contextlib.closing(open_for_writing(str(path))) as connection:
        started = time.perf_counter()
        with transaction(connection):
            record_rows.write_records(
                connection, [row for row, _ in made], [span for _, spans in made for span in spans]
            )
        return (time.perf_counter() - started) / WRITTEN * 1e6


def _report_writing(report: Report, found: dict[int, Written]) -> None:
    medians = {
        traces: [percentiles(samples).median for samples in each] for traces, each in found.items()
    }
    first = next(iter(medians.values()))
    rows = [
        (
            f"{traces:,}",
            number(durable),
            number(max(found[traces].durable_us)),
            number(cpu),
            number(floor),
            *(ratio(value, base) for value, base in zip((durable, cpu, floor), first, strict=True)),
        )
        for traces, (durable, cpu, floor) in medians.items()
    ]
    head = ("traces in the file, µs a trace", "durable", "max", "CPU", "floor: rows alone")
    report.table((*head, "durable grew", "CPU grew", "floor grew"), rows)
    base = medians[BASE] if BASE in medians and max(found) > BASE else first
    last = medians[max(found)]
    report.figures(
        **{
            f"growth_write_{max(found)}": last[0] / base[0],
            f"growth_write_cpu_{max(found)}": last[1] / base[1],
        }
    )


# ------------------------------------------------------------------------------------------ searching


def _report_searching(report: Report, paths: dict[int, pathlib.Path], runs: int) -> None:
    """Report medians of each filter in each file, and how many times the base's they are."""
    names = ("no filter", *search.INDEXED, search.FLOOR)
    by_size = [{case.name: case for case in search.cases(traces)} for traces in paths]
    timings = {
        name: search.timings_of(list(paths.values()), [cases[name] for cases in by_size], runs)
        for name in names
    }
    rows = [
        (name, *(number(percentiles(timing.runs_ms).median) for timing in row))
        for name, row in timings.items()
    ]
    report.table(("median, ms, traces in the file", *(f"{traces:,}" for traces in paths)), rows)
    first = BASE if BASE in paths and max(paths) > BASE else min(paths)
    kept = [column for column, traces in enumerate(paths) if traces >= first]
    if len(kept) > 1:
        since = {name: [row[column] for column in kept] for name, row in timings.items()}
        search.report_growth(report, [list(paths)[column] for column in kept], since)
        # Where more was found there was more to do, so that is no growth of the cost.
        same = [
            (row[0], row[-1])
            for name, row in since.items()
            if row[0].found == row[-1].found and name != search.FLOOR
        ]
        report.figures(
            **{
                f"growth_search_{max(paths)}": max(
                    _grew(last.runs_ms, first.runs_ms) for first, last in same
                ),
                f"growth_search_cpu_{max(paths)}": max(
                    _grew(last.cpu_ms, first.cpu_ms) for first, last in same
                ),
            }
        )


def _grew(samples: Sequence[float], base: Sequence[float]) -> float:
    return percentiles(samples).median / percentiles(base).median


if __name__ == "__main__":
    main()
