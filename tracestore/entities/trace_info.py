"""What is known about a trace as a whole, in MLflow 3's dictionary form and out of 2's and 3's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tracestore.arguments import checked
from tracestore.entities.assessment import Assessment, Expectation, Feedback, from_rfc3339, rfc3339
from tracestore.entities.dataclass_fields import DataclassFields
from tracestore.entities.trace_location import TraceLocation
from tracestore.entities.trace_state import TraceState
from tracestore.entities.trace_status import TraceStatus
from tracestore.errors import InvalidArgumentError

NAME_KEY = "mlflow.traceName"
SESSION_KEY = "mlflow.trace.session"
USER_KEY = "mlflow.trace.user"
TOKEN_USAGE_KEY = "mlflow.trace.tokenUsage"  # noqa: S105 - a metadata key, no password
COST_KEY = "mlflow.trace.cost"
SCHEMA_KEY = "mlflow.trace_schema.version"


class TraceInfo(msgspec.Struct):
    """What is known about a trace as a whole.

    Attributes:
        trace_id: `tr-` and 32 hex digits.
        trace_location: The experiment.
        request_time: Start, milliseconds since 1970.
        state: See TraceState.
        request_preview: The request as a person reads it, at most 1,000 characters.
        response_preview: The response likewise.
        client_request_id: The id that the caller's own system gave to the request.
        execution_duration: Milliseconds, None while in progress.
        trace_metadata: Text by key, fixed when the trace was recorded.
        tags: Text by key, which can be changed later.
        assessments: Feedback and expectations, oldest first.
    """

    __dataclass_fields__ = DataclassFields()

    trace_id: str
    trace_location: TraceLocation
    request_time: int
    state: TraceState
    request_preview: str | None = None
    response_preview: str | None = None
    client_request_id: str | None = None
    execution_duration: int | None = None
    trace_metadata: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    assessments: list[Feedback | Expectation] = msgspec.field(default_factory=list)

    @property
    def experiment_id(self) -> str:
        """The experiment's id."""
        return self.trace_location.mlflow_experiment.experiment_id

    @experiment_id.setter
    def experiment_id(self, value: str) -> None:
        self.trace_location = TraceLocation.from_experiment_id(value)

    @property
    def request_id(self) -> str:
        """The trace's id, by its MLflow 2 name."""
        return self.trace_id

    @property
    def timestamp_ms(self) -> int:
        """Start in milliseconds since 1970, by its MLflow 2 name."""
        return self.request_time

    @timestamp_ms.setter
    def timestamp_ms(self, value: int) -> None:
        self.request_time = value

    @property
    def execution_time_ms(self) -> int | None:
        """Duration in milliseconds, by its MLflow 2 name."""
        return self.execution_duration

    @execution_time_ms.setter
    def execution_time_ms(self, value: int | None) -> None:
        self.execution_duration = value

    @property
    def status(self) -> TraceStatus:
        """State, by its MLflow 2 name."""
        return TraceStatus.from_state(self.state)

    @status.setter
    def status(self, value: TraceStatus) -> None:
        self.state = TraceStatus(value).to_state()

    @property
    def request_metadata(self) -> dict[str, str]:
        """Metadata, by its MLflow 2 name."""
        return self.trace_metadata

    @property
    def name(self) -> str | None:
        """What the trace is called: its root span's name unless it was renamed."""
        return self.tags.get(NAME_KEY)

    @property
    def session_id(self) -> str | None:
        """The session it belongs to, None where it belongs to none."""
        return self.trace_metadata.get(SESSION_KEY, self.tags.get(SESSION_KEY))

    @property
    def user(self) -> str | None:
        """Who used the program, None where it did not say."""
        return self.trace_metadata.get(USER_KEY, self.tags.get(USER_KEY))

    @property
    def token_usage(self) -> dict[str, int] | None:
        """Tokens by kind (`input_tokens`, `output_tokens`, `total_tokens`, …), None where unknown."""
        return _json_object(self.trace_metadata.get(TOKEN_USAGE_KEY))

    @property
    def cost(self) -> dict[str, float] | None:
        """US dollars by kind (`input_cost`, `output_cost`, `total_cost`), None where unknown."""
        return _json_object(self.trace_metadata.get(COST_KEY))

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form; absent values are left out."""
        values: dict[str, Any] = {
            "trace_id": self.trace_id,
            "trace_location": self.trace_location.to_dict(),
        }
        if self.client_request_id is not None:
            values["client_request_id"] = self.client_request_id
        if self.request_preview is not None:
            values["request_preview"] = self.request_preview
        if self.response_preview is not None:
            values["response_preview"] = self.response_preview
        values["request_time"] = rfc3339(self.request_time)
        if self.execution_duration is not None:
            values["execution_duration_ms"] = self.execution_duration
        values["state"] = self.state.value
        values["trace_metadata"] = dict(self.trace_metadata)
        values["tags"] = dict(self.tags)
        if self.assessments:
            values["assessments"] = [a.to_dictionary() for a in self.assessments]
        return values

    @classmethod
    @checked
    def from_dict(cls, data: Mapping[str, Any]) -> TraceInfo:
        """Return the TraceInfo that `to_dict`, here or in MLflow 2 or 3, made `data` of.

        Raises:
            InvalidArgumentError: `data` lacks a field or holds one of the wrong form.
        """
        try:
            return _from_v2(data) if "request_id" in data else _from_v3(data)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InvalidArgumentError(
                f"not a trace info's dictionary ({type(error).__name__}: {error}); "
                "pass what TraceInfo.to_dict() returned"
            ) from error


def _from_v3(data: Mapping[str, Any]) -> TraceInfo:
    duration_ms = data.get("execution_duration_ms")
    if duration_ms is None and data.get("execution_duration") is not None:
        duration_ms = _duration_ms(data["execution_duration"])
    return TraceInfo(
        trace_id=_text(data["trace_id"]),
        trace_location=TraceLocation.from_dict(data["trace_location"]),
        request_time=from_rfc3339(data["request_time"]),
        state=TraceState(data.get("state", "STATE_UNSPECIFIED")),
        request_preview=data.get("request_preview"),
        response_preview=data.get("response_preview"),
        client_request_id=data.get("client_request_id"),
        execution_duration=None if duration_ms is None else int(duration_ms),
        trace_metadata=dict(data.get("trace_metadata", {})),
        tags=dict(data.get("tags", {})),
        assessments=_assessments(data),
    )


def _from_v2(data: Mapping[str, Any]) -> TraceInfo:
    """Return the TraceInfo of MLflow 2's dictionary, whose names are others and whose times are numbers."""
    return TraceInfo(
        trace_id=_text(data["request_id"]),
        trace_location=TraceLocation.from_experiment_id(str(data["experiment_id"])),
        request_time=int(data["timestamp_ms"]),
        state=TraceStatus(data["status"]).to_state(),
        execution_duration=data.get("execution_time_ms"),
        trace_metadata=dict(data.get("request_metadata", {})),
        tags=dict(data.get("tags", {})),
        assessments=_assessments(data),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.100} is no text")
    return value


def _assessments(data: Mapping[str, Any]) -> list[Feedback | Expectation]:
    found = [Assessment.from_dictionary(each) for each in data.get("assessments") or ()]
    return [each for each in found if isinstance(each, (Feedback, Expectation))]


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


#: Protobuf's JSON form of a length of time. Source: https://protobuf.dev/programming-guides/json/
_LENGTH = re.compile(r"(\d{1,15})(?:\.(\d{1,9}))?s", re.ASCII)


def _duration_ms(text: str) -> int:
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r:.100} is no length of time such as '1.5s'")
    return int(found[1]) * 1000 + int(f"{found[2] or 0:0<3}"[:3])
