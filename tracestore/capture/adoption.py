"""Spans whose ids another library or another process gave: OpenTelemetry's, and those of a `traceparent` header.

A trace whose root is elsewhere is recorded as a part: its row gives way to that of the process that has the
root, where both record into the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tracestore.capture.context import RemoteParent
from tracestore.capture.events import moment_ns
from tracestore.capture.live_trace import LiveTrace
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.scope import DEFAULT_OPTIONS, NO_OP, new_trace
from tracestore.capture.span import LiveSpan
from tracestore.encoding import text_of
from tracestore.runtime import runtime


class Identity(NamedTuple):
    """Who a span is, as W3C Trace Context has it (https://www.w3.org/TR/trace-context/).

    Attributes:
        trace_id: `tr-` and 32 hex digits; None: the parent's, or a new one.
        span_id: 16 hex digits; None: a new one.
        parent_id: The span above, where that is in another process or ended; None: there is none.
    """

    trace_id: str | None = None
    span_id: str | None = None
    parent_id: str | None = None


def start_as(
    identity: Identity,
    parent: LiveSpan | NoOpSpan | None,
    name: Any,
    start_time_ns: int | None = None,
    root: Mapping[str, Any] | None = None,
) -> LiveSpan | NoOpSpan:
    """Start a span with given ids: under `parent`, in a running trace of that id, or as a new trace.

    Returns:
        The span; NO_OP where tracing is off, the trace is not sampled, or starting it failed.
    """
    try:
        if isinstance(parent, NoOpSpan):
            return NO_OP
        span = _started(identity, parent, text_of(name), root or {})
        if span is None:
            return NO_OP
        if start_time_ns is not None:
            given = moment_ns(start_time_ns, f"start_time of span {span.name!r:.100}")
            span.start_time_ns = span.start_time_ns if given is None else given
    except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
        runtime.failed("a span", error)
        return NO_OP
    return span


def _started(
    identity: Identity, parent: LiveSpan | None, name: str, root: Mapping[str, Any]
) -> LiveSpan | None:
    if parent is not None:
        return LiveSpan(parent.trace, parent, name, "UNKNOWN", identity.span_id)
    running = None if identity.trace_id is None else runtime.store.live.get(identity.trace_id)
    if isinstance(running, LiveTrace):
        above = running.open_spans.get(identity.parent_id or "")
        span = LiveSpan(running, above, name, "UNKNOWN", identity.span_id)
        span.parent_id = identity.parent_id
        return span
    remote = None
    if identity.trace_id is not None and identity.parent_id is not None:
        remote = RemoteParent(identity.trace_id, identity.parent_id)
    trace = new_trace(DEFAULT_OPTIONS, root, remote)
    if trace is None:
        return None
    if identity.trace_id is not None:
        trace.adopt(identity.trace_id)
    span = LiveSpan(trace, None, name, "UNKNOWN", identity.span_id)
    trace.begin(span)
    return span
