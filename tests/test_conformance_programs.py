"""The conformance suite itself: how it finds differences, and what explains them.

What the programs observe is compared with MLflow's observations in `.ci/mlflow`, where MLflow is.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from tests.peer_mlflow.conformance import differences, load_programs
from tests.peer_mlflow.intended import INTENDED, reason_of
from tests.peer_mlflow.observing import FAILED, PROGRAMS, plain

ROOT = pathlib.Path(__file__).parents[1]


def test_every_program_runs_to_its_end(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "tests.peer_mlflow.observe", "tracestore", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)

    observed = json.loads((tmp_path / "tracestore.json").read_text("utf-8"))
    failed = {name: seen for name, seen in observed.items() if FAILED in seen}
    assert failed == {}


def test_there_are_as_many_programs_as_the_readme_says() -> None:
    load_programs()
    assert len(PROGRAMS) >= 150


def test_differences_are_found_where_they_are() -> None:
    theirs = {"a": [1, {"b": 1}], "gone": 1, "n": 1}
    own = {"a": [1, {"b": 2}], "new": 1, "n": True}
    assert list(differences(theirs, own)) == [
        ("/a/1/b", 1, 2),
        ("/gone", 1, "<not observed>"),
        ("/n", 1, True),
        ("/new", "<not observed>", 1),
    ]


def test_a_difference_is_explained_by_its_own_reason_only() -> None:
    spaced = reason_of("any | thing", '{"a": 1}', '{"a":1}')
    assert spaced is not None
    assert spaced.id == "json-spacing"
    assert reason_of("any | thing", '{"a": 1}', '{"a":2}') is None
    assert len({each.id for each in INTENDED}) == len(INTENDED)


@pytest.mark.parametrize(
    ("value", "expected"),
    [((1, {2}), [1, [2]]), (float("nan"), "nan"), ({1: None}, {"1": None}), (object(), "<object>")],
)
def test_observations_become_json(value: object, expected: object) -> None:
    assert plain(value) == expected
