"""A span processor for an application's own OpenTelemetry SDK: each of its spans is recorded while it runs.

Records under the same ids that the application's other exporters see. A span is in the file as open after a
second, and nests with `@trace` either way. The application's provider stays what it is.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk

from tracestore.capture.adoption import Identity, start_as
from tracestore.capture.context import current, outside
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.entities import Link, SpanEvent, SpanStatus, SpanStatusCode
from tracestore.otel import innermost, native
from tracestore.otel.readable import details, plain_attributes
from tracestore.otel.span import DETAILS_KEY, hex_trace_id
from tracestore.runtime import runtime

#: Spans of the SDK that run at most; those beyond that are not recorded.
MAX_MIRRORS = 100_000


class SpanProcessor(sdk.SpanProcessor):
    """Records every span of the provider it is added to: `provider.add_span_processor(SpanProcessor())`.

    Of a call that both an instrumentor and the client itself make a span for, the instrumentor's is recorded.

    Args:
        scope: Only spans of this instrumentation scope and of those below it, after a dot; default all.
    """

    def __init__(self, scope: str | None = None) -> None:
        #: False: what starts from now on is not recorded.
        self.is_recording = True
        self._scope = scope
        outside.find = innermost.find

    def on_start(self, span: sdk.Span, parent_context: context_api.Context | None = None) -> None:
        """Begin to record a span; never raises."""
        try:
            self._start(span, parent_context)
        except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
            runtime.failed("a span of OpenTelemetry", error)

    def _start(self, span: sdk.Span, parent_context: context_api.Context | None) -> None:
        context = span.get_span_context()
        key = context.trace_id, context.span_id
        scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
        if not self._takes(scope) or key in innermost.mirrors:
            return
        if native.is_client(scope):
            met = native.meet(span.kind)
            live = None if met is None else innermost.live_of(met)
            if live is not None:
                innermost.mirrors[key] = live
                return
        parent = _above(span, parent_context)
        identity = Identity(
            hex_trace_id(context.trace_id),
            f"{context.span_id:016x}",
            None if span.parent is None else f"{span.parent.span_id:016x}",
        )
        root = {"metadata": {"otel.resource": _resource(span)}} if parent is None else None
        live = start_as(identity, parent, span.name, span.start_time, root)
        if isinstance(live, LiveSpan):
            live.set_attributes(plain_attributes(span.attributes))
        innermost.mirrors[key] = live
        if scope in native.INSTRUMENTORS:
            native.begin(span)

    def _takes(self, scope: str) -> bool:
        return (
            self.is_recording
            and len(innermost.mirrors) < MAX_MIRRORS
            and (self._scope is None or scope == self._scope or scope.startswith(f"{self._scope}."))
        )

    def on_end(self, span: sdk.ReadableSpan) -> None:
        """End the recording of a span; never raises."""
        context = span.get_span_context()
        if context is None:
            return
        live = innermost.mirrors.pop((context.trace_id, context.span_id), None)
        if isinstance(live, LiveSpan):
            try:
                if live.span_id == f"{context.span_id:016x}":
                    _finish(live, span)
                else:  # of a client whose call an instrumentor's span records
                    _fold(live, span)
            except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
                runtime.failed("a span of OpenTelemetry", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what was recorded is in the file."""
        return bool(runtime.store.flush(timeout_millis / 1000))

    def shutdown(self) -> None:
        """Wait until what was recorded is in the file."""
        self.force_flush()


def _above(
    span: sdk.Span, parent_context: context_api.Context | None
) -> LiveSpan | NoOpSpan | None:
    """Return the span of ours that `span` is under, whichever library's context has it."""
    here = current.get() if _is_here(parent_context) else None
    if span.parent is None:
        return here
    mirror = innermost.mirrors.get((span.parent.trace_id, span.parent.span_id))
    if mirror is None:
        return here
    return mirror if here is None else innermost.inner(here, mirror)


def _is_here(context: context_api.Context | None) -> bool:
    """Whether a context is the current one, or says nothing about spans."""
    if context is None or context is context_api.get_current():
        return True
    return bool(context) and trace_api.get_current_span(context) is trace_api.INVALID_SPAN


def _resource(span: sdk.Span) -> str:
    from tracestore.encoding import encode_text  # noqa: PLC0415 - roots only

    return encode_text(plain_attributes(span.resource.attributes))


def _details(live: LiveSpan, span: sdk.ReadableSpan) -> dict[str, Any]:
    """Return what is kept in `otel.span`, with the trace id that other exporters see where ours is another."""
    found, context = details(span), span.get_span_context()
    if context is not None and hex_trace_id(context.trace_id) != live.trace_id:
        found["trace_id"] = f"{context.trace_id:032x}"
    return found


def _fold(live: LiveSpan, span: sdk.ReadableSpan) -> None:
    """Add a client's span to the instrumentor's, or record it below, where it alone has tokens."""
    attributes = plain_attributes(span.attributes)
    native.add(live, attributes)
    if native.is_alone(live, attributes):
        own = start_as(Identity(), live, span.name, span.start_time)
        if isinstance(own, LiveSpan):
            _finish(own, span)


def _finish(live: LiveSpan, span: sdk.ReadableSpan) -> None:
    if live.name != span.name:
        if live.trace.root is live and live.trace.name == live.name:
            live.trace.name = span.name
        live.name = span.name
    live.set_attributes(plain_attributes(span.attributes))
    live.set_attribute(DETAILS_KEY, _details(live, span))
    for event in span.events:
        live.add_event(SpanEvent(event.name, event.timestamp, plain_attributes(event.attributes)))
    for link in span.links:
        trace_id, span_id = hex_trace_id(link.context.trace_id), f"{link.context.span_id:016x}"
        live.add_link(Link(trace_id, span_id, plain_attributes(link.attributes) or None))
    status = span.status.status_code.name
    if status != "UNSET":
        live.set_status(SpanStatus(SpanStatusCode[status], span.status.description or ""))
    live.end(end_time_ns=span.end_time)
