"""Support: the filters that both MLflow and tracestore are asked: each field with each operator it takes there.

`{7}` in a filter stands for the id of trace number 7, which differs from run to run. Knows no answers.
Invariant: no filter twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.peer_mlflow.traces import START_MS

_TEXT_FIELDS = (
    "name", "status", "client_request_id", "run_id", "tags.env", "tags.n", "tags.a.b", "tags.`k k`", 'tag."k k"',
    "tags.no_such", "metadata.m", "request_metadata.user_id", "metadata.`mlflow.trace.session`", "span.name",
    "span.type", "span.status", "attribute.name", "attributes.status", "trace.name", "trace.client_request_id",
)  # fmt: skip
_TEXTS = ("'a'", "'prod'", '"it\'s"', "'5'", "''", "'LLM'", "'OK'", "'ERROR'", "'u1'", "'c3'", "'llm'", "'é'", "'É'", "'s1'")  # fmt: skip
_LIKES = ("%", "p%", "%o%", "_", "a", "PROD", "É", "é", "100%", "100\\%", "%''%", "%_x%", "x_y", "%é%")  # fmt: skip
_PATTERNS = ("a", "^p", "(?i)P", "[0-9]", "(", "^$", "^(prod|dev)$", "it's", r"\d+%", "é", ".")
_LISTS = ("('a','prod','OK','llm')", "('OK')", "('ERROR', 'c3',)", '("it\'s", "é")', "('')")

_TIMES = ("timestamp_ms", "timestamp", "end_time_ms", "end_time", "attributes.timestamp", "trace.end_time")  # fmt: skip
_LENGTHS = ("execution_time_ms", "execution_time", "attribute.execution_time", "trace.execution_time_ms")  # fmt: skip
_DURATIONS_MS = [500_000, 1_000_000, 2_000_000]  # far above those of the traces that run now
_COMPARATORS = ("=", "!=", "<", "<=", ">", ">=")

_ASSESSMENTS = ("feedback.q", "feedback.score", "feedback.`q`", "expectation.e", "feedback.failed", "feedback.no_such")  # fmt: skip
_ASSESSED = ("true", "True", "false", "good", "bad", "5", "5.0", "1", "0.5", "x", "3", "it's", "null", "")  # fmt: skip

_SPAN_CLAUSES = ("span.name = 'llm'", "span.status = 'ERROR'", "span.type != 'TOOL'", "span.name IN ('tool','é')", "span.attributes.model RLIKE 'o$'")  # fmt: skip
_CLAUSES = (
    "status = 'OK'", "name != 'a'", "tags.env = 'prod'", "tags.n IS NULL", "metadata.m != 'u1'", "feedback.q IS NOT NULL",
    "expectation.e = 'true'", "timestamp_ms > 0", "execution_time >= 2000000", "client_request_id IS NULL",
    "client_request_id LIKE 'c%'", "span.name = 'tool'", "trace.text LIKE '%hello%'", "run_id IS NULL",
)  # fmt: skip


def filters() -> list[str]:
    """Return all filters."""
    parts = (_texts, _numbers, _assessments, _attributes, _contents, _joined, _odd)
    return list(dict.fromkeys(source for part in parts for source in part()))


def _texts() -> Iterator[str]:
    for field in _TEXT_FIELDS:
        for value in _TEXTS:
            yield f"{field} = {value}"
            yield f"{field} != {value}"
        for value in _LIKES:
            yield f"{field} LIKE '{value}'"
            yield f"{field} ILIKE '{value}'"
        for value in _PATTERNS:
            quote = '"' if "'" in value else "'"
            yield f"{field} RLIKE {quote}{value}{quote}"
        for value in _LISTS:
            yield f"{field} IN {value}"
            yield f"{field} NOT IN {value}"
        yield f"{field} IS NULL"
        yield f"{field} IS NOT NULL"
    for operator in ("=", "!=", "LIKE", "ILIKE", "RLIKE"):
        yield f"request_id {operator} '{{3}}'"
    for operator in ("IN", "NOT IN"):
        yield f"request_id {operator} ('{{3}}', '{{7}}', 'tr-none')"


def _numbers() -> Iterator[str]:
    instants = [START_MS + 1000 * second for second in (24, 27, 30, 2_000, 5_000)]
    for fields, values in ((_TIMES, [0, *instants]), (_LENGTHS, _DURATIONS_MS)):
        for field in fields:
            for comparator in _COMPARATORS:
                yield from (f"{field} {comparator} {value}" for value in values)
                yield f"{field} {comparator} '{values[1]}'"
                yield f"{field} {comparator} {values[1]}.5"
    yield from (
        "execution_time < 1e9",
        "execution_time > -1",
        "execution_time >= 1.5e6",
        "execution_time >= -.5",
    )
    yield from ("execution_time > 'abc'", "timestamp_ms = 'abc'")


def _assessments() -> Iterator[str]:
    for field in _ASSESSMENTS:
        for value in _ASSESSED:
            yield f'{field} = "{value}"'
            yield f'{field} != "{value}"'
        for comparator in ("<", "<=", ">", ">="):
            yield from (f"{field} {comparator} {value}" for value in ("0.7", "1", "0", "5", "-1"))
        for operator in ("LIKE", "ILIKE"):
            likes = ("%oo%", "%RU%", "%", "good", "g%", "%d", '%"%', "5", "_", "true")
            yield from (f"{field} {operator} '{value}'" for value in likes)
        for value in ("oo", "^g", "d$", "^5$", "(", '"', "^(true|false)$"):
            yield f"{field} RLIKE '{value}'"
        yield f"{field} IS NULL"
        yield f"{field} IS NOT NULL"
    for name in ("listed", "kept", "shared", "replaced"):
        yield f"feedback.{name} IS NOT NULL"
        yield f"feedback.{name} IS NULL"
        yield f"feedback.{name} LIKE '%o%'"
        yield f"feedback.{name} = 'true'"
        yield f"feedback.{name} != 'true'"
    for value in ("bad", "good"):
        yield f"feedback.replaced = '{value}'"
        yield f"feedback.replaced != '{value}'"


def _attributes() -> Iterator[str]:
    for value in ("gpt-4", "gpt-4o", "0.5", "1"):
        for key in ("model", "t"):
            yield f"span.attributes.{key} = '{value}'"
            yield f"span.attributes.{key} != '{value}'"
    for operator in ("LIKE", "ILIKE"):
        for value in (
            "%gpt-4%",
            "%4o%",
            "%GPT-4o%",
            '%gpt-4"%',
            "gpt%",
            "%4",
            "gpt-4",
            "%",
            "%none such%",
        ):
            yield f"span.attributes.model {operator} '{value}'"
    for value in (
        "^gpt-4$",
        "gpt",
        "^gpt",
        "o$",
        "(?i)GPT",
        "[0-9]o",
        "(",
        "none such",
        "4o|CHAIN",
    ):
        yield f"span.attributes.model RLIKE '{value}'"
    yield "span.attributes.t RLIKE '1'"
    yield "span.attributes.no_such LIKE '%a%'"


def _contents() -> Iterator[str]:
    """Yield searches of texts; none is in the random ids that MLflow's JSON of a span has, but by a miracle."""
    for field in ("trace.text", "span.content"):
        for operator in ("LIKE", "ILIKE"):
            for value in ("%hello 7%", "%hello%", "%HELLO 1%", "%gpt-4o%", "%it''s%", "%é%", "%É%", "%CHAIN%", "hello", "%and go%", "%say _hello%", '%"hello"%', '%"model"%', "%none such%"):  # fmt: skip
                yield f"{field} {operator} '{value}'"
    yield 'trace.text LIKE "%it\'s%"'
    yield "trace.text LIKE '%hello%' AND trace.text LIKE '%gpt-4%'"
    yield "trace.text LIKE '%first%' AND trace.text LIKE '%second%'"


def _joined() -> Iterator[str]:
    for clauses in (_CLAUSES, _SPAN_CLAUSES):
        for index, left in enumerate(clauses):
            yield from (f"{left} AND {right}" for right in clauses[index + 1 :])
    yield " AND ".join(_CLAUSES[:3])
    yield " and ".join(_SPAN_CLAUSES[:3])
    for left, right in (
        ("tags.env != 'prod'", "tags.env LIKE '%'"),
        ("tags.env = 'prod'", "tags.env = 'dev'"),
        ("feedback.q > 0.5", "feedback.q < 0.5"),
        ("feedback.q > 0.05", "feedback.q < 0.5"),
        ("feedback.q = 'good'", "feedback.q != 'bad'"),
        ("span.name = 'first'", "span.name = 'second'"),
        ("span.name = 'first'", "span.attributes.model LIKE '%second%'"),
    ):
        yield f"{left} AND {right}"


def _odd() -> Iterator[str]:
    """Yield the spellings and keys of which MLflow makes something of its own."""
    yield ""
    for key in ("name", "Name", "text", "timestamp", "run_id"):
        yield from (f"tags.{key} = 'tagged'", f"tags.{key} = 'plain'", f"tags.{key} LIKE '%tag%'")
    yield from ("metadata.name = 'meta'", "metadata.name = 'plain'", "feedback.name = 'plain'")
    yield from (
        "tags.timestamp = '5'",
        "tags.run_id = 'r'",
        "tags.run_id = 'run1'",
        "run_id = 'run1'",
    )
    yield from ("tags.`$odd key.with` = 'v'", "tags.\"$odd key.with\" = 'v'", "`tags`.env = 'prod'")
    yield from (r"tags.`\` = 'a\b'", r"tags.`\` LIKE 'a\b'", r"tags.`\` LIKE 'a\\b'")
    yield from ("tags.env = 'it''s'", "name = 'it''s'", "tags.env='prod'", "tags.env   =   'prod'")
    yield from (
        "status = 'OK' name = 'a'",
        "AND status = 'OK'",
        "status = 'OK' AND",
        "status like 'O%'",
    )
    yield from ("tags.env Is Null", "status in ('OK')", "status not in ('OK')", "tags.env IS  NULL")
    yield from ("metadata.`mlflow.traceInputs` IS NULL", "tags.`mlflow.traceName` = 'plain'")
    yield from ("metadata.`mlflow.trace.user` = 'ada'", "metadata.mlflow.trace.session = 's1'")
    yield from ("metadata.`mlflow.trace.tokenUsage` IS NULL", "issue.id = 'iss-1'")
    yield from (
        "status = 'ok'",
        "status = 'IN_PROGRESS'",
        "status != 'IN_PROGRESS'",
        "name = 'plain'\n AND\tstatus = 'OK'",
    )
