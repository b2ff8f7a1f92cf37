"""When the standing limits of a file are looked at; light, because every program that records has it.

Knows where the limits are kept and the clock. What they say and how they are applied is in retention.py, which
is imported once there are any.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Container
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracestore.upkeep.retention import Application

#: How often a writing process looks whether something is to go, in seconds.
CHECK_EVERY_S = 60.0

#: The entry of the table `state` that holds the limits.
STATE_NAME = "upkeep.retention"

_SELECT = "SELECT value FROM state WHERE name = ?"


class StandingLimits:
    """The idle work of one file's writer that applies its standing limits."""

    def __init__(self, live: Container[str]) -> None:
        self._live = live
        self._next_check = 0.0
        self._application: Application | None = None

    def check_soon(self) -> None:
        """Look at the limits when there is time, however recent the last look was: they have changed."""
        self._next_check = 0.0

    def has_work(self, connection: sqlite3.Connection) -> bool:
        """Whether traces are to go, or space to be given back."""
        if self._application is None:
            now = time.monotonic()
            if now < self._next_check:
                return False
            self._next_check = now + CHECK_EVERY_S
            self._application = self._begin(connection)
        if self._application is not None and self._application.has_work(connection):
            return True
        self._application = None
        return False

    def _begin(self, connection: sqlite3.Connection) -> Application | None:
        row = connection.execute(_SELECT, (STATE_NAME,)).fetchone()
        if row is None:
            return None
        from tracestore.upkeep import retention  # noqa: PLC0415 - only where there are limits

        return retention.begin(connection, row[0], self._live)

    def do_some(self, connection: sqlite3.Connection) -> None:
        """Delete a few traces, or give a few pages back."""
        if self._application is not None:
            self._application.do_some(connection)
