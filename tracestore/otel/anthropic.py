"""Anthropic's client traces itself: this switches that on, as an instrumentor would be, where none is installed.

Goes by the client's own option `open_telemetry`, which newer releases have. A client that was given the option,
or whose `ANTHROPIC_OPEN_TELEMETRY` is `false`, is left alone.
Source: https://github.com/anthropics/anthropic-sdk-python, `OpenTelemetryOptions` in anthropic/_types.py
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Callable, Collection
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.util import types

from tracestore.encoding import MAX_PAYLOAD_BYTES
from tracestore.otel.installation import record_beside, switch_beside
from tracestore.otel.native import CLIENT
from tracestore.otel.provider import Tracer, TracerProvider

_VARIABLE = "ANTHROPIC_OPEN_TELEMETRY"


class ClientTracing:
    """Has each client that is made from now on record its calls, with what was asked and answered.

    Where the application has a tracer provider of its own, the client's spans stay there, with the content that
    the application has chosen, and are recorded beside it.
    """

    def __init__(self) -> None:
        self.is_instrumented_by_opentelemetry = False
        self._originals: list[tuple[type, Callable[..., None]]] = []

    @classmethod
    def is_there(cls) -> bool:
        """Whether the installed client can trace itself."""
        return hasattr(importlib.import_module("anthropic"), "OpenTelemetryOptions")

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what `instrument` needs."""
        return ("anthropic >= 2.11",)

    def instrument(self, tracer_provider: TracerProvider) -> None:
        """Begin."""
        del tracer_provider  # what the clients get can be switched off
        for kind in vars(importlib.import_module("anthropic")).values():
            if isinstance(kind, type) and "open_telemetry" in _parameters(kind):
                self._originals.append((kind, kind.__init__))  # type: ignore[misc]  # the classes' own
                kind.__init__ = _giving(kind.__init__, self._options)  # type: ignore[misc]  # as above
        self._switch(on=bool(self._originals))

    def uninstrument(self) -> None:
        """Put the clients' own functions back; those that exist stop recording."""
        for kind, original in self._originals:
            kind.__init__ = original  # type: ignore[misc]  # as above
        self._originals = []
        self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        _provider.is_on = self.is_instrumented_by_opentelemetry = on
        switch_beside(CLIENT, on=on)

    def _options(self) -> dict[str, Any] | None:
        """Return the option for a client that was given none; None: it is left alone."""
        provider = trace_api.get_tracer_provider()
        if not isinstance(provider, (trace_api.ProxyTracerProvider, TracerProvider)):
            record_beside(provider, CLIENT)
            return None
        if os.environ.get(_VARIABLE, "").lower() == "false":
            return None
        mode = os.environ.get(f"{_VARIABLE}_TRACES_CONTENT_MODE", "").lower()
        limit = os.environ.get(f"{_VARIABLE}_TRACES_MAX_CONTENT_BYTES", "").strip()
        return {
            "tracer_provider": _provider,
            "propagation": os.environ.get(f"{_VARIABLE}_PROPAGATION", "").lower() != "false",
            "traces": {
                "content_mode": mode or "content",
                "max_content_bytes": int(limit) if limit.isdecimal() else MAX_PAYLOAD_BYTES,
            },
        }


class _Switch(TracerProvider):
    """Our provider for clients that keep it longer than they are to record."""

    is_on = False

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> Tracer:
        """Return a tracer that records while the switch is on."""
        tracer = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        return _SwitchedTracer(tracer, self)


#: One for all clients: those that were made before recording stopped go on when it begins again.
_provider = _Switch()


class _SwitchedTracer(Tracer):
    def __init__(self, tracer: Tracer, switch: _Switch) -> None:
        super().__init__(tracer.scope)
        self._switch = switch

    def start_span(self, *args: Any, **kwargs: Any) -> trace_api.Span:
        """Start a span as a Tracer does, or none."""
        if not self._switch.is_on:
            return trace_api.INVALID_SPAN
        return super().start_span(*args, **kwargs)


def _parameters(kind: type) -> Collection[str]:
    """Return the names of the parameters of a class that has an `__init__` of its own."""
    if "__init__" not in vars(kind):
        return ()
    return inspect.signature(kind).parameters


def _giving(
    original: Callable[..., None], options: Callable[[], dict[str, Any] | None]
) -> Callable[..., None]:
    @functools.wraps(original)
    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("open_telemetry") is None:
            kwargs["open_telemetry"] = options()
        original(self, *args, **kwargs)

    return make
