"""A span as it is read back, with its status, events and links.

Payloads stay JSON text until somebody asks: a trace of a thousand spans costs nothing to fetch that is not
looked at. `Span.to_dict` is MLflow 3's form (OpenTelemetry's protobuf JSON, attribute values encoded once
more), so either library reads the other's.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from tracestore.arguments import checked
from tracestore.entities.link import Link
from tracestore.entities.span_event import SpanEvent, exception_message
from tracestore.entities.span_log_level import SpanLogLevel, default_level
from tracestore.entities.span_status import SpanStatus, SpanStatusCode, parse_status_code
from tracestore.errors import InvalidArgumentError

__all__ = [
    "COST_KEY",
    "DESCRIPTION_KEY",
    "FUNCTION_KEY",
    "INPUTS_KEY",
    "INTERMEDIATE_OUTPUTS_KEY",
    "LOG_LEVEL_KEY",
    "MODEL_KEY",
    "OUTPUTS_KEY",
    "TRACE_ID_KEY",
    "TYPE_KEY",
    "USAGE_KEY",
    "Link",
    "Span",
    "SpanEvent",
    "SpanLogLevel",
    "SpanStatus",
    "SpanStatusCode",
    "SpanType",
    "exception_message",
    "parse_status_code",
]

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
INTERMEDIATE_OUTPUTS_KEY = "mlflow.trace.intermediate_outputs"

#: The JSON text of an absent value and of None differ: no text at all, and "null".
_decode = msgspec.json.decode


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
        self._inputs: Any = inputs  # of a live span as UTF-8
        self._outputs: Any = outputs

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
        if self.end_time_ns is not None:
            attributes[LOG_LEVEL_KEY] = int(self._default_level())
        attributes.update(self._own_attributes())
        return attributes

    def _default_level(self) -> SpanLogLevel:
        failed = any(event["name"] == "exception" for event in self._event_dicts())
        return SpanLogLevel.ERROR if failed else default_level(self.span_type)

    def _own_attributes(self) -> dict[str, Any]:
        return {} if self._attributes is None else _decode(self._attributes)

    def get_attribute(self, key: str) -> Any:
        """Return one attribute, decoded; None where the span has no such attribute."""
        return (
            self.attributes.get(key) if isinstance(key, str) else None
        )  # else it may have no hash

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
        """How loud the span is: as somebody said, else by its type, ERROR with an exception; None while open."""
        level = self._own_attributes().get(LOG_LEVEL_KEY)
        if level is None and self.end_time_ns is not None:
            return self._default_level()
        return SpanLogLevel(level) if level in tuple(SpanLogLevel) else None

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form: base64 ids, JSON-encoded attribute values."""
        return {
            "trace_id": _to_base64(self.trace_id.removeprefix("tr-"), 16),
            "span_id": _to_base64(self.span_id, 8),
            "parent_span_id": _to_base64(self.parent_id, 8) if self.parent_id else None,
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
    @checked
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
        span_id, parent, start_ns, end_ns, code, message = _fields_of(data)
        events = [_event_dict(event) for event in data.get("events") or ()]
        links = [Link.from_dict(link).to_dict() for link in data.get("links") or ()]
        return cls(
            trace_id,
            _span_id(span_id),
            _span_id(parent) if parent else None,
            str(data["name"]),
            None if span_type is None else str(span_type),
            SpanStatusCode(code.removeprefix("STATUS_CODE_")).value,
            message or None,
            int(start_ns),
            None if end_ns is None else int(end_ns),
            _json_text(attributes) if attributes else None,
            _json_text(events) if events else None,
            _json_text(links) if links else None,
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

    # Without it `in` and `for` would ask __getitem__ for 0, 1, 2, ….
    __iter__ = None

    def __getitem__(self, key: object) -> Any:
        raise TypeError(
            f"a span is no dictionary: read {key!r} with span.get_attribute(), or use span.to_dict()"
        )

    @property
    def get(self) -> NoReturn:
        """Say that a span is no dictionary; `__getattr__` would make every attribute of a span slower."""
        raise AttributeError("a span is no dictionary and has no get(): use span.get_attribute()")


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _fields_of(data: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return span id, parent's id, start, end, status code and message, by their names in MLflow 2 or 3."""
    if "context" in data:
        return (
            data["context"]["span_id"],
            data.get("parent_id"),
            data["start_time"],
            data.get("end_time"),
            data["status_code"],
            data.get("status_message"),
        )
    return (
        data["span_id"],
        data.get("parent_span_id"),
        data["start_time_unix_nano"],
        data.get("end_time_unix_nano") or None,
        data["status"]["code"],
        data["status"].get("message"),
    )


def _event_dict(event: Mapping[str, Any]) -> dict[str, Any]:
    moment = event["time_unix_nano"] if "time_unix_nano" in event else event["timestamp"]
    return {
        "name": str(event["name"]),
        "time_unix_nano": int(moment),
        "attributes": dict(event.get("attributes") or {}),
    }


@functools.lru_cache(maxsize=1024)
def _to_base64(hex_id: str, size: int) -> str:
    """Return an id of `size` bytes as base64 of them; of another form (a uuid, say), a digest stands for it."""
    if len(hex_id) == 2 * size and _HEX.fullmatch(hex_id):
        raw = bytes.fromhex(hex_id)
    else:
        raw = hashlib.blake2b(hex_id.encode(), digest_size=size).digest()
    return base64.b64encode(raw).decode()


_HEX = re.compile(r"(?:0x)?([0-9a-f]{1,16})|[0-9a-f]{32}", re.ASCII)


def _span_id(text: str) -> str:
    """Return 16 hex digits: of an id that is base64 (MLflow 3), hex (3.5) or hex with 0x (2)."""
    found = _HEX.fullmatch(text)
    if found is not None and found[1]:
        return found[1].zfill(16)
    raw = base64.b64decode(text, validate=True)
    if len(raw) != 8:
        raise ValueError(f"{text!r:.100} is no span id")
    return raw.hex()


def __getattr__(name: str) -> Any:
    """Give `LiveSpan` and `NoOpSpan` under MLflow's module path of spans, too; see the package."""
    if name in ("LiveSpan", "NoOpSpan"):
        return getattr(importlib.import_module("tracestore.entities"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
