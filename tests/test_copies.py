"""Backup, extract, merge and vacuum: what the new file holds, while others write, and after a kill."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys
import threading

import pytest

from tests import upkeep_store
from tests.cli_program import run, run_json
from tests.upkeep_store import one, query
from tracestore import Store
from tracestore.entities import Trace
from tracestore.errors import (
    AlreadyExistsError,
    DamagedFileError,
    FilterSyntaxError,
    ForeignFileError,
    InvalidArgumentError,
    StoreError,
)
from tracestore.storage import trace_rows
from tracestore.storage.schema import PAGE_SIZE_BYTES
from tracestore.upkeep.copies import Merged
from tracestore.upkeep.findings import LEFTOVER

TRACES = 50


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    found = tmp_path / "t.db"
    upkeep_store.make(found, TRACES)
    return found


def all_traces(path: pathlib.Path | str) -> list[Trace]:
    with Store(path, read_only=True) as store:
        return list(store.search_traces(max_results=None, order_by="timestamp_ms ASC"))


def dictionaries(path: pathlib.Path | str) -> list[object]:
    return [trace.to_dict() for trace in all_traces(path)]


def assert_sound(path: pathlib.Path | str) -> None:
    with Store(path, read_only=True) as store:
        assert store.check() == []


def partials(path: pathlib.Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if ".partial" in file.name]


#: Begins a copy, says so, and waits within it.
COPIER = """
import sys, time
from tracestore import Store
def say(phase, done, total):
    print(phase, flush=True)
    time.sleep(100)
with Store(sys.argv[1]) as store:
    store.backup(sys.argv[2], progress=say) if sys.argv[3] == "backup" else store.extract(None, sys.argv[2], progress=say)
"""


@pytest.mark.skipif(
    sys.platform not in ("linux", "win32"), reason="other machines may be at work there"
)
@pytest.mark.parametrize("kind", ["backup", "extract"])
def test_what_a_killed_process_left_of_a_copy_is_named_and_removed_and_a_living_ones_is_not(
    path: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    def begin(target: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", COPIER, str(path), str(tmp_path / target), kind]
        copier = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert copier.stdout is not None
        copier.stdout.readline()
        return copier

    def end(copier: subprocess.Popen[bytes]) -> None:
        copier.kill()
        copier.communicate()

    living = begin("living.db")
    try:
        of_living = set(partials(path))
        end(begin("first [1].db"))
        left = sorted(set(partials(path)) - of_living)
        with Store(path) as store:
            (finding,) = store.check()
            assert (finding.severity, finding.places) == (LEFTOVER, (left[0],))
            store.backup(tmp_path / "second [2].db")
            assert set(partials(path)) == of_living
            end(begin("third.db"))
            store.vacuum()
            assert set(partials(path)) == of_living
            assert store.check() == []
    finally:
        end(living)


# Backup ---------------------------------------------------------------------------------------------------


def test_a_backup_is_the_same_store_for_its_owner_only(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "new" / "copy.db"
    with Store(path) as store:
        copied = store.backup(target)

    assert (copied.traces, copied.size_bytes) == (TRACES, target.stat().st_size)
    assert dictionaries(target) == dictionaries(path)
    assert_sound(target)
    assert list(target.parent.iterdir()) == [target]
    if os.name != "nt":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700


def test_a_backup_under_writers_is_of_one_moment(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    program = (
        "import sys, tracestore\n"
        "tracestore.set_tracking_uri(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    with tracestore.start_span('a'):\n"
        "        with tracestore.start_span('b'): pass\n"
        "    tracestore.flush()\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        with Store(path) as store:
            counts = [store.backup(tmp_path / f"{n}.db").traces for n in range(5)]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert counts == sorted(counts)
    for number, count in enumerate(counts):
        target = tmp_path / f"{number}.db"
        assert one(target, "SELECT count(*) FROM traces") == count
        assert_sound(target)


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "dangling symlink", "stale WAL"])
def test_nothing_is_overwritten_and_no_link_followed(
    path: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    target, elsewhere = tmp_path / "copy.db", tmp_path / "elsewhere"
    if kind == "file":
        target.write_text("precious")
    elif kind == "directory":
        target.mkdir()
    elif kind == "stale WAL":
        (tmp_path / "copy.db-wal").write_text("of another file")
    else:
        target.symlink_to(elsewhere)
        if kind == "symlink":
            elsewhere.write_text("precious")
    with Store(path) as store:
        for make in (store.backup, lambda to: store.extract(None, to)):
            with pytest.raises(AlreadyExistsError):
                make(target)
    assert not elsewhere.exists() or elsewhere.read_text() == "precious"
    assert not target.is_file() or target.read_text() == "precious"
    assert partials(path) == []


def test_what_takes_the_name_while_the_copy_is_made_stays(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "copy.db"
    with Store(path) as store, pytest.raises(AlreadyExistsError):
        store.backup(target, progress=lambda *_: target.write_text("precious"))
    assert target.read_text() == "precious"
    assert partials(path) == []


@pytest.mark.parametrize("name", ["no\0name", "t.db/inside/a/file"])
def test_places_that_cannot_be_are_errors_of_ours(
    path: pathlib.Path, tmp_path: pathlib.Path, name: str
) -> None:
    with (
        Store(path) as store,
        pytest.raises((StoreError, AlreadyExistsError, InvalidArgumentError)),
    ):
        store.backup(str(tmp_path) + "/" + name)


def test_a_damaged_store_has_no_backup(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    page = one(path, "SELECT rootpage FROM sqlite_master WHERE name = 'tags_value'")
    data = bytearray(path.read_bytes())
    data[(page - 1) * PAGE_SIZE_BYTES : page * PAGE_SIZE_BYTES] = b"\xff" * PAGE_SIZE_BYTES
    path.write_bytes(data)
    with Store(path, read_only=True) as store, pytest.raises(DamagedFileError, match="repair"):
        store.backup(tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("verb", ["backup(sys.argv[2]", "extract(None, sys.argv[2]"])
def test_a_killed_copy_leaves_no_file_of_that_name(
    path: pathlib.Path, tmp_path: pathlib.Path, verb: str
) -> None:
    target = tmp_path / "copy.db"
    program = (
        "import os, signal, sys, tracestore\n"
        f"tracestore.Store(sys.argv[1]).{verb},"
        " progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path), str(target)], check=False)

    assert ended.returncode != 0
    assert not target.exists()
    with Store(path) as store:
        store.backup(target)
    assert_sound(path)
    assert_sound(target)


# Extract --------------------------------------------------------------------------------------------------


def test_an_extract_holds_what_meets_the_filter_and_nothing_else(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "some.db"
    with Store(path) as store:
        wanted = store.search_traces("feedback.good = true", order_by="timestamp_ms ASC")
        copied = store.extract("feedback.good = true", target)

    assert copied.traces == len(wanted) == TRACES // 5
    assert dictionaries(target) == [trace.to_dict() for trace in wanted]
    assert_sound(target)
    assert one(target, "SELECT indexed_to FROM text_progress") > 0
    content = target.read_bytes()
    others = [trace for trace in all_traces(path) if not trace.info.assessments]
    assert all(trace.trace_id.encode() not in content for trace in others)


def test_an_extract_without_a_filter_is_a_compact_copy(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with Store(path) as store:
        store.prune(max_traces=20)
        store.extract(None, tmp_path / "all.db")
    assert dictionaries(tmp_path / "all.db") == dictionaries(path)


def test_an_extract_with_a_wrong_filter_makes_no_file(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with Store(path) as store, pytest.raises(FilterSyntaxError):
        store.extract("stat = 1", tmp_path / "copy.db")
    assert sorted(file.name for file in tmp_path.iterdir() if "copy" in file.name) == []


# Merge ----------------------------------------------------------------------------------------------------


def test_a_merge_adds_what_is_not_there_and_again_nothing(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other.db"
    upkeep_store.make(other, 30, first=40)  # the first ten are in both
    wanted = {t.trace_id: t.to_dict() for t in (*all_traces(other), *all_traces(path))}
    with Store(path) as store:
        assert store.merge(other) == Merged(added=20, updated=0, unchanged=10, refused=0)
        assert store.count_traces() == TRACES + 20
        once = dictionaries(path)
        assert store.merge(other) == Merged(added=0, updated=0, unchanged=30, refused=0)

    assert dictionaries(path) == once
    for trace in all_traces(path):
        theirs = wanted[trace.trace_id]
        assert trace.to_dict()["data"] == theirs["data"]
    assert_sound(path)


def test_the_trace_that_ended_wins_and_the_later_of_two(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other.db"
    ids = upkeep_store.make(other, 3)
    query(
        path,
        "UPDATE traces SET status = 'IN_PROGRESS', duration_ms = NULL WHERE trace_id = ?",
        ids[0],
    )
    query(path, "UPDATE spans SET end_time_ns = NULL, outputs = NULL WHERE trace = "
                "(SELECT id FROM traces WHERE trace_id = ?)", ids[0])  # fmt: skip
    query(
        other,
        "UPDATE traces SET duration_ms = duration_ms + 1000, name = 'later' WHERE trace_id = ?",
        ids[1],
    )
    query(
        other,
        "UPDATE traces SET status = 'IN_PROGRESS', duration_ms = NULL, name = 'open' WHERE trace_id = ?",
        ids[2],
    )
    with Store(path) as store:
        store.set_trace_tag(ids[2], "mine", "1")
        with Store(other) as there:
            there.set_trace_tag(ids[2], "mine", "2")
            there.set_trace_tag(ids[2], "theirs", "2")
            rating = there.log_feedback(ids[2], "late", value=True)
            theirs = [there.get_trace(trace_id) for trace_id in ids]
        assert store.merge(other) == Merged(added=0, updated=2, unchanged=1, refused=0)
        found = [store.get_trace(trace_id) for trace_id in ids]
        assert store.search_traces("text ILIKE '%warehouse%'")

    assert found[0].to_dict()["data"] == theirs[0].to_dict()["data"]
    assert found[0].info.state == theirs[0].info.state
    assert found[1].info.tags["mlflow.traceName"] == "later"
    assert found[2].info.tags["mlflow.traceName"] != "open"
    assert (found[2].info.tags["mine"], found[2].info.tags["theirs"]) == ("1", "2")
    assert rating.assessment_id in [a.assessment_id for a in found[2].info.assessments]


def test_experiments_go_by_name_with_their_tags(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other.db"
    ids = upkeep_store.make(other, 2, first=100)
    with Store(other) as there:
        there.create_experiment("first there")
        key = there.create_experiment("shared", tags={"team": "x"})
        query(other, "UPDATE traces SET experiment = ? WHERE trace_id = ?", key, ids[0])
    with Store(path) as store:
        mine = store.create_experiment("shared")
        store.merge(other)
        assert store.get_trace(ids[0]).info.experiment_id == mine
        assert store.get_experiment(mine).tags == {"team": "x"}
        assert store.get_trace(ids[1]).info.experiment_id == "0"
        assert store.get_experiment_by_name("first there") is None


def test_a_filter_says_what_is_taken(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other.db"
    upkeep_store.make(other, 10, first=100)
    with Store(path) as store:
        assert store.merge(other, "feedback.good = true").added == 2


def test_rows_of_a_hostile_file_are_left_out_or_refused(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other.db"
    upkeep_store.make(other, 3, first=100)
    query(other, "UPDATE spans SET attributes = '{\"a\":' WHERE id = 1")
    query(other, "UPDATE spans SET inputs = '[' WHERE id = 2")
    query(other, "UPDATE assessments SET metadata = '[1]'")
    with Store(path) as store:
        merged = store.merge(other)
        assert (merged.added, merged.refused) == (3, 3)
        assert store.check() == []
        with pytest.raises(InvalidArgumentError, match="itself"):
            store.merge(path)
        (tmp_path / "text.db").write_text("no database at all, just some text\n" * 100)
        for wrong in ("text.db", "nothing.db"):
            with pytest.raises(StoreError):
                store.merge(tmp_path / wrong)


def test_a_merge_that_was_killed_is_finished_by_the_next(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other.db"
    upkeep_store.make(other, 300, first=100)
    program = (
        "import os, signal, sys, tracestore\n"
        "tracestore.Store(sys.argv[1]).merge(sys.argv[2],"
        " progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path), str(other)], check=False)
    there = one(path, "SELECT count(*) FROM traces")
    assert TRACES < there < TRACES + 300
    with Store(path) as store:
        assert store.merge(other).added == TRACES + 300 - there
    assert_sound(path)


# Vacuum ---------------------------------------------------------------------------------------------------


def test_a_vacuum_removes_leftovers_and_gives_space_back(path: pathlib.Path) -> None:
    query(path, "INSERT INTO span_attributes VALUES ('a', 1, 7)")
    query(path, 'INSERT INTO resources VALUES (77, \'{"a": "b"}\')')
    with Store(path) as store:
        store.index_text()
        keys = [row[0] for row in query(path, "SELECT id FROM traces")]
        store._write(lambda connection: trace_rows.delete_traces(connection, keys[:40]))
        found = [t.trace_id for t in store.search_traces("text ILIKE '%the%'", max_results=None)]
        done = store.vacuum()
        assert done.removed_rows == 2
        assert done.freed_bytes > 200_000
        assert store.vacuum().freed_bytes == 0
        assert store.check() == []
        assert found == [
            t.trace_id for t in store.search_traces("text ILIKE '%the%'", max_results=None)
        ]
    assert one(path, "PRAGMA freelist_count") == 0
    assert path.stat().st_size == done.size_bytes


def test_others_record_while_a_vacuum_runs(path: pathlib.Path) -> None:
    with Store(path) as store, Store(path) as other:
        store.prune(max_traces=5)
        failed: list[BaseException] = []

        def rate() -> None:
            try:
                for number in range(50):
                    other.create_experiment(f"e{number}")
            except BaseException as error:  # noqa: BLE001 - told to the test
                failed.append(error)

        thread = threading.Thread(target=rate)
        thread.start()
        store.vacuum()
        thread.join()
        assert failed == []


# Commands -------------------------------------------------------------------------------------------------


def test_commands_copy_merge_and_vacuum(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    db, copy, some = ("--db", str(path)), str(tmp_path / "copy.db"), str(tmp_path / "some.db")
    assert run("backup", copy, *db).out.startswith(f"{copy}: {TRACES} traces, ")
    taken = run("backup", copy, *db)
    assert (taken.code, "there already" in taken.err) == (2, True)
    assert run_json("extract", "feedback.good = true", some, *db)["traces"] == TRACES // 5
    assert run_json("merge", copy, "--db", some)["added"] == TRACES - TRACES // 5
    assert "already here" in run("merge", copy, "--db", some).out
    assert run_json("vacuum", *db)["removed_rows"] == 0
    assert run("merge", str(tmp_path / "none.db"), *db).code == 3


def test_a_planted_file_is_not_merged(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other.db"
    upkeep_store.make(other, 1)
    query(other, "CREATE TRIGGER t AFTER INSERT ON spans BEGIN DELETE FROM traces; END")
    with Store(path) as store, pytest.raises(ForeignFileError, match="trigger"):
        store.merge(other)
