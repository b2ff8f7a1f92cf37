"""`tracestore import`: which files it takes, and what it says of those that it refuses."""

from __future__ import annotations

import pathlib
import sqlite3

import pytest

import tracestore
from tests.cli_program import run
from tracestore.errors import InvalidArgumentError, StoreError
from tracestore.importing import import_into
from tracestore.store import Store


def test_a_file_of_no_known_format_is_refused_and_no_store_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to import")
    store = tmp_path / "traces.db"

    ended = run("import", str(tmp_path / "notes.txt"), "--db", str(store))

    assert ended.code == 3
    assert "is of no format that can be imported; known are mlflow" in ended.err
    assert not store.exists()


def test_a_database_of_another_program_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    before = path.read_bytes()

    ended = run("import", str(path), "--format", "mlflow", "--db", str(tmp_path / "traces.db"))

    assert ended.code == 3
    assert "can't be imported: an MLflow file since 2.14 has a table" in ended.err
    assert path.read_bytes() == before


def test_a_store_of_traces_is_told_apart(recording: Store, tmp_path: pathlib.Path) -> None:
    with tracestore.start_span("s"):
        pass
    recording.close()
    with (
        pytest.raises(StoreError, match="`tracestore merge` takes its traces"),
        Store(tmp_path / "n.db") as store,
    ):
        import_into(store, recording.path)


def test_a_missing_file_and_an_unknown_format_are_said(
    recording: Store, tmp_path: pathlib.Path
) -> None:
    assert recording.path
    with pytest.raises(StoreError, match="there is no file"):
        tracestore.import_traces(tmp_path / "missing.db")
    with pytest.raises(InvalidArgumentError, match="it must be one of mlflow"):
        tracestore.import_traces(tmp_path / "missing.db", format="sheet")
