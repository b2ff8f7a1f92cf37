"""Recording everything that OpenTelemetry sees in this process, beside whoever else does."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import trace as trace_api

from tracestore.otel.provider import tracer_provider

log = logging.getLogger("tracestore")

#: The processor that was added to an application's provider, by that provider's id.
_processors: dict[int, Any] = {}


def autolog(log_traces: bool = True, disable: bool = False, silent: bool = False) -> None:
    """Record every span of OpenTelemetry in this process from now on.

    Where the application has no tracer provider, tracestore's becomes the global one. Where it has one of the
    SDK, that stays and gets a `SpanProcessor`. Another provider is left alone, with a warning. Calling this
    twice changes nothing.

    Args:
        log_traces: False is the same as `disable=True`.
        disable: Stop recording what another provider makes. OpenTelemetry can't unset a global provider.
        silent: No warning.

    Example:
        >>> autolog()
    """
    provider = trace_api.get_tracer_provider()
    if disable or not log_traces:
        processor = _processors.pop(id(provider), None)
        if processor is not None:
            processor.is_recording = False
        return
    if provider is tracer_provider() or id(provider) in _processors:
        return
    if isinstance(provider, trace_api.ProxyTracerProvider):
        trace_api.set_tracer_provider(tracer_provider())
    elif hasattr(provider, "add_span_processor"):
        _processors[id(provider)] = _add_processor(provider)
    elif not silent:
        log.warning(
            "the global tracer provider is a %s, which takes no span processor: spans that it makes are "
            "not recorded; pass tracestore.otel.tracer_provider() to the instrumentors",
            type(provider).__name__,
        )


#: The processors that record one instrumentation scope, by that and by the provider's id.
_of_scopes: dict[tuple[int, str], Any] = {}


def record_beside(provider: Any, scope: str) -> None:
    """Record the spans of one instrumentation scope that an application's provider makes, if it can be."""
    key = id(provider), scope
    if key in _of_scopes:
        _of_scopes[key].is_recording = True
    elif hasattr(provider, "add_span_processor"):
        _of_scopes[key] = _add_processor(provider, scope)


def switch_beside(scope: str, *, on: bool) -> None:
    """Stop what `record_beside` began for a scope, or go on."""
    for (_, recorded), processor in _of_scopes.items():
        if recorded == scope:
            processor.is_recording = on


def _add_processor(provider: Any, scope: str | None = None) -> Any:
    from tracestore.otel.processor import SpanProcessor  # noqa: PLC0415 - the SDK is there

    processor = SpanProcessor(scope)
    provider.add_span_processor(processor)
    return processor
