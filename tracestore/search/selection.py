"""All traces that meet a query, for statements that aggregate over them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tracestore.filters import plan, sql, streams, times
from tracestore.filters.sql import Fragment, build
from tracestore.filters.times import Moment
from tracestore.search.query import Query
from tracestore.search.reading import Reading
from tracestore.search.searching import Search
from tracestore.search.statements import within


@dataclass(frozen=True)
class Selection:
    """All traces that meet a query, as what an aggregating statement reads; no order, no limit.

    Attributes:
        where: What holds of the traces that are wanted.
        low: The lowest id they can have.
        high: The highest id they can have.
        driver: The index that hands them out; None where all traces from `low` to `high` are looked at.
        is_indexed: Whether the driver, or `low` and `high`, say it all.
        moment: When the query runs.
    """

    where: Fragment
    low: int
    high: int
    driver: plan.Choice | None
    is_indexed: bool
    moment: Moment
    _ids: Fragment | None
    _reading: Reading

    @property
    def source(self) -> Fragment:
        """What stands after FROM; the trace is `t`."""
        return self.source_by("NOT INDEXED")

    def source_by(self, how: str) -> Fragment:
        """Return the same, with rows found as said: "INDEXED BY traces_figures" where that index has all of it."""
        if self._ids is None:
            return Fragment(f"traces AS t {how}")
        return build(
            f"({{}}\nLIMIT -1) AS d CROSS JOIN traces AS t {how} ON t.id = d.trace", self._ids
        )

    @property
    def is_of_all_time(self) -> bool:
        """Whether `low` and `high` exclude nothing."""
        low, high = times.ALL_IDS
        return self.low <= low and self.high >= high

    def rows(self, statement: Fragment) -> list[tuple[Any, ...]]:
        """Return all rows of a statement about the selection; errors as those of a search."""
        return self._reading.execute(statement)

    def chunks(self, statement: Fragment) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a statement some thousand at a time; to be read to the end."""
        return self._reading.chunks(statement)


def select(connection: sqlite3.Connection, query: Query) -> Selection | None:
    """Return what to aggregate over, None where nothing can match; `order_by` is checked and has no influence.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
        QueryTimeoutError: As `search_ids`.
    """
    search = Search(connection, query)
    made = search.make_plan(None, None, ordered=False)
    if made is None:
        return None
    checks = search.checks(made)
    ids = None
    if made.driver is not None:
        ids = streams.unordered(made.driver.stream, made.low, made.high)
    where = sql.join("AND", [within(made), *checks])
    reading = search.reading
    return Selection(
        where, made.low, made.high, made.driver, not checks, reading.moment, ids, reading
    )
