"""Deleting traces that break a limit, the oldest first, in steps that hold the file for a moment each.

A sweep selects with a reading connection and looks again in the transaction that deletes: a trace that was
rated meanwhile, and is to be kept for that, stays. Knows limits and SQL, no threads.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import time
from collections.abc import Container, Sequence

import msgspec

from tracestore import filters, search
from tracestore.filters import ast
from tracestore.storage import trace_rows
from tracestore.storage.file import File
from tracestore.upkeep import LOCK_S, space
from tracestore.upkeep.limits import Limits, candidates
from tracestore.upkeep.pace import Pace
from tracestore.upkeep.progress import Progress

#: Traces deleted in the first step; later steps have as many as take LOCK_S.
_FIRST_TRACES = 100
_MOST_TRACES = 1_000

_START = ast.Reference(None, "timestamp_ms")


class Pruned(msgspec.Struct, frozen=True):
    """What a prune did, or would do.

    Attributes:
        traces: Traces deleted, with all that belongs to them.
        freed_bytes: What the file holds less now; estimated by the mean size of a trace where `dry_run`.
        size_bytes: Size of the file afterwards, its WAL not counted.
        dry_run: Whether nothing was changed.
    """

    traces: int
    freed_bytes: int
    size_bytes: int
    dry_run: bool


def prune(file: File, limits: Limits, progress: Progress, *, dry_run: bool = False) -> Pruned:
    """Delete what breaks `limits` and give the space back; see `Store.prune`."""
    sweep = Sweep(limits, file.live)
    with file.reading() as connection:
        wanted = sweep.measure(connection)
        size = space.page_size_bytes(connection)
        pages, free = space.page_counts(connection)
        traces = trace_rows.counts(connection)["traces"]
    used = (pages - free) * size
    if dry_run:
        freed = used * wanted // max(1, traces)
        return Pruned(wanted, freed, pages * size - freed, dry_run=True)
    deleted = _delete(file, sweep, wanted, progress)
    give_back(file, progress)
    with file.reading() as connection:
        pages, free = space.page_counts(connection)
    return Pruned(deleted, max(0, used - (pages - free) * size), pages * size, dry_run=False)


def _delete(file: File, sweep: Sweep, wanted: int, progress: Progress) -> int:
    deleted = 0
    while True:
        with file.reading() as connection:
            keys = sweep.select(connection)
        if not keys:
            return deleted
        deleted += file.write(functools.partial(sweep.delete, keys=keys))
        progress("delete", deleted, max(wanted, deleted))


def give_back(file: File, progress: Progress) -> None:
    """Give all free pages back to the disk, in steps of LOCK_S."""
    with file.reading() as connection:
        _, first = space.page_counts(connection)
    more = first > 0
    while more:
        more = file.write(functools.partial(space.give_back, time_s=LOCK_S))
        with file.reading() as connection:
            _, free = space.page_counts(connection)
        progress("give back", max(0, first - free), first)


class Sweep:
    """One pass over the traces of a file, from the oldest on.

    `measure` first, then `select` and `delete` in turn until nothing is selected.
    """

    def __init__(self, limits: Limits, live: Container[str]) -> None:
        self._limits = limits
        self._live = live
        now_ms = time.time_ns() // 1_000_000
        self._also = candidates(limits, now_ms)
        self._old: tuple[ast.Node, ...] = ()
        if limits.older_than_s is not None:
            cutoff = ast.Number(now_ms - int(limits.older_than_s * 1000))
            self._old = (ast.Comparison(_START, "<", cutoff),)
        #: What is left to do: what is too old, and then the oldest of what is too much.
        self._phases = ["old"] if self._old else []
        if limits.max_traces is not None or limits.max_bytes is not None or not self._old:
            self._phases.append("excess")
        self._token: str | None = None
        self._excess_traces = 0
        self._trace_bytes = 1.0
        self._pace = Pace(_FIRST_TRACES, _MOST_TRACES)

    def measure(self, connection: sqlite3.Connection) -> int:
        """Return how many traces are to go; where a size is the limit, about how many."""
        limits = self._limits
        traces = search.count(connection, search.Query(limits.filter))
        if limits.max_traces is not None:
            self._excess_traces = max(0, traces - limits.max_traces)
        if limits.max_bytes is not None:
            everything = trace_rows.counts(connection)["traces"]
            self._trace_bytes = max(1.0, space.used_bytes(connection) / max(1, everything))
        old = search.count(connection, self._query(*self._old)) if self._old else 0
        if "excess" not in self._phases:
            return old
        return max(old, min(self._excess(connection), search.count(connection, self._query())))

    def select(self, connection: sqlite3.Connection) -> list[int]:
        """Return the keys of the traces that are next to go; none at the end."""
        while self._phases:
            phase = self._phases[0]
            most = self._excess(connection) if phase == "excess" else self._pace.size
            query = self._query(*(self._old if phase == "old" else ()))
            limit = min(self._pace.size, most)
            keys, token = search.search_ids(connection, query, limit, self._token)
            if keys:
                self._token = token
            if token is None:
                self._phases.pop(0)
            if keys:
                return keys
        return []

    def delete(self, connection: sqlite3.Connection, keys: Sequence[int]) -> int:
        """Delete those of `keys` that are still to go, in the transaction that the caller began."""
        started = time.monotonic()
        deleted = trace_rows.delete_traces(connection, self._confirmed(connection, keys))
        self._pace.learn(len(keys), time.monotonic() - started)
        self._excess_traces -= deleted
        return deleted

    def _confirmed(self, connection: sqlite3.Connection, keys: Sequence[int]) -> list[int]:
        by_id = {
            trace_id: key
            for trace_id, key in trace_rows.ids_of(connection, keys)
            if trace_id not in self._live
        }
        if not by_id:
            return []
        filters.register(connection)
        among = ast.Membership(ast.Reference(None, "trace_id"), tuple(map(ast.Text, by_id)))
        found, _ = search.search_ids(connection, self._query(among), None)
        return found

    def _query(self, *also: ast.Node) -> search.Query:
        return search.Query(self._limits.filter, "timestamp_ms ASC", also=(*self._also, *also))

    def _excess(self, connection: sqlite3.Connection) -> int:
        """Return how many traces are too many, at this moment."""
        limits = self._limits
        if not limits.is_bounded:
            return _MOST_TRACES
        if limits.max_bytes is None:
            return self._excess_traces
        too_much = space.used_bytes(connection) - limits.max_bytes
        return max(self._excess_traces, math.ceil(too_much / self._trace_bytes))
