"""How a span ended: a code and, of an error, its description."""

from __future__ import annotations

import enum

import msgspec

from tracestore.arguments import shown
from tracestore.entities.dataclass_fields import DataclassFields
from tracestore.errors import InvalidArgumentError


class SpanStatusCode(str, enum.Enum):
    """How a span ended; UNSET while it is open."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"

    def __str__(self) -> str:
        return self.value


class SpanStatus(msgspec.Struct, frozen=True):
    """A status code with the description that goes with an ERROR.

    `status_code` may be given as the code's name, in upper case.
    """

    __dataclass_fields__ = DataclassFields()

    status_code: SpanStatusCode
    description: str = ""

    def __post_init__(self) -> None:
        """Accept the code's name; raise InvalidArgumentError for any other."""
        if not isinstance(self.status_code, SpanStatusCode):
            msgspec.structs.force_setattr(self, "status_code", parse_status_code(self.status_code))


def parse_status_code(code: object) -> SpanStatusCode:
    """Return the SpanStatusCode that `code` is or names; InvalidArgumentError for anything else."""
    try:
        return SpanStatusCode(code)
    except ValueError:
        raise InvalidArgumentError(
            f"status is {shown(code)}; it must be one of 'OK', 'ERROR', 'UNSET', in upper case"
        ) from None
