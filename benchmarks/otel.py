"""What does a span of OpenTelemetry cost through our provider, and through its SDK with a batch processor?

    python -m benchmarks.otel [--rounds 30] [--calls 250] [--quick] [--json FILE]

The contenders take turns within every round: our native span, a span of OpenTelemetry's API through our provider
(written to the file), through the SDK with its BatchSpanProcessor and an exporter that drops everything, and
through the SDK with our SpanProcessor. Each is an empty child span and one with a model call's ten attributes.

What would change our mind: a span through our provider that costs more than the SDK's, which keeps nothing.
"""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

import tracestore
from benchmarks.report import Report, number, options_of, parser, percentiles, ratio
from tracestore.otel import SpanProcessor, tracer_provider

ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4",
    "gen_ai.response.model": "gpt-4-2025",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.usage.input_tokens": 11,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "why?"}]}]',
    "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "so"}]}]',
    "gen_ai.response.finish_reasons": ("stop",),
}


class DroppingExporter(SpanExporter):
    """Takes spans and drops them: what is left is the SDK's own cost."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Drop `spans`."""
        del spans
        return SpanExportResult.SUCCESS


def _native(attributes: dict[str, object]) -> Callable[[], None]:
    def call() -> None:
        with tracestore.start_span("step") as span:
            for key, value in attributes.items():
                span.set_attribute(key, value)

    return call


def _through(tracer: Tracer, attributes: dict[str, object]) -> Callable[[], None]:
    def call() -> None:
        with tracer.start_as_current_span("step") as span:
            for key, value in attributes.items():
                span.set_attribute(key, value)  # type: ignore[arg-type]  # values of attributes

    return call


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    of = parser("otel", __doc__)
    of.add_argument("--rounds", type=int, default=30)
    of.add_argument("--calls", type=int, default=250)
    options = options_of(of, arguments, rounds=10, calls=150)
    with Report("otel", "What does a span of OpenTelemetry cost?", options) as report:
        _compare(report, options.rounds, options.calls)


def _compare(report: Report, rounds: int, calls: int) -> None:
    sdk, beside = TracerProvider(), TracerProvider()
    sdk.add_span_processor(BatchSpanProcessor(DroppingExporter(), max_queue_size=100_000))
    beside.add_span_processor(SpanProcessor())
    ours = tracer_provider().get_tracer("benchmarks")
    peer = sdk.get_tracer("benchmarks")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "otel.db")))
        for title, attributes in (("empty child span", {}), ("with ten attributes", ATTRIBUTES)):
            contenders = {
                "SDK, batch processor, dropped": (peer, _through(peer, attributes)),
                "our native span": (None, _native(attributes)),
                "through our provider": (ours, _through(ours, attributes)),
                "SDK with our SpanProcessor": (
                    beside.get_tracer("benchmarks"),
                    _through(beside.get_tracer("benchmarks"), attributes),
                ),
            }
            samples = _measured(contenders, rounds, calls)
            sdk.force_flush()
            _report(report, title, samples)


def _measured(
    contenders: dict[str, tuple[Tracer | None, Callable[[], None]]], rounds: int, calls: int
) -> dict[str, list[float]]:
    """Return microseconds of each call; the first round, which warms up, is left out."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, (tracer, call) in contenders.items():
            root = (
                tracestore.start_span("round")
                if tracer is None
                else tracer.start_as_current_span("round")
            )
            found = []
            with contextlib.ExitStack() as stack:
                stack.enter_context(root)
                for _ in range(calls):
                    started = time.perf_counter_ns()
                    call()
                    found.append((time.perf_counter_ns() - started) / 1e3)
            tracestore.flush()
            if round_:
                samples[name] += found
    return samples


def _report(report: Report, title: str, samples: dict[str, list[float]]) -> None:
    base = percentiles(next(iter(samples.values()))).median
    rows = []
    for name, found in samples.items():
        at = percentiles(found)
        rows.append((name, *(number(value) for value in at), ratio(at.median, base)))
    report.table((f"{title}, µs", "median", "p90", "p99", "max", "of the SDK"), rows)
    key = "otel_span" if title.startswith("empty") else "otel_ten_attributes"
    ours = percentiles(samples["through our provider"]).median
    report.figures(**{f"{key}_us": ours, f"{key}_of_sdk": ours / base})


if __name__ == "__main__":
    main()
