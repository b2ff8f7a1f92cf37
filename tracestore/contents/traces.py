"""Traces that are there: found by id, tagged, given metadata, deleted. `searches` finds them by what they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from tracestore.contents import names
from tracestore.contents.recordings import Recording
from tracestore.encoding import text_of
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.storage import record_rows, statements, trace_rows
from tracestore.storage.file import File
from tracestore.storage.schema import ID_BITS


def get(file: File, running: Recording | None, trace_id: str) -> Trace:
    """Return one trace, also one that is still running, with its spans as they stand."""
    if running is not None:
        running.announce_open()
    with file.reading() as connection:
        key = record_rows.key_of(connection, trace_id)
        traces = [] if key is None else list(trace_rows.load_traces(connection, [key]))
    if not traces:
        raise NotFoundError(f"trace {trace_id!r} is not in {file.path}")
    return traces[0]


def set_tag(file: File, running: Recording | None, trace_id: str, key: str, value: Any) -> None:
    """Set one tag of a trace, running or stored."""
    key, text = names.tag(key, value)
    if running is not None:
        running.set_tag(key, text)
    elif not file.write(lambda connection: trace_rows.set_tag(connection, trace_id, key, text)):
        raise NotFoundError(f"trace {trace_id!r} is not in {file.path}")


def delete_tag(file: File, running: Recording | None, trace_id: str, key: str) -> None:
    """Delete one tag of a trace, running and stored."""
    found = running is not None and running.delete_tag(key)
    stored = file.write(lambda connection: trace_rows.delete_tag(connection, trace_id, key))
    if not (found or stored):
        raise NotFoundError(f"trace {trace_id!r} has no tag {key!r}")


def set_metadata(file: File, trace_ids: Sequence[str], key: str, value: Any) -> None:
    """Set one metadata text of stored traces: of all or, where one is not there, of none."""
    key, text = names.tag(key, value)

    def set_all(connection: sqlite3.Connection) -> str | None:
        keys = {each: record_rows.key_of(connection, each) for each in trace_ids}
        missing = next((each for each, found in keys.items() if found is None), None)
        if missing is None:
            rows = [(found, key, text) for found in keys.values()]
            statements.insert(connection, record_rows.METADATA, rows)
        return missing

    missing = file.write(set_all)
    if missing is not None:
        raise NotFoundError(f"trace {missing!r} is not in {file.path}")


def delete_metadata(file: File, trace_ids: Sequence[str], key: str, value: Any) -> None:
    """Delete one metadata text of stored traces, where it is `value`."""

    def delete_all(connection: sqlite3.Connection) -> None:
        for trace_id in trace_ids:
            connection.execute(
                "DELETE FROM metadata WHERE key = ? AND value = ?"
                " AND trace = (SELECT id FROM traces WHERE trace_id = ?)",
                (key, text_of(value), trace_id),
            )

    file.write(delete_all)


def delete(
    file: File,
    experiment_id: str,
    max_timestamp_millis: int | None,
    max_traces: int | None,
    trace_ids: Sequence[str] | None,
) -> int:
    """Delete traces of one experiment, by id or up to a time, oldest first; return how many."""
    if (max_timestamp_millis is None) == (not trace_ids):
        raise InvalidArgumentError("pass either max_timestamp_millis or trace_ids (not empty)")
    if max_traces is not None and (max_timestamp_millis is None or max_traces < 1):
        raise InvalidArgumentError("max_traces goes with max_timestamp_millis and is at least 1")
    experiment = names.experiment_key(experiment_id)

    def delete_all(connection: sqlite3.Connection) -> int:
        if max_timestamp_millis is not None:
            keys = trace_rows.keys_up_to(
                connection, experiment, ((max_timestamp_millis + 1) << ID_BITS) - 1, max_traces
            )
        else:
            keys = trace_rows.keys_among(connection, experiment, trace_ids or ())
        return trace_rows.delete_traces(connection, keys)

    return file.write(delete_all)  # type: ignore[no-any-return]  # how many there were
