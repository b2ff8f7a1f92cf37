"""The file as a whole: modes, refused files, read-your-writes, tags, deletion, experiments."""

from __future__ import annotations

import contextlib
import contextvars
import os
import pathlib
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlite_utils

import tracestore
from tracestore import Store
from tracestore.entities import AssessmentSource, Expectation, Feedback, SpanStatus, TraceState
from tracestore.errors import (
    AlreadyExistsError,
    DamagedFileError,
    ForeignFileError,
    InvalidArgumentError,
    NewerFileError,
    NotFoundError,
    ReadOnlyError,
    StoreError,
)
from tracestore.runtime import runtime
from tracestore.storage import migrations, schema
from tracestore.storage import writer as writer_module
from tracestore.storage.schema import APPLICATION_ID, VERSION


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Store]:
    """The active store, in a temporary directory."""
    tracestore.set_tracking_uri(tmp_path / "traces.db")
    yield runtime.store
    runtime.reset()


def record(name: str = "root", **tags: str) -> str:
    """Record a trace of two spans and return its id."""
    with tracestore.start_span(name) as span:
        tracestore.update_current_trace(tags=tags)
        with tracestore.start_span("child"):
            pass
    return span.trace_id


def all_bytes(directory: pathlib.Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.is_file()}


# ------------------------------------------------------------------------------------------ the file


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_new_directory_and_file_are_for_their_owner_only(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "traces.db"
    before = os.umask(0)
    try:
        with Store(path) as store:
            store.create_experiment("x")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert "traces.db" in modes


def test_after_close_there_is_one_file(store: Store) -> None:
    record()
    store.close()

    assert [file.name for file in pathlib.Path(store.path).parent.iterdir()] == ["traces.db"]


def test_the_file_says_what_it_is(store: Store) -> None:
    record()
    store.close()

    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        trace = connection.execute("SELECT name, status, span_count FROM trace_view").fetchall()
        spans = connection.execute("SELECT name FROM span_view ORDER BY start_time_ns").fetchall()
    assert trace == [("root", "OK", 2)]
    assert spans == [("root",), ("child",)]


def _refused(path: pathlib.Path, error: type[StoreError]) -> str:
    before = all_bytes(path.parent)
    with pytest.raises(error) as reading:
        Store(path, read_only=True).search_traces()
    with Store(path) as store, pytest.raises(error) as writing:
        store.create_experiment("x")
    with Store(path) as store, pytest.raises(error):
        store.search_traces()
    assert all_bytes(path.parent) == before
    assert str(path) in str(writing.value)
    assert str(path) in str(reading.value)
    return str(writing.value)


def test_a_sqlite_file_of_another_program_is_refused_and_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE trace_info (request_id TEXT)")

    assert "another program" in _refused(path, ForeignFileError)


def test_a_foreign_file_in_wal_mode_is_refused_and_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")

    assert "another program" in _refused(path, ForeignFileError)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database\n" * 100)

    assert "no SQLite file" in _refused(path, ForeignFileError)


def test_a_newer_file_is_refused_and_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("x")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")

    message = _refused(path, NewerFileError)
    assert f"schema version {VERSION + 1}" in message
    assert "Upgrade tracestore" in message


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("x")
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 8000 + whole[8100:])

    _refused(path, DamagedFileError)


def test_recording_into_a_file_that_is_refused_does_not_break_the_program(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes\n" * 100)
    tracestore.set_tracking_uri(path)
    try:
        record()
        record()
        flushed = tracestore.flush()
    finally:
        runtime.reset()

    assert (flushed.durable, flushed.dropped, flushed.pending) == (0, 4, 0)
    assert [r.message for r in caplog.records if "no SQLite file" in r.message] != []
    assert path.read_text() == "these are my notes\n" * 100


def test_an_older_file_is_migrated_after_a_backup(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("before")
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)

    def step(connection: sqlite3.Connection) -> None:
        sqlite_utils.Database(connection).table("experiments").insert(
            {
                "name": "migrated",
                "lifecycle_stage": "active",
                "creation_time_ms": 0,
                "last_update_time_ms": 0,
            }
        )

    monkeypatch.setitem(migrations.STEPS, VERSION, step)
    with Store(path) as store:
        store.create_experiment("after")
        names = {experiment.name for experiment in store.search_experiments()}

    assert names == {"Default", "before", "migrated", "after"}
    with contextlib.closing(sqlite3.connect(tmp_path / f"traces.db.v{VERSION}.bak")) as backup:
        assert backup.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert backup.execute("SELECT count(*) FROM experiments").fetchone() == (2,)


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("before")
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM experiments")
        connection.execute("SELECT nonsense")

    monkeypatch.setitem(migrations.STEPS, VERSION, step)
    with Store(path) as store, pytest.raises(StoreError, match="nonsense"):
        store.create_experiment("after")
    monkeypatch.setattr(schema, "VERSION", VERSION)

    with Store(path) as store:
        assert {e.name for e in store.search_experiments()} == {"Default", "before"}


def test_migrations_and_sqlite_utils_are_imported_only_when_due(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys, tracestore\n"
        f"tracestore.set_tracking_uri({str(tmp_path / 'traces.db')!r})\n"
        "with tracestore.start_span('x'): pass\n"
        "tracestore.flush()\n"
        "print('sqlite_utils' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_directory_is_no_store(tmp_path: pathlib.Path) -> None:
    with Store(tmp_path) as store, pytest.raises(StoreError, match="is a directory; name a file"):
        store.create_experiment("x")


@pytest.mark.skipif(os.name == "nt", reason="open files can't be deleted there")
@pytest.mark.parametrize("looks_first", [False, True], ids=["", "looks first"])
@pytest.mark.parametrize("how", ["moved", "replaced"])
def test_a_file_that_is_moved_or_replaced_without_its_side_files_loses_nothing(
    store: Store, tmp_path: pathlib.Path, how: str, looks_first: bool
) -> None:
    """The write-ahead log that stays behind is not taken for the new file's."""
    for _ in range(20):
        record("before")
    store.flush()
    path, other = pathlib.Path(store.path), tmp_path / "other.db"
    assert pathlib.Path(f"{path}-wal").stat().st_size > 0
    if how == "moved":
        path.rename(other)
    else:
        with Store(other) as made:
            made.create_experiment("of the other file")
        other.replace(path)

    if looks_first:
        assert store.count_traces() == 0
    record("after")

    assert [trace.info.name for trace in store.search_traces()] == ["after"]
    assert store.check() == []
    assert (store.get_experiment_by_name("of the other file") is None) == (how == "moved")
    if how == "moved":
        with Store(other) as moved:
            assert moved.count_traces("name = 'before'") == 20
            assert moved.check() == []
    if sys.platform == "linux":
        handles = list(pathlib.Path("/proc/self/fd").iterdir())
        open_files = [str(each.readlink()) for each in handles if os.path.lexists(each)]
        own = [file for file in open_files if str(tmp_path) in file]
        assert [file for file in own if "traces.db" in file and "(deleted)" in file] == []


@pytest.mark.skipif(os.name == "nt", reason="open files can't be deleted there")
@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "deleted alone"])
def test_a_file_that_is_gone_is_noticed_and_a_new_one_made(
    store: Store, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    record("before")
    store.search_traces()
    store.flush()
    path = pathlib.Path(store.path)
    if how == "replaced":
        with Store(tmp_path / "other.db") as other:
            other.create_experiment("of the other file")
        (tmp_path / "other.db").replace(path)
    elif how == "moved":
        path.rename(tmp_path / "moved.db")
    else:
        path.unlink()
    for suffix in ("-wal", "-shm"):
        if how != "deleted alone":
            pathlib.Path(f"{path}{suffix}").unlink(missing_ok=True)

    trace_id = record("after")

    assert store.flush().pending == 0
    assert [trace.info.name for trace in store.search_traces()] == ["after"]
    assert store.get_trace(trace_id).info.state == TraceState.OK
    assert "was deleted, moved or replaced" in caplog.text
    assert store.stats()["traces"] == 1
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.skipif(os.name == "nt", reason="which removes no open file")
@pytest.mark.parametrize("suffixes", [("-wal", "-shm"), ("-wal",), ("-shm",)])
def test_a_wal_that_is_removed_under_a_program_takes_nothing_with_it(
    tmp_path: pathlib.Path, suffixes: tuple[str, ...]
) -> None:
    path = tmp_path / "traces.db"
    program = f"""
import os, sys, tracestore
tracestore.set_tracking_uri(sys.argv[1])
for moment in ("before", "after", "later"):
    for _ in range(3):
        with tracestore.start_span(moment): pass
    assert tracestore.flush(20)
    if moment == "before":
        for suffix in {suffixes!r}:
            os.unlink(sys.argv[1] + suffix)
assert len(tracestore.search_traces(return_type="list")) == 9
os._exit(9)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 9, done.stderr
    with Store(path) as store:
        assert store.count_traces() == 9
        assert [f for f in store.check() if f.severity != "leftover"] == []


def test_counters_are_there_where_the_file_is_not(tmp_path: pathlib.Path) -> None:
    tracestore.set_tracking_uri(tmp_path)  # a directory
    try:
        record()
        stats = tracestore.stats()
    finally:
        runtime.reset()

    assert (stats["failed"], stats["written"], stats["traces"]) == (2, 0, None)
    assert "is a directory" in stats["error"]


def test_a_new_experiment_never_makes_the_program_wait_for_the_file(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("other")
    runtime.configure(path=str(path), experiment_name="new one")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        start = time.perf_counter()
        record()
        took = time.perf_counter() - start
        connection.execute("ROLLBACK")
    try:
        (trace,) = tracestore.search_traces(return_type="list")
        experiment = tracestore.get_experiment(trace.info.experiment_id)
    finally:
        runtime.reset()

    assert took < 0.5
    assert experiment.name == "new one"


def test_a_store_that_is_dropped_without_close_leaves_no_thread(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "IDLE_END_S", 0.1)
    before = set(threading.enumerate())
    for number in range(20):
        Store(tmp_path / f"{number}.db").create_experiment("x")
    deadline = time.monotonic() + 30.0
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.05)

    assert set(threading.enumerate()) <= before
    assert not list(tmp_path.glob("*-wal"))


# ------------------------------------------------------------------------------------------ reading


def test_a_trace_that_has_just_ended_is_there(store: Store) -> None:
    for _ in range(50):
        trace_id = record()
        assert store.get_trace(trace_id).info.state == TraceState.OK
        assert len(store.search_traces(max_results=1)) == 1


def test_another_store_of_the_same_file_sees_what_was_just_recorded(store: Store) -> None:
    trace_id = record()

    with Store(store.path, read_only=True) as other:
        assert other.get_trace(trace_id).info.name == "root"


def test_a_running_trace_shows_what_is_open(store: Store) -> None:
    with tracestore.start_span("outer") as outer:
        outer.set_inputs({"question": "why?"})
        with tracestore.start_span("done"):
            pass
        trace = store.get_trace(outer.trace_id)

    assert trace.info.state == TraceState.IN_PROGRESS
    assert trace.info.execution_duration is None
    assert [(span.name, span.end_time_ns is None) for span in trace.data.spans] == [
        ("outer", True),
        ("done", False),
    ]
    assert trace.data.spans[0].inputs == {"question": "why?"}
    after = store.get_trace(outer.trace_id)
    assert after.info.state == TraceState.OK
    assert [span.end_time_ns is None for span in after.data.spans] == [False, False]


def test_spans_are_in_the_file_before_their_trace_ends(store: Store) -> None:
    with tracestore.start_span("outer") as outer:
        with tracestore.start_span("done"):
            pass
        deadline = time.monotonic() + 20.0
        seen: list[str] = []
        while not seen and time.monotonic() < deadline:
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(store.path)) as connection,
            ):
                seen = [row[0] for row in connection.execute("SELECT name FROM spans")]
        assert seen == ["done"]
    assert store.get_trace(outer.trace_id).info.state == TraceState.OK


def test_an_unknown_trace_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="tr-nope"):
        store.get_trace("tr-nope")
    assert tracestore.get_trace("tr-nope", silent=True) is None


def test_searching_an_empty_store_finds_nothing(store: Store) -> None:
    assert store.search_traces() == []
    assert store.count_traces("tags.x = 'y'") == 0


def test_pages_put_together_are_the_whole(store: Store) -> None:
    recorded = [record() for _ in range(25)]

    found: list[str] = []
    token = None
    pages = 0
    while True:
        page = store.search_traces(max_results=10, page_token=token)
        found += [trace.trace_id for trace in page]
        token = page.token
        pages += 1
        if token is None:
            break

    assert pages == 3
    assert found == recorded[::-1]  # newest first, also within a millisecond


@pytest.mark.parametrize("order_by", [None, ["name ASC"], ["duration DESC", "name"]])
def test_pages_neither_repeat_nor_hide_traces_while_others_arrive(
    store: Store, order_by: list[str] | None
) -> None:
    before = {record(f"name {number % 7}") for number in range(100)}
    store.flush()
    stop = threading.Event()

    def keep_recording() -> None:
        while not stop.is_set():
            record("name 3")
            time.sleep(0.001)

    recording = threading.Thread(target=keep_recording)
    recording.start()
    try:
        found: list[str] = []
        token = None
        for _ in range(200):
            page = store.search_traces(
                max_results=25, page_token=token, order_by=order_by, include_spans=False
            )
            found += [trace.trace_id for trace in page]
            token = page.token
            if token is None or before <= set(found):
                break
    finally:
        stop.set()
        recording.join()

    assert len(found) == len(set(found))
    if order_by is None:
        assert before <= set(found)


def test_a_read_only_store_never_writes(tmp_path: pathlib.Path, store: Store) -> None:
    trace_id = record()
    store.flush()
    with Store(store.path, read_only=True) as other:
        assert len(other.search_traces()) == 1
        for change in (
            lambda: other.set_trace_tag(trace_id, "a", "b"),
            lambda: other.log_feedback(trace_id),
            lambda: other.create_experiment("x"),
            lambda: other.delete_traces("0", trace_ids=[trace_id]),
        ):
            with pytest.raises(ReadOnlyError, match="read_only"):
                change()
    missing = tmp_path / "missing.db"
    with Store(missing, read_only=True) as other, pytest.raises(StoreError, match="no such file"):
        other.search_traces()
    assert not missing.exists()


@pytest.mark.skipif(os.name == "nt", reason="directory modes")
def test_a_store_in_a_directory_without_write_permission_can_be_read(
    tmp_path: pathlib.Path,
) -> None:
    directory = tmp_path / "d"
    with Store(directory / "traces.db") as store:
        store.create_experiment("kept")
    program = (
        "import os, sys, tracestore\n"
        "store = tracestore.open(sys.argv[1], read_only=True)\n"
        "store.search_experiments()\n"  # loads every module, while root still may
        "store.close()\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "print([e.name for e in store.search_experiments()])\n"
    )
    (directory / "traces.db").chmod(0o444)
    directory.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            parent.chmod(stat.S_IMODE(parent.stat().st_mode) | 0o055)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(directory / "traces.db")],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        directory.chmod(0o755)
    assert done.stderr == ""
    assert done.stdout == "['kept', 'Default']\n"


# ------------------------------------------------------------------------------------------ changing


def test_a_tag_is_set_changed_and_deleted_on_a_stored_trace(store: Store) -> None:
    trace_id = record(environment="production")

    store.set_trace_tag(trace_id, "environment", "staging")
    store.set_trace_tag(trace_id, "tries", 3)
    assert store.get_trace(trace_id).info.tags == {
        "environment": "staging",
        "tries": "3",
        "mlflow.traceName": "root",
    }
    assert store.count_traces("tags.environment = 'production'") == 0
    assert store.count_traces("tags.environment = 'staging' AND tags.tries = '3'") == 1

    store.delete_trace_tag(trace_id, "tries")
    assert "tries" not in store.get_trace(trace_id).info.tags
    with pytest.raises(NotFoundError, match="no tag 'tries'"):
        store.delete_trace_tag(trace_id, "tries")
    with pytest.raises(NotFoundError, match="tr-nope"):
        store.set_trace_tag("tr-nope", "a", "b")
    for key in ("", "k" * 251, None):
        with pytest.raises(InvalidArgumentError, match="1 to 250 characters"):
            store.set_trace_tag(trace_id, key, "x")  # type: ignore[arg-type]  # that is the point


def test_tags_of_a_running_trace_are_kept_whenever_they_are_set(store: Store) -> None:
    with tracestore.start_span("root") as span:
        store.set_trace_tag(span.trace_id, "early", "1")
        store.get_trace(span.trace_id)  # it is in the file now
        store.set_trace_tag(span.trace_id, "late", "2")
        store.set_trace_tag(span.trace_id, "gone", "3")
        store.get_trace(span.trace_id)
        store.delete_trace_tag(span.trace_id, "gone")
        assert store.get_trace(span.trace_id).info.tags["late"] == "2"
    tags = store.get_trace(span.trace_id).info.tags
    assert tags == {"early": "1", "late": "2", "mlflow.traceName": "root"}


def test_the_name_tag_renames_the_trace(store: Store) -> None:
    trace_id = record()

    store.set_trace_tag(trace_id, "mlflow.traceName", "better")
    assert store.count_traces("name = 'better'") == 1
    assert store.get_trace(trace_id).info.name == "better"

    store.delete_trace_tag(trace_id, "mlflow.traceName")
    assert store.count_traces("name IS NULL") == 1


def test_attributes_are_found_whether_they_are_indexed_or_not(store: Store) -> None:
    usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
    attributes = {"mlflow.chat.tokenUsage": usage, "model": "m", "mlflow": {"llm": {"cost": 3}}}
    with tracestore.start_span("root", attributes=attributes):
        pass
    record()

    for condition in (
        "span.attributes.mlflow.chat.tokenUsage.input_tokens = 7",
        "span.attributes.`mlflow.chat.tokenUsage.total_tokens` > 11",
        "span.attributes.mlflow.llm.cost = 3",
        "span.attributes.model = 'm'",
    ):
        assert store.count_traces(condition) == 1, condition


def test_session_and_user_given_as_tags_are_found_as_session_and_user(store: Store) -> None:
    with tracestore.start_span("root") as span:
        tracestore.update_current_trace(
            tags={"mlflow.trace.session": "s-1", "mlflow.trace.user": "u-1"}
        )

    for condition in (
        "session = 's-1'",
        "user = 'u-1'",
        "metadata.`mlflow.trace.session` = 's-1'",
        "tags.`mlflow.trace.user` = 'u-1'",
    ):
        assert store.count_traces(condition) == 1, condition
    assert store.get_trace(span.trace_id).info.tags["mlflow.trace.session"] == "s-1"


def test_deleting_a_trace_deletes_everything_of_it_and_nothing_else(store: Store) -> None:
    def rows_by_table() -> dict[str, int]:
        store.flush()
        tables = ("traces", "spans", "tags", "metadata", "assessments", "span_attributes")
        with contextlib.closing(sqlite3.connect(store.path)) as connection:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in tables
            }

    def full(name: str) -> str:
        with tracestore.start_span(
            name, attributes={"model": "m", "deep": {"a": 1, "b": True}}
        ) as span:
            tracestore.update_current_trace(tags={"t": "1"}, session_id="s")
        store.log_feedback(span.trace_id, value=1)
        return span.trace_id

    kept = full("kept")
    before = rows_by_table()
    gone = full("gone")

    assert store.delete_traces("0", trace_ids=[gone, "tr-unknown"]) == 1

    assert rows_by_table() == before
    assert store.get_trace(kept).info.name == "kept"
    assert store.count_traces("span.attributes.model = 'm'") == 1


def test_traces_are_deleted_up_to_a_time_oldest_first_within_their_experiment(
    store: Store,
) -> None:
    ids = []
    for _ in range(4):
        ids.append(record())
        time.sleep(0.002)
    cut = store.get_trace(ids[2]).info.request_time

    assert store.delete_traces("7", max_timestamp_millis=cut) == 0
    assert store.delete_traces("0", max_timestamp_millis=cut, max_traces=1) == 1
    assert [t.trace_id for t in store.search_traces(order_by=["timestamp_ms"])] == ids[1:]
    assert store.delete_traces("0", max_timestamp_millis=cut) == 2
    assert [t.trace_id for t in store.search_traces()] == ids[3:]
    for trace_ids, until in ((None, None), ([], None), (["a"], 1)):
        with pytest.raises(InvalidArgumentError):
            store.delete_traces("0", trace_ids=trace_ids, max_timestamp_millis=until)


# ------------------------------------------------------------------------------------------ assessments


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        0,
        0.25,
        "good",
        "",
        'it\'s "quoted"\n\\ \u2603',
        {"a": [1, None]},
        [1, "x"],
        None,
    ],
)
def test_feedback_of_any_json_type_is_on_the_trace_at_once(store: Store, value: object) -> None:
    trace_id = record()
    source = AssessmentSource("human", "bob@example.com")

    returned = store.log_feedback(
        trace_id, "q", value, source, rationale="because", metadata={"n": 1}
    )
    (stored,) = store.get_trace(trace_id).info.assessments

    assert stored == returned
    assert isinstance(stored, Feedback)
    assert stored.value == value
    assert type(stored.value) is type(value)
    assert (stored.source.source_type, stored.source.source_id) == ("HUMAN", "bob@example.com")
    assert (stored.rationale, stored.metadata, stored.valid) == ("because", {"n": "1"}, True)
    assert stored.assessment_id is not None
    assert stored.assessment_id.startswith("a-")
    assert store.count_traces("feedback.q IS NOT NULL") == 1


def test_text_that_no_file_can_hold_is_kept_as_well_as_it_can_be(store: Store) -> None:
    odd = "a\ud800b\0c"
    with tracestore.start_span(odd, span_type=odd, attributes={odd: odd}) as span:
        tracestore.update_current_trace(
            tags={odd: odd}, metadata={odd: odd}, client_request_id=odd, request_preview=odd
        )
        span.set_status(SpanStatus("ERROR", odd))  # type: ignore[arg-type]  # a code's name will do
    source = AssessmentSource("HUMAN", odd)
    store.log_feedback(
        span.trace_id, odd, odd, source, odd, rationale=odd, metadata={odd: odd}, span_id=odd
    )

    trace = store.get_trace(span.trace_id)

    assert store.stats()["failed"] == 0
    assert trace.data.spans[0].name == "a\ufffdb\u2400c"
    assert trace.data.spans[0].span_type == "a\ufffdb\u2400c"
    (stored,) = trace.info.assessments
    assert stored.source.source_id == "a\ufffdb\u2400c"


def test_feedback_can_be_an_error(store: Store) -> None:
    trace_id = record()

    store.log_feedback(trace_id, "judge", error=TimeoutError("too slow"))
    (stored,) = store.get_trace(trace_id).info.assessments

    assert isinstance(stored, Feedback)
    assert (stored.value, stored.error_code, stored.error_message) == (
        None,
        "TimeoutError",
        "too slow",
    )


def test_expectations_are_stored_and_need_a_value(store: Store) -> None:
    trace_id = record()

    store.log_expectation(trace_id, "answer", {"text": "42"})
    (stored,) = store.get_trace(trace_id).info.assessments

    assert isinstance(stored, Expectation)
    assert stored.value == {"text": "42"}
    assert stored.source.source_type == "HUMAN"
    with pytest.raises(InvalidArgumentError, match="has no value"):
        store.log_expectation(trace_id, "answer", None)


def test_feedback_on_an_unknown_trace_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="tr-nope"):
        store.log_feedback("tr-nope", value=1)


def test_feedback_on_a_running_trace_is_kept(store: Store) -> None:
    with tracestore.start_span("root") as span:
        stored = store.log_feedback(span.trace_id, "early", True)
        assert stored.assessment_id is not None
        assert store.get_trace(span.trace_id).info.assessments == [stored]
    assert store.get_trace(span.trace_id).info.assessments == [stored]


def test_a_bad_source_is_a_clear_error(store: Store) -> None:
    trace_id = record()
    with pytest.raises(InvalidArgumentError, match="pass AssessmentSource"):
        store.log_feedback(trace_id, source="me")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidArgumentError, match="must be one of HUMAN"):
        AssessmentSource("ROBOT")


# ------------------------------------------------------------------------------------------ experiments


def test_traces_belong_to_the_active_experiment(store: Store) -> None:
    record("in default")
    experiment = tracestore.set_experiment("mine")
    record("in mine")

    assert [t.info.name for t in tracestore.search_traces(return_type="list")] == ["in mine"]
    assert [t.info.name for t in store.search_traces(experiment_ids=["0"])] == ["in default"]
    assert store.search_traces(experiment_ids=[]) == []
    assert len(store.search_traces()) == 2
    assert store.search_traces(experiment_ids=["999"]) == []
    assert tracestore.set_experiment(experiment_id=experiment.experiment_id) == experiment


def test_experiments_are_created_found_and_unique(store: Store) -> None:
    experiment_id = store.create_experiment("/Shared/app", tags={"team": "a", "n": 1})

    experiment = store.get_experiment_by_name("/Shared/app")
    assert experiment is not None
    assert experiment == store.get_experiment(experiment_id)
    assert experiment.tags == {"team": "a", "n": "1"}
    assert store.get_experiment_by_name("/shared/APP") is None
    assert store.get_experiment("0").name == "Default"
    assert [e.name for e in store.search_experiments()] == ["/Shared/app", "Default"]
    with pytest.raises(AlreadyExistsError, match="/Shared/app"):
        store.create_experiment("/Shared/app")
    with pytest.raises(NotFoundError):
        store.get_experiment("12345")
    for name, rule in (("", "not blank"), ("  ", "not blank"), (None, "must be text")):
        with pytest.raises(InvalidArgumentError, match=rule):
            store.create_experiment(name)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidArgumentError, match="decimal number"):
        store.get_experiment("seven")


def test_eight_threads_make_the_same_experiment_once(store: Store) -> None:
    found: list[str] = []

    def make() -> None:
        found.append(store.get_or_create_experiment("shared").experiment_id)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


# ------------------------------------------------------------------------------------------ threads


def test_many_threads_write_and_read_one_store(store: Store) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round_ in range(20):
                trace_id = record(f"t{number}", round=str(round_))
                assert store.get_trace(trace_id).info.tags["round"] == str(round_)
                store.log_feedback(trace_id, "ok", True)
                assert (
                    store.count_traces(f"name = 't{number}' AND feedback.ok = 'true'") == round_ + 1
                )
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert store.count_traces() == 160


def test_changing_the_file_while_a_trace_runs_ends_it_where_it_began(
    store: Store, tmp_path: pathlib.Path
) -> None:
    with tracestore.start_span("began here") as span:
        tracestore.set_tracking_uri(f"sqlite:///{tmp_path / 'other.db'}")
        contextvars.Context().run(record, "new file")

    assert [t.info.name for t in store.search_traces()] == ["began here"]
    assert store.get_trace(span.trace_id).info.state == TraceState.OK
    assert [t.info.name for t in runtime.store.search_traces()] == ["new file"]
    store.close()


def test_many_open_spans_that_end_together_are_completed_in_one_statement(
    recording: Store,
) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(20):
            stack.enter_context(tracestore.start_span(f"level {number}"))
        next(iter(recording.live.values())).announce_open()
        recording.flush()
        statements: list[str] = []
        recording.writer.run(lambda connection: connection.set_trace_callback(statements.append))
    recording.flush()

    assert sum(statement.startswith("INSERT INTO spans") for statement in statements) <= 3
    (trace,) = recording.search_traces()
    assert all(span.end_time_ns for span in trace.data.spans)


@pytest.mark.parametrize("path", ["", None, 5, b"traces.db", "a\0b", "\ud800.db"])
def test_what_names_no_file_is_refused_before_anything_is_made(
    path: Any, tmp_path: pathlib.Path
) -> None:
    with Store(tmp_path / "traces.db") as store:
        for call in (Store, store.backup, store.merge, lambda path: store.extract("", path)):
            with pytest.raises(InvalidArgumentError, match="it must name a file"):
                call(path)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names


@pytest.mark.parametrize("max_results", ["5", 2.5, [], b"x"])
def test_a_limit_that_is_no_number_is_refused(max_results: object, tmp_path: pathlib.Path) -> None:
    with (
        Store(tmp_path / "traces.db") as store,
        pytest.raises(InvalidArgumentError, match="max_results"),
    ):
        store.search_traces(max_results=max_results)  # type: ignore[arg-type]
