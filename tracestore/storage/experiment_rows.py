"""Experiments as rows, and how a trace finds the one it was recorded into.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tracestore.entities import Experiment

log = logging.getLogger("tracestore")


def find_experiments(
    connection: sqlite3.Connection, condition: str, values: Sequence[Any]
) -> list[Experiment]:
    """Return the experiments that meet `condition` (our own SQL text), the newest first."""
    sql = f"""SELECT id, name, artifact_location, lifecycle_stage, creation_time_ms,
        last_update_time_ms FROM experiments WHERE {condition} ORDER BY creation_time_ms DESC, id DESC"""
    found = []
    for key, name, location, stage, created, updated in connection.execute(sql, values).fetchall():
        sql = "SELECT key, value FROM experiment_tags WHERE experiment = ?"
        tags = dict(connection.execute(sql, (key,)).fetchall())
        found.append(Experiment(str(key), name, location, stage, tags, created, updated))
    return found


def insert_experiment(
    connection: sqlite3.Connection,
    name: str,
    artifact_location: str | None,
    now_ms: int,
    tags: Mapping[str, str],
) -> int:
    """Add an active experiment and return its key."""
    cursor = connection.execute(
        "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time_ms,"
        " last_update_time_ms) VALUES (?, ?, 'active', ?, ?)",
        (name, artifact_location, now_ms, now_ms),
    )
    key = cursor.lastrowid or 0
    for name_, value in tags.items():
        connection.execute("INSERT INTO experiment_tags VALUES (?, ?, ?)", (key, name_, value))
    return key


def update_experiment(
    connection: sqlite3.Connection, key: int, now_ms: int, **columns: str
) -> None:
    """Change columns (names of our own) of an experiment, and the time of its last change."""
    changes = ", ".join(f"{column} = ?" for column in columns)
    connection.execute(
        f"UPDATE experiments SET {changes}, last_update_time_ms = ? WHERE id = ?",
        (*columns.values(), now_ms, key),
    )


def set_tag(connection: sqlite3.Connection, key: int, name: str, value: str) -> None:
    """Set one tag of an experiment that is there."""
    connection.execute(
        "INSERT OR REPLACE INTO experiment_tags (experiment, key, value) VALUES (?, ?, ?)",
        (key, name, value),
    )


def delete_tag(connection: sqlite3.Connection, key: int, name: str) -> bool:
    """Delete one tag of an experiment; False where it has none of that name."""
    sql = "DELETE FROM experiment_tags WHERE experiment = ? AND key = ?"
    return connection.execute(sql, (key, name)).rowcount > 0


def keys_of_experiments(
    connection: sqlite3.Connection, wanted: Iterable[int | str]
) -> dict[int | str, int]:
    """Return `experiments.id` of every experiment by its number or name; a name that is new is added."""
    found: dict[int | str, int] = {}
    for experiment in wanted:
        column = "name" if isinstance(experiment, str) else "id"
        sql = f"SELECT id FROM experiments WHERE {column} = ?"
        row = connection.execute(sql, (experiment,)).fetchone()
        if row is not None:
            found[experiment] = row[0]
        elif isinstance(experiment, str):
            found[experiment] = insert_experiment(
                connection, experiment, None, time.time_ns() // 1_000_000, {}
            )
        else:
            _warn_of_experiment(experiment)
            found[experiment] = 0
    return found


@functools.lru_cache(maxsize=64)  # said once
def _warn_of_experiment(experiment: int) -> None:
    log.warning("there is no experiment %d; its traces go to experiment 0, Default", experiment)
