"""Stored traces to an OTLP receiver: in the order in which they were written, in batches, resumable, counted.

The file remembers how far an export to a receiver came (table `state`), after each batch that was accepted. What
is new is what was written since, whenever it began: spans have ids in the order of writing, and the span that
ends a trace has the highest. A trace that still runs is looked at again the next time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.arguments import checked
from tracestore.entities import Trace, TraceState
from tracestore.errors import ReadOnlyError
from tracestore.otlp.outgoing import traces_data
from tracestore.otlp.sending import Failure, RefusedError, Sender, Target, target
from tracestore.runtime import runtime
from tracestore.search import narrowed
from tracestore.storage.statements import chunks
from tracestore.store import Store

log = logging.getLogger("tracestore")

#: Traces read at a time, and spans sent in one request at most.
PAGE_TRACES, BATCH_SPANS = 100, 500

#: Batches of which the end is remembered.
MARKS = 50

IN_PROGRESS = str(TraceState.IN_PROGRESS)

#: Traces by the last span that was written of each, and how those of some ids are.
_WRITTEN = """
    SELECT s.id, t.trace_id, t.status FROM spans AS s JOIN traces AS t ON t.id = s.trace
    WHERE s.id > ? AND NOT EXISTS (SELECT 1 FROM spans AS l WHERE l.trace = s.trace AND l.id > s.id)
    ORDER BY s.id LIMIT ?"""
_STATES = """
    SELECT t.trace_id, t.status FROM json_each(?) AS wanted JOIN traces AS t ON t.trace_id = wanted.value"""
_HOLDS = """
    SELECT 1 FROM traces AS t JOIN spans AS s ON s.trace = t.id WHERE t.trace_id = ? AND s.id >= ? LIMIT 1"""

#: How long forwarding waits for further traces once one has ended, in seconds.
GATHER_S = 0.2


class Exported(NamedTuple):
    """What an export has done so far.

    Attributes:
        traces: Traces that were sent and accepted.
        spans: Spans that were accepted.
        rejected: Spans that the receiver says it rejected.
        waiting: Traces that still run, for the next time.
        requests: Requests that were made.
    """

    traces: int = 0
    spans: int = 0
    rejected: int = 0
    waiting: int = 0
    requests: int = 0


class _Position(msgspec.Struct):
    """How far an export came.

    Attributes:
        marks: The last span (its row in `spans`, its trace) of each of the latest batches, the newest last. Several,
            because a number is given again once the newest traces have been deleted: a mark holds while its
            trace is there.
        running: Traces that were passed over because they ran.
    """

    marks: list[tuple[int, str]] = []
    running: list[str] = []

    @property
    def row(self) -> int:
        return self.marks[-1][0] if self.marks else 0

    def pass_by(self, mark: tuple[int, str]) -> None:
        """Go on behind a span."""
        if mark[0] > self.row:
            self.marks = [*self.marks, mark][-MARKS:]

    def forget(self, trace_ids: Collection[str]) -> None:
        """Look at these no more until something is written of them."""
        self.running = [running for running in self.running if running not in trace_ids]


class _Batch(NamedTuple):
    """What is sent at once, and what the position is behind once it has been accepted."""

    traces: list[Trace]
    mark: tuple[int, str] | None


@checked
def export(
    url: str | None = None,
    filter_string: str | None = None,
    *,
    store: Store | None = None,
    headers: Mapping[str, str] | None = None,
    protocol: str | None = None,
    resume: bool = True,
    progress: Callable[[Exported], None] | None = None,
) -> Exported:
    """Send stored traces to an OTLP/HTTP receiver, in the order in which they were written.

    A trace to which a span came after it was sent is sent again, whole.

    Args:
        url: Of the receiver; `/v1/traces` is added where it has no path. Default: what
            OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT says.
        filter_string: Only traces that meet it; see the README's filter language.
        store: The file; default the active store.
        headers: Sent with each request, above those of OTEL_EXPORTER_OTLP_HEADERS.
        protocol: "http/protobuf" (default) or "http/json".
        resume: Go on where the last export to this receiver with this filter stopped; False: all again.
        progress: Called after each request.

    Returns:
        How many traces and spans were accepted.

    Raises:
        RefusedError: The receiver refused a request, or could not be reached in six tries, over 15 s and more,
            each of which is logged; what was accepted before is remembered, and the next call goes on there.
        InvalidArgumentError: There is no URL, or the protocol is another.

    Example:
        >>> export("http://localhost:4318", "status = 'ERROR'")  # doctest: +SKIP
        Exported(traces=3, spans=12, rejected=0, waiting=0, requests=1)
    """
    to = target(url, headers, protocol)
    with Sender(to, failed=_say) as sender:
        return _send(sender, to, filter_string, store or runtime.store, resume, progress)


def _say(failure: Failure) -> None:
    log.warning(
        "%s: %s (try %d of %d); the next in %.1f s, gives up in about %.0f s",
        failure.url,
        failure.reason,
        failure.number,
        failure.tries,
        failure.pause_s,
        failure.rest_s,
    )


def _send(
    sender: Sender,
    to: Target,
    filter_string: str | None,
    store: Store,
    resume: bool,
    progress: Callable[[Exported], None] | None,
) -> Exported:
    store.search_traces(filter_string, max_results=1, include_spans=False)  # is it a filter?
    told = f"{to.url}\n{filter_string or ''}".encode("utf-8", "surrogatepass")
    name = f"otlp.{hashlib.sha256(told).hexdigest()[:16]}"
    position = _load(store, name) if resume else _Position()
    kept = msgspec.json.encode(position)
    done = Exported()
    for batch in _batches(store, filter_string, position):
        spans = sum(len(trace.data.spans) for trace in batch.traces)
        rejected = sender.send(traces_data(batch.traces))
        position.forget({trace.trace_id for trace in batch.traces})
        if batch.mark is not None:
            position.pass_by(batch.mark)
        _save(store, name, position)
        done = Exported(
            traces=done.traces + len(batch.traces),
            spans=done.spans + spans - rejected,
            rejected=done.rejected + rejected,
            waiting=len(position.running),
            requests=sender.requests,
        )
        if progress is not None:
            progress(done)
    if msgspec.json.encode(position) != kept:
        _save(store, name, position)
    return done._replace(waiting=len(position.running))


def _batches(store: Store, filter_string: str | None, position: _Position) -> Iterator[_Batch]:
    """Yield what is to be sent: what ran the last time, and what was written since."""
    with store.reading() as connection:
        states = dict(connection.execute(_STATES, (json.dumps(position.running),)).fetchall())
    ended = [i for i in position.running if states.get(i, IN_PROGRESS) != IN_PROGRESS]
    for some in chunks(ended, PAGE_TRACES):
        found = _of(store, filter_string, some)
        position.forget(set(some) - {trace.trace_id for trace in found})
        yield from (_Batch(part, None) for part in _parts(found))
    position.forget(set(position.running) - states.keys())  # deleted meanwhile
    while True:
        with store.reading() as connection:
            rows = connection.execute(_WRITTEN, (position.row, PAGE_TRACES)).fetchall()
        marks = {trace_id: (row, trace_id) for row, trace_id, _ in rows}
        new = [i for _, i, status in rows if status != IN_PROGRESS and i not in ended]
        running = [i for _, i, status in rows if status == IN_PROGRESS]
        position.running += [i for i in running if i not in position.running]
        for part in _parts(_of(store, filter_string, new)):
            yield _Batch(part, marks[part[-1].trace_id])
        if rows:
            position.pass_by(marks[rows[-1][1]])
        if len(rows) < PAGE_TRACES:
            return


def _of(store: Store, filter_string: str | None, trace_ids: Sequence[str]) -> list[Trace]:
    """Return those of the traces that meet the filter and have spans, in this order."""
    if not trace_ids:
        return []
    those = store.search_traces(narrowed(filter_string, trace_ids), max_results=None)
    found = {trace.trace_id: trace for trace in those}
    return [found[i] for i in trace_ids if i in found and found[i].data.spans]


def _parts(traces: Sequence[Trace]) -> Iterator[list[Trace]]:
    """Yield traces in lists of BATCH_SPANS spans, about."""
    part: list[Trace] = []
    spans = 0
    for trace in traces:
        part.append(trace)
        spans += len(trace.data.spans)
        if spans >= BATCH_SPANS:
            yield part
            part, spans = [], 0
    if part:
        yield part


def _load(store: Store, name: str) -> _Position:
    with store.reading() as connection:
        row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        try:
            position = _Position() if row is None else msgspec.json.decode(row[0], type=_Position)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return _Position()
        while position.marks:
            row, trace_id = position.marks[-1]
            if connection.execute(_HOLDS, (trace_id, row)).fetchone():
                break
            position.marks.pop()
    return position


def _save(store: Store, name: str, position: _Position) -> None:
    value = msgspec.json.encode(position).decode()

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    try:
        store.transact(write)
    except ReadOnlyError:  # the next export begins at the beginning
        return


class Forwarding:
    """Traces on their way to a receiver as they end; see `forward`."""

    def __init__(
        self,
        store: Store,
        run: Callable[[Callable[[float], object]], Exported],
        interval_s: float,
    ) -> None:
        self._store = store
        self._run = run
        self._interval_s = interval_s
        self._gather_s = min(GATHER_S, interval_s)
        self._stopping = threading.Event()
        #: Set when there may be something to send, and to stop.
        self._roused = threading.Event()
        #: What went wrong last, None where it went well.
        self.error: RefusedError | None = None
        #: What was accepted so far.
        self.exported = Exported()
        self._thread = threading.Thread(target=self._loop, name="tracestore-forward", daemon=True)
        store.on_ended.append(self._roused.set)
        self._thread.start()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            if self.error is None:
                self._roused.wait(self._interval_s)
            # What ends together is sent together; a receiver that is away is not asked at every trace.
            if self._stopping.wait(self._interval_s if self.error else self._gather_s):
                return
            self._roused.clear()
            self._once(self._stopping.wait)  # between two tries, too, it stops when it is told to

    def _once(self, sleep: Callable[[float], object]) -> None:
        try:
            done = self._run(sleep)
        except RefusedError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - a background thread goes on
            runtime.failed("forwarding", error)
        else:
            self.error = None
            sums = (old + new for old, new in zip(self.exported, done, strict=True))
            self.exported = Exported(*sums)._replace(waiting=done.waiting)

    def stop(self) -> Exported:
        """Send what has ended, and stop; return what was accepted in all."""
        self._stopping.set()
        self._roused.set()
        self._thread.join()
        with contextlib.suppress(ValueError):  # stopped before
            self._store.on_ended.remove(self._roused.set)
        self._once(time.sleep)
        return self.exported


@checked
def forward(
    url: str | None = None,
    filter_string: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    protocol: str | None = None,
    interval_s: float = 5.0,
) -> Forwarding:
    """Send traces to an OTLP/HTTP receiver as they end, in the background, until `stop()`.

    What ended while the receiver was away, or this process was not running, is sent when it is back: the file
    is the queue. Arguments as `export`.

    Args:
        url: Of the receiver.
        filter_string: Only traces that meet it.
        headers: Sent with each request.
        protocol: "http/protobuf" (default) or "http/json".
        interval_s: How often to look for traces that other processes recorded, and how long to wait after a
            failure, in seconds. Those of this process are sent a fifth of a second after they are written.

    Example:
        >>> forwarding = forward("http://localhost:4318")  # doctest: +SKIP
        >>> forwarding.stop().traces  # doctest: +SKIP
        12
    """
    to = target(url, headers, protocol)
    store = runtime.store

    def run(sleep: Callable[[float], object]) -> Exported:
        with Sender(to, sleep) as sender:
            return _send(sender, to, filter_string, store, resume=True, progress=None)

    return Forwarding(store, run, interval_s)


def lines(traces: Iterator[Trace], per_line: int = 1) -> Iterator[Any]:
    """Yield traces as lines of OTLP JSON, as the collector's file exporter writes them, without line ends.

    Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
    """
    from tracestore.otlp.messages import to_json  # noqa: PLC0415 - files only

    batch: list[Trace] = []
    for trace in traces:
        batch.append(trace)
        if len(batch) >= per_line:
            yield to_json(traces_data(batch))
            batch = []
    if batch:
        yield to_json(traces_data(batch))
