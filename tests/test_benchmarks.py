"""The benchmarks run, print their figures, and measure the same workload every time."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from benchmarks import dataset, import_time, instructions, metrics, report, search, workload
from tracestore import Store

ROOT = pathlib.Path(__file__).parent.parent


def _rows(text: str) -> dict[str, list[str]]:
    """Return the cells of all printed tables by the text of their first column."""
    lines = [line.split("  ") for line in text.splitlines() if "  " in line]
    return {cells[0]: [cell.strip() for cell in cells[1:] if cell.strip()] for cells in lines}


def _run(*arguments: str) -> str:
    """Run Python in a process of its own: a benchmark changes what this process records into."""
    return subprocess.run(
        (sys.executable, *arguments), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_workload_is_the_same_in_every_process() -> None:
    program = "from benchmarks.workload import *; print(records(trace_of(7), 10**18))"
    assert _run("-c", program) == _run("-c", program)


def test_traces_of_the_workload_differ() -> None:
    questions = {str(workload.trace_of(number).question) for number in range(200)}
    assert len(questions) == 200


def test_workload_has_the_shape_that_the_figures_are_for() -> None:
    traces = [workload.trace_of(number) for number in range(2_000)]
    made = [workload.records(trace, 10**18) for trace in traces]
    payload = sum(
        len(text.encode()) for _, spans in made for span in spans for text in span[10:] if text
    )
    assert 5_400 < payload / len(traces) < 5_800
    assert {len(spans) for _, spans in made} == {4}
    assert {len(trace.tags) for trace in traces} == {6}
    assert 0.01 < sum(trace.fails for trace in traces) / len(traces) < 0.03
    assert 0.17 < sum(bool(trace.feedback) for trace in traces) / len(traces) < 0.23
    assert len({trace.session for trace in traces}) == 100


def test_loaded_rows_are_those_that_recording_makes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "recorded.db"
    program = (
        "import sys; from benchmarks.ingest import *;"
        "record_into(sys.argv[1], [trace_of(number) for number in range(60)])"
    )
    _run("-c", program, str(path))
    recorded = _payloads(path)
    assert {row[2] for row in recorded} == {"OK", "ERROR"}
    assert _payloads(dataset.dataset(60, tmp_path)) == recorded


def _payloads(path: pathlib.Path) -> list[tuple[object, ...]]:
    """Return what does not depend on when and where a trace was recorded."""
    sql = """
        SELECT t.client_request_id, t.name, t.status, t.total_tokens, t.request_preview,
               s.name, s.type, s.status, s.model, s.inputs, s.outputs, s.attributes,
               (SELECT json_group_array(key || value) FROM tags WHERE trace = t.id),
               (SELECT json_group_array(key || value) FROM metadata WHERE trace = t.id)
        FROM traces AS t JOIN spans AS s ON s.trace = t.id ORDER BY 1, 6"""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_percentiles_are_samples_that_were_seen() -> None:
    assert report.percentiles(range(1, 101)) == (50, 90, 99, 100)
    assert report.percentiles([3.0]) == (3.0, 3.0, 3.0, 3.0)


def test_overhead_prints_spans_against_floor_and_peer() -> None:
    pytest.importorskip(
        "opentelemetry.sdk", reason="the peer is in the dependency group benchmarks"
    )
    rows = _rows(_run("-m", "benchmarks.overhead", "--rounds", "1", "--calls", "5", "--busy", "50"))
    assert len(rows["empty child span"]) == 5
    assert rows["empty child span, OpenTelemetry SDK"][-1].endswith("x")
    assert float(rows["a trace of the workload"][0]) > 0


def test_ingest_prints_rates_and_checks_the_file() -> None:
    rows = _rows(
        _run("-m", "benchmarks.ingest", "--traces", "30", "--repeats", "1", "--burst", "60")
    )
    assert rows["spans dropped"] == ["0"]
    assert rows["from one thread"][0] == "60"
    assert rows["share of the floor"][0].endswith("%")


def test_search_prints_each_filter_at_each_size(tmp_path: pathlib.Path) -> None:
    options = ("--traces", "200,2000", "--runs", "3", "--data", str(tmp_path))
    printed = _run("-m", "benchmarks.search", *options)
    small, large, growth, large_text, _ = (
        _rows(part) for part in re.split("2,000 traces, ms|growth of the median", printed)
    )
    assert large_text["text, absent phrase"][0] == "0"
    assert int(large_text["text, common word"][0]) > 0
    assert set(search.filters(200)) <= set(small) & set(large) & set(growth)
    assert [large[name][0] for name in ("no filter", "tag, unique", "tag, absent value")] == [
        "100",
        "1",
        "0",
    ]


def test_import_time_prints_each_program() -> None:
    rows = _rows(_run("-m", "benchmarks.import_time", "--runs", "1"))
    assert set(import_time.PROGRAMS) <= set(rows)


@pytest.mark.parametrize(
    ("program", "rows"),
    [
        (("size", "--traces", "40", "--turns", "4"), ["workload, 40 traces", "agent, 4 turns"]),
        (("memory", "--traces", "1000"), ["bare", "record"]),
        (
            ("contention", "--seconds", "0.1", "--rounds", "1"),
            ["bare", "floor: encoding", "tracestore", "OpenTelemetry SDK", "empty child span"],
        ),
    ],
    ids=lambda value: value[0],
)
def test_program_prints_its_figures(program: tuple[str, ...], rows: list[str]) -> None:
    printed = _rows(_run("-m", f"benchmarks.{program[0]}", *program[1:]))
    assert set(rows) <= set(printed)
    assert all(re.search(r"\d", cell) for row in rows for cell in printed[row])


def test_calls_about_one_trace_are_timed(tmp_path: pathlib.Path) -> None:
    arguments = ("--traces", "4000", "--runs", "4", "--data", str(tmp_path))
    printed = _rows(_run("-m", "benchmarks.get", *arguments))
    assert {"get_trace, 4 spans", "delete_traces, 1,000 by time"} <= set(printed)


def test_figures_are_timed_and_their_line_says_what_the_loop_says(tmp_path: pathlib.Path) -> None:
    printed = _run(
        "-m", "benchmarks.metrics", "--traces", "400", "--runs", "1", "--data", str(tmp_path)
    )
    rows = _rows(printed)
    assert len(rows["by one tag: count, error rate, p95"]) == 4
    assert "pandas: by one tag, from a data frame of all" in rows
    path = dataset.dataset(400, tmp_path)
    with Store(path, read_only=True) as store:
        line = metrics.the_line(store)
        for version, (count, rate, _mean) in line.items():
            chosen = f"tags.environment = 'production' AND tags.app_version = '{version}'"
            assert count == store.count_traces(chosen)
            errors = store.count_traces(f"{chosen} AND status = 'ERROR'")
            assert rate == pytest.approx(errors / count)


def test_result_is_written_as_it_was_printed(tmp_path: pathlib.Path) -> None:
    written = tmp_path / "results" / "size.json"
    printed = _run("-m", "benchmarks.size", "--traces", "9", "--turns", "2", "--json", str(written))
    result = msgspec.json.decode(written.read_bytes(), type=report.Result)
    assert result.text() == printed.rstrip("\n")
    assert result.command == "python -m benchmarks.size --traces 9 --turns 2"
    assert result.figures["workload_file_bytes"] > result.figures["workload_payload_bytes"]


def test_more_instructions_than_there_is_room_for_are_a_problem() -> None:
    options = argparse.Namespace(json=None, command="")
    counts = {"empty child span": 111, "decorated call": 110, "a trace": 100, "a batch": 50}
    with report.Report("instructions", "How many?", options) as made:
        known = instructions.Stored("other versions", dict.fromkeys(counts, 100))
        problems = instructions._compared(made, counts, known, own=None)
        assert [line.partition(":")[0] for line in problems[:-1]] == ["empty child span"]
        own = instructions._key().partition(" ")[0]
        assert instructions._compared(made, counts, None, own="2.7") == []
        assert "CI's own" in instructions._compared(made, counts, None, own)[0]
    assert "other versions" in made.result.notes[0]
    assert "--store" in made.result.notes[-1]


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="Valgrind is not installed")
@pytest.mark.slow
def test_instructions_are_counted_the_same_twice() -> None:
    first, second = (instructions._counted() for _ in range(2))
    assert first == pytest.approx(second, rel=0.01)


@pytest.mark.slow
def test_upkeep_measures_each_piece_of_work(tmp_path: pathlib.Path) -> None:
    printed = _run("-m", "benchmarks.upkeep", "--traces", "60", "--data", str(tmp_path))
    assert {"delete 1,000 traces", "backup", "merge", "check", "repair"} <= {
        name.replace("extract, prune and merge 10 %", "merge") for name in _rows(printed)
    }
