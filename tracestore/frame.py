"""Traces as a table: a pandas or polars data frame, or an Arrow table, column by column.

MLflow 3's twelve columns, and two that older guides use. In pandas, cells are Python values, as in MLflow. Arrow
and polars want one type in a column, so there what is neither text nor a number is JSON text. The packages are
imported only here, and only when a table is wanted. Knows traces in their dictionary form, not where they come
from.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec

from tracestore.entities import Span, TraceData
from tracestore.errors import InvalidArgumentError
from tracestore.storage.trace_forms import InfoForm, TraceForms

#: What a column holds: text, whole numbers, or any JSON value. Each may be absent.
Kind = Literal["text", "integer", "json"]


class _Rows(NamedTuple):
    """Some traces, and their spans as dictionaries."""

    forms: TraceForms
    span_forms: list[list[dict[str, Any]]]

    def of_info(self, name: str) -> list[Any]:
        return list(map(attrgetter(name), self.forms.infos))

    def of_root(self, name: str) -> list[Any]:
        """Return a payload of each root span."""
        texts = (getattr(TraceData(spans), name) if spans else None for spans in self.forms.spans)
        return [None if text is None else msgspec.json.decode(text) for text in texts]

    def documents(self) -> list[str]:
        """Return each trace as JSON."""
        pairs = zip(self.forms.infos, self.span_forms, strict=True)
        return [_encode(_Document(info, _Spans(spans))).decode() for info, spans in pairs]


class _Spans(msgspec.Struct, gc=False):
    spans: list[dict[str, Any]]


class _Document(msgspec.Struct, gc=False):
    info: InfoForm
    data: _Spans


_encode = msgspec.json.Encoder().encode


class _Column(NamedTuple):
    kind: Kind
    values: Callable[[_Rows], list[Any]]


def _of_info(kind: Kind, name: str) -> _Column:
    return _Column(kind, lambda rows: rows.of_info(name))


#: In MLflow 3's order.
COLUMNS: dict[str, _Column] = {
    "trace_id": _of_info("text", "trace_id"),
    "trace": _Column("text", _Rows.documents),
    "client_request_id": _of_info("text", "client_request_id"),
    "state": _of_info("text", "state"),
    "request_time": _Column("integer", lambda rows: rows.forms.times_ms),
    "execution_duration": _of_info("integer", "execution_duration_ms"),
    "request": _Column("json", lambda rows: rows.of_root("request")),
    "response": _Column("json", lambda rows: rows.of_root("response")),
    "trace_metadata": _of_info("json", "trace_metadata"),
    "tags": _of_info("json", "tags"),
    "spans": _Column("json", lambda rows: rows.span_forms),
    "assessments": _of_info("json", "assessments"),
}

#: MLflow 2's names of columns, which come after the others.
OLDER_NAMES = {"status": "state", "execution_time_ms": "execution_duration"}


def is_available() -> bool:
    """Whether pandas is installed. Does not import it."""
    return importlib.util.find_spec("pandas") is not None


def is_table(return_type: object) -> bool:
    """Whether `return_type` is one that `to_frame` makes."""
    return isinstance(return_type, str) and return_type in _TABLES


def prepare(
    extract_fields: Sequence[str] | None = None, return_type: str = "pandas"
) -> Callable[[Iterator[TraceForms]], Any]:
    """Return a function that makes a table of traces: a row for each; `COLUMNS`, `OLDER_NAMES`, fields.

    Two steps, so that what can't be made is known before anything is searched.

    Args:
        extract_fields: Such as "retrieve.inputs", "retrieve.outputs.answer" or "`a.b`.inputs.`c`": the span's
            name, then inputs or outputs, then optionally a key of it; backticks around what holds dots, which
            are not in the column's name. None where a trace has no such span; where it has several, the last
            counts.
        return_type: "pandas" (pandas.DataFrame), "polars" (polars.DataFrame) or "arrow" (pyarrow.Table).

    Returns:
        The function. Rows are in the order of the traces; the columns are there also without any. Times are
        milliseconds. Absent values are None, except that pandas has NaN where a number is absent.

    Raises:
        InvalidArgumentError: The package is not installed, a field has another form, or there is no such
            return type.
    """
    if not is_table(return_type):
        raise InvalidArgumentError(
            f"return_type is {return_type!r}; it must be one of {', '.join(map(repr, _TABLES))}"
        )
    table = _TABLES[return_type]
    fields = _field_columns(extract_fields)
    package = _import_package(table.package, return_type)

    def make(forms: Iterator[TraceForms]) -> Any:
        with _collector_paused():
            return table.make(package, _values(fields, forms))

    return make


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from going through all of the program's objects while a table grows.

    It takes the lists in a table's cells for garbage to come: of 340 ms for 10,000 traces, 60 to 180 were its own.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _values(fields: dict[str, _Column], forms: Iterator[TraceForms]) -> dict[str, _Values]:
    columns = COLUMNS | fields
    cells: dict[str, list[Any]] = {name: [] for name in columns}
    for some in forms:
        rows = _Rows(some, [[span.to_dict() for span in spans] for spans in some.spans])
        for name, column in columns.items():
            cells[name] += column.values(rows)
    values = {name: _Values(column.kind, cells[name]) for name, column in columns.items()}
    older = {name: values[now] for name, now in OLDER_NAMES.items()}
    return {name: values[name] for name in COLUMNS} | older | {n: values[n] for n in fields}


# ------------------------------------------------------------------------------------------ tables


class _Values(NamedTuple):
    kind: Kind
    values: list[Any]

    def flat(self) -> list[Any]:
        """Return the values as text and numbers only."""
        if self.kind != "json":
            return self.values
        return [None if value is None else _encode(value).decode() for value in self.values]


def _pandas(pd: Any, columns: dict[str, _Values]) -> Any:
    return pd.DataFrame(
        {name: pd.Series(c.values, dtype=_pandas_type(c)) for name, c in columns.items()}
    )


def _pandas_type(column: _Values) -> str:
    if column.kind != "integer":
        return "object"
    return "float64" if None in column.values else "int64"


def _arrow(pa: Any, columns: dict[str, _Values]) -> Any:
    types = {"text": pa.string(), "integer": pa.int64(), "json": pa.string()}
    return pa.table({name: pa.array(c.flat(), type=types[c.kind]) for name, c in columns.items()})


def _polars(pl: Any, columns: dict[str, _Values]) -> Any:
    types = {"text": pl.String, "integer": pl.Int64, "json": pl.String}
    return pl.DataFrame(
        [pl.Series(name, c.flat(), dtype=types[c.kind]) for name, c in columns.items()]
    )


class _Table(NamedTuple):
    package: str
    make: Callable[[Any, dict[str, _Values]], Any]


#: By return type, which is also the name of the extra that brings the package.
_TABLES = {
    "pandas": _Table("pandas", _pandas),
    "arrow": _Table("pyarrow", _arrow),
    "polars": _Table("polars", _polars),
}


def _import_package(package: str, return_type: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InvalidArgumentError(
            f"return_type={return_type!r} needs {package}, which is not installed: "
            f'pip install "tracestore[{return_type}]", or pass return_type="list"'
        ) from None


# ------------------------------------------------------------------------------------------ fields

#: name "." ("inputs" | "outputs") ["." key], name and key plain or in backticks.
_FIELD = r"""(?xs)
    (?: `(?P<quoted_name>[^`]+)` | (?P<name>[^`.][^.]*) )
    \. (?P<part>inputs|outputs)
    (?: \. (?: `(?P<quoted_key>[^`]*)` | (?P<key>[^`].*) )? )?"""


def _field_columns(fields: Sequence[str] | None) -> dict[str, _Column]:
    if isinstance(fields, str):
        raise InvalidArgumentError(
            f"extract_fields is the text {fields!r}; pass a list: [{fields!r}]"
        )
    return dict(map(_field_column, fields or ()))


def _field_column(field: str) -> tuple[str, _Column]:
    """Return the name and the column of one field."""
    match = re.fullmatch(_FIELD, field) if isinstance(field, str) else None
    if match is None:
        raise InvalidArgumentError(
            f"extract_fields has {field!r}; a field is a span's name, then .inputs or .outputs, "
            "then optionally a key, with backticks around what holds dots: 'retrieve.outputs', "
            "'retrieve.inputs.query' or '`a.b`.inputs'"
        )
    name, part = match["quoted_name"] or match["name"], match["part"]
    key = match["key"] if match["quoted_key"] is None else match["quoted_key"]
    label = f"{name}.{part}" if key is None else f"{name}.{part}.{key}"
    return label, _Column(
        "json", lambda rows: [_extract(s, name, part, key) for s in rows.forms.spans]
    )


def _extract(spans: Sequence[Span], name: str, part: str, key: str | None) -> Any:
    span = next((span for span in reversed(spans) if span.name == name), None)
    value = None if span is None else getattr(span, part)
    if key is None:
        return value
    return value.get(key) if isinstance(value, dict) else None
