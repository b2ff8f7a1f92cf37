"""LangChain's runs as current spans, so that what runs within one is recorded below it.

OpenInference's tracer for LangChain starts and ends spans in callbacks and makes none of them current, because
nothing promises that a callback that began something comes to its end. Here that does no harm: a span that
has ended is never taken for the current one (`innermost.open_above`).
"""

from __future__ import annotations

import functools
from typing import Any

from tracestore.capture.context import current
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.otel.innermost import live_of

#: Runs that have begun, and what was current before, by run; those that never end are forgotten at some point.
MAX_RUNS = 10_000


def nest(instrumentor: Any) -> None:
    """Have the spans of OpenInference's LangChain instrumentor be current while their runs last."""
    tracer = getattr(instrumentor, "_tracer", None)
    if tracer is None or hasattr(tracer, "_tracestore_before"):
        return
    before: dict[Any, LiveSpan | NoOpSpan | None] = {}
    tracer._tracestore_before = before  # noqa: SLF001 - how a second call notices the first
    tracer.run_inline = True  # else async runs call it in another context
    start, end = tracer._start_trace, tracer._end_trace  # noqa: SLF001 - there is no public way

    @functools.wraps(start)
    def start_trace(run: Any) -> None:
        start(run)
        span = tracer.get_span(run.id)
        live = None if span is None else live_of(span)
        if live is not None:
            if len(before) >= MAX_RUNS:
                before.pop(next(iter(before)), None)
            before[run.id] = current.get()
            current.set(live)

    @functools.wraps(end)
    def end_trace(run: Any) -> None:
        span = tracer.get_span(run.id)
        live = None if span is None else live_of(span)
        end(run)
        earlier = before.pop(run.id, None)
        if live is not None and current.get() is live:
            current.set(earlier)

    tracer._start_trace, tracer._end_trace = start_trace, end_trace  # noqa: SLF001 - as above
