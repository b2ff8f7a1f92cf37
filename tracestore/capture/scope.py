"""How spans start: as a child of the current one, or as the root of a new trace.

Nothing here raises into the traced program. What goes wrong is counted and logged once, and the program runs
on with a span that is not recorded.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, TypeVar, cast

from tracestore import ids
from tracestore.capture.context import RemoteParent, current, last_trace_id, outside
from tracestore.capture.events import moment_ns
from tracestore.capture.live_trace import LiveTrace
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan, log
from tracestore.encoding import text_of
from tracestore.entities import Link, SpanLogLevel, SpanType
from tracestore.entities.trace import NAME_KEY, SESSION_KEY, USER_KEY
from tracestore.runtime import runtime

F = TypeVar("F", bound=Callable[..., Any])

NO_OP = NoOpSpan()


class TraceContext(NamedTuple):
    """What every trace that starts in a context is given."""

    tags: Mapping[str, str]
    metadata: Mapping[str, str]
    enabled: bool | None


_NO_CONTEXT = TraceContext({}, {}, None)
_context: contextvars.ContextVar[TraceContext] = contextvars.ContextVar(
    "tracestore_context", default=_NO_CONTEXT
)


#: What a trace that starts in this context is a part of: a span of another process.
remote_parent: contextvars.ContextVar[RemoteParent | None] = contextvars.ContextVar(
    "tracestore_remote_parent", default=None
)


class SpanOptions(NamedTuple):
    """The less common properties of a span to be started."""

    attributes: Any = None
    experiment_id: str | None = None
    sampling_ratio: float | None = None
    log_level: SpanLogLevel | str | None = None
    run_id: str | None = None
    links: list[Link] | None = None
    description: str | None = None


DEFAULT_OPTIONS = SpanOptions()


_KNOWN_TYPES = frozenset(value for key, value in vars(SpanType).items() if key.isupper())


def clean_type(span_type: Any) -> str | None:
    """Return a span type as text that the file can hold."""
    return None if span_type is None else text_of(span_type)


class SpanScope:
    """A span for the length of a `with` block, current in its context meanwhile.

    The block's exception is recorded and goes on. On the way out the context variable is set back only where
    it still holds this span, or one below it that was left open (by a generator that waits, say): a block
    that is left in another context than it was entered in disturbs nobody.
    """

    __slots__ = ("_before", "_name", "_options", "_span_type", "span")

    def __init__(self, name: str, span_type: str | None, options: SpanOptions) -> None:
        self._name = name
        known = type(span_type) is str and span_type in _KNOWN_TYPES  # else it may be anything
        self._span_type = span_type if known else clean_type(span_type)
        self._options = options

    def __enter__(self) -> LiveSpan:
        before = self._before = current.get()
        if outside.find is not None:
            before = outside.find(before)
        options = self._options
        if type(before) is LiveSpan and options is DEFAULT_OPTIONS:
            name = self._name
            if type(name) is not str or not name.isascii() or "\0" in name:
                name = text_of(name)
            span = LiveSpan(before._trace, before, name, self._span_type)  # noqa: SLF001 - hot
        else:
            span = start(before, self._name, self._span_type, options)
        self.span = span
        current.set(span)
        return span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        span = self.span
        now = current.get()
        if now is span or span.encloses(now):
            current.set(self._before)
        try:
            if exception is not None:
                span.record_exception(exception)
            span.end()
        except RecursionError:
            span.trace.leave_over(span, exception)

    def __call__(self, function: F) -> F:
        """Decorate a function, as what `contextlib.contextmanager` makes does: each call runs in a span of its own.

        Unlike `trace` it records neither arguments nor results.
        """
        scope = functools.partial(SpanScope, self._name, self._span_type, self._options)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with scope():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with scope():
                return await function(*args, **kwargs)

        return cast("F", awaited if inspect.iscoroutinefunction(function) else wrapper)


def start(
    parent: LiveSpan | NoOpSpan | None,
    name: str,
    span_type: str | None,
    options: SpanOptions = DEFAULT_OPTIONS,
    root: Mapping[str, Any] | None = None,
) -> LiveSpan:
    """Start a span under `parent`, or a new trace where that is None.

    Args:
        parent: Under a span that is not recorded nothing is.
        name: Any value; what is no text becomes its `str()`.
        span_type: See SpanType; any text, or None.
        options: See SpanOptions.
        root: Of a new trace: `tags`, `metadata`, `start_time_ns`.

    Returns:
        The span; one that records nothing where tracing is off, the trace was not sampled, or starting it
        failed. (Typed as a LiveSpan, which is what callers treat it as.)
    """
    try:
        if isinstance(parent, NoOpSpan):
            return NO_OP  # type: ignore[return-value]  # it takes every call of a LiveSpan
        start_time_ns = None if root is None else root.get("start_time_ns")
        if start_time_ns is not None:
            start_time_ns = moment_ns(start_time_ns, f"start_time_ns of span {name!r}")
        if parent is not None:
            span = LiveSpan(parent.trace, parent, text_of(name), clean_type(span_type))
            for option in ("experiment_id", "run_id"):
                if getattr(options, option) is not None:
                    _warn_of_nested(option, span.name)
        else:
            trace = new_trace(options, root or {})
            if trace is None:
                return NO_OP  # type: ignore[return-value]  # it takes every call of a LiveSpan
            span = LiveSpan(trace, None, text_of(name), clean_type(span_type))
            trace.begin(span)
        if start_time_ns is not None:
            span.start_time_ns = start_time_ns
        if options is not DEFAULT_OPTIONS:
            _apply(span, options)
    except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
        runtime.failed("a span", error)
        return NO_OP  # type: ignore[return-value]  # it takes every call of a LiveSpan
    return span


@functools.lru_cache(maxsize=64)  # said once of each name: a nested call may be in a loop
def _warn_of_nested(option: str, name: str) -> None:
    what = "trace_destination" if option == "experiment_id" else option
    log.warning("%s of span %r is ignored: it is not the root of its trace", what, name)


def new_trace(
    options: SpanOptions, root: Mapping[str, Any], remote: RemoteParent | None = None
) -> LiveTrace | None:
    """Return a new trace, or None where it is not to be recorded."""
    context = _context.get()
    if not (runtime.enabled if context.enabled is None else context.enabled):
        return None
    remote = remote or remote_parent.get()
    if remote is None and not _is_sampled(options.sampling_ratio):
        return None  # where there is a remote parent, the process that began the trace has decided
    store = runtime.store
    experiment = _experiment(options.experiment_id)
    metadata = {**runtime.model_metadata, **context.metadata, **root.get("metadata", {})}
    if options.run_id is not None:
        metadata["mlflow.sourceRun"] = text_of(options.run_id)
    tags = {**context.tags, **root.get("tags", {})}
    tags.pop(NAME_KEY, None)  # a trace is called what its root is called, until somebody renames it
    trace = LiveTrace(store.writer, store.live, experiment, metadata, tags, remote)
    trace.on_end = _trace_ended
    return trace


def _is_sampled(ratio: float | None) -> bool:
    ratio = runtime.settings.sampling_ratio if ratio is None else ratio
    return ratio >= 1.0 or ids.chance() < ratio


def _experiment(experiment_id: str | None) -> int | str:
    """Return what a new trace belongs to: the experiment asked for, else the active one."""
    if experiment_id is None:
        return runtime.recording_experiment
    try:
        return int(experiment_id)
    except (TypeError, ValueError) as error:
        runtime.failed("the experiment of a trace", error)
        return runtime.recording_experiment


def _trace_ended(trace: LiveTrace) -> None:
    """Remember the trace as the last one; where writing is not asynchronous, wait for it."""
    runtime.last_trace_id = trace.trace_id
    last_trace_id.set(trace.trace_id)
    if runtime.ended_traces is not None:
        runtime.ended_traces.append(trace.trace_id)
    if not runtime.settings.async_logging:
        trace.writer.flush()


def _apply(span: LiveSpan, options: SpanOptions) -> None:
    """Set the less common properties; one that can't be is left out, the span is recorded."""
    steps: tuple[tuple[Any, Callable[[Any], None]], ...] = (
        (options.attributes, lambda value: span.set_attributes(_mapping(value))),
        (options.description, span.set_description),
        (options.log_level, span.set_log_level),
        *((link, span.add_link) for link in options.links or ()),
    )
    for value, apply in steps:
        if value is not None:
            try:
                apply(value)
            except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
                runtime.failed("part of a span", error)


def listed(links: Any) -> list[Any] | None:
    """Return links as they are now; what is no list of any counts as one, which is then left out."""
    if links is None:
        return None
    return list(links) if isinstance(links, Iterable) and not isinstance(links, str) else [links]


def _mapping(attributes: Any) -> Mapping[str, Any]:
    return attributes if isinstance(attributes, (Mapping, str)) else dict(attributes)  # type: ignore[return-value]  # text is refused by set_attributes


@contextlib.contextmanager
def context(
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    enabled: bool | None = None,
    session_id: str | None = None,
    user: str | None = None,
) -> Iterator[None]:
    """Give tags and metadata to every trace that starts in the block, or switch tracing for it.

    A trace that runs already is not touched. Blocks nest, the inner one wins.

    Args:
        metadata: Text by key; other values become text.
        tags: Likewise.
        enabled: False: nothing is recorded in the block; True: it is, though tracing is off outside.
        session_id: Metadata `mlflow.trace.session`.
        user: Metadata `mlflow.trace.user`.

    Example:
        >>> with tracestore.context(tags={"environment": "test"}, session_id="s-1"):
        ...     with tracestore.start_span("chat") as span:
        ...         pass
        >>> tracestore.get_trace(span.trace_id).info.tags["environment"]
        'test'
    """
    outer = _context.get()
    given = texts(metadata or {}) | texts({SESSION_KEY: session_id, USER_KEY: user})
    inner = TraceContext(
        tags={**outer.tags, **texts(tags or {})},
        metadata={**outer.metadata, **given},
        enabled=outer.enabled if enabled is None else enabled,
    )
    _context.set(inner)
    before = during = current.get()
    if enabled is False:
        during = NO_OP
    elif enabled is True and isinstance(before, NoOpSpan):
        during = None
    current.set(during)
    try:
        yield
    finally:
        if (
            _context.get() is inner
        ):  # else the block is left in another context than it was entered in
            _context.set(outer)
            if current.get() is during:
                current.set(before)


_TEXT_ONLY = {str}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return tags or metadata as text by text; values of None are left out, and what is no mapping."""
    if type(values) is dict:
        copy = values.copy()  # another thread may set more meanwhile
        parts = [*copy, *copy.values()]
        if set(map(type, parts)) == _TEXT_ONLY:
            together = "".join(parts)
            if together.isascii() and "\0" not in together:
                return copy  # the usual case: nothing is to be changed
    if not isinstance(values, Mapping):
        runtime.failed("tags or metadata", TypeError(f"a {type(values).__name__} is no dictionary"))
        return {}
    return {text_of(key): text_of(value) for key, value in values.items() if value is not None}
