"""Traces as a pandas data frame, with MLflow 3's twelve columns and two that older guides use.

Built column by column. pandas is imported only here, and only when a frame is wanted.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracestore.entities import Span, Trace
from tracestore.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd


def _decoded(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


#: Column name and how a trace gives its value, in MLflow 3's order; the last two are MLflow 2's names.
COLUMNS: dict[str, Callable[[Trace], Any]] = {
    "trace_id": lambda t: t.info.trace_id,
    "trace": lambda t: t.to_json(),
    "client_request_id": lambda t: t.info.client_request_id,
    "state": lambda t: t.info.state.value,
    "request_time": lambda t: t.info.request_time,
    "execution_duration": lambda t: t.info.execution_duration,
    "request": lambda t: _decoded(t.data.request),
    "response": lambda t: _decoded(t.data.response),
    "trace_metadata": lambda t: t.info.trace_metadata,
    "tags": lambda t: t.info.tags,
    "spans": lambda t: [span.to_dict() for span in t.data.spans],
    "assessments": lambda t: [a.to_dictionary() for a in t.info.assessments],
    "status": lambda t: t.info.state.value,
    "execution_time_ms": lambda t: t.info.execution_duration,
}


def is_available() -> bool:
    """Whether pandas is installed. Does not import it."""
    return importlib.util.find_spec("pandas") is not None


def to_frame(traces: Sequence[Trace], extract_fields: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a data frame with a row for each trace, and a column for each field to extract.

    Args:
        traces: In the order of the rows.
        extract_fields: Such as "span.inputs", "span.outputs.answer" or "`a.b`.inputs": the span's name,
            then inputs or outputs, then optionally a key of it. None where a trace has no such span; where
            it has several, the last counts.

    Raises:
        InvalidArgumentError: pandas is not installed, or a field has another form.
    """
    fields = [(field, _parse_field(field)) for field in extract_fields or ()]
    try:
        import pandas as pd  # noqa: PLC0415 - a second, and optional
    except ImportError:
        raise InvalidArgumentError(
            'a data frame needs pandas: pip install "tracestore[pandas]", or pass return_type="list"'
        ) from None
    columns: dict[str, Any] = {
        name: pd.Series([value(trace) for trace in traces], dtype=_DTYPES.get(name, "object"))
        for name, value in COLUMNS.items()
    }
    for label, parsed in fields:
        columns[label] = pd.Series([_extract(trace, *parsed) for trace in traces], dtype="object")
    return pd.DataFrame(columns)


#: Columns that are numbers. Durations have none while a trace is in progress, so they allow absence.
_DTYPES = {"request_time": "int64"}


def _parse_field(field: str) -> tuple[str, str, str | None]:
    """Split "name.inputs.key" into its parts; a name with dots stands in backticks."""
    name, rest = "", ""
    if field.startswith("`") and "`" in field[1:]:
        name, _, rest = field[1:].partition("`")
        rest = rest.removeprefix(".")
    else:
        name, _, rest = field.partition(".")
    part, _, key = rest.partition(".")
    if not name or part not in ("inputs", "outputs"):
        raise InvalidArgumentError(
            f"extract_fields has {field!r}; a field is a span's name, then .inputs or .outputs, "
            "then optionally a key: 'retrieve.outputs' or 'retrieve.inputs.query'"
        )
    return name, part, key.strip("`") or None


def _extract(trace: Trace, name: str, part: str, key: str | None) -> Any:
    spans: list[Span] = [span for span in trace.data.spans if span.name == name]
    if not spans:
        return None
    value = spans[-1].inputs if part == "inputs" else spans[-1].outputs
    if key is None:
        return value
    return value.get(key) if isinstance(value, dict) else None
