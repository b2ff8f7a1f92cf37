"""Orders of traces as SQL: what is sorted by, and which index is in that order already.

`t` is the trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracestore.filters import fields
from tracestore.filters.fields import Found, Source
from tracestore.filters.indexes import INDEXES, KEYED_INDEXES, ORDER_INDEXES
from tracestore.filters.leaves import assessment_kind, trace_column
from tracestore.filters.parser import OrderItem
from tracestore.filters.scans import assessment_names
from tracestore.filters.sql import Bindable, Fragment, build, marks


def term(item: OrderItem, key: Fragment) -> Fragment:
    """Return an item of ORDER BY."""
    direction = "DESC" if item.descending else "ASC"
    return build(f"{{}} {direction} NULLS {'FIRST' if item.nulls_first else 'LAST'}", key)


def key_of(item: OrderItem) -> Fragment:
    """Return the expression that an item of an order sorts by; absent is NULL."""
    found = fields.find(item.field)
    source = found.field.source
    if source is Source.TRACE:
        is_id = found.column == "experiment"  # as a number: 2 before 10
        return Fragment("t.experiment") if is_id else trace_column(found.column)
    if source is Source.TAGS:
        return build("(SELECT value FROM tags WHERE trace = t.id AND key = ?)", found.key)
    if source is Source.METADATA:
        return build("(SELECT value FROM metadata WHERE trace = t.id AND key = ?)", found.key)
    if source is Source.RESOURCE:
        return build(
            "(SELECT tracestore_text_at(metadata, ?) FROM resources WHERE id = t.resource)",
            found.key,
        )
    return _newest_said(found)


@dataclass(frozen=True)
class Walk:
    """A way through the traces that have a value, in its order where an index has it; and those that have none.

    Attributes:
        index: Its name, for `explain`.
        source: What stands after FROM to get those with a value.
        key: The value.
        trace: The trace's id, as the index has it.
        of_none: What stands after FROM to get those without.
        values: FROM and WHERE of the values alone, where the index is in their order.
    """

    index: str
    source: Fragment
    key: Fragment
    trace: Fragment
    of_none: Fragment
    values: Fragment | None = None


_ID = Fragment("t.id")
_ALL = Fragment("traces AS t NOT INDEXED")


def walk_of(item: OrderItem) -> Walk | None:
    """Return the walk by an item of an order, None where no index helps."""
    found = fields.find(item.field)
    source, column = found.field.source, found.column
    if source in KEYED_INDEXES:
        return _keyed_walk(source.value, KEYED_INDEXES[source], found.key)
    if source is Source.ASSESSMENT and "." not in (found.key or ""):
        return _assessment_walk(found)
    if source is not Source.TRACE:
        return None
    index = ORDER_INDEXES.get(column)
    if index is None:
        return None
    by_index = Fragment(f"traces AS t INDEXED BY {index}")
    values = build("FROM {} WHERE {} IS NOT NULL", by_index, key_of(item))
    of_none = _ALL if INDEXES[index].where else by_index
    return Walk(index, by_index, key_of(item), _ID, of_none, values)


def _keyed_walk(table: str, index: str, key: Bindable) -> Walk:
    by_index = build(
        f"{table} AS k INDEXED BY {index} CROSS JOIN traces AS t ON k.key = ? AND t.id = k.trace",
        key,
    )
    values = build(f"FROM {table} AS k INDEXED BY {index} WHERE k.key = ?", key)
    return Walk(index, by_index, Fragment("k.value"), Fragment("k.trace"), _ALL, values)


def _assessment_walk(found: Found) -> Walk:
    """Return the walk by the assessments that count: the last valid one of each trace."""
    is_last = build(
        "k.valid = 1 AND NOT EXISTS (SELECT 1 FROM assessments AS a WHERE a.trace = k.trace AND a.name = k.name"
        " AND {} AND a.valid = 1 AND a.id > k.id)",
        assessment_kind(found),
    )
    by_index = build(
        "assessments AS k INDEXED BY assessments_scalar CROSS JOIN traces AS t ON k.name = ? AND {} AND {}"
        " AND t.id = k.trace",
        found.key,
        assessment_kind(found, "k"),
        is_last,
    )
    values = build(
        "FROM assessments AS k INDEXED BY assessments_scalar WHERE k.name = ? AND k.scalar IS NOT NULL",
        found.key,
    )
    return Walk(
        "assessments_scalar", by_index, Fragment("k.scalar"), Fragment("k.trace"), _ALL, values
    )


def _newest_said(found: Found) -> Fragment:
    """Return the scalar of the newest valid assessment of the name, or of an object that the name reaches into."""
    (name, _), *objects = assessment_names(found.key or "")
    if not objects:
        return build(
            "(SELECT scalar FROM assessments AS a WHERE a.trace = t.id AND a.name = ? AND {} AND a.valid = 1"
            " ORDER BY a.id DESC LIMIT 1)",
            name,
            assessment_kind(found),
        )
    within = [
        build(
            "WHEN ? THEN coalesce(tracestore_number_at(a.value, ?), tracestore_text_at(a.value, ?))",
            each,
            path,
            path,
        )
        for each, path in objects
    ]
    scalar = build(
        f"CASE a.name WHEN ? THEN a.scalar {' '.join('{}' for _ in within)} END", name, *within
    )
    named = build(f"a.name IN ({marks(len(objects) + 1)})", name, *(each for each, _ in objects))
    return build(
        "(SELECT {} AS said FROM assessments AS a WHERE a.trace = t.id AND {} AND {} AND a.valid = 1"
        " AND said IS NOT NULL ORDER BY a.id DESC LIMIT 1)",
        scalar,
        named,
        assessment_kind(found),
    )
