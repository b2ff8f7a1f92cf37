"""How loud a span is, for viewers that fold quiet ones away."""

from __future__ import annotations

import enum

from tracestore.arguments import shown
from tracestore.errors import InvalidArgumentError


class SpanLogLevel(enum.IntEnum):
    """How loud a span is, for viewers that fold quiet ones away."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50

    @classmethod
    def from_value(cls, value: SpanLogLevel | str) -> SpanLogLevel:
        """Return the level that `value` is or names, in any case.

        Raises:
            InvalidArgumentError: `value` is anything else, also a number.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and value.strip().upper() in cls.__members__:
            return cls[value.strip().upper()]
        names = ", ".join(cls.__members__)
        raise InvalidArgumentError(f"log_level is {shown(value)}; it must be one of {names}")


#: Types whose spans are INFO unless somebody says otherwise; others are DEBUG. Source: MLflow 3.17.2.
_INFO_TYPES = frozenset(("LLM", "CHAT_MODEL", "TOOL", "RETRIEVER", "AGENT", "EMBEDDING"))


def default_level(span_type: str | None) -> SpanLogLevel:
    """Return how loud a span of this type is that has ended without anybody saying so."""
    return SpanLogLevel.INFO if span_type in _INFO_TYPES else SpanLogLevel.DEBUG
