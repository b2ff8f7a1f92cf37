"""Which span is innermost, where two libraries have a context each.

OpenTelemetry keeps its current span in a context variable of its own, which this package neither replaces nor
writes to: it is asked. Of two spans of the same trace the inner one is below the other; of two traces, the
later.
"""

from __future__ import annotations

from opentelemetry import trace as trace_api

from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.otel.native import Folded
from tracestore.otel.span import Span, Unrecorded

#: Spans that a SpanProcessor records beside another provider, by OpenTelemetry's trace and span ids.
mirrors: dict[tuple[int, int], LiveSpan | NoOpSpan] = {}


def find(here: LiveSpan | NoOpSpan | None) -> LiveSpan | NoOpSpan | None:
    """Return the innermost span, where `here` is that of this package's own context."""
    running = open_above(here)
    there = trace_api.get_current_span()
    live = None if there is trace_api.INVALID_SPAN else live_of(there)
    if live is None:
        return (
            running or here
        )  # what outlives its root is a late child of it, as without OpenTelemetry
    return live if running is None else inner(running, live)


def open_above(
    span: LiveSpan | NoOpSpan | None,
) -> LiveSpan | NoOpSpan | None:
    """Return the span, or the first one above it that has not ended."""
    while isinstance(span, LiveSpan) and span.end_time_ns is not None:
        span = span.parent
    return span


def live_of(span: trace_api.Span) -> LiveSpan | NoOpSpan | None:
    """Return what records `span` in this process, None where nothing does."""
    if isinstance(span, (Span, Unrecorded, Folded)):  # also where another library has wrapped it
        return span.live
    context = span.get_span_context()
    return mirrors.get((context.trace_id, context.span_id))


def inner(one: LiveSpan | NoOpSpan, other: LiveSpan | NoOpSpan) -> LiveSpan | NoOpSpan:
    """Return the inner one of two spans that are both current; one that is not recorded wins."""
    if one is other or isinstance(one, NoOpSpan):
        return one
    if isinstance(other, NoOpSpan) or one.encloses(other):
        return other
    if other.encloses(one):
        return one
    return one if one.start_time_ns >= other.start_time_ns else other
