-- A store as version 3 made it, with one trace of one span.
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
    events         TEXT,                        -- [{name, time_unix_nano, attributes}]
    links          TEXT,                        -- [{trace_id, span_id, attributes}]
    inputs         TEXT,
    outputs        TEXT,
    checksum       INTEGER                      -- crc32 of what was recorded, see record_rows.checksum_of_row; or NULL
) STRICT;
CREATE UNIQUE INDEX spans_trace ON spans (trace, span_id);
CREATE INDEX spans_name ON spans (name, trace);
CREATE INDEX spans_type ON spans (type, trace);
CREATE INDEX spans_status ON spans (status, trace);
CREATE INDEX spans_model ON spans (model, trace) WHERE model IS NOT NULL;
CREATE INDEX spans_error ON spans (trace) WHERE error IS NOT NULL;
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
    error               TEXT,                   -- JSON {error_code, error_message, stack_trace}
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
       s.error, s.model, s.inputs, s.outputs, s.attributes, s.events, s.links
FROM spans s JOIN traces t ON t.id = s.trace;
CREATE VIEW assessment_view AS
SELECT t.trace_id, a.span_id, a.assessment_id, a.name, a.kind, a.value, a.source_type, a.source_id,
       a.rationale, a.metadata, a.error, a.create_time_ms, a.last_update_time_ms, a.overrides, a.valid
FROM assessments a JOIN traces t ON t.id = a.trace;
PRAGMA application_id = 1414681428;
PRAGMA user_version = 3;
INSERT INTO experiments VALUES (0, 'Default', NULL, 'active', CAST(strftime('%s', 'now') AS INTEGER) * 1000, CAST(strftime('%s', 'now') AS INTEGER) * 1000);
INSERT INTO resources VALUES (1, '{"mlflow.source.name":"program.py","mlflow.user":"ada"}');
INSERT INTO traces (id, trace_id, experiment, resource, name, status, duration_ms)
VALUES (1767225600000 << 20, 'tr-00000000000000000000000000000001', 0, 1, 'recorded by version 3', 'OK', 5);
INSERT INTO tags VALUES (1767225600000 << 20, 'environment', 'production');
INSERT INTO spans (trace, span_id, name, status, start_time_ns, end_time_ns, inputs)
VALUES (1767225600000 << 20, '0000000000000001', 'recorded by version 3', 'OK', 1767225600000000000, 1767225600005000000, '{"x":1}');
