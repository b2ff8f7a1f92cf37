"""How much slower is a program that records while it works?

    python -m benchmarks.contention [--seconds 3] [--rounds 5]

Three programs, each bare, with tracestore and with the OpenTelemetry SDK (whose spans are dropped), in turn within
every round:

- a loop that computes for a millisecond and then records one trace of the workload;
- an asyncio server with 50 requests under way, each of which waits twice, computes a little and records a trace;
- eight threads that do nothing but record traces: traces a second until the last call returns, and the longest and
  the 99.9th percentile of a single trace.

The slow-down is the ratio of the time of one step with and without recording, in the same round.

What would change our mind: a loop that is slowed by more than 1.05 plus the trace's own cost (benchmarks.overhead), or
a pause in the recording thread above 5 ms, the time that CPython lets another thread keep the interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import tracestore
from benchmarks import peer_otel
from benchmarks.report import (
    load_average,
    number,
    percentiles,
    print_header,
    print_table,
    ratio,
)
from benchmarks.workload import WorkloadTrace, record, trace_of

#: Distinct traces of the workload that are recorded over and over.
TRACES = 200
THREADS = 8
REQUESTS = 50

_traces = [trace_of(index) for index in range(TRACES)]
_clock = time.perf_counter_ns

Recorder = Callable[[WorkloadTrace], object]


def _nothing(_trace: WorkloadTrace) -> None:
    """Record nothing: the bare program."""


RECORDERS: dict[str, Recorder] = {
    "bare": _nothing,
    "tracestore": record,
    "OpenTelemetry SDK": peer_otel.record,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contention", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=3.0, help="of each program in each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    print_header("How much slower is a program that records while it works?")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "contention.db")))
        for name, program in (("loop of 1 ms", _loop), ("asyncio server", _server)):
            _print_steps(name, _rounds(program, options.rounds, options.seconds))
        _print_threads(_threads(options.seconds))
        dropped = tracestore.stats()["dropped"]
    print(f"spans dropped: {dropped}; {load_average()}")


def _rounds(
    program: Callable[[Recorder, float], list[float]], rounds: int, seconds: float
) -> dict[str, list[list[float]]]:
    """Return microseconds of the steps of each round by recorder; a first, short round warms up."""
    for recorder in RECORDERS.values():
        program(recorder, 0.1)
    samples: dict[str, list[list[float]]] = {name: [] for name in RECORDERS}
    for _ in range(rounds):
        for name, recorder in RECORDERS.items():
            samples[name].append(program(recorder, seconds))
            tracestore.flush()
    return samples


# ------------------------------------------------------------------------------------------ programs


def _compute(steps: int) -> int:
    total = 0
    for step in range(steps):
        total += step * step % 7
    return total


def _steps_of(milliseconds: float) -> int:
    """Return how many steps of `_compute` take so long on this machine."""
    took_ns = []
    for _ in range(20):
        started = _clock()
        _compute(10_000)
        took_ns.append(_clock() - started)
    return round(10_000 * milliseconds * 1e6 / min(took_ns))


_MILLISECOND = _steps_of(1.0)


def _loop(recorder: Recorder, seconds: float) -> list[float]:
    """Compute for a millisecond and record, again and again; return microseconds of each step."""
    steps_us: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        started = _clock()
        _compute(_MILLISECOND)
        recorder(_traces[len(steps_us) % TRACES])
        steps_us.append((_clock() - started) / 1e3)
    return steps_us


def _server(recorder: Recorder, seconds: float) -> list[float]:
    """Serve requests on one event loop; return microseconds that each request took."""
    requests_us: list[float] = []

    async def serve(deadline: float) -> None:
        while time.perf_counter() < deadline:
            started = _clock()
            await asyncio.sleep(0.002)
            _compute(_MILLISECOND // 20)
            recorder(_traces[len(requests_us) % TRACES])
            await asyncio.sleep(0.002)
            requests_us.append((_clock() - started) / 1e3)

    async def main() -> None:
        deadline = time.perf_counter() + seconds
        await asyncio.gather(*(serve(deadline) for _ in range(REQUESTS)))

    asyncio.run(main())
    return requests_us


def _threads(seconds: float) -> dict[str, tuple[float, list[float]]]:
    """Record from several threads at once; return traces a second and microseconds of each, by recorder."""
    found = {}
    for name, recorder in list(RECORDERS.items())[1:]:
        samples_us: list[list[float]] = [[] for _ in range(THREADS)]
        deadline = time.perf_counter() + seconds
        threads = [
            threading.Thread(target=_record_until, args=(recorder, deadline, samples))
            for samples in samples_us
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - started
        together = [sample for samples in samples_us for sample in samples]
        found[name] = (len(together) / took_s, together)
        tracestore.flush()
    return found


def _record_until(recorder: Recorder, deadline: float, samples_us: list[float]) -> None:
    while time.perf_counter() < deadline:
        started = _clock()
        recorder(_traces[len(samples_us) % TRACES])
        samples_us.append((_clock() - started) / 1e3)


# ------------------------------------------------------------------------------------------ printing


def _print_steps(name: str, samples: dict[str, list[list[float]]]) -> None:
    bare = [percentiles(steps).median for steps in samples["bare"]]
    rows = []
    for recorder, rounds in samples.items():
        together = [step for steps in rounds for step in steps]
        slower = sorted(
            sum(steps) / len(steps) / (sum(base) / len(base))
            for steps, base in zip(rounds, samples["bare"], strict=True)
        )
        found = percentiles(together)
        rows.append(
            (
                recorder,
                number(found.median),
                number(found.p99),
                number(found.max),
                ratio(found.median, sorted(bare)[len(bare) // 2]),
                f"{slower[len(slower) // 2]:.2f}x",
            )
        )
    print_table((f"{name}, µs", "median", "p99", "max", "median slower", "all slower"), rows)


def _print_threads(found: dict[str, tuple[float, list[float]]]) -> None:
    rows = [
        (
            name,
            number(rate),
            number(percentiles(samples).median),
            number(sorted(samples)[len(samples) * 999 // 1000]),
            number(max(samples)),
        )
        for name, (rate, samples) in found.items()
    ]
    head = (f"{THREADS} threads, µs a trace", "traces/s", "median", "p99.9", "max")
    print_table(head, rows)


if __name__ == "__main__":
    main()
