"""The background writer: one thread, one queue, batches, flush with a deadline, counters.

Knows queues and time, and no SQL: what to do with a batch is given to it. The thread that records only appends
to a deque and, when the writer sleeps, puts a token into a SimpleQueue; both are single C calls, safe against
signals, garbage collection and Ctrl-C, where `queue.Queue` and `threading.Event` can be left locked.

    recording thread --put()--> deque --writer thread--> write(batch) in a transaction
    any thread       --run(job)--> the same deque, in order; waits for the job's result

Invariants: the thread never dies of an exception; every wait has a deadline; what is dropped is counted.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from tracestore.errors import StoreError
from tracestore.storage.spool import Kept, Recorder

T = TypeVar("T")

log = logging.getLogger("tracestore")

#: How long the writer waits for a batch to fill, in seconds. A span is on its way to the file this soon.
BATCH_WAIT_S = 0.025

#: Records in one transaction at most; what waits beyond that goes into the next one at once.
BATCH_RECORDS = 2_000

#: Payload in one transaction, about: well below the page cache, so that nothing spills half done.
BATCH_BYTES = 8 * 1024 * 1024

#: Spans of running traces that may wait for the recorder where the queue is smaller than this.
MOST_REFUSED = 1_000

#: Payload that may wait, about: in memory it is two to three times as much.
QUEUE_BYTES = 16 * 1024 * 1024

#: How long a caller waits for room in a full queue before its record is dropped, in seconds.
ROOM_WAIT_S = 1.0

#: A span still open after this is written as open, in seconds.
OPEN_AFTER_S = 1.0

#: First and longest pause between two tries of a failing write, in seconds.
RETRY_FIRST_S, RETRY_LONGEST_S = 0.01, 5.0

#: How long other processes may write before it is said that this one waits for its turn, in seconds.
IN_TURN_S = 10.0

#: How long records that come after `close` may hold up the end of the process, in seconds, all together.
LATE_S = 5.0

#: How long each of them waits for another one after that, in seconds.
_TURN_S = 0.1

#: The thread ends, and the file is closed, after this long without work, in seconds; the next record starts it.
IDLE_END_S = 30.0

#: How long a job (a tag, a feedback, a deletion) may wait for its turn, in seconds.
JOB_TIMEOUT_S = 60.0


class Sink(Protocol):
    """What the writer writes to. All methods are called on the writing thread only."""

    def write(self, records: Sequence[Any]) -> int:
        """Write a batch in one transaction, open it if need be; return how many spans were written."""

    def run(self, job: Callable[[Any], Any]) -> Any:
        """Run `job(connection)` in one transaction and return its result."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether writing may work later."""

    def is_lasting(self, error: BaseException) -> bool:
        """Whether no record can be written because of the file itself."""

    def size_bytes(self, record: Any) -> int:
        """About how large a record is."""

    def idle(self) -> bool:
        """Do a little of what can wait, when there is nothing to write; return whether more remains."""

    def feed(self) -> tuple[int, int]:
        """Write some of what was left to the recorder; return how many spans that were, and how many are lost."""

    def set_aside(self, records: Sequence[Any]) -> bool:
        """Keep records that can't be written for the next start of a program; False where that can't be."""

    def sync_due_s(self) -> float | None:
        """How long `sync` may wait; None where there is nothing to synchronise."""

    def sync(self) -> None:
        """Have what was written on the disk."""

    def must_confirm(self) -> bool:
        """Whether `confirm` has something to do."""

    def confirm(self) -> None:
        """Do what must be done before a caller is told that all is written."""

    def close(self) -> None:
        """Close what is open; the next call opens it again."""


class Flushed(msgspec.Struct, frozen=True):
    """What a flush achieved.

    Attributes:
        durable: Spans written to the file since the store was opened.
        dropped: Spans given up since then: a full queue, or a write that failed for too long.
        set_aside: Spans that could not be written and wait beside the file for the next start.
        pending: Records still on their way, because the time was up.
    """

    durable: int
    dropped: int
    pending: int
    set_aside: int = 0

    def __bool__(self) -> bool:
        return self.pending == 0


class _Job:
    """A function to run on the writing thread, and the place for its result."""

    __slots__ = ("function", "reply")

    def __init__(self, function: Callable[[Any], Any] | None) -> None:
        self.function = function
        self.reply: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def result(self, timeout_s: float) -> Any:
        value, error = self.reply.get(timeout=timeout_s)
        if error is not None:
            raise error
        return value


class Writer:
    """Owns the writing thread of one file.

    `put`, `run`, `flush`, `stats` may be called from any thread. The thread starts with the first record and
    is a daemon: `close` at exit drains it within a deadline, and records that come later still are written
    on the thread that brings them.
    """

    def __init__(self, sink: Sink, queue_size: int, retry_timeout_s: float) -> None:
        self._sink = sink
        #: What keeps ended traces until they are written, None where there is nothing.
        self.recorder: Recorder | None = None
        self._queue_size = queue_size
        self._retry_timeout_s = retry_timeout_s
        self._logged: set[str] = set()
        #: Called about once a second and before each flush of everything: records of what is still open.
        self.open_records: Callable[[float], list[Any]] = lambda _age_s: []
        #: Whether there is anything open that `open_records` would want to see again.
        self.has_open: Callable[[], bool] = lambda: False
        #: Whether a span's record will be kept by the recorder when its trace ends.
        self.will_keep: Callable[[Any], bool] = lambda _record: False
        #: Called when the thread starts, in the process and on the thread that starts it.
        self.on_start: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        """Start afresh with an empty queue and no thread: at first, and in the child of a fork."""
        self._queue: deque[Any] = deque()
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        #: True while only a token wakes the writer; read by `put` without a lock.
        self.asleep = True
        #: True while it sleeps without end, so that whoever starts a trace wakes it to watch over it.
        self.dormant = True
        self._hurried = False
        self._stopping = False
        self._pausing = False
        self._stop_deadline = float("inf")
        self._late_deadline: float | None = None
        self._draining: int | None = None
        self._open_checked = 0.0
        self._last_write = 0.0
        self._closed = False
        self._dropping = False
        self._batch: Sequence[Any] = ()
        #: Payload in the queue, about: added and subtracted in single steps, without a lock, and made good when idle.
        self.queued_bytes = 0
        self.in_flight = 0
        self.written = 0
        self.dropped = 0
        self.failed = 0
        self.set_aside = 0
        self.deferred = 0
        #: Ids of spans that a full queue did not take, and whose traces have not ended.
        self.refused: dict[str, bool] = {}
        #: From how many records on the queue is full: once it was, a quarter of its size until it has drained.
        self._room = self._queue_size
        self._fed = 0
        self._feed_at = 0.0

    # ------------------------------------------------------------------------ any thread

    def put(self, record: Any, size_bytes: int = 0) -> None:
        """Hand over one record: about 0.1 µs.

        Full is a queue of `queue_size` records, or of QUEUE_BYTES: what the sink's `size_bytes` says of each.
        Waits at most ROOM_WAIT_S where the queue is full. Then a span whose trace the recorder will keep is left to
        it, and another one is dropped. A change to a trace goes through: there are fewer, and without it a trace that
        lost a span would lose its end and its tags too.
        """
        records = self._queue
        if (
            (len(records) >= self._room or self.queued_bytes >= QUEUE_BYTES)
            and type(record) is tuple
            and not self._on_writing_thread()  # it would wait for itself
            and not self._takes(record)
        ):
            return
        self.queued_bytes += size_bytes
        records.append(record)
        if self.asleep:
            self.rouse()

    def must_defer(self) -> bool:
        """Whether what comes of traces that have not ended is to be left to the recorder."""
        is_full = len(self._queue) >= self._room or self.queued_bytes >= QUEUE_BYTES
        return self._dropping and is_full and self.recorder is not None

    def refuse(self, record: Any) -> bool:
        """Leave the record of a span to the recorder, for when its trace ends; False where nobody will keep it."""
        if self.recorder is None or len(self.refused) >= max(self._queue_size, MOST_REFUSED):
            return False
        if not self.will_keep(record):
            return False
        self._room = self._queue_size // 4
        self.refused[record[1]] = True
        # Its trace may have ended just now, without having seen this.
        return self.will_keep(record) or self.refused.pop(record[1], None) is None

    def defer(self, kept: Kept, spans: int) -> None:
        """Get these spans of a frame from the recorder's file as soon as there is room for them."""
        if self.recorder is not None:
            self.deferred += spans
            self.recorder.defer(kept, spans)
            if self.asleep:
                self.rouse()

    def _takes(self, record: Any) -> bool:
        """Whether a full queue takes a span after all; else it is left to the recorder, or dropped and counted.

        To wait comes first: what is read from the spool again costs the writer a third more.
        """
        if self._has_room():
            return True
        if not self.refuse(record):
            self.dropped += 1
            self._log_once(
                "full",
                "the queue is full (%d of %d spans, %d of %d MB) and the file can't keep up: new records are "
                "dropped until it has drained; see stats(). TRACESTORE_QUEUE_SIZE makes room for more spans",
                len(self._queue),
                self._queue_size,
                self.queued_bytes // 1_000_000,
                QUEUE_BYTES // 1_000_000,
            )
        return False

    def _has_room(self) -> bool:
        """Wait for room, but never again until the queue has been empty once it was given up."""
        if not self._dropping:
            deadline = time.monotonic() + ROOM_WAIT_S
            self._hurried = True  # a full queue is a full batch
            self.rouse()
            # Until a quarter is left: a caller that goes on at every free place takes the interpreter lock from
            # the writer each time, which cost a tenth of the rate.
            while len(self._queue) > self._queue_size // 4 or self.queued_bytes > QUEUE_BYTES // 4:
                if time.monotonic() > deadline:
                    self._dropping = True
                    break
                time.sleep(0.001)
        return not self._dropping

    def rouse(self) -> None:
        """Wake the writer, start its thread where there is none."""
        if self._closed:
            self._drain_here()
            return
        self.asleep = self.dormant = False
        if self._thread is not None and self._thread.is_alive():
            self._tokens.put(None)
        else:
            self._start()

    def _start(self) -> None:
        # Not blocking: a signal handler that records while this thread holds the lock must not wait for it.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self._stop_deadline = float("inf")
                self.on_start()
                thread = threading.Thread(target=self._loop, name="tracestore-writer", daemon=True)
                self._thread = thread  # first: Ctrl-C within `start` comes when it may run already
                thread.start()
        except RuntimeError:  # no new threads while the interpreter shuts down
            self._closed = True
        finally:
            self._starting.release()
        if self._closed:
            self._drain_here()

    def run(self, function: Callable[[Any], Any], timeout_s: float = JOB_TIMEOUT_S) -> Any:
        """Run `function(connection)` in a transaction after all records put so far; return its result.

        Raises:
            StoreError: The file can't be written, or not within `timeout_s`.
        """
        job = _Job(function)
        self._submit(job)
        try:
            return job.result(timeout_s)
        except queue.Empty:
            raise StoreError(
                f"the store could not be written within {timeout_s:g} s; another process may hold it, "
                "or the disk may be full"
            ) from None

    def flush(self, timeout_s: float = JOB_TIMEOUT_S) -> Flushed:
        """Wait until all that was put so far is durable, at most `timeout_s`; never raises for that."""
        unconfirmed = 0
        if self.pending() or self._sink.must_confirm():
            job = _Job(None)
            self._submit(job)
            try:
                job.result(timeout_s)
            except Exception:  # noqa: BLE001 - too late, or what is written is not on the disk
                unconfirmed = 1
        pending = max(self.pending(), unconfirmed)
        return Flushed(self.written, self.dropped + self.failed, pending, self.set_aside)

    def _submit(self, job: _Job) -> None:
        if self._on_writing_thread():
            raise StoreError("the writing thread can't wait for itself")
        self._queue.append(job)
        self._hurried = True
        self.rouse()

    def pending(self) -> int:
        """Records (spans, changes to traces, jobs) that are queued or being written."""
        return len(self._queue) + self.in_flight + self._left_to_feed()

    def _left_to_feed(self) -> int:
        return 0 if self.recorder is None else self.recorder.deferred_frames()

    def stats(self) -> dict[str, int]:
        """Return what is queued, and spans written, dropped (queue full), failed (not writable).

        `deferred` are spans that a full queue left to the recorder, whose file the writer reads when there is room:
        they are queued, then written.
        `set_aside` are spans that wait beside the file for the next start, `unkept` traces that ended while the
        recorder could not be written.
        """
        return {
            "queued": self.pending(),
            "written": self.written,
            "deferred": self.deferred,
            "dropped": self.dropped,
            "failed": self.failed,
            "set_aside": self.set_aside,
            "unkept": 0 if self.recorder is None else self.recorder.unkept,
        }

    def stop(self, timeout_s: float) -> bool:
        """Write what is queued, end the thread and close the file; True if done in time.

        Recording may go on: the next record starts a new thread.
        """
        thread = self._thread
        if thread is None or self._on_writing_thread():
            return True
        self._stop_deadline = time.monotonic() + timeout_s
        self._stopping = True
        self._tokens.put(None)
        if not thread.is_alive():  # Ctrl-C came within its start: it finds that it is to stop
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def pause(self, timeout_s: float) -> bool:
        """Before a fork: stop, and let no thread start until `resume` (or `reset` in the child).

        False where a write was not done in time: the connection is open still.
        """
        self._starting.acquire(timeout=timeout_s)
        self._pausing = True  # what is queued can wait: only the batch in hand is finished
        return self.stop(timeout_s)

    def resume(self) -> None:
        """After a fork, in the parent: go on with what was queued meanwhile."""
        self._pausing = False
        with contextlib.suppress(RuntimeError):  # `pause` had not got hold of it in time
            self._starting.release()
        if self._queue or self._left_to_feed():
            self.rouse()

    def close(self, timeout_s: float) -> bool:
        """Stop for good: from now on records are written on the thread that brings them."""
        # So that no record that comes just now starts a thread that would write beside this one.
        timeout_s = min(max(0.0, timeout_s), threading.TIMEOUT_MAX)  # what a lock can be waited for
        deadline = time.monotonic() + timeout_s
        holds = self._starting.acquire(timeout=timeout_s)
        try:
            done = self.stop(max(0.0, deadline - time.monotonic()))
            self._closed = True
            self.asleep = True
        finally:
            if holds:
                self._starting.release()
        if done:
            self._drain_here()
            self._close_here(max(0.0, deadline - time.monotonic()))
        else:
            self._set_aside_all()
        return done and not self._left_to_feed()

    def _close_here(self, timeout_s: float) -> None:
        """Close the file, unless another thread writes what came late: that one closes it."""
        if self._draining != threading.get_ident() and self._writing.acquire(timeout=timeout_s):
            try:
                self._sink.close()
            finally:
                self._writing.release()

    def _set_aside_all(self) -> None:
        """Have the next start write what this process may not get to."""
        with contextlib.suppress(RuntimeError):  # the thread has come back to life
            waiting = [*self._batch, *self._queue.copy()]
            self._sink.set_aside([record for record in waiting if not isinstance(record, _Job)])

    def _on_writing_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _drain_here(self) -> None:
        """Write on the calling thread: after `close`, and where no thread can be started.

        All calls together wait LATE_S, as the process may be about to end, and after that for a turn each. Whoever
        writes does not go on for ever with what other threads bring: each of them comes here too.
        """
        self.asleep = True
        if (
            self._draining == threading.get_ident()
        ):  # recorded while writing: the loop below comes to it
            return
        now = time.monotonic()
        self._late_deadline = self._late_deadline or now + LATE_S
        until = max(self._late_deadline, now + _TURN_S)
        if not self._queue or not self._writing.acquire(timeout=until - now):
            return
        try:
            self._draining = threading.get_ident()
            self._stop_deadline = self._late_deadline
            while self._queue:
                self._write_some()
                if time.monotonic() > until:
                    break
            self._sink.close()
        finally:
            self._draining = None
            self._writing.release()

    # ------------------------------------------------------------------------ the writing thread

    def _loop(self) -> None:
        with self._writing:
            if not self._on_writing_thread():
                return  # after Ctrl-C within `start` another one was begun
            while True:
                try:
                    if self._stopping and (self._pausing or not (self._queue or self._may_feed())):
                        break
                    if not self._wait():
                        break
                    self._add_open_records()
                    self._write_some()
                    if len(self._queue) <= self._queue_size // 4:
                        self._room = self._queue_size
                        self._feed()
                except BaseException as error:  # noqa: BLE001 - the writer outlives every failure
                    self._log_once(
                        f"loop {type(error).__name__}", "the writer went on after %r", error
                    )
            self._sink.close()
            self._thread = None
            self.asleep = self.dormant = True
        waiting = self._queue or ((self.has_open() or self._left_to_feed()) and not self._stopping)
        if waiting and not self._pausing:  # it came since the last look
            self.rouse()

    def _wait(self) -> bool:
        """Return when there is something to do: a batch has had its time, a job waits, or a stop.

        False where there was nothing to do for so long that the thread may end.
        """
        if not self._queue and not self._stopping:
            self._dropping = self._hurried = False
            self.queued_bytes = 0
            if not self._may_feed() and not self._sleep():
                return False
        self._drain_tokens()
        if not self._stopping and not self._hurried and len(self._queue) < BATCH_RECORDS:
            with contextlib.suppress(queue.Empty):  # a token: somebody waits for a job
                self._tokens.get(timeout=BATCH_WAIT_S)
        return True

    def _sleep(self) -> bool:
        """Sleep until a token comes; shorter while spans are open or something that can wait remains.

        False where none came for IDLE_END_S.
        """
        due_s = self._sink.sync_due_s()
        if due_s is not None:
            if not self._nap(due_s):
                self._sync()
            return True
        pause_s = self._do_idle_work()
        watching = pause_s is not None or self.has_open() or self._left_to_feed() > 0
        self.dormant = not watching
        woken = self._nap((pause_s or OPEN_AFTER_S) if watching else IDLE_END_S)
        return woken or watching

    def _sync(self) -> None:
        try:
            self._sink.sync()
        except Exception as error:  # noqa: BLE001 - it stays due
            self._log_once(
                f"sync {error}", "what is written may not outlive a power cut: %s", error
            )

    def _nap(self, timeout_s: float) -> bool:
        """Sleep until a token comes, at most `timeout_s`; whether one came, or there is work already."""
        woken = True
        self.asleep = True
        # Look again: what was put before `asleep` was set has sent no token.
        if not self._queue and not self._stopping and not (self.dormant and self.has_open()):
            try:
                self._tokens.get(timeout=timeout_s)
            except queue.Empty:
                woken = False
        self.asleep = self.dormant = False
        return woken

    def _do_idle_work(self) -> float | None:
        """Do a step of what can wait; return how long to pause before the next, None if all is done.

        The pause keeps the steps to a tenth of the time while the program records, to half of it otherwise.
        """
        start = time.monotonic()
        try:
            if not self._sink.idle():
                return None
        except Exception as error:  # noqa: BLE001 - it can wait
            if not self._sink.is_transient(error):
                self._log_once(f"idle {type(error).__name__}", "idle work is put off: %s", error)
            return OPEN_AFTER_S
        took = time.monotonic() - start
        return took if start - self._last_write > OPEN_AFTER_S else 9 * took

    def _drain_tokens(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._tokens.get_nowait()

    def _add_open_records(self) -> None:
        now = time.monotonic()
        if now - self._open_checked >= OPEN_AFTER_S and self.has_open():
            self._open_checked = now
            opened = self.open_records(OPEN_AFTER_S)
            size_bytes = sum(map(self._sink.size_bytes, opened))
            self.queued_bytes += size_bytes
            # First in line: the record of a span's end, queued since, must come after that of its start.
            self._queue.extendleft(reversed(opened))

    def _write_some(self) -> None:
        """Write one batch and the jobs after it."""
        records: list[Any] = []
        size_bytes = 0
        job: _Job | None = None
        self.in_flight = 1  # before anything leaves the queue: `flush` must never see neither
        waiting, size_of = self._queue, self._sink.size_bytes
        while waiting and len(records) < BATCH_RECORDS and size_bytes < BATCH_BYTES:
            item = waiting.popleft()
            if type(item) is _Job:
                job = item
                break
            records.append(item)
            size_bytes += size_of(item)
        self.queued_bytes -= size_bytes
        if records:
            self.in_flight = len(records)
            self._batch = records
            self._write(records)
            self._batch = ()
            self._last_write = time.monotonic()
        self.in_flight = 0
        if job is not None:
            self._answer(job)

    def _may_feed(self) -> bool:
        now = time.monotonic()
        return self._feed_at <= now < self._stop_deadline and self._left_to_feed() > 0

    def _feed(self) -> None:
        """Write a batch of what a full queue left to the recorder. Where that fails it stays there, and waits."""
        if not self._may_feed():
            return
        try:
            written, lost = self._try(self._sink.feed, self._retry_timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever it is, the spool has it
            self._feed_at = time.monotonic() + RETRY_LONGEST_S
            self._log_once(f"feed {error}", "deferred spans wait in the spool: %s", error)
        else:
            self.written += written
            self.failed += lost
            self._fed += written + lost

    def _feed_all(self) -> None:
        """Write what has been left to the recorder by now, as a caller waits for it."""
        until = self.deferred
        while self._fed < until and self._may_feed():
            self._feed()

    def _answer(self, job: _Job) -> None:
        function = job.function
        self._feed_all()
        try:
            result = None
            if function is not None:
                result = self._try(lambda: self._sink.run(function), JOB_TIMEOUT_S)
            self._try(self._sink.confirm, JOB_TIMEOUT_S)
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that asked
            if self._pausing and self._sink.is_transient(error):
                self._queue.appendleft(job)
            else:
                job.reply.put((None, error))
        else:
            job.reply.put((result, None))

    def _write(self, records: list[Any]) -> None:
        """Write a batch; where one record is at fault, the others; else count what is lost."""
        try:
            written = self._try(lambda: self._sink.write(records), self._retry_timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program goes on
            transient = self._sink.is_transient(error)
            if transient and self._pausing:
                self._queue.extendleft(reversed(records))
            elif len(records) > 1 and not transient and not self._sink.is_lasting(error):
                for record in records:
                    self._write([record])
            else:
                self._lose(records, error)
        else:
            self.written += written
            self.failed += _spans(records) - written

    def _try(self, action: Callable[[], T], timeout_s: float) -> T:
        """Return what `action` returns; try again, with growing pauses, while that may help."""
        started = time.monotonic()
        deadline = started + timeout_s
        pause = RETRY_FIRST_S
        while True:
            try:
                return action()
            except Exception as error:
                until = min(deadline, self._stop_deadline)
                if not self._sink.is_transient(error) or time.monotonic() + pause > until:
                    raise
                in_turn = isinstance(
                    error.__cause__, BlockingIOError
                )  # others write: it waited already
                if not in_turn or time.monotonic() - started > IN_TURN_S:
                    self._log_once(
                        f"retry {error}",
                        "writing is retried for %g s: %s",
                        self._retry_timeout_s,
                        error,
                    )
            time.sleep(pause)
            pause = RETRY_FIRST_S if in_turn else min(pause * 2, RETRY_LONGEST_S)

    def _lose(self, records: list[Any], error: Exception) -> None:
        lost = _spans(records)
        curable = self._sink.is_transient(error) or self._sink.is_lasting(error)
        if curable and self._sink.set_aside(records):
            self.set_aside += lost
            self._log_once(
                f"aside {error}",
                "%d spans wait beside the file for the next start: %s",
                lost,
                error,
            )
            return
        self.failed += lost
        kind = f"{type(error).__name__} {error}"
        self._log_once(
            kind, "%d spans are lost: %s. Further ones are only counted, see stats()", lost, error
        )

    def _log_once(self, kind: str, message: str, *values: object) -> None:
        """Log one problem of each kind; later ones are only counted."""
        if kind not in self._logged:
            self._logged.add(kind)
            log.warning(message, *values)


def _spans(records: Sequence[Any]) -> int:
    """Return how many of the records are spans: a span is a tuple, a change to a trace is not."""
    return sum(type(record) is tuple for record in records)
