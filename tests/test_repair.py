"""Repair of files that were really damaged: what can be read is saved, and what was lost is said."""

from __future__ import annotations

import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracestore
from tests import upkeep_store
from tests.cli_program import run, run_json
from tests.upkeep_store import one, query
from tracestore import Store
from tracestore.errors import (
    AlreadyExistsError,
    ForeignFileError,
    InvalidArgumentError,
    TracestoreError,
)
from tracestore.storage import trace_rows
from tracestore.storage.schema import PAGE_SIZE_BYTES
from tracestore.upkeep.findings import LEFTOVER
from tracestore.upkeep.spans_check import CHANGED

TRACES = 120
PAGE = PAGE_SIZE_BYTES


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("repair") / "t.db"
    upkeep_store.make(path, TRACES)
    with Store(path) as store:
        store.index_text()
        store.create_experiment("of mine", tags={"a": "b"})
        store.set_retention(max_traces=10**6)
    query(path, "UPDATE traces SET experiment = 1 WHERE id IN (SELECT id FROM traces LIMIT 7)")
    return path


@pytest.fixture(scope="module")
def whole(sound: pathlib.Path) -> dict[str, Any]:
    return traces_of(sound)


@pytest.fixture
def path(sound: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(sound, tmp_path / "t.db"))


def traces_of(path: pathlib.Path) -> dict[str, Any]:
    with Store(path, read_only=True) as store:
        return {trace.trace_id: trace.to_dict() for trace in store.search_traces(max_results=None)}


def assert_sound(path: pathlib.Path) -> None:
    """All is in order but that some spans may say they were changed."""
    with Store(path, read_only=True) as store:
        found = [finding for finding in store.check() if finding.severity != LEFTOVER]
        assert [finding for finding in found if finding.message != CHANGED] == []


def overwrite(path: pathlib.Path, pages: list[int], seed: int = 0) -> None:
    """Overwrite pages, numbered from 0, with random bytes."""
    noise = random.Random(seed)
    data = bytearray(path.read_bytes())
    for page in pages:
        data[page * PAGE : (page + 1) * PAGE] = noise.randbytes(PAGE)
    path.write_bytes(data)


def test_of_a_sound_file_nothing_is_lost(
    path: pathlib.Path, tmp_path: pathlib.Path, whole: dict[str, Any]
) -> None:
    before = path.read_bytes()
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert (repaired.traces, repaired.spans) == (TRACES, 4 * TRACES)
    assert (repaired.lost, repaired.lost_values, repaired.damaged_pages) == ({}, 0, 0)
    assert repaired.changed_spans == []
    assert traces_of(tmp_path / "new.db") == whole
    assert_sound(tmp_path / "new.db")
    with Store(tmp_path / "new.db") as store:
        assert store.get_experiment("1").tags == {"a": "b"}
        assert store.get_retention() is not None
        assert store.search_traces("text ILIKE '%warehouse%'")
    assert path.read_bytes() == before


@pytest.mark.parametrize("seed", range(6))
def test_what_stood_on_other_pages_is_saved_and_the_rest_is_counted(
    path: pathlib.Path, tmp_path: pathlib.Path, whole: dict[str, Any], seed: int
) -> None:
    pages = random.Random(seed).sample(range(1, path.stat().st_size // PAGE), 1 + seed)
    overwrite(path, pages)
    repaired = tracestore.repair(path, tmp_path / "new.db")

    found = traces_of(tmp_path / "new.db")
    assert_sound(tmp_path / "new.db")
    assert set(found) == set(whole)
    assert repaired.spans + repaired.lost.get("spans", 0) == 4 * TRACES
    spans = {trace_id: trace["data"]["spans"] for trace_id, trace in whole.items()}
    for trace_id, trace in found.items():
        assert all(span in spans[trace_id] for span in trace["data"]["spans"])
    changed = sum(found[trace_id] != trace for trace_id, trace in whole.items())
    assert changed <= 25 * len(pages)  # a page of `traces` has about so many


@pytest.mark.parametrize("seed", range(4))
def test_roots_and_branches_of_tables_are_not_needed(
    path: pathlib.Path, tmp_path: pathlib.Path, whole: dict[str, Any], seed: int
) -> None:
    """The trees of spans, tags and metadata lose their tops; the first page says nothing any more."""
    names = ("spans", "tags", "metadata")
    roots = [one(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", name) for name in names]
    overwrite(path, [0, *(root - 1 for root in roots)], seed)
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert repaired.lost == {}
    assert traces_of(tmp_path / "new.db") == whole


def test_a_trace_whose_row_is_lost_is_made_from_indexes_and_spans(
    path: pathlib.Path, tmp_path: pathlib.Path, whole: dict[str, Any]
) -> None:
    with sqlite3.connect(path) as connection:
        sql = "SELECT pageno FROM dbstat WHERE name = 'traces' AND pagetype = 'leaf'"
        try:
            leaves = [row[0] for row in connection.execute(sql)]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
    connection.close()
    overwrite(path, [page - 1 for page in leaves])
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert repaired.restored_traces == TRACES
    found = traces_of(tmp_path / "new.db")
    assert set(found) == set(whole)
    for trace_id, trace in found.items():
        before = whole[trace_id]
        assert trace["data"] == before["data"]
        for key in ("trace_location", "request_time", "state", "tags", "client_request_id"):
            assert trace["info"].get(key) == before["info"].get(key), key
        assert trace["info"]["request_preview"] == before["info"]["request_preview"]
    assert_sound(tmp_path / "new.db")


def test_what_only_the_wal_holds_is_saved(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    program = (
        "import os, sys, tracestore\n"
        "tracestore.set_tracking_uri(sys.argv[1])\n"
        "for n in range(20):\n"
        "    with tracestore.start_span('in the wal') as span: span.set_inputs({'n': n})\n"
        "tracestore.flush(); os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    wal = pathlib.Path(f"{path}-wal")
    assert wal.stat().st_size > 0
    overwrite(path, [5])
    with wal.open("ab") as file:
        file.write(b"torn" * 1000)
    tracestore.repair(path, tmp_path / "new.db")

    with Store(tmp_path / "new.db") as store:
        assert store.count_traces("name = 'in the wal'") == 20
    assert_sound(tmp_path / "new.db")


def test_what_was_deleted_stays_deleted(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with Store(path) as store:
        keys = [row[0] for row in query(path, "SELECT id FROM traces ORDER BY id LIMIT 100")]
        store._write(lambda connection: trace_rows.delete_traces(connection, keys))
    assert one(path, "PRAGMA freelist_count") > 20
    left = set(traces_of(path))
    overwrite(path, [0])
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert set(traces_of(tmp_path / "new.db")) == left
    assert repaired.traces == TRACES - 100


def test_a_file_that_was_cut_off_keeps_its_beginning(
    path: pathlib.Path, tmp_path: pathlib.Path, whole: dict[str, Any]
) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 100])
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert repaired.spans > TRACES // 2
    assert set(traces_of(tmp_path / "new.db")) <= set(whole)
    assert_sound(tmp_path / "new.db")


@pytest.mark.parametrize("kept", [1, 3, 16, 21, 72, 99, 100, 500, 5_000, PAGE - 1, PAGE, PAGE + 1])
def test_a_file_that_was_cut_off_in_its_first_pages_is_no_other_error(
    path: pathlib.Path, tmp_path: pathlib.Path, kept: int
) -> None:
    with path.open("rb+") as file:
        file.truncate(kept)
    if kept < 100:  # the header itself
        with pytest.raises(ForeignFileError, match="nothing that tracestore has written"):
            tracestore.repair(path, tmp_path / "new.db")
    else:
        assert tracestore.repair(path, tmp_path / "new.db").traces == 0


def test_values_that_are_no_json_are_left_out_of_rows_that_stay(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    query(path, "UPDATE spans SET inputs = substr(inputs, 2) WHERE id IN (1, 2)")
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert (repaired.lost_values, repaired.spans) == (2, 4 * TRACES)
    assert len(repaired.changed_spans) == 2
    assert_sound(tmp_path / "new.db")


def test_spans_that_bit_rot_changed_are_saved_and_named_ever_after(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    [(trace_id, span_id, outputs)] = query(
        path,
        "SELECT trace_id, span_id, outputs FROM span_view WHERE type = 'TOOL' AND outputs NOTNULL LIMIT 1",
    )
    text = outputs.encode()[24:56]  # no other column has it
    data = path.read_bytes()
    place = data.index(text) + 20
    path.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
    assert one(path, "PRAGMA integrity_check") == "ok"
    named = [f"trace {trace_id} span {span_id}"]
    repaired = tracestore.repair(path, tmp_path / "new.db")

    assert (repaired.changed_spans, repaired.lost, repaired.lost_values) == (named, {}, 0)
    for file in (path, tmp_path / "new.db"):
        with Store(file, read_only=True) as store:
            assert [(f.message, list(f.places)) for f in store.check()] == [(CHANGED, named)]
    with Store(tmp_path / "merged.db") as store:  # a copy does not make it whole
        store.merge(tmp_path / "new.db")
        assert [finding.message for finding in store.check()] == [CHANGED]
    ended = run("repair", str(tmp_path / "two.db"), "--db", str(path))
    assert f"not as recorded: 1 span ({named[0]})" in ended.out


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=400))
def test_no_damage_raises_or_makes_a_file_that_is_not_sound(
    sound: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    data = bytearray(sound.read_bytes())
    for place, byte in changes:
        # The start of a page, where its head and its cells' places are, more often than its content.
        page, within = divmod(int(place * (len(data) // PAGE * 400 - 1)), 400)
        data[page * PAGE + within] = byte
    (folder / "t.db").write_bytes(data)
    try:
        tracestore.repair(folder / "t.db", folder / "new.db")
    except TracestoreError:
        assert not (folder / "new.db").exists()
    else:
        assert_sound(folder / "new.db")
    shutil.rmtree(folder)


def test_files_of_others_and_empty_ones_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database " * 5000)
    query(tmp_path / "foreign.db", "CREATE TABLE t (a)")
    for name in ("empty.db", "text.db", "foreign.db", "absent.db"):
        with pytest.raises(TracestoreError):
            tracestore.repair(tmp_path / name, tmp_path / "new.db")
    with pytest.raises(ForeignFileError, match="another program"):
        tracestore.repair(tmp_path / "foreign.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_nothing_is_repaired_that_this_process_has_open(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with Store(path) as store:
        store.count_traces()
        with pytest.raises(InvalidArgumentError, match="close the store first"):
            tracestore.repair(path, tmp_path / "new.db")
    with pytest.raises(AlreadyExistsError):
        tracestore.repair(path, path)


def test_command_says_what_was_saved_and_lost(
    path: pathlib.Path, tmp_path: pathlib.Path, sound: pathlib.Path
) -> None:
    overwrite(path, [one(sound, "SELECT max(pageno) FROM dbstat WHERE name = 'spans'") - 1])
    ended = run("repair", str(tmp_path / "new.db"), "--db", str(path))

    assert ended.code == 0, ended.err
    assert f"{TRACES} traces" in ended.out
    assert "1 damaged page" in ended.out
    assert run_json("repair", str(tmp_path / "two.db"), "--db", str(path))["traces"] == TRACES
