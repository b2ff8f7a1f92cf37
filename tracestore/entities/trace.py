"""A trace as it is read back: what is known about it as a whole, and its spans."""

from __future__ import annotations

import datetime as dt
import enum
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from tracestore.entities.assessment import Assessment, Expectation, Feedback, rfc3339
from tracestore.entities.span import Span
from tracestore.errors import InvalidArgumentError

NAME_KEY = "mlflow.traceName"
SESSION_KEY = "mlflow.trace.session"
USER_KEY = "mlflow.trace.user"
TOKEN_USAGE_KEY = "mlflow.trace.tokenUsage"  # noqa: S105 - a metadata key, no password
COST_KEY = "mlflow.trace.cost"
SCHEMA_KEY = "mlflow.trace_schema.version"

T = TypeVar("T")


class TraceState(str, enum.Enum):
    """How a trace ended, or that it has not."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"

    def __str__(self) -> str:
        return self.value


class TraceLocation(msgspec.Struct, frozen=True):
    """Where a trace belongs: an experiment."""

    experiment_id: str
    type: str = "MLFLOW_EXPERIMENT"

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form."""
        return {"type": self.type, "mlflow_experiment": {"experiment_id": self.experiment_id}}


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
        return self.trace_location.experiment_id

    @property
    def request_id(self) -> str:
        """The trace's id, by its MLflow 2 name."""
        return self.trace_id

    @property
    def timestamp_ms(self) -> int:
        """Start in milliseconds since 1970, by its MLflow 2 name."""
        return self.request_time

    @property
    def execution_time_ms(self) -> int | None:
        """Duration in milliseconds, by its MLflow 2 name."""
        return self.execution_duration

    @property
    def status(self) -> TraceState:
        """State, by its MLflow 2 name."""
        return self.state

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
    def from_dict(cls, data: Mapping[str, Any]) -> TraceInfo:
        """Return the TraceInfo that `to_dict` made `data` of; assessments are not read back.

        Raises:
            InvalidArgumentError: `data` lacks a field or holds one of the wrong form.
        """
        try:
            return cls(
                trace_id=data["trace_id"],
                trace_location=TraceLocation(
                    str(data["trace_location"]["mlflow_experiment"]["experiment_id"])
                ),
                request_time=_from_rfc3339(data["request_time"]),
                state=TraceState(data["state"]),
                request_preview=data.get("request_preview"),
                response_preview=data.get("response_preview"),
                client_request_id=data.get("client_request_id"),
                execution_duration=data.get("execution_duration_ms"),
                trace_metadata=dict(data.get("trace_metadata", {})),
                tags=dict(data.get("tags", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidArgumentError(
                f"not a trace info's dictionary ({type(error).__name__}: {error}); "
                "pass what TraceInfo.to_dict() returned"
            ) from error


class TraceData(msgspec.Struct):
    """The spans of a trace: roots first, then by start time."""

    spans: list[Span] = msgspec.field(default_factory=list)

    @property
    def root(self) -> Span | None:
        """The root span, None where it is not there (or not yet)."""
        return next((span for span in self.spans if span.parent_id is None), None)

    @property
    def request(self) -> str | None:
        """The root span's inputs as JSON text, None where there are none."""
        root = self.root
        return None if root is None else root._inputs  # noqa: SLF001 - the text is already there

    @property
    def response(self) -> str | None:
        """The root span's outputs as JSON text, None where there are none."""
        root = self.root
        return None if root is None else root._outputs  # noqa: SLF001 - the text is already there

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form."""
        return {"spans": [span.to_dict() for span in self.spans]}


class Trace(msgspec.Struct):
    """One recorded run of a program: `info` about the whole and `data` with its spans.

    In a notebook a trace shows itself as a waterfall.
    """

    info: TraceInfo
    data: TraceData

    @property
    def trace_id(self) -> str:
        """The trace's id, `tr-` and 32 hex digits."""
        return self.info.trace_id

    def search_spans(
        self,
        span_type: str | None = None,
        name: str | re.Pattern[str] | None = None,
        span_id: str | None = None,
    ) -> list[Span]:
        """Return the spans that meet every condition given, in the trace's order.

        Args:
            span_type: The exact type.
            name: The exact name, or a compiled pattern to search for in the name.
            span_id: The exact id.

        Raises:
            InvalidArgumentError: `name` is neither text nor a compiled pattern.
        """
        if name is not None and not isinstance(name, (str, re.Pattern)):
            raise InvalidArgumentError(
                f"name is a {type(name).__name__}; pass text or a compiled regular expression"
            )
        return [
            span
            for span in self.data.spans
            if (span_type is None or span.span_type == span_type)
            and (span_id is None or span.span_id == span_id)
            and (name is None or _name_matches(span.name, name))
        ]

    def search_assessments(
        self,
        name: str | None = None,
        *,
        span_id: str | None = None,
        all: bool = False,  # noqa: A002 - MLflow's name
        type: str | None = None,  # noqa: A002 - MLflow's name
    ) -> list[Assessment]:
        """Return the assessments that meet every condition given, oldest first.

        Args:
            name: The exact name.
            span_id: Only those on this span.
            all: Overridden ones too; by default only those in force.
            type: "feedback" or "expectation".
        """
        kind = _KINDS.get(type or "", Assessment)
        return [
            assessment
            for assessment in self.info.assessments
            if (name is None or assessment.name == name)
            and (span_id is None or assessment.span_id == span_id)
            and (all or assessment.valid is not False)
            and isinstance(assessment, kind)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form, `{"info": …, "data": …}`."""
        return {"info": self.info.to_dict(), "data": self.data.to_dict()}

    def to_json(self, pretty: bool = False) -> str:
        """Return `to_dict()` as JSON text, indented by two spaces if `pretty`."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2 if pretty else None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trace:
        """Return the trace that `to_dict`, here or in MLflow 3, made `data` of.

        Raises:
            InvalidArgumentError: `data` lacks a part or holds one of the wrong form.
        """
        if not isinstance(data, Mapping) or "info" not in data or "data" not in data:
            raise InvalidArgumentError(
                "not a trace's dictionary: it needs the keys 'info' and 'data'; "
                "pass what Trace.to_dict() returned"
            )
        if not isinstance(data["data"], Mapping) or not isinstance(
            data["data"].get("spans", []), list
        ):
            raise InvalidArgumentError("not a trace's dictionary: data must hold a list of spans")
        spans = [Span.from_dict(span) for span in data["data"].get("spans", [])]
        return cls(TraceInfo.from_dict(data["info"]), TraceData(spans))

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """Return the trace that `to_json` wrote; InvalidArgumentError where `text` is no such JSON."""
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidArgumentError(f"not a trace's JSON: {error}") from error
        return cls.from_dict(data)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the trace as one self-contained page, and write it to `path` if one is given.

        The page has the waterfall, every span and all payloads, works offline and loads nothing. It is about
        as large as the trace and 70 kB.

        Args:
            path: A file to be written, replaced where there is one.

        Raises:
            OSError: The file can't be written.
        """
        from tracestore import ui  # noqa: PLC0415 - only for who looks

        page = ui.page_html([self], title=ui.names_of([self]))
        if path is not None:
            ui.write_page(path, page)
        return page

    def __repr__(self) -> str:
        return f"Trace(trace_id={self.trace_id!r})"

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Show the trace in a notebook.

        Source: https://ipython.readthedocs.io/en/stable/config/integrating.html
        """
        from tracestore import display  # noqa: PLC0415 - 20 ms that only a notebook needs

        return display.bundle(
            text=lambda: display.trace_text(self),
            html=lambda: display.trace_html(self),
            include=include,
            exclude=exclude,
        )


class PagedList(list[T]):
    """A list of results and the token of the page after it, None on the last page.

    In a notebook a list of traces shows itself as a table.
    """

    def __init__(self, items: Iterable[T] = (), token: str | None = None) -> None:
        super().__init__(items)
        self.token = token

    def to_list(self) -> list[T]:
        """Return the items as a plain list."""
        return list(self)

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Show the list in a notebook: traces as a table, anything else as its text."""
        from tracestore import display  # noqa: PLC0415 - 20 ms that only a notebook needs

        traces = [item for item in self if isinstance(item, Trace)]
        if len(traces) < len(self):
            return {"text/plain": repr(self)}
        return display.bundle(
            text=lambda: display.traces_text(traces),
            html=lambda: display.traces_html(traces),
            include=include,
            exclude=exclude,
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the list as text in IPython, which asks no list for `text/plain` in another way."""
        text = repr(self) if cycle else self._repr_mimebundle_(include=["text/plain"])["text/plain"]
        printer.text(text)


_KINDS: dict[str, type[Assessment]] = {"feedback": Feedback, "expectation": Expectation}


def _name_matches(name: str, wanted: str | re.Pattern[str]) -> bool:
    return name == wanted if isinstance(wanted, str) else wanted.search(name) is not None


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def _from_rfc3339(text: str) -> int:
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1000)
