"""Which span runs here: the context variables, and a library with a context of its own."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tracestore.capture.no_op import NoOpSpan
    from tracestore.capture.span import LiveSpan

#: The innermost span that runs in this context: a LiveSpan, a NoOpSpan, or None.
current: contextvars.ContextVar[LiveSpan | NoOpSpan | None] = contextvars.ContextVar(
    "tracestore_current_span", default=None
)

#: The trace whose root ended last in this context.
last_trace_id: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "tracestore_last_trace_id", default=None
)


class RemoteParent(NamedTuple):
    """A span of another process that spans of this one are recorded under."""

    trace_id: str
    span_id: str


class _Outside:
    """A library with a context of its own (OpenTelemetry), where it is in use.

    Attributes:
        find: Given what `current` holds, returns the innermost span of either context. None: there is none.
    """

    __slots__ = ("find",)

    def __init__(self) -> None:
        self.find: Callable[[LiveSpan | NoOpSpan | None], LiveSpan | NoOpSpan | None] | None = None


outside = _Outside()


def innermost() -> LiveSpan | NoOpSpan | None:
    """Return the innermost span that runs in this context, in whichever library it was started."""
    span = current.get()
    return span if outside.find is None else outside.find(span)
