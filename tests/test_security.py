"""What a hostile file, path or setting can do: nothing. And what this package never does by itself."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import pathlib
import sqlite3
import stat
import time
from typing import Any

import pytest

import tracestore
from tests import upkeep_store
from tests.upkeep_store import one, query
from tracestore import Store, settings
from tracestore.errors import ForeignFileError, InvalidArgumentError, StoreError
from tracestore.otlp.sending import Failure, RefusedError, Sender, target
from tracestore.storage import connection as connections
from tracestore.storage import planted, schema

PACKAGE = pathlib.Path(tracestore.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Each runs code that whoever made the file chose, or hides rows from a search.
PLANTED = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON spans BEGIN DELETE FROM tags; END",
    "a trigger on an index table": "CREATE TRIGGER t AFTER DELETE ON state BEGIN SELECT 1; END",
    "a temporary looking trigger": "CREATE TRIGGER tags AFTER INSERT ON tags BEGIN SELECT 1; END",
    "another view of that name": "DROP VIEW trace_view; CREATE VIEW trace_view AS SELECT 1",
    "a view for a table": "DROP TABLE tags; CREATE VIEW tags AS SELECT 1 AS trace, 'a' AS key, 'b' AS value",
    "a generated column": "ALTER TABLE tags ADD COLUMN x TEXT AS (hex(value))",
    "a default": "ALTER TABLE spans ADD COLUMN x TEXT DEFAULT 'y'",
    "an expression index of that name": "DROP INDEX tags_value; CREATE INDEX tags_value ON tags (hex(key))",
    "a view for the text index": "CREATE VIEW span_text AS SELECT 1 AS text",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    found = tmp_path / "t.db"
    upkeep_store.make(found, 3)
    return found


@pytest.mark.parametrize("statements", PLANTED.values(), ids=PLANTED)
def test_a_file_with_a_planted_schema_is_refused_and_not_touched(
    path: pathlib.Path, statements: str
) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)
    before = path.read_bytes()
    for read_only in (True, False):
        with (
            pytest.raises(ForeignFileError, match="changed by another program"),
            Store(path, read_only=read_only) as store,
        ):
            store.set_trace_tag("tr-0", "a", "b") if not read_only else store.search_traces()
    assert path.read_bytes() == before


def test_a_trigger_in_a_file_of_an_older_version_is_refused(path: pathlib.Path) -> None:
    query(path, "DROP TABLE state")
    query(path, "PRAGMA user_version = 1")
    query(path, "CREATE TRIGGER t AFTER INSERT ON spans BEGIN DELETE FROM tags; END")
    with pytest.raises(ForeignFileError, match="trigger"), Store(path) as store:
        store.create_experiment("x")
    assert one(path, "PRAGMA user_version") == 1


def test_what_a_person_adds_for_himself_is_let_be(path: pathlib.Path) -> None:
    query(path, "CREATE VIEW mine AS SELECT * FROM trace_view")
    query(path, "CREATE TABLE notes (text)")
    query(path, "CREATE INDEX my_index ON traces (total_cost)")
    with Store(path) as store:
        assert store.count_traces() == 3
        store.create_experiment("x")


def test_the_traces_of_a_refused_file_can_be_saved(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    query(path, PLANTED["a trigger"])
    tracestore.repair(path, tmp_path / "clean.db")
    with Store(tmp_path / "clean.db") as store:
        assert store.count_traces() == 3


def test_every_connection_trusts_nothing(path: pathlib.Path) -> None:
    for connect in (connections.open_for_reading, connections.open_for_writing):
        with contextlib.closing(connect(str(path))) as connection:
            assert connection.execute("PRAGMA trusted_schema").fetchone()[0] == 0
            assert connection.execute("PRAGMA cell_size_check").fetchone()[0] == 1
            with pytest.raises(sqlite3.OperationalError, match="not authorized"):
                connection.execute("SELECT load_extension('x')")
            if hasattr(connection, "load_extension"):
                with pytest.raises(sqlite3.OperationalError, match="not authorized"):
                    connection.load_extension("x")
            get: Any = getattr(connection, "getconfig", None)
            if get is not None:  # Python 3.12
                assert get(getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE", 0))
                assert not get(getattr(sqlite3, "SQLITE_DBCONFIG_ENABLE_TRIGGER", 0))
                assert not get(getattr(sqlite3, "SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION", 0))


def test_a_reading_connection_writes_nothing(path: pathlib.Path) -> None:
    with Store(path, read_only=True) as store, store.reading() as connection:
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("DELETE FROM traces")
        connection.execute("SELECT 1")


def test_a_new_file_differs_in_nothing_from_what_is_expected(tmp_path: pathlib.Path) -> None:
    with contextlib.closing(connections.open_for_writing(str(tmp_path / "new.db"))) as connection:
        assert planted.differences(connection) == []
        assert connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_whatever_is_made_is_for_its_owner_only(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "made"
    before = os.umask(0)
    try:
        with Store(folder / "deep" / "t.db") as store:
            store.create_experiment("x")
            store.backup(folder / "backups" / "b.db")
            store.extract(None, folder / "extracts" / "e.db")
            made = [p for p in folder.rglob("*") if p.exists()]
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in made}
        tracestore.repair(path, folder / "repaired" / "r.db")
        modes |= {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*")}
    finally:
        os.umask(before)
    open_to_others = {name: oct(mode) for name, mode in modes.items() if mode & 0o077}
    assert open_to_others == {}
    assert {"b.db", "e.db", "r.db", "t.db"} <= set(modes)


def test_a_store_is_not_made_through_a_dangling_link(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "elsewhere.db"
    (tmp_path / "t.db").symlink_to(target)
    started = time.monotonic()
    with (
        pytest.raises(StoreError, match="link to a file that is not there"),
        Store(tmp_path / "t.db") as store,
    ):
        store.create_experiment("x")
    assert time.monotonic() - started < 10  # at once, not after a minute of tries
    assert not target.exists()


SECRET = "hunter2-s3cr3t"


#: URIs with a password where people put them.
URIS = (
    f"postgres://ada:{SECRET}@example.org/traces",
    f"postgresql+psycopg2://ada:{SECRET}@example.org:5432/traces?sslmode=require",
    f"postgres://ada:p@rt/{SECRET}@example.org/traces",
    f"postgres://ada:{SECRET}/@example.org/traces",
    f"sqlite://ada:{SECRET}@example.org/traces.db",
    f"databricks://token:{SECRET}@example.org",
    f"https://example.org/?password={SECRET}",
    f"ada:{SECRET}@example.org/traces",
    f"https://ada:{SECRET}\n@example.org",
)


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize(
    "variable", ["TRACESTORE_DB", "MLFLOW_TRACKING_URI", "TRACESTORE_QUEUE_SIZE"]
)
def test_a_password_in_a_setting_is_not_logged(
    variable: str, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.load({variable: uri})
    assert variable in caplog.text
    assert "example.org" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("uri", URIS)
def test_a_password_in_a_uri_is_in_no_error(uri: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        tracestore.set_tracking_uri(uri)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://ada:{0}@127.0.0.1", "http://ada:{0}@127.0.0.1:1/?key={0}"])
def test_a_password_in_a_receivers_url_is_in_no_error(url: str) -> None:
    failures: list[Failure] = []
    with pytest.raises((InvalidArgumentError, RefusedError)) as caught:
        Sender(target(url.format(SECRET)), lambda _: None, failed=failures.append).send({})
    assert "127.0.0.1" in str(caught.value)
    assert SECRET not in f"{caught.value} {failures}"


class _Telling:
    """An object that says its secret whenever it is asked anything."""

    def __repr__(self) -> str:
        raise ValueError(SECRET)

    __str__ = __repr__


def test_recorded_values_are_in_no_log_and_no_finding(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with tracestore.start_span("s") as span:
        span.set_inputs({"a": _Telling(), "b": SECRET, "c": float("nan"), "d": "\ud800" + SECRET})
        span.set_attribute("key", SECRET)
        span.set_attribute(5, SECRET)  # type: ignore[arg-type]  # what a program may do
        span.set_attributes([SECRET])  # type: ignore[arg-type]
        tracestore.update_current_trace(tags={"t": SECRET})
    recording.flush()
    query(recording.path, f"UPDATE spans SET inputs = '{SECRET}', status = '{SECRET}'")
    findings = recording.check()

    assert findings
    assert SECRET not in repr(findings)
    assert SECRET not in caplog.text


FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_loads_code_out_of_data(module: pathlib.Path) -> None:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not {name.name.partition(".")[0] for name in node.names} & FORBIDDEN_MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in FORBIDDEN_MODULES
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in FORBIDDEN_CALLS, ast.unparse(node)
            elif isinstance(node.func, ast.Attribute):
                assert node.func.attr != "load_extension"
                if node.func.attr == "enable_load_extension":
                    assert [ast.unparse(argument) for argument in node.args] == ["False"]
            assert not any(
                keyword.arg == "shell" and ast.unparse(keyword.value) != "False"
                for keyword in node.keywords
            )
