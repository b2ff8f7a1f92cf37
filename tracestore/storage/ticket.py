"""The write ticket: one process writes at a time, told apart by a lock on a side file.

SQLite up to 3.51.2 can damage a WAL that one process checkpoints while another commits
(https://www.sqlite.org/wal.html#walresetbug); its own waiting is unfair, and with overlapping writers no
checkpoint ever finds a gap, so that the WAL grows without end. A lock around commit and checkpoint ends all
three. It is advisory: other programs that write the file stay outside.

Knows files and time, nothing of SQL or threads. Invariant: who holds the lock holds it on the file that bears
the name at that moment, so the file may be removed by its holder and is gone after a clean end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator

#: What is added to the store's name.
SUFFIX = "-ticket"

#: Pause between two tries, in seconds, first and longest.
_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.002

#: How long who has just given the ticket back lets others go first, if there are any, in seconds.
_COURTESY_S = 0.004

#: What a file system without locks answers. There SQLite's own locks have to do.
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})

_OPEN_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NOINHERIT", 0)
)

if sys.platform == "win32":
    import msvcrt

    #: Windows keeps others from reading what is locked, so a byte is locked that nobody reads.
    _LOCKED_BYTE = 1 << 30

    def try_lock(handle: int) -> bool:
        """Lock the open file `handle` for this handle alone, at once or not at all."""
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def unlock(handle: int) -> None:
        """Give back what `try_lock` took."""
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(handle: int) -> bool:
        """Lock the open file `handle` for this handle alone, at once or not at all.

        `flock`, because its locks belong to the handle: other threads and stores of this process are kept out
        too, and closing another handle of the file drops nothing. True where there are no locks at all.
        """
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return True
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False
        return True

    def unlock(handle: int) -> None:
        """Give back what `try_lock` took."""
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)


class Ticket:
    """The right to write to one store. Belongs to one writing thread at a time.

    Taking it uncontended costs about 4 µs. Each wait has a deadline, so that a process that was stopped while it
    held the ticket stops nobody's program.
    """

    def __init__(self, path: str) -> None:
        self._path = path + SUFFIX
        self._handle: int | None = None
        self._after_you_until = 0.0

    @contextlib.contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """Hold the ticket during the block.

        Raises:
            OSError: EAGAIN after `timeout_s`; or the side file can't be made.
        """
        handle = self._take(timeout_s)
        try:
            yield
        finally:
            # `remove` within the block has let go already.
            if self._handle == handle:
                self._let_others_know(handle)
                unlock(handle)

    def _take(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        if self._after_you_until:
            time.sleep(max(0.0, self._after_you_until - time.monotonic()))
            self._after_you_until = 0.0
        pause_s = _PAUSE_S
        while True:
            handle = self._open()
            if try_lock(handle):
                if self._is_current(handle):
                    return handle
                self.forget()
                continue
            if time.monotonic() > deadline:
                raise OSError(errno.EAGAIN, "another process is writing to it all the time")
            _write_byte(handle, b"w")
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _open(self) -> int:
        if self._handle is None:
            self._handle = os.open(self._path, _OPEN_FLAGS, 0o600)
        return self._handle

    def _is_current(self, handle: int) -> bool:
        """Whether the locked file still bears the name: its last holder may have removed it."""
        try:
            named = os.stat(self._path)  # noqa: PTH116 - a path as text
        except FileNotFoundError:
            return False
        mine = os.fstat(handle)
        return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)

    def _let_others_know(self, handle: int) -> None:
        """Whoever waited left a mark: step back a moment, for a lock that is free goes to who asks first."""
        if _read_byte(handle) == b"w":
            _write_byte(handle, b"-")
            self._after_you_until = time.monotonic() + _COURTESY_S

    def remove(self) -> None:
        """Remove the side file, while held: whoever waits for the lock makes a new one."""
        with contextlib.suppress(
            OSError
        ):  # Windows removes no open file; the next holder tries again
            os.unlink(self._path)  # noqa: PTH108 - a path as text
        self.forget()

    def forget(self) -> None:
        """Close the handle, which gives the lock back; in the child of a fork the parent keeps it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)


def _read_byte(handle: int) -> bytes:
    with contextlib.suppress(OSError):
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, 1)
    return b""


def _write_byte(handle: int, mark: bytes) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock works, only less fairly
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, mark)
