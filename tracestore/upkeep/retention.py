"""Standing limits of a file: kept in it, applied by whoever writes to it when there is nothing to write.

The limits are one entry of the table `state`, so every process that records obeys the same. Knows limits and
sweeps; the writer decides when there is time. Invariant: a step holds the file about as long as a batch does.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections.abc import Container

import msgspec

from tracestore import filters
from tracestore.errors import StoreError, TracestoreError
from tracestore.upkeep import LOCK_S, space
from tracestore.upkeep.limits import Limits
from tracestore.upkeep.prune import Sweep
from tracestore.upkeep.standing import STATE_NAME

log = logging.getLogger("tracestore")


def read(connection: sqlite3.Connection) -> Limits | None:
    """Return the standing limits, None where there are none.

    Raises:
        StoreError: They are not such as this version writes.
    """
    row = connection.execute("SELECT value FROM state WHERE name = ?", (STATE_NAME,)).fetchone()
    return None if row is None else _limits(row[0])


def _limits(text: str) -> Limits:
    try:
        return msgspec.json.decode(text, type=Limits)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"the retention in the file can't be read: {error}; set it again, or upgrade tracestore"
        ) from error


def write(connection: sqlite3.Connection, limits: Limits | None) -> None:
    """Set the standing limits, in the transaction that the caller began; None: no limits."""
    connection.execute("DELETE FROM state WHERE name = ?", (STATE_NAME,))
    if limits is not None:
        text = msgspec.json.encode(limits).decode()
        connection.execute("INSERT INTO state VALUES (?, ?)", (STATE_NAME, text))


def begin(connection: sqlite3.Connection, text: str, live: Container[str]) -> Application | None:
    """Return the limits ready to be applied; None, and a warning, where they can't be."""
    filters.register(connection)
    try:
        sweep = Sweep(_limits(text), live)
        sweep.measure(connection)
    except TracestoreError as error:  # set by a newer version, or a filter that takes too long
        _warn(str(error))
        return None
    return Application(sweep)


@functools.lru_cache(maxsize=16)  # said once, not every minute
def _warn(reason: str) -> None:
    log.warning("retention is not applied: %s", reason)


class Application:
    """The standing limits applied once: traces deleted, then space given back, bit by bit."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep: Sweep | None = sweep
        self._keys: list[int] = []
        self._gives_back = False

    def has_work(self, connection: sqlite3.Connection) -> bool:
        """Select the next traces; return whether there are any, or free pages to give back."""
        if self._sweep is not None:
            self._keys = self._sweep.select(connection)
            if not self._keys:
                self._sweep = None
                self._gives_back = space.page_counts(connection)[1] > space.SPARE_PAGES
        return bool(self._keys) or self._gives_back

    def do_some(self, connection: sqlite3.Connection) -> None:
        """Delete the traces selected last, or give some pages back."""
        if self._sweep is not None:
            keys, self._keys = self._keys, []
            self._sweep.delete(connection, keys)
        else:
            self._gives_back = space.give_back(connection, LOCK_S, space.SPARE_PAGES)
