"""Assessments: what a person, a program or a model said about a trace.

Feedback says how good an answer was; an expectation says what the right answer would have been.
These are dataclasses, not msgspec structs like the other entities: programs hand them on to web frameworks
and data frames, which know dataclasses (a FastAPI route may return what `log_feedback` returned).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import json
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from tracestore.arguments import checked
from tracestore.entities.span_event import exception_message, stack_trace
from tracestore.errors import InvalidArgumentError


class AssessmentSourceType:
    """Who can be the source of an assessment."""

    HUMAN = "HUMAN"
    LLM_JUDGE = "LLM_JUDGE"
    CODE = "CODE"
    SOURCE_TYPE_UNSPECIFIED = "SOURCE_TYPE_UNSPECIFIED"
    AI_JUDGE = "AI_JUDGE"  # MLflow 2's name for LLM_JUDGE; using it warns


#: Metadata of an assessment that says which run made it.
RUN_KEY = "mlflow.assessment.sourceRunId"

#: Metadata of a trace that says its session, and of an assessment that is about all of that session.
SESSION_KEY = "mlflow.trace.session"

#: Characters of a stack trace that the dictionary form keeps, its end. Source: MLflow 3.
_STACK_CHARACTERS = 10_000
_STACK_CUT = "[Stack trace is truncated]\n...\n"

_SOURCE_TYPES = ("HUMAN", "LLM_JUDGE", "CODE", "SOURCE_TYPE_UNSPECIFIED")


@dataclasses.dataclass
class AssessmentSource:
    """Who assessed: a type in any case (see AssessmentSourceType) and a free id such as a user name.

    `source_id=None` counts as "default". MLflow 2's type AI_JUDGE becomes LLM_JUDGE with a FutureWarning.
    """

    source_type: str
    source_id: str | None = "default"

    def __post_init__(self) -> None:
        """Normalise the type; InvalidArgumentError for an unknown one."""
        kind = str(self.source_type).upper()
        if kind == AssessmentSourceType.AI_JUDGE:
            warnings.warn(
                "AI_JUDGE is deprecated; its name is LLM_JUDGE now", FutureWarning, stacklevel=3
            )
            kind = AssessmentSourceType.LLM_JUDGE
        if kind not in _SOURCE_TYPES:
            raise InvalidArgumentError(
                f"source_type is {self.source_type!r}; it must be one of {', '.join(_SOURCE_TYPES)}"
            )
        self.source_type = kind
        self.source_id = "default" if self.source_id is None else str(self.source_id)

    def to_dictionary(self) -> dict[str, Any]:
        """Return type and id by name."""
        return dataclasses.asdict(self)

    @classmethod
    @checked
    def from_dictionary(cls, data: Mapping[str, Any]) -> AssessmentSource:
        """Return the source that `to_dictionary`, here or in MLflow 3, made `data` of."""
        with _reading("assessment's source"):
            return cls(data["source_type"], data.get("source_id"))


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
            return cls(type(error).__name__, exception_message(error), stack_trace(error))
        if isinstance(error, str):
            return cls("ASSESSMENT_ERROR", error)
        raise InvalidArgumentError(
            f"error is a {type(error).__name__}; it must be an exception, a text or an AssessmentError"
        )

    def to_dictionary(self) -> dict[str, Any]:
        """Return code, message and stack trace by name; of a long stack trace the last 10,000 characters."""
        stack = self.stack_trace
        if stack is not None and len(stack) > _STACK_CHARACTERS:
            stack = _STACK_CUT + stack[len(_STACK_CUT) - _STACK_CHARACTERS :]
        return dataclasses.asdict(self) | {"stack_trace": stack}

    @classmethod
    @checked
    def from_dictionary(cls, data: Mapping[str, Any]) -> AssessmentError:
        """Return the error that `to_dictionary`, here or in MLflow 3, made `data` of."""
        with _reading("assessment's error"):
            return cls(data["error_code"], data.get("error_message"), data.get("stack_trace"))


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
        create_time_ms: When it was made.
        last_update_time_ms: When it was last changed.
        overrides: The assessment_id that this one replaces.
        valid: False once another one overrides it.
    """

    #: "feedback" or "expectation": what the dictionary form and the file call it.
    kind: ClassVar[str]

    @property
    def run_id(self) -> str | None:
        """The run that made it: metadata `mlflow.assessment.sourceRunId`."""
        metadata = self.__dict__["metadata"]
        return None if metadata is None else metadata.get(RUN_KEY)

    @property
    def is_of_session(self) -> bool:
        """Whether it is about the trace's whole session: it has metadata `mlflow.trace.session`."""
        return SESSION_KEY in (self.__dict__["metadata"] or ())

    def to_dictionary(self) -> dict[str, Any]:
        """Return the assessment as a dictionary of JSON values, in MLflow 3's form."""
        fields = self.__dict__
        values = {name: fields[name] for name in _PLAIN_FIELDS if fields[name] is not None}
        values["assessment_name"] = fields["name"]
        source = fields["source"]
        values["source"] = {"source_type": source.source_type, "source_id": source.source_id}
        values["create_time"] = rfc3339(fields["create_time_ms"])
        values["last_update_time"] = rfc3339(fields["last_update_time_ms"])
        values[self.kind] = assessment_body(self.kind, fields["value"], fields.get("error"))
        return values

    @staticmethod
    @checked
    def from_dictionary(data: Mapping[str, Any]) -> Feedback | Expectation:
        """Return the assessment that `to_dictionary`, here or in MLflow 3, made `data` of.

        Raises:
            InvalidArgumentError: `data` lacks a field, holds one of the wrong form, or is of another kind
                (MLflow's issues).
        """
        with _reading("assessment"):
            common: dict[str, Any] = {
                name: data[name] for name in _PLAIN_FIELDS if data.get(name) is not None
            }
            common["name"] = data["assessment_name"]
            if "metadata" in common:
                common["metadata"] = {str(k): str(v) for k, v in common["metadata"].items()}
            common["source"] = AssessmentSource.from_dictionary(data["source"])
            common["create_time_ms"] = from_rfc3339(data["create_time"])
            common["last_update_time_ms"] = from_rfc3339(data["last_update_time"])
            if data.get("expectation"):
                return Expectation(value=_value_of(data["expectation"]), **common)
            if data.get("feedback"):
                error = data["feedback"].get("error")
                error = None if error is None else AssessmentError.from_dictionary(error)
                return Feedback(value=data["feedback"].get("value"), error=error, **common)
        raise InvalidArgumentError(
            "not an assessment's dictionary: it holds neither 'feedback' nor 'expectation'"
        )


def assessment_body(kind: str, value: Any, error: AssessmentError | None) -> dict[str, Any]:
    """Return the part of the dictionary form that differs by kind."""
    if kind == "expectation" and isinstance(value, (dict, list)):
        text = json.dumps(value)
        return {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": text}}
    return {"value": value} if error is None else {"value": value, "error": error.to_dictionary()}


def _value_of(expectation: Mapping[str, Any]) -> Any:
    if "value" in expectation:
        return expectation["value"]
    return json.loads(expectation["serialized_value"]["value"])


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn what goes wrong in the block into an InvalidArgumentError that names `what`."""
    try:
        yield
    except InvalidArgumentError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidArgumentError(
            f"not the dictionary of an {what} ({type(error).__name__}: {error}); "
            "pass what to_dictionary() returned"
        ) from error


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
    hour, rest_ms = divmod(time_ms, 3_600_000)
    second, rest_ms = divmod(rest_ms, 1_000)
    return f"{_hour(hour)}{_second(second)}{_millisecond(rest_ms)}"


# Formatting numbers takes most of the time: 1.1 µs without these three, 0.3 with them. Lists ask by the ten thousand.
@functools.lru_cache(maxsize=1_024)
def _hour(hour: int) -> str:
    day, hour = divmod(hour, 24)
    return f"{dt.date.fromordinal(_FIRST_DAY + day).isoformat()}T{hour:02}:"


@functools.lru_cache(maxsize=3_600)
def _second(second: int) -> str:
    return f"{second // 60:02}:{second % 60:02}"


@functools.lru_cache(maxsize=1_000)
def _millisecond(millisecond: int) -> str:
    return f".{millisecond:03}Z"


def from_rfc3339(text: str) -> int:
    """Return milliseconds since 1970 of a time that `rfc3339` or protobuf wrote; digits beyond are cut off.

    Raises:
        ValueError: It is no such time.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    seconds = dt.datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].replace('Z', '+00:00')}")
    return int(seconds.timestamp()) * 1000 + int(f"{match[3] or 0:0<3}"[:3])


_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)


_FIRST_DAY = dt.date(1970, 1, 1).toordinal()


@dataclasses.dataclass
class Feedback(Assessment):
    """How good an answer was: a value of any JSON type, or an error that says why there is none.

    Without `source` it comes from CODE. `error` may be given as an exception or a text.
    """

    kind = "feedback"

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
        """Fill in the default source and the times, and normalise the error."""
        self.source = source_or(self.source, "CODE")
        _fill_in_times(self)
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

    @property
    def expectation(self) -> None:
        """None: it is no expectation."""


@dataclasses.dataclass
class Expectation(Assessment):
    """What the right answer would have been: a value of any JSON type except null.

    Without `source` it comes from a HUMAN.
    """

    kind = "expectation"

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
        """Fill in the default source and the times; InvalidArgumentError where there is no value."""
        self.source = source_or(self.source, "HUMAN")
        _fill_in_times(self)
        if self.value is None:
            raise InvalidArgumentError(
                f"expectation {self.name!r} has no value; an expectation says what is expected, "
                "so pass a value other than None"
            )

    @property
    def expectation(self) -> Expectation:
        """The expectation itself; MLflow keeps the value one level down."""
        return self

    @property
    def feedback(self) -> None:
        """None: it is no feedback."""

    @property
    def error(self) -> None:
        """None: an expectation has no error."""


def source_or(source: object, default_type: str) -> AssessmentSource:
    """Return `source`, or the default one of `default_type`; InvalidArgumentError for another type."""
    if source is None:
        return AssessmentSource(default_type)
    if not isinstance(source, AssessmentSource):
        raise InvalidArgumentError(
            f"source is a {type(source).__name__}; pass AssessmentSource(source_type, source_id)"
        )
    return source


def _fill_in_times(assessment: Feedback | Expectation) -> None:
    if assessment.create_time_ms is None or assessment.last_update_time_ms is None:
        now_ms = time.time_ns() // 1_000_000
        assessment.create_time_ms = assessment.create_time_ms or now_ms
        assessment.last_update_time_ms = assessment.last_update_time_ms or now_ms
