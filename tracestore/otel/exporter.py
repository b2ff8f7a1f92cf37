"""An exporter for an application's own OpenTelemetry SDK: what its processor hands over goes into the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import export as sdk

from tracestore.arguments import checked
from tracestore.capture import environment
from tracestore.otel.readable import foreign_span
from tracestore.otlp.gathering import Gathering
from tracestore.otlp.incoming import understand
from tracestore.runtime import runtime
from tracestore.storage.record_rows import size_bytes
from tracestore.store import Store

#: Traces of which spans may still come; older ones begin anew where one does.
OPEN_TRACES = 10_000


class SpanExporter(sdk.SpanExporter):
    """Records ended spans, beside whatever else the application does with them.

    Goes with the SDK's processors: `provider.add_span_processor(BatchSpanProcessor(SpanExporter()))`.
    `SpanProcessor` does more: it also records spans that still run, and nests with `@trace`.

    Args:
        store: Where to; default the active store.
    """

    @checked
    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._gathering = Gathering(
            runtime.recording_experiment, environment.metadata(), OPEN_TRACES
        )

    def export(self, spans: Sequence[ReadableSpan]) -> sdk.SpanExportResult:
        """Hand spans to the writer; never raises."""
        try:
            foreign = [found for span in spans if (found := foreign_span(span)) is not None]
            understood = [understand(span) for span in foreign]
            writer = (self._store or runtime.store).writer
            with self._lock:
                for trace in self._gathering.add(understood):
                    writer.put(trace)
                for span in understood:
                    writer.put(span.record, size_bytes(span.record))
        except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
            runtime.failed("an exported span", error)
            return sdk.SpanExportResult.FAILURE
        return sdk.SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what was handed over is in the file."""
        return bool((self._store or runtime.store).flush(timeout_millis / 1000))

    def shutdown(self) -> None:
        """Wait until what was handed over is in the file."""
        self.force_flush()
