"""What traces have: tags, metadata, names, spans, attributes, feedback; and how many of them have it.

For every (field, value): the number of traces of a population that have it, and of those the number that match.
Of a large population the file's indexes are read once from end to end; of a small one its traces are looked up.
Invariant: a trace counts once for each value, however many of its spans have it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tracestore.errors import InvalidArgumentError
from tracestore.filters import ast
from tracestore.filters.sql import Fragment, build
from tracestore.readable import decoded
from tracestore.search import Selection
from tracestore.storage.record_rows import indexed_attributes
from tracestore.storage.schema import SCALAR_LENGTH

#: Traces up to which a population is looked up trace by trace.
FEW_TRACES = 20_000


@dataclass(frozen=True)
class Feature:
    """Something that traces have.

    Attributes:
        field: Of the filter language.
        value: What it equals.
        matching: Matching traces that have it.
        all: Traces of the population that have it.
    """

    field: ast.Reference
    value: Any
    matching: int
    all: int

    @property
    def condition(self) -> str:
        """The filter that finds the traces that have it."""
        value = self.value
        is_attribute = self.field.entity == "span" and self.field.key.startswith("attributes.")
        if isinstance(value, str):
            if len(value) == SCALAR_LENGTH and (is_attribute or self.field.entity == "assessment"):
                return str(ast.Match(self.field, "LIKE", ast.Text(_pattern(value)), negated=False))
            return str(ast.Comparison(self.field, "=", ast.Text(value)))
        if is_attribute and value in {0, 1}:  # the index has booleans as numbers
            both = (ast.Number(value), ast.Truth(bool(value)))
            return str(ast.Membership(self.field, both, negated=False))
        return str(ast.Comparison(self.field, "=", ast.Number(value)))


@dataclass(frozen=True)
class Kind:
    """A table that says what traces have.

    Attributes:
        entity: Of the fields.
        key: Of the field; None where the table has a column of keys.
        columns: Key column or constant, value column.
        scan: The table in the order of its index on values.
        table: The table as it is looked up by trace.
        trace: The column of the trace.
        where: What holds of its rows.
    """

    entity: str | None
    key: str | None
    columns: tuple[str, str]
    scan: str
    table: str
    trace: str = "x.trace"
    where: str = "1"


KINDS = (
    Kind("tags", None, ("x.key", "x.value"), "tags AS x INDEXED BY tags_value", "tags AS x"),
    Kind("metadata", None, ("x.key", "x.value"), "metadata AS x INDEXED BY metadata_value", "metadata AS x"),
    Kind(None, "name", ("''", "x.name"), "traces AS x INDEXED BY traces_name", "traces AS x", "x.id", "x.name IS NOT NULL"),
    Kind(None, "status", ("''", "x.status"), "traces AS x INDEXED BY traces_status", "traces AS x", "x.id"),
    Kind("span", "name", ("''", "x.name"), "spans AS x INDEXED BY spans_name", "spans AS x INDEXED BY spans_trace"),
    Kind("span", "type", ("''", "x.type"), "spans AS x INDEXED BY spans_type", "spans AS x INDEXED BY spans_trace", where="x.type IS NOT NULL"),
    Kind("span", "status", ("''", "x.status"), "spans AS x INDEXED BY spans_status", "spans AS x INDEXED BY spans_trace"),
    Kind("span", "model", ("''", "x.model"), "spans AS x INDEXED BY spans_model", "spans AS x INDEXED BY spans_trace", where="x.model IS NOT NULL"),
    Kind("span", "error", ("''", "x.error"), "spans AS x INDEXED BY spans_error", "spans AS x INDEXED BY spans_trace", where="x.error IS NOT NULL"),
    Kind("assessment", None, ("x.name", "x.scalar"), "assessments AS x INDEXED BY assessments_scalar", "assessments AS x", where="x.valid = 1 AND x.scalar IS NOT NULL"),
)  # fmt: skip
ATTRIBUTES = Kind("span", None, ("x.key", "x.value"), "span_attributes AS x", "")

_COUNT = """
    SELECT k, v, count(*), sum(m) FROM (
        SELECT DISTINCT {} AS k, {} AS v, {} AS id, {} IN (SELECT value FROM json_each(?)) AS m
        FROM {} WHERE {} AND {}
    ) GROUP BY k, v HAVING count(*) >= ?"""


def features_of(
    selection: Selection,
    population: Sequence[int],
    matching: Sequence[int],
    least: int,
    progress: Callable[[int], None],
) -> Iterator[Feature]:
    """Yield what at least `least` traces of the population have.

    Args:
        selection: Of the population.
        population: Ids of all traces that are looked at.
        matching: Ids of those that match, all of them in the population.
        least: The fewest traces.
        progress: Called with the number of tables looked at.
    """
    is_all = selection.driver is None and selection.is_indexed and selection.is_of_all_time
    few = not is_all and len(population) <= FEW_TRACES
    everything = None if is_all else json.dumps(population)
    listed = json.dumps(matching)
    for done, kind in enumerate(KINDS):
        progress(done)
        yield from _count(selection, kind, everything, listed, least, few=few)
    progress(len(KINDS))
    if few:
        yield from _attributes(selection, population, set(matching), least)
    else:
        yield from _count(selection, ATTRIBUTES, everything, listed, least, few=False)


def _count(
    selection: Selection,
    kind: Kind,
    population: str | None,
    matching: str,
    least: int,
    *,
    few: bool,
) -> Iterator[Feature]:
    trace = Fragment(kind.trace)
    source, within = Fragment(kind.scan), Fragment("1")
    if few:
        listed = build("json_each(?) AS w CROSS JOIN", population or "[]")
        source = build(f"{{}} {kind.table} ON {kind.trace} = w.value", listed)
    elif population is not None:
        within = build("{} IN (SELECT value FROM json_each(?))", trace, population)
    key, value = map(Fragment, kind.columns)
    statement = build(
        _COUNT, key, value, trace, trace, matching, source, Fragment(kind.where), within, least
    )
    for name, found, count, matches in selection.rows(statement):
        yield Feature(_reference(kind, name), found, matches, count)


def _reference(kind: Kind, name: str) -> ast.Reference:
    if kind is ATTRIBUTES:
        return ast.Reference("span", f"attributes.{name}")
    return ast.Reference(kind.entity, kind.key or name)


def _attributes(
    selection: Selection, population: Sequence[int], matching: set[int], least: int
) -> Iterator[Feature]:
    """Yield the attributes of spans, from the spans themselves."""
    statement = build(
        """
        SELECT x.trace, x.attributes
        FROM json_each(?) AS w CROSS JOIN spans AS x INDEXED BY spans_trace ON x.trace = w.value
        WHERE x.attributes IS NOT NULL""",
        json.dumps(population),
    )
    pairs: dict[int, set[tuple[str, Any]]] = {}
    for trace, text in selection.rows(statement):
        attributes = decoded(text)
        if isinstance(attributes, dict):
            pairs.setdefault(trace, set()).update(indexed_attributes(attributes))
    total: Counter[tuple[str, Any]] = Counter()
    matched: Counter[tuple[str, Any]] = Counter()
    for trace, held in pairs.items():
        total.update(held)
        if trace in matching:
            matched.update(held)
    for (name, value), count in total.items():
        if count >= least:
            yield Feature(_reference(ATTRIBUTES, name), value, matched[name, value], count)


def _pattern(beginning: str) -> str:
    """Return the LIKE pattern of texts that begin so."""
    return re.sub(r"([\\%_])", r"\\\1", beginning) + "%"


def ids_of(selection: Selection) -> list[int]:
    """Return the ids of all selected traces."""
    statement = build("SELECT t.id FROM {} WHERE {}", selection.source, selection.where)
    return [row[0] for row in selection.rows(statement)]


def mentioned(node: ast.Node | None) -> set[tuple[str | None, str]]:
    """Return the fields that a filter in normal form speaks of, by entity and key."""
    if node is None:
        return set()
    if isinstance(node, (ast.And, ast.Or)):
        return set().union(*map(mentioned, node.operands))
    if isinstance(node, ast.Not):
        return mentioned(node.operand)
    if isinstance(node, (ast.SpanTest, ast.Related)):
        return {(entity or "span", key) for entity, key in mentioned(node.condition)}
    if isinstance(node, ast.Aggregate):
        return mentioned(node.condition)
    return {(node.field.entity, node.field.key)}


def check_least(least: int) -> None:
    """Raise InvalidArgumentError where `min_count` is no positive number."""
    if not isinstance(least, int) or least < 1:
        raise InvalidArgumentError(f"min_count is {least!r}; it must be at least 1")
