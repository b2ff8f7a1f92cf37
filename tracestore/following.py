"""Follow a file: which traces and spans have come or ended since one last looked, whoever wrote them.

Spans have ids in the order of writing, and a span that was written open gets a new one when it ends; so what
is above the last id seen is what is new. A trace that was in progress is looked at again until it has ended.
Invariant: a trace that ends while the file is followed is told once, a span once when it begins (if it was
written open) and once when it ends.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tracestore.entities import Trace, TraceState
from tracestore.search import narrowed
from tracestore.store import Store

#: How often a file is looked at, in seconds; looking is two calls of `stat` where nothing was written.
INTERVAL_S = 0.2

#: It is read all the same after this many seconds: two writes within a tick of the file system's clock look
#: like one.
READ_ANYWAY_S = 2.0

#: Spans that one step reads, and traces that one search asks for.
_MAX_SPANS = 5_000
_MAX_IDS = 200

#: Traces that were told and are remembered, should a late span bring them up again.
_REMEMBERED = 100_000

_NEW_SPANS = """
    SELECT s.id, t.trace_id, t.status, s.span_id, s.name, s.type, s.status, s.start_time_ns, s.end_time_ns, s.error
    FROM spans AS s JOIN traces AS t ON t.id = s.trace
    WHERE s.id > ?
    ORDER BY s.id
    LIMIT ?
"""
_ENDED = """
    SELECT t.trace_id FROM json_each(?) AS wanted JOIN traces AS t ON t.trace_id = wanted.value
    WHERE t.status <> 'IN_PROGRESS'
"""
_IN_PROGRESS = "SELECT trace_id FROM traces WHERE status = 'IN_PROGRESS'"


@dataclass(frozen=True)
class SpanNews:
    """A span that has begun or ended; `end_time_ns` is None for one that has begun."""

    trace_id: str
    span_id: str
    name: str
    span_type: str | None
    status: str
    start_time_ns: int
    end_time_ns: int | None
    error: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the news as JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Follower:
    """Tells what is new in a store since it was made. Use it from one thread.

    Args:
        store: The file; may be open read-only.
        filter_string: Only traces that meet this when they end, and spans of traces that meet it.
        with_spans: Tell spans too.
        experiment_ids: Only traces of these experiments; None: of all.

    Attributes:
        is_behind: Whether there was more to read than the last look at the file has.

    Raises:
        FilterSyntaxError: The filter can't be read.
    """

    def __init__(
        self,
        store: Store,
        filter_string: str = "",
        *,
        with_spans: bool = False,
        experiment_ids: Sequence[str] | None = None,
    ) -> None:
        self._store = store
        self._filter, self._experiments = filter_string.strip(), experiment_ids
        self._with_spans = with_spans
        self.is_behind = False
        self._told: dict[str, None] = {}
        self._search(self._filter, 1)
        with store.reading() as connection:
            self._last = _last_span(connection)
            self._running = {row[0] for row in connection.execute(_IN_PROGRESS).fetchall()}

    def latest(self, count: int) -> list[Trace]:
        """Return the newest `count` traces that have ended, the oldest first; they are not told again."""
        found = self._search(self._filter, count)
        ended = [trace for trace in found if trace.info.state != TraceState.IN_PROGRESS]
        self._remember([trace.trace_id for trace in ended])
        return ended[::-1]

    def follow(self) -> Iterator[list[Trace | SpanNews]]:
        """Yield what is new, for ever; an empty list where nothing was after INTERVAL_S."""
        seen: object = None
        read_at = 0.0
        while True:
            now = time.monotonic()
            found = self._signature()
            if found != seen or now - read_at > READ_ANYWAY_S:
                seen, read_at = found, now
                news = self.news()
                yield news
                if news or self.is_behind:
                    continue
            else:
                yield []
            time.sleep(INTERVAL_S)

    def _signature(self) -> object:
        """Return what changes when the file is written."""
        found: list[tuple[int, int, int] | None] = []
        for suffix in ("", "-wal"):
            try:
                stat = os.stat(self._store.path + suffix)  # noqa: PTH116 - a path as text
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError:
                found.append(None)
        return found

    def news(self) -> list[Trace | SpanNews]:
        """Return spans that have come or ended and traces that have ended since the last call, in order."""
        with self._store.reading() as connection:
            rows = connection.execute(_NEW_SPANS, (self._last, _MAX_SPANS)).fetchall()
            ended = [row[0] for row in connection.execute(_ENDED, (json.dumps([*self._running]),))]
            if not rows:  # a file that was emptied begins anew
                self._last = min(self._last, _last_span(connection))
        self.is_behind = len(rows) == _MAX_SPANS
        if rows:
            self._last = rows[-1][0]
        self._running.difference_update(ended)
        states = {row[1]: row[2] for row in rows}
        self._running.update(each for each, state in states.items() if state == "IN_PROGRESS")
        ended += [each for each, state in states.items() if state != "IN_PROGRESS"]
        fresh = [each for each in dict.fromkeys(ended) if each not in self._told]
        self._remember(fresh)
        spans = [SpanNews(row[1], *row[3:]) for row in rows] if self._with_spans else []
        return [*self._of_wanted(spans), *self._traces(fresh)]

    def _remember(self, trace_ids: list[str]) -> None:
        self._told.update(dict.fromkeys(trace_ids))
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    def _of_wanted(self, spans: list[SpanNews]) -> list[SpanNews]:
        if not self._filter and self._experiments is None:
            return spans
        wanted = {trace.trace_id for trace in self._traces(sorted({s.trace_id for s in spans}))}
        return [span for span in spans if span.trace_id in wanted]

    def _traces(self, trace_ids: list[str]) -> list[Trace]:
        """Return those of the traces that meet the filter, the oldest first."""
        found: list[Trace] = []
        for start in range(0, len(trace_ids), _MAX_IDS):
            both = narrowed(self._filter, trace_ids[start : start + _MAX_IDS])
            found += self._search(both, None)
        return sorted(found, key=lambda trace: trace.info.request_time)

    def _search(self, filter_string: str, count: int | None) -> list[Trace]:
        return self._store.search_traces(
            filter_string,
            experiment_ids=self._experiments,
            max_results=count,
            include_spans=False,
        )


def _last_span(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()[0])
