"""Searches that answer with ids: filter, order, pages, counts, and how they were found.

Knows a connection and the filter language; no threads, no entities, no default limits. Every statement is
read to its end before anything is returned, so no cursor is left open.

Invariant: orders are total (the id is the last tie-break), so the pages of a search put together are the whole
search, also while other traces arrive.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import operator
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracestore.errors import InvalidArgumentError, QueryTimeoutError, StoreError
from tracestore.filters import (
    ast,
    conditions,
    indexes,
    leaves,
    meaning,
    orders,
    parser,
    plan,
    sql,
    streams,
    times,
)
from tracestore.filters.parser import OrderItem
from tracestore.filters.sql import Bindable, Fragment, build
from tracestore.filters.times import Moment

#: How long the regular expressions of one search may take.
REGEX_TIME_S = 5.0

#: Entries of an index that a probe of a ready order reads.
PROBE_ROWS = 500

#: The same of each of many values of one index.
LEAST_PROBE_ROWS = 25

#: Entries of an index that are sorted rather than all traces looked at, times the index's `patience`.
SORTED_ROWS = 10_000

#: Rows that an aggregation takes from SQLite at a time.
CHUNK_ROWS = 8_192

#: Statements that `explain` shows; where values are searched one by one, more of them look the same.
EXPLAINED = 3

#: The most items of an order.
MAX_ORDER_ITEMS = 16

#: Entries of an index whose traces a probe keeps, so that they are read once.
FOUND_ROWS = 1_000

#: Values of an index that are searched one by one before all others at once.
VALUES_ONE_BY_ONE = 16

_ID = Fragment("t.id")
_TIME = ast.Reference(None, "timestamp_ms")
_MAX_LIMIT = 2**63 - 2


@dataclass(frozen=True)
class Query:
    """What is wanted; nothing is executed yet.

    Attributes:
        filter_string: Which traces; None, empty or blank: all.
        order_by: Items such as "duration DESC NULLS FIRST"; one text is one item. Default: newest first.
        experiments: Ids of the experiments to search; None: all, empty: none.
        also: Conditions made by code that hold too.
    """

    filter_string: str | None = None
    order_by: Sequence[str] | str | None = None
    experiments: tuple[int, ...] | None = None
    also: tuple[ast.Node, ...] = ()


def narrowed(filter_string: str | None, trace_ids: Sequence[str]) -> str:
    """Return a filter that those of some traces meet which meet `filter_string`.

    Example:
        >>> narrowed("name = 'a'", ["tr-1", "tr-2"])
        "(name = 'a') AND trace_id IN ('tr-1', 'tr-2')"
    """
    quoted = ", ".join("'" + trace_id.replace("'", "''") + "'" for trace_id in trace_ids)
    condition = f"trace_id IN ({quoted})"
    return f"({filter_string}) AND {condition}" if (filter_string or "").strip() else condition


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
    search = _Search(connection, query)
    position = None if page_token is None else _read_token(page_token, search.digest)
    if limit is not None and limit <= 0:
        return [], None
    wanted = None if limit is None else min(limit, _MAX_LIMIT)
    rows = search.rows(None if wanted is None else wanted + 1, position)
    if wanted is None or len(rows) <= wanted:
        return [row[0] for row in rows], None
    return [row[0] for row in rows[:wanted]], _write_token(rows[wanted - 1], search.digest)


def count(connection: sqlite3.Connection, query: Query) -> int:
    """Return how many traces match; `order_by` is checked and has no influence.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
        QueryTimeoutError: As `search_ids`.
    """
    return _Search(connection, query).count()


def explain(connection: sqlite3.Connection, query: Query, limit: int | None = 100) -> str:
    """Return how `search_ids` would find its first page: conditions with their probes, SQL, values, SQLite's plan.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
    """
    return _Search(connection, query).explain(limit)


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
    _search: _Search

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
        return self._search.execute(statement)

    def chunks(self, statement: Fragment) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a statement some thousand at a time; to be read to the end."""
        with self._search.translated_errors():
            cursor = self._search.connection.execute(statement.text, statement.values)
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield rows


def select(connection: sqlite3.Connection, query: Query) -> Selection | None:
    """Return what to aggregate over, None where nothing can match; `order_by` is checked and has no influence.

    Raises:
        FilterSyntaxError: If the filter or the order can't be read.
        QueryTimeoutError: As `search_ids`.
    """
    search = _Search(connection, query)
    made = search._plan(None, None, ordered=False)  # noqa: SLF001 - of this module
    if made is None:
        return None
    checks = search._checks(made)  # noqa: SLF001 - of this module
    ids = None
    if made.driver is not None:
        ids = streams.unordered(made.driver.stream, made.low, made.high)
    where = sql.join("AND", [_within(made), *checks])
    return Selection(
        where, made.low, made.high, made.driver, not checks, search.moment, ids, search
    )


@dataclass(frozen=True)
class _Position:
    """Where a page ended: the order's values and the id of its last row."""

    keys: tuple[Bindable, ...]
    trace: int


@dataclass
class _Search:
    """One query on one connection, at one moment."""

    connection: sqlite3.Connection
    query: Query
    terms: tuple[ast.Node, ...] = field(init=False)
    order: tuple[OrderItem, ...] = field(init=False)
    moment: Moment = field(init=False)
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.moment = Moment(time.time_ns(), time.monotonic_ns() + int(REGEX_TIME_S * 1e9))
        self.terms = _read_filter(self.query)
        self.order = _read_order(self.query.order_by)
        self.digest = self._digest()

    def _digest(self) -> bytes:
        """Return what a page token is bound to."""
        experiments = (
            None if self.query.experiments is None else sorted(set(self.query.experiments))
        )
        said = [[str(term) for term in self.terms], [str(item) for item in self.order], experiments]
        return hashlib.sha256(json.dumps(said).encode()).digest()

    @property
    def _in_id_order(self) -> bool:
        return len(self.order) == 1 and self.order[0].field == _TIME

    @property
    def descending(self) -> bool:
        """Whether the id, the last of every order, goes downwards."""
        last = self.order[-1]
        return last.field != _TIME or last.descending

    def rows(self, limit: int | None, position: _Position | None) -> list[tuple[int, ...]]:
        """Return up to `limit` rows after `position`: id, then the order's values."""
        made = self._plan(limit, position)
        if made is None:
            return []
        rows: list[tuple[int, ...]] = []
        for statement in self._statements(made, limit, position):
            remaining = None if limit is None else limit - len(rows)
            rows += self.execute(_limited(statement, remaining))
            if limit is not None and len(rows) >= limit:
                break
        return rows

    def count(self) -> int:
        """Return the number of matching traces."""
        made = self._plan(None, None, ordered=False)
        if made is None:
            return 0
        counted = self.execute(_count(made, self._checks(made)))
        return int(counted[0][0])

    def explain(self, limit: int | None) -> str:
        """Return the plan of the first page as text."""
        made = self._plan(None if limit is None else limit + 1, None)
        if made is None:
            return "no trace can match: nothing is searched\n"
        walk = self._walk(made, limit)
        lines = [_explain_plan(made, None if walk is None else walk.index)]
        for statement in itertools.islice(self._statements(made, limit, None), EXPLAINED):
            limited = _limited(statement, None if limit is None else limit + 1)
            steps = self.execute(Fragment(f"EXPLAIN QUERY PLAN {limited.text}", limited.values))
            lines += [
                "",
                limited.text.strip(),
                "",
                f"values: {list(limited.values)!r}",
                "",
                "SQLite's plan:",
            ]
            lines += _indent_steps(steps)
        return "\n".join(lines) + "\n"

    def _plan(
        self, limit: int | None, position: _Position | None, *, ordered: bool = True
    ) -> plan.Plan | None:
        """Return the plan, or None where nothing can match."""
        terms, low, high = times.split_time(self.terms, self.moment.now_ns)
        if position is not None and self._in_id_order:
            low, high = _after_id(position.trace, low, high, descending=self.descending)
        experiments = self._experiment_terms()
        if low > high or experiments is None:
            return None
        first_by_id = ordered and self._in_id_order and limit is not None
        probe = _Prober(self, low, high)
        return plan.make((*terms, *experiments), low, high, probe, in_id_order=first_by_id)

    def _experiment_terms(self) -> tuple[ast.Node, ...] | None:
        """Return the condition on experiments, () where it excludes nothing, None where it excludes all."""
        if self.query.experiments is None:
            return ()
        wanted = sorted({number for number in self.query.experiments if 0 <= number < 10**18})
        if not wanted:
            return None
        others = streams.outside_experiments(wanted)
        if others is not None and not self.execute(others)[0][0]:
            return ()
        texts = tuple(ast.Text(str(number)) for number in wanted)
        return (ast.Membership(ast.Reference(None, "experiment_id"), texts),)

    def _checks(self, made: plan.Plan) -> list[Fragment]:
        return [conditions.condition(check, self.moment) for check in made.checks]

    def _statements(
        self, made: plan.Plan, limit: int | None, position: _Position | None
    ) -> Iterator[Fragment]:
        """Yield what to execute one after the other until there are enough rows, without LIMIT."""
        checks = self._checks(made)
        if self._in_id_order:
            yield _by_id(made, checks, descending=self.descending)
            return
        keys = [orders.key_of(item) for item in self.order]
        walk = self._walk(made, limit)
        if walk is None:
            yield self._sorted(made, checks, keys, position)
        else:
            yield from self._walked(walk, made, keys, position)

    def _walk(self, made: plan.Plan, limit: int | None) -> orders.Walk | None:
        """Return the way in the order asked for, if it beats sorting what the driver finds."""
        few = made.driver is not None and made.driver.measure.is_complete
        if self._in_id_order or few or limit is None:
            return None
        return orders.walk_of(self.order[0])

    def _sorted(
        self,
        made: plan.Plan,
        checks: list[Fragment],
        keys: list[Fragment],
        position: _Position | None,
    ) -> Fragment:
        """Return the SELECT that sorts all matching traces."""
        if position is not None:
            checks = [*checks, _after(self.order, keys, position, descending=self.descending)]
        ordered = [orders.term(item, key) for item, key in zip(self.order, keys, strict=True)]
        by_id = self._by_id(_ID)
        return _by_order(_source(made), keys, [_within(made), *checks], [*ordered, by_id])

    def _by_id(self, trace: Fragment) -> Fragment:
        return build(f"{{}} {'DESC' if self.descending else 'ASC'}", trace)

    def _walked(
        self,
        walk: orders.Walk,
        made: plan.Plan,
        keys: list[Fragment],
        position: _Position | None,
    ) -> Iterator[Fragment]:
        """Yield the SELECTs of the traces that have a value of the first key, and those of no value before or after."""
        keys = [walk.key, *keys[1:]]
        rest = [
            orders.term(item, key)
            for item, key in zip(self.order[1:], keys[1:], strict=True)
            if item is not self.order[-1] or item.field != _TIME  # which the id says too
        ]
        without = self._without_value(walk, keys, rest, made, position)
        with_value = self._with_value(walk, keys, rest, made, position)
        in_values = position is not None and position.keys[0] is not None
        in_none = position is not None and position.keys[0] is None
        if self.order[0].nulls_first and not in_values:
            yield without
        if self.order[0].nulls_first or not in_none:
            yield from with_value
        if not self.order[0].nulls_first:
            yield without

    def _walk_checks(
        self, made: plan.Plan, keys: list[Fragment], position: _Position | None
    ) -> list[Fragment]:
        """Return what is checked on each trace on the way."""
        checks = [conditions.condition(item.condition, self.moment) for item in made.considered]
        if position is not None:
            checks.append(_after(self.order, keys, position, descending=self.descending))
        return [_within(made), *checks]

    def _without_value(
        self,
        walk: orders.Walk,
        keys: list[Fragment],
        rest: list[Fragment],
        made: plan.Plan,
        position: _Position | None,
    ) -> Fragment:
        """Return the SELECT of the traces that have no value of the first key."""
        keys = [Fragment("NULL"), *keys[1:]]
        absent = build("{} IS NULL", orders.key_of(self.order[0]))
        checks = self._walk_checks(made, keys, position)
        return _by_order(walk.of_none, keys, [absent, *checks], [*rest, self._by_id(_ID)])

    def _with_value(
        self,
        walk: orders.Walk,
        keys: list[Fragment],
        rest: list[Fragment],
        made: plan.Plan,
        position: _Position | None,
    ) -> Iterator[Fragment]:
        """Yield the SELECTs of the traces that have a value.

        Where the index has the ids of each value in the other direction, the first values one by one: SQLite would
        sort all traces of a value to find the first of them.
        """
        first = self.order[0]
        checks = self._walk_checks(made, keys, position)
        by_id = self._by_id(walk.trace)
        reached = None if position is None else position.keys[0]
        upwards = not first.descending
        present = build("{} IS NOT NULL", walk.key)
        if reached is not None:
            present = build(f"{{}} {'>=' if upwards else '<='} ?", walk.key, reached)
        if walk.values is not None and not rest and first.descending != self.descending:
            for _ in range(VALUES_ONE_BY_ONE):
                found = self.execute(_next_value(walk, present, upwards=upwards))
                value = found[0][0]
                if value is None:
                    return
                yield _by_order(
                    walk.source, keys, [build("{} = ?", walk.key, value), *checks], [by_id]
                )
                present = build(f"{{}} {'>' if upwards else '<'} ?", walk.key, value)
        ordered = [build(f"{{}} {'ASC' if upwards else 'DESC'}", walk.key), *rest, by_id]
        yield _by_order(walk.source, keys, [present, *checks], ordered)

    def execute(self, statement: Fragment) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        with self.translated_errors():
            return self.connection.execute(statement.text, statement.values).fetchall()

    @contextlib.contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn what SQLite raises in the block into errors of this package."""
        try:
            yield
        except sqlite3.Error as error:
            timed_out = time.monotonic_ns() >= self.moment.deadline_ns
            if "user-defined function" in str(error) and timed_out:
                raise QueryTimeoutError(
                    f"the regular expressions of this search took longer than {REGEX_TIME_S:g} s:"
                    " simplify them, or add a condition that leaves fewer traces"
                ) from error
            if "interrupted" in str(error):
                raise QueryTimeoutError("the search was interrupted: narrow the filter") from error
            raise StoreError(f"the search failed: {error}") from error


class _Prober:
    """Measures scans within a search's range of ids."""

    def __init__(self, search: _Search, low: int, high: int) -> None:
        self._search = search
        self._low = low
        self._high = high
        self._known: dict[indexes.Scan, indexes.Measure] = {}
        self._values: dict[tuple[indexes.Scan, ast.Node | None], tuple[Bindable, ...] | None] = {}
        self._span: tuple[int, int] | None = None

    def measure(self, scan: indexes.Scan, share: int = 1) -> indexes.Measure:
        """Return how many entries the scan has, or how many its density promises."""
        if scan not in self._known:
            rows = max(PROBE_ROWS // share, LEAST_PROBE_ROWS)
            self._known[scan] = self._ordered(scan, rows) if scan.is_ordered else self._range(scan)
        return self._known[scan]

    def values(self, scan: indexes.Scan, test: ast.Node | None) -> tuple[Bindable, ...] | None:
        """Return the different values in a range that meet the test, None where there are too many to look at."""
        key = scan, test
        if key not in self._values:
            self._values[key] = self._find_values(scan, test)
        return self._values[key]

    def ids(self, leaf: ast.Leaf) -> tuple[int, int] | None:
        """Return the range of ids that a condition on the start of a trace means, if it is one."""
        return times.id_range(leaf, self._search.moment.now_ns)

    def resources(self, leaf: ast.Leaf) -> tuple[int, ...]:
        """Return the ids of the resources that meet a condition."""
        rows = self._search.execute(leaves.resources(leaf, self._search.moment))
        return tuple(row[0] for row in rows)

    def indexed_to(self) -> int:
        """Return the id of a span below which all are in the text index; 0 where there is none."""
        return int(self._search.execute(streams.INDEXED_TO)[0][0])

    def _find_values(
        self, scan: indexes.Scan, test: ast.Node | None
    ) -> tuple[Bindable, ...] | None:
        limit = indexes.MAX_VALUES + 1
        passes = leaves.text_test(Fragment("value"), test, self._search.moment)
        rows = self._search.execute(streams.values_of(scan, limit, passes))
        return None if len(rows) == limit else tuple(value for value, passed in rows if passed)

    def _ordered(self, scan: indexes.Scan, most: int) -> indexes.Measure:
        descending = self._search.descending
        probe = streams.probe_ordered(scan, self._low, self._high, most, descending=descending)
        rows, last = self._search.execute(probe)[0]
        if rows < most:
            return indexes.Measure(rows, is_complete=True)
        return indexes.Measure(self._projected(rows, last), is_complete=False)

    def _range(self, scan: indexes.Scan) -> indexes.Measure:
        index = indexes.INDEXES[scan.index]
        limit = SORTED_ROWS * index.patience
        descending = self._search.descending
        some = streams.entries(scan, self._low, self._high, FOUND_ROWS, descending=descending)
        traces = [row[0] for row in self._search.execute(some)]
        if len(traces) < FOUND_ROWS:
            found = tuple(sorted(set(traces)))
            return indexes.Measure(len(traces), is_complete=True, found=found)
        if index.written and self._projected(FOUND_ROWS, traces[-1]) >= limit:
            return indexes.Measure(limit, is_complete=False)
        rows = self._search.execute(streams.probe_range(scan, self._low, self._high, limit))[0][0]
        return indexes.Measure(rows, is_complete=rows < limit)

    def _projected(self, rows: int, last: int) -> float:
        """Return how many entries there are if they go on as from the first to this last of `rows`."""
        oldest, newest = self._extent()
        seen = newest - last if self._search.descending else last - oldest
        return rows * (newest - oldest + 1) / max(1, seen)

    def _extent(self) -> tuple[int, int]:
        """Return the lowest and highest id that there are between the search's limits."""
        if self._span is None:
            oldest, newest = self._search.execute(streams.EXTENT)[0]
            self._span = max(self._low, oldest or 0), min(self._high, newest or 0)
        return self._span


def _read_filter(query: Query) -> tuple[ast.Node, ...]:
    """Return the query's conditions in normal form, to be ANDed."""
    if not isinstance(query.filter_string, (str, type(None))):
        kind = type(query.filter_string).__name__
        raise InvalidArgumentError(f"filter_string is a {kind}; it must be text")
    parsed = parser.parse(query.filter_string)
    asked = [] if parsed is None else [meaning.normalise(parsed, query.filter_string or "")]
    made = [meaning.normalise(node) for node in query.also]
    terms: list[ast.Node] = []
    for node in (*asked, *made):
        terms.extend(node.operands if isinstance(node, ast.And) else (node,))
    return tuple(terms)


def _read_order(order_by: Sequence[str] | str | None) -> tuple[OrderItem, ...]:
    """Return the items of an order, the default where there are none."""
    texts = [order_by] if isinstance(order_by, str) else list(order_by or ())
    items: list[OrderItem] = []
    for text in texts:
        if not isinstance(text, str):
            raise InvalidArgumentError(
                f"order_by is a list of texts such as 'duration DESC', not {text!r}"
            )
        item = meaning.normalise_order(parser.parse_order(text), text)
        if any(item.field == earlier.field for earlier in items):
            raise InvalidArgumentError(f"order_by names {item.field} twice")
        items.append(item)
    if len(items) > MAX_ORDER_ITEMS:
        raise InvalidArgumentError(f"order_by has {len(items)} items: at most {MAX_ORDER_ITEMS}")
    return tuple(items) or (OrderItem(_TIME, descending=True),)


def _after_id(trace: int, low: int, high: int, *, descending: bool) -> tuple[int, int]:
    return (low, min(high, trace - 1)) if descending else (max(low, trace + 1), high)


def _limited(statement: Fragment, limit: int | None) -> Fragment:
    return statement if limit is None else build("{}\nLIMIT ?", statement, limit)


def _within(made: plan.Plan) -> Fragment:
    return build("t.id BETWEEN ? AND ?", made.low, made.high)


def _source(made: plan.Plan) -> Fragment:
    """Return what a SELECT of traces is from."""
    if made.driver is None:
        return Fragment("traces AS t NOT INDEXED")
    ids = streams.stream(made.driver.stream, made.low, made.high, descending=True)
    return build("({}) AS d CROSS JOIN traces AS t ON t.id = d.trace", ids)


def _by_id(made: plan.Plan, checks: list[Fragment], *, descending: bool) -> Fragment:
    """Return the SELECT of ids in the order of ids."""
    direction = "DESC" if descending else "ASC"
    where = sql.join("AND", checks)
    if made.driver is None:
        return build(
            f"SELECT t.id FROM traces AS t NOT INDEXED\nWHERE {{}} AND {{}}\nORDER BY t.id {direction}",
            _within(made),
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


def _by_order(
    source: Fragment, keys: list[Fragment], where: list[Fragment], ordered: list[Fragment]
) -> Fragment:
    """Return the SELECT of ids and the values they are ordered by."""
    return build(
        "SELECT {} FROM {}\nWHERE {}\nORDER BY {}",
        sql.comma([_ID, *keys]),
        source,
        sql.join("AND", where),
        sql.comma(ordered),
    )


def _next_value(walk: orders.Walk, present: Fragment, *, upwards: bool) -> Fragment:
    """Return the SELECT of the first value among those present, NULL where there is none."""
    extreme = Fragment("min" if upwards else "max")
    return build("SELECT {}({}) {} AND {}", extreme, walk.key, walk.values or _ID, present)


def _after(
    order: tuple[OrderItem, ...], keys: list[Fragment], position: _Position, *, descending: bool
) -> Fragment:
    """Return the condition that a row comes after `position`."""
    after = build(f"t.id {'<' if descending else '>'} ?", position.trace)
    for item, key, value in reversed(list(zip(order, keys, position.keys, strict=True))):
        after = build("(({} AND {} IS ?) OR {})", after, key, value, _beyond(item, key, value))
    return after


def _beyond(item: OrderItem, key: Fragment, value: Bindable) -> Fragment:
    """Return the condition that one key alone puts a row after the position."""
    if value is None:
        return build("{} IS NOT NULL", key) if item.nulls_first else Fragment("0")
    further = build(f"{{}} {'<' if item.descending else '>'} ?", key, value)
    return further if item.nulls_first else build("({} OR {} IS NULL)", further, key)


def _count(made: plan.Plan, checks: list[Fragment]) -> Fragment:
    """Return the SELECT of how many traces match."""
    if made.driver is None:
        return build(
            "SELECT count(*) FROM traces AS t WHERE {}", sql.join("AND", [_within(made), *checks])
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


def _write_token(row: tuple[int, ...], digest: bytes) -> str:
    """Return the position of `row`, signed with what it is a position in."""
    position = json.dumps([row[0], *row[1:]], separators=(",", ":"))
    seal = hashlib.sha256(digest + position.encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(f"{seal}{position}".encode()).decode()


def _read_token(token: str, digest: bytes) -> _Position:
    """Return the position that a token stands for."""
    reason = (
        "page_token is not a token of this search: pass what the call before returned,"
        " with the same filter, order and experiments"
    )
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        seal, position = text[:16], text[16:]
        if hashlib.sha256(digest + position.encode()).hexdigest()[:16] != seal:
            raise InvalidArgumentError(reason)
        trace, *keys = json.loads(position)
        return _Position(tuple(keys), trace)
    except (ValueError, AttributeError) as error:
        raise InvalidArgumentError(reason) from error


def _explain_plan(made: plan.Plan, walked: str | None) -> str:
    """Return which condition drives, and what the probes found."""
    lines = []
    for item in made.considered:
        drives = walked is None and made.driver is not None and item.choice is made.driver
        verb = "drives" if drives else "checked"
        lines.append(f"{verb:8} {item.condition}  ({_explain_choice(item.choice)})")
    if walked is not None:
        lines.append(f"drives   all traces in the order of {walked}")
    elif made.driver is None:
        lines.append("drives   all traces in the order of time")
    lines.append(f"ids      {made.low} to {made.high}")
    return "\n".join(lines)


def _explain_choice(choice: plan.Choice | None) -> str:
    if choice is None:
        return "no index helps, or it holds too many to sort"
    indexes = ", ".join(sorted({leg.index for leg in choice.stream.legs}))
    about = "" if choice.measure.is_complete else "about "
    rows = f"{choice.measure.rows:,.0f}" if choice.measure.rows < 1e18 else "many"
    return f"{about}{rows} in {indexes}"


def _indent_steps(steps: list[tuple[int, ...]]) -> list[str]:
    """Return SQLite's plan as a tree."""
    depth = {0: 0}
    lines = []
    for step, parent, _, text in steps:
        depth[step] = depth.get(parent, 0) + 1
        lines.append(f"{'  ' * depth[step]}{text}")
    return lines
