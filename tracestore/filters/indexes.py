"""The indexes of the file, and what they hand out: the ids of traces, in the order of time where they can.

A *scan* is one range of one index. An index whose columns are all given as equal is in the order of ids, which is
the order of time; a range of it is so only after sorting. A *stream* is one scan, several merged, or what several
have in common. Knows the names of tables and columns, but neither SQL statements nor a connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tracestore.filters import ast
from tracestore.filters.fields import Source
from tracestore.filters.sql import Bindable
from tracestore.filters.values import MAX_INTEGER, MIN_INTEGER
from tracestore.storage.schema import SPANS_PER_BLOCK

#: The most index ranges that one merge reads side by side.
MAX_LEGS = 64

#: The most different values that a range of an index is taken apart into, each of them in the order of ids.
MAX_VALUES = 32


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
        has_nulls: Whether its last column may be NULL; what can't be is never asked for, see `leaves`.
        patience: How many times as many entries as of others are sorted rather than all traces looked at.
        written: The column that says the order of writing, which is nearly that of time; of an index that has it.
    """

    table: str
    columns: tuple[str, ...]
    trace: str = "trace"
    where: str = ""
    is_primary: bool = False
    is_unique: bool = False
    patience: int = 1
    has_nulls: bool = False
    written: str = ""


INDEXES = {
    "traces_trace_id": Index("traces", ("trace_id",), "id", is_unique=True),
    "traces_experiment": Index("traces", ("experiment",), "id", is_unique=True),
    "traces_resource": Index("traces", ("resource",), "id", is_unique=True),
    "traces_name": Index("traces", ("name",), "id", is_unique=True, has_nulls=True),
    "traces_status": Index("traces", ("status",), "id", is_unique=True),
    "traces_duration": Index("traces", ("duration_ms",), "id", is_unique=True, has_nulls=True),
    "traces_client_request_id": Index("traces", ("client_request_id",), "id", "client_request_id IS NOT NULL", is_unique=True),
    "tags_value": Index("tags", ("key", "value"), is_unique=True),
    "metadata_value": Index("metadata", ("key", "value"), is_unique=True),
    "spans_name": Index("spans", ("name",)),
    "spans_type": Index("spans", ("type",), has_nulls=True),
    "spans_status": Index("spans", ("status",)),
    "spans_model": Index("spans", ("model",), where="model IS NOT NULL"),
    "spans_error": Index("spans", (), where="error IS NOT NULL"),
    "span_attributes": Index("span_attributes", ("key", "value"), is_primary=True),
    "assessments_scalar": Index("assessments", ("name", "scalar"), has_nulls=True),
    # The text index, in the order of writing; to look at a trace's text costs more than to sort ten ids.
    "span_text": Index(
        "span_text AS f CROSS JOIN spans AS s NOT INDEXED ON s.id"
        f" BETWEEN f.rowid * {SPANS_PER_BLOCK} AND f.rowid * {SPANS_PER_BLOCK} + {SPANS_PER_BLOCK - 1}",
        ("f.span_text", "f.rowid"), "s.trace", is_primary=True, patience=10, written="f.rowid",
    ),
    "traces_time": Index("traces NOT INDEXED", ("id",), "id", is_primary=True, is_unique=True),
    "spans_written": Index("spans NOT INDEXED", ("id",), is_primary=True, patience=5, written="id"),
}  # fmt: skip

#: Index by source and column, where equality on the column is all it takes.
COLUMN_INDEXES = {
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
    "client_request_id": "traces_client_request_id",
}

#: Columns of traces that `traces_figures` has besides the id, which comes first, in a twentieth of the table's pages.
FIGURE_COLUMNS = frozenset(
    {"status", "duration_ms"}
    | {f"{part}_tokens" for part in ("input", "output", "total", "cache_read", "cache_creation")}
    | {f"{part}_cost" for part in ("input", "output", "total")}
)

KEYED_INDEXES = {Source.TAGS: "tags_value", Source.METADATA: "metadata_value"}

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
        found: The traces themselves, where a probe has read them all; then nobody reads the index again.
    """

    index: str
    equal: tuple[object, ...] = ()
    bounds: tuple[Bound, ...] = ()
    is_exact: bool = False
    found: tuple[int, ...] | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether the index itself is in the order of ids."""
        index = INDEXES[self.index]
        return len(self.equal) == len(index.columns) or index.columns == (index.trace,)

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole of an index that has every trace, which is no help as it is."""
        return not self.equal and not self.bounds and not self.is_ordered

    @property
    def has_values(self) -> bool:
        """Whether it is a range of values, each of which is in the order of ids."""
        open_columns = len(INDEXES[self.index].columns) - len(self.equal)
        in_list = any(comparator == "IN" for comparator, _ in self.bounds)
        return (
            open_columns == 1 and not self.is_ordered and not in_list and self.index != "span_text"
        )

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


@dataclass(frozen=True)
class Meet:
    """What several ranges have in common, in the order of ids, of indexes that are in that order.

    Attributes:
        legs: The ranges, each of them ordered.
        of_spans: Whether one span is in all of them, which are of indexes on spans; else only the trace is.
        is_exact: Whether it hands out exactly the traces that meet the conditions of all.
    """

    legs: tuple[Scan, ...]
    of_spans: bool = False
    is_exact: bool = False


Stream: TypeAlias = "Scan | Merge | Meet"


def can_meet(scan: Scan, *, of_spans: bool = False) -> bool:
    """Return whether the scan can be a leg of a `Meet`; with `of_spans` whether it says each span, too."""
    index = INDEXES[scan.index]
    is_ordered = scan.is_ordered and scan.found is None and index.columns != (index.trace,)
    return is_ordered and (not of_spans or (scan.is_exact and index.table == "spans"))


#: Hands out every trace.
ALL = Scan("traces_time", (), ((">=", MIN_INTEGER), ("<=", MAX_INTEGER)), is_exact=True)

#: Hands out nothing.
NOTHING = Scan("traces_time", (), ((">=", 1), ("<=", 0)), is_exact=True)


@dataclass(frozen=True)
class Measure:
    """What a probe found: how many traces, as far as it looked or as it projects.

    Attributes:
        rows: Entries of the index.
        is_complete: Whether all were counted; else `rows` is a projection.
        found: The traces, ascending, where they were few and had to be sorted anyway.
    """

    rows: float
    is_complete: bool
    found: tuple[int, ...] | None = None


class Probe(Protocol):
    """Looks into the file while a plan is made."""

    def measure(self, scan: Scan, share: int = 1) -> Measure:
        """Return how many entries the scan has; stops early, the earlier the more scans share the effort."""
        ...

    def values(self, scan: Scan, test: ast.Node | None) -> tuple[Bindable, ...] | None:
        """Return the different values in a range of an index (NULL is one), None where there are too many.

        Args:
            scan: A range, see `Scan.has_values`.
            test: Only values that meet it: a leaf, or NOT of one, of the field that the index is of.
        """
        ...

    def ids(self, leaf: ast.Leaf) -> tuple[int, int] | None:
        """Return the range of ids that a condition on the start of a trace means, if it is one."""
        ...

    def indexed_to(self) -> int:
        """Return the id of a span below which all are in the text index; 0 where there is none."""
        ...

    def resources(self, leaf: ast.Leaf) -> tuple[int, ...]:
        """Return the ids of the resources that meet a condition."""
        ...
