"""Which index drives a search: candidates from the conditions, the rarest chosen by probing.

A *stream* hands out the ids of all traces that meet a condition, and maybe some that don't, in the order of
ids, which is the order of time. An index whose leading columns are given as equal is such a stream for free;
a range of an index is one after sorting, so only while it is small. Streams of OR are merged, of an AND one
suffices: the other conditions are checked on each trace it hands out. So the first hundred results cost what
the rarest condition costs, and nothing is trusted to SQLite's guesses, which know no counts.

Knows the indexes of the file but neither SQL nor a connection: who calls `choose` measures.
Invariant: a stream misses no trace that meets its condition.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from tracestore.encoding import bindable
from tracestore.filters import ast, fields, patterns, values
from tracestore.filters.fields import Source
from tracestore.storage.schema import (
    ID_BITS,
    SCALAR_LENGTH,
    SPANS_PER_BLOCK,
    UNINDEXED_ATTRIBUTES,
)

#: The most index ranges that one merge reads side by side.
MAX_LEGS = 64

#: The range of milliseconds whose ids fit into 64 bits.
MAX_MS = 2 ** (63 - ID_BITS) - 1
MIN_MS = -(2 ** (63 - ID_BITS))


@dataclass(frozen=True)
class Index:
    """An index of the file.

    Attributes:
        table: Its table.
        columns: What it is ordered by, before the trace.
        trace: The column that is the trace's id.
        where: Condition of a partial index.
        is_primary: Whether it is the table's primary key, which SQL can't name.
        is_unique: Whether equal `columns[0]` hands out a trace at most once.
        patience: How many times as many entries as of others are sorted rather than all traces looked at.
    """

    table: str
    columns: tuple[str, ...]
    trace: str = "trace"
    where: str = ""
    is_primary: bool = False
    is_unique: bool = False
    patience: int = 1


INDEXES = {
    "traces_trace_id": Index("traces", ("trace_id",), "id", is_unique=True),
    "traces_experiment": Index("traces", ("experiment",), "id", is_unique=True),
    "traces_resource": Index("traces", ("resource",), "id", is_unique=True),
    "traces_name": Index("traces", ("name",), "id", is_unique=True),
    "traces_status": Index("traces", ("status",), "id", is_unique=True),
    "traces_duration": Index("traces", ("duration_ms",), "id", is_unique=True),
    "traces_client_request_id": Index("traces", ("client_request_id",), "id", "client_request_id IS NOT NULL", is_unique=True),
    "tags_value": Index("tags", ("key", "value"), is_unique=True),
    "metadata_value": Index("metadata", ("key", "value"), is_unique=True),
    "spans_name": Index("spans", ("name",)),
    "spans_type": Index("spans", ("type",)),
    "spans_status": Index("spans", ("status",)),
    "spans_model": Index("spans", ("model",), where="model IS NOT NULL"),
    "spans_error": Index("spans", (), where="error IS NOT NULL"),
    "span_attributes": Index("span_attributes", ("key", "value"), is_primary=True),
    "assessments_scalar": Index("assessments", ("name", "scalar")),
    # The text index, in the order of writing; to look at a trace's text costs more than to sort ten ids.
    "span_text": Index(
        "span_text AS f CROSS JOIN spans AS s NOT INDEXED ON s.id"
        f" BETWEEN f.rowid * {SPANS_PER_BLOCK} AND f.rowid * {SPANS_PER_BLOCK} + {SPANS_PER_BLOCK - 1}",
        ("f.span_text", "f.rowid"), "s.trace", is_primary=True, patience=10,
    ),
    "spans_written": Index("spans NOT INDEXED", ("id",), is_primary=True, patience=5),
}  # fmt: skip

#: Index by source and column, where equality on the column is all it takes.
_COLUMN_INDEXES = {
    (Source.TRACE, "trace_id"): "traces_trace_id",
    (Source.TRACE, "name"): "traces_name",
    (Source.TRACE, "status"): "traces_status",
    (Source.TRACE, "client_request_id"): "traces_client_request_id",
    (Source.SPAN, "name"): "spans_name",
    (Source.SPAN, "type"): "spans_type",
    (Source.SPAN, "status"): "spans_status",
    (Source.SPAN, "model"): "spans_model",
}

#: Indexes that an order can walk.
ORDER_INDEXES = {
    "trace_id": "traces_trace_id",
    "name": "traces_name",
    "status": "traces_status",
    "duration_ms": "traces_duration",
    "experiment": "traces_experiment",
}

_KEYED_INDEXES = {Source.TAGS: "tags_value", Source.METADATA: "metadata_value"}

#: A bound of an index range: comparator, and a value or for IN a tuple of them.
Bound: TypeAlias = "tuple[str, object]"


@dataclass(frozen=True)
class Scan:
    """One range of one index.

    Attributes:
        index: A key of INDEXES.
        equal: Values of its leading columns.
        bounds: Limits of the column that follows.
        is_exact: Whether it hands out exactly the traces that meet the condition.
    """

    index: str
    equal: tuple[object, ...] = ()
    bounds: tuple[Bound, ...] = ()
    is_exact: bool = False

    @property
    def is_ordered(self) -> bool:
        """Whether the index itself is in the order of ids."""
        return len(self.equal) == len(INDEXES[self.index].columns)

    @property
    def legs(self) -> tuple[Scan, ...]:
        """The scans it consists of."""
        return (self,)


@dataclass(frozen=True)
class Merge:
    """Several scans, each trace once."""

    legs: tuple[Scan, ...]

    @property
    def is_exact(self) -> bool:
        """Whether it hands out exactly the traces that meet the condition."""
        return all(leg.is_exact for leg in self.legs)


Stream: TypeAlias = "Scan | Merge"


@dataclass(frozen=True)
class Measure:
    """What a probe found: how many traces, as far as it looked or as it projects.

    Attributes:
        rows: Entries of the index.
        is_complete: Whether all were counted; else `rows` is a projection.
    """

    rows: float
    is_complete: bool


class Probe(Protocol):
    """Looks into the file while a plan is made."""

    def measure(self, scan: Scan) -> Measure:
        """Return how many entries the scan has; stops early."""
        ...

    def indexed_to(self) -> int:
        """Return the id of a span below which all are in the text index; 0 where there is none."""
        ...

    def resources(self, leaf: ast.Leaf) -> tuple[int, ...]:
        """Return the ids of the resources that meet a condition."""
        ...


@dataclass(frozen=True)
class Choice:
    """A stream that can drive, and what it costs."""

    stream: Stream
    measure: Measure


@dataclass(frozen=True)
class Considered:
    """A condition, and the stream it could drive with."""

    condition: ast.Node
    choice: Choice | None


@dataclass(frozen=True)
class Plan:
    """How a search goes.

    Attributes:
        driver: What hands out the traces to look at; None: all traces, in the order of ids.
        checks: What remains to be checked on each.
        low: Lowest id that can match.
        high: Highest id that can match.
        considered: For `explain`.
    """

    driver: Choice | None
    checks: tuple[ast.Node, ...]
    low: int
    high: int
    considered: tuple[Considered, ...]


def id_range(node: ast.Node, now_ns: int) -> tuple[int, int] | None:
    """Return the ids (ends included, low > high where none) that a comparison of `timestamp_ms` means.

    None where the condition is no such comparison, or not one single range.
    """
    if isinstance(node, ast.Between) and not node.negated:
        parts = [
            ast.Comparison(node.field, ">=", node.low),
            ast.Comparison(node.field, "<=", node.high),
        ]
    elif isinstance(node, ast.Comparison):
        parts = [node]
    else:
        return None
    if node.field != ast.Reference(None, "timestamp_ms"):
        return None
    field = fields.find(node.field).field
    low, high = MIN_MS, MAX_MS
    for part in parts:
        intervals = values.intervals(field, part.operator, part.value, now_ns)
        if len(intervals) > 1:
            return None
        clamped = values.clamp(intervals[0], low, high) if intervals else None
        low, high = clamped or (0, -1)
    return low << ID_BITS, (high + 1 << ID_BITS) - 1


def split_time(terms: Iterable[ast.Node], now_ns: int) -> tuple[tuple[ast.Node, ...], int, int]:
    """Return the terms that are no time range, and the range of ids that the others leave."""
    rest = []
    low, high = MIN_MS << ID_BITS, values.MAX_INTEGER
    for term in terms:
        limits = id_range(term, now_ns)
        if limits is None:
            rest.append(term)
        else:
            low, high = max(low, limits[0]), min(high, limits[1])
    return tuple(rest), low, high


def make(
    terms: tuple[ast.Node, ...], low: int, high: int, probe: Probe, *, in_id_order: bool
) -> Plan:
    """Return the plan for the AND of `terms`.

    Args:
        terms: Normalised conditions.
        low: Lowest id to look at.
        high: Highest id to look at.
        probe: Measures within `low` and `high`.
        in_id_order: Whether the first results by id are wanted, and not all of them.
    """
    considered = tuple(
        Considered(term, choose(term, probe, in_id_order=in_id_order)) for term in terms
    )
    driving = min(
        (item for item in considered if item.choice is not None),
        key=lambda item: item.choice.measure.rows if item.choice else 0,
        default=None,
    )
    driver = driving.choice if driving else None
    is_done = driver is not None and driver.stream.is_exact
    checks = tuple(item.condition for item in considered if not (is_done and item is driving))
    return Plan(driver, checks, low, high, considered)


def choose(node: ast.Node, probe: Probe, *, in_id_order: bool) -> Choice | None:
    """Return the cheapest stream of all traces that meet `node`, None where no index helps."""
    if isinstance(node, ast.And):
        choices = [choose(operand, probe, in_id_order=in_id_order) for operand in node.operands]
        best = min(
            (c for c in choices if c is not None), key=lambda c: c.measure.rows, default=None
        )
        return best and _inexact(best)
    if isinstance(node, ast.Or):
        return _merge(choose(operand, probe, in_id_order=in_id_order) for operand in node.operands)
    if isinstance(node, ast.SpanTest):
        some = node.quantifier == "any_span"
        return choose(node.condition, probe, in_id_order=in_id_order) if some else None
    if isinstance(node, ast.Related):
        inner = choose(node.condition, probe, in_id_order=in_id_order)
        return inner and _inexact(inner)
    if isinstance(node, ast.Aggregate):
        if node.condition is None or not _needs_span(node):
            return None
        inner = choose(node.condition, probe, in_id_order=in_id_order)
        return inner and _inexact(inner)
    if isinstance(node, ast.Not):
        return None
    return _merge(_measured(scan, probe, in_id_order=in_id_order) for scan in _scans(node, probe))


def _needs_span(node: ast.Aggregate) -> bool:
    """Return whether the aggregate is false for a trace without a span that meets its condition."""
    return node.field is not None or (
        (node.operator == ">" and values.number(node.value) >= 0)
        or (node.operator in {">=", "="} and values.number(node.value) > 0)
    )


def reads_row(node: ast.Node) -> bool:
    """Return whether checking `node` reads the trace's own row, and not only tables that its id leads to."""
    if isinstance(node, (ast.And, ast.Or)):
        return any(map(reads_row, node.operands))
    if isinstance(node, ast.Not):
        return reads_row(node.operand)
    if isinstance(node, (ast.SpanTest, ast.Related, ast.Aggregate)):
        return False
    found = fields.find(node.field)
    by_id = found.column in {"start", "span_count"}
    return found.field.source is Source.RESOURCE or (
        found.field.source is Source.TRACE and not by_id
    )


def _measured(scan: Scan, probe: Probe, *, in_id_order: bool) -> Choice | None:
    measure = probe.measure(scan)
    if scan.is_ordered or measure.is_complete:
        return Choice(scan, measure)
    # Too many to sort while only the first are wanted; if all are, still better than to look at every trace.
    return None if in_id_order else Choice(scan, Measure(sys.float_info.max, is_complete=False))


def _merge(choices: Iterable[Choice | None]) -> Choice | None:
    """Return the union of all choices; None if one is missing, or if there are none or too many."""
    legs: dict[Scan, None] = {}
    rows = 0.0
    is_complete = True
    for choice in choices:
        if choice is None:
            return None
        legs.update(dict.fromkeys(choice.stream.legs))
        rows += choice.measure.rows
        is_complete = is_complete and choice.measure.is_complete
    if not 0 < len(legs) <= MAX_LEGS:
        return None
    stream: Stream = next(iter(legs)) if len(legs) == 1 else Merge(tuple(legs))
    return Choice(stream, Measure(rows, is_complete))


def _inexact(choice: Choice) -> Choice:
    legs = tuple(replace(leg, is_exact=False) for leg in choice.stream.legs)
    return Choice(legs[0] if len(legs) == 1 else Merge(legs), choice.measure)


def _scans(leaf: ast.Leaf, probe: Probe) -> tuple[Scan, ...]:
    """Return the index ranges that together hold every trace that meets `leaf`; none where no index helps."""
    found = fields.find(leaf.field)
    source, column, key = found.field.source, found.column, found.key
    if isinstance(leaf, ast.NullTest) and not leaf.negated:
        return ()
    if source is Source.RESOURCE:
        none = (None,)  # equal to nothing
        return tuple(
            Scan("traces_resource", (resource,), is_exact=True)
            for resource in probe.resources(leaf) or none
        )
    if source is Source.TRACE and column == "experiment":
        return _experiment_scans(leaf)
    if source is Source.TRACE and column == "duration_ms":
        return _duration_scans(leaf)
    if (source, column) in _COLUMN_INDEXES:
        return _text_scans(_COLUMN_INDEXES[source, column], (), leaf)
    if source in _KEYED_INDEXES and key is not None:
        return _text_scans(_KEYED_INDEXES[source], (key,), leaf)
    if source is Source.ASSESSMENT and key is not None:
        return _assessment_scans(leaf, key)
    if source is Source.PROMPT and key is not None:
        return tuple(Scan(index, (key,)) for index in _KEYED_INDEXES.values())
    if source is Source.SPAN:
        return (
            _content_scans(leaf, probe) if column == "content" else _span_scans(leaf, column, key)
        )
    return ()


def _text_scans(index: str, equal: tuple[object, ...], leaf: ast.Leaf) -> tuple[Scan, ...]:
    """Return ranges of an index on text; without `equal` the whole index is no help."""
    bounds = _text_bounds(leaf)
    if bounds is not None:
        return tuple(_scan_of_bound(index, equal, bound) for bound in bounds)
    if isinstance(leaf, ast.Match) and leaf.operator == "LIKE" and not leaf.negated:
        prefix = patterns.prefix_of(leaf.pattern.value)
        if prefix and "\0" not in prefix:
            return (Scan(index, equal, _prefix_bounds(prefix)),)
    is_present = isinstance(leaf, ast.NullTest)
    return (Scan(index, equal, is_exact=is_present),) if equal else ()


def _scan_of_bound(index: str, equal: tuple[object, ...], bound: Bound) -> Scan:
    comparator, value = bound
    if comparator == "=":
        return Scan(index, (*equal, value), is_exact=True)
    return Scan(index, equal, (bound,), is_exact=True)


def _text_bounds(leaf: ast.Leaf) -> tuple[Bound, ...] | None:
    """Return the bounds, one range for each, of a comparison with texts; None if it is none."""
    if isinstance(leaf, ast.Comparison) and isinstance(leaf.value, ast.Text):
        if leaf.operator == "!=":
            return (("<", leaf.value.value), (">", leaf.value.value))
        return ((leaf.operator, leaf.value.value),)
    if isinstance(leaf, ast.Membership) and not leaf.negated:
        texts = tuple(value.value for value in leaf.values if isinstance(value, ast.Text))
        if len(texts) == len(leaf.values):
            return (
                tuple(("=", text) for text in texts) if len(texts) <= MAX_LEGS else (("IN", texts),)
            )
    return None


def _prefix_bounds(prefix: str) -> tuple[Bound, ...]:
    """Return the range of texts that begin with `prefix`, or a little more."""
    last = ord(prefix[-1])
    if last + 1 > sys.maxunicode or 0xD7FF <= last <= 0xDFFF:
        return ((">=", prefix),)
    return ((">=", prefix), ("<", prefix[:-1] + chr(last + 1)))


def _experiment_scans(leaf: ast.Leaf) -> tuple[Scan, ...]:
    """Return ranges of `traces_experiment`, whose ids are numbers though the field is a text."""
    scans = []
    for comparator, value in _text_bounds(leaf) or (("", ""),):
        if comparator != "=" or not isinstance(value, str) or not is_experiment_id(value):
            return ()
        scans.append(Scan("traces_experiment", (int(value),), is_exact=True))
    return tuple(scans)


def is_experiment_id(text: str) -> bool:
    """Return whether an experiment can have this id: a number as SQLite writes it."""
    return text.isascii() and text.isdigit() and len(text) <= 18 and str(int(text)) == text


def _duration_scans(leaf: ast.Leaf) -> tuple[Scan, ...]:
    if not isinstance(leaf, ast.Comparison):
        parts = _between_parts(leaf)
        if len(parts) != 2:
            return ()
    else:
        parts = (leaf,)
    low, high = values.MIN_INTEGER, values.MAX_INTEGER
    field = fields.find(leaf.field).field
    for part in parts:
        intervals = values.intervals(field, part.operator, part.value, 0)
        if len(intervals) != 1:
            return ()
        clamped = values.clamp(intervals[0], low, high)
        if clamped is None:
            return ()
        low, high = clamped
    if low == high:
        return (Scan("traces_duration", (low,), is_exact=True),)
    return (Scan("traces_duration", (), ((">=", low), ("<=", high)), is_exact=True),)


def _between_parts(leaf: ast.Leaf) -> tuple[ast.Comparison, ...]:
    if not isinstance(leaf, ast.Between) or leaf.negated:
        return ()
    return (ast.Comparison(leaf.field, ">=", leaf.low), ast.Comparison(leaf.field, "<=", leaf.high))


def _span_scans(leaf: ast.Leaf, column: str, key: str | None) -> tuple[Scan, ...]:
    if column == "error":
        return (Scan("spans_error", is_exact=isinstance(leaf, ast.NullTest)),)
    if column != "attributes" or key is None or key.startswith(UNINDEXED_ATTRIBUTES):
        return ()
    return _scalar_scans("span_attributes", key, leaf, _attribute_scalars)


def _content_scans(leaf: ast.Leaf, probe: Probe) -> tuple[Scan, ...]:
    """Return the text index for a pattern with three characters in a row, and all that is newer than it."""
    if not isinstance(leaf, ast.Match) or leaf.negated or leaf.operator == "RLIKE":
        return ()
    trigrams = patterns.trigrams_of(leaf.pattern.value)
    indexed_to = probe.indexed_to() if trigrams else 0
    if not indexed_to:
        return ()
    wanted = " ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)
    return Scan("span_text", (wanted,)), Scan("spans_written", (), ((">=", indexed_to),))


def _assessment_scans(leaf: ast.Leaf, name: str) -> tuple[Scan, ...]:
    if (
        "." in name
    ):  # the beginning may be the name of an object; scalars within it are not in the index
        return tuple(Scan("assessments_scalar", (part,)) for part, _ in assessment_names(name))
    any_value = (Scan("assessments_scalar", (name,)),)
    if _may_equal_json(leaf):  # lists and objects are no scalars, and not in the index
        return any_value
    return _scalar_scans("assessments_scalar", name, leaf, _assessment_scalars) or any_value


def _may_equal_json(leaf: ast.Leaf) -> bool:
    """Return whether a text that the field is compared with may be the JSON of a list or an object."""
    wanted = leaf.values if isinstance(leaf, ast.Membership) else ()
    wanted = (leaf.value,) if isinstance(leaf, ast.Comparison) else wanted
    return any(isinstance(value, ast.Text) and value.value[:1] in {"[", "{"} for value in wanted)


def assessment_names(key: str) -> tuple[tuple[str, str | None], ...]:
    """Return what `feedback.<key>` may mean: each name, and the path into its value (None: the value itself)."""
    dots = [position for position, character in enumerate(key) if character == "."]
    return ((key, None), *((key[:dot], key[dot + 1 :]) for dot in dots))


def _scalar_scans(
    index: str, key: str, leaf: ast.Leaf, scalars: Callable[[ast.Value], tuple[object, ...]]
) -> tuple[Scan, ...]:
    """Return ranges of an index of (key, scalar)."""
    if isinstance(leaf, ast.Membership) and not leaf.negated:
        wanted = {scalar for value in leaf.values for scalar in scalars(value)}
        if len(wanted) > MAX_LEGS:
            return (Scan(index, (key,), (("IN", tuple(wanted)),)),)
        return tuple(Scan(index, (key, scalar)) for scalar in wanted)
    if isinstance(leaf, ast.Comparison) and leaf.operator == "=":
        return tuple(Scan(index, (key, scalar)) for scalar in scalars(leaf.value))
    parts = (leaf,) if isinstance(leaf, ast.Comparison) else _between_parts(leaf)
    if not parts or any(part.operator == "!=" for part in parts):
        return ()
    bounds = tuple(bound for part in parts for bound in _number_bounds(part))
    return (Scan(index, (key,), bounds),)


def _number_bounds(part: ast.Comparison) -> tuple[Bound, ...]:
    """Return bounds among the numbers of an index in which texts come after them; none for other values."""
    if not isinstance(part.value, ast.Number):
        return ()
    return ((part.operator, bindable(part.value.value)), ("<", ""))


def _attribute_scalars(value: ast.Value) -> tuple[object, ...]:
    if isinstance(value, ast.Text):
        return (value.value[:SCALAR_LENGTH],)
    if isinstance(value, ast.Truth):
        return (int(value.value),)
    return (bindable(value.value),) if isinstance(value, ast.Number) else ()


def _assessment_scalars(value: ast.Value) -> tuple[object, ...]:
    if isinstance(value, ast.Truth):
        return (str(value),)
    if not isinstance(value, ast.Text):
        return _attribute_scalars(value)
    spelled = values.read_number(value.value)
    text = value.value[:SCALAR_LENGTH]
    return (text,) if spelled is None else (text, spelled)
