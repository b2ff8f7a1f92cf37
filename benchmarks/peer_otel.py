"""The OpenTelemetry SDK as a peer: the same trace of the workload, recorded and dropped.

Payloads are encoded by msgspec, the fastest there is, because the SDK's attributes must be text. What is left is the
SDK's own cost: nothing is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.workload import ToolError, WorkloadTrace, use_tool


class DroppingExporter(SpanExporter):
    """Takes spans and drops them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Drop `spans`."""
        del spans
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(
    BatchSpanProcessor(DroppingExporter(), max_queue_size=100_000, max_export_batch_size=512)
)
tracer = provider.get_tracer("benchmarks")

_encoder = msgspec.json.Encoder()


def encode(payload: object) -> str:
    """Return `payload` as JSON text."""
    return _encoder.encode(payload).decode()


def record(trace: WorkloadTrace) -> None:
    """Record one trace of the workload."""
    start = tracer.start_as_current_span
    try:
        with start(trace.name, attributes={"span.kind": "CHAIN"}) as root:
            root.set_attribute("input", encode(trace.question))
            root.set_attributes({f"tag.{key}": value for key, value in trace.tags.items()})
            root.set_attributes({"session.id": trace.session, "user.id": trace.user})
            root.set_attributes({"request.id": trace.client_request_id, **trace.metadata})
            with start("retrieve", attributes={"span.kind": "RETRIEVER"}) as span:
                span.set_attribute("input", encode(trace.query))
                span.set_attribute("output", encode(trace.documents))
            with start("generate", attributes={"span.kind": "CHAT_MODEL"}) as span:
                span.set_attribute("input", encode(trace.prompt))
                span.set_attributes(trace.model_attributes)
                span.set_attributes(trace.usage)
                span.set_attribute("output", encode(trace.completion))
            with start(trace.tool, attributes={"span.kind": "TOOL"}) as span:
                span.set_attribute("input", encode(trace.call))
                use_tool(trace)
                span.set_attribute("output", encode(trace.result))
            root.set_attribute("output", encode(trace.answer))
    except ToolError:
        return
