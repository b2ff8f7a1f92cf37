"""The SELECTs of a search; `t` is the trace. Pure functions of plans and fragments."""

from __future__ import annotations

from tracestore.filters import plan, sql, streams, times
from tracestore.filters.sql import Fragment, build

#: The id of a trace.
ID = Fragment("t.id")


def limited(statement: Fragment, limit: int | None) -> Fragment:
    """Return the statement for its first `limit` rows; None: for all."""
    return statement if limit is None else build("{}\nLIMIT ?", statement, limit)


def within(made: plan.Plan) -> Fragment:
    """Return the condition that an id is in the plan's range."""
    return build("t.id BETWEEN ? AND ?", made.low, made.high)


def source(made: plan.Plan) -> Fragment:
    """Return what a SELECT of traces is from."""
    if made.driver is None:
        return Fragment("traces AS t NOT INDEXED")
    ids = streams.stream(made.driver.stream, made.low, made.high, descending=True)
    return build("({}) AS d CROSS JOIN traces AS t ON t.id = d.trace", ids)


def by_id(made: plan.Plan, checks: list[Fragment], *, descending: bool) -> Fragment:
    """Return the SELECT of ids in the order of ids."""
    direction = "DESC" if descending else "ASC"
    where = sql.join("AND", checks)
    if made.driver is None:
        return build(
            f"SELECT t.id FROM traces AS t NOT INDEXED\nWHERE {{}} AND {{}}\nORDER BY t.id {direction}",
            within(made),
            where,
        )
    ids = streams.stream(made.driver.stream, made.low, made.high, descending=descending)
    if not checks:
        return build("SELECT d.trace FROM (\n{}\n) AS d", ids)
    # No ORDER BY: the stream is in order and CROSS JOIN keeps it; SQLite, not knowing, would sort it all.
    if not any(map(plan.reads_row, made.checks)):
        return build("WITH t (id) AS (\n{}\n)\nSELECT t.id FROM t WHERE {}", ids, where)
    return build(
        "SELECT t.id FROM (\n{}\n) AS d CROSS JOIN traces AS t ON t.id = d.trace\nWHERE {}",
        ids,
        where,
    )


def by_order(
    source: Fragment, keys: list[Fragment], where: list[Fragment], ordered: list[Fragment]
) -> Fragment:
    """Return the SELECT of ids and the values they are ordered by."""
    return build(
        "SELECT {} FROM {}\nWHERE {}\nORDER BY {}",
        sql.comma([ID, *keys]),
        source,
        sql.join("AND", where),
        sql.comma(ordered),
    )


def count(made: plan.Plan, checks: list[Fragment]) -> Fragment:
    """Return the SELECT of how many traces match."""
    if made.driver is None:
        return build(
            "SELECT count(*) FROM traces AS t WHERE {}", sql.join("AND", [within(made), *checks])
        )
    of_all_time = (made.low, made.high) == times.ALL_IDS
    ids = streams.unordered(made.driver.stream, made.low, made.high, of_all_time=of_all_time)
    if not checks:
        return build("SELECT count(*) FROM ({})", ids)
    if not any(map(plan.reads_row, made.checks)):
        where = sql.join("AND", checks)
        return build("WITH t (id) AS (\n{}\n)\nSELECT count(*) FROM t WHERE {}", ids, where)
    return build(
        "SELECT count(*) FROM ({}\nLIMIT -1) AS d CROSS JOIN traces AS t ON t.id = d.trace WHERE {}",
        ids,
        sql.join("AND", checks),
    )
