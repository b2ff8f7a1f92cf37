"""What upkeep needs of a store: its path, reading connections, write transactions, what is running.

Knows no Store, so that a store can be built on it; and the one form of progress that all of upkeep reports.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

#: Told what is being done, how much of it is done and how much there is: `progress("delete", 300, 1_000)`.
#: What it raises ends the call; what was done until then stays done.
Progress = Callable[[str, int, int], object]


def silent(_phase: str, _done: int, _total: int) -> None:
    """Report nothing."""


class File(NamedTuple):
    """A store's file.

    Attributes:
        path: Where it is, absolute.
        reading: Lends a reading connection that sees all that was recorded before.
        write: Runs a job with the writing connection in one transaction, returns its result.
        live: Ids of the traces that this process is recording.
    """

    path: str
    reading: Callable[[], AbstractContextManager[sqlite3.Connection]]
    write: Callable[[Callable[[sqlite3.Connection], Any]], Any]
    live: Container[str]
