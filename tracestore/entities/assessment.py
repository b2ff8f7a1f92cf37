"""Assessments: what a person, a program or a model said about a trace.

Feedback says how good an answer was; an expectation says what the right answer would have been.
These are dataclasses, not msgspec structs like the other entities: programs hand them on to web frameworks
and data frames, which know dataclasses (a FastAPI route may return what `log_feedback` returned).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import Any

from tracestore.entities.span import _stack_trace, exception_message
from tracestore.errors import InvalidArgumentError


class AssessmentSourceType:
    """Who can be the source of an assessment."""

    HUMAN = "HUMAN"
    LLM_JUDGE = "LLM_JUDGE"
    CODE = "CODE"
    SOURCE_TYPE_UNSPECIFIED = "SOURCE_TYPE_UNSPECIFIED"
    AI_JUDGE = "AI_JUDGE"  # MLflow 2's name for LLM_JUDGE


_SOURCE_TYPES = ("HUMAN", "LLM_JUDGE", "CODE", "SOURCE_TYPE_UNSPECIFIED")


@dataclasses.dataclass
class AssessmentSource:
    """Who assessed: a type in any case (see AssessmentSourceType) and a free id such as a user name.

    `source_id=None` counts as "default".
    """

    source_type: str
    source_id: str | None = "default"

    def __post_init__(self) -> None:
        """Normalise the type; InvalidArgumentError for an unknown one."""
        kind = str(self.source_type).upper()
        kind = "LLM_JUDGE" if kind == "AI_JUDGE" else kind
        if kind not in _SOURCE_TYPES:
            raise InvalidArgumentError(
                f"source_type is {self.source_type!r}; it must be one of {', '.join(_SOURCE_TYPES)}"
            )
        self.source_type = kind
        self.source_id = "default" if self.source_id is None else str(self.source_id)


@dataclasses.dataclass
class AssessmentError:
    """Why an assessment could not be made."""

    error_code: str
    error_message: str | None = None
    stack_trace: str | None = None

    @classmethod
    def of(cls, error: AssessmentError | BaseException | str) -> AssessmentError:
        """Return `error` as an AssessmentError: an exception's class name is its code."""
        if isinstance(error, cls):
            return error
        if isinstance(error, BaseException):
            return cls(type(error).__name__, exception_message(error), _stack_trace(error))
        if isinstance(error, str):
            return cls("ASSESSMENT_ERROR", error)
        raise InvalidArgumentError(
            f"error is a {type(error).__name__}; it must be an exception, a text or an AssessmentError"
        )


@dataclasses.dataclass
class Assessment:
    """What feedback and expectations have in common; both list the fields in MLflow's order.

    Times are milliseconds since 1970.

    Attributes:
        name: What is assessed, such as "correctness".
        source: Who assessed.
        trace_id: The trace, once stored.
        assessment_id: `a-` and 32 hex digits, once stored.
        span_id: The span, or None for the trace as a whole.
        rationale: Why, in words.
        metadata: Further text values by key.
        create_time_ms: When it was stored.
        last_update_time_ms: When it was last changed.
        overrides: The assessment_id that this one replaces.
        valid: False once another one overrides it.
    """

    def to_dictionary(self) -> dict[str, Any]:
        """Return the assessment as a dictionary of JSON values, in MLflow 3's form."""
        fields = self.__dict__
        values = {name: fields[name] for name in _PLAIN_FIELDS if fields[name] is not None}
        values["assessment_name"] = fields["name"]
        source = fields["source"]
        values["source"] = {"source_type": source.source_type, "source_id": source.source_id}
        if fields["create_time_ms"] is not None:
            values["create_time"] = rfc3339(fields["create_time_ms"])
        if fields["last_update_time_ms"] is not None:
            values["last_update_time"] = rfc3339(fields["last_update_time_ms"])
        return values | self._value_dictionary()

    def _value_dictionary(self) -> dict[str, Any]:
        raise NotImplementedError


_PLAIN_FIELDS = (
    "assessment_id",
    "trace_id",
    "span_id",
    "rationale",
    "metadata",
    "overrides",
    "valid",
)


def rfc3339(time_ms: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 writes them: UTC, three decimals, Z."""
    day, rest_ms = divmod(time_ms, 86_400_000)
    minute, rest_ms = divmod(rest_ms, 60_000)
    second, rest_ms = divmod(rest_ms, 1_000)
    return f"{_date(day)}T{minute // 60:02}:{minute % 60:02}:{second:02}.{rest_ms:03}Z"


@functools.lru_cache(maxsize=64)
def _date(day: int) -> str:
    return dt.date.fromordinal(_FIRST_DAY + day).isoformat()


_FIRST_DAY = dt.date(1970, 1, 1).toordinal()


@dataclasses.dataclass
class Feedback(Assessment):
    """How good an answer was: a value of any JSON type, or an error that says why there is none.

    Without `source` it comes from CODE. `error` may be given as an exception or a text.
    """

    name: str = "feedback"
    value: Any = None
    error: AssessmentError | None = None
    source: AssessmentSource = None  # type: ignore[assignment]  # never None after __post_init__
    trace_id: str | None = None
    metadata: dict[str, str] | None = None
    span_id: str | None = None
    create_time_ms: int | None = None
    last_update_time_ms: int | None = None
    rationale: str | None = None
    overrides: str | None = None
    valid: bool = True
    assessment_id: str | None = None

    def __post_init__(self) -> None:
        """Fill in the default source and normalise the error."""
        self.source = source_or(self.source, "CODE")
        self.error = None if self.error is None else AssessmentError.of(self.error)

    @property
    def feedback(self) -> Feedback:
        """The feedback itself; MLflow keeps value and error one level down."""
        return self

    @property
    def error_code(self) -> str | None:
        """Code of the error, None without one."""
        return self.error.error_code if self.error else None

    @property
    def error_message(self) -> str | None:
        """Message of the error, None without one."""
        return self.error.error_message if self.error else None

    def _value_dictionary(self) -> dict[str, Any]:
        feedback: dict[str, Any] = {"value": self.value}
        if self.error is not None:
            feedback["error"] = dataclasses.asdict(self.error)
        return {"feedback": feedback}


@dataclasses.dataclass
class Expectation(Assessment):
    """What the right answer would have been: a value of any JSON type except null.

    Without `source` it comes from a HUMAN.
    """

    name: str
    value: Any
    source: AssessmentSource = None  # type: ignore[assignment]  # never None after __post_init__
    trace_id: str | None = None
    metadata: dict[str, str] | None = None
    span_id: str | None = None
    create_time_ms: int | None = None
    last_update_time_ms: int | None = None
    assessment_id: str | None = None
    rationale: str | None = None
    overrides: str | None = None
    valid: bool | None = None

    def __post_init__(self) -> None:
        """Fill in the default source; InvalidArgumentError where there is no value."""
        self.source = source_or(self.source, "HUMAN")
        if self.value is None:
            raise InvalidArgumentError(
                f"expectation {self.name!r} has no value; an expectation says what is expected, "
                "so pass a value other than None"
            )

    @property
    def expectation(self) -> Expectation:
        """The expectation itself; MLflow keeps the value one level down."""
        return self

    def _value_dictionary(self) -> dict[str, Any]:
        return {"expectation": {"value": self.value}}


def source_or(source: object, default_type: str) -> AssessmentSource:
    """Return `source`, or the default one of `default_type`; InvalidArgumentError for another type."""
    if source is None:
        return AssessmentSource(default_type)
    if not isinstance(source, AssessmentSource):
        raise InvalidArgumentError(
            f"source is a {type(source).__name__}; pass AssessmentSource(source_type, source_id)"
        )
    return source
