"""SQL against a second reading: generated filters find what a plain Python evaluator says they should."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import filter_oracle, filter_store
from tests.filter_store import Trace
from tests.filter_strategies import (
    filters,
    number_ids,
    quantified,
    span_leaves,
    trace_leaves,
    traces,
)
from tracestore import search
from tracestore.filters import ast, parser
from tracestore.search import probes

EXAMPLES = 250
EXAMPLES_SLOW = 5_000
FILTERS_AN_EXAMPLE = 6

relaxed = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None, max_examples=EXAMPLES
)


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    yield made
    made.close()


@contextlib.contextmanager
def planned_as_in_a_large_file() -> Iterator[None]:
    """Let no probe come to an end: what is rare looks common, as it does among a million traces."""
    with pytest.MonkeyPatch.context() as patch:
        for constant in ("PROBE_ROWS", "LEAST_PROBE_ROWS", "SORTED_ROWS", "FOUND_ROWS"):
            patch.setattr(probes, constant, 1)
        yield


def found_by_sql(
    connection: sqlite3.Connection, node: ast.Node, limit: int | None = None
) -> set[int]:
    ids, token = search.search_ids(connection, search.Query(str(node)), limit)
    assert token is None
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids, reverse=True)
    return set(ids)


def check(connection: sqlite3.Connection, stored: list[Trace], nodes: list[ast.Node]) -> None:
    connection.execute("BEGIN")
    try:
        filter_store.insert(connection, stored)
        for node in nodes:
            assert parser.parse(str(node)) == node
            expected = {trace["id"] for trace in stored if filter_oracle.holds(node, trace)}
            assert found_by_sql(connection, node) == expected, str(node)
            assert search.count(connection, search.Query(str(node))) == len(expected), str(node)
            with planned_as_in_a_large_file():
                assert found_by_sql(connection, node, limit=100) == expected, str(node)
                assert search.count(connection, search.Query(str(node))) == len(expected), str(node)
    finally:
        connection.execute("ROLLBACK")


def said_of(trace: Trace) -> list[ast.Node]:
    """Return conditions that indexes know and the trace meets, on itself and on its spans."""
    values: dict[str, str | None] = {f"tags.{key}": value for key, value in trace["tags"].items()}
    values |= {f"metadata.{key}": value for key, value in trace["metadata"].items()}
    values |= {key: trace[key] for key in ("name", "status", "client_request_id")}
    said = [said_as(name, value) for name, value in values.items()]
    for span in trace["spans"]:
        of_span: dict[str, str | None] = {
            key: span[key] for key in ("name", "type", "status", "model", "error")
        }
        said += [said_as(f"span.{name}", value) for name, value in of_span.items()]
    return said


def said_as(name: str, value: str | None) -> ast.Node:
    entity, _, key = name.partition(".")
    field = ast.Reference(entity, key) if key else ast.Reference(None, entity)
    return (
        ast.NullTest(field) if value is None else ast.Comparison(field, "=", ast.Text(str(value)))
    )


stores = st.lists(traces, min_size=1, max_size=4).map(number_ids)
several_filters = st.lists(
    st.one_of(filters, trace_leaves, span_leaves, quantified),
    min_size=FILTERS_AN_EXAMPLE,
    max_size=FILTERS_AN_EXAMPLE,
)


@relaxed
@given(stores, several_filters)
def test_sql_finds_what_the_oracle_says(
    connection: sqlite3.Connection, stored: list[Trace], nodes: list[ast.Node]
) -> None:
    check(connection, stored, nodes)


@settings(relaxed, max_examples=EXAMPLES // 2)
@given(stores, st.data())
def test_conjunctions_of_what_is_there_find_what_the_oracle_says(
    connection: sqlite3.Connection, stored: list[Trace], data: st.DataObject
) -> None:
    said = st.sampled_from([leaf for trace in stored for leaf in said_of(trace)])
    both = st.lists(said, min_size=2, max_size=4).map(
        lambda leaves: ast.conjunction(leaves) or ast.And(())
    )
    nodes = data.draw(st.lists(both, min_size=3, max_size=3))
    check(connection, stored, [*nodes, ast.disjunction(nodes[:2]) or nodes[0]])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(relaxed, max_examples=EXAMPLES_SLOW)
@given(stores, several_filters)
def test_sql_finds_what_the_oracle_says_at_length(
    connection: sqlite3.Connection, stored: list[Trace], nodes: list[ast.Node]
) -> None:
    check(connection, stored, nodes)
