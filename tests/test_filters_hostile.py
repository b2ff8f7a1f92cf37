"""Filters and files that mean harm: nothing but our own text reaches SQL, nothing hangs, nothing escapes."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import tracestore
from tests import filter_store, fuzz_filters
from tests.filter_strategies import filters as generated_filters
from tests.test_search_pages import trace
from tracestore import filters, search
from tracestore.errors import FilterSyntaxError, QueryTimeoutError, StoreError
from tracestore.filters import ast, functions, patterns, sql
from tracestore.filters.meaning import normalise
from tracestore.filters.parser import MAX_CONDITIONS, MAX_NESTING, parse
from tracestore.search import Query, search_ids
from tracestore.search.order import MAX_ORDER_ITEMS
from tracestore.store import Store

#: A literal that would be seen anywhere.
MARK = "zqx"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = filter_store.open_memory()
    filter_store.insert(made, [trace(1, name="a" * 40 + "!", tags={"k": "v"}, metadata={"k": "v"})])
    yield made
    made.close()


def statements(connection: sqlite3.Connection, query: Query) -> list[str]:
    """Return the text of every statement that a search prepares, without its values."""
    prepared: list[str] = []

    class Recorder:
        def execute(self, text: str, values: tuple[object, ...]) -> sqlite3.Cursor:
            prepared.append(text)
            return connection.execute(text, values)

    search_ids(Recorder(), query, 5)  # type: ignore[arg-type]  # all that a search uses of a connection
    return prepared


@pytest.mark.parametrize(
    "source",
    [
        f"tags.{MARK} = '{MARK}' AND metadata.{MARK} LIKE '{MARK}%' AND feedback.{MARK}.{MARK} = '{MARK}'",
        f"span.attributes.{MARK} = '{MARK}' AND span.name ILIKE '%{MARK}' AND any_span(content LIKE '%{MARK}%')",
        f"name RLIKE '{MARK}' OR prompt = '{MARK}' OR metadata.mlflow.user = '{MARK}' OR run_id IN ('{MARK}', '1')",
        f"request = '{MARK}' OR text LIKE '%{MARK}%' OR error = '{MARK}' OR tags.{MARK} IS NULL",
    ],
)
def test_values_and_keys_are_bound(connection: sqlite3.Connection, source: str) -> None:
    query = Query(source, [f"tags.{MARK}", f"feedback.{MARK} DESC"])

    assert statements(connection, query)
    assert not [text for text in statements(connection, query) if MARK in text]


@settings(database=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(generated_filters)
def test_sql_is_made_of_known_words(connection: sqlite3.Connection, node: ast.Node) -> None:
    """Whatever the filter, a statement holds no literal but ours: of the ESCAPE, and of what stands for a large text."""
    for text in statements(connection, Query(str(node))):
        assert set(re.findall(r"'[^']*'", text)) <= {"'\\'", "'@*'"}
        assert set(re.findall(r"(?<![\w?.])\d+", text)) <= {"0", "1", "20"}


@pytest.mark.parametrize(
    "value",
    [
        "'; DROP TABLE traces; --",
        "' OR '1'='1",
        '"; --',
        "x') OR 1=1 --",
        "?",
        "{}",
        "%s",
        "\\",
        "\n",
        "\0",
        "😀",
    ],
)
def test_injection_finds_only_itself(connection: sqlite3.Connection, value: str) -> None:
    filter_store.insert(connection, [trace(2, tags={value: value})] if "\0" not in value else [])
    written = str(ast.Comparison(ast.Reference("tags", value), "=", ast.Text(value)))

    assert len(search_ids(connection, Query(written), None)[0]) == (0 if "\0" in value else 1)
    assert search.count(connection, Query()) == (1 if "\0" in value else 2)


def test_template_and_parts_must_agree() -> None:
    for template, parts in (("?", ()), ("", ("x",)), ("{}", ("x",)), ("?", (sql.Fragment("1"),))):
        with pytest.raises((TypeError, StopIteration, RuntimeError)):
            sql.build(template, *parts)


def test_regex_that_explodes_is_stopped(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracestore.search.reading.REGEX_TIME_S", 0.3)
    began = time.monotonic()

    with pytest.raises(QueryTimeoutError, match="regular expressions"):
        search_ids(connection, Query(r"name RLIKE '^(a|aa)+$'"), 1)

    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("{e<=1}", "x{e<=1}y", True),
        ("{e<=1}", "x", False),
        ("(?:abc){e<=1}", "abd", False),
        ("a{2}", "aa", True),
        ("a{,2}b", "b", True),
        ("[{]", "{", True),
        (r"\{", "{", True),
        (r"\N{DIGIT ONE}{2}", "11", True),
        ("x{y", "x{y", True),
    ],
)
def test_regex_means_what_python_means(pattern: str, text: str, *, expected: bool) -> None:
    patterns.check_regex(pattern)

    assert (re.search(pattern, text) is not None) is expected
    assert patterns.search_regex(pattern, text, time.monotonic_ns() + 10**9) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a**",
        "[",
        r"\p{L}",
        "(?P<a>x)(?P<a>y)",
        "(" * 500,
        "a" * 2000,
        "(?<=a+)b",
        "a{99999999999}",
    ],
)
def test_bad_regex_is_an_error_of_the_filter(connection: sqlite3.Connection, pattern: str) -> None:
    with pytest.raises(FilterSyntaxError, match="regular expression"):
        search_ids(
            connection,
            Query(str(ast.Match(ast.Reference(None, "name"), "RLIKE", ast.Text(pattern)))),
            1,
        )


def test_long_pattern_is_an_error_of_the_filter(connection: sqlite3.Connection) -> None:
    long = "é" * 24_000
    assert search_ids(connection, Query(f"name LIKE '{long}%'"), 1) == ([], None)
    with pytest.raises(FilterSyntaxError, match="50,000 bytes"):
        search_ids(connection, Query(f"name LIKE '{long}éééééééééééééééééééé{long}%'"), 1)


@pytest.mark.parametrize("operator", ["AND", "OR"])
@pytest.mark.parametrize(
    "condition",
    [
        "tags.k{} = 'a'",
        "span.name = 'a{}'",
        "NOT feedback.k{} = 1",
        "any_span(name = '{}')",
        "count_spans(name = '{}') > 0",
    ],
)
def test_most_conditions_run(connection: sqlite3.Connection, operator: str, condition: str) -> None:
    most = MAX_CONDITIONS // (2 if "count" in condition else 1)
    source = f" {operator} ".join(condition.format(number) for number in range(most))

    search_ids(connection, Query(source), 5)
    search.count(connection, Query(source))


LEAVES = (
    "name = 'a'",
    "name NOT BETWEEN 'a' AND 'b'",
    "duration NOT BETWEEN 1ms AND 2ms",
    "feedback.a.b.c NOT BETWEEN 1 AND 2",
    "tags.k NOT IN ('a', 1)",
    "metadata.mlflow.user RLIKE 'a'",
    "prompt = 'a/1'",
    "text ILIKE '%abc%'",
    "request = 'a'",
)


def deepest(opening: str, inner: str, closing: str) -> str:
    """Return `inner` in as many layers as are accepted; there is a limit."""
    layers = 0
    while accepted(opening * (layers + 1) + inner + closing * (layers + 1)):
        layers += 1
        assert layers <= MAX_NESTING
    return opening * layers + inner + closing * layers


def accepted(source: str) -> bool:
    try:
        node = parse(source)
        assert node is not None
        normalise(node, source)
    except FilterSyntaxError as error:
        if "nested too deeply" in error.reason or "levels" in error.reason:
            return False
        raise
    return True


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize(
    "shape",
    [
        ("NOT (", " OR name = 'c')"),
        ("(", " OR name = 'c')"),
        ("(name = 'b' AND NOT (", ") OR name = 'c')"),
    ],
)
def test_deepest_conditions_run(
    connection: sqlite3.Connection, shape: tuple[str, str], leaf: str
) -> None:
    """SQLite's parser holds 100 unfinished things: the deepest filter that we accept must fit."""
    source = deepest(shape[0], leaf, shape[1])

    for order in (None, [f"tags.k{number}" for number in range(MAX_ORDER_ITEMS)]):
        _, token = search_ids(connection, Query(source, order), 1)
        search_ids(connection, Query(source, order), 1, token)
    assert search.count(connection, Query(source, also=(filters.equals("tags", "k", "v"),))) in {
        0,
        1,
    }


@pytest.mark.parametrize("relation", ["parent", "any_child", "any_ancestor", "any_descendant"])
@pytest.mark.parametrize(
    "leaf", ["name = 'a'", "attributes.a.b NOT BETWEEN 1 AND 2", "content ILIKE '%abc%'"]
)
def test_deepest_relations_run(connection: sqlite3.Connection, relation: str, leaf: str) -> None:
    layer = f"{relation}(type = 'LLM' AND NOT "
    layers = max(n for n in range(20) if accepted(f"any_span({layer * n}{leaf}{')' * n})"))

    assert layers >= 3
    assert search_ids(connection, Query(f"any_span({layer * layers}{leaf}{')' * layers})"), 5) == (
        [],
        None,
    )


def test_most_values_run(connection: sqlite3.Connection) -> None:
    values = ", ".join(f"'{number}'" for number in range(5_000))

    for field in (
        "tags.k",
        "name",
        "span.name",
        "span.attributes.k",
        "feedback.k",
        "duration",
        "experiment_id",
    ):
        search_ids(connection, Query(f"{field} IN ({values})"), 5)
        search.count(connection, Query(f"NOT {field} NOT IN ({values})"))


@pytest.mark.parametrize(
    "number",
    ["1e999", "-1e999", "9" * 399, "-" + "9" * 399, "1e-320", "0.1", "9223372036854775808"],
)
@pytest.mark.parametrize(
    "field", ["timestamp", "end_time", "duration", "tokens.total", "cost.total", "span.duration", "span.start_time", "tags.k", "feedback.k", "span.attributes.k", "span_count"]
)  # fmt: skip
def test_no_number_overflows(connection: sqlite3.Connection, field: str, number: str) -> None:
    for operator in ("=", "!=", "<", "<=", ">", ">="):
        search_ids(connection, Query(f"{field} {operator} {number}"), 5)
    search_ids(
        connection, Query(f"{field} NOT BETWEEN {number} AND 5 OR {field} IN ({number}, 1)"), 5
    )


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "null",
        "NaN",
        '{"k": NaN}',
        '{"k": Infinity}',
        "[" * 3000,
        '{"k": "\\ud800"}',
        '{"k": "\\u0000"}',
        '{"k": 1e999}',
        '"k"',
        "5",
        "k",
    ],
)
def test_damaged_json_does_no_harm(connection: sqlite3.Connection, document: str) -> None:
    span = (2, "0" * 16, "n", "OK", 0, document, document, document, document)
    connection.execute(
        "INSERT INTO spans (trace, span_id, name, status, start_time_ns, attributes, events, inputs, outputs)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        span,
    )
    connection.execute(
        "INSERT INTO assessments (assessment_id, trace, name, kind, value, source_type, source_id, create_time_ms,"
        " last_update_time_ms, valid) VALUES ('a', 1, 'k', 'feedback', ?, 'HUMAN', 'x', 0, 0, 1)",
        (document,),
    )
    connection.execute("INSERT INTO tags VALUES (1, 'mlflow.linkedPrompts', ?)", (document,))

    for source in (
        "span.attributes.k != 5",
        "span.attributes.k.x LIKE '%a%'",
        "text ILIKE '%k%'",
        "feedback.k != 'x'",
        "feedback.k.k > 5",
        "prompt != 'a/1'",
        "span.attributes.mlflow.spanInputs = 'x'",
        "max_spans(span.attributes.k) > 5",
    ):
        search_ids(connection, Query(source), 5)
        search_ids(connection, Query(f"NOT ({source})"), 5)


@pytest.mark.parametrize("shown", ["'x␀y'", "'x_y'"])
@pytest.mark.parametrize(
    "field", ["tags.k", "span.attributes.k", "span.attributes.a.k", "feedback.k", "feedback.o.k"]
)
def test_a_nul_is_found_as_it_is_shown(recording: Store, field: str, shown: str) -> None:
    """By equality and by pattern, through the index and without it."""
    with tracestore.start_span("a") as span:
        span.set_attributes({"k": "x\0y", "a": {"k": "x\0y"}})
        tracestore.update_current_trace(tags={"k": "x\0y"})
    recording.log_feedback(span.trace_id, "k", "x\0y")
    recording.log_feedback(span.trace_id, "o", {"k": "x\0y"})
    equals = f"{field} LIKE {shown}" if "_" in shown else f"{field} = {shown}"

    assert recording.count_traces(equals) == 1
    assert recording.count_traces(f"NOT {equals}") == 0
    if "_" not in shown:
        assert recording.count_traces(f"{field} IN ({shown}, 'z')") == 1
        assert recording.count_traces(f"{field} != {shown}") == 0


def test_broken_connection_is_a_store_error(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE tags")

    with pytest.raises(StoreError) as raised:
        search_ids(connection, Query("tags.k = 'v'"), 5)
    assert isinstance(raised.value.__cause__, sqlite3.Error)


def test_interrupted_search_is_a_timeout(connection: sqlite3.Connection) -> None:
    connection.set_progress_handler(lambda: 1, 1)

    with pytest.raises(QueryTimeoutError, match="interrupted"):
        search_ids(connection, Query("tags.k = 'v'"), 5)


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a": {"b": {"c": 1}}, "a.b": {"d": 2}}, "a.b.c", 1),
        ({"a": {"b": 1}, "a.b": {"c": 2}}, "a.b.c", 2),
        ({"a": {"b": None}}, "a.b", None),
        ({"a": [1]}, "a.0", None),
        ({"": 1}, "a", None),
    ],
)
def test_path_is_the_key_as_stored_else_a_way_down(value: Any, path: str, found: Any) -> None:
    assert functions.number_at(json.dumps(value), path) == found


@pytest.mark.parametrize(
    "seconds", [3.0, pytest.param(120.0, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_mutated_filters_are_answered_or_refused(seconds: float, request: Any) -> None:
    seed = random.randrange(2**32)
    request.node.add_report_section("call", "seed", str(seed))
    counts = fuzz_filters.fuzz(random.Random(seed), seconds)

    assert all(counts[outcome] for outcome in ("refused", "found none", "found some"))


@pytest.mark.parametrize("pattern", ["[[a]", "[&&a]", "[a||b]", "[~~a]"])
def test_a_set_that_python_warns_of_is_searched_without_a_word(
    connection: sqlite3.Connection, pattern: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.purge()
        assert len(search_ids(connection, Query(f"name RLIKE '{pattern}'"), None)[0]) == 1
