"""How much slower is a program that records while it works?

    python -m benchmarks.contention [--seconds 3] [--rounds 5] [--quick] [--json FILE]

Programs, each bare, at the floor (it only encodes the payload of the trace), with tracestore and with the
OpenTelemetry SDK (whose spans are dropped), in turn within every round:

- a loop that computes for a millisecond and then records one trace of the workload;
- an asyncio server that is asked 200 times a second, as many requests under way as come: each waits twice, computes
  for a tenth of a millisecond and records a trace; from when it was due until it was answered;
- eight threads that do nothing but record traces: traces a second until the last call returns, and percentiles of a
  single trace.

Then one thread records traces without a pause, so that the writer is busy, and empty child spans between them are
timed. The slow-down is the ratio of the time of one step with and without recording, in the same round.

What would change our mind: a loop that is slowed by more than 1.05 plus the trace's own cost (benchmarks.overhead), or
a pause in the recording thread (p99.9 of a span) above 200 µs.
"""

from __future__ import annotations

import asyncio
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import tracestore
from benchmarks import peer_otel
from benchmarks.report import Report, number, options_of, parser, percentiles, rank, ratio
from benchmarks.workload import WorkloadTrace, record, trace_of

#: Distinct traces of the workload that are recorded over and over.
TRACES = 200
THREADS = 8
REQUESTS_A_SECOND = 200

_traces = [trace_of(index) for index in range(TRACES)]
_clock = time.perf_counter_ns

Recorder = Callable[[WorkloadTrace], object]


def _nothing(_trace: WorkloadTrace) -> None:
    """Record nothing: the bare program."""


def _encode(trace: WorkloadTrace) -> None:
    """Only encode the payload: the least that keeping it takes."""
    for payload in (trace.question, trace.answer, trace.query, trace.documents, trace.prompt,
                    trace.completion, trace.call, trace.result, trace.model_attributes):  # fmt: skip
        peer_otel.encode(payload)


RECORDERS: dict[str, Recorder] = {
    "bare": _nothing,
    "floor: encoding": _encode,
    "tracestore": record,
    "OpenTelemetry SDK": peer_otel.record,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    of = parser("contention", __doc__)
    of.add_argument("--seconds", type=float, default=3.0, help="of each program in each round")
    of.add_argument("--rounds", type=int, default=5)
    options = options_of(of, arguments, seconds=0.8, rounds=2)
    question = "How much slower is a program that records while it works?"
    with (
        Report("contention", question, options) as report,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "contention.db")))
        for name, key, program in (
            ("loop of 1 ms", "loop", _loop),
            ("asyncio server", "server", _server),
        ):
            _report_steps(report, name, key, _rounds(program, options.rounds, options.seconds))
        _report_threads(report, _threads(options.seconds))
        _report_pauses(report, _pauses(options.seconds))
        report.note(f"spans dropped: {tracestore.stats()['dropped']}")


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
    """Answer requests that come at a steady rate on one event loop; return microseconds that each took."""
    requests_us: list[float] = []

    async def answer(index: int, due_ns: int) -> None:
        await asyncio.sleep(0.002)
        _compute(_MILLISECOND // 10)
        recorder(_traces[index % TRACES])
        await asyncio.sleep(0.002)
        requests_us.append((_clock() - due_ns) / 1e3)

    async def main() -> None:
        began_ns, pause_ns = _clock(), 1_000_000_000 // REQUESTS_A_SECOND
        tasks = []
        for index in range(max(1, round(seconds * REQUESTS_A_SECOND))):
            due_ns = began_ns + index * pause_ns
            await asyncio.sleep(max(0, due_ns - _clock()) / 1e9)
            tasks.append(asyncio.create_task(answer(index, due_ns)))
        await asyncio.gather(*tasks)

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


def _pauses(seconds: float) -> list[float]:
    """Record traces without a pause; return microseconds of empty child spans between them."""
    samples_us: list[float] = []
    deadline = time.perf_counter() + 2 * seconds
    with tracestore.start_span("between"):
        while time.perf_counter() < deadline:
            record(_traces[len(samples_us) % TRACES])
            started = _clock()
            with tracestore.start_span("step"):
                pass
            samples_us.append((_clock() - started) / 1e3)
    tracestore.flush()
    return samples_us


# ------------------------------------------------------------------------------------------ printing


def _report_steps(
    report: Report, name: str, key: str, samples: dict[str, list[list[float]]]
) -> None:
    together = {
        each: [step for steps in rounds for step in steps] for each, rounds in samples.items()
    }
    bare = percentiles(together["bare"])
    rows = []
    for recorder, rounds in samples.items():
        found = percentiles(together[recorder])
        slower = sorted(
            sum(steps) / len(steps) / (sum(base) / len(base))
            for steps, base in zip(rounds, samples["bare"], strict=True)
        )[len(rounds) // 2]
        rows.append(
            (recorder, number(found.median), number(found.p99), number(found.max),
             ratio(found.median, bare.median), ratio(found.p99, bare.p99), f"{slower:.2f}x")
        )  # fmt: skip
        if recorder == "tracestore":
            report.figures(
                **{
                    f"{key}_slower": found.median / bare.median,
                    f"{key}_all_slower": slower,
                    f"{key}_p50_us": found.median,
                    f"{key}_p99_us": found.p99,
                    f"{key}_bare_p99_us": bare.p99,
                }
            )
    head = (f"{name}, µs", "median", "p99", "max", "median slower", "p99 slower", "all slower")
    report.table(head, rows)


def _report_threads(report: Report, found: dict[str, tuple[float, list[float]]]) -> None:
    rows = [
        (
            name,
            number(rate),
            number(percentiles(samples).median),
            number(percentiles(samples).p99),
            number(rank(samples, 99.9)),
            number(max(samples)),
        )
        for name, (rate, samples) in found.items()
    ]
    head = (f"{THREADS} threads, µs a trace", "traces/s", "median", "p99", "p99.9", "max")
    report.table(head, rows)
    report.figures(threads_per_s=found["tracestore"][0])


def _report_pauses(report: Report, samples_us: list[float]) -> None:
    found = percentiles(samples_us)
    cells = (found.median, found.p99, rank(samples_us, 99.9), found.max)
    head = ("the writer busy, µs", "median", "p99", "p99.9", "max", "spans")
    row = ("empty child span", *(number(cell) for cell in cells), f"{len(samples_us):,}")
    report.table(head, [row])
    report.figures(span_busy_writer_p999_us=cells[2])


if __name__ == "__main__":
    main()
