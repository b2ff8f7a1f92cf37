"""The span that stands for one that is not recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracestore.entities.span import (
    Link,
    Span,
    SpanEvent,
    SpanLogLevel,
    SpanStatus,
    SpanStatusCode,
)
from tracestore.ids import NO_OP_TRACE_ID

if TYPE_CHECKING:
    from tracestore.capture.span import LiveSpan


class NoOpSpan(Span):
    """Stands for a span that is not recorded: tracing is off, or the trace was not sampled.

    Takes every call of LiveSpan and does nothing.
    """

    __slots__ = ()

    trace_id = NO_OP_TRACE_ID
    request_id = NO_OP_TRACE_ID
    span_id = None  # type: ignore[assignment]  # unlike a span
    parent_id = None
    parent = None
    name = None  # type: ignore[assignment]  # unlike a span
    span_type = None
    start_time_ns = None  # type: ignore[assignment]  # unlike a span
    end_time_ns = None
    status = None  # type: ignore[assignment]  # unlike a span
    inputs = None
    outputs = None
    has_outputs = False
    failed = False
    model_name = None
    llm_cost = None
    log_level = None
    description = None

    def __init__(self, otel_span: object = None) -> None:
        del otel_span

    @property
    def attributes(self) -> dict[str, Any]:
        """No attributes."""
        return {}

    @property
    def events(self) -> list[SpanEvent]:
        """No events."""
        return []

    @property
    def links(self) -> list[Link]:
        """No links."""
        return []

    def get_attribute(self, key: str) -> None:
        """Return None."""

    def set_inputs(self, inputs: Any) -> None:
        """Do nothing."""

    def set_outputs(self, outputs: Any) -> None:
        """Do nothing."""

    def set_result(self, result: Any) -> None:
        """Do nothing."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Do nothing."""

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Do nothing."""

    def set_span_type(self, span_type: str | None) -> None:
        """Do nothing."""

    def set_description(self, description: str) -> None:
        """Do nothing."""

    def set_log_level(self, level: SpanLogLevel | str) -> None:
        """Do nothing."""

    def set_status(self, status: SpanStatus | SpanStatusCode | str) -> None:
        """Do nothing."""

    def add_event(self, event: SpanEvent) -> None:
        """Do nothing."""

    def add_link(self, link: Link) -> None:
        """Do nothing."""

    def record_exception(self, exception: BaseException | str) -> None:
        """Do nothing."""

    def end(
        self,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: SpanStatus | SpanStatusCode | str | None = None,
        end_time_ns: int | None = None,
    ) -> None:
        """Do nothing."""

    def to_immutable_span(self) -> NoOpSpan:
        """Return itself: it never changes."""
        return self

    def encloses(self, span: LiveSpan | NoOpSpan | None) -> bool:
        """Return False: there is nothing below it but itself."""
        del span
        return False

    def to_dict(self) -> dict[str, Any]:
        """Return an empty dictionary."""
        return {}
