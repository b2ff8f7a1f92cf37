"""The SQL of what a quantity or a group needs of each row, and how its cell becomes a value.

A row is a trace `t`, or one of its spans `s0`. Values and keys are bound, as everywhere. Invariant: a column's
SQL is one scalar expression, so rows neither multiply nor vanish by asking for more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tracestore.errors import InvalidArgumentError
from tracestore.figures.groups import Group
from tracestore.figures.quantities import Quantity
from tracestore.filters import ast, conditions, fields, orders
from tracestore.filters.fields import Source, Type
from tracestore.filters.functions import value_at
from tracestore.filters.parser import OrderItem
from tracestore.filters.scans import assessment_names
from tracestore.filters.sql import Fragment, build
from tracestore.filters.times import Moment
from tracestore.readable import decoded
from tracestore.search import Selection
from tracestore.storage.schema import whole

TOKENS = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"

TIME = Fragment("(t.id >> 20)")

#: Whole numbers and texts of the index `traces_figures`, which JSON holds exactly; and the rest of it.
LISTED = frozenset(
    {
        "t.status",
        "t.duration_ms",
        "t.input_tokens",
        "t.output_tokens",
        "t.total_tokens",
        "t.cache_read_tokens",
        "t.cache_creation_tokens",
    }
)
_FIGURES = LISTED | {TIME.text, "t.id", "t.input_cost", "t.output_cost", "t.total_cost"}

_STATUS = {False: Fragment("t.status"), True: Fragment("s0.status")}
_SPAN_MS = Fragment("((s0.end_time_ns - s0.start_time_ns) / 1e6)")

_SAID = """
    (SELECT json_group_array({}) FROM assessments AS a
     WHERE a.trace = t.id AND {} AND {} AND a.valid = 1 AND a.value IS NOT NULL)"""

_RESPONSE = Fragment(f"""
    (SELECT {whole("r.outputs")} FROM spans AS r INDEXED BY spans_trace WHERE r.trace = t.id AND r.parent_id IS NULL
     ORDER BY r.start_time_ns, r.id LIMIT 1)""")


@dataclass(frozen=True)
class Column:
    """One column of the rows to read.

    Attributes:
        sql: The expression.
        read: Makes the value of a cell; None where the cell is it.
        only: Where given, only cells that are this are kept, and so counted.
    """

    sql: Fragment
    read: Callable[[Any], Any] | None = None
    only: str | None = None


def source_of(selection: Selection, wanted: Iterable[Fragment]) -> Fragment:
    """Return what columns of the selected traces are read from: the index `traces_figures` where it has them all."""
    if selection.is_indexed and all(column.text in _FIGURES for column in wanted):
        return selection.source_by("INDEXED BY traces_figures")
    return selection.source


def of_group(group: Group) -> Column:
    """Return the column of a field that is grouped by."""
    if not group.is_of_span:
        return Column(orders.key_of(OrderItem(group.reference)))
    if group.found.field.type is Type.JSON:
        column = f"s0.{group.found.column}"
        return Column(build(f"tracestore_text_at({column}, ?)", group.found.key))
    return Column(Fragment(f"s0.{group.found.column}"))


def of_quantity(quantity: Quantity, moment: Moment, *, spans: bool) -> tuple[Column, ...]:
    """Return the columns that a quantity is computed from; the last is its condition if it has one.

    Raises:
        InvalidArgumentError: It is not to be had of single spans.
    """
    if spans:
        _check_of_spans(quantity)
    columns = _values(quantity, spans=spans)
    if quantity.condition is not None:
        columns = (*columns, Column(conditions.condition(quantity.condition, moment)))
    return columns


def _values(quantity: Quantity, *, spans: bool) -> tuple[Column, ...]:
    if quantity.function in {"errors", "error_rate"}:
        return (Column(_STATUS[spans], only="ERROR"),)
    if quantity.function == "throughput":
        return (Column(TIME),)
    if quantity.field is None:
        return ()
    found = fields.find(quantity.field)
    if quantity.function == "agreement":
        expected = _said("expectation", found.key or "")
        said = _said("feedback", found.key or "")
        given = Column(_RESPONSE, decoded) if found.column == "expectation" else said
        return expected, given
    if found.field.source is Source.ASSESSMENT:
        return (_said(found.column, found.key or ""),)
    if spans and quantity.is_of_usage:
        return (_usage(found.field.name),)
    if spans and found.field.type is Type.LENGTH:
        return (Column(_SPAN_MS),)
    return (Column(orders.key_of(OrderItem(quantity.field))),)


def _said(kind: str, name: str) -> Column:
    of_kind = build("a.kind = ?", kind) if kind else Fragment("1")
    paths = dict(assessment_names(name))
    marks = ", ".join("?" * len(paths))
    named = build(f"a.name IN ({marks})", *paths)
    if len(paths) == 1:
        return Column(build(_SAID, Fragment("a.value"), named, of_kind), read_said)
    pair = Fragment("json_array(a.name, a.value)")
    return Column(build(_SAID, pair, named, of_kind), partial(_read_within, paths))


def _read_within(paths: Mapping[str, str | None], cell: str | None) -> list[Any]:
    """Return the values at each name's path, of a list of pairs of a name and JSON text."""
    pairs = decoded(cell)
    found = [value_at(decoded(text), paths[name]) for name, text in pairs or ()]
    return [value for value in found if value is not None]


def read_said(cell: str | None) -> list[Any]:
    """Return the values of a list of JSON texts."""
    texts = decoded(cell)
    return [decoded(text) for text in texts] if isinstance(texts, list) else []


def _usage(name: str) -> Column:
    """Return the column of what a span itself reports; its attributes are decoded only where they hold it."""
    kind, _, part = name.partition(".")
    attribute, key = (TOKENS, f"{part}_tokens") if kind == "tokens" else (COST, f"{part}_cost")
    key = {"cache_read_tokens": "cache_read_input_tokens",
           "cache_creation_tokens": "cache_creation_input_tokens"}.get(key, key)  # fmt: skip
    sql_text = build("(CASE WHEN instr(s0.attributes, ?) > 0 THEN s0.attributes END)", attribute)
    return Column(sql_text, lambda cell: None if cell is None else reported(cell, attribute, key))


def reported(attributes: str, attribute: str, key: str) -> int | float | None:
    """Return one number of the usage or cost that a span's attributes hold; a total may be a sum."""
    document = decoded(attributes)
    report = document.get(attribute) if isinstance(document, dict) else None
    if not isinstance(report, dict):
        return None
    value = report.get(key)
    if value is None and key.startswith("total_"):
        parts = [_number(report.get(f"{part}_{key[6:]}")) for part in ("input", "output")]
        known = [part for part in parts if part is not None]
        return sum(known) if known else None
    return _number(value)


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _check_of_spans(quantity: Quantity) -> None:
    name = "" if quantity.field is None else fields.find(quantity.field).field.name
    reason = ""
    if quantity.is_of_assessments:
        reason = "feedback is of traces"
    elif name == "span_count":
        reason = "a span has no spans; take count"
    elif quantity.condition is not None:
        reason = "its filter is one of traces; pass it as filter_string"
    if reason:
        raise InvalidArgumentError(
            f"metric {quantity.label!r:.200} is not to be had with a span field in group_by: {reason}"
        )


def reference_of(name: str) -> ast.Reference:
    """Return the reference to a trace's field by its canonical name, such as "tokens.total"."""
    entity, _, key = name.rpartition(".")
    return ast.Reference(entity or None, key)
