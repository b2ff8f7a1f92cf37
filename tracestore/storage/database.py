"""One file: its writing connection, its reading connections, and batches as transactions.

Knows SQL and connections, no threads. The writing side (`write`, `run`, `close`) belongs to one thread at a
time, the writer's; the reading side may be used from any thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from tracestore.errors import ForeignFileError, NewerFileError, ReadOnlyError, StoreError
from tracestore.storage import connection as connections
from tracestore.storage import filesystem, indexer, record_rows, recovery
from tracestore.storage.connection import (
    identity,
    is_lasting,
    is_transient,
    transaction,
    translated_errors,
    wal_bytes,
)
from tracestore.storage.readers import Readers
from tracestore.storage.spool import Kept, Recorder
from tracestore.storage.ticket import Ticket

T = TypeVar("T")

#: Frames that are read again from the spool for one transaction.
FEED_FRAMES = 500

#: One commit in this time is synchronised: together with the writer's own delay, a power cut costs 100 ms.
SYNC_S = 0.075

log = logging.getLogger("tracestore")

#: Handles that a child process inherited: kept, so that not even garbage collection closes them.
_LEFT_ALONE: list[object] = []


class TraceSource(Protocol):
    """A trace that is being recorded; asked on the writing thread what to write of it.

    Attributes:
        looked_up: What `snapshot` found out about spans that have ended, see `record_rows.write_records`.
    """

    looked_up: record_rows.LookedUp

    def snapshot(self) -> record_rows.TraceRecord:
        """Return the trace as a whole as it stands."""


class InheritedError(StoreError):
    """The file was open across a fork."""


def _told_apart(
    records: Sequence[Any],
) -> tuple[list[record_rows.TraceRecord], list[record_rows.SpanRecord], record_rows.LookedUp]:
    """Return the traces of a batch, one snapshot of each however often it was put, its spans, what is known of them."""
    sources: dict[int, TraceSource] = {}
    spans: list[record_rows.SpanRecord] = []
    for record in records:
        if isinstance(record, tuple):
            spans.append(record)
        else:
            source = record.trace if isinstance(record, Kept) else record
            sources[id(source)] = source
    looked_up: record_rows.LookedUp = {}
    traces = []
    for source in sources.values():
        traces.append(source.snapshot())
        looked_up.update(source.looked_up)
    return traces, spans, looked_up


class IdleWork(NamedTuple):
    """Something that can wait until there is nothing to write.

    Attributes:
        has_work: Whether there is something to do; asked outside of a transaction, so it may read for a while.
        do_some: Does a little of it, a few milliseconds, in a transaction.
    """

    has_work: Callable[[sqlite3.Connection], bool]
    do_some: Callable[[sqlite3.Connection], object]


class Database:
    """One store's file. See the module for which thread may call what."""

    def __init__(
        self,
        path: str,
        *,
        read_only: bool = False,
        index_text: bool = True,
        prepare: Callable[[sqlite3.Connection], None] = lambda _connection: None,
        idle_work: Sequence[IdleWork] = (),
        record: bool = True,
        outlives_power_cut: bool = False,
    ) -> None:
        self.path = path
        self.read_only = read_only
        indexing = (IdleWork(indexer.has_work, indexer.index_some),) if index_text else ()
        self._idle_work = (*idle_work, *indexing)
        self._process = os.getpid()
        self._writer: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._wal: tuple[int, int] | None = None
        self._ticket = Ticket(path)
        self._checkpoint_at = 0.0
        #: Whether the next transaction is to empty the write-ahead log, whatever its size.
        self.must_empty_wal = False
        self._refused = False
        self._inherited = False
        self._unsynced_since: float | None = None
        self._synced_at = 0.0
        #: What keeps ended traces until they are written; None: only the queue does.
        record = record and not read_only and filesystem.remote_kind(path) is None
        self.recorder = Recorder(path) if record else None
        #: Whether what `flush` acknowledges must be on the disk.
        self.outlives_power_cut = outlives_power_cut
        #: Whether the next write first takes over what dead processes left.
        self.look_for_spools = True
        #: Called with the spans of each batch once they are committed, and whether traces that have ended are in it.
        self.on_written: Callable[[Sequence[record_rows.SpanRecord], bool], None] = (
            lambda _spans, _ended: None
        )
        #: Reading connections; any thread may borrow one.
        self.readers = Readers(path, prepare)

    # ------------------------------------------------------------------------ the writing thread

    def write(self, records: Sequence[TraceSource | Kept | record_rows.SpanRecord]) -> int:
        """Write a batch in one transaction; return how many spans were written."""
        kept = [record for record in records if isinstance(record, Kept)]
        traces, spans, looked_up = _told_apart(records)

        def write(connection: sqlite3.Connection) -> int:
            written = record_rows.write_records(connection, traces, spans, looked_up)
            if kept and self.recorder is not None:
                recovery.save_positions(connection, self.recorder.positions(kept))
            return written

        written = self.run(write)
        if kept and self.recorder is not None:
            self.recorder.settle(kept)
        self.on_written(spans, any(trace.status != "IN_PROGRESS" for trace in traces))
        return written

    def feed(self) -> tuple[int, int]:
        """Write some of what a full queue left to the spool; return how many spans that were, and how many are lost."""
        some = None if self.recorder is None else self.recorder.next_deferred(FEED_FRAMES)
        if some is None or self.recorder is None:
            return 0, 0
        recorder, (segment, counts) = self.recorder, some
        kept = [Kept(None, segment, number) for number in counts]
        found = recovery.frames_of(segment.read(), counts)

        def write(connection: sqlite3.Connection) -> None:
            recovery.write_deferred(connection, found)
            recovery.save_positions(connection, recorder.positions(kept))

        self.run(write)
        recorder.settle(kept)
        self.on_written([span for _, _, spans in found for span in spans], True)
        written = sum(counts[number] for number, _, _ in found)
        return written, sum(counts.values()) - written

    def set_aside(self, records: Sequence[Any]) -> bool:
        """Put records into the spool, for the next start; False where there is none or it can't be written."""
        if self.recorder is None or self._refused:
            return False
        traces, spans, _ = _told_apart([r for r in records if not isinstance(r, Kept)])
        return self.recorder.set_aside(traces, spans)

    def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` with the writing connection in one transaction and return its result."""
        with self.writing() as connection, transaction(connection):
            result = job(connection)
        self._committed()
        return result

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection to the block, which holds the write ticket meanwhile.

        Outside a transaction: for what can't be in one. Raises a transient StoreError where another process
        writes for longer than BUSY_TIMEOUT_S.
        """
        if self.read_only:
            raise ReadOnlyError(f"{self.path} was opened with read_only=True")
        if self._inherited:
            raise InheritedError(
                f"{self.path} was open when this process was forked, and can't be written by it; what is "
                "recorded waits in the spool for the next process that opens the store. Fork earlier, or "
                "start workers by `spawn`"
            )
        with translated_errors(self.path):
            connections.make_directory(self.path)
            with self._ticket.held(connections.BUSY_TIMEOUT_S):
                try:
                    self._leave_replaced_file()
                    if self._writer is None:
                        self._writer = self._open()
                        self._file = identity(self.path)
                        self._wal = identity(self.path + "-wal")
                    if self.look_for_spools:
                        recovery.take_over(self._writer, self.path, transaction)
                        self.look_for_spools = False
                    yield self._writer
                    self._limit_wal(self._writer)
                finally:
                    if self._writer is None:
                        self._ticket.remove()  # nothing stays beside a file that was refused

    def _open(self) -> sqlite3.Connection:
        try:
            connection = connections.open_for_writing(self.path)
        except (ForeignFileError, NewerFileError):
            self._refused = True
            if self.recorder is not None:
                self.recorder.discard()  # nothing stays beside another program's file
            raise
        self._refused = False
        return connection

    def _committed(self) -> None:
        """One commit in SYNC_S is synchronised: this one, or `sync` is due."""
        if self._wal is None:  # made by the first transaction
            self._wal = identity(self.path + "-wal")
        now = time.monotonic()
        if self._unsynced_since is None:
            self._unsynced_since = now
        if now - self._synced_at >= SYNC_S:
            with contextlib.suppress(StoreError):  # the commit is in the file: `sync` stays due
                self.sync()

    def sync_due_s(self) -> float | None:
        """How long a `sync` may wait, in seconds; None where all is on the disk."""
        if self._unsynced_since is None:
            return None
        return max(0.0, self._unsynced_since + SYNC_S - time.monotonic())

    def sync(self) -> None:
        """Have what was committed so far on the disk itself, so that it outlives a power cut."""
        self._synced_at = time.monotonic()
        due, self._unsynced_since = self._unsynced_since, None
        try:
            with translated_errors(self.path):
                connections.sync_wal(self.path)
        except StoreError:
            if due is not None:
                self._unsynced_since = self._synced_at
            raise

    def confirm(self) -> None:
        """Before a caller is told that all is written: synchronise, if power cuts count."""
        if self.must_confirm():
            self.sync()

    def must_confirm(self) -> bool:
        """Whether `confirm` has something to synchronise."""
        return self.outlives_power_cut and self._unsynced_since is not None

    def _limit_wal(self, connection: sqlite3.Connection) -> None:
        limit_bytes = 0 if self.must_empty_wal else connections.WAL_BYTES
        if wal_bytes(self.path) > limit_bytes and time.monotonic() > self._checkpoint_at:
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk; the commit is safe
                if connections.checkpoint(connection):
                    self.must_empty_wal = False
                    return
            self._checkpoint_at = time.monotonic() + connections.CHECKPOINT_PAUSE_S

    @property
    def was_replaced(self) -> bool:
        """Whether the file that is written to, or its WAL, bears the name no longer."""
        if self._writer is None:
            return False
        has_wal = self._wal is None or identity(self.path + "-wal") == self._wal
        return identity(self.path) != self._file or not has_wal

    def _leave_replaced_file(self) -> None:
        """Notice that the file was deleted, moved or replaced: what is written now goes into a new one.

        Or only its WAL, as by who tidies up: what goes into one that has no name would be gone with the process.

        The old file gets what its WAL holds, and the WAL goes: by its name SQLite would take it for the new file's,
        and bring it over what that holds.
        """
        writer = self._writer
        if writer is None or not self.was_replaced:
            return
        if identity(self.path) == self._file:
            log.warning("%s-wal was deleted or replaced; what it held is in the file", self.path)
        else:
            log.warning(
                "%s was deleted, moved or replaced; recording goes on in a new file", self.path
            )
        self._writer = None
        self.readers.close()
        connections.leave(writer, self.path, self._wal)

    def idle(self) -> bool:
        """Do a little of the idle work, the first that has any; return whether more remains."""
        if self._writer is None or identity(self.path) != self._file:
            return False
        # Not through `run`, which makes a new file where there is none: nobody has recorded anything.
        with translated_errors(self.path):
            for work in self._idle_work:
                if work.has_work(self._writer):
                    self.run(work.do_some)
                    return True  # or something else has work: the next call finds out
        return False

    @staticmethod
    def is_transient(error: BaseException) -> bool:
        """Whether writing may work later; see `connection.is_transient`."""
        return is_transient(error)

    @staticmethod
    def is_lasting(error: BaseException) -> bool:
        """Whether the file itself is refused; see `connection.is_lasting`."""
        return isinstance(error, InheritedError) or is_lasting(error)

    @staticmethod
    def size_bytes(record: TraceSource | Kept | record_rows.SpanRecord) -> int:
        """About how large a record is: the length of its payload columns."""
        return record_rows.size_bytes(record) if isinstance(record, tuple) else 0

    def close(self) -> None:
        """Close the writing connection; the next write opens it again."""
        if self.recorder is not None:
            self.recorder.close()
        if self._writer is None:
            return
        with contextlib.suppress(StoreError):  # closing synchronises too, if the disk lets it
            self.confirm()
        try:
            with self._ticket.held(connections.BUSY_TIMEOUT_S):
                self._close_writer()  # the last one to close checkpoints
                self._ticket.remove()
        except OSError:  # another process writes, and goes on after us
            self._close_writer()
            self._ticket.forget()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        self._unsynced_since = None  # closing checkpoints, or another process goes on
        self.look_for_spools = True
        if writer is not None:
            with contextlib.suppress(sqlite3.Error):
                writer.close()

    # ------------------------------------------------------------------------ any thread

    @property
    def is_open(self) -> bool:
        """Whether this process has the file open through this object."""
        return self._writer is not None or self.readers.are_open

    def __del__(self) -> None:
        # A store that was dropped without close; Python 3.13 warns of connections that nobody closed.
        if self._process == os.getpid():
            with contextlib.suppress(Exception):
                self.close()
                self.readers.close()

    def leave_spool(self) -> None:
        """Leave what could not be written to the next start."""
        if self.recorder is not None:
            self.recorder.close(leave=True)

    def left_behind(self) -> bool:
        """Whether dead processes left records that are not in the file."""
        return bool(recovery.left_behind(self.path))

    def forget(self) -> None:
        """In the child of a fork: leave every handle alone for ever; closing one would harm the parent.

        Where connections were open, because a write hung, a search took too long or C code forked, SQLite's idea of the
        locks is the parent's for ever: the child must not write to the file at all.
        """
        self._inherited = self._inherited or self.is_open
        _LEFT_ALONE.append((self._writer, self.readers.forget()))
        self._process = os.getpid()
        self._writer = None
        self._ticket.forget()
        if self.recorder is not None:
            self.recorder.forget()
        self.look_for_spools = True
        self._unsynced_since = None
