"""Another program's SQLite file, opened to be read: it is hostile until shown otherwise. Knows no format."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import sqlite3
import urllib.parse
from collections.abc import Callable
from typing import TypeVar

from tracestore.storage.schema import END_NS

T = TypeVar("T")


def connect(path: str, *, trusts_schema: bool = False) -> sqlite3.Connection:
    """Open the file at `path` read-only; text that is no UTF-8 is mended.

    Args:
        path: The file.
        trusts_schema: Only for programs whose own indexes call functions that SQLite's safe mode refuses.
    """
    quoted = urllib.parse.quote(os.path.abspath(path))  # noqa: PTH100 - as text, links are not followed
    connection = sqlite3.connect(
        f"file:{quoted}?mode=ro", uri=True, isolation_level=None, timeout=10
    )
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    pragmas = ["cell_size_check = ON", "query_only = ON"]
    for pragma in pragmas if trusts_schema else ["trusted_schema = OFF", *pragmas]:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def opened(path: str, kind: Callable[[str, sqlite3.Connection], T]) -> T:
    """Return `kind(path, connection)`, and leave nothing open where that raises."""
    connection = connect(path)
    try:
        return kind(path, connection)
    except BaseException:
        connection.close()
        raise


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the tables; views are none, for a planted one may compute without end."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
    return {row[0] for row in connection.execute(sql)}


def has_tables(path: str, beginning: bytes, names: set[str]) -> bool:
    """Whether the file at `path`, which begins like that, is one of SQLite with tables of these names."""
    if not beginning.startswith(b"SQLite format 3\0"):
        return False
    with contextlib.closing(connect(path)) as connection:
        try:
            return names <= tables_of(connection)
        except sqlite3.DatabaseError:  # another program's schema may not be readable in safe mode
            return False


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns that hold what was written, not what is computed."""
    sql = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
    return {row[0] for row in connection.execute(sql, (table,))}


_DECIMALS = re.compile(r"\.(\d{1,6})\d{0,12}", re.ASCII)


def nanoseconds(text: str) -> int:
    """Return a moment in ISO 8601 as nanoseconds since 1970; one without a zone is UTC."""
    # Python 3.10 reads three or six decimals and no Z.
    plain = _DECIMALS.sub(
        lambda found: f".{found[1]:0<6}", str(text).replace("Z", "+00:00"), count=1
    )
    moment = dt.datetime.fromisoformat(plain)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    found = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    if not 0 <= found < END_NS:
        raise ValueError(f"{text!r} is before 1970, or too far in the future")
    return found
