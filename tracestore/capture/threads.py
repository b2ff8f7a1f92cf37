"""Threads that nest: a switch by which what a thread records belongs to the span that started the thread.

Off, as in MLflow, a thread begins traces of its own. On, `threading.Thread` and `ThreadPoolExecutor` carry the
current span along, and nothing else: no other context variable. A task of a pool nests in the span that submitted
it, not in the one that happened to start the worker. Invariant: switched off again, both are as Python made them.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tracestore.capture.context import current, innermost
from tracestore.capture.span import LiveSpan

_start = threading.Thread.start
_submit: Any = ThreadPoolExecutor.submit

#: How the threads of this package are called: they record nothing and hold on to no span.
_OWN = "tracestore-"


def nest_threads(enabled: bool = True) -> None:
    """Have spans of threads that start inside a span nest in it, in the whole process; False: as Python has it.

    Covers `threading.Thread` with its subclasses, `ThreadPoolExecutor` and what is built on it
    (`asyncio`'s `run_in_executor`). A thread or task that starts where no span runs is left alone.
    Costs about a microsecond a thread or task.

    Free-threaded Python gives a new thread its maker's context, so spans nest there without this, and those of a
    pool's thread stay with the span it was made in. `python -X thread_inherit_context=0` does as other builds.

    Example:
        >>> nest_threads()
        >>> with tracestore.start_span("root"), ThreadPoolExecutor() as pool:
        ...     pool.submit(tracestore.get_active_trace_id).result()[:3]
        'tr-'
        >>> nest_threads(False)
    """
    threading.Thread.start = _start_nested if enabled else _start  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = _submit_nested if enabled else _submit  # type: ignore[method-assign,assignment]


@functools.wraps(_start)
def _start_nested(self: threading.Thread) -> None:
    span = innermost()
    if isinstance(span, LiveSpan) and not self.name.startswith(_OWN):
        self.run = functools.partial(_run_in, span, self.run)  # type: ignore[method-assign]
    _start(self)


@functools.wraps(_submit)
def _submit_nested(
    self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Future[Any]:
    span = innermost()
    if not isinstance(span, LiveSpan):
        return _submit(self, fn, *args, **kwargs)  # type: ignore[no-any-return]
    token = current.set(None)  # a worker that starts now outlives the span
    try:
        return _submit(self, _run_in, span, fn, *args, **kwargs)  # type: ignore[no-any-return]
    finally:
        current.reset(token)


def _run_in(span: LiveSpan, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call `function` with `span` as the current one."""
    token = current.set(span)
    try:
        return function(*args, **kwargs)
    finally:
        current.reset(token)
