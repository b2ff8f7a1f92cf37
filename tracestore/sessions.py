"""Which sessions there are, the newest first, and which traces each has.

Knows a connection and searches; what a session adds up to is the entity's business. A session is newest by its
newest trace. Invariant: no session is found twice, and none whose id is empty.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from tracestore import filters, search
from tracestore.filters import ast
from tracestore.storage.schema import SESSION_KEY

#: Newest traces that are walked before the sessions are gone through one by one: 20,000 take 40 ms.
WALKED_TRACES = 20_000

#: Traces of the first page where a filter chooses them; each further page is four times as large.
_FIRST_PAGE = 1_000


def newest_sessions(
    connection: sqlite3.Connection, query: search.Query, limit: int | None
) -> list[str]:
    """Return the ids of at most `limit` sessions that have a trace that meets `query`, the newest first."""
    if limit is not None and limit <= 0:
        return []
    if query.filter_string or query.also:
        return _first(_chosen(connection, query), limit)
    found = _first(_walked(connection, query.experiments), limit)
    if limit is not None and len(found) == limit:
        return found
    rows = connection.execute(_EACH_SESSION, _values(query.experiments) | {"limit": limit or -1})
    return [row[0] for row in rows.fetchall()]


def keys_of_sessions(
    connection: sqlite3.Connection, session_ids: Sequence[str], query: search.Query
) -> list[list[int]]:
    """Return the keys of each session's traces that meet `query`, the oldest first."""
    if query.filter_string or query.also:
        return [_chosen_members(connection, each, query) for each in session_ids]
    found: dict[str, list[int]] = {each: [] for each in session_ids}
    wanted = {"sessions": msgspec.json.encode(session_ids).decode()}
    for session, trace in connection.execute(_MEMBERS, _values(query.experiments) | wanted):
        found[session].append(trace)
    return [found[each] for each in session_ids]


_MEMBERS = """
    SELECT m.value, m.trace
    FROM json_each(:sessions) AS wanted
    CROSS JOIN metadata AS m ON m.key = :key AND m.value = wanted.value
    CROSS JOIN traces AS t ON t.id = m.trace
    WHERE :experiments IS NULL OR t.experiment IN (SELECT value FROM json_each(:experiments))
    ORDER BY wanted.id, m.trace"""


def _chosen_members(
    connection: sqlite3.Connection, session_id: str, query: search.Query
) -> list[int]:
    also = (*query.also, filters.equals("metadata", SESSION_KEY, session_id))
    whole = search.Query(query.filter_string, "timestamp ASC", query.experiments, also)
    return search.search_ids(connection, whole, None)[0]


def _first(sessions: Iterator[str], limit: int | None) -> list[str]:
    """Return the first `limit` distinct ids."""
    found: dict[str, None] = {}
    for session in sessions:
        if session:
            found[session] = None
            if len(found) == limit:
                break
    return list(found)


# The experiments are bound as a JSON array, or as NULL for all; one alone is also bound by itself, for its index.
_IN_EXPERIMENTS = """
    (:experiments IS NULL OR t.experiment IN (SELECT value FROM json_each(:experiments)))"""

_WALK = f"""
    SELECT (SELECT value FROM metadata WHERE trace = t.id AND key = :key)
    FROM traces AS t WHERE {_IN_EXPERIMENTS} ORDER BY t.id DESC LIMIT :limit"""

_WALK_ONE = """
    SELECT (SELECT value FROM metadata WHERE trace = t.id AND key = :key)
    FROM traces AS t WHERE t.experiment = :experiment ORDER BY t.id DESC LIMIT :limit"""

#: From one session id to the next in the index, never over the traces between; of each its newest trace.
_EACH_SESSION = f"""
    WITH RECURSIVE sessions (id) AS (
        SELECT min(value) FROM metadata WHERE key = :key AND value > ''
        UNION ALL
        SELECT (SELECT min(value) FROM metadata WHERE key = :key AND value > sessions.id)
        FROM sessions WHERE sessions.id IS NOT NULL
    )
    SELECT sessions.id, (
        SELECT m.trace FROM metadata AS m
        WHERE m.key = :key AND m.value = sessions.id
          AND EXISTS (SELECT 1 FROM traces AS t WHERE t.id = m.trace AND {_IN_EXPERIMENTS})
        ORDER BY m.trace DESC LIMIT 1) AS newest
    FROM sessions WHERE sessions.id IS NOT NULL AND newest IS NOT NULL
    ORDER BY newest DESC LIMIT :limit"""


def _values(experiments: tuple[int, ...] | None) -> dict[str, object]:
    array = None if experiments is None else msgspec.json.encode(experiments).decode()
    alone = experiments[0] if experiments is not None and len(experiments) == 1 else None
    return {"key": SESSION_KEY, "experiments": array, "experiment": alone}


def _walked(connection: sqlite3.Connection, experiments: tuple[int, ...] | None) -> Iterator[str]:
    """Yield the session of each of the newest traces that has one."""
    values = _values(experiments) | {"limit": WALKED_TRACES}
    sql = _WALK if values["experiment"] is None else _WALK_ONE
    cursor = connection.execute(sql, values)
    try:
        yield from (row[0] for row in cursor if row[0] is not None)
    finally:
        cursor.close()


def _chosen(connection: sqlite3.Connection, query: search.Query) -> Iterator[str]:
    """Yield the session of each trace that meets `query` and has one, the newest first."""
    has_session = ast.NullTest(ast.Reference(None, "session"), negated=True)
    also = (*query.also, has_session)
    within = search.Query(query.filter_string, None, query.experiments, also)
    token: str | None = None
    size = _FIRST_PAGE
    while True:
        keys, token = search.search_ids(connection, within, size, token)
        sql = """
            SELECT m.value FROM json_each(?) AS wanted
            CROSS JOIN metadata AS m ON m.trace = wanted.value AND m.key = ?"""
        values = (msgspec.json.encode(keys).decode(), SESSION_KEY)
        yield from (row[0] for row in connection.execute(sql, values).fetchall())
        if token is None:
            return
        size *= 4
