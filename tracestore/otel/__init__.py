"""OpenTelemetry in and out: `pip install "tracestore[otel]"`.

In: a tracer provider whose spans are this package's own (`tracer_provider`), and, beside an application's
provider, `SpanProcessor` and `SpanExporter`. Out: `export` sends stored traces to any OTLP/HTTP receiver. The
global provider of an application that has one is never replaced. Loaded when a name is first used: without
OpenTelemetry only those that need it fail, and say what to install.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tracestore.errors import MissingPackageError

if TYPE_CHECKING:
    from tracestore.otel.exporter import SpanExporter as SpanExporter
    from tracestore.otel.installation import autolog as autolog
    from tracestore.otel.processor import SpanProcessor as SpanProcessor
    from tracestore.otel.provider import TracerProvider as TracerProvider
    from tracestore.otel.provider import tracer_provider as tracer_provider
    from tracestore.otlp.export import export as export
    from tracestore.otlp.export import forward as forward

_HOMES = {
    "SpanExporter": "otel.exporter",
    "SpanProcessor": "otel.processor",
    "TracerProvider": "otel.provider",
    "autolog": "otel.installation",
    "export": "otlp.export",
    "forward": "otlp.export",
    "tracer_provider": "otel.provider",
}

__all__ = [
    "SpanExporter",
    "SpanProcessor",
    "TracerProvider",
    "autolog",
    "export",
    "forward",
    "tracer_provider",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tracestore.otel' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"tracestore.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise MissingPackageError(
            f'tracestore.otel.{name} needs OpenTelemetry: pip install "tracestore[otel]"'
        ) from error
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
