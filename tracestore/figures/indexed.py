"""Columns of all traces from indexes alone, where these hold them: a third of the time of reading the rows.

A row of `traces` is a kilobyte of previews beside the few numbers that are wanted; the index of durations, the one
of statuses and those of tags and metadata hold the same in a fiftieth of the pages. Invariant: what is returned is
what reading the rows returns, in another order; None where indexes don't hold it, or would not help.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from typing import Any

import msgspec

from tracestore.figures.columns import LISTED, TIME, Column
from tracestore.figures.models import rotated, time_of
from tracestore.filters import sql, streams
from tracestore.filters.sql import Fragment, build
from tracestore.search import Selection

#: Traces from which on reading whole indexes is worth it.
MANY_TRACES = 50_000

#: The same for groups that SQLite makes itself.
MANY_GROUPED_TRACES = 1_000

_BASE = "SELECT json_group_array(duration_ms), json_group_array({}) FROM traces INDEXED BY traces_duration"

#: SQL of a column: the table, index and column of the index that holds its values, ordered by id within each.
_PLAIN = {
    "t.status": ("traces", "traces_status", "status", "id"),
    "t.name": ("traces", "traces_name", "name", "id"),
    "t.experiment": ("traces", "traces_experiment", "experiment", "id"),
}
_KEYED = {
    "(SELECT value FROM tags WHERE trace = t.id AND key = ?)": ("tags", "tags_value"),
    "(SELECT value FROM metadata WHERE trace = t.id AND key = ?)": ("metadata", "metadata_value"),
}

#: Different values of a column up to which its index is read: with more, each costs a list of its own.
_MAX_VALUES = 2_000


def read(selection: Selection, wanted: Sequence[Fragment]) -> list[list[Any]] | None:
    """Return the wanted columns of all selected traces, in no particular order, or None."""
    if not _is_worth_it(selection, MANY_TRACES) or not all(map(_is_held, wanted)):
        return None
    if not all(_has_few_values(selection, column) for column in wanted):
        return None
    decode = msgspec.json.Decoder(list[int | None]).decode
    durations, ids = map(decode, selection.rows(build(_BASE, rotated("id")))[0])
    if selection.driver is not None:
        driving = streams.unordered(selection.driver.stream, selection.low, selection.high)
        listed = build("SELECT json_group_array({}) FROM ({})", rotated("trace"), driving)
        chosen = set(decode(selection.rows(listed)[0][0]))
        kept = list(map(chosen.__contains__, ids))
        durations, ids = list(compress(durations, kept)), list(compress(ids, kept))
    return [_column(selection, column, durations, ids) for column in wanted]


#: A group's key, its number of rows, and its values by column.
_Group = tuple[tuple[Any, ...], int, list[list[Any]]]

_GROUPS = """
    SELECT g.value, count(*), {} FROM {} CROSS JOIN traces AS t INDEXED BY traces_figures ON t.id = g.trace
    WHERE g.key = ? GROUP BY g.value"""

_REST = """
    SELECT NULL, count(*), {} FROM traces AS t INDEXED BY traces_figures
    WHERE NOT EXISTS (SELECT 1 FROM {} WHERE trace = t.id AND key = ?)"""


def read_groups(
    selection: Selection, keys: Sequence[Column], needed: Sequence[Column]
) -> list[_Group] | None:
    """Return all traces by one tag or metadata, or None where that is not what is asked for.

    SQLite walks two indexes and makes the lists: no id and no row passes through Python. As many groups as there are.
    """
    if selection.driver is not None or len(keys) != 1 or keys[0].sql.text not in _KEYED:
        return None
    if not all(column.sql.text in LISTED for column in needed) or not _is_worth_it(
        selection, MANY_GROUPED_TRACES
    ):
        return None
    table, index = _KEYED[keys[0].sql.text]
    lists = [_list_of(column) for column in needed] or [Fragment("NULL")]
    source = Fragment(f"{table} AS g INDEXED BY {index}")
    bound = keys[0].sql.values
    rows = selection.rows(build(_GROUPS, sql.comma(lists), source, *bound))
    counted = selection.rows(Fragment("SELECT count(*) FROM traces"))[0][0]
    if sum(row[1] for row in rows) < counted:
        rows += selection.rows(build(_REST, sql.comma(lists), Fragment(table), *bound))
    return [
        ((value,), count, list(map(_decode, texts[: len(needed)]))) for value, count, *texts in rows
    ]


def _list_of(column: Column) -> Fragment:
    listed = build("json_group_array({})", column.sql)
    return (
        listed
        if column.only is None
        else build("{} FILTER (WHERE {} = ?)", listed, column.sql, column.only)
    )


_decode = msgspec.json.Decoder(list[Any]).decode


def _is_worth_it(selection: Selection, many: int) -> bool:
    if not (selection.is_indexed and selection.is_of_all_time):
        return False
    if selection.driver is not None:
        return selection.driver.measure.rows >= many
    probe = build("SELECT count(*) FROM (SELECT 1 FROM traces LIMIT ?)", many)
    return bool(selection.rows(probe)[0][0] == many)


def _is_held(column: Fragment) -> bool:
    known = (column.text in _PLAIN) or (column.text in _KEYED)
    return known or column.text in {"t.duration_ms", TIME.text}


def _has_few_values(selection: Selection, column: Fragment) -> bool:
    """Return whether a column has so few different values that it can be read value by value."""
    if column.text in _KEYED:
        table, index = _KEYED[column.text]
        where, bound = "key = ? AND", column.values
        name = "value"
    elif column.text in _PLAIN:
        table, index, name, _ = _PLAIN[column.text]
        where, bound = "", ()
    else:
        return True
    # One step down the index for each different value, whatever their number of traces.
    text = f"""
        WITH RECURSIVE each (v, n) AS (
            SELECT (SELECT min({name}) FROM {table} INDEXED BY {index} WHERE {where} 1), 0
            UNION ALL
            SELECT (SELECT min({name}) FROM {table} INDEXED BY {index} WHERE {where} {name} > v), n + 1
            FROM each WHERE v IS NOT NULL AND n < ?
        )
        SELECT count(v) FROM each"""
    found = selection.rows(build(text, *bound, *bound, _MAX_VALUES))
    return bool(found[0][0] < _MAX_VALUES)


def _column(
    selection: Selection, column: Fragment, durations: list[Any], ids: list[Any]
) -> list[Any]:
    if column.text == "t.duration_ms":
        return durations
    if column.text == TIME.text:
        return list(map(time_of, ids))
    if column.text in _KEYED:
        table, index = _KEYED[column.text]
        statement = build(
            f"SELECT value, json_group_array({{}}) FROM {table} INDEXED BY {index} WHERE key = ? GROUP BY value",
            rotated("trace"),
            *column.values,
        )
        return _looked_up(selection, statement, ids, None)
    table, index, name, key = _PLAIN[column.text]
    default = "OK" if name == "status" else None  # most traces: not a list of all of them
    statement = build(
        f"SELECT {name}, json_group_array({{}}) FROM {table} INDEXED BY {index}"
        f" WHERE {name} < ? OR {name} > ? GROUP BY {name}",
        rotated(key),
        default or "",
        default or "",
    )
    return _looked_up(selection, statement, ids, default)


def _looked_up(
    selection: Selection, statement: Fragment, ids: list[Any], default: Any
) -> list[Any]:
    """Return the value of each id, `default` where the statement has none for it."""
    decode = msgspec.json.Decoder(list[int]).decode
    value_of: dict[int, Any] = {}
    for value, text in selection.rows(statement):
        value_of.update(dict.fromkeys(decode(text), value))
    return list(map(value_of.get, ids, repeat(default)))
