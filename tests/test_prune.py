"""Pruning and retention: what goes, what stays, what the file has afterwards, and what others notice."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import subprocess
import sys
import time
from typing import Any

import pytest

import tracestore
from tests import upkeep_store
from tests.cli_program import Terminal, run, run_json
from tests.upkeep_store import MINUTE_MS, START_MS, one, query, strays
from tracestore import Store
from tracestore.errors import FilterSyntaxError, InvalidArgumentError, ReadOnlyError
from tracestore.storage import indexer
from tracestore.upkeep import standing
from tracestore.upkeep.limits import Limits, read_limits
from tracestore.upkeep.prune import Sweep

TRACES = 60


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "t.db"


@pytest.fixture
def ids(path: pathlib.Path) -> list[str]:
    """Ids of the traces in `path`, oldest first; every fifth has the feedback `good`."""
    return upkeep_store.make(path, TRACES)


def ids_in(store: Store) -> list[str]:
    found = store.search_traces(max_results=None, order_by="timestamp_ms ASC", include_spans=False)
    return [trace.trace_id for trace in found]


def age_of(index: int) -> float:
    """The age in seconds that lies between the traces `index - 1` and `index`."""
    return time.time() - (START_MS + index * MINUTE_MS - MINUTE_MS / 2) / 1000


def test_what_is_older_goes_with_all_that_is_its_own(path: pathlib.Path, ids: list[str]) -> None:
    with Store(path) as store:
        pruned = store.prune(older_than=age_of(20))

        assert (pruned.traces, ids_in(store)) == (20, ids[20:])
    assert strays(path) == {}
    assert one(path, "SELECT count(*) FROM spans") == 4 * (TRACES - 20)


def test_what_would_go_is_what_goes(path: pathlib.Path, ids: list[str]) -> None:
    limits: dict[str, Any] = {
        "older_than": age_of(30),
        "max_traces": 20,
        "keep": "feedback.good = true",
    }
    with Store(path) as store:
        would = store.prune(**limits, dry_run=True)
        assert ids_in(store) == ids
        did = store.prune(**limits)

    assert would.traces == did.traces == TRACES - 20
    assert (would.dry_run, did.dry_run) == (True, False)


def test_a_number_of_traces_is_left_and_they_are_the_newest(
    path: pathlib.Path, ids: list[str]
) -> None:
    with Store(path) as store:
        assert store.prune(max_traces=7).traces == TRACES - 7
        assert ids_in(store) == ids[-7:]
        assert store.prune(max_traces=7).traces == 0


def test_kept_traces_stay_and_count(path: pathlib.Path, ids: list[str]) -> None:
    with Store(path) as store:
        store.prune(max_traces=14, keep="feedback.good = true")

        left = ids_in(store)
    assert len(left) == 14
    assert set(ids[::5]) <= set(left)
    assert left[-2:] == ids[-2:]


def test_keep_can_be_in_the_way_of_a_limit(path: pathlib.Path, ids: list[str]) -> None:
    with Store(path) as store:
        store.prune(max_traces=1, older_than=0, keep="feedback.good = true")

        assert ids_in(store) == ids[::5]


def test_a_filter_alone_names_what_goes(path: pathlib.Path, ids: list[str]) -> None:
    with Store(path) as store:
        store.prune(filter="feedback.good = true", keep=f"trace_id = '{ids[5]}'")

        assert set(ids) - set(ids_in(store)) == set(ids[::5]) - {ids[5]}


def test_filter_and_keep_are_conditions_of_their_own(path: pathlib.Path, ids: list[str]) -> None:
    first, second = (f"trace_id = '{ids[index]}'" for index in (1, 2))
    with Store(path) as store:
        store.prune(filter=f"{first} OR feedback.good = true", keep=f"{first} OR {second}")

        assert set(ids_in(store)) == set(ids) - set(ids[::5])


def test_a_size_is_reached_and_the_disk_has_the_rest_back(
    path: pathlib.Path, ids: list[str]
) -> None:
    upkeep_store.make(
        path, TRACES, first=TRACES
    )  # the pages of empty tables and indexes are 0.7 MB
    before = path.stat().st_size
    with Store(path, index_text=False) as store:
        pruned = store.prune(max_bytes=before // 2)
        left = ids_in(store)

    assert TRACES > len(left) > 5
    assert not set(left) & set(ids)
    assert 0.3 * before < path.stat().st_size <= before // 2
    assert pruned.size_bytes == path.stat().st_size
    assert pruned.freed_bytes > 0.4 * before
    assert one(path, "PRAGMA freelist_count") == 0
    assert one(path, "PRAGMA integrity_check") == "ok"


def test_running_traces_stay_until_they_are_a_day_old(recording: Store) -> None:
    with tracestore.start_span("long ago") as span:
        pass
    with tracestore.start_span("running") as running:
        recording.get_trace(running.trace_id)  # writes it as it stands
        key = f"({START_MS} << 20)"
        recording.flush()
        query(
            recording.path,
            f"UPDATE traces SET status = 'IN_PROGRESS', id = {key} WHERE trace_id = ?",
            span.trace_id,
        )
        assert recording.prune(older_than=0).traces == 1
        assert ids_in(recording) == [running.trace_id]
    assert recording.prune(older_than=0).traces == 1


def test_a_rating_that_comes_between_selection_and_deletion_keeps_the_trace(
    path: pathlib.Path, ids: list[str]
) -> None:
    sweep = Sweep(Limits(older_than_s=0.0, keep="feedback.late IS NOT NULL"), ())
    with Store(path) as store:
        with store.reading() as connection:
            sweep.measure(connection)
            keys = sweep.select(connection)
        store.log_feedback(ids[3], "late", True)
        store._write(lambda connection: sweep.delete(connection, keys))

        assert ids_in(store) == [ids[3]]


def test_text_is_found_after_pruning_also_once_the_index_was_made_anew(
    path: pathlib.Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "STALE_SPANS", 10)
    with Store(path) as store:
        store.index_text()
        before = one(path, "SELECT count(*) FROM span_text_data")
        wanted = [trace.trace_id for trace in store.search_traces("text ILIKE '%warehouse%'")]
        store.prune(max_traces=10)
        found = [trace.trace_id for trace in store.search_traces("text ILIKE '%warehouse%'")]
        assert found == [trace_id for trace_id in wanted if trace_id in ids[-10:]]

        store.index_text()
        assert found == [t.trace_id for t in store.search_traces("text ILIKE '%warehouse%'")]
        assert one(path, "SELECT count(*) FROM span_text_data") < before
        assert one(path, "SELECT indexed_to FROM text_progress") > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"keep": "status = 'OK'"},
        {"older_than": "soon"},
        {"older_than": "-3d"},
        {"older_than": True},
        {"older_than": float("nan")},
        {"max_traces": -1},
        {"max_traces": 1.5},
        {"max_bytes": "many"},
        {"max_bytes": "5i"},
        {"filter": 5},
        {"filter": "  "},
    ],
)
def test_limits_that_mean_nothing_are_refused(
    path: pathlib.Path, ids: list[str], wrong: dict[str, Any]
) -> None:
    with Store(path) as store:
        with pytest.raises(InvalidArgumentError):
            store.prune(**wrong)
        assert ids_in(store) == ids


def test_filters_are_read_before_anything_is_deleted(path: pathlib.Path, ids: list[str]) -> None:
    with Store(path) as store:
        with pytest.raises(FilterSyntaxError):
            store.prune(older_than=0, keep="feedbak.good = 1")
        with pytest.raises(FilterSyntaxError):
            store.set_retention(filter="status =")
        assert ids_in(store) == ids


def test_a_store_that_is_read_only_is_not_pruned(path: pathlib.Path, ids: list[str]) -> None:
    with Store(path, read_only=True) as store:
        assert store.prune(max_traces=1, dry_run=True).traces == TRACES - 1
        with pytest.raises(ReadOnlyError):
            store.prune(max_traces=1)
    assert len(ids) == TRACES


def test_ages_and_sizes_are_read_as_people_write_them() -> None:
    assert read_limits("1.5h", max_bytes="2 GiB") == Limits(older_than_s=5400, max_bytes=2 << 30)
    assert read_limits(dt.timedelta(days=2)).older_than_s == 172_800
    assert read_limits(max_bytes="500MB").max_bytes == 500_000_000
    assert read_limits(max_bytes=12).max_bytes == read_limits(max_bytes="12").max_bytes == 12


def test_retention_is_kept_in_the_file_and_applied_when_there_is_nothing_to_write(
    path: pathlib.Path, ids: list[str]
) -> None:
    with Store(path) as store:
        store.set_retention(max_traces=9, keep=f"trace_id = '{ids[0]}'")
    with Store(path) as store:
        assert store.get_retention() == Limits(max_traces=9, keep=f"trace_id = '{ids[0]}'")
        store.create_experiment("wakes the writer")
        deadline = time.monotonic() + 20
        while len(ids_in(store)) > 9 and time.monotonic() < deadline:
            store.flush()

        assert ids_in(store) == [ids[0], *ids[-8:]]
        assert store.set_retention() is None
        assert store.get_retention() is None
    assert strays(path) == {}


def test_retention_is_looked_at_once_a_minute(
    path: pathlib.Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    limits = standing.StandingLimits(())
    with Store(path) as store, store.reading() as connection:
        assert not limits.has_work(connection)
        query(path, "INSERT INTO state VALUES (?, ?)", standing.STATE_NAME, '{"max_traces": 1}')
    with Store(path) as store, store.reading() as connection:
        now += standing.CHECK_EVERY_S - 1
        assert not limits.has_work(connection)
        now += 2
        assert limits.has_work(connection)
    assert len(ids) == TRACES


def test_retention_that_cannot_be_read_is_said_and_not_applied(
    path: pathlib.Path, ids: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    query(path, "INSERT INTO state VALUES (?, ?)", standing.STATE_NAME, '{"max_miles": 1}')
    limits = standing.StandingLimits(())
    with Store(path) as store:
        with store.reading() as connection:
            assert not limits.has_work(connection)
        assert "retention in the file can't be read" in caplog.text
        store.set_retention()
        assert store.get_retention() is None
    assert len(ids) == TRACES


def test_a_killed_prune_leaves_a_sound_file_and_is_done_by_the_next(path: pathlib.Path) -> None:
    ids = upkeep_store.make(path, 400)
    program = (
        "import os, signal, sys, tracestore\n"
        "def kill(phase, done, total):\n"
        "    if done >= int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "tracestore.Store(sys.argv[1]).prune(max_traces=10, progress=kill)\n"
    )
    for done in (1, 250):
        ended = subprocess.run([sys.executable, "-c", program, str(path), str(done)], check=False)
        assert ended.returncode != 0
        assert one(path, "PRAGMA integrity_check") == "ok"
        assert strays(path) == {}
    with Store(path) as store:
        left = ids_in(store)
        assert left == ids[-len(left) :]
        store.prune(max_traces=10)
        assert ids_in(store) == ids[-10:]


def test_commands_ask_delete_and_say_how_much(path: pathlib.Path, ids: list[str]) -> None:
    db = ("--db", str(path))
    refused = run("prune", "--max-traces", "5", *db)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert run_json("prune", "--max-traces", "5", "--dry-run", *db)["traces"] == TRACES - 5
    with Terminal("prune", "--max-traces", "50", *db) as terminal:
        terminal.read_until("[y/N]")
        terminal.type("y\n")
        ended = terminal.end()
    assert (ended.code, "10 traces deleted" in ended.out) == (0, True), ended.out
    assert run_json("prune", "--max-traces", "5", "--yes", *db)["traces"] == 45
    refused = run("prune", "--yes", *db)
    assert (refused.code, "--older-than" in refused.err) == (2, True)
    assert len(ids) == TRACES


def test_command_says_and_sets_retention(path: pathlib.Path, ids: list[str]) -> None:
    db = ("--db", str(path))
    assert run("retention", *db).out == "nothing is deleted by itself\n"
    said = run("retention", "--older-than", "90d", "--keep", "status = 'ERROR'", *db).out
    assert said == "deleted by itself: what is older than 90 d, never if status = 'ERROR'\n"
    assert json.loads(run("retention", "--json", *db).out)["older_than_s"] == 90 * 86_400
    assert run("retention", "--off", "--max-traces", "3", *db).code == 2
    assert run("retention", "--off", *db).out == "nothing is deleted by itself\n"
    assert len(ids) == TRACES
