"""A trace as it is read back: what is known about it as a whole, and its spans."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tracestore.arguments import checked
from tracestore.entities.assessment import Assessment, Expectation, Feedback
from tracestore.entities.dataclass_fields import DataclassFields
from tracestore.entities.span import Span
from tracestore.entities.trace_data import TraceData
from tracestore.entities.trace_info import (
    COST_KEY,
    NAME_KEY,
    SCHEMA_KEY,
    SESSION_KEY,
    TOKEN_USAGE_KEY,
    USER_KEY,
    TraceInfo,
)
from tracestore.entities.trace_state import TraceState
from tracestore.errors import InvalidArgumentError

__all__ = [
    "COST_KEY",
    "NAME_KEY",
    "SCHEMA_KEY",
    "SESSION_KEY",
    "TOKEN_USAGE_KEY",
    "USER_KEY",
    "Trace",
    "TraceData",
    "TraceInfo",
    "TraceState",
]


class Trace(msgspec.Struct):
    """One recorded run of a program: `info` about the whole and `data` with its spans.

    In a notebook a trace shows itself as a waterfall.
    """

    __dataclass_fields__ = DataclassFields()

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
            InvalidArgumentError: `name` is neither text nor a compiled pattern, or another is no text.
        """
        for what, value in (("span_type", span_type), ("span_id", span_id)):
            if not isinstance(value, (str, type(None))):
                raise InvalidArgumentError(f"{what} is a {type(value).__name__}; pass text")
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

    @checked
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

    def to_pandas_dataframe_row(self) -> dict[str, Any]:
        """Return the trace as a row of MLflow's data frame, by `pandas_dataframe_columns`."""
        info, data = self.info, self.data
        values = (
            *(info.trace_id, self.to_json(), info.client_request_id, info.state),
            *(info.request_time, info.execution_duration),
            *(None if text is None else json.loads(text) for text in (data.request, data.response)),
            *(info.trace_metadata, info.tags, [span.to_dict() for span in data.spans]),
            [assessment.to_dictionary() for assessment in info.assessments],
        )
        return dict(zip(self.pandas_dataframe_columns(), values, strict=True))

    @staticmethod
    def pandas_dataframe_columns() -> list[str]:
        """Return the columns of MLflow's data frame of traces."""
        return list(_COLUMNS)

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form, `{"info": …, "data": …}`."""
        return {"info": self.info.to_dict(), "data": self.data.to_dict()}

    @checked
    def to_json(self, pretty: bool = False) -> str:
        """Return `to_dict()` as JSON text, indented by two spaces if `pretty`."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2 if pretty else None)

    @classmethod
    @checked
    def from_dict(cls, data: Mapping[str, Any]) -> Trace:
        """Return the trace that `to_dict`, here or in MLflow 3, made `data` of.

        Raises:
            InvalidArgumentError: `data` lacks a part or holds one of the wrong form.
        """
        if not isinstance(data, Mapping) or data.get("info") is None or data.get("data") is None:
            raise InvalidArgumentError(
                "not a trace's dictionary: it needs the keys 'info' and 'data'; "
                "pass what Trace.to_dict() returned"
            )
        return cls(TraceInfo.from_dict(data["info"]), TraceData.from_dict(data["data"]))

    @classmethod
    @checked
    def from_json(cls, text: str) -> Trace:
        """Return the trace that `to_json` wrote; InvalidArgumentError where `text` is no such JSON."""
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidArgumentError(f"not a trace's JSON: {error}") from error
        return cls.from_dict(data)

    @checked
    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the trace as one self-contained page, and write it to `path` if one is given.

        The page has the waterfall, every span and all payloads, works offline and loads nothing. It is about
        as large as the trace and 70 kB.

        Args:
            path: A file to be written, replaced where there is one.

        Raises:
            StoreError: The file can't be written.
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


_COLUMNS = (
    "trace_id",
    "trace",
    "client_request_id",
    "state",
    "request_time",
    "execution_duration",
    "request",
    "response",
    "trace_metadata",
    "tags",
    "spans",
    "assessments",
)

_KINDS: dict[str, type[Assessment]] = {"feedback": Feedback, "expectation": Expectation}


def _name_matches(name: str, wanted: str | re.Pattern[str]) -> bool:
    return name == wanted if isinstance(wanted, str) else wanted.search(name) is not None
