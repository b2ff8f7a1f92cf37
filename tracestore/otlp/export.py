"""Stored traces to an OTLP receiver: in order of time, in batches, resumable, counted.

The file remembers how far an export to a receiver came (table `state`), after each batch that was accepted. A
trace that still runs is left for the next time, and so is nothing after it forgotten: the position stays before
the first one that runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from tracestore.arguments import checked
from tracestore.entities import Trace, TraceState
from tracestore.errors import ReadOnlyError
from tracestore.otlp.outgoing import traces_data
from tracestore.otlp.sending import Failure, RefusedError, Sender, Target, target
from tracestore.runtime import runtime
from tracestore.store import Store

log = logging.getLogger("tracestore")

#: Traces read at a time, and spans sent in one request at most.
PAGE_TRACES, BATCH_SPANS = 100, 500

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
    """How far an export came: everything that started before `time_ms`, and these."""

    time_ms: int = 0
    sent: list[str] = []


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
    """Send stored traces to an OTLP/HTTP receiver, the oldest first.

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
    name = (
        "otlp."
        + hashlib.sha256(
            f"{to.url}\n{filter_string or ''}".encode("utf-8", "surrogatepass")
        ).hexdigest()[:16]
    )
    position = _load(store, name) if resume else _Position()
    done = Exported()
    for batch, waiting in _batches(store, filter_string, position):
        done = done._replace(waiting=done.waiting + waiting)
        spans = sum(len(trace.data.spans) for trace in batch)
        if batch:
            rejected = sender.send(traces_data(batch))
            done = done._replace(
                traces=done.traces + len(batch),
                spans=done.spans + spans - rejected,
                rejected=done.rejected + rejected,
                requests=done.requests + 1,
            )
            _advance(position, batch, runs=done.waiting > 0)
            _save(store, name, position)
            if progress is not None:
                progress(done)
    return done


def _batches(
    store: Store, filter_string: str | None, position: _Position
) -> Iterator[tuple[list[Trace], int]]:
    """Yield traces to be sent, in order of time, and how many were passed over because they run."""
    condition = f"timestamp >= {position.time_ms}"
    whole = f"({filter_string}) AND {condition}" if (filter_string or "").strip() else condition
    sent = frozenset(position.sent)
    token: str | None = None
    while True:
        page = store.search_traces(
            whole, order_by=["timestamp ASC"], max_results=PAGE_TRACES, page_token=token
        )
        batch: list[Trace] = []
        waiting, spans = 0, 0
        for trace in page:
            if trace.info.state is TraceState.IN_PROGRESS:
                waiting += 1
            elif trace.trace_id not in sent and trace.data.spans:
                batch.append(trace)
                spans += len(trace.data.spans)
                if spans >= BATCH_SPANS:
                    yield batch, waiting
                    batch, waiting, spans = [], 0, 0
        yield batch, waiting
        token = page.token
        if token is None:
            return


def _advance(position: _Position, batch: list[Trace], *, runs: bool) -> None:
    """Move on past a batch; not past the first trace that runs, of which there was one if `runs`."""
    newest_ms = batch[-1].info.request_time
    if not runs and newest_ms > position.time_ms:
        position.time_ms = newest_ms
        position.sent = []
    position.sent += [t.trace_id for t in batch if t.info.request_time >= position.time_ms]


def _load(store: Store, name: str) -> _Position:
    with store.reading() as connection:
        row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    try:
        return _Position() if row is None else msgspec.json.decode(row[0], type=_Position)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return _Position()


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

    def __init__(self, store: Store, run: Callable[[], Exported], interval_s: float) -> None:
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
            self._once()

    def _once(self) -> None:
        try:
            done = self._run()
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
        self._once()
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

    def run() -> Exported:
        with Sender(to) as sender:
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
