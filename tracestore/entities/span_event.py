"""Something that happened at a moment within a span, and how an exception becomes that."""

from __future__ import annotations

import json
import time
import traceback
from typing import Any

import msgspec

from tracestore.entities.dataclass_fields import DataclassFields

#: Frames of a stack trace that are kept, those nearest to the error. An exception that passes through a
#: thousand spans leaves a stack trace on each.
MAX_FRAMES = 100


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened at a moment within a span.

    `timestamp` is nanoseconds since 1970 and defaults to now. `attributes` are JSON values by name.
    """

    __dataclass_fields__ = DataclassFields()

    name: str
    timestamp: int = msgspec.field(default_factory=time.time_ns)
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def from_exception(cls, exception: BaseException) -> SpanEvent:
        """Return an `exception` event: type, message and stack trace, named as OpenTelemetry does."""
        return cls(
            "exception",
            attributes={
                "exception.message": exception_message(exception),
                "exception.type": type(exception).__name__,
                "exception.stacktrace": stack_trace(exception),
            },
        )

    def json(self) -> dict[str, Any]:
        """Return MLflow's dictionary of the event: its attributes are JSON text, None where there are none."""
        attributes = json.dumps(self.attributes, default=str) if self.attributes else None
        return {"name": self.name, "timestamp": self.timestamp, "attributes": attributes}


def exception_message(exception: BaseException) -> str:
    """Return `str(exception)`, or a note in its place where that itself fails."""
    try:
        return str(exception)
    except Exception as failure:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<message unavailable: {type(failure).__name__}>"


def stack_trace(exception: BaseException) -> str:
    """Return the stack trace as Python prints it, or a note in its place where that itself fails."""
    try:
        return "".join(
            traceback.format_exception(
                type(exception), exception, exception.__traceback__, limit=-MAX_FRAMES
            )
        ).strip()
    except Exception as failure:  # noqa: BLE001 - formatting calls user code (__str__, __cause__)
        return f"<stack trace unavailable: {type(failure).__name__}>"
