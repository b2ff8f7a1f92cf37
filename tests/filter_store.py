"""Support: traces as plain dicts, and how they lie in a file.

Written from the comments of the schema, not from the writer, so that the tests of filters need neither.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

from tracestore import filters
from tracestore.storage import indexer, schema


class Span(TypedDict):
    span_id: str
    parent_id: str | None
    name: str
    type: str | None
    status: str
    start_time_ns: int
    end_time_ns: int | None
    error: str | None
    model: str | None
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    inputs: Any
    outputs: Any


class Assessment(TypedDict):
    name: str
    kind: str
    value: Any
    valid: bool


class Recorded(TypedDict, total=False):
    trace_id: str  # of a trace that is in a store; that of others is made of the id


class Trace(Recorded):
    id: int
    experiment: int
    resource: dict[str, str]
    name: str | None
    status: str
    duration_ms: int | None
    client_request_id: str | None
    input_tokens: int | None
    total_cost: float | None
    request_preview: str | None
    tags: dict[str, str]
    metadata: dict[str, str]
    spans: list[Span]
    assessments: list[Assessment]


def open_memory() -> sqlite3.Connection:
    """Return an empty store in memory, ready to search."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    prepare(connection)
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(schema.SCHEMA)
    filters.register(connection)


def trace_id(trace: Trace) -> str:
    return trace.get("trace_id") or f"tr-{trace['id'] % 2**128:032x}"


def insert(connection: sqlite3.Connection, traces: Iterable[Trace]) -> None:
    """Insert traces as the writer would."""
    for trace in traces:
        _insert_trace(connection, trace)
        for table in ("tags", "metadata"):
            rows = trace["tags"] if table == "tags" else trace["metadata"]
            connection.executemany(
                f"INSERT INTO {table} VALUES (?, ?, ?)",
                [(trace["id"], key, value) for key, value in rows.items()],
            )
        for span in trace["spans"]:
            _insert_span(connection, trace["id"], span)
        for assessment in trace["assessments"]:
            _insert_assessment(connection, trace["id"], assessment)
    while indexer.index_some(connection):  # the newest spans stay out of it: a block has four
        pass


def _insert_trace(connection: sqlite3.Connection, trace: Trace) -> None:
    resource = json.dumps(trace["resource"], sort_keys=True)
    connection.execute("INSERT OR IGNORE INTO resources (metadata) VALUES (?)", (resource,))
    (resource_id,) = connection.execute(
        "SELECT id FROM resources WHERE metadata = ?", (resource,)
    ).fetchone()
    connection.execute(
        "INSERT INTO traces (id, trace_id, experiment, resource, name, status, duration_ms,"
        " client_request_id, input_tokens, total_cost, request_preview)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            trace["id"],
            trace_id(trace),
            trace["experiment"],
            resource_id,
            trace["name"],
            trace["status"],
            trace["duration_ms"],
            trace["client_request_id"],
            trace["input_tokens"],
            trace["total_cost"],
            trace["request_preview"],
        ),
    )


def _insert_span(connection: sqlite3.Connection, trace: int, span: Span) -> None:
    connection.execute(
        "INSERT INTO spans (trace, span_id, parent_id, name, type, status, start_time_ns, end_time_ns,"
        " error, model, attributes, events, links, inputs, outputs)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '[]', ?, ?)",
        (
            trace,
            span["span_id"],
            span["parent_id"],
            span["name"],
            span["type"],
            span["status"],
            span["start_time_ns"],
            span["end_time_ns"],
            span["error"],
            span["model"],
            to_json(span["attributes"]),
            to_json(span["events"]),
            None if span["inputs"] is None else to_json(span["inputs"]),
            None if span["outputs"] is None else to_json(span["outputs"]),
        ),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO span_attributes VALUES (?, ?, ?)",
        [(key, value, trace) for key, value in _scalars(span["attributes"], "")],
    )


def _scalars(attributes: dict[str, Any], prefix: str) -> Iterator[tuple[str, str | int | float]]:
    for key, value in attributes.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            yield prefix + key, int(value)
        elif isinstance(value, str):
            yield prefix + key, value[: schema.SCALAR_LENGTH]
        elif isinstance(value, (int, float)):
            yield prefix + key, value


def _insert_assessment(connection: sqlite3.Connection, trace: int, assessment: Assessment) -> None:
    value = assessment["value"]
    scalar = value
    if isinstance(value, bool):
        scalar = "true" if value else "false"
    elif isinstance(value, str):
        scalar = value[: schema.SCALAR_LENGTH]
    elif isinstance(value, (dict, list)):
        scalar = None
    (number,) = connection.execute("SELECT count(*) FROM assessments").fetchone()
    connection.execute(
        "INSERT INTO assessments (assessment_id, trace, name, kind, value, scalar, source_type,"
        " source_id, create_time_ms, last_update_time_ms, valid) VALUES (?, ?, ?, ?, ?, ?, 'HUMAN', 'me', 0, 0, ?)",
        (
            f"a-{number:032x}",
            trace,
            assessment["name"],
            assessment["kind"],
            None if value is None else to_json(value),
            scalar,
            assessment["valid"],
        ),
    )


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
