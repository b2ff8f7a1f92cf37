"""`tracestore.tracing`: switches, scopes and context across processes, by the names of `mlflow.tracing`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tracestore import notebook
from tracestore.arguments import checked
from tracestore.beyond import attribute_error
from tracestore.capture.fluent import disable, enable
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.processing import PROCESSORS, configure
from tracestore.capture.propagation import (
    get_tracing_context_headers_for_http_request,
    set_tracing_context_from_http_request_headers,
)
from tracestore.capture.scope import context
from tracestore.capture.span import LiveSpan
from tracestore.capture.threads import nest_threads
from tracestore.entities.trace_location import MlflowExperimentLocation, TraceLocationBase
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.tracing.constant import SpanAttributeKey

__all__ = [
    "configure",
    "context",
    "disable",
    "disable_notebook_display",
    "enable",
    "enable_notebook_display",
    "get_tracing_context_headers_for_http_request",
    "nest_threads",
    "reset",
    "set_destination",
    "set_span_chat_messages",
    "set_span_chat_tools",
    "set_tracing_context_from_http_request_headers",
]


def __getattr__(name: str) -> NoReturn:
    raise attribute_error("tracing", "module 'tracestore.tracing'", name)


def reset() -> None:
    """Switch tracing and its display on, and forget span processors and destinations, as at the start.

    The store, the settings and the active experiment stay.

    Example:
        >>> reset()
    """
    PROCESSORS.clear()
    runtime.reset_tracing()


@checked
def set_destination(destination: TraceLocationBase, *, context_local: bool = False) -> None:
    """Have new traces go to an experiment, whichever is the active one, until `set_experiment` or `reset`.

    Args:
        destination: The experiment.
        context_local: Only traces of this context (thread or asyncio task). It goes before the general one.

    Raises:
        InvalidArgumentError: `destination` is no MlflowExperimentLocation, or its id no decimal number.

    Example:
        >>> from tracestore.entities import MlflowExperimentLocation
        >>> set_destination(MlflowExperimentLocation(experiment_id="0"))
    """
    if not isinstance(destination, MlflowExperimentLocation):
        raise InvalidArgumentError(
            f"destination is a {type(destination).__name__}; "
            "pass MlflowExperimentLocation(experiment_id=…)"
        )
    runtime.set_destination(destination.experiment_id, context_local=context_local)


def enable_notebook_display() -> None:
    """Have a notebook show the traces that a cell has made, once, below what the cell shows itself.

    One trace is shown as a waterfall, several as a table of the last ten. They become part of the notebook's
    file, so this is off until it is called; MLflow, which shows a frame of its server, does so with a tracking
    server only. Does nothing outside IPython.

    Example:
        >>> enable_notebook_display()
    """
    notebook.enable()


def disable_notebook_display() -> None:
    """Have a notebook show only traces that are a cell's value, as is the default.

    Example:
        >>> disable_notebook_display()
    """
    notebook.disable()


@checked
def set_span_chat_tools(span: LiveSpan | NoOpSpan, tools: Sequence[Mapping[str, Any]]) -> None:
    """Record which tools a chat model was offered, as attribute `mlflow.chat.tools`.

    Args:
        span: A span that runs.
        tools: In the form that OpenAI's API takes: `{"type": "function", "function": {"name": …, …}}`.

    Raises:
        InvalidArgumentError: `tools` is no list of such dictionaries.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     set_span_chat_tools(span, [{"type": "function", "function": {"name": "add"}}])
    """
    for tool in _list_of_mappings("tools", tools):
        if tool.get("type") != "function" or not _has_name(tool.get("function")):
            raise InvalidArgumentError(
                f"tool is {tool!r:.300}; it must be "
                '{"type": "function", "function": {"name": …, …}}'
            )
    span.set_attribute(SpanAttributeKey.CHAT_TOOLS, tools)


def _has_name(function: object) -> bool:
    return isinstance(function, Mapping) and isinstance(function.get("name"), str)


@checked
def set_span_chat_messages(
    span: LiveSpan | NoOpSpan, messages: Sequence[Mapping[str, Any]], append: bool = False
) -> None:
    """Record a chat's messages as attribute `mlflow.chat.messages`. Of MLflow 2; newer code sets inputs.

    Args:
        span: A span that runs.
        messages: `{"role": …, "content": …}`, in order.
        append: After those that the span has already.

    Raises:
        InvalidArgumentError: `messages` is no list of dictionaries with a role.
    """
    warnings.warn(
        "set_span_chat_messages is of MLflow 2; messages in set_inputs are shown as a chat",
        category=FutureWarning,
        stacklevel=2,
    )
    for message in _list_of_mappings("messages", messages):
        if not isinstance(message.get("role"), str):
            raise InvalidArgumentError(f"message is {message!r:.300}; it needs a role")
    before = span.get_attribute(SpanAttributeKey.CHAT_MESSAGES) if append else None
    span.set_attribute(SpanAttributeKey.CHAT_MESSAGES, [*(before or ()), *messages])


def _list_of_mappings(name: str, values: object) -> list[Mapping[str, Any]]:
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise InvalidArgumentError(f"{name} is {values!r:.300}; it must be a list of dictionaries")
    return values
