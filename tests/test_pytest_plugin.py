"""The pytest plugin, as a project uses it: its own test files, run by pytest in a process of their own."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import tracestore
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.store import Store
from tracestore.testing import Recorded, milliseconds

TESTS = """
import os
import tracestore as mlflow

@mlflow.trace(span_type="TOOL")
def look_up(question):
    if question == "fail":
        raise LookupError(question)
    return "Paris"

@mlflow.trace
def answer(question, times=1):
    for _ in range(times):
        mlflow.update_current_trace(tags={"asked": question})
        city = look_up(question)
    return {"city": city}

def test_good(tracestore):
    answer("capital?", times=int(os.environ.get("TIMES", "1")))
    trace = tracestore.assert_trace(
        "tags.asked = 'capital?'", name="answer", count=1, max_duration="30s", no_errors=True,
        spans=["look_up"], outputs="Paris",
    )
    assert trace.info.tags["asked"] == "capital?"
    if tracestore.baseline:
        assert tracestore.assert_no_worse()

def test_alone(tracestore):
    assert tracestore.traces() == []
    with open(os.environ["NOTE"], "a") as note:
        note.write(tracestore.path + "\\n")

def test_failing(tracestore):
    try:
        answer("fail")
    except LookupError:
        pass
    tracestore.assert_trace(name="answer", no_errors=True)
"""


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    (folder / "test_city.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
         "-c", os.devnull, "--rootdir", str(folder), *_plugin(), *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "NOTE": str(folder / "note"), "TRACESTORE_DB": str(folder / "own.db"), **variables},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def _plugin() -> list[str]:
    """Name the plugin where this checkout was installed before it had one."""
    known = [each.value for each in entry_points(group="pytest11")]
    return [] if "tracestore.pytest_plugin" in known else ["-p", "tracestore.pytest_plugin"]


def test_each_test_has_a_file_of_its_own_and_failures_say_what_happened(tmp_path: Path) -> None:
    code, out = run(tmp_path)
    assert code == 1
    assert "1 failed, 2 passed" in out
    assert "trace 'answer' has failed in 'answer', 'look_up'" in out
    assert "LookupError: fail" in out
    assert "testing.py:" not in out  # the line of the test is shown, not ours
    assert "arguments.py:" not in out
    assert not (tmp_path / "own.db").exists()  # the active store was left alone
    assert (tmp_path / "note").read_text().strip().endswith("traces.db")


def test_a_run_is_saved_and_a_later_one_compared_with_it(tmp_path: Path) -> None:
    saved = str(tmp_path / "baseline.db")
    only = ["-k", "good or failing", "--tracestore-save", saved]
    for _ in range(2):  # the second run takes the place of the first
        assert run(tmp_path, *only)[0] == 1
        with Store(saved, read_only=True) as store:
            assert store.count_traces() == 1  # of the test that passed
            assert store.count_traces("tags.`pytest.test` LIKE '%test_good'") == 1
    same, out = run(tmp_path, "-k", "good", "--tracestore-baseline", saved)
    assert same == 0, out
    worse, out = run(tmp_path, "-k", "good", "--tracestore-baseline", saved, TIMES="3")
    assert worse == 1
    assert "span_count: 4, was 2 (at most +0%)" in out


def test_without_the_fixture_nothing_of_the_store_is_imported(tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\ndef test_it():\n    assert 'tracestore.store' not in sys.modules\n"
    )
    code, out = run(tmp_path, "test_light.py")
    assert code == 0, out


# ------------------------------------------------------------------------------------------ assertions


def recorded(store: Store) -> Recorded:
    with tracestore.start_span("slow") as span:
        span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 40, "output_tokens": 2})
        span.set_outputs(["x"])
    return Recorded(store, "test_x")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "fast"}, "expected a trace of name 'fast', found 0; recorded: 1 of 'slow'"),
        ({"count": 2}, "expected 2 traces, found 1"),
        ({"filter_string": "status = 'ERROR'"}, "found 0"),
        ({"max_tokens": 41}, "used 42 tokens, at most 41"),
        ({"spans": ["slow", "b"]}, "has no span 'b'"),
        ({"outputs": ["y"]}, "returned"),
    ],
)
def test_what_is_not_as_it_should_be_fails(
    recording: Store, asked: dict[str, object], message: str
) -> None:
    found = recorded(recording)
    with pytest.raises(AssertionError, match=message):
        found.assert_trace(**asked)  # type: ignore[arg-type]  # of several kinds


def test_durations_are_bounded(recording: Store) -> None:
    began = dt.datetime.now(dt.timezone.utc)
    span = tracestore.start_span_no_context(
        "long", start_time_ns=int(began.timestamp() * 1e9) - 10**10
    )
    span.end()
    found = Recorded(recording)
    found.assert_trace(max_duration=3600)
    with pytest.raises(AssertionError, match=r"took 10,\d+ ms, at most 500 ms"):
        found.assert_trace(max_duration="500ms")
    assert milliseconds("2m") == 120_000


def test_no_traces_may_be_demanded(recording: Store) -> None:
    found = recorded(recording)
    found.assert_no_trace("status = 'ERROR'")
    with pytest.raises(AssertionError, match="one of 1 that meet"):
        found.assert_no_trace()
    with pytest.raises(InvalidArgumentError, match="assert_no_trace"):
        found.assert_trace(count=0)
    with pytest.raises(InvalidArgumentError, match="there is no baseline"):
        found.assert_no_worse()


def test_what_was_active_is_active_again(recording: Store, tmp_path: Path) -> None:
    with runtime.elsewhere(str(tmp_path / "other.db")) as other:
        with tracestore.start_span("there"):
            pass
        assert runtime.store is other
    assert runtime.store is recording
    assert recording.count_traces() == 0
    with Store(tmp_path / "other.db") as again:
        assert again.count_traces() == 1
