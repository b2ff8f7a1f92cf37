"""`tail` and `top`: traces of other processes as they end, each once; names ranked."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

import tracestore
from tests.cli_program import (
    command,
    environment,
    record_demo,
    run,
    run_json,
    show_in_terminal,
    without_colours,
)
from tracestore.entities import Trace
from tracestore.errors import FilterSyntaxError
from tracestore.following import Follower, SpanNews
from tracestore.store import Store

_WRITER = """
import sys
import tracestore as mlflow
mlflow.set_tracking_uri(sys.argv[1])
for number in range(int(sys.argv[2])):
    with mlflow.start_span(f"{sys.argv[3]} {number}", span_type="CHAIN"):
        with mlflow.start_span("step"):
            pass
    if number % 7 == 0:
        mlflow.flush()
"""


def names(news: list[Trace | SpanNews]) -> list[str | None]:
    return [each.info.name if isinstance(each, Trace) else each.name for each in news]


def test_a_trace_is_told_once_when_it_has_ended(recording: Store) -> None:
    with tracestore.start_span("before"):
        pass
    follower = Follower(recording)
    assert follower.news() == []

    with tracestore.start_span("whole"):
        pass
    assert names(follower.news()) == ["whole"]
    assert follower.news() == []

    late = tracestore.start_span_no_context("late")
    recording.live[late.trace_id].announce_open()
    assert follower.news() == []
    late.end()
    assert names(follower.news()) == ["late"]
    assert follower.news() == []


def test_a_trace_that_was_in_progress_from_the_start_is_told(recording: Store) -> None:
    late = tracestore.start_span_no_context("late")
    recording.live[late.trace_id].announce_open()
    recording.flush()
    follower = Follower(recording)

    late.end()

    assert names(follower.news()) == ["late"]


def test_spans_are_told_when_they_begin_and_end(recording: Store) -> None:
    follower = Follower(recording, with_spans=True)
    root = tracestore.start_span_no_context("root", span_type="AGENT")
    recording.live[root.trace_id].announce_open()

    (began,) = follower.news()
    root.end()
    ended, trace = follower.news()

    assert isinstance(began, SpanNews)
    assert isinstance(ended, SpanNews)
    assert isinstance(trace, Trace)
    assert (began.name, began.span_type, began.end_time_ns) == ("root", "AGENT", None)
    assert (ended.span_id, ended.status) == (began.span_id, "OK")


def test_a_filter_chooses_traces_and_their_spans(recording: Store) -> None:
    follower = Follower(recording, "name = 'wanted' OR name = 'x'", with_spans=True)
    for name in ("wanted", "other"):
        with tracestore.start_span(name), tracestore.start_span("step"):
            pass

    assert sorted(map(str, names(follower.news()))) == ["step", "wanted", "wanted"]
    with pytest.raises(FilterSyntaxError):
        Follower(recording, "nme = 1")


def test_the_latest_are_not_told_again(recording: Store) -> None:
    follower = Follower(recording)
    with tracestore.start_span("between"):
        pass

    assert names(list(follower.latest(5))) == ["between"]
    assert follower.news() == []


@contextlib.contextmanager
def tailing(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `tracestore tail` with a pipe."""
    process = subprocess.Popen(
        command("tail", *arguments), stdout=subprocess.PIPE, env=environment(), text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_nothing_of_other_processes_is_missed_or_doubled(tmp_path: pathlib.Path) -> None:
    path, per_writer = str(tmp_path / "t.db"), 150
    with Store(path) as store:
        store.create_experiment("made")
    # What has ended before it looks for the first time is among the latest, so all are told.
    with tailing("--db", path, "--json", "-n", "1000") as tail:
        assert tail.stdout is not None
        writers = [
            subprocess.Popen([sys.executable, "-c", _WRITER, path, str(per_writer), name])
            for name in ("a", "b")
        ]
        told = [json.loads(tail.stdout.readline()) for _ in range(2 * per_writer)]
        assert [writer.wait() for writer in writers] == [0, 0]
        assert tail.poll() is None

    found = [each["trace"]["info"]["tags"]["mlflow.traceName"] for each in told]
    assert sorted(found) == sorted(f"{w} {n}" for w in "ab" for n in range(per_writer))


def test_lines_fit_the_terminal_and_pipes_are_plain(tmp_path: pathlib.Path) -> None:
    demo = record_demo(tmp_path)
    arguments = ("tail", "--for", "0", "--db", demo)

    shown = show_in_terminal(*arguments, columns=60)
    assert "\x1b[" in shown
    lines = without_colours(shown).splitlines()
    assert len(lines) == 6
    assert all(len(line) <= 60 for line in lines)

    piped = run(*arguments, "-n", "2").out
    assert "\x1b" not in piped
    assert "What is a frumious bandersnatch?" in piped
    assert len(piped.splitlines()) == 2


def test_top_ranks_names(tmp_path: pathlib.Path) -> None:
    demo = record_demo(tmp_path)

    found = run_json("top", "--spans", "--by", "errors", "--db", demo)["names"]
    assert [each["span.name"] for each in found[:2]] == ["calculate", "retrieve"]
    assert found[0]["error_rate"] == 0.5
    for columns in (40, 80, 200):
        lines = without_colours(show_in_terminal("top", "--db", demo, columns=columns)).splitlines()
        assert lines[0].startswith("name")
        assert "p95" in lines[0]
        assert all(len(line) <= columns for line in lines)
    assert run("top", "--spans", "--by", "cost", "--db", demo).code == 2
