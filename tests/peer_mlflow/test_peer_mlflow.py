"""MLflow's own answers, recorded, against ours: the same, but for a written list of differences that are meant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tracestore
from tests.peer_mlflow import differences
from tests.peer_mlflow.filters import filters
from tests.peer_mlflow.page import (
    Answer,
    ask,
    differences_in,
    our_answers,
    ranges,
    read_page,
    unexplained,
)
from tests.peer_mlflow.traces import record

PAGE = read_page()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Answer]]:
    before = tracestore.get_tracking_uri()
    tracestore.set_tracking_uri(str(tmp_path_factory.mktemp("peer") / "traces.db"))
    yield ask(tracestore, record(tracestore))
    tracestore.set_tracking_uri(before)


def test_answers_are_those_of_mlflow_but_for_the_list(answers: dict[str, Answer]) -> None:
    expected = our_answers(PAGE)

    assert len(expected) > 2_500
    assert {source: answers[source] for source in expected} == expected


def test_page_answers_every_filter() -> None:
    assert list(PAGE) == filters()


def test_every_difference_of_the_list_occurs() -> None:
    assert differences_in(PAGE) == {each.id for each in differences.DIFFERENCES}


@pytest.mark.parametrize("difference", differences.DIFFERENCES, ids=lambda each: each.id)
def test_example_of_a_difference_falls_under_it(difference: differences.Difference) -> None:
    found = differences.difference_of(difference.example)
    assert found is not None
    assert found.here == difference.here


def test_answers_that_differ_without_a_reason_are_told() -> None:
    (told,) = unexplained({"status = 'OK'": "1"}, {"status = 'OK'": "2"})
    assert "status = 'OK'" in told
    assert not unexplained({"issue.id = 'iss-1'": "1"}, {"issue.id = 'iss-1'": None})


def test_ranges_are_short() -> None:
    assert ranges([0, 1, 2, 7, 9, 10]) == "0-2 7 9-10"
    assert ranges([]) == ""


def test_table_in_the_readme_is_that_of_the_list() -> None:
    readme = differences.README.read_text("utf-8")
    assert differences.with_table(readme) == readme, "run python -m tests.peer_mlflow.differences"
