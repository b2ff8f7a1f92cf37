"""How much of an index a scan would read, found by reading a little of it."""

from __future__ import annotations

import math

from tracestore.filters import ast, indexes, leaves, streams, times
from tracestore.filters.sql import Bindable, Fragment
from tracestore.search.reading import Reading

#: Entries of an index that a probe of a ready order reads.
PROBE_ROWS = 500

#: The same of each of many values of one index.
LEAST_PROBE_ROWS = 25

#: Entries of an index that are sorted rather than all traces looked at, times the index's `patience`.
SORTED_ROWS = 10_000

#: Entries of the text index that are sorted rather than the newest traces looked at: so many times all spans, and of that
#: the root, as the more there are the sooner a page is full. Measured at 40,000 and 400,000 spans, words of 1 to 100 %.
TEXT_ROWS = 4_000

#: Entries of an index whose traces a probe keeps, so that they are read once.
FOUND_ROWS = 1_000


class Prober:
    """Measures scans within a search's range of ids."""

    def __init__(self, reading: Reading, low: int, high: int, *, descending: bool) -> None:
        self._reading = reading
        self._descending = descending
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
        return times.id_range(leaf, self._reading.moment.now_ns)

    def resources(self, leaf: ast.Leaf) -> tuple[int, ...]:
        """Return the ids of the resources that meet a condition."""
        rows = self._reading.execute(leaves.resources(leaf, self._reading.moment))
        return tuple(row[0] for row in rows)

    def indexed_to(self) -> int:
        """Return the id of a span below which all are in the text index; 0 where there is none."""
        return int(self._reading.execute(streams.INDEXED_TO)[0][0])

    def _find_values(
        self, scan: indexes.Scan, test: ast.Node | None
    ) -> tuple[Bindable, ...] | None:
        limit = indexes.MAX_VALUES + 1
        passes = leaves.text_test(Fragment("value"), test, self._reading.moment)
        rows = self._reading.execute(streams.values_of(scan, limit, passes))
        return None if len(rows) == limit else tuple(value for value, passed in rows if passed)

    def _ordered(self, scan: indexes.Scan, most: int) -> indexes.Measure:
        probe = streams.probe_ordered(
            scan, self._low, self._high, most, descending=self._descending
        )
        rows, last = self._reading.execute(probe)[0]
        if rows < most:
            return indexes.Measure(rows, is_complete=True)
        return indexes.Measure(self._projected(rows, last), is_complete=False)

    def _range(self, scan: indexes.Scan) -> indexes.Measure:
        index = indexes.INDEXES[scan.index]
        limit = SORTED_ROWS * index.patience
        some = streams.entries(scan, self._low, self._high, FOUND_ROWS, descending=self._descending)
        traces = [row[0] for row in self._reading.execute(some)]
        if len(traces) < FOUND_ROWS:
            found = tuple(sorted(set(traces)))
            return indexes.Measure(len(traces), is_complete=True, found=found)
        if index.written:
            limit = min(limit, math.isqrt(TEXT_ROWS * self.indexed_to()))
            if self._projected(FOUND_ROWS, traces[-1]) >= limit:
                return indexes.Measure(limit, is_complete=False)
        rows = self._reading.execute(streams.probe_range(scan, self._low, self._high, limit))[0][0]
        return indexes.Measure(rows, is_complete=rows < limit)

    def _projected(self, rows: int, last: int) -> float:
        """Return how many entries there are if they go on as from the first to this last of `rows`."""
        oldest, newest = self._extent()
        seen = newest - last if self._descending else last - oldest
        return rows * (newest - oldest + 1) / max(1, seen)

    def _extent(self) -> tuple[int, int]:
        """Return the lowest and highest id that there are between the search's limits."""
        if self._span is None:
            oldest, newest = self._reading.execute(streams.EXTENT)[0]
            self._span = max(self._low, oldest or 0), min(self._high, newest or 0)
        return self._span
