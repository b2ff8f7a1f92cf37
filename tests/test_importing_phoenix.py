"""Import of Arize Phoenix's SQLite file; `.ci/receivers` does it with a file that Phoenix itself wrote."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3

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
    assert imported.skipped == {"spans that can't be read": 2}
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


def test_another_file_is_refused(tmp_path: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE a (b)")
    with pytest.raises(StoreError, match="no file of Arize Phoenix"):
        open_source(str(tmp_path / "other.db"))
