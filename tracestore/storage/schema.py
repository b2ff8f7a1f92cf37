"""The file: tables, indexes, views and version, as one commented text.

The schema is public. Any SQLite tool can read the file; the views are the stable form for people, the
tables say how search works. Types are checked by SQLite itself (STRICT, from 3.37). There are no foreign
keys: rows of a trace are written and deleted together by one writer, and `check()` finds strays.

Time-ordered keys make search fast: `traces.id` is the start of the trace in milliseconds, shifted left by
20 bits, plus a number that the writer gives inside its transaction. So newest first is a reverse scan of the
primary key, a time range is a range of keys, and every index that ends in the trace's key hands out its
matches already in time order.

Changing it: raise VERSION, add the step to `migrations.STEPS`, add a line to the history.
    1   first version
    2   state
    3   spans.checksum
    4   traces_figures
    5   payloads
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

#: `PRAGMA application_id`: ASCII "TRST". Says that a SQLite file is a trace store.
APPLICATION_ID = 0x54525354

#: `PRAGMA user_version` of the schema below.
VERSION = 5

#: Bits of `traces.id` below the milliseconds: up to 1,048,576 traces start in the same millisecond.
ID_BITS = 20

#: The first moment whose traces would have keys of more than 64 bits: in the year 2248.
END_MS = 1 << (63 - ID_BITS)
END_NS = END_MS * 1_000_000

#: Bytes a page: the workload's 5.6 KB of payload take 9.0 KB of file a trace, 10.6 with 8192, 11.1 with the default 4096.
PAGE_SIZE_BYTES = 16_384

#: Metadata that describes the program, not the trace: the same for thousands of traces, so kept once in
#: `resources`. These keys are never in `metadata`, also when a trace overrides one of them.
RESOURCE_KEYS = frozenset(
    {
        "mlflow.user",
        "mlflow.source.name",
        "mlflow.source.type",
        "mlflow.source.git.commit",
        "mlflow.source.git.branch",
        "mlflow.source.git.repoURL",
    }
)

#: Metadata keys that name a trace's session and user. Given as a tag they are written to `metadata` too, so
#: that `session`, `metadata.…` and `tags.…` of these two keys all mean the same column of answers.
SESSION_KEY = "mlflow.trace.session"
USER_KEY = "mlflow.trace.user"

#: Spans that share an entry of the text index, see indexer.py.
SPANS_PER_BLOCK = 8

#: Attributes that are not in the attribute index: numbers that are different in every span, and what nearly
#: every span has and its name says too.
UNINDEXED_ATTRIBUTES = ("mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.spanFunctionName")

#: Text kept in the searchable twin of a value (`span_attributes.value`, `assessments.scalar`), in
#: characters. Longer text is searched by its beginning and then compared whole in its own row.
SCALAR_LENGTH = 200

#: Columns of spans whose large texts are kept once, and what the form begins with that stands for such a text: no JSON does.
SHARED_COLUMNS = ("inputs", "outputs")
PAYLOAD_MARK = "@"


def whole(column: str) -> str:
    """Return the SQL of the text that a column of SHARED_COLUMNS stands for, where a lost part says that it is."""
    return f"""CASE WHEN substr({column}, 1, 1) = '{PAYLOAD_MARK}' AND json_valid(substr({column}, 2)) THEN (
           SELECT group_concat(CASE p.type WHEN 'integer' THEN ifnull((SELECT text FROM payloads WHERE id = p.value),
                  '"[payload ' || p.value || ' is lost]"') ELSE p.value END, '')
           FROM json_each(substr({column}, 2)) AS p) ELSE {column} END"""


SCHEMA = f"""
CREATE TABLE experiments (
    id                  INTEGER PRIMARY KEY,    -- "0" in the API is 0 here and is named Default
    name                TEXT NOT NULL UNIQUE,
    artifact_location   TEXT,                   -- kept for MLflow programs that set it
    lifecycle_stage     TEXT NOT NULL,          -- active | deleted
    creation_time_ms    INTEGER NOT NULL,
    last_update_time_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE experiment_tags (
    experiment INTEGER NOT NULL,                -- experiments.id
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (experiment, key)
) STRICT, WITHOUT ROWID;

-- The program that recorded: user, script or notebook, git. One row for each distinct combination.
CREATE TABLE resources (
    id       INTEGER PRIMARY KEY,
    metadata TEXT NOT NULL UNIQUE               -- JSON object of strings, keys sorted
) STRICT;

CREATE TABLE traces (
    id                    INTEGER PRIMARY KEY,  -- start of the trace in ms << 20 | number
    trace_id              TEXT NOT NULL,        -- tr- + 32 hex digits
    experiment            INTEGER NOT NULL,     -- experiments.id
    resource              INTEGER NOT NULL,     -- resources.id
    name                  TEXT,                 -- the root span's name unless renamed
    status                TEXT NOT NULL,        -- IN_PROGRESS | OK | ERROR | STATE_UNSPECIFIED
    duration_ms           INTEGER,              -- NULL while in progress
    client_request_id     TEXT,
    input_tokens          INTEGER,              -- sums over the trace's spans; NULL where none said
    output_tokens         INTEGER,
    total_tokens          INTEGER,
    cache_read_tokens     INTEGER,
    cache_creation_tokens INTEGER,
    input_cost            REAL,                 -- US dollars
    output_cost           REAL,
    total_cost            REAL,
    request_preview       TEXT,                 -- at most 1,000 characters
    response_preview      TEXT
) STRICT;
CREATE UNIQUE INDEX traces_trace_id ON traces (trace_id);
CREATE INDEX traces_experiment ON traces (experiment);          -- the active experiment, newest first
CREATE INDEX traces_resource ON traces (resource);              -- metadata of RESOURCE_KEYS
CREATE INDEX traces_name ON traces (name);
CREATE INDEX traces_status ON traces (status);
CREATE INDEX traces_duration ON traces (duration_ms);           -- slowest first
-- What figures are made of, in the order of time, in a twentieth of the pages: 42 bytes a trace.
CREATE INDEX traces_figures ON traces (
    id, status, duration_ms, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_creation_tokens,
    input_cost, output_cost, total_cost
);
CREATE INDEX traces_client_request_id ON traces (client_request_id) WHERE client_request_id IS NOT NULL;

CREATE TABLE tags (
    trace INTEGER NOT NULL,                     -- traces.id
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (trace, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_value ON tags (key, value, trace);

CREATE TABLE metadata (
    trace INTEGER NOT NULL,                     -- traces.id
    key   TEXT NOT NULL,                        -- never one of RESOURCE_KEYS
    value TEXT NOT NULL,
    PRIMARY KEY (trace, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX metadata_value ON metadata (key, value, trace);

CREATE TABLE spans (
    id             INTEGER PRIMARY KEY,         -- order of writing
    trace          INTEGER NOT NULL,            -- traces.id
    span_id        TEXT NOT NULL,               -- 16 hex digits
    parent_id      TEXT,                        -- NULL for a root
    name           TEXT NOT NULL,
    type           TEXT,                        -- LLM, CHAIN, TOOL, ... any text
    status         TEXT NOT NULL,               -- OK | ERROR | UNSET (still open)
    status_message TEXT,                        -- description of an ERROR
    start_time_ns  INTEGER NOT NULL,            -- since 1970, UTC
    end_time_ns    INTEGER,                     -- NULL while open
    error          TEXT,                        -- "Type: message" of its last exception event
    model          TEXT,                        -- the language model it called
    attributes     TEXT,                        -- JSON object; the rest of the columns are JSON too
    events         TEXT,                        -- [{{name, time_unix_nano, attributes}}]
    links          TEXT,                        -- [{{trace_id, span_id, attributes}}]
    inputs         TEXT,                        -- large ones in the form that payloads speaks of; span_view has all
    outputs        TEXT,                        -- likewise
    checksum       INTEGER                      -- crc32 of what was recorded, see record_rows.checksum_of_row; or NULL
) STRICT;
CREATE UNIQUE INDEX spans_trace ON spans (trace, span_id);
CREATE INDEX spans_name ON spans (name, trace);
CREATE INDEX spans_type ON spans (type, trace);
CREATE INDEX spans_status ON spans (status, trace);
CREATE INDEX spans_model ON spans (model, trace) WHERE model IS NOT NULL;
CREATE INDEX spans_error ON spans (trace) WHERE error IS NOT NULL;

-- Messages, documents and long texts of large inputs and outputs, each once. There stands instead an @ and a JSON
-- array: of the text's pieces in order, texts as they are and numbers for payloads.id.
CREATE TABLE payloads (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,                  -- BLAKE2b of the text's UTF-8, 16 bytes
    text TEXT NOT NULL                          -- a JSON value, or several of a list with commas between them
) STRICT;

-- Which traces have a payload, or had it in a span that was open; a payload goes with the last of them.
CREATE TABLE payload_traces (
    payload INTEGER NOT NULL,                   -- payloads.id
    trace   INTEGER NOT NULL,                   -- traces.id
    PRIMARY KEY (payload, trace)
) STRICT, WITHOUT ROWID;
CREATE INDEX payload_traces_trace ON payload_traces (trace);

-- Which traces have a span with this scalar attribute; only an index: spans.attributes has the truth.
-- Objects are entered by dotted key ("usage.total"); booleans as 0 and 1, text by its first 200 characters.
-- Without token usage and cost, which are different in every span.
CREATE TABLE span_attributes (
    key   TEXT NOT NULL,
    value ANY NOT NULL,
    trace INTEGER NOT NULL,                     -- traces.id
    PRIMARY KEY (key, value, trace)
) STRICT, WITHOUT ROWID;

-- How far the text index has come: every span below this id is in it. The index itself, span_text, is made
-- by indexer.py where this SQLite has FTS5.
CREATE TABLE text_progress (
    id         INTEGER PRIMARY KEY CHECK (id = 0),
    indexed_to INTEGER NOT NULL                 -- spans.id
) STRICT;
INSERT INTO text_progress VALUES (0, 0);

CREATE TABLE assessments (
    id                  INTEGER PRIMARY KEY,    -- order of writing
    assessment_id       TEXT NOT NULL UNIQUE,   -- a- + 32 hex digits
    trace               INTEGER NOT NULL,       -- traces.id
    span_id             TEXT,                   -- NULL: of the trace as a whole
    name                TEXT NOT NULL,
    kind                TEXT NOT NULL,          -- feedback | expectation
    value               TEXT,                   -- JSON of any type; NULL where there is only an error
    scalar              ANY,                    -- value for search: number, text, 'true' | 'false'; else NULL
    source_type         TEXT NOT NULL,          -- HUMAN | LLM_JUDGE | CODE | SOURCE_TYPE_UNSPECIFIED
    source_id           TEXT NOT NULL,
    rationale           TEXT,
    metadata            TEXT,                   -- JSON object of strings
    error               TEXT,                   -- JSON {{error_code, error_message, stack_trace}}
    create_time_ms      INTEGER NOT NULL,
    last_update_time_ms INTEGER NOT NULL,
    overrides           TEXT,                   -- assessment_id of the one it replaces
    valid               INTEGER NOT NULL        -- 0 once overridden
) STRICT;
CREATE INDEX assessments_trace ON assessments (trace);
CREATE INDEX assessments_scalar ON assessments (name, scalar, trace);

-- What the file itself has to remember: settings of its upkeep, how far a spool or an export has come.
CREATE TABLE state (
    name  TEXT PRIMARY KEY,                     -- the module that owns it, a dot, what it is
    value TEXT NOT NULL                         -- JSON
) STRICT, WITHOUT ROWID;

CREATE VIEW trace_view AS
SELECT t.trace_id, t.name, t.status,
       t.id >> 20 AS request_time_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', (t.id >> 20) / 1000.0, 'unixepoch') AS request_time,
       t.duration_ms, e.name AS experiment, t.client_request_id,
       (SELECT value FROM metadata WHERE trace = t.id AND key = 'mlflow.trace.session') AS session,
       (SELECT value FROM metadata WHERE trace = t.id AND key = 'mlflow.trace.user') AS user,
       (SELECT count(*) FROM spans WHERE trace = t.id) AS span_count,
       t.input_tokens, t.output_tokens, t.total_tokens, t.total_cost,
       t.request_preview, t.response_preview,
       (SELECT json_group_object(key, value) FROM tags WHERE trace = t.id) AS tags,
       (SELECT json_group_object(key, value) FROM metadata WHERE trace = t.id) AS metadata,
       r.metadata AS resource
FROM traces t LEFT JOIN experiments e ON e.id = t.experiment LEFT JOIN resources r ON r.id = t.resource;

CREATE VIEW span_view AS
SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.type, s.status, s.status_message,
       s.start_time_ns, s.end_time_ns, (s.end_time_ns - s.start_time_ns) / 1e6 AS duration_ms,
       s.error, s.model,
       {whole("s.inputs")} AS inputs,
       {whole("s.outputs")} AS outputs,
       s.attributes, s.events, s.links
FROM spans s JOIN traces t ON t.id = s.trace;

CREATE VIEW assessment_view AS
SELECT t.trace_id, a.span_id, a.assessment_id, a.name, a.kind, a.value, a.source_type, a.source_id,
       a.rationale, a.metadata, a.error, a.create_time_ms, a.last_update_time_ms, a.overrides, a.valid
FROM assessments a JOIN traces t ON t.id = a.trace;
"""


def statements() -> Iterator[str]:
    """Yield the statements that make an empty file a store, to be run in one transaction."""
    statement = ""
    for line in SCHEMA.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield f"PRAGMA application_id = {APPLICATION_ID}"
    yield f"PRAGMA user_version = {VERSION}"
    yield (
        "INSERT INTO experiments VALUES (0, 'Default', NULL, 'active',"
        " CAST(strftime('%s', 'now') AS INTEGER) * 1000,"
        " CAST(strftime('%s', 'now') AS INTEGER) * 1000)"
    )
