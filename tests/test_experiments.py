"""Experiments: made, found, renamed, deleted, restored, tagged; by the package, the client and the store."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracestore
from tracestore import experiments
from tracestore.client import MlflowClient
from tracestore.entities import Experiment, TraceLocation, ViewType
from tracestore.errors import (
    AlreadyExistsError,
    FilterSyntaxError,
    InvalidArgumentError,
    NotFoundError,
    TracestoreError,
)
from tracestore.store import Store


def _names(found: list[Experiment]) -> list[str]:
    return [experiment.name for experiment in found]


# ------------------------------------------------------------------------------------------ changing


def test_experiment_is_renamed(recording: Store) -> None:
    client = MlflowClient()
    experiment_id = client.create_experiment("before", tags={"k": "v"})
    client.rename_experiment(experiment_id, "after")
    renamed = client.get_experiment(experiment_id)
    assert (renamed.name, renamed.tags) == ("after", {"k": "v"})
    assert client.get_experiment_by_name("before") is None
    client.rename_experiment(experiment_id, "after")  # its own name is not taken
    with pytest.raises(AlreadyExistsError, match="Default"):
        client.rename_experiment(experiment_id, "Default")
    with pytest.raises(InvalidArgumentError, match="blank"):
        client.rename_experiment(experiment_id, " ")
    assert recording.path


def test_deleted_experiment_keeps_its_traces_and_comes_back(recording: Store) -> None:
    experiment = tracestore.set_experiment("mine")
    with tracestore.start_span("span"):
        pass
    tracestore.delete_experiment(experiment.experiment_id)
    deleted = recording.get_experiment(experiment.experiment_id)
    assert deleted.lifecycle_stage == "deleted"
    assert _names(tracestore.search_experiments()) == ["Default"]
    assert _names(tracestore.search_experiments(ViewType.DELETED_ONLY)) == ["mine"]
    assert _names(tracestore.search_experiments(ViewType.ALL)) == ["mine", "Default"]
    assert len(recording.search_traces(experiment_ids=[experiment.experiment_id])) == 1
    with pytest.raises(InvalidArgumentError, match="deleted"):
        tracestore.set_experiment("mine")
    tracestore.restore_experiment(experiment.experiment_id)
    assert tracestore.set_experiment("mine").lifecycle_stage == "active"


def test_time_of_the_last_change_is_kept(recording: Store) -> None:
    experiment_id = recording.create_experiment("x")
    before = recording.get_experiment(experiment_id)
    recording.rename_experiment(experiment_id, "y")
    after = recording.get_experiment(experiment_id)
    assert after.creation_time == before.creation_time
    assert (after.last_update_time or 0) >= (before.last_update_time or 0)


VERBS: list[tuple[str, tuple[Any, ...]]] = [
    ("rename_experiment", ("new",)),
    ("delete_experiment", ()),
    ("set_experiment_tag", ("k", "v")),
    ("delete_experiment_tag", ("k",)),
]


@pytest.mark.parametrize(("verb", "more"), VERBS, ids=str)
def test_only_an_experiment_that_is_there_and_active_is_changed(
    recording: Store, verb: str, more: tuple[Any, ...]
) -> None:
    change: Any = getattr(MlflowClient(), verb)
    for missing in ("99", "x", None):
        with pytest.raises((NotFoundError, InvalidArgumentError), match="experiment"):
            change(missing, *more)
    experiment_id = recording.create_experiment("deleted")
    recording.delete_experiment(experiment_id)
    with pytest.raises(InvalidArgumentError, match="is deleted"):
        change(experiment_id, *more)


def test_default_experiment_stays_and_an_active_one_is_not_restored(recording: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="Default"):
        recording.delete_experiment("0")
    for experiment_id in ("0", "99"):
        with pytest.raises(NotFoundError, match="no deleted experiment"):
            recording.restore_experiment(experiment_id)


def test_tags_of_the_active_experiment(recording: Store) -> None:
    experiment = tracestore.set_experiment("mine")
    tracestore.set_experiment_tag("n", 1)
    tracestore.set_experiment_tags({"a": "b", "n": {"x": 2}})
    assert recording.get_experiment(experiment.experiment_id).tags == {"a": "b", "n": '{"x":2}'}
    tracestore.delete_experiment_tag("n")
    assert recording.get_experiment(experiment.experiment_id).tags == {"a": "b"}
    with pytest.raises(NotFoundError, match="no tag 'n'"):
        tracestore.delete_experiment_tag("n")
    with pytest.raises(InvalidArgumentError, match="tag key"):
        tracestore.set_experiment_tag("", "v")


def test_places_in_databricks_are_refused(recording: Store) -> None:
    location: Any = TraceLocation.from_experiment_id("0")
    with pytest.raises(InvalidArgumentError, match="trace_location"):
        tracestore.set_experiment("x", trace_location=location)
    with pytest.raises(InvalidArgumentError, match="trace_location"):
        tracestore.create_experiment("x", trace_location=location)
    assert recording.get_experiment_by_name("x") is None


# ------------------------------------------------------------------------------------------ searching

FOUND = [
    Experiment("3", "It's", tags={"team": "search"}, creation_time=3000, last_update_time=9000),
    Experiment("2", "beta", tags={"team": "Chat"}, creation_time=2000, last_update_time=2000),
    Experiment("1", "alpha", creation_time=1000, last_update_time=1000),
    Experiment("0", "Default", creation_time=0, last_update_time=0),
]


@pytest.mark.parametrize(
    ("source", "ids"),
    [
        ("", "3210"),
        ("name = 'alpha'", "1"),
        ("name != 'alpha'", "320"),
        ("name LIKE '%a'", "21"),
        ("name LIKE 'It''s'", "3"),
        ("name ILIKE 'ALPHA'", "1"),
        ("name NOT LIKE '%a%'", "3"),
        ("attribute.name RLIKE '^[ab]'", "21"),
        ("name IN ('alpha', 'beta')", "21"),
        ("name NOT IN ('alpha')", "320"),
        ("experiment_id IN ('1', '2')", "21"),
        ("creation_time >= 2000", "32"),
        ("creation_time BETWEEN 500 AND 2500", "21"),
        ("last_update_time < now() - 1d AND name LIKE '_%'", "3210"),
        ("tags.team = 'search'", "3"),
        ("tags.team != 'search'", "2"),  # what has no such tag is not different
        ("tags.team ILIKE 'chat'", "2"),
        ("tags.team IS NULL", "10"),
        ("tag.team IS NOT NULL", "32"),
        ("NOT tags.team = 'search'", "210"),
        ("name = 'alpha' OR (name = 'beta' AND creation_time > 1)", "21"),
        ("name LIKE '%[%]%'", ""),
    ],
)
def test_filter_finds(source: str, ids: str) -> None:
    found = experiments.search(FOUND, source, None, None, None)
    assert "".join(experiment.experiment_id for experiment in found) == ids


@pytest.mark.parametrize(
    "source",
    [
        "nonsense = 'x'",
        "span.name = 'x'",
        "any_span(name = 'x')",
        "name = 5",
        "creation_time > 'yesterday'",
        "tags.k = 5",
        "name RLIKE '('",
        "name =",
        "feedback.x = 'y'",
    ],
)
def test_filter_that_cannot_be_meant_is_refused(source: str) -> None:
    with pytest.raises(FilterSyntaxError):
        experiments.search(FOUND, source, None, None, None)


@given(st.text(alphabet="name tags.k='x'%LIKENOTAND()<>!\\\0é", max_size=40))
@settings(max_examples=200)
def test_any_text_is_a_filter_or_an_error_of_ours(source: str) -> None:
    with contextlib.suppress(TracestoreError):
        experiments.search(FOUND, source, None, None, None)


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        (["name"], "0312"),
        (["name DESC"], "2130"),
        (["creation_time ASC"], "0123"),
        (["tags.team"], "2310"),
        (["tags.team DESC", "name"], "3201"),
        (["tags.team NULLS FIRST"], "1023"),
    ],
)
def test_order(order: list[str], ids: str) -> None:
    found = experiments.search(FOUND, None, order, None, None)
    assert "".join(experiment.experiment_id for experiment in found) == ids


def test_pages_follow_each_other_and_end(recording: Store) -> None:
    for number in range(5):
        recording.create_experiment(f"e{number}")
    client, names, token = MlflowClient(), [], None
    for _ in range(3):
        page = client.search_experiments(max_results=2, order_by=["name"], page_token=token)
        names += _names(page)
        token = page.token
    assert names == ["Default", "e0", "e1", "e2", "e3", "e4"]
    assert token is None
    assert client.search_experiments(max_results=0) == []


@pytest.mark.parametrize(
    "arguments",
    [{"page_token": "x"}, {"page_token": 5}, {"max_results": -1}, {"order_by": "name"}],
    ids=str,
)
def test_bad_argument_of_a_search_is_refused(recording: Store, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        recording.search_experiments(**arguments)
    with pytest.raises(FilterSyntaxError):
        recording.search_experiments(order_by=["nonsense"])
