"""A span as it is read back, with its status, events and links.

Payloads stay JSON text until somebody asks: a trace of a thousand spans costs nothing to fetch that is not
looked at. `Span.to_dict` is MLflow 3's form (OpenTelemetry's protobuf JSON, attribute values encoded once
more), so either library reads the other's.
"""

from __future__ import annotations

import base64
import enum
import functools
import json
import time
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

from tracestore.errors import InvalidArgumentError

#: Attributes that MLflow keeps among a span's attributes and this package keeps in columns of their own.
TRACE_ID_KEY = "mlflow.traceRequestId"
TYPE_KEY = "mlflow.spanType"
INPUTS_KEY = "mlflow.spanInputs"
OUTPUTS_KEY = "mlflow.spanOutputs"
FUNCTION_KEY = "mlflow.spanFunctionName"
USAGE_KEY = "mlflow.chat.tokenUsage"
COST_KEY = "mlflow.llm.cost"
MODEL_KEY = "mlflow.llm.model"
LOG_LEVEL_KEY = "mlflow.spanLogLevel"
DESCRIPTION_KEY = "mlflow.spanDescription"

#: The JSON text of an absent value and of None differ: no text at all, and "null".
_decode = msgspec.json.decode


#: Frames of a stack trace that are kept, those nearest to the error. An exception that passes through a
#: thousand spans leaves a stack trace on each.
MAX_FRAMES = 100


class SpanType:
    """Well-known span types. Any other text is allowed as a type too."""

    LLM = "LLM"
    CHAIN = "CHAIN"
    AGENT = "AGENT"
    TOOL = "TOOL"
    CHAT_MODEL = "CHAT_MODEL"
    RETRIEVER = "RETRIEVER"
    PARSER = "PARSER"
    EMBEDDING = "EMBEDDING"
    RERANKER = "RERANKER"
    MEMORY = "MEMORY"
    UNKNOWN = "UNKNOWN"
    WORKFLOW = "WORKFLOW"
    TASK = "TASK"
    GUARDRAIL = "GUARDRAIL"
    EVALUATOR = "EVALUATOR"


class SpanStatusCode(str, enum.Enum):
    """How a span ended; UNSET while it is open."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"

    def __str__(self) -> str:
        return self.value


class SpanLogLevel(enum.IntEnum):
    """How loud a span is, for viewers that fold quiet ones away."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50

    @classmethod
    def parse(cls, level: SpanLogLevel | str) -> SpanLogLevel:
        """Return the level that `level` names, in any case; InvalidArgumentError for anything else."""
        if isinstance(level, cls):
            return level
        if isinstance(level, str) and level.upper() in cls.__members__:
            return cls[level.upper()]
        names = ", ".join(cls.__members__)
        raise InvalidArgumentError(f"log_level is {level!r}; it must be one of {names}")


class SpanStatus(msgspec.Struct, frozen=True):
    """A status code with the description that goes with an ERROR.

    `status_code` may be given as the code's name, in upper case.
    """

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
            f"status is {code!r}; it must be one of 'OK', 'ERROR', 'UNSET', in upper case"
        ) from None


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened at a moment within a span.

    `timestamp` is nanoseconds since 1970 and defaults to now. `attributes` are JSON values by name.
    """

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
                "exception.stacktrace": _stack_trace(exception),
            },
        )

    def json(self) -> dict[str, Any]:
        """Return the event as a dictionary of JSON values."""
        return {"name": self.name, "timestamp": self.timestamp, "attributes": dict(self.attributes)}


def exception_message(exception: BaseException) -> str:
    """Return `str(exception)`, or a note in its place where that itself fails."""
    try:
        return str(exception)
    except Exception as failure:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<message unavailable: {type(failure).__name__}>"


def _stack_trace(exception: BaseException) -> str:
    try:
        return "".join(
            traceback.format_exception(
                type(exception), exception, exception.__traceback__, limit=-MAX_FRAMES
            )
        )
    except Exception as failure:  # noqa: BLE001 - formatting calls user code (__str__, __cause__)
        return f"<stack trace unavailable: {type(failure).__name__}>"


class Link(msgspec.Struct, frozen=True):
    """A reference to a span of another trace. Ids as hex text, `tr-…` and 16 digits."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any] | None = None


class Span:
    """One step of a trace.

    Spans come from `Trace.data.spans`; user code does not build them. Times are nanoseconds since 1970.

    Attributes:
        trace_id: `tr-` and 32 hex digits.
        span_id: 16 hex digits.
        parent_id: The parent's span id, None for a root.
        name: What the span is called.
        span_type: See `SpanType`; any text, or None.
        start_time_ns: When it started.
        end_time_ns: When it ended, None while it is open.
    """

    __slots__ = (
        "_attributes",
        "_events",
        "_inputs",
        "_links",
        "_outputs",
        "_status_code",
        "_status_message",
        "end_time_ns",
        "name",
        "parent_id",
        "span_id",
        "span_type",
        "start_time_ns",
        "trace_id",
    )

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        parent_id: str | None,
        name: str,
        span_type: str | None,
        status_code: str,
        status_message: str | None,
        start_time_ns: int,
        end_time_ns: int | None,
        attributes: str | None,
        events: str | None,
        links: str | None,
        inputs: str | None,
        outputs: str | None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.name = name
        self.span_type = span_type
        self._status_code = status_code
        self._status_message = status_message
        self.start_time_ns = start_time_ns
        self.end_time_ns = end_time_ns
        self._attributes: Any = attributes
        self._events: Any = events
        self._links: Any = links
        self._inputs: str | None = inputs
        self._outputs: str | None = outputs

    @property
    def request_id(self) -> str:
        """The trace's id, by its MLflow 2 name."""
        return self.trace_id

    @property
    def status(self) -> SpanStatus:
        """Status code and description."""
        return SpanStatus(SpanStatusCode(self._status_code), self._status_message or "")

    @property
    def inputs(self) -> Any:
        """What went in, as decoded JSON; None where nothing was recorded."""
        return None if self._inputs is None else _decode(self._inputs)

    @property
    def outputs(self) -> Any:
        """What came out, as decoded JSON; None where nothing was recorded."""
        return None if self._outputs is None else _decode(self._outputs)

    @property
    def attributes(self) -> dict[str, Any]:
        """All attributes, decoded, with MLflow's own names for trace id, type, inputs and outputs."""
        attributes: dict[str, Any] = {TRACE_ID_KEY: self.trace_id, TYPE_KEY: self.span_type}
        if self._inputs is not None:
            attributes[INPUTS_KEY] = _decode(self._inputs)
        if self._outputs is not None:
            attributes[OUTPUTS_KEY] = _decode(self._outputs)
        attributes.update(self._own_attributes())
        return attributes

    def _own_attributes(self) -> dict[str, Any]:
        return {} if self._attributes is None else _decode(self._attributes)

    def get_attribute(self, key: str) -> Any:
        """Return one attribute, decoded; None where the span has no such attribute."""
        return self.attributes.get(key)

    @property
    def events(self) -> list[SpanEvent]:
        """The span's events in the order they were added."""
        return [
            SpanEvent(e["name"], e["time_unix_nano"], e.get("attributes") or {})
            for e in self._event_dicts()
        ]

    def _event_dicts(self) -> list[dict[str, Any]]:
        return [] if self._events is None else _decode(self._events)

    @property
    def links(self) -> list[Link]:
        """References to spans of other traces."""
        return [msgspec.convert(link, Link) for link in self._link_dicts()]

    def _link_dicts(self) -> list[dict[str, Any]]:
        return [] if self._links is None else _decode(self._links)

    @property
    def model_name(self) -> str | None:
        """The language model this span called, None where unknown."""
        model = self._own_attributes().get(MODEL_KEY)
        return model if isinstance(model, str) else None

    @property
    def llm_cost(self) -> dict[str, float] | None:
        """Cost in US dollars by part (`input_cost`, `output_cost`, `total_cost`), None where unknown."""
        cost = self._own_attributes().get(COST_KEY)
        return cost if isinstance(cost, dict) else None

    @property
    def description(self) -> str | None:
        """Free text about the span."""
        return self._own_attributes().get(DESCRIPTION_KEY)

    @property
    def log_level(self) -> SpanLogLevel | None:
        """How loud the span is; None where nobody said."""
        level = self._own_attributes().get(LOG_LEVEL_KEY)
        return SpanLogLevel(level) if level in tuple(SpanLogLevel) else None

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form: base64 ids, JSON-encoded attribute values."""
        return {
            "trace_id": _to_base64(self.trace_id[3:]),
            "span_id": _to_base64(self.span_id),
            "parent_span_id": _to_base64(self.parent_id) if self.parent_id else None,
            "name": self.name,
            "start_time_unix_nano": self.start_time_ns,
            "end_time_unix_nano": self.end_time_ns,
            "events": self._event_dicts(),
            "status": {
                "code": f"STATUS_CODE_{self._status_code}",
                "message": self._status_message or "",
            },
            "attributes": {
                k: json.dumps(v, ensure_ascii=False) for k, v in self.attributes.items()
            },
            "links": self._link_dicts(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Span:
        """Return the span that `to_dict`, here or in MLflow 3, made `data` of.

        Raises:
            InvalidArgumentError: `data` lacks a field or holds one of the wrong form.
        """
        try:
            return cls._from_dict(data)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InvalidArgumentError(
                f"not a span's dictionary ({type(error).__name__}: {error}); "
                "pass what Span.to_dict() returned"
            ) from error

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any]) -> Span:
        # MLflow writes NaN and the infinities as JSON lacks them; here they are texts, see encoding.
        attributes = {k: json.loads(v, parse_constant=str) for k, v in data["attributes"].items()}
        inputs, outputs = attributes.pop(INPUTS_KEY, None), attributes.pop(OUTPUTS_KEY, None)
        trace_id = attributes.pop(TRACE_ID_KEY)
        if not isinstance(trace_id, str):
            raise TypeError(f"{TRACE_ID_KEY} is no text")
        span_type = attributes.pop(TYPE_KEY, None)
        parent = data.get("parent_span_id")
        return cls(
            trace_id,
            _from_base64(data["span_id"]),
            _from_base64(parent) if parent else None,
            str(data["name"]),
            span_type,
            SpanStatusCode(data["status"]["code"].removeprefix("STATUS_CODE_")).value,
            data["status"].get("message") or None,
            int(data["start_time_unix_nano"]),
            None if data["end_time_unix_nano"] is None else int(data["end_time_unix_nano"]),
            _json_text(attributes) if attributes else None,
            _json_text(data["events"]) if data.get("events") else None,
            _json_text(data["links"]) if data.get("links") else None,
            None if INPUTS_KEY not in data["attributes"] else _json_text(inputs),
            None if OUTPUTS_KEY not in data["attributes"] else _json_text(outputs),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Span):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.trace_id, self.span_id))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name={self.name!r}, trace_id={self.trace_id!r}, "
            f"span_id={self.span_id!r}, parent_id={self.parent_id!r})"
        )

    def __getitem__(self, key: object) -> Any:
        raise TypeError(
            f"a span is no dictionary: read {key!r} with span.get_attribute(), or use span.to_dict()"
        )


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


@functools.lru_cache(maxsize=1024)
def _to_base64(hex_id: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_id)).decode()


def _from_base64(text: str) -> str:
    return base64.b64decode(text, validate=True).hex()
