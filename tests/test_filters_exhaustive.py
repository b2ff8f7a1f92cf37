"""Every kind of field with every operator and every odd value, against the oracle, on traces that hold those values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests import filter_oracle, filter_store
from tests.filter_store import Span, Trace
from tests.filter_strategies import LITERAL_NUMBERS, NUMBERS, PATTERNS, REGEXES, START_MS, TEXTS
from tests.test_search_pages import trace
from tracestore import search
from tracestore.filters import ast, parser
from tracestore.search import Query

VALUES: list[Any] = [
    *TEXTS,
    *NUMBERS,
    *(
        True,
        False,
        None,
        [1, "a"],
        {"a": {"b": 1}},
        {"a.b": 2, "a": {"b": 1}},
        {"a": {"b": {"c": "x"}}},
    ),
    *({"a.b": {"c": True}}, {"a": None}, {}, [], "[a]", "abc", "a[b", "x*y", "x?y"),
]
COMPARATORS = ("=", "!=", "<", "<=", ">", ">=")
TIMES_MS = (0, 1, 2, 999, 1000, 1500, 2**62)


def holding(number: int, value: Any) -> Trace:
    """Return a trace that holds the value wherever it can."""
    text = value if isinstance(value, str) else None
    attributes = {"k": value, **(value if isinstance(value, dict) else {})}
    only: Span = {
        "span_id": f"{0:016x}",
        "parent_id": None,
        "name": text or "n",
        "type": text,
        "status": "OK",
        "start_time_ns": 10**18,
        "end_time_ns": 10**18 + 1,
        "error": None,
        "model": None,
        "attributes": attributes,
        "events": [],
        "inputs": None,
        "outputs": None,
    }
    only["inputs"], only["error"], only["model"] = value, text, text
    only["start_time_ns"], only["end_time_ns"] = (
        10**15,
        10**15 + TIMES_MS[number % 6] * 10**6 + number % 3,
    )
    return trace(
        number,
        id=(START_MS + number % 7 << 20) + number,
        name=text,
        client_request_id=text,
        duration_ms=TIMES_MS[number % 7],
        input_tokens=number % 4,
        total_cost=(0.5, 1.0, None)[number % 3],
        tags={} if text is None else {"k": text},
        metadata={} if text is None else {"k": text, "mlflow.trace.user": text},
        spans=[only],
        assessments=[{"name": "k", "kind": "feedback", "value": value, "valid": number % 9 != 0}],
    )


STORED = [holding(number, value) for number, value in enumerate(VALUES)]
TEXT_LITERALS = [ast.Text(value) for value in (*TEXTS, "[a]", "abc", "2")]
NUMBER_LITERALS = [ast.Number(value) for value in LITERAL_NUMBERS]
JSON_LITERALS = [
    *TEXT_LITERALS,
    *NUMBER_LITERALS,
    ast.Truth(value=True),
    ast.Truth(value=False),
    ast.Text('[1, "a"]'),
]
LENGTHS = [
    *(
        ast.Number(value)
        for value in (-1, 0, 0.5, 1, 1.5, 2, 999, 999.999999, 1000, 2**62, 10**30, -(10**390))
    ),
    *(ast.Duration(value, unit) for value in (0, 0.1, 1, 1.5, -1) for unit in ast.UNITS_NS),
    ast.Duration(1_000_001, "ns"),
    ast.Duration(999_000_000, "ns"),
    ast.Text("1000"),
]
INSTANTS = [
    *(ast.Number(START_MS + value) for value in (-1, 0, 0.5, 1, 3, 6, 7, 1000)),
    *(ast.Number(value) for value in (0, -1, 1e300, -(10**390), 10**9, 10**9 + 0.000001)),
    ast.Text("2026-05-28T20:26:40.003Z"),
    ast.Text("2026-05-28 22:26:40.0035+02:00"),
    ast.Text("0001-01-01"),
    ast.Text("1970-01-12T13:46:40"),
]
FIELDS: dict[str, tuple[list[Any], bool]] = {
    **dict.fromkeys(["name", "client_request_id", "user", "tags.k", "metadata.k"], ([*TEXT_LITERALS, *NUMBER_LITERALS], True)),
    **dict.fromkeys(["span.type", "span.model", "error", "request"], ([*TEXT_LITERALS, *NUMBER_LITERALS], True)),
    **dict.fromkeys(["span.attributes.k", "span.attributes.a.b", "span.attributes.a.b.c", "span.attributes.k.a.b"], (JSON_LITERALS, True)),
    **dict.fromkeys(["feedback.k", "feedback.k.a.b", "assessment.k.a.b.c", "span.attributes.mlflow.spanInputs"], (JSON_LITERALS, True)),
    **dict.fromkeys(["execution_time_ms", "span.duration"], (LENGTHS, False)),
    **dict.fromkeys(["timestamp_ms", "end_time_ms", "span.start_time", "span.end_time"], (INSTANTS, False)),
    **dict.fromkeys(["tokens.input", "cost.total", "span_count"], (NUMBER_LITERALS, False)),
}  # fmt: skip


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    filter_store.insert(made, STORED)
    yield made
    made.close()


def leaves(name: str) -> Iterator[ast.Leaf]:
    """Yield every test of one field."""
    entity, _, key = name.partition(".")
    field = ast.Reference(entity, key) if key else ast.Reference(None, name)
    literals, has_patterns = FIELDS[name]
    for literal in literals:
        yield from (ast.Comparison(field, operator, literal) for operator in COMPARATORS)
    for negated in (False, True):
        yield ast.NullTest(field, negated)
        for first, second in pairwise(literals):
            yield ast.Membership(field, (first, second), negated)
            yield ast.Between(field, first, second, negated)
        yield ast.Membership(field, tuple(literals), negated)
        for pattern in PATTERNS if has_patterns else ():
            yield ast.Match(field, "LIKE", ast.Text(pattern), negated)
            yield ast.Match(field, "ILIKE", ast.Text(pattern), negated)
        for pattern in REGEXES if has_patterns else ():
            yield ast.Match(field, "RLIKE", ast.Text(pattern), negated)


@pytest.mark.parametrize("name", FIELDS)
def test_every_test_of_a_field_finds_what_it_should(
    connection: sqlite3.Connection, name: str
) -> None:
    for number, leaf in enumerate(leaves(name)):
        assert parser.parse(str(leaf)) == leaf
        expected = [row["id"] for row in STORED if filter_oracle.holds(leaf, row)]
        limit = None if number % 2 else 10_000  # planned for all, and for the first
        ids, _ = search.search_ids(connection, Query(str(leaf)), limit)
        assert sorted(ids) == sorted(expected), str(leaf)
