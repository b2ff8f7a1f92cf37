"""Support: the page of real error messages, and `python -m tests.filter_errors` to write it anew."""

from __future__ import annotations

from pathlib import Path

from tracestore.errors import TracestoreError
from tracestore.filters import meaning, parser

FILTERS = (
    "tags.env = 'prod' AND spna.name = 'llm'",
    "statsu = 'OK'",
    "env = 'prod'",
    "model = 'gpt-4o'",
    "tags = 'x'",
    "tokens.totl > 5",
    "span.nme = 'x'",
    "span.attributes = 'x'",
    "status = OK",
    "status = OK AND name = 'x'",
    "status",
    "status 'OK'",
    "status = ",
    "status = NULL",
    "status IS 'OK'",
    "status = 'OK' tags.env = 'prod'",
    "AND status = 'OK'",
    "status = 'OK' AND",
    "status = 'OK' OR OR name = 'x'",
    "(status = 'OK' OR name = 'x'",
    "status = 'OK')",
    "()",
    "status IN ()",
    "status IN ('OK', 'ERROR'",
    "status IN 'OK'",
    "name = 'it's'",
    "name = 'unclosed",
    'name = "unclosed',
    "tags.`unclosed = 1",
    "tags. = 'x'",
    "status = 'OK' && name = 'x'",
    "status = 'OK' || name = 'x'",
    "!(status = 'OK')",
    "name ~ '^a'",
    "name = 'a' ; DROP TABLE traces",
    "name = 'a' -- comment",
    "name LIKE 5",
    "name NOT = 'a'",
    "name BETWEEN 'a' OR 'b'",
    "name = true",
    "name > 5s",
    "timestamp > 'yesterday'",
    "timestamp > '2026-13-01'",
    "timestamp > now() - 5",
    "timestamp > now",
    "timestamp > true",
    "timestamp LIKE '2026%'",
    "duration > 5 minutes",
    "duration > 5min",
    "duration > 'long'",
    "tokens.total > 'many'",
    "cost.total LIKE '1%'",
    "text = 'hello'",
    "prompt LIKE 'a%'",
    "prompt = 1",
    "feedback.score > 5s",
    "name RLIKE '(unclosed'",
    "name RLIKE '*'",
    r"name RLIKE '\p{L}'",
    "any_spn(name = 'a')",
    "any_span()",
    "any_span(tags.env = 'prod')",
    "any_span(any_span(name = 'a'))",
    "any_span(duration = 'slow')",
    "parent(name = 'a')",
    "count_spans(name = 'a')",
    "sum_spans() > 5",
    "sum_spans(span.name) > 5",
    "sum_spans(span.duration > 5",
    "avg_spans(span.start_time) > 5",
    "name = 'a'\nAND tags.env = 'prod'\nAND staus = 'OK'\nAND user = 'u'",
    "name = '" + "long " * 30 + "' AND staus = 'OK' AND tags.x = '" + "long " * 30 + "'",
    "name = '\x1b[31mred' AND staus = 'OK'",
    "STATE = 'OK'",
    "total_tokens > 5",
    "cost > 1",
    "any_span(temperature > 1)",
    "any_span(type = 'LLM' AND user = 'u')",
    "any_span",
    "count_spans > 3",
    "count_spans(*) > 3",
    "name = \u2018a\u2019",
    "name = \u201ca\u201d",
    "name = 'a'\u200b",
    "name = 'a', status = 'OK'",
    "name = 'a';",
    "name:a",
    "name = ?",
    "name = None",
    "name = tags.x",
    "tags['x'] = 'a'",
    "feedback.correct IS TRUE",
    "timestamp > 2026-01-31",
    "duration > 5 s",
    "duration > '5s'",
    "name CONTAINS 'a'",
    "name REGEXP 'a'",
    "name = 'a' ORDER BY name",
    "name = 'a' LIMIT 5",
    "name LIKE '5!%' ESCAPE '!'",
)
ORDERS = (
    "",
    "timestmp DESC",
    "timestamp DESCENDING",
    "timestamp, name",
    "span.name",
    "text",
    "name NULLS",
)


def page() -> str:
    """Return every filter and order above with its error."""
    return "\n\n".join([*map(_filter_block, FILTERS), *map(_order_block, ORDERS)]) + "\n"


def _filter_block(source: str) -> str:
    try:
        node = parser.parse(source)
        assert node is not None
        meaning.normalise(node, source)
    except TracestoreError as error:
        return str(error)
    raise AssertionError(source)


def _order_block(source: str) -> str:
    try:
        meaning.normalise_order(parser.parse_order(source), source)
    except TracestoreError as error:
        return str(error)
    raise AssertionError(source)


if __name__ == "__main__":
    golden = Path(__file__).parent / "golden" / "filter_errors.txt"
    golden.parent.mkdir(exist_ok=True)
    golden.write_text(page(), encoding="utf-8")
