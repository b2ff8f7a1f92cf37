"""What does a span cost the thread that records it?

    python -m benchmarks.overhead [--rounds 40] [--calls 250] [--busy 12000] [--quick] [--json FILE]

Times each call by itself, in blocks: the contenders take turns within every round, so that all meet the same
machine, and what a block has queued is flushed outside the measurement. One row has a writer that works
meanwhile. Floor: set and reset a context variable and read the clock twice, the least that a span which nests
can do. Peer: the OpenTelemetry SDK with its BatchSpanProcessor and an exporter that drops everything; its
payloads are encoded by msgspec, the fastest there is, because its attributes must be text. Peers that are
installed (`python -m benchmarks.peers`) take their turns in processes of their own.

Figures are microseconds and include the timer, which has a row of its own.

What would change our mind: an empty child span above 2.5 µs, or less than 5 times below the OpenTelemetry SDK;
a p99 that the program would notice.
"""

from __future__ import annotations

import contextlib
import contextvars
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence

import tracestore
from benchmarks import peer_otel, peers
from benchmarks.report import Report, number, options_of, parser, percentiles, rank, ratio
from benchmarks.workload import record, trace_of
from tracestore.runtime import runtime

#: Distinct traces of the workload that are recorded over and over.
TRACES = 200

_clock = time.perf_counter_ns


# ------------------------------------------------------------------------------------------ what is timed

_current: contextvars.ContextVar[object] = contextvars.ContextVar(
    "benchmarks_current", default=None
)


def timer(_index: int) -> None:
    """Do nothing."""


def floor(_index: int) -> None:
    """Do the least that a span which nests can do."""
    token = _current.set(None)
    _clock()
    _clock()
    _current.reset(token)


def empty_span(_index: int) -> None:
    """Record an empty child span."""
    with tracestore.start_span("step"):
        pass


def empty_span_of_peer(_index: int) -> None:
    """Record an empty child span with the OpenTelemetry SDK."""
    with peer_otel.tracer.start_as_current_span("step"):
        pass


@tracestore.trace
def decorated(question: str) -> str:
    """Return the argument; the span records both."""
    return question


@peer_otel.tracer.start_as_current_span("decorated_by_peer")
def decorated_by_peer(question: str) -> str:
    """Return the argument; the SDK's decorator records neither."""
    return question


def call_decorated(_index: int) -> None:
    """Call a decorated function with one argument."""
    decorated("why?")


def call_decorated_by_peer(_index: int) -> None:
    """Call a function decorated by the OpenTelemetry SDK."""
    decorated_by_peer("why?")


def whole_trace(index: int) -> None:
    """Record one trace of the workload."""
    record(_traces[index % TRACES])


def whole_trace_without_recorder(index: int) -> None:
    """Record the same trace with nothing kept for the case of a kill."""
    writer = runtime.store.writer
    recorder, writer.recorder = writer.recorder, None
    try:
        record(_traces[index % TRACES])
    finally:
        writer.recorder = recorder


def whole_trace_of_peer(index: int) -> None:
    """Record the same trace with the OpenTelemetry SDK."""
    peer_otel.record(_traces[index % TRACES])


def encoding(index: int) -> None:
    """Encode the payload of one trace and nothing else."""
    trace = _traces[index % TRACES]
    for payload in (trace.question, trace.answer, trace.query, trace.documents, trace.prompt,
                    trace.completion, trace.call, trace.result, trace.model_attributes):  # fmt: skip
        peer_otel.encode(payload)


_traces = [trace_of(index) for index in range(TRACES)]


# ------------------------------------------------------------------------------------------ how it is timed

#: Times so many calls, one by one; returns microseconds of each.
Block = Callable[[int], list[float]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    of = parser("overhead", __doc__)
    of.add_argument("--rounds", type=int, default=40)
    of.add_argument("--calls", type=int, default=250)
    of.add_argument("--busy", type=int, default=12_000, help="spans at once: the writer works")
    options = options_of(of, arguments, rounds=12, calls=150, busy=6_000)
    with (
        Report("overhead", "What does a span cost the thread that records it?", options) as report,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as stack,
    ):
        others = [stack.enter_context(peer) for peer in peers.installed()]
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "overhead.db")))
        spans = _measured(_of_one_span(others), options.rounds, options.calls)
        traces = _measured(_of_whole_traces(others), options.rounds, options.calls)
        busy_us = _busy(options.busy)
        dropped = tracestore.stats()["dropped"]
        _report_spans(report, spans, busy_us)
        _report_traces(report, traces)
        report.figures(overhead_dropped_spans=dropped)
        report.note(f"spans dropped: {dropped}")


def _of_one_span(others: Sequence[peers.Peer]) -> dict[str, Block]:
    return {
        "the timer itself": _in_span(timer),
        "floor: context variable, two clocks": _in_span(floor),
        EMPTY: _in_span(empty_span),
        f"{EMPTY}, {OTEL}": _in_span(empty_span_of_peer),
        **{f"{EMPTY}, {peer.name}": peer.block("span") for peer in others},
        DECORATED: _in_span(call_decorated),
        f"decorated call, {OTEL}, nothing recorded": _in_span(call_decorated_by_peer),
        **{f"decorated call, {peer.name}": peer.block("call") for peer in others},
    }


def _of_whole_traces(others: Sequence[peers.Peer]) -> dict[str, Block]:
    return {
        "floor: encoding its payload": _block(encoding),
        f"{WHOLE}, recorder off": _block(whole_trace_without_recorder),
        WHOLE: _block(whole_trace),
        f"{WHOLE}, {OTEL}": _block(whole_trace_of_peer),
        **{f"{WHOLE}, {peer.name}": peer.block("trace") for peer in others},
    }


EMPTY, DECORATED = "empty child span", "decorated call, argument and result recorded"
WHOLE, OTEL = "a trace of the workload", "OpenTelemetry SDK"


def _measured(blocks: dict[str, Block], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return microseconds of each call by contender; the first round, which warms up, is left out."""
    samples: dict[str, list[float]] = {name: [] for name in blocks}
    for round_ in range(rounds + 1):
        for name, block in blocks.items():
            found = block(calls)
            tracestore.flush()
            peer_otel.provider.force_flush()
            if round_:
                samples[name] += found
    return samples


def _block(call: Callable[[int], None]) -> Block:
    def block(calls: int) -> list[float]:
        samples = []
        for index in range(calls):
            started = _clock()
            call(index)
            samples.append((_clock() - started) / 1e3)
        return samples

    return block


def _in_span(call: Callable[[int], None]) -> Block:
    """Return what times calls within a span of either library."""
    timed = _block(call)

    def block(calls: int) -> list[float]:
        with tracestore.start_span("round"), peer_otel.tracer.start_as_current_span("round"):
            return timed(calls)

    return block


def _busy(spans: int) -> list[float]:
    """Time empty child spans that come so fast that the writer works all the time."""
    samples = _in_span(empty_span)(spans)
    tracestore.flush()
    return samples


# ------------------------------------------------------------------------------------------ printing


def _report_spans(
    report: Report, samples: dict[str, list[float]], busy_us: Sequence[float]
) -> None:
    medians = {name: percentiles(found).median for name, found in samples.items()}
    rows = _rows(samples, "floor: context variable, two clocks")
    rows.append(_row(f"{EMPTY}, {len(busy_us):,} at once: busy writer", busy_us, "", ""))
    report.table(("one span, µs", "median", "p90", "p99", "max", "of floor", "ours below"), rows)
    report.figures(
        span_us=medians[EMPTY],
        span_floor_us=medians["floor: context variable, two clocks"],
        span_otel_us=medians[f"{EMPTY}, {OTEL}"],
        span_below_otel=medians[f"{EMPTY}, {OTEL}"] / medians[EMPTY],
        call_us=medians[DECORATED],
        call_below_otel=medians[f"decorated call, {OTEL}, nothing recorded"] / medians[DECORATED],
        span_busy_p999_us=rank(busy_us, 99.9),
    )


def _report_traces(report: Report, samples: dict[str, list[float]]) -> None:
    medians = {name: percentiles(found).median for name, found in samples.items()}
    rows = _rows(samples, "floor: encoding its payload")
    recorder_us = medians[WHOLE] - medians[f"{WHOLE}, recorder off"]
    rows.append(("the recorder: difference of the medians", number(recorder_us), *[""] * 5))
    report.table(("whole trace, µs", "median", "p90", "p99", "max", "of floor", "ours below"), rows)
    report.figures(
        trace_us=medians[WHOLE],
        trace_without_recorder_us=medians[f"{WHOLE}, recorder off"],
        trace_floor_us=medians["floor: encoding its payload"],
        trace_otel_us=medians[f"{WHOLE}, {OTEL}"],
        trace_below_otel=medians[f"{WHOLE}, {OTEL}"] / medians[WHOLE],
    )


def _rows(samples: dict[str, list[float]], floor_name: str) -> list[tuple[str, ...]]:
    """Return a row for each contender; a peer's last cell says how many times ours is below it."""
    base = percentiles(samples[floor_name]).median
    ours = {"empty": EMPTY, "decorated": DECORATED, "a trace": WHOLE}
    rows = []
    for name, found in samples.items():
        median = percentiles(found).median
        mine = next((text for start, text in ours.items() if name.startswith(start)), name)
        is_peer = name != mine and "recorder off" not in name
        below = ratio(median, percentiles(samples[mine]).median) if is_peer else ""
        rows.append(_row(name, found, ratio(median, base), below))
    return rows


def _row(text: str, samples_us: Sequence[float], of_floor: str, below_peer: str) -> tuple[str, ...]:
    return (text, *(number(value) for value in percentiles(samples_us)), of_floor, below_peer)


if __name__ == "__main__":
    main()
