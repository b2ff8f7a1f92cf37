"""A span of OpenTelemetry's API over one of ours.

Attributes keep their names. What has no place of its own in a span here (kind, instrumentation scope, a status
that nobody set) is one attribute, `otel.span`, so that a span can leave as it came.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import msgspec
from opentelemetry import trace as trace_api
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util import types

from tracestore import ids
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.scope import NO_OP
from tracestore.capture.span import LiveSpan
from tracestore.entities import Link, SpanEvent, SpanStatus, SpanStatusCode
from tracestore.entities.span_event import MAX_FRAMES, exception_message
from tracestore.runtime import runtime

#: The attribute for what OpenTelemetry knows of a span and this package has no other place for.
DETAILS_KEY = "otel.span"

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Span(trace_api.Span):
    """A recorded span. Any thread may use it; after its end nothing changes it.

    Attributes:
        live: The span that is recorded.
    """

    def __init__(
        self,
        live: LiveSpan,
        kind: SpanKind,
        scope: Mapping[str, Any],
        record_exception: bool,
        set_status_on_exception: bool,
    ) -> None:
        self.live: LiveSpan | NoOpSpan = live
        self._recorded = live
        self._kind = kind
        self._scope = scope
        self._record_exception = record_exception
        self._set_status_on_exception = set_status_on_exception
        self._status = StatusCode.UNSET
        self._ending = threading.Lock()
        self._context = SpanContext(
            int(live.trace_id[3:], 16), int(live.span_id, 16), is_remote=False, trace_flags=_SAMPLED
        )

    def get_span_context(self) -> SpanContext:
        """Return the span's ids."""
        return self._context

    def is_recording(self) -> bool:
        """Whether the span has not ended."""
        return self._recorded.end_time_ns is None

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        """Record one attribute; None is no value."""
        if value is not None:
            if type(value) is str and isinstance(key, str) and key.startswith("mlflow."):
                value = _decoded(value)
            self._recorded.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        """Record several attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: types.Attributes = None, timestamp: int | None = None
    ) -> None:
        """Record something that happened, `timestamp` nanoseconds since 1970, default now."""
        values = attributes_of(attributes)
        event = (
            SpanEvent(name, attributes=values)
            if timestamp is None
            else SpanEvent(name, timestamp, values)
        )
        self._recorded.add_event(event)

    def add_link(self, context: SpanContext, attributes: types.Attributes = None) -> None:
        """Refer to another span."""
        if context.is_valid:
            values = attributes_of(attributes) or None
            span_id = f"{context.span_id:016x}"
            self._recorded.add_link(Link(hex_trace_id(context.trace_id), span_id, values))

    def update_name(self, name: str) -> None:
        """Rename the span; a root's name is its trace's too."""
        live = self._recorded
        if live.end_time_ns is None:
            if live.trace.root is live and live.trace.name == live.name:
                live.trace.name = name
            live.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; OK is final, and UNSET changes nothing."""
        if isinstance(status, Status):
            code, description = status.status_code, status.description
        else:
            code = status
        if self._status is StatusCode.OK or code is StatusCode.UNSET:
            return
        self._status = code
        text = (description or "") if code is StatusCode.ERROR else ""
        self._recorded.set_status(SpanStatus(SpanStatusCode[code.name], text))

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception as an event; the status stays as it is."""
        values = exception_attributes(exception) | {"exception.escaped": str(escaped)}
        self.add_event("exception", {**values, **(attributes or {})}, timestamp)

    def leave_with(self, exception: BaseException) -> None:
        """Take note of the exception that ends the block of this span."""
        if isinstance(exception, Exception) or not isinstance(exception, GeneratorExit):
            if self._record_exception:
                self.record_exception(exception, escaped=True)
            if self._set_status_on_exception:
                message = f"{type(exception).__name__}: {exception_message(exception)}"
                self.set_status(StatusCode.ERROR, message)

    def end(self, end_time: int | None = None) -> None:
        """End the span and hand it to the writer. A second end changes nothing."""
        with self._ending:
            if self._recorded.end_time_ns is not None:
                return
            try:
                self._recorded.set_attribute(DETAILS_KEY, self._details())
                self._recorded.end(end_time_ns=end_time)
            except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
                runtime.failed("the end of a span", error)

    def _details(self) -> dict[str, Any]:
        details: dict[str, Any] = {"kind": self._kind.name, "scope": self._scope}
        if self._status is StatusCode.UNSET:
            details["status"] = "UNSET"
        return details

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if exception is not None:
            self.leave_with(exception)
        self.end()


class Unrecorded(trace_api.NonRecordingSpan):
    """Stands for a span that is not recorded, so that nothing below it is."""

    live = NO_OP

    def __init__(self, trace_id: str | None) -> None:
        digits = (trace_id or ids.new_trace_id(0))[3:]
        span_id = int(ids.new_span_id(), 16)
        super().__init__(SpanContext(int(digits, 16), span_id, is_remote=False))


def attributes_of(attributes: types.Attributes) -> dict[str, Any]:
    """Return attributes of an event or a link as a dictionary."""
    return {str(key): value for key, value in attributes.items()} if attributes else {}


def exception_attributes(exception: BaseException) -> dict[str, str]:
    """Return the attributes of an `exception` event, named as OpenTelemetry does.

    Source: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/
    """
    kind = type(exception)
    name = kind.__qualname__
    try:
        frames = traceback.format_exception(
            kind, exception, exception.__traceback__, limit=-MAX_FRAMES
        )
        stack = "".join(frames)
    except Exception as failure:  # noqa: BLE001 - formatting calls user code
        stack = f"<stack trace unavailable: {type(failure).__name__}>"
    return {
        "exception.type": name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}",
        "exception.message": exception_message(exception),
        "exception.stacktrace": stack,
    }


def _decoded(text: str) -> Any:
    """Return what an attribute of MLflow's is: JSON text on its way through OpenTelemetry."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def hex_trace_id(trace_id: int) -> str:
    """Return OpenTelemetry's number as a trace id of ours."""
    return f"tr-{trace_id:032x}"
