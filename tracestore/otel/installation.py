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
        from tracestore.otel.processor import SpanProcessor  # noqa: PLC0415 - the SDK is there

        processor = _processors[id(provider)] = SpanProcessor()
        provider.add_span_processor(processor)
    elif not silent:
        log.warning(
            "the global tracer provider is a %s, which takes no span processor: spans that it makes are "
            "not recorded; pass tracestore.otel.tracer_provider() to the instrumentors",
            type(provider).__name__,
        )
