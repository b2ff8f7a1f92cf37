"""MLflow's own answers, recorded, against ours: the same, but for a short list of differences that are meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests import filter_store
from tests.filter_mlflow import read_page
from tests.filter_store import Assessment, Span, Trace
from tests.test_search_pages import trace
from tracestore import search
from tracestore.errors import FilterSyntaxError
from tracestore.search import Query

PAGE = read_page()
ANSWERS = {source: found for source, found in PAGE["answers"].items() if found is not None}


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    filter_store.insert(
        made, [stored(number, given) for number, given in enumerate(PAGE["traces"])]
    )
    yield made
    made.close()


def stored(number: int, given: dict[str, Any]) -> Trace:
    root = {"name": given["name"], "type": "UNKNOWN", "status": given["status"], "attributes": {}}
    spans = [span(index, each) for index, each in enumerate([root, *given["spans"]])]
    spans[0]["inputs"], spans[0]["outputs"] = given["inputs"], given["outputs"]
    assessments: list[Assessment] = [
        {"name": each["name"], "kind": kind, "value": each["value"], "valid": True}
        for kind in ("feedback", "expectation")
        for each in given[kind]
    ]
    return trace(
        number,
        name=given["name"],
        status=given["status"],
        duration_ms=1,
        client_request_id=given["crid"],
        tags=given["tags"],
        metadata=given["metadata"],
        spans=spans,
        assessments=assessments,
    )


def span(index: int, given: dict[str, Any]) -> Span:
    return {
        "span_id": f"{index:016x}",
        "parent_id": f"{0:016x}" if index else None,
        "name": given["name"],
        "type": given["type"],
        "status": given["status"],
        "start_time_ns": 10**18,
        "end_time_ns": 10**18 + 1,
        "error": None,
        "model": None,
        "attributes": given["attributes"],
        "events": [],
        "inputs": None,
        "outputs": None,
    }


def answer(connection: sqlite3.Connection, source: str) -> list[int]:
    ids, _ = search.search_ids(connection, Query(source, "timestamp"), None)
    return [number & 0xFFFFF for number in ids]


def is_meant_to_differ(source: str) -> bool:
    """A doubled quote stands for one here; ILIKE folds all of Unicode here; a bad pattern is an error here."""
    return (
        "''%" in source
        or ("ILIKE" in source and not source.isascii())
        or source.endswith("RLIKE '('")
    )


def test_answers_are_those_of_mlflow(connection: sqlite3.Connection) -> None:
    expected = {
        source: found for source, found in ANSWERS.items() if not is_meant_to_differ(source)
    }

    assert len(expected) > 600
    assert {source: answer(connection, source) for source in expected} == expected


def test_doubled_quote_is_a_quote(connection: sqlite3.Connection) -> None:
    source = "tags.env LIKE '%''%'"

    assert ANSWERS[source] == []
    assert answer(connection, source) == answer(connection, 'tags.env = "it\'s"') != []


def test_ilike_folds_beyond_ascii(connection: sqlite3.Connection) -> None:
    assert ANSWERS["name ILIKE 'é'"] == []
    assert answer(connection, "name ILIKE 'é'") == answer(connection, "name = 'É'") != []


def test_bad_pattern_is_an_error_not_nothing(connection: sqlite3.Connection) -> None:
    assert ANSWERS["name RLIKE '('"] == []
    with pytest.raises(FilterSyntaxError):
        answer(connection, "name RLIKE '('")
