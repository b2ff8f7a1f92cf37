"""Records, what the capturing thread hands over, and how a batch of them becomes rows.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began. The order
of columns is said once, here.
"""

from __future__ import annotations

import functools
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.encoding import bindable
from tracestore.entities.span import COST_KEY, USAGE_KEY
from tracestore.entities.trace import TOKEN_USAGE_KEY
from tracestore.storage import payloads
from tracestore.storage.experiment_rows import keys_of_experiments
from tracestore.storage.schema import (
    ID_BITS,
    RESOURCE_KEYS,
    SCALAR_LENGTH,
    SESSION_KEY,
    SHARED_COLUMNS,
    UNINDEXED_ATTRIBUTES,
    USER_KEY,
    whole,
)
from tracestore.storage.statements import Insert, chunks, insert
from tracestore.summary.calls import MODEL_KEYS, first_text, what_was_called


class Usage(msgspec.Struct, omit_defaults=True):
    """Tokens of a trace in the order of their columns. As JSON, what is not known is left out."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


#: What a trace's columns have; a usage with further counts is in `metadata` too, whole.
_USAGE_COLUMNS = frozenset(Usage.__struct_fields__)


class Cost(msgspec.Struct, omit_defaults=True):
    """US dollars of a trace in the order of their columns, likewise."""

    input_cost: float | None = None
    output_cost: float | None = None
    total_cost: float | None = None


#: A span as the capturing thread hands it over: nothing but what SQLite stores, in this order; JSON as UTF-8.
#: A plain tuple, because making one takes 0.05 µs and a named one 0.3.
SPAN_FIELDS = (
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "type",
    "status",
    "status_message",
    "start_time_ns",
    "end_time_ns",
    "error",
    "attributes",
    "events",
    "links",
    "inputs",
    "outputs",
)


SpanRecord = tuple[Any, ...]


#: By span id: what `what_was_called` adds to the attributes of the span.
LookedUp = dict[str, dict[str, Any]]


#: Where the payloads begin: attributes and what comes after them.
PAYLOADS_FROM = SPAN_FIELDS.index("attributes")
_START_TIME = SPAN_FIELDS.index("start_time_ns")
_INPUTS, _OUTPUTS = SPAN_FIELDS.index("inputs"), SPAN_FIELDS.index("outputs")


def size_bytes(record: SpanRecord) -> int:
    """Return about how large a span's record is: the length of its payload columns. 0.3 µs."""
    return sum(map(len, filter(None, record[PAYLOADS_FROM:])))


class TraceRecord(NamedTuple):
    """A trace as a whole at one moment; a later record of the same trace replaces an earlier one."""

    trace_id: str
    experiment: int | str  # a number, or a name: found or made when the trace is written
    start_time_ms: int
    name: str | None
    status: str
    duration_ms: int | None
    client_request_id: str | None
    usage: Mapping[str, int]
    cost: Mapping[str, float]
    request_preview: str | None
    response_preview: str | None
    tags: Mapping[str, str]
    metadata: Mapping[str, str]
    is_part: bool = (
        False  # of a trace that another process began, whose word on the whole goes before
    )


def write_records(
    connection: sqlite3.Connection,
    traces: Sequence[TraceRecord],
    spans: Sequence[SpanRecord],
    looked_up: LookedUp | None = None,
) -> int:
    """Write a batch: new traces get their keys, known ones are replaced, spans likewise.

    Costs that the sum of a trace has been made of are in `looked_up`; those of other spans are looked up here. Spans whose trace is neither in the batch nor in the file (it was deleted) are left out. Returns how many
    spans were written.
    """
    keys = _keys_of(connection, {t.trace_id for t in traces} | {s[0] for s in spans})
    _give_keys(connection, traces, keys)
    if traces:
        resources = _resources_of(connection, traces)
        experiments = keys_of_experiments(connection, {t.experiment for t in traces})
        parts = [trace for trace in traces if trace.is_part]
        wholes = [trace for trace in traces if not trace.is_part] if parts else traces
        for some, (to_traces, to_tags, to_metadata) in ((parts, _PART), (wholes, _WHOLE)):
            rows = [_trace_row(t, keys[t.trace_id], experiments, resources) for t in some]
            insert(connection, to_traces, rows)
            insert(connection, to_tags, list(_tag_rows(some, keys)))
            insert(connection, to_metadata, list(_metadata_rows(some, keys)))
    span_rows, index = _span_rows(spans, keys, looked_up or {})
    _share_texts(connection, span_rows)
    insert(connection, _SPANS, span_rows)
    insert(connection, _SPAN_ATTRIBUTES, list(index))
    return len(span_rows)


_TRACE_COLUMNS = (
    "id",
    "trace_id",
    "experiment",
    "resource",
    "name",
    "status",
    "duration_ms",
    "client_request_id",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
    "input_cost",
    "output_cost",
    "total_cost",
    "request_preview",
    "response_preview",
)


def _replaced(columns: Sequence[str]) -> str:
    return ", ".join(f"{column} = excluded.{column}" for column in columns)


_TRACES = Insert(
    f"INSERT INTO traces ({', '.join(_TRACE_COLUMNS)})",
    len(_TRACE_COLUMNS),
    # One that has ended is not in progress again: a forked child may know it from before its end.
    f"""ON CONFLICT (id) DO UPDATE SET {_replaced(_TRACE_COLUMNS[2:])}
        WHERE excluded.status != 'IN_PROGRESS' OR traces.status = 'IN_PROGRESS'""",
)


TAGS = Insert("INSERT OR REPLACE INTO tags", 3)


METADATA = Insert("INSERT OR REPLACE INTO metadata", 3)


_WHOLE = (_TRACES, TAGS, METADATA)


#: A part adds what is not there, and completes the row that a part has made: it has no name while it runs.
_PART = (
    _TRACES._replace(
        tail=f"""ON CONFLICT (id) DO UPDATE SET {_replaced(_TRACE_COLUMNS[2:])}
        WHERE traces.status = 'IN_PROGRESS' AND traces.name IS NULL"""
    ),
    Insert("INSERT OR IGNORE INTO tags", 3),
    Insert("INSERT OR IGNORE INTO metadata", 3),
)


#: A span's columns are its fields, but for three: texts that are given as UTF-8 come last.
_SPAN_COLUMNS = (
    *("trace", *SPAN_FIELDS[1:PAYLOADS_FROM], "model", "checksum"),
    *SPAN_FIELDS[PAYLOADS_FROM:],
)
_PAYLOADS = len(SPAN_FIELDS) - PAYLOADS_FROM


#: Where in a row the texts are that are kept once.
_SHARED = tuple(_SPAN_COLUMNS.index(column) for column in SHARED_COLUMNS)


#: What a span's checksum is of, in this order: all that was recorded. Not its keys, which a copy gives anew.
CHECKED_COLUMNS = tuple(name for name in _SPAN_COLUMNS[1:] if name != "checksum")

#: The same for SQL that reads them, large texts whole.
WHOLE_COLUMNS = ", ".join(
    whole(name) if name in SHARED_COLUMNS else name for name in CHECKED_COLUMNS
)

#: MessagePack says where each value ends and which is NULL, and is made in 0.2 µs: JSON took three times as long. A text
#: of a type of its own is a text to SQLite too.
_packed = msgspec.msgpack.Encoder(enc_hook=str).encode

#: zlib gives the interpreter lock away for more bytes at once: beside a thread that computes, 6 KB took 16 µs instead
#: of 6, 100 KB 68 instead of 27.
_CRC_BYTES = 5 * 1024


def crc32_of(data: bytes | memoryview, checksum: int = 0) -> int:
    """Return the CRC-32 of `data`, or of what `checksum` is of and `data`, without giving the interpreter lock away."""
    if len(data) <= _CRC_BYTES:
        return zlib.crc32(data, checksum)
    view = memoryview(data)
    for start in range(0, len(view), _CRC_BYTES):
        checksum = zlib.crc32(view[start : start + _CRC_BYTES], checksum)
    return checksum


def checksum_of(values: Sequence[Any]) -> int:
    """Return the checksum of a span's CHECKED_COLUMNS, payloads as UTF-8. 0.8 µs for 1.4 KB."""
    return crc32_of(_packed(values))


def checksum_of_row(values: Sequence[Any]) -> int:
    """Return the checksum of a span's CHECKED_COLUMNS as they are read: payloads as texts."""
    return checksum_of([*values[:-_PAYLOADS], *map(_utf8, values[-_PAYLOADS:])])


def _utf8(value: Any) -> Any:
    return value.encode("utf-8", "replace") if isinstance(value, str) else value


_SPANS = Insert(
    f"INSERT INTO spans ({', '.join(_SPAN_COLUMNS)})",
    len(_SPAN_COLUMNS),
    texts=_PAYLOADS,
    # A span that was written while it was open is completed; an ended one never opens again. It gets a new
    # id, because what follows the file by ids (the text index) has seen the old one. The condition makes SQLite
    # look for each row: a subquery that depends on nothing is answered once a statement.
    tail=f"""ON CONFLICT (trace, span_id) DO UPDATE SET
        id = (SELECT id + 1 FROM spans WHERE excluded.trace NOTNULL ORDER BY id DESC LIMIT 1), {_replaced(_SPAN_COLUMNS[2:])}
        WHERE excluded.end_time_ns IS NOT NULL OR spans.end_time_ns IS NULL""",
)


_SPAN_ATTRIBUTES = Insert("INSERT OR IGNORE INTO span_attributes", 3)


def _keys_of(connection: sqlite3.Connection, trace_ids: Iterable[str]) -> dict[str, int]:
    """Return `traces.id` by trace_id for those that are in the file."""
    keys: dict[str, int] = {}
    for chunk in chunks(list(trace_ids), 500):
        marks = ",".join("?" * len(chunk))
        sql = f"SELECT trace_id, id FROM traces WHERE trace_id IN ({marks})"
        keys.update(connection.execute(sql, chunk).fetchall())
    return keys


def key_of(connection: sqlite3.Connection, trace_id: str) -> int | None:
    """Return the trace's key, None where there is no such trace."""
    row = connection.execute("SELECT id FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
    return None if row is None else int(row[0])


def _give_keys(
    connection: sqlite3.Connection, traces: Sequence[TraceRecord], keys: dict[str, int]
) -> None:
    """Give each new trace the next free key of its millisecond."""
    new = [trace for trace in traces if trace.trace_id not in keys]
    free = free_keys(connection, {trace.start_time_ms for trace in new})
    for trace in new:
        keys[trace.trace_id] = free[trace.start_time_ms]
        free[trace.start_time_ms] += 1


def free_keys(connection: sqlite3.Connection, milliseconds: Iterable[int]) -> dict[int, int]:
    """Return the first free key of each millisecond, many to a statement."""
    free: dict[int, int] = {}
    for chunk in chunks(list(milliseconds), 500):
        marks = ",".join(["(?)"] * len(chunk))
        sql = f"""
            WITH wanted (millisecond) AS (VALUES {marks})
            SELECT millisecond, (SELECT max(id) FROM traces WHERE id BETWEEN
                millisecond << {ID_BITS} AND (millisecond << {ID_BITS}) + {(1 << ID_BITS) - 1})
            FROM wanted"""
        for millisecond, last in connection.execute(sql, chunk).fetchall():
            free[millisecond] = millisecond << ID_BITS if last is None else last + 1
    return free


def _resources_of(connection: sqlite3.Connection, traces: Sequence[TraceRecord]) -> dict[str, int]:
    """Return `resources.id` by its text for every text in the batch, adding what is new."""
    ids: dict[str, int] = {}
    for text in {_resource_text(trace.metadata) for trace in traces}:
        connection.execute("INSERT OR IGNORE INTO resources (metadata) VALUES (?)", (text,))
        found = connection.execute("SELECT id FROM resources WHERE metadata = ?", (text,))
        ids[text] = found.fetchone()[0]
    return ids


_RESOURCE_KEYS = tuple(sorted(RESOURCE_KEYS))


def _resource_text(metadata: Mapping[str, str]) -> str:
    return _encoded_resource(tuple(map(metadata.get, _RESOURCE_KEYS)))


@functools.lru_cache(maxsize=64)  # nearly always the same one
def _encoded_resource(values: tuple[str | None, ...]) -> str:
    resource = {key: value for key, value in zip(_RESOURCE_KEYS, values) if value is not None}  # noqa: B905 - same length
    return msgspec.json.encode(resource).decode()


def _trace_row(
    trace: TraceRecord,
    key: int,
    experiments: Mapping[int | str, int],
    resources: Mapping[str, int],
) -> tuple[Any, ...]:
    return (
        key,
        trace.trace_id,
        experiments[trace.experiment],
        resources[_resource_text(trace.metadata)],
        trace.name,
        trace.status,
        trace.duration_ms,
        trace.client_request_id,
        *map(trace.usage.get, Usage.__struct_fields__),
        *map(trace.cost.get, Cost.__struct_fields__),
        trace.request_preview,
        trace.response_preview,
    )


def _tag_rows(
    traces: Sequence[TraceRecord], keys: Mapping[str, int]
) -> Iterator[tuple[int, str, str]]:
    for trace in traces:
        key = keys[trace.trace_id]
        for name, value in trace.tags.items():
            yield key, name, value


def _metadata_rows(
    traces: Sequence[TraceRecord], keys: Mapping[str, int]
) -> Iterator[tuple[int, str, str]]:
    for trace in traces:
        key = keys[trace.trace_id]
        for name, value in trace.metadata.items():
            if name not in RESOURCE_KEYS:
                yield key, name, value
        for name in (SESSION_KEY, USER_KEY):
            if name in trace.tags and name not in trace.metadata:
                yield key, name, trace.tags[name]
        if trace.usage.keys() - _USAGE_COLUMNS and TOKEN_USAGE_KEY not in trace.metadata:
            yield key, TOKEN_USAGE_KEY, msgspec.json.encode(trace.usage).decode()


def _span_rows(
    spans: Sequence[SpanRecord], keys: Mapping[str, int], looked_up: LookedUp
) -> tuple[list[tuple[Any, ...]], set[tuple[str, Any, int]]]:
    rows: list[tuple[Any, ...]] = []
    index: set[tuple[str, Any, int]] = set()
    for span in spans:
        key = keys.get(span[0])
        if key is None:
            continue
        model = None
        own = span[PAYLOADS_FROM]
        if own is not None:
            attributes = msgspec.json.decode(own)
            if USAGE_KEY in attributes and COST_KEY not in attributes:
                added = looked_up.get(span[1])
                if added is None:
                    added = what_was_called(
                        attributes.get, span[_INPUTS], span[_OUTPUTS], span[_START_TIME]
                    )
                if added:
                    attributes |= added
                    own = _with_members(own, added)
            model = first_text(attributes.get, MODEL_KEYS)
            index.update((name, value, key) for name, value in indexed_attributes(attributes))
        said = (*span[1:PAYLOADS_FROM], model)
        contents = (own, *span[PAYLOADS_FROM + 1 :])
        rows.append((key, *said, checksum_of((*said, *contents)), *contents))
    return rows, index


def _share_texts(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Put references in the place of large texts."""
    places = [
        (number, column)
        for number, row in enumerate(rows)
        for column in _SHARED
        if payloads.is_large(row[column])
    ]
    if not places:
        return
    texts = payloads.stored(
        connection, [(rows[number][0], rows[number][column].decode()) for number, column in places]
    )
    for (number, column), text in zip(places, texts, strict=True):
        row = rows[number]
        rows[number] = (*row[:column], text, *row[column + 1 :])


def _with_members(payload: bytes, added: Mapping[str, Any]) -> bytes:
    """Return the JSON of a non-empty object with further members."""
    return b"%b,%b" % (payload[:-1], msgspec.json.encode(added)[1:])


def indexed_attributes(
    attributes: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str | int | float]]:
    """Yield what the attribute index holds of decoded attributes: dotted keys and scalar values."""
    for name, value in attributes.items():
        key = prefix + name
        if key in UNINDEXED_ATTRIBUTES:
            continue
        if isinstance(value, str):
            yield key, value[:SCALAR_LENGTH].replace("\0", "␀")
        elif isinstance(value, dict):
            yield from indexed_attributes(value, key + ".")
        elif isinstance(value, int):
            yield key, bindable(int(value))  # int: True is 1
        elif isinstance(value, float):
            yield key, value
