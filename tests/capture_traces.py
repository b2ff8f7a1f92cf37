"""Reads back what a test recorded."""

from __future__ import annotations

from tracestore.entities import Span, Trace
from tracestore.store import Store


def all_traces(store: Store) -> list[Trace]:
    """Return every trace, oldest first."""
    traces = store.search_traces(max_results=None)
    return sorted(traces, key=lambda trace: trace.data.spans[0].start_time_ns)


def only_trace(store: Store) -> Trace:
    """Return the trace; there must be exactly one."""
    [trace] = all_traces(store)
    return trace


def only_span(store: Store) -> Span:
    """Return the span of the one trace that there must be."""
    [span] = only_trace(store).data.spans
    return span


def named(trace: Trace, name: str) -> Span:
    """Return the span of that name; there must be exactly one."""
    [span] = trace.search_spans(name=name)
    return span


def shape(trace: Trace) -> set[tuple[str | None, str]]:
    """Return the tree as (parent's name, name) of each span."""
    names = {span.span_id: span.name for span in trace.data.spans}
    return {(names.get(span.parent_id or ""), span.name) for span in trace.data.spans}


def exception_types(span: Span) -> list[str]:
    """Return the type names of the span's exception events."""
    return [e.attributes["exception.type"] for e in span.events if e.name == "exception"]
