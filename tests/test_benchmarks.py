"""The benchmarks run, print their figures, and measure the same workload every time."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from benchmarks import __main__ as benchmarks_main
from benchmarks import (
    dataset,
    hot_spots,
    import_time,
    instructions,
    metrics,
    peers,
    plot,
    readme,
    report,
    search,
    targets,
    workload,
)
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
    payload = sum(len(data) for _, spans in made for span in spans for data in span[10:] if data)
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
    assert {metrics.PANDAS, metrics.PANDAS_SQL} <= set(rows)  # and their figures are the same
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
    counts = {"empty child span": 111, "decorated call": 110, "a trace": 90, "a batch": 89}
    with report.Report("instructions", "How many?", options) as made:
        known = instructions.Stored("other versions", dict.fromkeys(counts, 100))
        problems = instructions._compared(made, counts, known, own=None)
        assert [line.partition(":")[0] for line in problems[:-1]] == ["empty child span"]
        assert made.result.notes[0].startswith("a batch: store it")
        own = instructions._key()
        assert instructions._compared(made, counts, None, own="2.7 sparc") == []
        assert "CI's own" in instructions._compared(made, counts, None, own)[0]
    assert "other versions" in made.result.notes[1]
    assert "--store" in made.result.notes[-1]


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="Valgrind is not installed")
@pytest.mark.slow
def test_instructions_are_counted_the_same_twice() -> None:
    first, second = (instructions._counted() for _ in range(2))
    # where a trace meets the end of a spool file, and the order of hashed ids, differ between runs
    assert first == pytest.approx(second, rel=0.03)


def test_growth_is_of_what_was_found_as_often(tmp_path: pathlib.Path) -> None:
    options = ("--traces", "100,1200", "--rounds", "1", "--runs", "2", "--data", str(tmp_path))
    printed = _run("-m", "benchmarks.growth", *options)
    writing, searching, grew = (_rows(part) for part in re.split("median, ms|growth of", printed))
    assert len(writing["1,200"]) == 7
    assert len(searching["floor: SQL, the newest 100 rows"]) == 2
    assert all(cell.endswith("x") for cell in grew["no filter"])
    assert grew["tag, rare (0.1 %)"][0].endswith("found, not 0")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_all_programs_are_those_that_can_be_named() -> None:
    programs = {
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__doc__)" in path.read_text()
    }
    assert set(benchmarks_main.PROGRAMS) == programs - {
        "peer_search",
        "peers",
        "readme",
        "__main__",
    }
    with pytest.raises(argparse.ArgumentTypeError, match="no program serach"):
        benchmarks_main._programs("search,serach")


def test_quick_form_writes_a_table_and_a_plot(tmp_path: pathlib.Path) -> None:
    printed = _run("-m", "benchmarks", "--only", "otel", "--results", str(tmp_path / "new"))
    assert "| empty child span, the recording thread | ≤ 1.5 µs | not measured |  |  |" in printed
    result = readme.results_in(tmp_path / "new")["otel"]
    assert result.command == "python -m benchmarks.otel --quick"
    assert result.text() in (tmp_path / "new" / "results.md").read_text("utf-8")
    assert (tmp_path / "new" / "targets.svg").read_text("utf-8").startswith("<svg")


def test_program_that_fails_says_what_it_printed(tmp_path: pathlib.Path) -> None:
    command = (sys.executable, "-c", "print('measured'); raise SystemExit('no room')")
    assert "no room" in benchmarks_main._process(command, tmp_path / "nothing.json")


def test_readme_of_the_benchmarks_is_made_of_the_kept_figures() -> None:
    kept = readme.results_in(readme.FIGURES)
    text = readme.README.read_text("utf-8")
    assert readme.with_blocks(text, kept) == text, "run python -m benchmarks.readme"
    assert readme.PLOT.read_text("utf-8") == plot.plot(kept), "run python -m benchmarks.readme"


def _result(program: str, command: str, **figures: float) -> report.Result:
    return report.Result(
        program, "How?", command, "2026-11-21 00:00 UTC", "c", "s", "m", figures=figures
    )


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that interrupts a program")
def test_hot_spots_are_functions_of_what_was_done() -> None:
    samples = hot_spots.Samples()

    def block(samples: hot_spots.Samples) -> None:
        with samples.taking():
            sum(number * number for number in range(3_000_000))

    hot_spots._sampled(block, 0.2)
    block(samples)
    assert samples.total > 0
    assert samples.within[f"{__name__}.block"] == samples.total
    assert samples.itself.most_common(1)[0][0] == f"{__name__}.<genexpr>"


def test_target_is_met_by_the_figure_and_missed_by_another() -> None:
    names = {target.figure: target for target in targets.TARGETS}
    result = _result("overhead", "o", span_us=1.4, span_below_otel=7.9, span_floor_us=0.3)
    met = ("≤ 1.5 µs", "1.40 µs", "floor 0.30", "yes", "`o`")
    assert targets.row(names["span_us"], result)[1:] == met
    assert targets.row(names["span_below_otel"], result)[4] == "**no**"
    assert targets.row(names["call_us"], result)[2:5] == ("not measured", "", "")
    size = _result("size", "s", workload_file_bytes=7_000.0, workload_limit_bytes=7_015.0)
    assert targets.row(names["workload_file_bytes"], size)[1] == "≤ 7,015 bytes"
    assert targets.distance(names["workload_file_bytes"], size) == pytest.approx(7_000 / 7_015)
    share = _result("ingest", "i", durable_share=0.31)
    assert targets.row(names["durable_share"], share)[2] == "31.0 %"
    assert 1.9 < (targets.distance(names["durable_share"], share) or 0) < 2


def test_quick_form_does_not_replace_a_full_one(tmp_path: pathlib.Path) -> None:
    for folder, command in (("old", "full"), ("new", "quick --quick")):
        (tmp_path / folder).mkdir()
        for program in ("get",) if folder == "old" else ("get", "size"):
            written = msgspec.json.encode(_result(program, command))
            (tmp_path / folder / f"{program}.json").write_bytes(written)
    old, new = tmp_path / "old", tmp_path / "new"
    assert readme.keep(new, old, quick_too=False) == ["size"]
    assert readme.results_in(old)["get"].command == "full"
    assert readme.keep(new, old, quick_too=True) == ["get", "size"]


def test_peer_that_can_not_start_says_why() -> None:
    known = peers.Known("absent", "No such library", (), "", stores=False)
    with (
        peers.Peer(known, pathlib.Path(sys.executable)) as peer,
        pytest.raises(SystemExit, match=r"No module named benchmarks\.peer_absent"),
    ):
        peer.block("span")(1)


@pytest.mark.parametrize("known", peers.KNOWN, ids=lambda known: known.key)
@pytest.mark.slow
def test_peer_takes_its_turns(known: peers.Known) -> None:
    python = peers.python_of(known)
    if python is None:
        pytest.skip(
            f"{known.name} is not installed: python -m benchmarks.peers install {known.key}"
        )
    with peers.Peer(known, python) as peer:
        assert [len(peer.block(what)(3)) for what in ("span", "call", "trace")] == [3, 3, 3]
        if known.stores:
            assert peer.ingest(4)[0] == 4


@pytest.mark.slow
def test_upkeep_measures_each_piece_of_work(tmp_path: pathlib.Path) -> None:
    printed = _run("-m", "benchmarks.upkeep", "--traces", "60", "--data", str(tmp_path))
    assert {"delete 1,000 traces", "backup", "merge", "check", "repair"} <= {
        name.replace("extract, prune and merge 10 %", "merge") for name in _rows(printed)
    }
