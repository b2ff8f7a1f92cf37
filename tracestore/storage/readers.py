"""The reading connections of one file: lent to who reads, kept for the next, and all of them back before a fork.

A child process that inherits an open SQLite connection and opens one of its own has no locks on the file: the parent
removes the write-ahead log under it, and what it commits is gone. So a fork waits until everything lent is back, and
whoever wants to read meanwhile waits for the fork.

Any thread may borrow. Without locks of Python, which a fork would copy as they stand.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tracestore.errors import StoreError
from tracestore.storage import connection as connections
from tracestore.storage.connection import Connection, identity, translated_errors

#: Connections that are kept open when idle. More may be open while more threads read.
IDLE_READERS = 4

#: How often it is looked whether a fork is over, or everything lent is back, in seconds.
_PAUSE_S = 0.001

#: How long who wants to read waits for a fork, in seconds: longer than a fork waits for those who read.
_FORK_S = 10.0


class Readers:
    """Lends reading connections to one file, each to one thread at a time."""

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._prepare = prepare
        self._idle: deque[tuple[tuple[int, int] | None, Connection]] = deque()
        #: Who has borrowed: the thread's number by something unique.
        self._lent: dict[object, int] = {}
        #: Whether a fork is about to happen.
        self._shut = False

    @property
    def are_open(self) -> bool:
        """Whether any connection is open, lent or idle."""
        return bool(self._lent or self._idle)

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to the block, which takes its results whole before it ends.

        All that the block reads is of one moment.

        Raises:
            StoreError: The file can't be read; or it was written meanwhile, where this process may not take part in
                SQLite's locks.
        """
        loan = self._enter()
        try:
            file, connection = self._borrow()
            try:
                with translated_errors(self._path):
                    connection.execute("BEGIN")
                    yield connection
                    connection.execute("COMMIT")
                _refuse_torn(connection, self._path)
            except BaseException:
                connection.close()  # a statement may be half read: that would pin the WAL
                raise
            if connection.at_rest is None and len(self._idle) < IDLE_READERS:
                self._idle.append((file, connection))
            else:
                connection.close()
        finally:
            self._lent.pop(loan, None)

    def _enter(self) -> object:
        """Take note of a loan; wait while there is a fork, unless this thread has a loan already."""
        loan, thread = object(), threading.get_ident()
        deadline = time.monotonic() + _FORK_S
        while True:
            nested = self._shut and thread in list(self._lent.values())
            self._lent[loan] = thread  # before the look: `shut` looks the other way round
            if not self._shut or nested or time.monotonic() > deadline:
                return loan
            del self._lent[loan]
            time.sleep(_PAUSE_S)

    def _borrow(self) -> tuple[tuple[int, int] | None, Connection]:
        with translated_errors(self._path):
            file = identity(self._path)
        while self._idle:
            try:
                known, connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if known == file:
                return file, connection
            connection.close()  # of a file that is no longer there: SQLite leaves the new one's side files alone
        connection = connections.open_for_reading(self._path)
        self._prepare(connection)
        return file, connection

    def shut(self, timeout_s: float) -> None:
        """Before a fork: lend no more, wait for what is lent, close what is idle. At most `timeout_s`."""
        self._shut = True
        deadline = time.monotonic() + timeout_s
        thread = threading.get_ident()
        # What this thread has borrowed itself will not come back.
        while any(other != thread for other in list(self._lent.values())):
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_S)
        self.close()

    def open(self) -> None:
        """After a fork: lend again."""
        self._shut = False

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            try:
                self._idle.pop()[1].close()
            except IndexError:  # another thread was quicker
                break

    def forget(self) -> object:
        """In the child of a fork: have none. Return the parent's, which must never be closed here."""
        parents = self._idle
        self._idle = deque()
        self._lent = {}
        self._shut = False
        return parents


def _refuse_torn(connection: Connection, path: str) -> None:
    """Raise where a file that is read without locks was written meanwhile: what was read may be of two moments."""
    if not connection.is_up_to_date():
        raise StoreError(
            f"{path} was written while it was read without locks, because this process may not write there; "
            "read it again"
        )
