"""Many rows in one statement, and many values in a few: what every module that writes rows is built on."""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

#: Values bound by one multi-row INSERT. Each statement hands the interpreter lock over, and a thread that
#: computes gives it back only after 5 ms: with 50 rows a statement the writer got 400 to 3,000 traces/s beside a
#: busy loop, with 4,352 values 2,500 to 4,000. Larger ones gain nothing and cost a tenth more processor time.
#: 256 spans.
VALUES_PER_STATEMENT = 4_352


class Insert(NamedTuple):
    """One INSERT statement: what stands before VALUES, one row's placeholders, what stands after.

    Attributes:
        texts: How many of the last columns are texts that are given as UTF-8.
    """

    head: str
    columns: int
    tail: str = ""
    texts: int = 0

    @functools.cache  # noqa: B019 - a constant of this module
    def sql(self, rows: int) -> str:
        """Return the text of the statement for so many rows."""
        values = ["?"] * (self.columns - self.texts) + ["CAST(? AS TEXT)"] * self.texts
        row = f"({','.join(values)})"
        return f"{self.head} VALUES {','.join([row] * rows)} {self.tail}"


def insert(
    connection: sqlite3.Connection, statement: Insert, rows: Sequence[Sequence[Any]]
) -> None:
    """Insert `rows`, many to a statement: by powers of two, so that few texts stay prepared."""
    start = 0
    size = 1 << (VALUES_PER_STATEMENT // statement.columns).bit_length() - 1
    while start < len(rows):
        while size > len(rows) - start:
            size >>= 1
        chunk = rows[start : start + size]
        connection.execute(statement.sql(size), list(itertools.chain.from_iterable(chunk)))
        start += size


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in parts of `size`, the last one perhaps shorter."""
    return (items[start : start + size] for start in range(0, len(items), size))
