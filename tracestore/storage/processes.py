"""How stores outlive the ends and the forks of processes.

Before a fork every store has its threads ended and its connections closed, because a child that inherits an open
SQLite connection harms the parent's data whatever it does with it. At the end of a process every store gets its
time to write what is queued. Knows no SQL; registered once a process, at import.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import weakref
from typing import Protocol


class Living(Protocol):
    """A store, as far as the life of processes is concerned."""

    def close(self, timeout_s: float) -> bool:
        """Write what is queued and close the file."""

    def pause(self) -> None:
        """Before a fork: have nothing open and no thread running."""

    def resume(self) -> None:
        """After a fork, in the parent."""

    def start_anew(self) -> None:
        """After a fork, in the child: what the parent had queued is the parent's."""


log = logging.getLogger("tracestore")

#: Every store of this process.
stores: weakref.WeakSet[Living] = weakref.WeakSet()

#: How long the end of the process may wait for the writer of each store, in seconds.
EXIT_TIMEOUT_S = 5.0

#: The process for which `close_all` is arranged where `atexit` is not run.
_finalized_process: int | None = None


def close_all() -> None:
    """Close every store within EXIT_TIMEOUT_S each; one that can't be closed keeps no other from it."""
    for store in list(stores):
        try:
            store.close(EXIT_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - the others have something to write too
            log.warning("%r could not be closed: %s", store, error)


def close_with_process_pool() -> None:
    """Arrange for `close_all` where `atexit` is not run: in children of multiprocessing.

    They end by `os._exit` after their own finalizers (CPython up to 3.12, gh-83856).
    """
    global _finalized_process  # noqa: PLW0603 - once a process
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _finalized_process != os.getpid():
        _finalized_process = os.getpid()
        util.Finalize(None, close_all, exitpriority=0)


def _before_fork() -> None:
    for store in list(stores):
        store.pause()


def _after_fork_in_parent() -> None:
    for store in list(stores):
        store.resume()


def _after_fork_in_child() -> None:
    for store in list(stores):
        store.start_anew()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
