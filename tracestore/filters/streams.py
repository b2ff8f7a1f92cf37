"""Streams of the ids of traces as SQL, and the probes that measure them.

The text is made of names from `indexes`; every value is bound.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from tracestore.filters.indexes import INDEXES, Meet, Scan, Stream
from tracestore.filters.sql import FALSE, Bindable, Fragment, build, join, marks

#: The lowest and the highest id of all traces.
EXTENT = Fragment("SELECT (SELECT min(id) FROM traces), (SELECT max(id) FROM traces)")

#: How far the text index has come.
INDEXED_TO = Fragment("SELECT indexed_to FROM text_progress")

#: Experiments beyond which it is not worth looking whether they are all there are.
_MAX_GAPS = 16


def stream(source: Stream, low: int, high: int, *, descending: bool) -> Fragment:
    """Return the SELECT of a stream: ids of traces as `trace`, each once, in the order of ids."""
    direction = "DESC" if descending else "ASC"
    if isinstance(source, Meet):
        return _meet(source, low, high, direction)
    # Without a LIMIT SQLite may drop this ORDER BY, seeing no use in it.
    return build(f"{{}}\nORDER BY trace {direction}\nLIMIT -1", unordered(source, low, high))


def unordered(source: Stream, low: int, high: int, *, of_all_time: bool = False) -> Fragment:
    """Return the SELECT of a stream in any order: ids of traces as `trace`, each once.

    With `of_all_time`, which says that all ids are from `low` to `high`, SQLite is not told: a count of a common
    tag takes a fifth less.
    """
    if isinstance(source, Meet):
        # In no order SQLite would keep all entries of a leg in a table.
        return build("SELECT trace FROM (\n{}\n)", _meet(source, low, high, "ASC"))
    legs = [_scan(leg, low, high, of_all_time=of_all_time) for leg in source.legs]
    operator = "UNION ALL" if _are_disjoint(source.legs) else "UNION"
    return build(f"\n{operator}\n".join("{}" for _ in legs), *legs)


def probe_ordered(scan: Scan, low: int, high: int, limit: int, *, descending: bool) -> Fragment:
    """Return the SELECT of the number of entries, at most `limit`, and of the last id among them."""
    last = Fragment("min" if descending else "max")
    return build(
        "SELECT count(*), {}(trace) FROM (SELECT trace FROM ({}) LIMIT ?)",
        last,
        stream(scan, low, high, descending=descending),
        limit,
    )


def probe_range(scan: Scan, low: int, high: int, limit: int) -> Fragment:
    """Return the SELECT of the number of entries of a scan in any order, at most `limit`."""
    return build("SELECT count(*) FROM ({} LIMIT ?)", _scan(scan, low, high, distinct=False), limit)


def entries(scan: Scan, low: int, high: int, limit: int, *, descending: bool) -> Fragment:
    """Return the SELECT of the trace of each entry, at most `limit`, in the order of writing where the index has it."""
    selected = _scan(scan, low, high, distinct=False)
    written = INDEXES[scan.index].written
    order = f" ORDER BY {written} {'DESC' if descending else 'ASC'}" if written else ""
    return build(f"{{}}{order} LIMIT ?", selected, limit)


def values_of(scan: Scan, limit: int, test: Fragment) -> Fragment:
    """Return the SELECT of the different values in a range, NULL too, and whether each `value` passes the test.

    From each value to the next through the index, so that it costs what there are values.
    """
    index = INDEXES[scan.index]
    column = Fragment(index.columns[len(scan.equal)])
    table = Fragment(index.table if index.is_primary else f"{index.table} INDEXED BY {scan.index}")
    fixed = [*_equals(scan), *([Fragment(index.where)] if index.where else [])]
    upper = [_limit(column.text, *bound) for bound in scan.bounds if bound[0][0] == "<"]
    first = [_limit(column.text, *bound) for bound in scan.bounds if bound[0][0] == ">"]
    first = first or [build("{} IS NOT NULL", column)]
    beyond = build("{} > each.value", column)
    step = "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1"
    absent = FALSE
    if not scan.bounds and index.has_nulls:
        null = join("AND", [*fixed, build("{} IS NULL", column)])
        absent = build("EXISTS (SELECT 1 FROM {} WHERE {})", table, null)
    return build(
        f"""
        WITH RECURSIVE each (value) AS (
            SELECT * FROM ({step})
            UNION ALL
            SELECT ({step}) FROM each WHERE value IS NOT NULL
        )
        SELECT value, {{}} FROM (
            SELECT NULL AS value WHERE {{}} UNION ALL SELECT value FROM each WHERE value IS NOT NULL
        ) LIMIT ?""",
        *(column, table, join("AND", [*fixed, *first, *upper]), column),
        *(column, table, join("AND", [*fixed, beyond, *upper]), column),
        *(test, absent, limit),
    )


def outside_experiments(wanted: Sequence[int]) -> Fragment | None:
    """Return the SELECT of whether any trace is in none of these experiments (ascending); None if too many."""
    if len(wanted) > _MAX_GAPS:
        return None
    gaps = [build("experiment < ?", wanted[0]), build("experiment > ?", wanted[-1])]
    gaps += [build("experiment > ? AND experiment < ?", *pair) for pair in pairwise(wanted)]
    some = [
        build("EXISTS (SELECT 1 FROM traces INDEXED BY traces_experiment WHERE {})", gap)
        for gap in gaps
    ]
    return build("SELECT {}", join("OR", some))


def holds(scan: Scan) -> Fragment:
    """Return whether the trace `t` is in a scan that is in the order of ids: one place of the index is looked at."""
    index = INDEXES[scan.index]
    hint = "" if index.is_primary else f" INDEXED BY {scan.index}"
    where = [*_equals(scan), *([Fragment(index.where)] if index.where else [])]
    equal = join("AND", [*where, Fragment(f"{index.trace} = t.id")])
    return build(f"EXISTS (SELECT 1 FROM {index.table}{hint} WHERE {{}})", equal)


def _meet(source: Meet, low: int, high: int, direction: str) -> Fragment:
    """Return the SELECT of what the scans have in common: SQLite reads them side by side, as each is in this order.

    Of 75,000 and 100,000 entries without a match 0.08 µs for each; looking each of the rarer up took 0.85.
    """
    also = ", id" if source.of_spans else ""
    legs = [_scan(leg, low, high, distinct=False, also=also) for leg in source.legs]
    both = build("\nINTERSECT\n".join("{}" for _ in legs), *legs)
    if not source.of_spans:
        return build(f"{{}}\nORDER BY trace {direction}\nLIMIT -1", both)
    ordered = build(f"{{}}\nORDER BY trace {direction}, id {direction}\nLIMIT -1", both)
    return build("SELECT DISTINCT trace FROM (\n{}\n)", ordered)


def _scan(
    scan: Scan,
    low: int,
    high: int,
    *,
    distinct: bool = True,
    of_all_time: bool = False,
    also: str = "",
) -> Fragment:
    if scan.found is not None:
        found = json.dumps(scan.found)
        return build(
            "SELECT value AS trace FROM json_each(?) WHERE value BETWEEN ? AND ?", found, low, high
        )
    index = INDEXES[scan.index]
    repeats = distinct and not index.is_unique
    hint = "" if index.is_primary else f" INDEXED BY {scan.index}"
    if index.columns == (index.trace,):
        low, high = _narrowed(scan, low, high)
        where = []
    else:
        where = _equals(scan)
        where += [_limit(index.columns[len(scan.equal)], *bound) for bound in scan.bounds]
    if index.where:
        where.append(Fragment(index.where))
    if not (of_all_time and scan.equal):
        where.append(build(f"{index.trace} BETWEEN ? AND ?", low, high))
    select = f"SELECT {'DISTINCT ' if repeats else ''}{index.trace} AS trace{also} FROM {index.table}{hint} WHERE "
    return build(select + " AND ".join("{}" for _ in where), *where)


def _equals(scan: Scan) -> list[Fragment]:
    pairs = zip(INDEXES[scan.index].columns, scan.equal, strict=False)
    return [
        Fragment(f"{column} IS NULL") if value is None else build(f"{column} = ?", _bound(value))
        for column, value in pairs
    ]


def _narrowed(scan: Scan, low: int, high: int) -> tuple[int, int]:
    """Return the range of ids within a range of ids."""
    (_, lowest), (_, highest) = scan.bounds
    if not isinstance(lowest, int) or not isinstance(highest, int):
        raise TypeError(scan.bounds)
    return max(low, lowest), min(high, highest)


def _are_disjoint(legs: Sequence[Scan]) -> bool:
    """Return whether no trace is in two of them: they are of different values, of which a trace has one."""
    first = legs[0]
    is_of_one = all(leg.index == first.index and leg.equal[:-1] == first.equal[:-1] for leg in legs)
    are_values = all(len(leg.equal) == len(INDEXES[leg.index].columns) for leg in legs)
    different = len({leg.equal for leg in legs}) == len(legs)
    return is_of_one and are_values and different and INDEXES[first.index].is_unique


def _limit(column: str, comparator: str, value: object) -> Fragment:
    if isinstance(value, tuple):
        return build(f"{column} {comparator} ({marks(len(value))})", *map(_bound, value))
    return build(f"{column} {comparator} ?", _bound(value))


def _bound(value: object) -> Bindable:
    """Return `value`, which came out of a plan, as what it is: something to bind."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(type(value).__name__)
