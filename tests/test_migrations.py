"""A file of every earlier version opens, keeps what it holds, and ends with the schema of a new file."""

from __future__ import annotations

import contextlib
import pathlib
import re
import sqlite3
import subprocess
import sys

import pytest

import tracestore
from tests.cli_program import run_json
from tracestore.errors import StoreError
from tracestore.store import Store

_FOLDER = pathlib.Path(__file__).parent / "schemas"
_SCHEMAS = sorted(_FOLDER.glob("version_*.sql"))


def _schema_of(path: pathlib.Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: _words(sql) for name, sql in rows if not name.startswith("span_text")}


def _words(sql: str) -> str:
    """The text without comments and with nothing said by spaces."""
    text = re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql))
    return re.sub(r" ?([(),]) ?", r"\1", text).strip()


@pytest.mark.parametrize("text", _SCHEMAS, ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_becomes_one_of_this_version(
    text: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(text.read_text(encoding="utf-8"))
    with Store(new) as store:
        store.create_experiment("any")
    with Store(old) as store:
        store.create_experiment("any")
        (trace,) = store.search_traces("tags.environment = 'production'")

    assert (trace.info.tags["mlflow.traceName"], trace.data.spans[0].inputs) == (
        f"recorded by {text.stem.replace('_', ' ')}",
        {"x": 1},
    )
    assert _schema_of(old) == _schema_of(new)


def test_what_was_recorded_by_an_earlier_version_is_found_without_writing_first(
    tmp_path: pathlib.Path,
) -> None:
    """Somebody upgrades and looks at last week's traces; only read_only=True leaves the file as it is."""
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMAS[0].read_text(encoding="utf-8"))
    with Store(path, read_only=True) as store, pytest.raises(StoreError, match="migrates it"):
        store.count_traces()

    tracestore.set_tracking_uri(str(path))
    assert len(tracestore.search_traces(return_type="list")) == 1


def test_the_shell_reads_what_an_earlier_version_recorded(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMAS[0].read_text(encoding="utf-8"))

    assert len(run_json("search", "--db", str(path))["traces"]) == 1


def test_spans_of_an_earlier_version_have_no_checksum_and_new_ones_have(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((_FOLDER / "version_2.sql").read_text(encoding="utf-8"))
    tracestore.set_tracking_uri(str(path))
    with tracestore.start_span("recorded now"):
        pass
    tracestore.flush()

    with Store(path) as store:
        assert store.check() == []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, checksum IS NULL FROM spans ORDER BY id")
        assert rows.fetchall() == [("recorded by version 2", 1), ("recorded now", 0)]


def test_a_short_program_migrates_when_it_ends(tmp_path: pathlib.Path) -> None:
    """By then Python starts no thread, and imports nothing that would."""
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMAS[-1].read_text(encoding="utf-8"))
    program = f"""
import tracestore
tracestore.set_tracking_uri({str(path)!r})
with tracestore.start_span("recorded now"):
    pass
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stderr == b""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM traces").fetchone() == (2,)
