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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from tracestore.errors import ReadOnlyError
from tracestore.storage import connection as connections
from tracestore.storage import indexer, record_rows
from tracestore.storage.connection import (
    identity,
    is_lasting,
    is_transient,
    transaction,
    translated_errors,
    wal_bytes,
)
from tracestore.storage.ticket import Ticket

T = TypeVar("T")

#: Reading connections that are kept open when idle. More may be open while more threads read.
IDLE_READERS = 4


log = logging.getLogger("tracestore")

#: Handles that a child process inherited, or of a file that is no longer there: kept, so that not even garbage
#: collection closes them.
_LEFT_ALONE: list[object] = []


class TraceSource(Protocol):
    """A trace that is being recorded; asked on the writing thread what to write of it."""

    def snapshot(self) -> record_rows.TraceRecord:
        """Return the trace as a whole as it stands."""


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
    ) -> None:
        self.path = path
        self.read_only = read_only
        indexing = (IdleWork(indexer.has_work, indexer.index_some),) if index_text else ()
        self._idle_work = (*idle_work, *indexing)
        self._prepare = prepare
        self._process = os.getpid()
        self._writer: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._ticket = Ticket(path)
        self._checkpoint_at = 0.0
        self._readers: deque[tuple[tuple[int, int] | None, sqlite3.Connection]] = deque()

    # ------------------------------------------------------------------------ the writing thread

    def write(self, records: Sequence[TraceSource | record_rows.SpanRecord]) -> int:
        """Write a batch in one transaction; return how many spans were written."""
        sources: dict[int, TraceSource] = {}
        spans: list[record_rows.SpanRecord] = []
        for record in records:
            if isinstance(record, tuple):
                spans.append(record)
            else:
                sources[id(record)] = record  # one snapshot a batch, however often it was put
        traces = [source.snapshot() for source in sources.values()]
        return int(
            self.run(lambda connection: record_rows.write_records(connection, traces, spans))
        )

    def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` with the writing connection in one transaction and return its result."""
        with self.writing() as connection, transaction(connection):
            return job(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection to the block, which holds the write ticket meanwhile.

        Outside a transaction: for what can't be in one. Raises a transient StoreError where another process
        writes for longer than BUSY_TIMEOUT_S.
        """
        if self.read_only:
            raise ReadOnlyError(f"{self.path} was opened with read_only=True")
        with translated_errors(self.path):
            connections.make_directory(self.path)
            with self._ticket.held(connections.BUSY_TIMEOUT_S):
                try:
                    self._leave_replaced_file()
                    if self._writer is None:
                        self._writer = connections.open_for_writing(self.path)
                        self._file = identity(self.path)
                    yield self._writer
                    self._limit_wal(self._writer)
                finally:
                    if self._writer is None:
                        self._ticket.remove()  # nothing stays beside a file that was refused

    def _limit_wal(self, connection: sqlite3.Connection) -> None:
        if wal_bytes(self.path) > connections.WAL_BYTES and time.monotonic() > self._checkpoint_at:
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk; the commit is safe
                if connections.checkpoint(connection):
                    return
            self._checkpoint_at = time.monotonic() + connections.CHECKPOINT_PAUSE_S

    def _leave_replaced_file(self) -> None:
        """Notice that the file was deleted, moved or replaced: what is written now goes into a new one.

        The old connection is not closed: that would delete the side files of the new one by their names.
        """
        if self._writer is not None and identity(self.path) != self._file:
            log.warning(
                "%s was deleted, moved or replaced; recording goes on in a new file", self.path
            )
            _LEFT_ALONE.append(self._writer)
            self._writer = None

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
        return is_lasting(error)

    @staticmethod
    def size_bytes(record: TraceSource | record_rows.SpanRecord) -> int:
        """About how large a record is: the length of its payload columns."""
        if not isinstance(record, tuple):
            return 0
        return sum(len(text) for text in record[-5:] if text is not None)

    def close(self) -> None:
        """Close the writing connection; the next write opens it again."""
        if self._writer is None:
            return
        try:
            with self._ticket.held(connections.BUSY_TIMEOUT_S):
                self._close_writer()  # the last one to close checkpoints
                self._ticket.remove()
        except OSError:  # another process writes, and goes on after us
            self._close_writer()
            self._ticket.forget()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(sqlite3.Error):
                writer.close()

    # ------------------------------------------------------------------------ any thread

    @contextlib.contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a reading connection to the block, which takes its results whole before it ends.

        All that the block reads is of one moment.
        """
        file, connection = self._borrow()
        try:
            with translated_errors(self.path):
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
        except BaseException:
            connection.close()  # a statement may be half read: that would pin the WAL
            raise
        if len(self._readers) < IDLE_READERS:
            self._readers.append((file, connection))
        else:
            connection.close()

    def _borrow(self) -> tuple[tuple[int, int] | None, sqlite3.Connection]:
        with translated_errors(self.path):
            file = identity(self.path)
        with contextlib.suppress(IndexError):
            while True:
                known, connection = self._readers.pop()
                if known == file:
                    return file, connection
                _LEFT_ALONE.append(connection)
        connection = connections.open_for_reading(self.path)
        self._prepare(connection)
        return file, connection

    def close_readers(self) -> None:
        """Close the idle reading connections."""
        with contextlib.suppress(IndexError):
            while True:
                self._readers.pop()[1].close()

    def __del__(self) -> None:
        # A store that was dropped without close; Python 3.13 warns of connections that nobody closed.
        if self._process == os.getpid():
            with contextlib.suppress(Exception):
                self.close()
                self.close_readers()

    def forget(self) -> None:
        """In the child of a fork: leave every handle alone for ever; closing one would harm the parent."""
        _LEFT_ALONE.append((self._writer, self._readers))
        self._process = os.getpid()
        self._writer = None
        self._ticket.forget()
        self._readers = deque()
