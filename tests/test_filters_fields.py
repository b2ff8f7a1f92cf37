"""The table of fields says the truth: what it lists works, what it doesn't list is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from tests import filter_store
from tests.test_search_pages import STORED
from tracestore import filters, search
from tracestore.errors import FilterSyntaxError
from tracestore.filters import ast, fields
from tracestore.search import Query

ALL_OPERATORS = (
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "IN",
    "BETWEEN",
    "IS NULL",
)
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in filters.reference_table().splitlines()[2:]
]
TAKEN = dict(
    [cell.strip(" `") for cell in line.strip("|").split(" | ")]
    for line in fields.operator_table().splitlines()[2:]
)
OPERATORS = {
    name.strip("`").replace(".K", ".k").replace(".N", ".k"): TAKEN[kind]
    .replace("IS NULL", "IS_NULL")
    .split()
    for names, kind, *_ in ROWS[:-1]
    for name in names.split(", ")
}
TYPES = {name.strip("`"): kind for names, kind, *_ in ROWS[:-1] for name in names.split(", ")}


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    filter_store.insert(made, STORED[:40])
    yield made
    made.close()


def written(name: str, operator: str) -> str:
    value = (
        "'n/1'"
        if name == "prompt"
        else "5"
        if operator not in {"LIKE", "ILIKE", "RLIKE"}
        else "'a%'"
    )
    if operator == "IN":
        return f"{name} IN ({value})"
    if operator == "BETWEEN":
        return f"{name} BETWEEN {value} AND {value}"
    return f"{name} {operator}" if operator == "IS NULL" else f"{name} {operator} {value}"


@pytest.mark.parametrize("name", OPERATORS)
def test_field_takes_exactly_its_operators(connection: sqlite3.Connection, name: str) -> None:
    for operator in ALL_OPERATORS:
        source = written(name, operator)
        if operator.replace(" ", "_") in OPERATORS[name]:
            search.search_ids(connection, Query(source), 5)
            search.count(connection, Query(f"NOT ({source})"))
        else:
            with pytest.raises(FilterSyntaxError, match="takes"):
                search.search_ids(connection, Query(source), 5)


@pytest.mark.parametrize("names", [row[0] for row in ROWS[:-1] if "," in row[0]])
def test_aliases_mean_the_same(connection: sqlite3.Connection, names: str) -> None:
    first, *others = [name.strip("`").replace(".K", ".k") for name in names.split(", ")]
    value = (
        "'OK'"
        if first == "status"
        else "'a'"
        if TYPES[names.split(", ", maxsplit=1)[0].strip("`")] == "string"
        else "1000"
    )
    expected = search.search_ids(connection, Query(f"{first} >= {value}"), None)

    for other in others:
        assert search.search_ids(connection, Query(f"{other} >= {value}"), None) == expected


@pytest.mark.parametrize("prefix", ["trace", "attribute", "attributes"])
def test_trace_prefix_means_the_bare_field(prefix: str) -> None:
    for name in ("status", "name", "timestamp_ms", "tokens.total"):
        assert str(fields.canonical(reference(f"{prefix}.{name}"))) == str(
            fields.canonical(reference(name))
        )


def reference(name: str) -> ast.Reference:
    entity, _, key = name.partition(".")
    return ast.Reference(entity, key) if key else ast.Reference(None, name)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("tags.mlflow.traceName", "name"),
        ("tags.name", "tags.name"),
        ("tags.timestamp", "tags.timestamp"),
        ("tag.text", "tags.text"),
        ("request_metadata.k", "metadata.k"),
        ("tags.mlflow.trace.session", "metadata.mlflow.trace.session"),
        ("span.attributes.mlflow.spanType", "span.type"),
        ("state", "status"),
    ],
)
def test_reference_has_one_canonical_form(name: str, canonical: str) -> None:
    assert str(fields.canonical(reference(name))) == canonical


@pytest.mark.parametrize(
    "name", ["spans.name", "assessments.k", "issue.id", "params.a", "attr.name", "Status", "TAGS.k"]
)
def test_unknown_fields_are_refused(name: str) -> None:
    with pytest.raises(fields.UnknownFieldError):
        fields.find(reference(name))


def test_table_lists_every_field_once() -> None:
    names = [name for row in ROWS for name in row[0].split(", ")]

    assert len(names) == len(set(names)) > 40
    assert filters.reference_table().startswith("| field | type | notes |\n|---|")


@pytest.mark.parametrize(
    "source",
    [
        "timestamp_ms >= 1000 AND timestamp_ms < '2000'",
        "execution_time > 5.5",
        "status IN ('OK', 'ERROR',)",
        "attributes.status = 'OK'",
        'trace.status = "OK"',
        "name != 'x'",
        "run_id = 'abc'",
        "tags.`my.key` = 'v'",
        "tags.'my key' LIKE '%x'",
        "metadata.`mlflow.trace.session` = 's'",
        "span.name IN ('a', 'b') AND span.type = 'LLM'",
        "span.attributes.model ILIKE '%GPT%'",
        "span.content LIKE '%x%'",
        "trace.text LIKE '%x%'",
        "text LIKE '%x%'",
        "feedback.quality = 'good' AND feedback.score > 0.5",
        "expectation.answer IS NOT NULL",
        "prompt = 'qa/4'",
        "request_id != 'tr-1'",
        "end_time_ms > 1e3",
    ],
)
def test_filters_of_mlflow_are_understood(connection: sqlite3.Connection, source: str) -> None:
    search.search_ids(connection, Query(source), 5)
