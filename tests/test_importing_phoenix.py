"""Import of Arize Phoenix's SQLite file; `.ci/receivers` does it with a file that Phoenix itself wrote."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
from typing import Any

import pytest

from tracestore.errors import StoreError
from tracestore.importing import import_into
from tracestore.importing.phoenix import open_source
from tracestore.store import Store

#: The columns that are read, as Phoenix 20 has them.
SCHEMA = """
CREATE TABLE alembic_version (version_num TEXT);
CREATE TABLE projects (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE traces (id INTEGER PRIMARY KEY, trace_id TEXT, project_rowid INTEGER);
CREATE TABLE spans (id INTEGER PRIMARY KEY, trace_rowid INTEGER, span_id TEXT, parent_id TEXT, name TEXT,
    start_time TEXT, end_time TEXT, status_code TEXT, status_message TEXT, attributes TEXT, events TEXT);
"""
ANNOTATIONS = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT);
CREATE TABLE span_annotations (id INTEGER PRIMARY KEY, span_rowid INTEGER, name TEXT, label TEXT, score REAL,
    explanation TEXT, metadata TEXT, annotator_kind TEXT, created_at TEXT, updated_at TEXT, identifier TEXT,
    source TEXT, user_id INTEGER);
CREATE TABLE trace_annotations (id INTEGER PRIMARY KEY, trace_rowid INTEGER, name TEXT, label TEXT, score REAL,
    explanation TEXT, metadata TEXT, annotator_kind TEXT, created_at TEXT, updated_at TEXT);
INSERT INTO users VALUES (7, 'ada');
INSERT INTO span_annotations VALUES
    (1, 2, 'correct', 'yes', 0.75, 'key sk-abcdefghijklmnopqrstuvwx', '{"by": 1}', 'HUMAN',
        '2026-01-01 00:00:05', '2026-01-01 00:00:06', '', 'APP', 7),
    (2, 2, 'correct', NULL, 0.5, NULL, '{}', 'LLM', '2026-01-01 00:00:05', '2026-01-01 00:00:06', 'v2', 'API', NULL),
    (3, 3, 'of no span', 'x', NULL, NULL, '{}', 'LLM', '2026-01-01 00:00:05', '2026-01-01 00:00:06', '', 'API', NULL),
    (4, 2, 'odd', 'x', NULL, NULL, '[', 'LLM', 'never', '2026-01-01 00:00:06', '', 'API', NULL);
INSERT INTO trace_annotations VALUES
    (1, 1, 'note', NULL, NULL, 'look again', '{}', 'CODE', '2026-01-01 00:00:05', '2026-01-01 00:00:06');
"""
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def phoenix_file(path: pathlib.Path) -> str:
    attributes = {
        "openinference": {"span": {"kind": "LLM"}},
        "llm": {
            "model_name": "m-1",
            "token_count": {"prompt": 3, "completion": 4},
            "input_messages": [{"message": {"role": "user", "content": "why?"}}],
        },
        "session": {"id": "s-1"},
    }
    event = {"name": "exception", "timestamp": "2026-01-01T00:00:00.5+00:00"}
    event |= {"attributes": {"exception.type": "E", "exception.message": "no"}}  # type: ignore[dict-item]
    times = ("2026-01-01 00:00:00.000000", "2026-01-01 00:00:01.500000")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO traces VALUES (1, ?, 1)", (TRACE_ID,))
        rows = [
            ("a" * 16, None, "root", *times, "OK", "", "{}", "[]"),
            (
                "b" * 16,
                "a" * 16,
                "call",
                *times,
                "ERROR",
                "bad",
                json.dumps(attributes),
                json.dumps([event]),
            ),
            ("zz", None, "odd", *times, "OK", "", "{}", "[]"),
            ("c" * 16, "a" * 16, "broken", "never", None, "OK", "", "{", "[]"),
            ("d" * 16, "a" * 16, "far", "9999-12-31 23:59:59+00:00", None, "OK", "", "{}", "[]"),
        ]
        connection.executemany(
            "INSERT INTO spans (trace_rowid, span_id, parent_id, name, start_time, end_time, status_code,"
            " status_message, attributes, events) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        connection.commit()
    return str(path)


def test_a_file_of_phoenix_is_read(recording: Store, tmp_path: pathlib.Path) -> None:
    path = phoenix_file(tmp_path / "phoenix.db")
    before = pathlib.Path(path).read_bytes()
    imported = import_into(recording, path)
    assert (imported.format, imported.traces, imported.spans) == ("phoenix", 1, 2)
    assert imported.skipped == {"spans that can't be read": 3}
    (found,) = recording.search_traces()
    assert (found.trace_id, found.info.name) == (f"tr-{TRACE_ID}", "root")
    assert found.info.execution_duration == 1500
    assert found.info.trace_metadata["mlflow.trace.session"] == "s-1"
    call = found.data.spans[1]
    assert (call.span_type, call.model_name, call.status.description) == (
        "CHAT_MODEL",
        "m-1",
        "bad",
    )
    assert call.inputs == {"messages": [{"role": "user", "content": "why?"}]}
    assert call.attributes["llm.token_count.prompt"] == 3
    assert call.events[0].name == "exception"
    assert import_into(recording, path).present == 1
    assert pathlib.Path(path).read_bytes() == before


def test_annotations_are_assessments(recording: Store, tmp_path: pathlib.Path) -> None:
    path = phoenix_file(tmp_path / "phoenix.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(ANNOTATIONS)
    imported = import_into(recording, path)
    assert imported.assessments == 3
    assert imported.skipped["annotations that can't be read"] == 2
    (found,) = recording.search_traces("feedback.correct = 0.5 AND feedback.correct = 'yes'")
    said: list[Any] = found.search_assessments("correct", all=True)
    assert [(one.value, one.rationale, one.span_id) for one in said] == [
        ("yes", "key [redacted]", "b" * 16),
        (0.5, None, "b" * 16),
    ]
    assert (said[0].source.source_type, said[0].source.source_id) == ("HUMAN", "ada")
    assert (said[1].source.source_type, said[0].metadata) == (
        "LLM_JUDGE",
        {"score": "0.75", "by": "1"},
    )
    assert said[0].create_time_ms == 1767225605000
    note: Any = found.search_assessments("note")[0]
    assert (note.value, note.rationale, note.span_id) == (None, "look again", None)
    assert import_into(recording, path).assessments == 0


def test_another_file_is_refused(tmp_path: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE a (b)")
    with pytest.raises(StoreError, match="no file of Arize Phoenix"):
        open_source(str(tmp_path / "other.db"))
