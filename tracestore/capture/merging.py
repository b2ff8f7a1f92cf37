"""Traces that were not recorded here span by span: those of another program, and those logged as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from tracestore.arguments import checked
from tracestore.capture.context import innermost
from tracestore.capture.events import moment_ns
from tracestore.capture.fluent import start_span_no_context
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.entities import Span, Trace, TraceState
from tracestore.entities.span import INTERMEDIATE_OUTPUTS_KEY, TRACE_ID_KEY
from tracestore.entities.trace import COST_KEY, NAME_KEY, SCHEMA_KEY, TOKEN_USAGE_KEY
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.storage.schema import END_MS, RESOURCE_KEYS

#: Metadata that says of a whole trace what is worked out anew for the one it is added to.
_OF_THE_WHOLE = RESOURCE_KEYS | {COST_KEY, SCHEMA_KEY, TOKEN_USAGE_KEY}


@checked
def add_trace(trace: Trace | dict[str, Any], target: LiveSpan | NoOpSpan | None = None) -> None:
    """Add a trace that has ended elsewhere, in a service that was called say, to one that runs here.

    Its spans keep their ids and times; its tags and metadata count where the running trace has none of that
    name. Without a running span it becomes a trace of its own, under a root `Remote Trace <name>`. Where
    tracing is off nothing happens.

    Args:
        trace: A Trace, or the dictionary of one.
        target: The span to put it under; default the current one.

    Raises:
        InvalidArgumentError: It is no trace, still runs, or has spans whose parents are not there.

    Example:
        >>> with tracestore.start_span("remote") as remote:
        ...     pass
        >>> answer = tracestore.get_trace(remote.trace_id).to_dict()
        >>> with tracestore.start_span("local") as local:
        ...     add_trace(answer)
        >>> [span.name for span in tracestore.get_trace(local.trace_id).data.spans]
        ['local', 'remote']
    """
    parent: LiveSpan | NoOpSpan | None = innermost() if target is None else target
    if isinstance(parent, NoOpSpan) or (parent is None and not runtime.enabled):
        return
    trace = _ended_trace(trace)
    spans = list(_parents_first(trace.data.spans))
    if parent is not None:
        _merge(trace, spans, parent)
        return
    root = spans[0]
    attributes = {k: v for k, v in root.attributes.items() if k != TRACE_ID_KEY}
    parent = start_span_no_context(
        f"Remote Trace <{root.name}>",
        inputs=root.inputs,
        attributes=attributes,
        start_time_ns=root.start_time_ns - 1,
    )
    if isinstance(parent, LiveSpan):
        _merge(trace, spans, parent)
        status = "ERROR" if trace.info.state is TraceState.ERROR else "OK"
        parent.end(outputs=root.outputs, status=status, end_time_ns=root.end_time_ns)


def _ended_trace(trace: Any) -> Trace:
    if isinstance(trace, Mapping):
        trace = Trace.from_dict(trace)
    if not isinstance(trace, Trace):
        raise InvalidArgumentError(
            f"trace is a {type(trace).__name__}; pass a Trace or the dictionary of one"
        )
    if trace.info.state is TraceState.IN_PROGRESS or not trace.data.spans:
        raise InvalidArgumentError(
            f"trace {trace.trace_id!r} has not ended, or has no spans; add it when it is complete"
        )
    return trace


def _parents_first(spans: list[Span]) -> Iterator[Span]:
    """Yield each span after its parent.

    Raises:
        InvalidArgumentError: A parent is not there, two spans have one id, or spans are below themselves.
    """
    below: dict[str | None, list[Span]] = {}
    for span in spans:
        below.setdefault(span.parent_id, []).append(span)
    waiting = list(reversed(below.pop(None, [])))
    seen: set[str] = set()
    while waiting:
        span = waiting.pop()
        seen.add(span.span_id)
        yield span
        waiting.extend(reversed(below.pop(span.span_id, [])))
    if len(seen) < len(spans):
        raise InvalidArgumentError(
            "the trace's spans are no tree: a parent is missing, or two spans have the same id"
        )


def _merge(trace: Trace, spans: list[Span], parent: LiveSpan) -> None:
    whole = parent.trace
    added: dict[str, LiveSpan] = {}
    for span in spans:
        above = added.get(span.parent_id or "", parent)
        copy = LiveSpan(whole, above, span.name, span.span_type, span.span_id)
        copy.take_over(span)
        added[span.span_id] = copy
    for span in reversed(spans):  # children end before their parents, as they do when they run
        added[span.span_id].end(
            end_time_ns=span.start_time_ns if span.end_time_ns is None else span.end_time_ns
        )
    for key, value in trace.info.tags.items():
        if key != NAME_KEY and key not in whole.tags:
            whole.set_tag(key, value)
    given = {k: v for k, v in trace.info.trace_metadata.items() if k not in _OF_THE_WHOLE}
    whole.metadata = {**given, **whole.metadata}
    whole.changed()


def log_trace(
    name: str = "Task",
    request: Any = None,
    response: Any = None,
    intermediate_outputs: dict[str, Any] | None = None,
    attributes: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
    start_time_ms: int | None = None,
    execution_time_ms: int | None = None,
) -> str:
    """Record a trace of one span that is known as a whole, and return its id. Older; spans say more.

    Args:
        name: What it is called.
        request: The inputs.
        response: The outputs.
        intermediate_outputs: By name; `trace.data.intermediate_outputs` gives them back.
        attributes: Any values by text.
        tags: Of the trace.
        start_time_ms: Milliseconds since 1970, default now.
        execution_time_ms: Duration; counts only with `start_time_ms`, without it the end is now.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     trace_id = log_trace(request="why?", response="because")
        >>> tracestore.get_trace(trace_id).data.response
        '"because"'
    """
    warnings.warn(
        "log_trace is older; start_span and trace record more", category=FutureWarning, stacklevel=2
    )
    start_ms = moment_ns(start_time_ms or 0, "start_time_ms", "milliseconds since 1970", END_MS)
    taken_ms = moment_ns(execution_time_ms or 0, "execution_time_ms", "milliseconds", END_MS)
    start_ns = start_ms * 1_000_000 if start_ms else None
    end_ns = start_ns + taken_ms * 1_000_000 if start_ns and taken_ms else None
    span = start_span_no_context(
        name, inputs=request, attributes=attributes, tags=tags, start_time_ns=start_ns
    )
    if intermediate_outputs:
        span.set_attribute(INTERMEDIATE_OUTPUTS_KEY, intermediate_outputs)
    span.end(outputs=response, end_time_ns=end_ns)
    return span.trace_id
