"""`tracestore import mlflow.db`: a file that MLflow 3.17.2 made (as SQL text), older forms, and files that mean harm.

The same file is compared with what MLflow itself reads of it in `.ci/mlflow`.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
from typing import Any

import pytest

import tracestore
from tests.capture_traces import named
from tests.cli_program import run, run_json, show_in_terminal, without_colours
from tests.peer_mlflow.importing import SQL
from tracestore.entities import Trace, ViewType
from tracestore.errors import ForeignFileError, StoreError
from tracestore.importing import import_into, mlflow
from tracestore.importing.batch import Progress
from tracestore.importing.mlflow_spans import span_record
from tracestore.store import Store

ROOT = "0123456789abcdef"


@pytest.fixture
def source(tmp_path: pathlib.Path) -> str:
    """The path of an MLflow file."""
    path = str(tmp_path / "mlflow.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"BEGIN; {SQL.read_text('utf-8')} COMMIT;")
    return path


def execute(path: str, sql: str, *values: Any) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def by_name(store: Store, name: str) -> Trace:
    [found] = store.search_traces(f"name = '{name}'")
    return found


def test_all_of_a_trace_is_imported(recording: Store, source: str) -> None:
    before = pathlib.Path(source).read_bytes()
    imported = tracestore.import_traces(source)

    assert (imported.traces, imported.spans, imported.assessments, imported.skipped) == (
        6,
        8,
        4,
        {},
    )
    assert pathlib.Path(source).read_bytes() == before
    trace = by_name(recording, "root")
    info = trace.info
    assert (info.client_request_id, info.response_preview) == ("c-1", "mine")
    assert (info.tags["env"], info.tags["odd key/"], info.trace_metadata["m"]) == (
        "prod",
        "it's",
        "1",
    )
    assert info.token_usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert named(trace, "root").inputs["nan"] == ["NaN", "Infinity"]
    assert named(trace, "root").get_attribute("text") == "é"
    child = named(trace, "llm")
    assert (child.parent_id, child.span_type) == (named(trace, "root").span_id, "CHAT_MODEL")
    assert (child.events[0].name, child.events[0].timestamp) == ("e", 5)
    assert child.links[0].attributes == {"why": "x"}
    assert {a.name: a.valid for a in info.assessments if a.valid} == {
        "good": True,
        "failed": True,
        "answer": True,
    }
    assert not any(key.startswith(("mlflow.artifact", "mlflow.trace.spansL")) for key in info.tags)


def test_what_is_imported_is_found_by_search(recording: Store, source: str) -> None:
    tracestore.import_traces(source)

    for filter_string, count in {
        "session = 's-1' AND user = 'ada'": 1,
        "feedback.good = true": 1,
        "feedback.good = false": 0,
        "error LIKE '%ValueError: no%'": 1,
        "span.attributes.text = 'é'": 1,
        "text LIKE '%done%'": 1,
        "timestamp_ms = 1600000000123 AND duration = 1s": 1,
    }.items():
        assert recording.count_traces(filter_string) == count, filter_string


def test_experiments_are_named_as_they_were(recording: Store, source: str) -> None:
    existing = recording.create_experiment("shop", tags={"mine": "1"})
    tracestore.import_traces(source)

    found = {e.name: e for e in recording.search_experiments(ViewType.ALL)}
    assert (found["shop"].experiment_id, found["shop"].tags) == (existing, {"mine": "1"})
    assert found["gone"].lifecycle_stage == "deleted"
    assert recording.count_traces(experiment_ids=[found["gone"].experiment_id]) == 3
    assert recording.count_traces(experiment_ids=["0"]) == 1


def test_a_second_import_changes_nothing(recording: Store, source: str) -> None:
    first = tracestore.import_traces(source)
    recording.set_trace_tag(by_name(recording, "root").trace_id, "env", "mine")
    second = tracestore.import_traces(source)

    assert (second.traces, second.present, second.assessments) == (0, first.traces, 0)
    assert by_name(recording, "root").info.tags["env"] == "mine"
    assert recording.stats()["assessments"] == 4


def test_an_import_that_was_broken_off_goes_on(
    recording: Store, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "TRACES_PER_BATCH", 2)
    seen: list[tuple[int, int | None]] = []

    def interrupt(progress: Progress) -> None:
        seen.append((progress.imported.seen, progress.total))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tracestore.import_traces(source, progress=interrupt)
    assert recording.count_traces() == 4
    again = tracestore.import_traces(source, progress=interrupt)
    assert (again.traces, again.present) == (2, 4)
    assert seen == [(2, 6), (4, 6), (2, 6), (4, 6), (6, 6)]


def test_a_trace_that_was_still_running_is_completed_by_a_later_import(
    recording: Store, source: str
) -> None:
    execute(source, "UPDATE trace_info SET status = 'IN_PROGRESS', execution_time_ms = NULL")
    tracestore.import_traces(source)
    assert recording.count_traces("status = 'IN_PROGRESS'") == 6

    execute(source, "UPDATE trace_info SET status = 'OK', execution_time_ms = 5")
    again = tracestore.import_traces(source)
    assert (again.traces, again.present) == (6, 0)
    assert recording.count_traces("status = 'OK' AND duration = 5ms") == 6
    assert recording.stats()["spans"] == 8


def test_secrets_in_a_file_are_not_taken_over(recording: Store, source: str) -> None:
    secret = "sk-proj-" + "a1B2" * 12
    execute(source, "UPDATE spans SET content = replace(content, 'done', ?)", secret)
    execute(source, "UPDATE trace_info SET request_preview = ?", f"my key is {secret}")
    execute(source, "UPDATE trace_tags SET value = ? WHERE key = 'env'", secret)
    execute(source, "UPDATE assessments SET rationale = ?, value = json_quote(?)", secret, secret)
    tracestore.import_traces(source)

    assert recording.count_traces(f"text LIKE '%{secret}%'") == 0
    trace = by_name(recording, "root")
    assert secret not in trace.to_json()
    assert "redacted" in str(trace.data.response)
    recording.flush()
    for path in pathlib.Path(recording.path).parent.glob("traces.db*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_file_that_may_not_be_written_is_read(recording: Store, source: str) -> None:
    pathlib.Path(source).chmod(0o400)
    assert tracestore.import_traces(source).traces == 6
    assert recording.path


def test_mlflow_may_go_on_writing_meanwhile(recording: Store, source: str) -> None:
    def write(progress: Progress) -> None:
        execute(source, "UPDATE trace_tags SET value = ? WHERE key = 'env'", str(progress.total))

    assert tracestore.import_traces(source, progress=write).traces == 6
    assert recording.path


# Older files ------------------------------------------------------------------------------------------------


_MLFLOW_2 = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name VARCHAR(256), artifact_location VARCHAR(256),
    lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT);
CREATE TABLE trace_info (request_id VARCHAR(50) PRIMARY KEY, experiment_id INTEGER, timestamp_ms BIGINT,
    execution_time_ms BIGINT, status VARCHAR(50));
CREATE TABLE trace_tags (key VARCHAR(250), value VARCHAR(8000), request_id VARCHAR(50));
CREATE TABLE trace_request_metadata (key VARCHAR(250), value VARCHAR(8000), request_id VARCHAR(50));
INSERT INTO experiments VALUES (0, 'Default', './mlruns/0', 'active', 1, 1), (3, 'old', './mlruns/3', 'active', 1, 1);
INSERT INTO trace_info VALUES ('0123456789abcdef0123456789abcdef', 3, 1700000000000, 12, 'OK');
INSERT INTO trace_tags VALUES ('mlflow.traceName', 'predict', '0123456789abcdef0123456789abcdef');
INSERT INTO trace_request_metadata VALUES ('mlflow.traceInputs', '{"x": 1}', '0123456789abcdef0123456789abcdef'),
    ('mlflow.trace.tokenUsage', '{"input_tokens": 2, "total_tokens": "many"}', '0123456789abcdef0123456789abcdef');
"""

_SPAN_2 = {
    "name": "predict",
    "context": {"span_id": f"0x{ROOT}", "trace_id": "0x" + "ab" * 16},
    "parent_id": None,
    "start_time": 1_700_000_000_000_000_000,
    "end_time": 1_700_000_000_012_000_000,
    "status_code": "ERROR",
    "status_message": "it failed",
    "attributes": {
        "mlflow.traceRequestId": '"0123456789abcdef0123456789abcdef"',
        "mlflow.spanType": '"LLM"',
        "mlflow.spanInputs": '{"x": NaN}',
        "plain": "not json",
    },
    "events": [
        {
            "name": "exception",
            "timestamp": 1_700_000_000_001_000_000,
            "attributes": {"exception.type": "ValueError", "exception.message": "bad"},
        }
    ],
}


@pytest.fixture
def older(tmp_path: pathlib.Path) -> str:
    """The path of an MLflow 2 file with its artifacts beside it."""
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_MLFLOW_2)
    artifacts = (
        tmp_path / "mlruns" / "3" / "traces" / "0123456789abcdef0123456789abcdef" / "artifacts"
    )
    artifacts.mkdir(parents=True)
    (artifacts / "traces.json").write_text(json.dumps({"spans": [_SPAN_2]}))
    return str(path)


def test_spans_of_older_files_are_read_from_their_artifacts(recording: Store, older: str) -> None:
    imported = tracestore.import_traces(older)

    assert (imported.traces, imported.spans, imported.skipped) == (1, 1, {})
    trace = by_name(recording, "predict")
    [span] = trace.data.spans
    assert (span.span_id, span.inputs, span.span_type) == (ROOT, {"x": "NaN"}, "LLM")
    assert (span.status.description, span.get_attribute("plain")) == ("it failed", "not json")
    assert trace.info.request_preview == '{"x": 1}'
    assert (trace.info.token_usage or {}).get("input_tokens") == 2
    assert recording.count_traces("error = 'ValueError: bad'") == 1


def test_a_trace_of_mlflow_2_can_be_used_like_any(recording: Store, older: str) -> None:
    tracestore.import_traces(older)
    trace = by_name(recording, "predict")

    again = Trace.from_json(trace.to_json())
    assert again.info.trace_id == trace.info.trace_id == "0123456789abcdef0123456789abcdef"
    assert again.data.spans[0].span_id == ROOT
    assert "predict" in str(trace._repr_mimebundle_())
    assert len(tracestore.search_traces(locations=[trace.info.experiment_id])) == 1
    assert recording.delete_traces(trace.info.experiment_id, trace_ids=[trace.trace_id]) == 1


@pytest.mark.parametrize("form", ["file://{}", "{}"])
def test_artifacts_are_where_the_trace_says(recording: Store, older: str, form: str) -> None:
    elsewhere = pathlib.Path(older).parent / "else where"
    elsewhere.mkdir()
    (elsewhere / "traces.json").write_text(json.dumps({"spans": [_SPAN_2]}))
    location = form.format(str(elsewhere).replace(" ", "%20") if "file" in form else elsewhere)
    execute(
        older,
        "INSERT INTO trace_tags SELECT 'mlflow.artifactLocation', ?, request_id FROM trace_info",
        location,
    )
    for file in pathlib.Path(older).parent.glob("mlruns/**/traces.json"):
        file.unlink()

    assert tracestore.import_traces(older).spans == 1
    assert recording.path


@pytest.mark.parametrize("content", ["", "{", "[]", '{"spans": 5}', '{"spans": [5, {}]}'])
def test_artifacts_that_are_none_leave_a_trace_without_spans(
    recording: Store, older: str, content: str
) -> None:
    [file] = pathlib.Path(older).parent.glob("mlruns/**/traces.json")
    file.write_text(content)
    imported = tracestore.import_traces(older)

    assert (imported.traces, imported.spans) == (1, 0)
    assert sum(imported.skipped.values()) >= 1
    assert recording.count_traces() == 1


# Files that mean harm ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE trace_tags",
        "ALTER TABLE trace_info DROP COLUMN status",
        "ALTER TABLE trace_tags RENAME TO hidden; CREATE VIEW trace_tags AS SELECT * FROM hidden",
        "DROP TABLE trace_tags; CREATE TABLE trace_tags (request_id, key, value AS (key || key))",
    ],
)
def test_a_file_without_the_tables_is_refused(recording: Store, source: str, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.executescript(sql)
    with pytest.raises(ForeignFileError, match="can't be imported"):
        import_into(recording, source, "mlflow")
    assert recording.count_traces() == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("timestamp_ms", -1),
        ("timestamp_ms", 2**62),
        ("timestamp_ms", "soon"),
        ("timestamp_ms", b"\xff"),
    ],
)
def test_traces_at_impossible_times_are_left_out_and_counted(
    recording: Store, source: str, column: str, value: Any
) -> None:
    execute(source, f"UPDATE trace_info SET {column} = ? WHERE trace_name = 'root'", value)
    imported = tracestore.import_traces(source)
    assert (imported.traces, imported.skipped["traces without a time"]) == (5, 1)
    assert recording.count_traces() == 5


@pytest.mark.parametrize(
    "content",
    [
        "{", "5", "null", "[]", "{}", b"\xff\xfe", '{"attributes": 5}', "[" * 100_000, '"\ud83d"',
        '{"attributes": {}, "span_id": "zz", "name": 1, "start_time_unix_nano": -1, "status": {"code": 1}}',
    ],
)  # fmt: skip
def test_spans_that_are_none_are_left_out_and_counted(
    recording: Store, source: str, content: Any
) -> None:
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        given = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        connection.execute("UPDATE spans SET content = CAST(? AS TEXT)", (given,))
    imported = tracestore.import_traces(source)
    assert (imported.traces, imported.spans) == (6, 0)
    assert imported.skipped == {"spans that can't be read": 8}
    assert recording.count_traces() == 6


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("value", "{"), ("value", "[" * 50_000), ("error", "5"), ("error", "{"), ("source_type", "ALIEN"),
        ("assessment_metadata", "[]"), ("created_timestamp", "soon"), ("assessment_type", "verdict"),
        ("rationale", b"\xff"), ("name", "\0"),
    ],
)  # fmt: skip
def test_odd_assessments_are_kept_or_counted(
    recording: Store, source: str, column: str, value: Any
) -> None:
    execute(source, f"UPDATE assessments SET {column} = ?", value)
    imported = tracestore.import_traces(source)
    assert imported.assessments + sum(imported.skipped.values()) == 4
    assert len(recording.search_traces()) == 6


@pytest.mark.parametrize("table", ["trace_tags", "trace_request_metadata"])
@pytest.mark.parametrize("value", [b"\xff\x00", 5, 0.5, "\0", "x" * 100_000])
def test_odd_tags_and_metadata_become_text(
    recording: Store, source: str, table: str, value: Any
) -> None:
    execute(source, f"UPDATE {table} SET value = ? WHERE key IN ('env', 'm')", value)
    assert tracestore.import_traces(source).traces == 6
    assert len(recording.search_traces()) == 6


def test_a_damaged_file_is_said_to_be_damaged(recording: Store, source: str) -> None:
    data = pathlib.Path(source).read_bytes()
    pathlib.Path(source).write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match="damaged"):
        tracestore.import_traces(source)
    assert recording.path


def test_a_pipe_is_never_waited_for(recording: Store, tmp_path: pathlib.Path) -> None:
    import os  # noqa: PLC0415

    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="there is no file"):
        tracestore.import_traces(tmp_path / "pipe")
    assert recording.path


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ASNFZ4mrze8=", ROOT), (f"0x{ROOT}", ROOT), (ROOT, ROOT), ("0x1", "0" * 15 + "1")],
)
def test_span_ids_of_every_version_are_sixteen_digits(text: str, expected: str) -> None:
    content = {
        "name": "s",
        "span_id": text,
        "start_time_unix_nano": 1,
        "status": {"code": "OK"},
        "attributes": {},
    }
    record = span_record("tr-1", json.dumps(content))
    assert record is not None
    assert record[1] == expected


def test_a_person_sees_how_far_it_is(tmp_path: pathlib.Path, source: str) -> None:
    shown = show_in_terminal("import", source, "--db", str(tmp_path / "traces.db"))
    assert "6/6" in without_colours(shown)


# The command line -------------------------------------------------------------------------------------------


def test_the_command_says_what_it_did(tmp_path: pathlib.Path, source: str) -> None:
    store = str(tmp_path / "traces.db")
    ended = run("import", source, "--db", store)
    assert (ended.code, ended.out) == (
        0,
        f"6 traces, 8 spans and 4 assessments imported into {store}\n",
    )

    again: Any = run_json("import", source, "--db", store, "--json")
    assert (again["traces"], again["present"], again["format"]) == (0, 6, "mlflow")
