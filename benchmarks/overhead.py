"""What does a span cost the thread that records it?

    python -m benchmarks.overhead [--rounds 40] [--calls 250] [--busy 12000]

Times each call by itself, in blocks: the contenders take turns within every round, so that all meet the same
machine, and what a block has queued is flushed outside the measurement. One row has a writer that works
meanwhile. Floor: set and reset a context variable and read the clock twice, the least that a span which nests
can do. Peer: the OpenTelemetry SDK with its BatchSpanProcessor and an exporter that drops everything; its
payloads are encoded by msgspec, the fastest there is, because its attributes must be text.

Figures are microseconds and include the timer, which has a row of its own.

What would change our mind: an empty child span above 2.5 µs, or less than 5 times below the OpenTelemetry SDK;
a p99 that the program would notice.
"""

from __future__ import annotations

import argparse
import contextvars
import pathlib
import tempfile
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=250)
    parser.add_argument(
        "--busy", type=int, default=12_000, help="spans at once, so that the writer works"
    )
    options = parser.parse_args(arguments)
    print_header("What does a span cost the thread that records it?")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "overhead.db")))
        children = _measured((timer, floor, empty_span, empty_span_of_peer, call_decorated,
                              call_decorated_by_peer), options, nested=True)  # fmt: skip
        wholes = _measured(
            (encoding, whole_trace_without_recorder, whole_trace, whole_trace_of_peer),
            options,
            nested=False,
        )
        busy_us = _busy(options.busy)
        dropped = tracestore.stats()["dropped"]
    _print_spans(children, busy_us)
    _print_traces(wholes)
    print(f"spans dropped: {dropped}; {load_average()}")


def _measured(
    contenders: Sequence[Callable[[int], None]], options: argparse.Namespace, *, nested: bool
) -> dict[str, list[float]]:
    """Return microseconds of each call by contender; the first round, which warms up, is left out."""
    samples: dict[str, list[float]] = {contender.__name__: [] for contender in contenders}
    for round_ in range(options.rounds + 1):
        for contender in contenders:
            block = (
                _block_in_span(contender, options.calls)
                if nested
                else _block(contender, options.calls)
            )
            tracestore.flush()
            peer_otel.provider.force_flush()
            if round_:
                samples[contender.__name__] += block
    return samples


def _block(call: Callable[[int], None], calls: int) -> list[float]:
    samples = []
    for index in range(calls):
        started = _clock()
        call(index)
        samples.append((_clock() - started) / 1e3)
    return samples


def _block_in_span(call: Callable[[int], None], calls: int) -> list[float]:
    """Time calls within a span of either library."""
    with tracestore.start_span("round"), peer_otel.tracer.start_as_current_span("round"):
        return _block(call, calls)


def _busy(spans: int) -> list[float]:
    """Time empty child spans that come so fast that the writer works all the time."""
    samples = _block_in_span(empty_span, spans)
    tracestore.flush()
    return samples


# ------------------------------------------------------------------------------------------ printing


def _print_spans(samples: dict[str, list[float]], busy_us: Sequence[float]) -> None:
    base = percentiles(samples["floor"]).median
    peers = {"empty_span": "empty_span_of_peer", "call_decorated": "call_decorated_by_peer"}
    names = {
        "timer": "the timer itself",
        "floor": "floor: context variable, two clocks",
        "empty_span": "empty child span",
        "empty_span_of_peer": "empty child span, OpenTelemetry SDK",
        "call_decorated": "decorated call, argument and result recorded",
        "call_decorated_by_peer": "decorated call, OpenTelemetry SDK, nothing recorded",
    }
    rows = [
        _row(
            text,
            samples[name],
            ratio(percentiles(samples[name]).median, base),
            _times_below(samples, name, peers.get(name)),
        )
        for name, text in names.items()
    ]
    rows.append(_row(f"empty child span, {len(busy_us):,} at once: busy writer", busy_us, "", ""))
    print_table(("one span, µs", "median", "p90", "p99", "max", "of floor", "below peer"), rows)


def _print_traces(samples: dict[str, list[float]]) -> None:
    base = percentiles(samples["encoding"]).median
    names = {
        "encoding": "floor: encoding its payload",
        "whole_trace": "a trace of the workload",
        "whole_trace_without_recorder": "the same, recorder off",
        "whole_trace_of_peer": "the same, OpenTelemetry SDK",
    }
    rows = [
        _row(
            text,
            samples[name],
            ratio(percentiles(samples[name]).median, base),
            _times_below(samples, name, "whole_trace_of_peer" if name == "whole_trace" else None),
        )
        for name, text in names.items()
    ]
    recorder_us = (
        percentiles(samples["whole_trace"]).median
        - percentiles(samples["whole_trace_without_recorder"]).median
    )
    rows.append(("the recorder: difference of the medians", number(recorder_us), *[""] * 5))
    print_table(("whole trace, µs", "median", "p90", "p99", "max", "of floor", "below peer"), rows)


def _times_below(samples: dict[str, list[float]], name: str, peer: str | None) -> str:
    if peer is None:
        return ""
    return ratio(percentiles(samples[peer]).median, percentiles(samples[name]).median)


def _row(text: str, samples_us: Sequence[float], of_floor: str, below_peer: str) -> tuple[str, ...]:
    return (text, *(number(value) for value in percentiles(samples_us)), of_floor, below_peer)


if __name__ == "__main__":
    main()
