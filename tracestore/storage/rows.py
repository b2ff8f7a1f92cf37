"""Where records and entities meet rows: what is written for a batch, and what is read back.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began. The order
of columns is said once, here.
"""

from __future__ import annotations

import functools
import itertools
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from tracestore.encoding import encode
from tracestore.entities import (
    AssessmentError,
    AssessmentSource,
    Expectation,
    Experiment,
    Feedback,
    Span,
    Trace,
    TraceData,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from tracestore.entities.trace import COST_KEY, NAME_KEY, SCHEMA_KEY, TOKEN_USAGE_KEY
from tracestore.storage.schema import (
    ID_BITS,
    RESOURCE_KEYS,
    SCALAR_LENGTH,
    SESSION_KEY,
    SPANS_PER_BLOCK,
    UNINDEXED_ATTRIBUTES,
    USER_KEY,
)

T = TypeVar("T")

log = logging.getLogger("tracestore")

#: Values bound by one multi-row INSERT. Each statement hands the interpreter lock over, and a thread that
#: computes gives it back only after 5 ms: with 50 rows a statement the writer got 400 to 3,000 traces/s beside a
#: busy loop, with 4,096 values 2,500 to 4,000. Larger ones gain nothing and cost a tenth more processor time.
VALUES_PER_STATEMENT = 4_096

#: Attributes that name the language model a span called, first one wins.
_MODEL_KEYS = (
    "mlflow.llm.model",
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
)


class _Usage(msgspec.Struct, omit_defaults=True):
    """Tokens of a trace in the order of their columns. As JSON, what is not known is left out."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Cost(msgspec.Struct, omit_defaults=True):
    """US dollars of a trace in the order of their columns, likewise."""

    input_cost: float | None = None
    output_cost: float | None = None
    total_cost: float | None = None


#: A span as the capturing thread hands it over: nothing but what SQLite stores, in this order.
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
_ATTRIBUTES = SPAN_FIELDS.index("attributes")


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


# ------------------------------------------------------------------------------------------ writing


def write_records(
    connection: sqlite3.Connection, traces: Sequence[TraceRecord], spans: Sequence[SpanRecord]
) -> int:
    """Write a batch: new traces get their keys, known ones are replaced, spans likewise.

    Spans whose trace is neither in the batch nor in the file (it was deleted) are left out. Returns how many
    spans were written.
    """
    keys = _keys_of(connection, {t.trace_id for t in traces} | {s[0] for s in spans})
    _give_keys(connection, traces, keys)
    if traces:
        resources = _resources_of(connection, traces)
        experiments = _experiments_of(connection, traces)
        rows = [_trace_row(t, keys[t.trace_id], experiments, resources) for t in traces]
        _insert(connection, _TRACES, rows)
        _insert(connection, _TAGS, list(_tag_rows(traces, keys)))
        _insert(connection, _METADATA, list(_metadata_rows(traces, keys)))
    span_rows, index = _span_rows(spans, keys)
    _insert(connection, _SPANS, span_rows)
    _insert(connection, _SPAN_ATTRIBUTES, list(index))
    return len(span_rows)


class _Insert(NamedTuple):
    """One INSERT statement: what stands before VALUES, one row's placeholders, what stands after."""

    head: str
    columns: int
    tail: str = ""

    @functools.cache  # noqa: B019 - a constant of this module
    def sql(self, rows: int) -> str:
        row = f"({','.join('?' * self.columns)})"
        return f"{self.head} VALUES {','.join([row] * rows)} {self.tail}"


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


_TRACES = _Insert(
    f"INSERT INTO traces ({', '.join(_TRACE_COLUMNS)})",
    len(_TRACE_COLUMNS),
    # One that has ended is not in progress again: a forked child may know it from before its end.
    f"""ON CONFLICT (id) DO UPDATE SET {_replaced(_TRACE_COLUMNS[2:])}
        WHERE excluded.status != 'IN_PROGRESS' OR traces.status = 'IN_PROGRESS'""",
)
_TAGS = _Insert("INSERT OR REPLACE INTO tags", 3)
_METADATA = _Insert("INSERT OR REPLACE INTO metadata", 3)
_SPAN_COLUMNS = (
    "trace",
    "span_id",
    "parent_id",
    "name",
    "type",
    "status",
    "status_message",
    "start_time_ns",
    "end_time_ns",
    "error",
    "model",
    "attributes",
    "events",
    "links",
    "inputs",
    "outputs",
)
_SPANS = _Insert(
    f"INSERT INTO spans ({', '.join(_SPAN_COLUMNS)})",
    len(_SPAN_COLUMNS),
    # A span that was written while it was open is completed; an ended one never opens again. It gets a new
    # id, because what follows the file by ids (the text index) has seen the old one.
    f"""ON CONFLICT (trace, span_id) DO UPDATE SET
        id = (SELECT max(id) + 1 FROM spans), {_replaced(_SPAN_COLUMNS[2:])}
        WHERE excluded.end_time_ns IS NOT NULL OR spans.end_time_ns IS NULL""",
)
_SPAN_ATTRIBUTES = _Insert("INSERT OR IGNORE INTO span_attributes", 3)


def _insert(
    connection: sqlite3.Connection, statement: _Insert, rows: Sequence[Sequence[Any]]
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


def _keys_of(connection: sqlite3.Connection, trace_ids: Iterable[str]) -> dict[str, int]:
    """Return `traces.id` by trace_id for those that are in the file."""
    keys: dict[str, int] = {}
    for chunk in _chunks(list(trace_ids), 500):
        marks = ",".join("?" * len(chunk))
        sql = f"SELECT trace_id, id FROM traces WHERE trace_id IN ({marks})"
        keys.update(connection.execute(sql, chunk).fetchall())
    return keys


def _give_keys(
    connection: sqlite3.Connection, traces: Sequence[TraceRecord], keys: dict[str, int]
) -> None:
    """Give each new trace the next free key of its millisecond."""
    new = [trace for trace in traces if trace.trace_id not in keys]
    free = _free_keys(connection, {trace.start_time_ms for trace in new})
    for trace in new:
        keys[trace.trace_id] = free[trace.start_time_ms]
        free[trace.start_time_ms] += 1


def _free_keys(connection: sqlite3.Connection, milliseconds: Iterable[int]) -> dict[int, int]:
    """Return the first free key of each millisecond, many to a statement."""
    free: dict[int, int] = {}
    for chunk in _chunks(list(milliseconds), 500):
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


def _experiments_of(
    connection: sqlite3.Connection, traces: Sequence[TraceRecord]
) -> dict[int | str, int]:
    """Return `experiments.id` of every experiment in the batch; a name that is new is added."""
    found: dict[int | str, int] = {}
    for experiment in {trace.experiment for trace in traces}:
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


_RESOURCE_KEYS = tuple(sorted(RESOURCE_KEYS))


def _resource_text(metadata: Mapping[str, str]) -> str:
    return _encoded_resource(tuple(metadata.get(key) for key in _RESOURCE_KEYS))


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
        *(trace.usage.get(name) for name in _Usage.__struct_fields__),
        *(trace.cost.get(name) for name in _Cost.__struct_fields__),
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


def _span_rows(
    spans: Sequence[SpanRecord], keys: Mapping[str, int]
) -> tuple[list[tuple[Any, ...]], set[tuple[str, Any, int]]]:
    rows: list[tuple[Any, ...]] = []
    index: set[tuple[str, Any, int]] = set()
    for span in spans:
        key = keys.get(span[0])
        if key is None:
            continue
        model = None
        if span[_ATTRIBUTES] is not None:
            attributes = msgspec.json.decode(span[_ATTRIBUTES])
            model = _model(attributes)
            index.update((name, value, key) for name, value in indexed_attributes(attributes))
        rows.append((key, *span[1:_ATTRIBUTES], model, *span[_ATTRIBUTES:]))
    return rows, index


def _model(attributes: Mapping[str, Any]) -> str | None:
    for key in _MODEL_KEYS:
        model = attributes.get(key)
        if isinstance(model, str):
            return model
    return None


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
            yield key, int(value) if -(2**63) <= value < 2**63 else float(value)
        elif isinstance(value, float):
            yield key, value


def set_tag(connection: sqlite3.Connection, trace_id: str, name: str, value: str) -> bool:
    """Set one tag of a stored trace; False where there is no such trace."""
    key = key_of(connection, trace_id)
    if key is None:
        return False
    if name == NAME_KEY:
        connection.execute("UPDATE traces SET name = ? WHERE id = ?", (value, key))
        return True
    _insert(connection, _TAGS, [(key, name, value)])
    if name in (SESSION_KEY, USER_KEY):
        _insert(connection, _METADATA, [(key, name, value)])
    return True


def delete_tag(connection: sqlite3.Connection, trace_id: str, name: str) -> bool:
    """Delete one tag of a stored trace; False where the trace or the tag is not there."""
    if name == NAME_KEY:
        sql = "UPDATE traces SET name = NULL WHERE trace_id = ? AND name IS NOT NULL"
        return connection.execute(sql, (trace_id,)).rowcount > 0
    sql = "DELETE FROM tags WHERE trace = (SELECT id FROM traces WHERE trace_id = ?) AND key = ?"
    return connection.execute(sql, (trace_id, name)).rowcount > 0


def delete_traces(connection: sqlite3.Connection, keys: Sequence[int]) -> int:
    """Delete traces by key with everything of theirs; return how many there were."""
    deleted = 0
    for chunk in _chunks(keys, 200):
        marks = ",".join("?" * len(chunk))
        index: set[tuple[str, Any, int]] = set()
        sql = f"SELECT trace, attributes FROM spans WHERE trace IN ({marks}) AND attributes IS NOT NULL"
        for key, text in connection.execute(sql, chunk).fetchall():
            pairs = indexed_attributes(msgspec.json.decode(text))
            index.update((name, value, key) for name, value in pairs)
        connection.executemany(
            "DELETE FROM span_attributes WHERE key = ? AND value = ? AND trace = ?",
            sorted(index, key=repr),
        )
        for table in ("spans", "tags", "metadata", "assessments"):
            connection.execute(f"DELETE FROM {table} WHERE trace IN ({marks})", chunk)
        deleted += connection.execute(f"DELETE FROM traces WHERE id IN ({marks})", chunk).rowcount
    # The ids of the newest spans are given again once those are gone: to spans that are not indexed yet.
    connection.execute(
        "UPDATE text_progress SET indexed_to = min(indexed_to,"
        " (SELECT ifnull(max(id), 0) + 1 FROM spans) / ? * ?)",
        (SPANS_PER_BLOCK, SPANS_PER_BLOCK),
    )
    return deleted


def key_of(connection: sqlite3.Connection, trace_id: str) -> int | None:
    """Return the trace's key, None where there is no such trace."""
    row = connection.execute("SELECT id FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
    return None if row is None else int(row[0])


def insert_assessment(
    connection: sqlite3.Connection, assessment: Feedback | Expectation, value: str | None
) -> bool:
    """Store an assessment that has its id, trace and times; False where there is no such trace.

    `value` is the encoded value, None where a feedback has an error only.
    """
    key = key_of(connection, assessment.trace_id or "")
    if key is None:
        return False
    error = getattr(assessment, "error", None)
    connection.execute(
        "INSERT INTO assessments (assessment_id, trace, span_id, name, kind, value, scalar,"
        " source_type, source_id, rationale, metadata, error, create_time_ms, last_update_time_ms,"
        " overrides, valid) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            assessment.assessment_id,
            key,
            assessment.span_id,
            assessment.name,
            "feedback" if isinstance(assessment, Feedback) else "expectation",
            value,
            None if value is None else _scalar(msgspec.json.decode(value)),
            assessment.source.source_type,
            assessment.source.source_id,
            assessment.rationale,
            _json_or_none(assessment.metadata),
            _json_or_none(error),
            assessment.create_time_ms,
            assessment.last_update_time_ms,
            assessment.overrides,
            int(assessment.valid is not False),
        ),
    )
    connection.execute(
        "UPDATE assessments SET valid = 0 WHERE trace = ? AND assessment_id = ?",
        (key, assessment.overrides),
    )
    return True


def _scalar(value: Any) -> str | int | float | None:
    """Return the searchable twin of an assessment's value, None for objects, lists and null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:SCALAR_LENGTH].replace("\0", "␀")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value if isinstance(value, (int, float)) else None


def _json_or_none(value: object) -> str | None:
    return None if value is None else encode(value)


# ------------------------------------------------------------------------------------------ reading


#: Traces loaded at a time: enough to spread what a statement costs, few enough to be gone before the garbage
#: collector looks at them, where the caller does not keep them.
_LOADED_TRACES = 500


def load_traces(
    connection: sqlite3.Connection, keys: Sequence[int], *, include_spans: bool = True
) -> Iterator[Trace]:
    """Yield the trace of each key, in the order of `keys`; keys that are gone are left out."""
    for chunk in _chunks(keys, _LOADED_TRACES):
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
    wanted = (_json_array(keys),)
    assessments = _assessments_by_trace(connection, wanted)
    resource = functools.cache(functools.partial(_resource, connection))
    location = functools.cache(TraceLocation)
    return [
        _trace_info(row, location(str(row[2])), resource(row[3]), assessments.get(row[0], ()))
        for row in connection.execute(_INFOS, wanted)
    ]


def _json_array(keys: Sequence[int]) -> str:
    return msgspec.json.encode(keys).decode()


def _trace_info(
    row: Sequence[Any],
    location: TraceLocation,
    resource: Mapping[str, str],
    assessments: Sequence[Sequence[Any]],
) -> TraceInfo:
    metadata = {SCHEMA_KEY: "3", **resource, **_decode_texts(row[-1])}
    for name, kind, values in (
        (TOKEN_USAGE_KEY, _Usage, row[8:13]),
        (COST_KEY, _Cost, row[13:16]),
    ):
        if values.count(None) < len(values) and name not in metadata:
            metadata[name] = msgspec.json.encode(kind(*values)).decode()
    tags = _decode_texts(row[-2])
    if row[4] is not None:
        tags[NAME_KEY] = row[4]
    return TraceInfo(
        trace_id=row[1],
        trace_location=location,
        request_time=row[0] >> ID_BITS,
        state=_STATES.get(row[5], TraceState.STATE_UNSPECIFIED),
        request_preview=row[16],
        response_preview=row[17],
        client_request_id=row[7],
        execution_duration=row[6],
        trace_metadata=metadata,
        tags=tags,
        assessments=[_assessment(assessment, row[1]) for assessment in assessments],
    )


#: By value; calling the enumeration takes five times as long.
_STATES = {state.value: state for state in TraceState}


def _resource(connection: sqlite3.Connection, key: int) -> dict[str, str]:
    row = connection.execute("SELECT metadata FROM resources WHERE id = ?", (key,)).fetchone()
    return {} if row is None else msgspec.json.decode(row[0], type=dict[str, str])


_ASSESSMENTS = """
    SELECT a.trace, a.assessment_id, a.span_id, a.name, a.kind, a.value, a.source_type, a.source_id,
           a.rationale, a.metadata, a.error, a.create_time_ms, a.last_update_time_ms, a.overrides, a.valid
    FROM json_each(?) AS wanted CROSS JOIN assessments AS a ON a.trace = wanted.value
    ORDER BY a.id"""


def _assessments_by_trace(
    connection: sqlite3.Connection, wanted: tuple[str]
) -> dict[int, list[Sequence[Any]]]:
    found: dict[int, list[Sequence[Any]]] = {}
    for row in connection.execute(_ASSESSMENTS, wanted):
        found.setdefault(row[0], []).append(row)
    return found


def _assessment(row: Sequence[Any], trace_id: str) -> Feedback | Expectation:
    common: dict[str, Any] = {
        "trace_id": trace_id,
        "assessment_id": row[1],
        "span_id": row[2],
        "name": row[3],
        "value": None if row[5] is None else msgspec.json.decode(row[5]),
        "source": AssessmentSource(row[6], row[7]),
        "rationale": row[8],
        "metadata": None if row[9] is None else msgspec.json.decode(row[9]),
        "create_time_ms": row[11],
        "last_update_time_ms": row[12],
        "overrides": row[13],
        "valid": bool(row[14]),
    }
    if row[4] == "expectation":
        return Expectation(**common)
    error = None if row[10] is None else msgspec.json.decode(row[10], type=AssessmentError)
    return Feedback(error=error, **common)


_SPANS_OF = """
    SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.type, s.status, s.status_message,
           s.start_time_ns, s.end_time_ns, s.attributes, s.events, s.links, s.inputs, s.outputs
    FROM json_each(?) AS wanted CROSS JOIN traces AS t ON t.id = wanted.value
         CROSS JOIN spans AS s ON s.trace = t.id
    ORDER BY s.trace, s.parent_id IS NOT NULL, s.start_time_ns, s.id"""


def load_spans(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[str, list[Span]]:
    """Return the spans of each trace by its trace_id: roots first, then by start time."""
    spans: dict[str, list[Span]] = {}
    for row in connection.execute(_SPANS_OF, (_json_array(keys),)):
        spans.setdefault(row[0], []).append(Span(*row))
    return spans


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


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
    for chunk in _chunks(list(trace_ids), 500):
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
