"""Traces across processes: the current span as HTTP headers, and headers as what spans are recorded under.

The header is W3C's `traceparent`, so that the other side may be anything that speaks OpenTelemetry. What
arrives is another program's word and counts only where it has the form of the standard.

Source: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

from tracestore.arguments import checked
from tracestore.capture.context import RemoteParent, current, innermost
from tracestore.capture.live_trace import LiveTrace
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.scope import NO_OP, remote_parent
from tracestore.capture.span import LiveSpan, log
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime

HEADER = "traceparent"

#: Version 00 has just these fields; later ones may have more behind them.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)

_SAMPLED = 1


def get_tracing_context_headers_for_http_request() -> dict[str, str]:
    """Return HTTP headers that tell another process which span runs here: `{"traceparent": "00-…-…-01"}`.

    Empty, with a warning in the log, where no span is recorded in this context.

    Example:
        >>> with tracestore.start_span("client"):
        ...     list(get_tracing_context_headers_for_http_request())
        ['traceparent']
    """
    span = innermost()
    if not isinstance(span, LiveSpan):
        if span is None:
            log.warning("no span runs here whose context headers could carry; they are empty")
        return {}
    span.trace.announce_open()  # the other process may be faster than this one with its first write
    return {HEADER: f"00-{span.trace_id.removeprefix('tr-')}-{span.span_id}-01"}


@checked
@contextlib.contextmanager
def set_tracing_context_from_http_request_headers(headers: Mapping[str, str]) -> Iterator[None]:
    """Record the spans of the block under the span that another process named in `traceparent`.

    They belong to that process's trace. Where both record into one file they are one trace there, and the
    name, state and times of the trace as a whole are the other process's. A header that is not of W3C's form
    counts as none, so that spans of the block begin traces of their own; where the other process says that
    it does not record, the block is not recorded either.

    Args:
        headers: Of the request; case does not matter.

    Raises:
        InvalidArgumentError: There is no such header.

    Example:
        >>> headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        >>> with set_tracing_context_from_http_request_headers(headers):
        ...     with tracestore.start_span("server") as span:
        ...         span.trace_id, span.parent_id
        ('tr-0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331')
    """
    value = next((v for k, v in dict(headers).items() if str(k).lower() == HEADER), None)
    if value is None:
        raise InvalidArgumentError(
            "the headers have no traceparent; make them with "
            "tracestore.tracing.get_tracing_context_headers_for_http_request()"
        )
    found = _TRACEPARENT.fullmatch(str(value).strip())
    if found is None or (found["version"] == "00" and found["more"]):
        log.warning("traceparent %.100r is ignored: it is not of W3C's form", value)
        found = None
    during, remote = (None, None) if found is None else _parent(found)
    before, remote_before = current.get(), remote_parent.get()
    current.set(during)
    remote_parent.set(remote)
    try:
        yield
    finally:
        if remote_parent.get() is remote:  # else the block is left in another context
            remote_parent.set(remote_before)
            if current.get() is during:
                current.set(before)


def _parent(found: re.Match[str]) -> tuple[LiveSpan | NoOpSpan | None, RemoteParent | None]:
    """Return what spans of the block begin under: a span that runs here, or one that runs elsewhere."""
    if not int(found["flags"], 16) & _SAMPLED:
        return NO_OP, None
    trace_id, span_id = f"tr-{found['trace']}", found["span"]
    trace = runtime.store.live.get(trace_id)
    if isinstance(trace, LiveTrace) and span_id in trace.open_spans:
        return trace.open_spans[span_id], None
    return None, RemoteParent(trace_id, span_id)
