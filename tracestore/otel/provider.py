"""A tracer provider of OpenTelemetry whose spans are this package's own.

Implements OpenTelemetry's API, not its SDK: a span of any instrumentor is a LiveSpan with another face, under
the innermost span that runs in either library's context, and is written as any other.
Source of the rules: https://opentelemetry.io/docs/specs/otel/trace/api/
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.util import types

from tracestore.capture.adoption import Identity, start_as
from tracestore.capture.context import current, outside
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.scope import NO_OP
from tracestore.capture.span import LiveSpan
from tracestore.otel import innermost, native
from tracestore.otel.span import Span, Unrecorded, hex_trace_id


class TracerProvider(trace_api.TracerProvider):
    """Makes tracers that record into the active store.

    Pass it to an instrumentor (`instrument(tracer_provider=…)`), or make it the global one with
    `tracestore.otel.autolog()`.
    """

    def __init__(self) -> None:
        outside.find = innermost.find

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> Tracer:
        """Return a tracer; what is given is kept with each of its spans."""
        scope = {
            "name": instrumenting_module_name or "",
            "version": instrumenting_library_version,
            "schema_url": schema_url,
            "attributes": dict(attributes) if attributes else None,
        }
        return Tracer({key: value for key, value in scope.items() if value})

    def add_span_processor(self, span_processor: object) -> None:
        """Do nothing: some instrumentors add their own. Spans go to the store and nowhere else."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what was recorded is in the file; False where the time was not enough."""
        from tracestore.runtime import runtime  # noqa: PLC0415 - opening a store is for when there is one

        return bool(runtime.store.flush(timeout_millis / 1000))

    def shutdown(self) -> None:
        """Write what is queued; recording goes on."""
        self.force_flush()


@functools.lru_cache(maxsize=1)
def tracer_provider() -> TracerProvider:
    """Return this process's tracer provider, always the same one.

    Example:
        >>> tracer = tracer_provider().get_tracer("example")
        >>> with tracer.start_as_current_span("step") as span:
        ...     span.set_attribute("answer", 42)
    """
    return TracerProvider()


class Tracer(trace_api.Tracer):
    """Starts spans of one instrumentation scope. Never raises into the traced program.

    Attributes:
        scope: Name, version and what else was said of it; kept with each span.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self._is_client = native.is_client(scope.get("name", ""))
        self._is_instrumentor = scope.get("name") in native.INSTRUMENTORS

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[trace_api.Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace_api.Span:
        """Start a span, not the current one: under the innermost span, or under the one in `context`."""
        met = native.meet(kind) if self._is_client else None
        if isinstance(met, Span):
            now_ns = time.time_ns() if start_time is None else start_time
            above = trace_api.set_span_in_context(met)
            start = functools.partial(self.start_span, name, above, start_time=now_ns)
            return native.Folded(met, attributes, start)
        if met is not None:
            return met
        parent, identity = _parent(context)
        live = start_as(identity, parent, name, start_time)
        span: Span | Unrecorded
        if isinstance(live, LiveSpan):
            span = Span(live, kind, self.scope, record_exception, set_status_on_exception)
            if attributes:
                span.set_attributes(attributes)
            for link in links or ():
                span.add_link(link.context, link.attributes)
        else:
            span = Unrecorded(identity.trace_id)
        if self._is_instrumentor:
            native.begin(span)
        return span

    def start_as_current_span(  # type: ignore[override]  # a context manager and decorator, as there
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[trace_api.Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        """Return a context manager, or decorator, that starts a span and has it current meanwhile."""
        start = functools.partial(
            self.start_span,
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )
        return CurrentSpan(start, end_on_exit=end_on_exit)


class CurrentSpan:
    """A span for the length of a block or of a decorated function's call, plain or async."""

    __slots__ = ("_end_on_exit", "_span", "_start", "_token")

    def __init__(self, start: Callable[[], trace_api.Span], *, end_on_exit: bool) -> None:
        self._start = start
        self._end_on_exit = end_on_exit

    def __enter__(self) -> trace_api.Span:
        span = self._span = self._start()
        self._token = context_api.attach(trace_api.set_span_in_context(span))
        return span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        context_api.detach(self._token)
        span = self._span
        if isinstance(span, Span):
            if exception is not None:
                span.leave_with(exception)
            if self._end_on_exit:
                span.end()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with each of its calls in a span of its own."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with CurrentSpan(self._start, end_on_exit=self._end_on_exit):
                    return await function(*args, **kwargs)

            return call_async

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with CurrentSpan(self._start, end_on_exit=self._end_on_exit):
                return function(*args, **kwargs)

        return call


_ANYWHERE = Identity()


def _parent(context: Context | None) -> tuple[LiveSpan | NoOpSpan | None, Identity]:
    """Return the span above a new one, and, where that is not ours, which trace it belongs to."""
    if context is None:
        # A context without a span, but with something in it (baggage), was made in passing: only an empty
        # one says that a new trace is wanted.
        above = trace_api.get_current_span()
        here = innermost.open_above(current.get())
    else:
        above = trace_api.get_current_span(context)
        is_here = context is context_api.get_current()
        unsaid = above is trace_api.INVALID_SPAN and bool(context)
        here = innermost.open_above(current.get()) if is_here or unsaid else None
    if above is trace_api.INVALID_SPAN:
        return here, _ANYWHERE
    live = innermost.live_of(above)
    if live is not None:
        return (live if here is None else innermost.inner(here, live)), _ANYWHERE
    remote = above.get_span_context()
    if here is not None or not remote.is_valid:
        return here, _ANYWHERE
    if remote.is_remote and not remote.trace_flags.sampled:
        return NO_OP, Identity(hex_trace_id(remote.trace_id))
    return None, Identity(hex_trace_id(remote.trace_id), None, f"{remote.span_id:016x}")
