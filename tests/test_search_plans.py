"""Which index drives: asserted on SQLite's own plan, with rows enough that the wrong one would be chosen."""

from __future__ import annotations

import pathlib
import random
import re
import sqlite3
from collections.abc import Iterator

import pytest

from tests import filter_store
from tests.test_search_pages import STORED, random_span, trace
from tracestore import filters, search
from tracestore.search import Query
from tracestore.store import Store


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    filter_store.insert(made, STORED)
    filter_store.insert(
        made,
        [
            trace(number, name="common", status="OK", tags={"k": "a", "env": "prod"})
            for number in range(1000, 2500)
        ],
    )
    filter_store.insert(
        made, [trace(3000, tags={"k": "rare", "env": "prod"}, metadata={"k": "rare"})]
    )
    yield made
    made.close()


def first_step(connection: sqlite3.Connection, query: Query) -> str:
    """Return the first step of SQLite's plan that reads a table."""
    explained = search.explain(connection, query)
    steps = re.findall(r"(?:SEARCH|SCAN) .*", explained.partition("SQLite's plan:")[2])
    return str(steps[0])


@pytest.mark.parametrize(
    ("source", "index"),
    [
        ("tags.k = 'a'", "tags_value (key=? AND value=? AND"),
        ("tags.k = 'nowhere'", "tags_value (key=? AND value=? AND"),
        ("tags.k LIKE 'a'", "tags_value (key=? AND value=? AND"),
        ("tags.k LIKE 'rar%'", "tags_value (key=? AND value=? AND"),
        ("tags.k > 'q'", "tags_value (key=? AND value=? AND"),
        ("tags.k RLIKE '^r'", "tags_value (key=? AND value=? AND"),
        ("tags.k NOT IN ('a')", "tags_value (key=? AND value=? AND"),
        ("tags.k IS NOT NULL", "tags_value (key=? AND value=? AND"),
        ("name ILIKE '%OMM%'", "traces_name (name=? AND"),
        ("name IS NULL", "traces_name (name=? AND"),
        ("NOT name = 'a'", "traces_name (name=? AND"),
        ("NOT (status = 'OK' OR name = 'common')", "traces_status (status=? AND"),
        ("NOT all_spans(status = 'OK')", "spans_status (status=? AND"),
        ("duration IS NULL", "traces_duration (duration_ms=? AND"),
        ("metadata.k = 'rare'", "metadata_value (key=? AND value=? AND"),
        ("session = 'a'", "metadata_value (key=? AND value=? AND"),
        ("user = 'a'", "metadata_value (key=? AND value=? AND"),
        ("run_id = 'a'", "metadata_value (key=? AND value=? AND"),
        ("tags.mlflow.trace.session = 'a'", "metadata_value (key=? AND value=? AND"),
        ("metadata.mlflow.user = 'a'", "traces_resource (resource=? AND"),
        ("metadata.mlflow.user IS NULL", "traces_resource (resource=? AND"),
        ("metadata.mlflow.user = 'nobody'", "PRIMARY KEY (rowid>? AND rowid<?)"),
        ("trace_id = 'tr-0'", "traces_trace_id (trace_id=? AND"),
        ("name = 'a'", "traces_name (name=? AND"),
        ("name IS NOT NULL AND name = 'a'", "traces_name (name=? AND"),
        ("status = 'ERROR'", "traces_status (status=? AND"),
        ("status != 'OK'", "traces_status (status=? AND"),
        ("client_request_id = 'c7'", "traces_client_request_id (client_request_id=? AND"),
        ("experiment_id = '2'", "traces_experiment (experiment=? AND"),
        ("duration = 1000", "traces_duration (duration_ms=? AND"),
        ("duration > 1.9s", "traces_duration (duration_ms=? AND"),
        ("duration BETWEEN 1 AND 2", "traces_duration (duration_ms=? AND"),
        ("span.name = 'a'", "spans_name (name=? AND"),
        ("span.type = 'LLM'", "spans_type (type=? AND"),
        ("span.status = 'ERROR'", "spans_status (status=? AND"),
        ("span.model = 'a'", "spans_model (model=? AND"),
        ("error LIKE '%a'", "spans_error (trace"),
        ("span.error IS NOT NULL", "spans_error (trace"),
        ("span.attributes.k = 'a'", "PRIMARY KEY (key=? AND value=? AND"),
        ("span.attributes.a.b = 'a'", "PRIMARY KEY (key=? AND value=? AND"),
        ("span.attributes.k = true", "PRIMARY KEY (key=? AND value=? AND"),
        ("span.attributes.k > 0", "PRIMARY KEY (key=? AND value=? AND"),
        ("span.attributes.k LIKE 'a%'", "PRIMARY KEY (key=? AND value=? AND"),
        ("feedback.k = 1", "assessments_scalar (name=? AND scalar=? AND"),
        ("feedback.k = true", "assessments_scalar (name=? AND scalar=? AND"),
        ("feedback.k > 0.7", "assessments_scalar (name=? AND scalar=? AND"),
        ("any_span(name = 'a' AND parent(name = 'root'))", "spans_name (name=? AND"),
        ("any_span(content LIKE '%x%' AND parent(model = 'a'))", "spans_model (model=? AND"),
        ("count_spans(type = 'LLM') > 1", "spans_type (type=? AND"),
        ("tags.k = 'a' AND metadata.k = 'rare'", "metadata_value (key=? AND value=? AND"),
        ("tags.env = 'prod' AND tags.k = 'rare'", "tags_value (key=? AND value=? AND"),
        ("prompt = 'n/1'", "PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_condition_is_driven_by_its_index(
    connection: sqlite3.Connection, source: str, index: str
) -> None:
    assert index in first_step(connection, Query(source))


#: Ways through all traces: their rows, and what their figures are made of, in a twentieth of the pages.
ROWS = "SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
FIGURES = "SEARCH t USING COVERING INDEX traces_figures (id>? AND id<?)"


@pytest.mark.parametrize(
    ("source", "way"),
    [
        ("request_preview = 'a'", ROWS),
        ("request_preview = 'a' OR tokens.total > 5", ROWS),
        ("metadata.mlflow.user = 'a' OR tokens.total > 5", ROWS),
        ("", FIGURES),
        ("timestamp > 5", FIGURES),
        ("NOT tags.k = 'a'", FIGURES),
        ("text LIKE '%a%'", FIGURES),
        ("tokens.total > 5", FIGURES),
        ("end_time < 5 OR duration NOT IN (1, 2)", FIGURES),
        ("span_count > 7", FIGURES),
    ],
)
def test_conditions_without_an_index_walk_back_in_time(
    connection: sqlite3.Connection, source: str, way: str
) -> None:
    query = Query(source)

    assert way in first_step(connection, query)
    assert "TEMP B-TREE" not in search.explain(connection, query)


def test_figures_beside_an_index_come_from_an_index_too(connection: sqlite3.Connection) -> None:
    explained = search.explain(connection, Query("status = 'OK' AND tokens.total > 5"))

    assert "SEARCH t USING COVERING INDEX traces_figures (id=?)" in explained


@pytest.mark.parametrize(
    ("order", "way"),
    [
        ("end_time", FIGURES),
        ("cost.total DESC", FIGURES),
        ("span_count", FIGURES),
        ("request_preview", ROWS),
    ],
)
def test_orders_without_an_index_sort_as_few_pages_as_they_can(
    connection: sqlite3.Connection, order: str, way: str
) -> None:
    assert first_step(connection, Query("", order)) == way


@pytest.mark.parametrize(
    "source",
    [
        "tags.k = 'a' OR name = 'a'",
        "tags.k IN ('a', 'rare')",
        "tags.k = 'a' AND status = 'OK' OR span.name = 'a'",
    ],
)
def test_alternatives_are_merged_without_sorting(
    connection: sqlite3.Connection, source: str
) -> None:
    explained = search.explain(connection, Query(source))

    assert "MERGE (UNION" in explained
    assert "TEMP B-TREE" not in explained


@pytest.mark.parametrize(
    "source", ["span.name = 'a'", "tags.k = 'a' AND status = 'OK'", "span.attributes.k = 'a'"]
)
def test_results_by_time_are_never_sorted(connection: sqlite3.Connection, source: str) -> None:
    assert "TEMP B-TREE" not in search.explain(connection, Query(source))
    assert "TEMP B-TREE" not in search.explain(connection, Query(source, "timestamp ASC"))


def test_the_rarer_of_two_conditions_drives(connection: sqlite3.Connection) -> None:
    for source in (
        "tags.env = 'prod' AND metadata.k = 'rare'",
        "metadata.k = 'rare' AND tags.env = 'prod'",
    ):
        explained = search.explain(connection, Query(source))

        assert "drives   metadata.k = 'rare'  (1 in metadata_value)" in explained
        assert re.search(r"checked  tags.env = 'prod'  \(about [\d,]+ in tags_value\)", explained)


def test_page_is_sought_not_skipped(connection: sqlite3.Connection) -> None:
    query = Query("tags.k = 'a'")
    seen: list[str] = []
    _, token = search.search_ids(connection, query, 5)
    connection.set_trace_callback(seen.append)
    search.search_ids(connection, query, 5, token)
    connection.set_trace_callback(None)

    assert not any("OFFSET" in statement for statement in seen)


@pytest.mark.parametrize(
    ("order", "index"),
    [
        ("duration DESC", "traces_duration"),
        ("duration", "traces_duration"),
        ("name DESC", "traces_name"),
        ("status", "traces_status"),
        ("trace_id", "traces_trace_id"),
        ("experiment_id", "traces_experiment"),
        ("client_request_id", "traces_client_request_id"),
        ("tags.k", "tags_value"),
        ("tags.k DESC", "tags_value"),
        ("session", "metadata_value"),
        ("feedback.k DESC", "assessments_scalar"),
    ],
)
def test_order_walks_its_index(connection: sqlite3.Connection, order: str, index: str) -> None:
    explained = search.explain(connection, Query(None, order))

    assert f"drives   all traces in the order of {index}" in explained
    assert f"INDEX {index}" in first_step(connection, Query(None, order))


@pytest.mark.parametrize("order", ["tags.k", "name", "tags.k DESC"])
def test_first_values_of_an_order_are_not_sorted(
    connection: sqlite3.Connection, order: str
) -> None:
    assert "TEMP B-TREE" not in search.explain(connection, Query(None, order)).split("SELECT")[1]


def test_limits_of_one_value_are_one_range(connection: sqlite3.Connection) -> None:
    explained = search.explain(connection, Query("tags.k > 'b' AND tags.k <= 'rare'"))

    assert "drives   tags.k > 'b' AND tags.k <= 'rare'  (1 in tags_value)" in explained


def test_a_range_that_drives_for_an_and_within_an_or_is_not_all_that_the_and_says(
    connection: sqlite3.Connection,
) -> None:
    limits = "tags.k > 'r' AND tags.k < 's'"
    (rare,) = search.search_ids(connection, Query(limits), 10)[0]
    for other, found in (("tags.env = 'prod'", [rare]), ("name = 'common'", [])):
        source = f"({limits} AND {other}) OR name = 'nowhere'"
        assert search.search_ids(connection, Query(source), 10)[0] == found, source


def test_rare_condition_is_sorted_not_walked(connection: sqlite3.Connection) -> None:
    query = Query("metadata.k = 'rare'", "duration DESC")

    assert "metadata_value" in first_step(connection, query)


@pytest.mark.parametrize(
    ("source", "walks"),
    [
        ("", True),
        ("NOT tags.k = 'rare'", True),
        ("status = 'OK'", True),
        ("status = 'OK' AND tags.k != 'rare'", True),
        ("span_count > 99", False),
        ("status = 'OK' AND span_count > 99", False),
        ("span_count = 0 AND timestamp < 1000", False),
    ],
)
def test_order_is_walked_only_where_enough_match(
    connection: sqlite3.Connection, source: str, walks: bool
) -> None:
    """A walk looks at every trace there is if none matches, and at each in a place of its own."""
    explained = search.explain(connection, Query(source, "duration DESC"))

    assert ("in the order of traces_duration" in explained) is walks


def test_experiments_that_hold_everything_cost_nothing(connection: sqlite3.Connection) -> None:
    assert "experiment" not in search.explain(
        connection, Query("tags.k = 'a'", experiments=(0, 1, 2))
    )
    assert "experiment_id IN ('0', '1')" in search.explain(connection, Query(experiments=(0, 1)))


def test_time_limits_every_index(connection: sqlite3.Connection) -> None:
    explained = search.explain(
        connection, Query("tags.k = 'a' AND timestamp >= 1000 AND timestamp < 2000")
    )

    assert f"ids      {1000 << 20} to {(2000 << 20) - 1}" in explained


def test_contradictory_times_search_nothing(connection: sqlite3.Connection) -> None:
    assert "nothing is searched" in search.explain(
        connection, Query("timestamp > 5 AND timestamp < 5")
    )
    assert search.search_ids(connection, Query("timestamp = 1.5"), 5) == ([], None)


def test_plan_does_not_depend_on_statistics() -> None:
    """The rarest condition drives also where ANALYZE has told SQLite a different story."""
    made = filter_store.open_memory()
    filter_store.insert(
        made, [trace(number, tags={"k": f"v{number}"}, name="n") for number in range(50)]
    )
    made.execute("ANALYZE")
    filter_store.insert(
        made, [trace(number, tags={"k": "v1"}, name=f"n{number}") for number in range(50, 900)]
    )

    assert "traces_name" in first_step(made, Query("tags.k = 'v1' AND name = 'n60'"))
    made.close()


def test_span_search_hands_out_each_trace_once() -> None:
    made = filter_store.open_memory()
    several = [{**random_span(number, random.Random(1)), "name": "same"} for number in range(5)]
    filter_store.insert(made, [trace(number, spans=several) for number in range(20)])

    for source in (
        "span.name = 'same'",
        "span.name = 'same' OR span.type = 'LLM'",
        "span.name LIKE 'sa%'",
    ):
        ids, _ = search.search_ids(made, Query(source), 15)
        assert len(ids) == len(set(ids)) == 15
        assert search.count(made, Query(source)) == 20
    made.close()


def test_explain_shows_statement_values_and_plan(connection: sqlite3.Connection) -> None:
    explained = search.explain(connection, Query("tags.k = 'a' AND request_preview LIKE 'x%'"))

    assert "SELECT t.id FROM" in explained
    assert "values: ['k', 'a'," in explained
    assert "SQLite's plan:" in explained
    assert filters.parse("tags.k = 'a'") is not None


@pytest.mark.parametrize(
    "driver", ["error = ''", "tags.a = ''", "span.name = ''", "status = 'OK'", "feedback.a = 1"]
)
@pytest.mark.parametrize("field", ["trace_id", "status", "experiment_id", "span.name", "timestamp"])
def test_what_is_never_absent_may_be_asked_for_beside_any_index(
    tmp_path: pathlib.Path, driver: str, field: str
) -> None:
    """SQLite takes IS NULL of such a column as false, moves that into the index's SELECT, and found no plan."""
    filter_string = f"{driver} AND {field} IS NULL"
    with Store(tmp_path / "traces.db") as store:
        store.create_experiment("any")
        assert store.count_traces(filter_string) == len(store.search_traces(filter_string)) == 0
        assert store.metrics("count", filter_string).tuples() == [(0,)]


@pytest.mark.parametrize(
    ("source", "indexes"),
    [
        ("name = 'common' AND tags.k = 'a' AND status = 'OK'", 3),
        ("name = 'common' AND status = 'ERROR'", 0),  # one is rare: each of its traces is looked up
        ("tags.k = 'a' AND tags.env = 'prod' AND span_count >= 0", 2),
        ("name = 'common' OR tags.env = 'prod'", 0),
    ],
)
def test_common_conditions_are_read_side_by_side(
    connection: sqlite3.Connection, source: str, indexes: int
) -> None:
    explained = search.explain(connection, Query(source))
    assert explained.count("INTERSECT") - explained.count("MERGE (INTERSECT)") == max(
        indexes - 1, 0
    )
    assert explained.count("drives ") == max(indexes, 1)
    assert "TEMP B-TREE" not in explained or not indexes
    every = Query(source)
    ids, _ = search.search_ids(connection, every, None)
    assert len(ids) == search.count(connection, every) == len(set(ids))
    assert ids == sorted(ids, reverse=True)
    pages = search.search_ids(connection, every, 7)
    assert pages[0] == ids[:7]


def test_two_equalities_of_one_span_read_indexes_and_no_row(
    connection: sqlite3.Connection,
) -> None:
    plan = search.explain(connection, Query("span.name = 'a' AND span.status = 'OK'"))
    steps = re.findall(r"SEARCH (?:s0|s1) USING (.*)", plan)
    assert len(steps) == 2
    assert all(step.startswith("COVERING INDEX spans_") for step in steps)
    assert "rowid=?" in steps[1]
