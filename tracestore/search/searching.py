"""A search: one query on one connection at one moment; its plan, its statements, its rows."""

from __future__ import annotations

import hashlib
import itertools
import json
import operator
import sqlite3
from collections.abc import Iterator

from tracestore.errors import InvalidArgumentError
from tracestore.filters import ast, indexes, orders, plan, streams, times
from tracestore.filters.sql import Fragment
from tracestore.search import explained, statements
from tracestore.search.order import Position, read_order
from tracestore.search.pages import read_token, write_token
from tracestore.search.probes import Prober
from tracestore.search.query import Query, read_filter
from tracestore.search.reading import Reading, this_moment
from tracestore.search.walks import WalkedOrder

#: Traces that are looked at to tell how common matches are, and matches after which that is known.
SAMPLED_TRACES = 500
SAMPLED_MATCHES = 16

#: Statements that `explain` shows; where values are searched one by one, more of them look the same.
EXPLAINED = 3

_MAX_LIMIT = 2**63 - 2


def search_ids(
    connection: sqlite3.Connection, query: Query, limit: int | None, page_token: str | None = None
) -> tuple[list[int], str | None]:
    """Return `traces.id` of the traces that match, in order, and the token of the next page if there is one.

    Args:
        connection: To a store's file, with `filters.register` done.
        query: What is wanted.
        limit: The most ids to return; None: all. Nothing is returned for 0 and less.
        page_token: As an earlier call with the same query returned it.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
        InvalidArgumentError: If the limit is no number, or the token none, or of another query.
        QueryTimeoutError: If regular expressions took longer than `REGEX_TIME_S`, or the connection's owner
            interrupted the search.
    """
    try:
        limit = None if limit is None else operator.index(limit)  # numpy's integers are no int
    except TypeError:
        raise InvalidArgumentError(
            f"max_results is {limit!r:.100}; it must be a whole number or None"
        ) from None
    search = Search(connection, query)
    position = None if page_token is None else read_token(page_token, search.digest())
    if limit is not None and limit <= 0:
        return [], None
    wanted = None if limit is None else min(limit, _MAX_LIMIT)
    rows = search.rows(None if wanted is None else wanted + 1, position)
    if wanted is None or len(rows) <= wanted:
        return [row[0] for row in rows], None
    return [row[0] for row in rows[:wanted]], write_token(rows[wanted - 1], search.digest())


def count(connection: sqlite3.Connection, query: Query) -> int:
    """Return how many traces match; `order_by` is checked and has no influence.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
        QueryTimeoutError: As `search_ids`.
    """
    return Search(connection, query).count()


def explain(connection: sqlite3.Connection, query: Query, limit: int | None = 100) -> str:
    """Return how `search_ids` would find its first page: conditions with their probes, SQL, values, SQLite's plan.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
    """
    return Search(connection, query).explain(limit)


class Search:
    """One query on one connection, at one moment.

    Attributes:
        query: What is wanted.
        reading: The connection, asked at the moment when the search was made.
        terms: The filter's conditions, to be ANDed.
        order: What is sorted by.
    """

    def __init__(self, connection: sqlite3.Connection, query: Query) -> None:
        self.query = query
        self.reading = Reading(connection, this_moment())
        self.terms = read_filter(query)
        self.order = read_order(query.order_by)

    def digest(self) -> bytes:
        """Return what a page token is bound to."""
        experiments = (
            None if self.query.experiments is None else sorted(set(self.query.experiments))
        )
        order = [str(item) for item in self.order.items]
        said = [[str(term) for term in self.terms], order, experiments]
        return hashlib.sha256(json.dumps(said).encode()).digest()

    def rows(self, limit: int | None, position: Position | None) -> list[tuple[int, ...]]:
        """Return up to `limit` rows after `position`: id, then the order's values."""
        made = self.make_plan(limit, position)
        if made is None:
            return []
        rows: list[tuple[int, ...]] = []
        for statement in self._statements(made, limit, position):
            remaining = None if limit is None else limit - len(rows)
            rows += self.reading.execute(statements.limited(statement, remaining))
            if limit is not None and len(rows) >= limit:
                break
        return rows

    def count(self) -> int:
        """Return the number of matching traces."""
        made = self.make_plan(None, None, ordered=False)
        if made is None:
            return 0
        counted = self.reading.execute(statements.count(made, self.checks(made)))
        return int(counted[0][0])

    def explain(self, limit: int | None) -> str:
        """Return the plan of the first page as text."""
        most = None if limit is None else limit + 1
        made = self.make_plan(most, None)
        if made is None:
            return "no trace can match: nothing is searched\n"
        walk = self._walk(made, limit)
        lines = [explained.plan_text(made, None if walk is None else walk.index)]
        for statement in itertools.islice(self._statements(made, limit, None), EXPLAINED):
            limited = statements.limited(statement, most)
            steps = self.reading.execute(
                Fragment(f"EXPLAIN QUERY PLAN {limited.text}", limited.values)
            )
            lines += explained.statement_text(limited, steps)
        return "\n".join(lines) + "\n"

    def make_plan(
        self, limit: int | None, position: Position | None, *, ordered: bool = True
    ) -> plan.Plan | None:
        """Return the plan, or None where nothing can match."""
        terms, low, high = times.split_time(self.terms, self.reading.moment.now_ns)
        if position is not None and self.order.is_of_ids:
            low, high = self.order.ids_after(position, low, high)
        experiments = self._experiment_terms()
        if low > high or experiments is None:
            return None
        first_by_id = ordered and self.order.is_of_ids and limit is not None
        probe = Prober(self.reading, low, high, descending=self.order.descending)
        return plan.make((*terms, *experiments), low, high, probe, in_id_order=first_by_id)

    def _experiment_terms(self) -> tuple[ast.Node, ...] | None:
        """Return the condition on experiments, () where it excludes nothing, None where it excludes all."""
        if self.query.experiments is None:
            return ()
        wanted = sorted({number for number in self.query.experiments if 0 <= number < 10**18})
        if not wanted:
            return None
        others = streams.outside_experiments(wanted)
        if others is not None and not self.reading.execute(others)[0][0]:
            return ()
        texts = tuple(ast.Text(str(number)) for number in wanted)
        return (ast.Membership(ast.Reference(None, "experiment_id"), texts),)

    def checks(self, made: plan.Plan) -> list[Fragment]:
        """Return what is checked on each trace that the plan's driver hands out."""
        return [statements.check(item, self.reading.moment) for item in made.checks]

    def _statements(
        self, made: plan.Plan, limit: int | None, position: Position | None
    ) -> Iterator[Fragment]:
        """Yield what to execute one after the other until there are enough rows, without LIMIT."""
        if self.order.is_of_ids:
            yield statements.by_id(made, self.checks(made), descending=self.order.descending)
            return
        walk = self._walk(made, limit)
        if walk is None:
            yield self._sorted(made, position)
        else:
            yield from self._walked(walk, made, position).statements(self.reading)

    def _walk(self, made: plan.Plan, limit: int | None) -> orders.Walk | None:
        """Return the way in the order asked for, if it beats sorting what the driver finds."""
        few = made.driver is not None and made.driver.measure.is_complete
        if self.order.is_of_ids or few or limit is None:
            return None
        walk = orders.walk_of(self.order.items[0])
        return walk if walk and self._is_walk_shorter(plan.in_id_order(made), limit) else None

    def _is_walk_shorter(self, made: plan.Plan, limit: int) -> bool:
        """Return whether a walk looks at fewer traces until enough match than there are to be sorted.

        It passes all those that don't match, of the whole file if too few do; a sample tells how many match.
        """
        every = self._traces_within(*times.ALL_IDS)
        looked_at = self._traces_within(made.low, made.high)
        if made.driver is not None:
            looked_at = min(looked_at, made.driver.measure.rows)
        sample = statements.places_of_matches(
            made, self.checks(made), SAMPLED_TRACES, SAMPLED_MATCHES
        )
        places = self.reading.execute(sample)
        sampled = places[-1][0] if len(places) == SAMPLED_MATCHES else SAMPLED_TRACES
        return limit * every < looked_at * looked_at * len(places) / sampled

    def _traces_within(self, low: int, high: int) -> float:
        return Prober(self.reading, low, high, descending=True).measure(indexes.ALL).rows

    def _sorted(self, made: plan.Plan, position: Position | None) -> Fragment:
        """Return the SELECT that sorts all matching traces."""
        keys = self.order.keys()
        where = [statements.within(made), *self.checks(made)]
        if position is not None:
            where.append(self.order.after(keys, position))
        ordered = self.order.terms(keys, statements.ID)
        read = (plan.columns_of(item.field) for item in self.order.items)
        source = statements.source(made, statements.columns_read(made).union(*read))
        return statements.by_order(source, keys, where, ordered)

    def _walked(self, walk: orders.Walk, made: plan.Plan, position: Position | None) -> WalkedOrder:
        moment = self.reading.moment
        checks = [statements.check(item, moment) for item in made.considered]
        return WalkedOrder(walk, self.order, [statements.within(made), *checks], position)
