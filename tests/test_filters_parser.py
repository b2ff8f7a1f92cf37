"""The language as text: what parses, to what, and how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.filter_errors import page
from tests.filter_strategies import filters
from tracestore.errors import FilterSyntaxError
from tracestore.filters import ast, meaning, parser
from tracestore.filters.lexer import MAX_LENGTH
from tracestore.filters.parser import MAX_CONDITIONS, MAX_NESTING, MAX_VALUES, parse

GOLDEN = Path(__file__).parent / "golden" / "filter_errors.txt"
EXAMPLES = 600
EXAMPLES_SLOW = 100_000
KEYWORDS = (
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "BETWEEN",
    "NULL",
    "TRUE",
    "NOW",
)

#: Pieces from which the fuzzer puts filters together.
PIECES = (
    *(
        "tags.env",
        "name",
        "span.name",
        "any_span(",
        "count_spans(",
        "parent(",
        "(",
        ")",
        "AND",
        "or",
        "NOT",
    ),
    *(
        "=",
        "!=",
        "<",
        ">=",
        "LIKE",
        "RLIKE",
        "IN",
        "BETWEEN",
        "IS",
        "NULL",
        "'a'",
        '"b"',
        "'",
        "`",
        "1",
        "1.5s",
    ),
    *(
        "-",
        "+",
        "now()",
        "true",
        ",",
        ".",
        "..",
        "\\",
        "\0",
        "😀",
        "[",
        "1e999",
        "9" * 50,
        "duration",
        "timestamp",
    ),
    *("feedback.q", "span.attributes.k", "prompt", "'(a+)+$'", "spna.x", "tags.", "--", ";", "/*"),
)


def read(source: str) -> ast.Node | None:
    """Parse and check `source` as a search does."""
    node = parse(source)
    return None if node is None else meaning.normalise(node, source)


def failure(source: str) -> FilterSyntaxError:
    with pytest.raises(FilterSyntaxError) as raised:
        read(source)
    return raised.value


@pytest.mark.parametrize("source", [None, "", " ", "\n\t "])
def test_nothing_asks_for_nothing(source: str | None) -> None:
    assert parse(source) is None


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("tags.env='prod'", "tags.env = 'prod'"),
        ("a == 1 and b <> 2", "a = 1 AND b != 2"),
        ("a=1 OR b=2 AND c=3", "a = 1 OR b = 2 AND c = 3"),
        ("(a=1 OR b=2) AND c=3", "(a = 1 OR b = 2) AND c = 3"),
        ("((a=1))", "a = 1"),
        ("(a=1 AND b=2) AND c=3", "a = 1 AND b = 2 AND c = 3"),
        ("not not a=1", "NOT NOT a = 1"),
        ("NOT (a=1 AND b=2)", "NOT (a = 1 AND b = 2)"),
        ("a in (1,'x',true,)", "a IN (1, 'x', true)"),
        ("a not between 1 and 2 and b is not null", "a NOT BETWEEN 1 AND 2 AND b IS NOT NULL"),
        ('tags."a b" = "it\'s"', "tags.`a b` = 'it''s'"),
        ("tags.'a.b' ilike 'x%'", "tags.a.b ILIKE 'x%'"),
        ("`tags`.`a``b` = ''", "tags.`a``b` = ''"),
        ("span.attributes.`my key` = 1", "span.attributes.`my key` = 1"),
        ("tags.user-id.x/y:z = 'v'", "tags.user-id.x/y:z = 'v'"),
        ("duration > 1.5s AND timestamp > now() -1h", "duration > 1.5s AND timestamp > now() - 1h"),
        ("ANY_SPAN(name='a' and parent(type='b'))", "any_span(name = 'a' AND parent(type = 'b'))"),
        ("count_spans()>=2", "count_spans() >= 2"),
        (
            "sum_spans(span.duration, type='LLM') < 10s",
            "sum_spans(span.duration, type = 'LLM') < 10s",
        ),
        ("a = -5 OR a = +.5 OR a = 1e999", "a = -5 OR a = 0.5 OR a = 1e999"),
    ],
)
def test_text_form_is_canonical(source: str, canonical: str) -> None:
    node = parse(source)

    assert str(node) == canonical
    assert parse(canonical) == node


@settings(database=None, suppress_health_check=list(HealthCheck), max_examples=200)
@given(filters)
def test_text_form_parses_to_the_same_tree(node: ast.Node) -> None:
    assert parse(str(node)) == node


@settings(database=None, max_examples=200)
@given(filters)
def test_normal_form_is_normal(node: ast.Node) -> None:
    normal = meaning.normalise(node)

    assert meaning.normalise(normal) == normal
    assert parse(str(normal)) == normal


@settings(database=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_key_and_value_can_be_written(key: str, value: str) -> None:
    node = ast.Comparison(ast.Reference("tags", key), "=", ast.Text(value))

    assert parse(str(node)) == node


@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_names_that_begin_with_a_keyword_are_names(keyword: str, case: type[str]) -> None:
    name = f"{case(keyword)}s"

    assert parse(f"tags.{name} = 'x' AND {name} = 1") == ast.And(
        (
            ast.Comparison(ast.Reference("tags", name), "=", ast.Text("x")),
            ast.Comparison(ast.Reference(None, name), "=", ast.Number(1)),
        )
    )
    assert str(parse(f"tags.{keyword} = 'x'")) == f"tags.{keyword} = 'x'"


def test_nesting_is_limited() -> None:
    assert read("(" * MAX_NESTING + "name = 'a'" + ")" * MAX_NESTING) is not None
    assert "64 levels" in failure("(" * (MAX_NESTING + 1) + "name = 'a'" + ")" * 65).reason
    assert "64 levels" in failure("NOT " * (MAX_NESTING + 1) + "name = 'a'").reason


def test_conditions_are_limited() -> None:
    assert read(" OR ".join(["name = 'a'"] * MAX_CONDITIONS)) is not None
    assert "500 conditions" in failure(" OR ".join(["name = 'a'"] * (MAX_CONDITIONS + 1))).reason


def test_values_are_limited() -> None:
    assert read(f"name IN ({'1,' * MAX_VALUES})") is not None
    assert "5,000 values" in failure(f"name IN ({'1,' * (MAX_VALUES + 1)})").reason


def test_length_is_limited() -> None:
    assert read(" " * (MAX_LENGTH - 10) + "name = 'a'") is not None
    error = failure(" " * MAX_LENGTH + "name = 'a'")
    assert "at most 65,536" in error.reason
    assert len(str(error)) < 500


def test_long_numbers_are_refused() -> None:
    assert "400 characters" in failure("tokens.total > " + "9" * 10_000).reason


def test_error_points_at_the_place() -> None:
    error = failure("tags.env = 'prod' AND spna.name = 'llm'")

    assert (error.position, error.length) == (22, 4)
    assert str(error).splitlines()[1:] == [
        " " * 22 + "^" * 4,
        "unknown entity 'spna': did you mean 'span'?",
    ]


@pytest.mark.parametrize(
    "item",
    [
        "",
        ",",
        "name,",
        "name UP",
        "name DESC NULLS",
        "name NULLS FIRST DESC",
        "name name",
        "'name'",
    ],
)
def test_order_items_are_strict(item: str) -> None:
    with pytest.raises(FilterSyntaxError):
        parser.parse_order(item)


def test_order_item_is_read() -> None:
    item = parser.parse_order("tags.`a b` desc nulls first")

    assert (str(item.field), item.descending, item.nulls_first) == ("tags.`a b`", True, True)
    assert parser.parse_order(str(item)) == item


@settings(database=None, max_examples=EXAMPLES)
@given(
    st.text()
    | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
)
def test_any_text_is_read_or_refused(source: str) -> None:
    check_any_text(source)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(database=None, max_examples=EXAMPLES_SLOW)
@given(
    st.text()
    | st.lists(st.sampled_from(PIECES), max_size=20).map(" ".join)
    | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
)
def test_any_text_is_read_or_refused_at_length(source: str) -> None:
    check_any_text(source)


def check_any_text(source: str) -> None:
    """Nothing but a FilterSyntaxError comes out, and what is read can be written and read again."""
    try:
        node = read(source)
    except FilterSyntaxError as error:
        refused = error
    else:
        assert node is None or parse(str(node)) == node
        return
    assert refused.reason
    assert 0 <= refused.position <= len(source)
    assert refused.position + refused.length <= max(len(source), refused.position + 1)


def test_errors_read_as_the_golden_page_says() -> None:
    """Each block of the page is a filter, and what the error shows; `python -m tests.filter_errors` rewrites it."""
    assert page() == GOLDEN.read_text(encoding="utf-8")
