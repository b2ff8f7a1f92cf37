"""Order, limits, pages and counts: the whole is the sum of its pages, whatever arrives in between."""

from __future__ import annotations

import base64
import random
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import filter_oracle, filter_store
from tests.filter_store import Assessment, Trace
from tests.filter_strategies import START_MS, trace_level
from tracestore import filters, search
from tracestore.errors import FilterSyntaxError, InvalidArgumentError
from tracestore.filters import ast, indexes
from tracestore.search import Query, search_ids

EXAMPLES = 120
TRACES = 300
relaxed = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None, max_examples=EXAMPLES
)

ORDERS = (
    *(
        "timestamp_ms",
        "name",
        "status",
        "execution_time_ms",
        "trace_id",
        "experiment_id",
        "client_request_id",
    ),
    *(
        "end_time",
        "span_count",
        "tokens.input",
        "cost.total",
        "session",
        "tags.k",
        "metadata.k",
        "tags.nobody",
    ),
    *("feedback.k", "metadata.mlflow.user"),
)
SAMPLES = (
    "",
    "tags.k = 'a'",
    "tags.k IN ('a', 'b')",
    "status = 'OK'",
    "NOT name = 'a'",
    "span.name = 'root'",
    "duration > 500",
)


def trace(number: int, **given: Any) -> Trace:
    made: Trace = {
        "id": (START_MS + number << 20) + number,
        "experiment": 0,
        "resource": {},
        "name": None,
        "status": "OK",
        "duration_ms": None,
        "client_request_id": None,
        "input_tokens": None,
        "total_cost": None,
        "request_preview": None,
        "tags": {},
        "metadata": {},
        "spans": [],
        "assessments": [],
    }
    return {**made, **given}  # type: ignore[typeddict-item]  # the tests give what the type has


def random_trace(number: int, dice: random.Random) -> Trace:
    value: Assessment = {
        "name": "k",
        "kind": "feedback",
        "value": dice.choice([1, 0.5, "a", True]),
        "valid": True,
    }
    return trace(
        number,
        id=(START_MS + number // 4 << 20) + number,
        experiment=dice.choice([0, 1, 2]),
        resource=dice.choice([{}, {"mlflow.user": "a"}, {"mlflow.user": "b"}]),
        name=dice.choice([None, "a", "b", "É"]),
        status=dice.choice(["OK", "ERROR"]),
        duration_ms=dice.choice([None, 1, 1000, dice.randrange(2000)]),
        client_request_id=dice.choice([None, f"c{number}"]),
        input_tokens=dice.choice([None, 1, 2]),
        total_cost=dice.choice([None, 0.5, 1.0]),
        tags={"k": dice.choice("ab")} if dice.random() < 0.7 else {},
        metadata={"mlflow.trace.session": dice.choice("ab"), "k": dice.choice("ab")},
        spans=[random_span(index, dice) for index in range(dice.randrange(3))],
        assessments=[value] if dice.random() < 0.5 else [],
    )


def random_span(index: int, dice: random.Random) -> filter_store.Span:
    return {
        "span_id": f"{index:016x}",
        "parent_id": None if index == 0 else f"{0:016x}",
        "name": dice.choice(["root", "a"]),
        "type": dice.choice([None, "LLM"]),
        "status": dice.choice(["OK", "ERROR"]),
        "start_time_ns": START_MS * 10**6,
        "end_time_ns": START_MS * 10**6 + dice.randrange(10**9),
        "error": dice.choice([None, "a"]),
        "model": dice.choice([None, "a"]),
        "attributes": {"k": dice.choice(["a", 1, True]), "a": {"b": dice.choice("ab")}},
        "events": [],
        "inputs": {"a": "b"},
        "outputs": "a",
    }


STORED = [random_trace(number, random.Random(number)) for number in range(TRACES)]


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    filter_store.insert(made, STORED)
    yield made
    made.close()


@pytest.fixture(
    params=[(500, 10_000, 32, 16), (2, 3, 32, 16), (2, 3, 1, 1)],
    ids=["probed to the end", "probed a little", "many values"],
)
def probes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search as in a small file, as in one where everything is common, and as in one where all values differ."""
    ordered, sorted_rows, values, one_by_one = request.param
    monkeypatch.setattr("tracestore.search.probes.PROBE_ROWS", ordered)
    monkeypatch.setattr("tracestore.search.probes.LEAST_PROBE_ROWS", 1)
    monkeypatch.setattr("tracestore.search.probes.SORTED_ROWS", sorted_rows)
    monkeypatch.setattr(indexes, "MAX_VALUES", values)
    monkeypatch.setattr("tracestore.search.walks.VALUES_ONE_BY_ONE", one_by_one)


def pages(connection: sqlite3.Connection, query: Query, size: int) -> list[list[int]]:
    found = []
    token = None
    while True:
        ids, token = search_ids(connection, query, size, token)
        found.append(ids)
        if token is None:
            return found


def in_order(traces: list[Trace], items: list[tuple[str, bool, bool]]) -> list[int]:
    """Sort as the specification says, the slow and obvious way: by the last key first."""
    by_time_up = items[-1][0] == "timestamp_ms" and not items[-1][1]
    rows = sorted(traces, key=lambda trace: trace["id"], reverse=not by_time_up)
    for name, descending, nulls_first in reversed(items):
        keyed = [(sort_value(name, row), row) for row in rows]
        present = [pair for pair in keyed if pair[0] is not None]
        present.sort(key=lambda pair: pair[0], reverse=descending)
        absent = [pair for pair in keyed if pair[0] is None]
        rows = [row for _, row in (absent + present if nulls_first else present + absent)]
    return [row["id"] for row in rows]


def sort_value(name: str, row: Trace) -> Any:
    found = filter_oracle.sort_values(name, row)
    if not found:
        return None
    value = found[-1]
    if isinstance(value, filter_oracle.Loose):
        if isinstance(value.value, (list, dict, type(None))):  # no scalar: nothing to sort by
            return None
        value = str(value.value).lower() if isinstance(value.value, bool) else value.value
        return (1, value) if isinstance(value, str) else (0, value)
    return int(value) if name == "experiment_id" else value


order_items = st.lists(
    st.tuples(st.sampled_from(ORDERS), st.booleans(), st.booleans()),
    min_size=1,
    max_size=3,
    unique_by=lambda item: item[0],
)


def write_order(items: list[tuple[str, bool, bool]]) -> list[str]:
    return [
        f"{name} {'DESC' if descending else 'asc'} NULLS {'FIRST' if nulls_first else 'LAST'}"
        for name, descending, nulls_first in items
    ]


@pytest.mark.usefixtures("probes")
@relaxed
@given(items=order_items, source=st.sampled_from(SAMPLES), size=st.sampled_from([7, 50, 1000]))
def test_pages_put_together_are_the_whole_in_order(
    connection: sqlite3.Connection, items: list[tuple[str, bool, bool]], source: str, size: int
) -> None:
    query = Query(source, write_order(items))
    node = filters.parse(source)
    expected = in_order([row for row in STORED if filter_oracle.holds(node, row)], items)

    whole, token = search_ids(connection, query, None)
    parts = pages(connection, query, size)

    assert token is None
    assert whole == expected
    assert [number for part in parts for number in part] == expected
    assert all(len(part) == size for part in parts[:-1])


@pytest.mark.usefixtures("probes")
@relaxed
@given(node=trace_level)
def test_first_page_is_the_beginning_of_all(connection: sqlite3.Connection, node: ast.Node) -> None:
    query = Query(str(node))

    whole, _ = search_ids(connection, query, None)
    first, token = search_ids(connection, query, 5)
    upwards, _ = search_ids(connection, Query(str(node), "timestamp"), None)

    assert first == whole[:5]
    assert (token is not None) is (len(whole) > 5)
    assert upwards == whole[::-1]
    assert search.count(connection, query) == len(whole)


@relaxed
@given(left=trace_level, right=trace_level)
def test_filters_keep_the_laws_of_logic(
    connection: sqlite3.Connection, left: ast.Node, right: ast.Node
) -> None:
    def found(source: str) -> set[int]:
        return set(search_ids(connection, Query(source), None)[0])

    a, b = found(str(left)), found(str(right))
    every = found("")

    assert found(f"({left}) AND ({right})") == a & b
    assert found(f"({left}) OR ({right})") == a | b
    assert found(f"NOT ({left})") == every - a
    assert found(f"NOT NOT ({left})") == a
    assert found(f"NOT (({left}) AND ({right}))") == found(f"NOT ({left}) OR NOT ({right})")


def test_span_comparisons_joined_by_and_are_of_one_span(connection: sqlite3.Connection) -> None:
    def found(source: str) -> set[int]:
        return set(search_ids(connection, Query(source), None)[0])

    one = found("span.name = 'a' AND span.status = 'ERROR'")

    assert one == found("any_span(name = 'a' AND status = 'ERROR')")
    assert one == found(
        "status != '' AND span.name = 'a' AND name IS NULL AND span.status = 'ERROR' OR any_span(name = 'a' AND status = 'ERROR')"
    )
    assert one < found("any_span(name = 'a') AND any_span(status = 'ERROR')")


def test_tokens_survive_what_arrives_between_pages() -> None:
    connection = filter_store.open_memory()
    filter_store.insert(connection, [trace(number, name="a") for number in range(10, 30)])
    query = Query("name = 'a'")

    first, token = search_ids(connection, query, 8)
    filter_store.insert(connection, [trace(number, name="a") for number in (5, 40)])
    second, token = search_ids(connection, query, 8, token)
    third, token = search_ids(connection, query, 8, token)

    assert [number >> 20 for number in first + second + third] == [
        START_MS + number for number in [*range(29, 9, -1), 5]
    ]
    assert token is None
    connection.close()


def test_last_full_page_has_no_token(connection: sqlite3.Connection) -> None:
    ids, token = search_ids(connection, Query(), TRACES)

    assert len(ids) == TRACES
    assert token is None


@pytest.mark.parametrize("limit", [0, -1, -(10**30)])
def test_no_limit_below_one_finds_anything(connection: sqlite3.Connection, limit: int) -> None:
    assert search_ids(connection, Query(), limit) == ([], None)


@pytest.mark.parametrize("limit", [2**63, 10**30])
def test_huge_limit_finds_everything(connection: sqlite3.Connection, limit: int) -> None:
    assert len(search_ids(connection, Query(), limit)[0]) == TRACES


def test_filter_with_an_error_fails_though_nothing_is_wanted(
    connection: sqlite3.Connection,
) -> None:
    with pytest.raises(FilterSyntaxError):
        search_ids(connection, Query("nme = 'a'"), 0)
    with pytest.raises(FilterSyntaxError):
        search.count(connection, Query("nme = 'a'", experiments=()))


@pytest.mark.parametrize(
    "other",
    [
        Query("name = 'b'"),
        Query("name = 'a'", "name"),
        Query("name = 'a'", experiments=(0,)),
        Query("name = 'a'", also=(filters.equals("tags", "k", "a"),)),
    ],
)
def test_token_of_another_search_is_refused(connection: sqlite3.Connection, other: Query) -> None:
    _, token = search_ids(connection, Query("name = 'a'"), 1)

    assert search_ids(connection, Query("name  =  'a'"), 1, token)[0]
    with pytest.raises(InvalidArgumentError, match="page_token"):
        search_ids(connection, other, 1, token)


def tampered_tokens(token: str) -> list[str]:
    text = base64.urlsafe_b64decode(token).decode()
    forged = [text[:16] + "[0]", "0" * 16 + text[16:], text + " ", text[:16]]
    return [
        *(base64.urlsafe_b64encode(piece.encode()).decode() for piece in forged),
        "",
        "x",
        "é",
        "====",
        token[:-4],
    ]


def test_forged_tokens_are_refused(connection: sqlite3.Connection) -> None:
    _, token = search_ids(connection, Query(), 1)
    assert token is not None

    for forged in tampered_tokens(token):
        with pytest.raises(InvalidArgumentError, match="page_token"):
            search_ids(connection, Query(), 1, forged)


@pytest.mark.parametrize(
    "experiments", [(0,), (0, 1), (0, 1, 2), (2, 2), (7,), (), (-1,), (10**30,)]
)
def test_experiments_limit_the_search(
    connection: sqlite3.Connection, experiments: tuple[int, ...]
) -> None:
    expected = [row["id"] for row in reversed(STORED) if row["experiment"] in experiments]

    assert search_ids(connection, Query(experiments=experiments), None)[0] == expected
    assert search.count(connection, Query(experiments=experiments)) == len(expected)


def test_conditions_of_code_hold_too(connection: sqlite3.Connection) -> None:
    also = (filters.equals("metadata", "k", "a"), filters.equals(None, "status", "OK"))

    found = search_ids(connection, Query("tags.k = 'a'", also=also), None)[0]

    assert (
        found
        == search_ids(
            connection, Query("metadata.k = 'a' AND status = 'OK' AND tags.k = 'a'"), None
        )[0]
    )
    assert found


def test_condition_of_code_with_half_a_character_finds_nothing(
    connection: sqlite3.Connection,
) -> None:
    assert search.count(connection, Query(also=(filters.equals("tags", "k", "\ud800"),))) == 0


@pytest.mark.parametrize(
    "order_by", [["name", "name DESC"], ["timestamp", "timestamp_ms"], ["tags.k", "tag.k"], [3]]
)
def test_orders_that_say_nothing_are_refused(connection: sqlite3.Connection, order_by: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="order_by"):
        search_ids(connection, Query(order_by=order_by), 1)


def test_one_text_is_one_item_of_order(connection: sqlite3.Connection) -> None:
    assert search_ids(connection, Query(order_by="name DESC"), 9) == search_ids(
        connection, Query(order_by=["name DESC"]), 9
    )


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("source", ["timestamp_ms IN (1.5)", "name LIKE '\0' OR tags.k LIKE '\0%'"])
def test_what_no_trace_can_meet_finds_none_in_any_order(
    connection: sqlite3.Connection, name: str, source: str
) -> None:
    assert search_ids(connection, Query(source, name), 5) == ([], None)


def test_empty_store_has_nothing() -> None:
    connection = filter_store.open_memory()

    assert search_ids(connection, Query("tags.a = 'b' OR name = 'c'"), 10) == ([], None)
    assert search_ids(connection, Query(None, "name"), 10) == ([], None)
    assert search.count(connection, Query(experiments=(0,))) == 0
    connection.close()
