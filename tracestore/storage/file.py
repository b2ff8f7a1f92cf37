"""A store's file as those see it that read and change what is in it; they know no Store, so that one can be built on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import Any, NamedTuple


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
