"""The deep check: a sound file has no finding, and each rule that is broken is one."""

from __future__ import annotations

import contextlib
import pathlib
import random
import shutil
import sqlite3
import zlib

import pytest

from benchmarks.workload import records, trace_of
from tests import upkeep_store
from tests.cli_program import run, run_json
from tests.upkeep_store import one, query
from tracestore import Store
from tracestore.errors import StoreError
from tracestore.storage.connection import open_for_writing, transaction
from tracestore.storage.record_rows import checksum_of, checksum_of_row, write_records
from tracestore.storage.schema import PAGE_SIZE_BYTES
from tracestore.upkeep.findings import DAMAGE, ERROR, LEFTOVER, Finding
from tracestore.upkeep.spans_check import CHANGED

TRACES = 40

#: Bits that are flipped, one in each copy of the file.
FLIPS = 400


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("check") / "t.db"
    upkeep_store.make(path, TRACES)
    with Store(path) as store:
        store.index_text()
    return path


@pytest.fixture
def path(sound: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(sound, tmp_path / "t.db"))


def check(path: pathlib.Path) -> list[Finding]:
    with Store(path, read_only=True) as store:
        return store.check()


def test_a_sound_file_has_no_finding(path: pathlib.Path) -> None:
    assert check(path) == []


def test_what_the_demo_records_has_no_finding(tmp_path: pathlib.Path) -> None:
    assert run("demo", "--db", str(tmp_path / "demo.db")).code == 0
    assert check(tmp_path / "demo.db") == []


def test_a_part_that_was_written_before_its_root_is_no_finding(tmp_path: pathlib.Path) -> None:
    whole, (*_, root) = records(trace_of(0), upkeep_store.START_MS * 10**6)
    late_ms = upkeep_store.START_MS + 5
    part, (*_, server) = records(trace_of(0), late_ms * 10**6)
    server = (root[0], "5e" * 8, root[1], *server[3:])
    connection = open_for_writing(str(tmp_path / "t.db"))
    with contextlib.closing(connection):
        for trace, span in (
            (part._replace(trace_id=whole.trace_id, is_part=True), server),
            (whole, root),
        ):
            with transaction(connection):
                write_records(connection, [trace], [span])

    with Store(tmp_path / "t.db") as store:
        store.index_text()
    assert one(tmp_path / "t.db", "SELECT id >> 20 FROM traces") == late_ms
    assert check(tmp_path / "t.db") == []


@pytest.mark.parametrize(
    ("statement", "severity", "message"),
    [
        ("INSERT INTO tags VALUES (7, 'a', 'b')", ERROR, "tags of no trace"),
        ("INSERT INTO metadata VALUES (7, 'a', 'b')", ERROR, "metadata of no trace"),
        ("INSERT INTO span_attributes VALUES ('a', 1, 7)", LEFTOVER, "span_attributes of no trace"),
        ("UPDATE spans SET trace = 7 WHERE id = 1", ERROR, "spans of no trace"),
        ("UPDATE assessments SET trace = 7 WHERE id = 1", ERROR, "assessments of no trace"),
        ("UPDATE traces SET experiment = 99", ERROR, "experiment that is not there"),
        ("UPDATE traces SET resource = 99", ERROR, "resource that is not there"),
        ("INSERT INTO experiment_tags VALUES (5, 'a', 'b')", LEFTOVER, "tags of an experiment"),
        ("INSERT INTO resources VALUES (77, '{}')", LEFTOVER, "resources of no trace"),
        (
            "DELETE FROM metadata; UPDATE tags SET key = 'mlflow.trace.user' WHERE key = 'region'",
            ERROR,
            "session or user that is a tag",
        ),
        ("UPDATE OR IGNORE metadata SET key = 'mlflow.user'", ERROR, "belongs into resources"),
        ("UPDATE traces SET status = 'FINE'", ERROR, "a trace with a status"),
        ("UPDATE traces SET duration_ms = NULL", ERROR, "ended without"),
        ("UPDATE traces SET duration_ms = -1", ERROR, "a trace that ends before"),
        ("UPDATE assessments SET kind = 'praise'", ERROR, "assessment of a kind"),
        ("UPDATE assessments SET valid = 2", ERROR, "validity"),
        ("UPDATE experiments SET lifecycle_stage = 'old'", ERROR, "stage"),
        ("DELETE FROM experiments", ERROR, "no experiment 0"),
        ("DELETE FROM text_progress", ERROR, "progress of the text index"),
        ("UPDATE spans SET end_time_ns = 1 WHERE id = 3", ERROR, "a span that ends before"),
        ("UPDATE spans SET status = 'ok' WHERE id = 3", ERROR, "a span with a status"),
        ("UPDATE spans SET start_time_ns = 1", ERROR, "a later time"),
        ("UPDATE spans SET inputs = '{' WHERE id = 3", ERROR, "spans.inputs"),
        ("UPDATE spans SET attributes = '[]' WHERE id = 3", ERROR, "spans.attributes"),
        ("UPDATE spans SET events = '{}' WHERE id = 3", ERROR, "spans.events"),
        ("UPDATE assessments SET value = 'yes' WHERE id = 1", ERROR, "assessments.value"),
        ("INSERT INTO state VALUES ('x.y', '{')", ERROR, "state.value"),
        ("DELETE FROM span_attributes", ERROR, "attribute index"),
        ("UPDATE spans SET name = 'something else' WHERE id = 9", ERROR, "not in the text index"),
        ("DROP TABLE span_text", ERROR, "there is no text index"),
        ("UPDATE traces SET id = id + (1 << 60) WHERE id = (SELECT max(id) FROM traces)", ERROR,
         "no time until now"),
        ("DROP INDEX spans_name", ERROR, "schema"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found(
    path: pathlib.Path, statement: str, severity: str, message: str
) -> None:
    for part in statement.split(";"):
        query(path, part)

    found = [finding for finding in check(path) if message in finding.message]
    assert [finding.severity for finding in found] == [severity], check(path)


def test_an_index_that_disagrees_with_its_table_is_damage(path: pathlib.Path) -> None:
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        saved = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'tags_value'")
        (sql,) = saved.fetchone()
        connection.execute("DELETE FROM sqlite_master WHERE name = 'tags_value'")
        root = "(SELECT rootpage FROM sqlite_master WHERE name = 'metadata_value')"
        connection.execute(
            f"INSERT INTO sqlite_master VALUES ('index', 'tags_value', 'tags', {root}, ?)", (sql,)
        )
    connection.close()

    assert DAMAGE in {finding.severity for finding in check(path)}


def test_a_damaged_text_index_is_found(path: pathlib.Path) -> None:
    query(path, "UPDATE span_text_data SET block = zeroblob(length(block)) WHERE id > 100")

    assert "a text index that is damaged" in {finding.message for finding in check(path)}


def test_damaged_pages_are_findings_and_the_check_goes_on(path: pathlib.Path) -> None:
    page = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'spans'")[0][0]
    data = bytearray(path.read_bytes())
    data[(page - 1) * PAGE_SIZE_BYTES : page * PAGE_SIZE_BYTES] = bytes(PAGE_SIZE_BYTES)
    path.write_bytes(data)
    query(path, "INSERT INTO tags VALUES (7, 'a', 'b')")

    found = check(path)
    assert found[0].severity == DAMAGE
    assert "tags of no trace" in {finding.message for finding in found}


def _rows(path: pathlib.Path) -> dict[str, object]:
    """What each table's rows are, or that they can't be read."""
    tables = ("experiments", "resources", "traces", "tags", "metadata", "spans", "assessments")
    found: dict[str, object] = {}
    for table in tables:
        try:
            found[table] = query(path, f"SELECT * FROM {table} NOT INDEXED")
        except (sqlite3.DatabaseError, UnicodeError) as error:  # also in what SQLite says
            found[table] = str(error)
    return found


def _integrity_check_finds_it(path: pathlib.Path) -> bool:
    try:
        return query(path, "PRAGMA integrity_check") != [("ok",)]
    except (sqlite3.DatabaseError, UnicodeError):
        return True


def _check_finds_it(path: pathlib.Path) -> bool:
    try:
        return check(path) != []
    except StoreError:  # it is not even opened
        return True


def test_nearly_every_bit_that_flips_in_a_row_is_found(path: pathlib.Path) -> None:
    sound, rows = path.read_bytes(), _rows(path)
    noise = random.Random(20261120)
    changed = by_sqlite = by_check = spans = named = 0
    for _ in range(FLIPS):
        data = bytearray(sound)
        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        path.write_bytes(data)
        after = _rows(path)
        if after == rows:
            continue
        changed += 1
        by_sqlite += _integrity_check_finds_it(path)
        found = _check_finds_it(path)
        by_check += found
        if after["spans"] != rows["spans"]:
            spans += 1
            named += found
    print(
        f"figure: {changed} flipped bits that changed rows: `check` found {by_check},"
        f" SQLite's own check {by_sqlite}; {spans} of them in spans: {named} found"
    )
    assert spans > FLIPS // 5
    assert named == spans


def test_a_span_with_text_that_is_none_is_named_and_the_others_are_looked_at(
    path: pathlib.Path,
) -> None:
    query(path, "UPDATE spans SET inputs = CAST(x'2273656372657420ff22' AS TEXT) WHERE id = 3")
    query(path, "UPDATE spans SET status = 'ok' WHERE id = 9")
    [(trace_id, span_id)] = query(
        path,
        "SELECT trace_id, span_id FROM traces AS t JOIN spans AS s ON s.trace = t.id WHERE s.id = 3",
    )

    found = {finding.message: finding.places for finding in check(path)}
    assert found["spans that can't be read"] == (f"trace {trace_id} span {span_id}",)
    assert found["a span with a status that there is not"] == ("spans 9",)
    assert "secret" not in repr(found["spans that can't be read"])


def test_values_of_other_types_are_findings(path: pathlib.Path) -> None:
    sql = one(path, "SELECT sql FROM sqlite_master WHERE name = 'spans'")
    for text in (sql.replace("TEXT", "BLOB").replace("STRICT", ""), sql):
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'spans'", (text,))
        if text != sql:
            query(path, "UPDATE spans SET events = 5, start_time_ns = x'00' WHERE id IN (3, 9)")

    found = {finding.message: finding.count for finding in check(path)}
    assert found["spans with values of other types"] == 2
    assert found[CHANGED] == 2


def test_a_checksum_is_the_crc32_of_an_array_of_messagepack() -> None:
    payload = "x" * 100_000
    packed = (
        b"\x99\xa2ab\xc0\xa0\xcd\x01\x00\xc4\x03[1]\xc0\xc0\xc4\x02\xc3\xa9\xc6\x00\x01\x86\xa0"
    )
    expected = zlib.crc32(packed + payload.encode())
    assert checksum_of_row(("ab", None, "", 256, "[1]", None, None, "é", payload)) == expected
    assert (
        checksum_of(("ab", None, "", 256, b"[1]", None, None, "é".encode(), payload.encode()))
        == expected
    )


def test_a_span_that_is_written_again_gets_a_checksum_again(path: pathlib.Path) -> None:
    query(path, "UPDATE spans SET outputs = '1' WHERE name = 'generate'")
    with Store(path, read_only=True) as store:
        [finding] = [finding for finding in store.check() if finding.message == CHANGED]
    assert finding.count == TRACES
    upkeep_store.make(path, TRACES)
    assert CHANGED not in {finding.message for finding in check(path)}


def test_findings_say_how_often_and_some_of_where(path: pathlib.Path) -> None:
    query(path, "UPDATE traces SET status = 'FINE'")

    [finding] = check(path)
    assert finding.count == TRACES
    assert len(finding.places) == 5
    assert all(place.startswith("tr-") for place in finding.places)


def test_progress_is_told_to_its_end(path: pathlib.Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    with Store(path) as store:
        store.check(progress=lambda phase, done, total: seen.update({phase: (done, total)}))

    assert {"check", "rows", "spans", "text index"} <= set(seen)
    assert all(done == total for done, total in seen.values())


def test_command_says_what_is_wrong_by_text_json_and_exit_code(path: pathlib.Path) -> None:
    db = ("--db", str(path))
    ended = run("check", *db)
    assert (ended.code, ended.out) == (0, "nothing is wrong\n")
    query(path, "INSERT INTO span_attributes VALUES ('a', 1, 7)")
    assert run_json("check", *db)["ok"] is True
    query(path, "UPDATE traces SET status = 'FINE'")
    ended = run("check", *db)
    assert (ended.code, "a trace with a status" in ended.out) == (1, True)
