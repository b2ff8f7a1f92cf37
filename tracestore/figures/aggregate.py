"""Reading rows into groups, and groups into an answer: the whole of `metrics`.

Columns of the matching rows are read once, some thousand rows at a time, and collected by group; every figure is
computed from its group's whole columns, so percentiles are exact. Knows a connection, no store and no threads.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracestore.answers import Answer, Column
from tracestore.errors import InvalidArgumentError
from tracestore.figures import columns, groups, indexed, models, quantities, summaries
from tracestore.figures.calendar import Calendar, zone_of
from tracestore.figures.groups import Group, natural
from tracestore.figures.moments import instant_ms
from tracestore.figures.quantities import Quantity
from tracestore.figures.tally import Key, Tally
from tracestore.filters import ast, sql
from tracestore.filters.sql import Fragment, build
from tracestore.search import Query, Selection, select

DEFAULT_METRICS = ("count", "error_rate", "p50", "p95", "tokens_total", "cost")

#: Rows that an answer may have.
MAX_ROWS = 1_000_000

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Request:
    """What is asked; see `Store.metrics` for what each means."""

    metrics: Sequence[str] | str | None = None
    filter_string: str | None = None
    group_by: Sequence[str] | str | None = None
    every: str | None = None
    zone: dt.tzinfo | str | None = None
    start: dt.datetime | str | int | None = None
    end: dt.datetime | str | int | None = None
    experiments: tuple[int, ...] | None = None
    order_by: str | None = None
    max_results: int | None = None
    also: tuple[ast.Node, ...] = ()


def measure(
    connection: sqlite3.Connection, request: Request, progress: Progress | None = None
) -> Answer:
    """Return the figures that are asked for; arguments and errors as `read`."""
    return read(connection, request, progress).answer()


def read(
    connection: sqlite3.Connection, request: Request, progress: Progress | None = None
) -> Measured:
    """Return what was read for a request.

    Args:
        connection: To a store's file, with `filters.register` done.
        request: What is asked.
        progress: Called with the number of rows read, every few thousand.

    Raises:
        InvalidArgumentError: A metric, group, bucket or moment can't be read.
        FilterSyntaxError: The filter can't be read.
        QueryTimeoutError: Regular expressions took too long.
    """
    measured = Measured.of(request)
    query = Query(
        request.filter_string, None, request.experiments, (*request.also, *measured.time_limits())
    )
    selection = select(connection, query)
    if selection is not None:
        measured.tallies = list(measured.read(selection, progress or _ignore))
    return measured


def _ignore(_rows: int) -> None:
    pass


@dataclass
class Measured:
    """A request, parsed, and what was read for it."""

    request: Request
    quantities: tuple[Quantity, ...]
    groups: tuple[Group, ...]
    calendar: Calendar | None
    start_ms: int | None
    end_ms: int | None
    #: By quantity: which tally it is computed from, and the places of its columns there.
    places: dict[Quantity, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    tallies: list[Tally] = field(default_factory=list)
    _ordered: dict[tuple[Key, int, tuple[int, ...]], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request) -> Measured:
        """Return a request, parsed."""
        texts = request.metrics
        texts = [texts] if isinstance(texts, str) else list(texts or DEFAULT_METRICS)
        asked = tuple(dict.fromkeys(map(quantities.parse, texts)))
        parsed = groups.parse(request.group_by)
        clash = {q.label for q in asked} & {g.label for g in parsed}
        if clash:
            raise InvalidArgumentError(f"{clash.pop()!r} is in metrics and in group_by")
        zone = zone_of(request.zone)
        calendar = None if request.every is None else Calendar(request.every, zone)
        start_ms, end_ms = instant_ms(request.start, "start"), instant_ms(request.end, "end")
        return cls(request, asked, parsed, calendar, start_ms, end_ms)

    @property
    def of_spans(self) -> bool:
        """Whether a row is a span, not a trace."""
        return any(group.is_of_span for group in self.groups)

    def time_limits(self) -> tuple[ast.Node, ...]:
        """Return the conditions that `start` and `end` are; the end is not included."""
        reference = ast.Reference(None, "timestamp_ms")
        limits = ((">=", self.start_ms), ("<", self.end_ms))
        return tuple(
            ast.Comparison(reference, operator, ast.Number(limit))
            for operator, limit in limits
            if limit is not None
        )

    # -------------------------------------------------------------------------------- reading

    def read(self, selection: Selection, progress: Progress) -> Iterator[Tally]:
        """Yield the tally of rows, and the one of models where tokens by model are asked for."""
        by_model = self._by_model()
        rest = [quantity for quantity in self.quantities if quantity not in by_model]
        needed = self._place(0, rest, selection)
        yield self._read_rows(selection, needed, progress) if rest else Tally()
        if by_model:
            needed = self._place(1, by_model, selection)
            tally = Tally(values=[[] for _ in needed])
            models.read(selection, tally, self._key_columns(), needed, progress)
            yield tally

    def _by_model(self) -> list[Quantity]:
        """Return the quantities that belong to models and not to spans."""
        labels = [group.found.column for group in self.groups if group.is_of_span]
        if labels != ["model"]:
            return []
        return [q for q in self.quantities if q.is_of_usage and q.condition is None]

    def _place(
        self, tally: int, asked: Sequence[Quantity], selection: Selection
    ) -> list[columns.Column]:
        """Return the columns that quantities need, each once, and note where they are."""
        needed: dict[Fragment, int] = {}
        found: list[columns.Column] = []
        for quantity in asked:
            of_spans = self.of_spans and tally == 0
            places = []
            for column in columns.of_quantity(quantity, selection.moment, spans=of_spans):
                if column.read is not None or column.sql not in needed:
                    needed[column.sql] = len(found)
                    found.append(column)
                places.append(needed[column.sql])
            self.places[quantity] = (tally, tuple(places))
        return found

    def _key_columns(self) -> list[columns.Column]:
        bucket = [] if self.calendar is None else [columns.Column(columns.TIME, self.calendar.start_of)]  # fmt: skip
        return [*bucket, *(columns.of_group(group) for group in self.groups)]

    def _read_rows(
        self, selection: Selection, needed: list[columns.Column], progress: Progress
    ) -> Tally:
        tally = Tally(values=[[] for _ in needed])
        keys = self._key_columns()
        if not self.of_spans:
            groups = indexed.read_groups(selection, keys, needed)
            if groups is not None:
                for key, count, cells in groups:
                    tally.extend(key, count, needed, cells)
                return tally
            found = indexed.read(selection, [c.sql for c in (*keys, *needed)])
            if found is not None:
                tally.take(keys, needed, found)
                return tally
        source = columns.source_of(selection, [c.sql for c in (*keys, *needed)])
        if self.of_spans:
            source = build(
                "{} CROSS JOIN spans AS s0 INDEXED BY spans_trace ON s0.trace = t.id", source
            )
        wanted = [c.sql for c in (*keys, *needed)] or [Fragment("1")]
        statement = build("SELECT {} FROM {} WHERE {}", sql.comma(wanted), source, selection.where)
        read = 0
        for rows in selection.chunks(statement):
            tally.take(keys, needed, list(zip(*rows, strict=True)))
            read += len(rows)
            progress(read)
        return tally

    # -------------------------------------------------------------------------------- answering

    def answer(self) -> Answer:
        """Return the rows: every group, in every bucket."""
        rows = [
            (*self._shown(key), *(self.figure_of(quantity, key) for quantity in self.quantities))
            for key in self.keys()
        ]
        head = [Column("time", "time", is_key=True)] if self.calendar else []
        head += [Column(group.label, "", is_key=True) for group in self.groups]
        head += [Column(quantity.label, quantity.unit) for quantity in self.quantities]
        answer = Answer(head, rows, self.title)
        return _ordered(answer, self.request.order_by, self.request.max_results)

    @property
    def title(self) -> str:
        """What was asked, in words."""
        of = f" of {self.request.filter_string.strip()}" if self.request.filter_string else ""
        by = [group.label for group in self.groups]
        by += [f"every {self.request.every}"] if self.request.every else []
        unit = "spans" if self.of_spans else "traces"
        return f"{unit}{of}{' by ' + ', '.join(by) if by else ''}"

    def keys(self) -> list[Key]:
        """Return the key of every row, in order: the bucket's start if there are buckets, then the groups'."""
        found = list(dict.fromkeys(key for tally in self.tallies for key in tally.codes))
        if self.calendar is None:
            if not self.groups:
                return [()]
            return sorted(found, key=lambda key: [natural(part) for part in key])
        starts = self._buckets([key[0] for key in found])
        of_groups: list[Key] = [()]
        if self.groups:
            of_groups = list(dict.fromkeys(key[1:] for key in found))
        of_groups.sort(key=lambda key: [natural(part) for part in key])
        if len(starts) * len(of_groups) > MAX_ROWS:
            raise InvalidArgumentError(
                f"{len(starts):,} buckets of {len(of_groups):,} groups are more than {MAX_ROWS:,} rows:"
                " take longer buckets or fewer groups"
            )
        return [(start, *key) for start in starts for key in of_groups]

    def _buckets(self, found: list[int]) -> list[int]:
        """Return the start of every bucket, from `start` or the first trace to `end` or the last one."""
        if self.calendar is None:
            return []
        first = self.start_ms if self.start_ms is not None else min(found, default=None)
        last = self.end_ms - 1 if self.end_ms is not None else max(found, default=None)
        known = [limit for limit in (first, last) if limit is not None]
        return self.calendar.between(known[0], max(known)) if known else []

    def _shown(self, key: Key) -> Key:
        if self.calendar is None:
            return key
        return (self.calendar.moment(key[0]), *key[1:])

    def figure_of(self, quantity: Quantity, key: Key) -> Any:
        """Return one figure of one group."""
        counted, cells = self._cells(quantity, key)
        if quantity.function == "percentile":
            return summaries.percentile(self.numbers_of(quantity, key), quantity.percent)
        if quantity.function == "throughput":
            at, places = self.places.get(quantity, (0, ()))
            return self._throughput(
                counted, key, self.tallies[at].values[places[0]] if places else []
            )
        return figure(quantity, counted, cells)

    def numbers_of(self, quantity: Quantity, key: Key) -> list[float]:
        """Return the numbers that a figure is of, ascending."""
        known = (key, *self.places.get(quantity, (0, ())))
        if known not in self._ordered:
            numbers = _numbers(quantity, self._cells(quantity, key)[1])
            self._ordered[known] = summaries.ascending(numbers)
        return self._ordered[known]

    def share_of(self, quantity: Quantity, key: Key) -> tuple[int, int]:
        """Return how many there are that count, and of how many, of a figure that is a share."""
        counted, cells = self._cells(quantity, key)
        return share_counts(quantity, counted, cells)

    def _cells(self, quantity: Quantity, key: Key) -> tuple[int, list[list[Any]]]:
        """Return the number of rows of a group, and the cells of the columns that a figure needs."""
        at, places = self.places.get(quantity, (0, ()))
        tally = self.tallies[at] if at < len(self.tallies) else Tally()
        code = tally.codes.get(key)
        if code is None:
            return 0, []
        return tally.counted[code], [tally.values[place][code] for place in places]

    def _throughput(
        self, counted: int, key: Key, times_ms: Sequence[Sequence[int]]
    ) -> float | None:
        if self.calendar is not None:
            length_ms = self.calendar.after(key[0]) - key[0]
        else:
            seen = [edge(times) for times in times_ms if times for edge in (min, max)]
            first = self.start_ms if self.start_ms is not None else min(seen, default=0)
            last = self.end_ms if self.end_ms is not None else max(seen, default=0)
            length_ms = last - first
        return counted / (length_ms / 60_000) if length_ms > 0 else None


def figure(quantity: Quantity, counted: int, cells: Sequence[Sequence[Any]]) -> Any:
    """Return one figure of one group, of the cells of its columns."""
    function = quantity.function
    if function in {"error_rate", "share", "agreement"}:
        some, of = share_counts(quantity, counted, cells)
        return some / of if of else None
    if function == "count":
        return counted if quantity.condition is None else sum(map(bool, cells[-1] if cells else ()))
    if function == "errors":
        return len(cells[0]) if cells else 0  # only failures were kept
    values = _flat(quantity, _kept(quantity, cells))
    if function == "distinct":
        return len(set(map(json.dumps, values)))
    if function == "counts":
        return summaries.counts(values, category)
    return _OF_NUMBERS[function](_numbers_of(quantity, values))


def share_counts(
    quantity: Quantity, counted: int, cells: Sequence[Sequence[Any]]
) -> tuple[int, int]:
    """Return how many count and of how many, of "error_rate", "share" or "agreement"."""
    if quantity.function == "error_rate":
        return (len(cells[0]) if cells else 0), counted
    if quantity.field is None:
        return sum(map(bool, cells[-1] if cells else ())), counted
    kept = _kept(quantity, cells)
    if quantity.function == "agreement":
        return _agreement(quantity, kept)
    booleans = [value for value in _flat(quantity, kept) if isinstance(value, bool)]
    return sum(booleans), len(booleans)


def category(value: Any) -> str:
    """Return the text by which a value is counted: a text as itself, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


_OF_NUMBERS: dict[str, Callable[[list[float]], Any]] = {
    "sum": summaries.total,
    "mean": summaries.mean,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
}


def _numbers(quantity: Quantity, cells: Sequence[Sequence[Any]]) -> list[float]:
    return _numbers_of(quantity, _flat(quantity, _kept(quantity, cells)))


def _numbers_of(quantity: Quantity, values: list[Any]) -> list[float]:
    """Return the numbers among values; what is kept in a column of numbers is one."""
    return summaries.numbers(values) if quantity.is_of_assessments else values


def _kept(quantity: Quantity, cells: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """Return the cells of rows that meet the quantity's condition, without the condition itself."""
    if quantity.condition is None or not cells:
        return cells
    *values, passed = cells
    return [
        [value for value, holds in zip(column, passed, strict=True) if holds] for column in values
    ]


def _flat(quantity: Quantity, cells: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the values there are, each of those that one row has."""
    if not cells:
        return []
    if quantity.is_of_assessments:
        return [value for values in cells[0] for value in values if value is not None]
    if None not in cells[0] and isinstance(cells[0], list):
        return cells[0]
    return [value for value in cells[0] if value is not None]


def _agreement(quantity: Quantity, cells: Sequence[Sequence[Any]]) -> tuple[int, int]:
    """Return how many rows agree, of those with an expectation and something to compare it with."""
    if not cells or quantity.field is None:
        return 0, 0
    name, is_response = quantity.field.key, quantity.field.entity == "expectation"
    agreeing = []
    for expected, given in zip(*cells, strict=True):
        answers = [given] if is_response else given
        if expected and answers:
            agreeing.append(
                any(summaries.agrees(wish, each, name) for wish in expected for each in answers)
            )
    return sum(agreeing), len(agreeing)


def _ordered(answer: Answer, order_by: str | None, max_results: int | None) -> Answer:
    """Return the answer in another order and with its first rows only."""
    if order_by is None and max_results is None:
        return answer
    rows = answer.tuples()
    if order_by is not None:
        name, _, direction = order_by.strip().rpartition(" ")
        if direction.upper() not in {"ASC", "DESC"}:
            name, direction = order_by.strip(), "ASC"
        answer[name]  # InvalidArgumentError where there is no such column
        place, descending = answer.names.index(name), direction.upper() == "DESC"
        present = [row for row in rows if row[place] is not None]
        present.sort(key=lambda row: natural(row[place]), reverse=descending)
        rows = present + [row for row in rows if row[place] is None]
    kept = rows if max_results is None else rows[: max(0, max_results)]
    left_out = len(rows) - len(kept)
    notes = (f"{left_out:,} more groups are left out",) if left_out else ()
    return Answer(answer.columns, kept, answer.title, (*answer.notes, *notes))
