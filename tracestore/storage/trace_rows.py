"""Stored traces: read back as entities, tagged, deleted, counted.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began. Traces go
by their key, `traces.id`.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.entities import Span, Trace, TraceData, TraceInfo, TraceLocation, TraceState
from tracestore.entities.trace import COST_KEY, NAME_KEY, SCHEMA_KEY, TOKEN_USAGE_KEY
from tracestore.storage import indexer, payloads
from tracestore.storage.assessment_rows import assessment_of, assessments_by_trace
from tracestore.storage.record_rows import (
    METADATA,
    TAGS,
    Cost,
    Usage,
    indexed_attributes,
    key_of,
)
from tracestore.storage.schema import ID_BITS, SESSION_KEY, USER_KEY, whole
from tracestore.storage.statements import chunks, insert


def keys_up_to(
    connection: sqlite3.Connection, experiment: int, last_key: int, limit: int | None
) -> list[int]:
    """Return the keys of an experiment's traces up to `last_key`, the oldest first."""
    sql = "SELECT id FROM traces WHERE experiment = ? AND id <= ? ORDER BY id LIMIT ?"
    values = (experiment, min(last_key, 2**63 - 1), -1 if limit is None else limit)
    return [row[0] for row in connection.execute(sql, values).fetchall()]


def keys_among(
    connection: sqlite3.Connection, experiment: int, trace_ids: Sequence[str]
) -> list[int]:
    """Return the keys of those traces that are in the experiment."""
    keys: list[int] = []
    for chunk in chunks(list(trace_ids), 500):
        marks = ",".join("?" * len(chunk))
        sql = f"SELECT id FROM traces WHERE trace_id IN ({marks}) AND experiment = ?"
        keys += [row[0] for row in connection.execute(sql, (*chunk, experiment)).fetchall()]
    return keys


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many traces, spans and assessments there are."""
    tables = ("traces", "spans", "assessments")
    return {
        table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables
    }


def span_counts(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> dict[str, int]:
    """Return how many spans each of those traces has that are there, by trace id."""
    sql = """
        SELECT t.trace_id, (SELECT count(*) FROM spans WHERE trace = t.id)
        FROM json_each(?) AS wanted JOIN traces AS t ON t.trace_id = wanted.value
    """
    return dict(connection.execute(sql, (json.dumps(list(trace_ids)),)).fetchall())


def failures(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> dict[str, str]:
    """Return the error of each of those traces that failed, by trace id: of its failed span that started last."""
    sql = """
        SELECT t.trace_id, (
            SELECT coalesce(error, status_message) FROM spans
            WHERE trace = t.id AND status = 'ERROR' ORDER BY start_time_ns DESC, id LIMIT 1
        ) AS said
        FROM json_each(?) AS wanted JOIN traces AS t ON t.trace_id = wanted.value
        WHERE t.status = 'ERROR' AND said IS NOT NULL
    """
    return dict(connection.execute(sql, (json.dumps(list(trace_ids)),)).fetchall())


def set_tag(connection: sqlite3.Connection, trace_id: str, name: str, value: str) -> bool:
    """Set one tag of a stored trace; False where there is no such trace."""
    key = key_of(connection, trace_id)
    if key is None:
        return False
    if name == NAME_KEY:
        connection.execute("UPDATE traces SET name = ? WHERE id = ?", (value, key))
        return True
    insert(connection, TAGS, [(key, name, value)])
    if name in (SESSION_KEY, USER_KEY):
        insert(connection, METADATA, [(key, name, value)])
    return True


def delete_tag(connection: sqlite3.Connection, trace_id: str, name: str) -> bool:
    """Delete one tag of a stored trace; False where the trace or the tag is not there."""
    if name == NAME_KEY:
        sql = "UPDATE traces SET name = NULL WHERE trace_id = ? AND name IS NOT NULL"
        return connection.execute(sql, (trace_id,)).rowcount > 0
    sql = "DELETE FROM tags WHERE trace = (SELECT id FROM traces WHERE trace_id = ?) AND key = ?"
    return connection.execute(sql, (trace_id, name)).rowcount > 0


def ids_of(connection: sqlite3.Connection, keys: Sequence[int]) -> list[tuple[str, int]]:
    """Return (trace_id, key) of each key that is there."""
    sql = "SELECT t.trace_id, t.id FROM json_each(?) AS wanted JOIN traces AS t ON t.id = wanted.value"
    return connection.execute(sql, (_json_array(keys),)).fetchall()


#: Traces deleted by one statement for each table; more bind no faster.
_DELETED_TRACES = 1_000


def delete_traces(connection: sqlite3.Connection, keys: Sequence[int]) -> int:
    """Delete traces by key with everything of theirs; return how many there were.

    1,000 traces of 4 spans and 5.6 KB take about 50 ms.
    """
    traces = spans = 0
    for chunk in chunks(keys, _DELETED_TRACES):
        _delete_indexed_attributes(connection, chunk)
        wanted = (_json_array(chunk),)
        for table in ("tags", "metadata", "assessments"):
            connection.execute(f"DELETE FROM {table} WHERE {_AMONG.format('trace')}", wanted)
        payloads.delete_traces(connection, *wanted)
        sql = f"DELETE FROM spans WHERE {_AMONG.format('trace')}"
        spans += connection.execute(sql, wanted).rowcount
        sql = f"DELETE FROM traces WHERE {_AMONG.format('id')}"
        traces += connection.execute(sql, wanted).rowcount
    indexer.forget_spans(connection, spans)
    return traces


_AMONG = "{} IN (SELECT value FROM json_each(?))"


def _delete_indexed_attributes(connection: sqlite3.Connection, keys: Sequence[int]) -> None:
    sql = f"SELECT trace, attributes FROM spans WHERE {_AMONG.format('trace')} AND attributes IS NOT NULL"
    index: set[tuple[str, Any, int]] = set()
    for key, text in connection.execute(sql, (_json_array(keys),)).fetchall():
        pairs = indexed_attributes(msgspec.json.decode(text))
        index.update((name, value, key) for name, value in pairs)
    connection.executemany(
        "DELETE FROM span_attributes WHERE key = ? AND value = ? AND trace = ?",
        sorted(index, key=repr),  # in the order of the index: neighbours are on the same page
    )


#: Traces loaded at a time: enough to spread what a statement costs, few enough to be gone before the garbage
#: collector looks at them, where the caller does not keep them.
LOADED_TRACES = 500


def load_traces(
    connection: sqlite3.Connection, keys: Sequence[int], *, include_spans: bool = True
) -> Iterator[Trace]:
    """Yield the trace of each key, in the order of `keys`; keys that are gone are left out."""
    for chunk in chunks(keys, LOADED_TRACES):
        infos = load_infos(connection, chunk)
        spans = load_spans(connection, chunk) if include_spans else {}
        for info in infos:
            yield Trace(info, TraceData(spans.get(info.trace_id, [])))


#: In the order of the keys, which are bound as one JSON array: CROSS JOIN keeps the outer loop's order. Texts
#: by trace arrive as one JSON object, which takes a third of the time of a row for each text.
_INFOS = """
    SELECT t.*,
           (SELECT json_group_object(key, value) FROM tags WHERE trace = t.id),
           (SELECT json_group_object(key, value) FROM metadata WHERE trace = t.id)
    FROM json_each(?) AS wanted CROSS JOIN traces AS t ON t.id = wanted.value"""


_decode_texts = msgspec.json.Decoder(dict[str, str]).decode


def load_infos(connection: sqlite3.Connection, keys: Sequence[int]) -> list[TraceInfo]:
    """Return the TraceInfo of each key, in the order of `keys`; keys that are gone are left out."""
    location = functools.cache(TraceLocation.from_experiment_id)
    return [
        _trace_info(row, location(str(row[2])), resource, assessments)
        for row, resource, assessments in read_infos(connection, keys)
    ]


#: A row of _INFOS, metadata that all traces of its program have, rows of its assessments.
_InfoRow = tuple[Sequence[Any], Mapping[str, str], Sequence[Sequence[Any]]]


def read_infos(connection: sqlite3.Connection, keys: Sequence[int]) -> Iterator[_InfoRow]:
    """Yield what the file holds about the trace of each key, in the order of `keys`."""
    wanted = (_json_array(keys),)
    assessments = assessments_by_trace(connection, wanted)
    resource = functools.cache(functools.partial(resource_of, connection))
    for row in connection.execute(_INFOS, wanted):
        yield row, resource(row[3]), assessments.get(row[0], ())


def _json_array(keys: Sequence[int]) -> str:
    return msgspec.json.encode(keys).decode()


def _trace_info(
    row: Sequence[Any],
    location: TraceLocation,
    resource: Mapping[str, str],
    assessments: Sequence[Sequence[Any]],
) -> TraceInfo:
    metadata, tags = texts_of(row, resource)
    return TraceInfo(
        trace_id=row[1],
        trace_location=location,
        request_time=row[0] >> ID_BITS,
        state=STATES.get(row[5], TraceState.STATE_UNSPECIFIED),
        request_preview=row[16],
        response_preview=row[17],
        client_request_id=row[7],
        execution_duration=row[6],
        trace_metadata=metadata,
        tags=tags,
        assessments=[assessment_of(assessment, row[1]) for assessment in assessments],
    )


_encode = msgspec.json.Encoder().encode
_NO_USAGE = (None,) * len(Usage.__struct_fields__)
_NO_COST = (None,) * len(Cost.__struct_fields__)


def texts_of(
    row: Sequence[Any], resource: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the metadata and the tags of a row of `read_infos`."""
    metadata = {**resource, **_decode_texts(row[-1])}
    if row[8:13] != _NO_USAGE and TOKEN_USAGE_KEY not in metadata:
        metadata[TOKEN_USAGE_KEY] = _encode(Usage(*row[8:13])).decode()
    if row[13:16] != _NO_COST and COST_KEY not in metadata:
        metadata[COST_KEY] = _encode(Cost(*row[13:16])).decode()
    tags = _decode_texts(row[-2])
    if row[4] is not None:
        tags[NAME_KEY] = row[4]
    return metadata, tags


#: By value; calling the enumeration takes five times as long.
STATES = {state.value: state for state in TraceState}


def resource_of(connection: sqlite3.Connection, key: int) -> dict[str, str]:
    """Return the metadata that all traces of one program have."""
    row = connection.execute("SELECT metadata FROM resources WHERE id = ?", (key,)).fetchone()
    return {SCHEMA_KEY: "3", **({} if row is None else _decode_texts(row[0]))}


_SPANS_OF = f"""
    SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.type, s.status, s.status_message,
           s.start_time_ns, s.end_time_ns, s.attributes, s.events, s.links,
           {whole("s.inputs")}, {whole("s.outputs")}
    FROM json_each(?) AS wanted CROSS JOIN traces AS t ON t.id = wanted.value
         CROSS JOIN spans AS s ON s.trace = t.id
    ORDER BY s.trace, s.parent_id IS NOT NULL, s.start_time_ns, s.id"""


def load_spans(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[str, list[Span]]:
    """Return the spans of each trace by its trace_id: roots first, then by start time."""
    spans: dict[str, list[Span]] = {}
    for row in connection.execute(_SPANS_OF, (_json_array(keys),)):
        spans.setdefault(row[0], []).append(Span(*row))
    return spans
