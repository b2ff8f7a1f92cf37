"""The SELECTs of a search; `t` is the trace. Pure functions of plans and fragments."""

from __future__ import annotations

from tracestore.filters import conditions, indexes, plan, sql, streams, times
from tracestore.filters.sql import Fragment, build
from tracestore.filters.times import Moment

#: The id of a trace.
ID = Fragment("t.id")


def check(item: plan.Considered, moment: Moment) -> Fragment:
    """Return whether a condition holds of the trace: by the index that could drive it, where that knows."""
    if item.looked_up is not None:
        return streams.holds(item.looked_up)
    return conditions.condition(item.condition, moment)


def limited(statement: Fragment, limit: int | None) -> Fragment:
    """Return the statement for its first `limit` rows; None: for all."""
    return statement if limit is None else build("{}\nLIMIT ?", statement, limit)


def within(made: plan.Plan) -> Fragment:
    """Return the condition that an id is in the plan's range."""
    return build("t.id BETWEEN ? AND ?", made.low, made.high)


def columns_read(made: plan.Plan) -> frozenset[str]:
    """Return the columns of a trace's own row that the plan's checks read."""
    read = (item.condition for item in made.checks if item.looked_up is None)
    return frozenset[str]().union(*map(plan.columns_read, read))


def source(made: plan.Plan, columns: frozenset[str]) -> Fragment:
    """Return what a SELECT of traces that reads these columns is from."""
    if made.driver is None:
        return _traces(columns)
    ids = streams.stream(made.driver.stream, made.low, made.high, descending=True)
    return build("({}) AS d CROSS JOIN {} ON t.id = d.trace", ids, _traces(columns))


def _traces(columns: frozenset[str]) -> Fragment:
    """Return the table of traces where these columns are read: the index that has them, a twentieth of the pages."""
    has_all = columns <= indexes.FIGURE_COLUMNS
    return Fragment(f"traces AS t {'INDEXED BY traces_figures' if has_all else 'NOT INDEXED'}")


def by_id(made: plan.Plan, checks: list[Fragment], *, descending: bool) -> Fragment:
    """Return the SELECT of ids in the order of ids."""
    direction = "DESC" if descending else "ASC"
    where = sql.join("AND", checks)
    columns = columns_read(made)
    if made.driver is None:
        return build(
            f"SELECT t.id FROM {{}}\nWHERE {{}} AND {{}}\nORDER BY t.id {direction}",
            _traces(columns),
            within(made),
            where,
        )
    ids = streams.stream(made.driver.stream, made.low, made.high, descending=descending)
    if not checks:
        return build("SELECT d.trace FROM (\n{}\n) AS d", ids)
    # No ORDER BY: the stream is in order and CROSS JOIN keeps it; SQLite, not knowing, would sort it all.
    if not columns:
        return build("WITH t (id) AS (\n{}\n)\nSELECT t.id FROM t WHERE {}", ids, where)
    return build(
        "SELECT t.id FROM (\n{}\n) AS d CROSS JOIN {} ON t.id = d.trace\nWHERE {}",
        ids,
        _traces(columns),
        where,
    )


def places_of_matches(made: plan.Plan, checks: list[Fragment], sampled: int, most: int) -> Fragment:
    """Return the SELECT of the places, from 1 on, of the first matches among so many traces that the driver hands out."""
    driver = indexes.ALL if made.driver is None else made.driver.stream
    return build(
        "SELECT d.place FROM (SELECT trace, row_number() OVER () AS place FROM ({}) LIMIT ?) AS d"
        " CROSS JOIN {} ON t.id = d.trace WHERE {} LIMIT ?",
        streams.stream(driver, made.low, made.high, descending=True),
        sampled,
        _traces(columns_read(made)),
        sql.join("AND", checks),
        most,
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
    columns = columns_read(made)
    if made.driver is None:
        where = sql.join("AND", [within(made), *checks])
        return build("SELECT count(*) FROM {} WHERE {}", _traces(columns), where)
    of_all_time = (made.low, made.high) == times.ALL_IDS
    ids = streams.unordered(made.driver.stream, made.low, made.high, of_all_time=of_all_time)
    if not checks:
        return build("SELECT count(*) FROM ({})", ids)
    if not columns:
        where = sql.join("AND", checks)
        return build("WITH t (id) AS (\n{}\n)\nSELECT count(*) FROM t WHERE {}", ids, where)
    return build(
        "SELECT count(*) FROM ({}\nLIMIT -1) AS d CROSS JOIN {} ON t.id = d.trace WHERE {}",
        ids,
        _traces(columns),
        sql.join("AND", checks),
    )
