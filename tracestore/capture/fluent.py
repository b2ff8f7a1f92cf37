"""The functions of the package: what `tracestore.…` (and so `mlflow.…`) offers, with MLflow's signatures.

Thin: each works out what is meant here and now (the current span, the active store and experiment) and calls
the object that does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracestore.arguments import shown
from tracestore.capture.context import innermost, last_trace_id
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.scope import (
    DEFAULT_OPTIONS,
    SpanOptions,
    SpanScope,
    listed,
    start,
    texts,
)
from tracestore.capture.span import LiveSpan, log
from tracestore.encoding import text_of
from tracestore.entities import (
    Link,
    SpanLogLevel,
    TraceState,
)
from tracestore.entities.trace import SESSION_KEY, USER_KEY
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.storage.writer import Flushed
from tracestore.store import Store
from tracestore.summary.preview import cut

if TYPE_CHECKING:
    import os


# ------------------------------------------------------------------------------------------ recording


def start_span(
    name: str = "span",
    span_type: str | None = "UNKNOWN",
    attributes: Mapping[str, Any] | None = None,
    trace_destination: Any = None,
    log_level: SpanLogLevel | str | None = None,
    run_id: str | None = None,
    links: Sequence[Link] | None = None,
    description: str | None = None,
) -> SpanScope:
    """Record a span for a `with` block, under the current span or as a new trace.

    Costs about 1.5 µs. An exception of the block is recorded and goes on.

    Args:
        name: What the span is called.
        span_type: See SpanType; any text.
        attributes: Any values by text.
        trace_destination: An object with an `experiment_id`, for a span that starts a trace.
        log_level: How loud the span is.
        run_id: Recorded as `mlflow.sourceRun` of a new trace.
        links: References to other traces' spans.
        description: Free text.

    Returns:
        A context manager that gives the span; as a decorator it makes a span of each call.

    Example:
        >>> with start_span("retrieve", span_type="RETRIEVER") as span:
        ...     span.set_inputs({"query": "sqlite"})
        ...     span.set_outputs(["a page"])
    """
    if (
        attributes is None
        and trace_destination is None
        and log_level is None
        and run_id is None
        and links is None
        and description is None
    ):
        return SpanScope(name, span_type, DEFAULT_OPTIONS)
    return SpanScope(
        name,
        span_type,
        SpanOptions(
            attributes=attributes,
            experiment_id=getattr(trace_destination, "experiment_id", None),
            log_level=log_level,
            run_id=run_id,
            links=listed(links),
            description=description,
        ),
    )


def start_span_no_context(
    name: str,
    span_type: str | None = "UNKNOWN",
    parent_span: LiveSpan | NoOpSpan | None = None,
    inputs: Any = None,
    attributes: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    experiment_id: str | None = None,
    start_time_ns: int | None = None,
    log_level: SpanLogLevel | str | None = None,
    links: Sequence[Link] | None = None,
    description: str | None = None,
) -> LiveSpan:
    """Start a span that is never the current one; the caller ends it with `span.end()`.

    For callbacks and threads, where begin and end are in different places.

    Args:
        name: What the span is called.
        span_type: See SpanType; any text.
        parent_span: The parent; default the current span, else a new trace.
        inputs: Recorded unless None.
        attributes: Any values by text.
        tags: Of a new trace.
        metadata: Of a new trace.
        experiment_id: Of a new trace; default the active experiment.
        start_time_ns: Nanoseconds since 1970, default now.
        log_level: How loud the span is.
        links: References to other traces' spans.
        description: Free text.

    Example:
        >>> span = start_span_no_context("fetch", inputs={"url": "…"})
        >>> span.end(outputs={"status": 200})
    """
    span = start(
        innermost() if parent_span is None else parent_span,
        name,
        span_type,
        SpanOptions(
            attributes=attributes,
            experiment_id=experiment_id,
            log_level=log_level,
            links=listed(links),
            description=description,
        ),
        root={
            "tags": texts(tags or {}),
            "metadata": texts(metadata or {}),
            "start_time_ns": start_time_ns,
        },
    )
    if inputs is not None:
        span.set_inputs(inputs)
    return span


def get_current_active_span() -> LiveSpan | None:
    """Return the innermost span that runs in this context, None where none is recorded.

    Example:
        >>> with start_span("chat"):
        ...     get_current_active_span().name
        'chat'
    """
    span = innermost()
    return span if isinstance(span, LiveSpan) else None


def get_active_trace_id() -> str | None:
    """Return the id of the trace that runs in this context, None where none is recorded.

    Example:
        >>> with start_span("chat"):
        ...     get_active_trace_id()[:3]
        'tr-'
    """
    span = get_current_active_span()
    return None if span is None else span.trace_id


def get_last_active_trace_id(thread_local: bool = False) -> str | None:
    """Return the id of the trace whose root span ended last, None before the first.

    Args:
        thread_local: Only traces that ended in this context (thread or asyncio task).

    Example:
        >>> with start_span("chat") as span:
        ...     pass
        >>> get_last_active_trace_id() == span.trace_id
        True
    """
    return last_trace_id.get() if thread_local else runtime.last_trace_id


def update_current_trace(
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    client_request_id: str | None = None,
    request_preview: str | None = None,
    response_preview: str | None = None,
    state: TraceState | str | None = None,
    model_id: str | None = None,
    session_id: str | None = None,
    user: str | None = None,
) -> None:
    """Give the trace that runs in this context tags, metadata and more, from any of its spans.

    Without one it logs a warning and does nothing; where tracing is off or the trace was not sampled, it
    just does nothing.

    Args:
        tags: Merged into the trace's; other values than text become text, None is left out.
        metadata: Likewise.
        client_request_id: The id that the caller's own system gave to the request.
        request_preview: Shown in lists instead of the preview made from the inputs.
        response_preview: Likewise of the outputs.
        state: "OK" or "ERROR", in place of the root span's status.
        model_id: Metadata `mlflow.modelId`.
        session_id: Metadata `mlflow.trace.session`.
        user: Metadata `mlflow.trace.user`.

    Raises:
        InvalidArgumentError: The state is another, or a preview is no text.

    Example:
        >>> with start_span("chat"):
        ...     update_current_trace(tags={"environment": "production"}, session_id="s-1")
    """
    state = None if state is None else _final_state(state)
    for name, preview in (
        ("request_preview", request_preview),
        ("response_preview", response_preview),
    ):
        if preview is not None and not isinstance(preview, str):
            raise InvalidArgumentError(f"{name} is a {type(preview).__name__}; it must be text")
    span = innermost()
    if not isinstance(span, LiveSpan):
        # Where tracing is off, or the trace was not sampled, it is left out on purpose.
        if span is None and runtime.enabled:
            log.warning("update_current_trace was called where no trace is being recorded")
        return
    trace = span.trace
    keyed = {"mlflow.modelId": model_id, SESSION_KEY: session_id, USER_KEY: user}
    said = {key: text_of(value) for key, value in keyed.items() if value is not None}
    if metadata:
        said = {**texts(metadata), **said}
    if said:
        trace.metadata = {**trace.metadata, **said}
    if tags:
        trace.set_tags(texts(tags))
    if client_request_id is not None:
        trace.client_request_id = text_of(client_request_id)
    trace.request_preview = cut(request_preview) if request_preview else trace.request_preview
    trace.response_preview = cut(response_preview) if response_preview else trace.response_preview
    trace.state = state or trace.state
    trace.changed()


def _final_state(state: TraceState | str) -> str:
    text = state.value if isinstance(state, TraceState) else state
    if text not in ("OK", "ERROR"):
        raise InvalidArgumentError(f"state is {shown(state)}; it must be 'OK' or 'ERROR'")
    return text


# ------------------------------------------------------------------------------------------ the store


def open(path: str | os.PathLike[str], *, read_only: bool = False) -> Store:  # noqa: A001 - as gzip.open
    """Return a Store: any file of traces, with the same verbs as this package.

    Args:
        path: The file, made at the first write if it isn't there.
        read_only: Never write to it.

    Example:
        >>> with open("other.db") as store:
        ...     store.count_traces()
        0
    """
    return Store(path, read_only=read_only)


def flush(timeout_s: float = 60.0) -> Flushed:
    """Wait until all that was recorded so far is in the file, at most `timeout_s` seconds.

    Returns:
        Counts of records: durable, dropped, still pending. True in a condition if none is pending.

    Example:
        >>> flush().pending
        0
    """
    return runtime.store.flush(timeout_s)


def flush_trace_async_logging(terminate: bool = False) -> None:
    """Wait until all that was recorded so far is in the file. MLflow's name for `flush`.

    `terminate` is ignored: recording goes on.

    Example:
        >>> flush_trace_async_logging()
    """
    del terminate
    runtime.store.flush()


def stats() -> dict[str, Any]:
    """Return counters of the active store, and of calls in which recording failed; see Store.stats.

    Example:
        >>> stats()["dropped"]
        0
    """
    return runtime.store.stats() | {"failures": dict(runtime.failures)}


def enable() -> None:
    """Switch tracing on again.

    Example:
        >>> enable()
    """
    runtime.enabled = True


def disable() -> None:
    """Switch tracing off: traces that would start from now on are not recorded. One that runs goes on.

    Example:
        >>> disable()
        >>> with start_span("not recorded") as span:
        ...     span.trace_id
        'MLFLOW_NO_OP_SPAN_TRACE_ID'
        >>> enable()
    """
    runtime.enabled = False
