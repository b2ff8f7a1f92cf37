"""MLflow's module path of the switches, and spans made current by hand."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from tracestore.capture.context import current
from tracestore.capture.fluent import disable, enable
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.runtime import runtime
from tracestore.tracing import reset, set_destination

__all__ = [
    "detach_span_from_context",
    "disable",
    "enable",
    "is_tracing_enabled",
    "reset",
    "safe_set_span_in_context",
    "set_destination",
    "set_span_in_context",
]

Token = contextvars.Token["LiveSpan | NoOpSpan | None"]


def is_tracing_enabled() -> bool:
    """Return whether traces that start now are recorded, but for sampling.

    Example:
        >>> is_tracing_enabled()
        True
    """
    return runtime.enabled


def set_span_in_context(span: LiveSpan | NoOpSpan) -> Token:
    """Make a span the current one, as one of `start_span_no_context` is not by itself.

    Returns:
        What `detach_span_from_context` takes.

    Example:
        >>> span = tracestore.start_span_no_context("callback")
        >>> token = set_span_in_context(span)
        >>> tracestore.get_current_active_span() is span
        True
        >>> detach_span_from_context(token)
        >>> span.end()
    """
    return current.set(span)


def detach_span_from_context(token: Token) -> None:
    """Make current what was before `set_span_in_context`; in another context than that one's do nothing."""
    with contextlib.suppress(ValueError):
        current.reset(token)


@contextlib.contextmanager
def safe_set_span_in_context(span: LiveSpan | NoOpSpan) -> Iterator[None]:
    """Make a span the current one for a `with` block.

    Example:
        >>> span = tracestore.start_span_no_context("callback")
        >>> with safe_set_span_in_context(span), tracestore.start_span("child") as child:
        ...     child.parent_id == span.span_id
        True
        >>> span.end()
    """
    token = set_span_in_context(span)
    try:
        yield
    finally:
        detach_span_from_context(token)
