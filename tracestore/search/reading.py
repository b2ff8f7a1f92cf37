"""Statements of one search, executed at one moment; what SQLite raises becomes an error of this package."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tracestore.errors import QueryTimeoutError, StoreError
from tracestore.filters.sql import Fragment
from tracestore.filters.times import Moment
from tracestore.storage.interruption import heeding_signals

#: How long the regular expressions of one search may take.
REGEX_TIME_S = 5.0

#: Rows that an aggregation takes from SQLite at a time.
CHUNK_ROWS = 8_192


def this_moment() -> Moment:
    """Return now, and until when regular expressions may run."""
    return Moment(time.time_ns(), time.monotonic_ns() + int(REGEX_TIME_S * 1e9))


@dataclass(frozen=True)
class Reading:
    """A connection and the moment at which it is asked."""

    connection: sqlite3.Connection
    moment: Moment

    def execute(self, statement: Fragment) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""

        def execute() -> list[tuple[Any, ...]]:
            return self.connection.execute(statement.text, statement.values).fetchall()

        with self._translated_errors():
            # Without a function in Python it is over soon, and Ctrl-C comes after it.
            calls_python = "tracestore_" in statement.text
            return heeding_signals(self.connection, execute) if calls_python else execute()

    def chunks(self, statement: Fragment) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a statement some thousand at a time; to be read to the end."""
        with self._translated_errors():
            cursor = heeding_signals(
                self.connection, lambda: self.connection.execute(statement.text, statement.values)
            )
            while rows := heeding_signals(self.connection, lambda: cursor.fetchmany(CHUNK_ROWS)):
                yield rows

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn what SQLite raises in the block into errors of this package."""
        try:
            yield
        except sqlite3.Error as error:
            timed_out = time.monotonic_ns() >= self.moment.deadline_ns
            if "user-defined function" in str(error) and timed_out:
                raise QueryTimeoutError(
                    f"the regular expressions of this search took longer than {REGEX_TIME_S:g} s:"
                    " simplify them, or add a condition that leaves fewer traces"
                ) from error
            if "interrupted" in str(error):
                raise QueryTimeoutError("the search was interrupted: narrow the filter") from error
            raise StoreError(f"the search failed: {error}") from error
