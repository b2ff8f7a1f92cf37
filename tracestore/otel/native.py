"""Clients that trace themselves, where an instrumentor traces the same calls: one span for each call.

Such a client makes spans for the global tracer provider unasked, beside the instrumentor's. The instrumentor's
span is the one that is recorded, because it has the content; what the client alone says is added to it.
"""

from __future__ import annotations

import contextvars
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.trace import SpanKind
from opentelemetry.util import types

from tracestore.capture.span import LiveSpan
from tracestore.conventions.rules import MARKERS
from tracestore.otel.span import Span, Unrecorded

#: Instrumentation scope of the client that traces itself; a client for one platform has its name after a dot.
#: Source: `INSTRUMENTATION_SCOPE` in anthropic/_tracing.py of anthropic 2.11.0.
CLIENT = "com.anthropic.sdk.python"

#: Scopes of the instrumentors that trace that client's calls. Source: their calls of `get_tracer`.
INSTRUMENTORS = frozenset(
    {
        "openinference.instrumentation.anthropic",
        "opentelemetry.instrumentation.anthropic",
        "logfire.anthropic",
    }
)

#: The attribute that says that a call's tokens were counted.
TOKENS_KEY = "gen_ai.usage.output_tokens"

#: The span that an instrumentor started last in this context and no client's span has met: one or none. Weak,
#: because where the client has no tracing nobody ever asks.
_begun: contextvars.ContextVar[list[weakref.ref[trace_api.Span]] | None] = contextvars.ContextVar(
    "tracestore_call_begun", default=None
)


def is_client(scope: str) -> bool:
    """Whether the client itself makes the spans of this scope."""
    return scope == CLIENT or scope.startswith(f"{CLIENT}.")


def begin(span: trace_api.Span) -> None:
    """Take note of an instrumentor's span: the call that it is about comes next in this context."""
    _begun.set([weakref.ref(span)])


def meet(kind: SpanKind) -> trace_api.Span | None:
    """Return the instrumentor's span of the call that a client starts a span for, None where there is none.

    Each is returned once: it has one call, whose retries are the client's own business.
    """
    begun = _begun.get()
    if kind is not SpanKind.CLIENT or not begun:
        return None
    try:
        span = begun.pop()()
    except IndexError:  # another task of the same context was faster
        return None
    if span is None or isinstance(span, Unrecorded):
        return span
    return span if span.is_recording() else None


def add(live: LiveSpan, attributes: types.Attributes) -> None:
    """Add to an instrumentor's span what it does not say; nothing that `conventions` reads, which it says itself."""
    for key, value in (attributes or {}).items():
        if key not in MARKERS and value is not None:
            live.set_attribute(key, value)


def is_alone(live: LiveSpan, attributes: Mapping[str, Any]) -> bool:
    """Whether only the client counted tokens: the instrumentor's span ended without, before a raw stream was read."""
    return live.end_time_ns is not None and TOKENS_KEY in attributes and not live.used()[0]


class Folded(trace_api.NonRecordingSpan):
    """A client's span of a call that an instrumentor's span records: what it alone says is added there.

    Args:
        span: The instrumentor's.
        attributes: What the client says at the start.
        start: Makes the client's span after all, where it turns out to be the only one with tokens.
    """

    def __init__(
        self, span: Span, attributes: types.Attributes, start: Callable[[], trace_api.Span]
    ) -> None:
        super().__init__(span.get_span_context())
        self.live = span.live
        self._has_ended = False
        self._said: dict[str, types.AttributeValue] = {}
        self._start = start
        self.set_attributes(attributes or {})

    def is_recording(self) -> bool:
        """Whether the client has not ended it: it asks before it says what came back."""
        return not self._has_ended

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        """Record one attribute with the instrumentor's span."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        """Record several attributes with the instrumentor's span."""
        self._said.update(attributes)
        if isinstance(self.live, LiveSpan):
            add(self.live, attributes)

    def end(self, end_time: int | None = None) -> None:
        """Leave the instrumentor to end its span; where that has ended without tokens, record this one below it."""
        if (
            not self._has_ended
            and isinstance(self.live, LiveSpan)
            and is_alone(self.live, self._said)
        ):
            span = self._start()
            span.set_attributes(self._said)
            span.end(end_time)
        self._has_ended = True
