"""What MLflow showed of assessments, sessions, usage and cost, against what we show: the same, but for a list."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import pytest

import tracestore
from tests.peer_mlflow.judging import PAGE, observe
from tracestore.prices import table
from tracestore.store import Store


class Difference(NamedTuple):
    """What we show instead, and why."""

    ours: Any
    why: str


THEIRS: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))["seen"]

USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}

DIFFERENCES: dict[str, Difference] = {
    "same object twice": Difference(
        THEIRS["feedback default"] | {"name": "again", "value": 1},
        "it is another assessment with an id of its own",
    ),
    **{
        name: Difference(seen | {"valid": True}, "the dictionary says that it is valid")
        for name, seen in THEIRS.items()
        if name.startswith("Expectation") and name.endswith("from its dictionary")
    },
    "after the middle one was deleted": Difference(
        [False, True], "what overrode the deleted one still is in the place of the first"
    ),
    "after one of two overrides was deleted": Difference(
        [False, True], "the other one still overrides it"
    ),
    "usage: empty parent": Difference([USAGE, None], "an empty report hides nobody's"),
    "usage: input only": Difference(
        [{"input_tokens": 3, "output_tokens": 0, "total_tokens": 3}, None], "the total is derived"
    ),
    "usage: model claude-3-5-sonnet-20241022": Difference(
        [USAGE, {"input_cost": 0.003, "output_cost": 0.0015, "total_cost": 0.0045}],
        "our table still knows it",
    ),
    "feedback of a session": Difference(["1"], "feedback counts for the trace that has it"),
    "without feedback of a session": Difference(
        ["0", "2", "3", "4", "5"], "feedback counts for the trace that has it"
    ),
}


@pytest.fixture
def seen(recording: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Any:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    table.forget()
    del recording  # it is the current store
    return observe(tracestore)


def test_what_is_seen_is_what_mlflow_shows_but_for_the_list(seen: dict[str, Any]) -> None:
    """Source: MLflow 3.17.2 itself; `python -m tests.peer_mlflow.judging --record` writes its page."""
    assert len(THEIRS) > 100
    expected = THEIRS | {name: different.ours for name, different in DIFFERENCES.items()}
    assert {name: value for name, value in seen.items() if expected[name] != value} == {}
    assert seen.keys() == THEIRS.keys()


def test_every_difference_of_the_list_is_one() -> None:
    assert [name for name, each in DIFFERENCES.items() if THEIRS[name] == each.ours] == []
    assert all(each.why for each in DIFFERENCES.values())
