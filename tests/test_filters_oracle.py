"""SQL against a second reading: generated filters find what a plain Python evaluator says they should."""

from __future__ import annotations

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


def found_by_sql(connection: sqlite3.Connection, node: ast.Node) -> set[int]:
    ids, token = search.search_ids(connection, search.Query(str(node)), None)
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
    finally:
        connection.execute("ROLLBACK")


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


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(relaxed, max_examples=EXAMPLES_SLOW)
@given(stores, several_filters)
def test_sql_finds_what_the_oracle_says_at_length(
    connection: sqlite3.Connection, stored: list[Trace], nodes: list[ast.Node]
) -> None:
    check(connection, stored, nodes)
