"""Support: generated traces and filters that speak of the same few odd values, so that they meet."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st

from tests.filter_store import Assessment, Span, Trace
from tracestore.filters import ast

START_MS = 1_780_000_000_000

TEXTS = (
    *(
        "",
        "a",
        "A",
        "ab",
        "aab",
        "it's",
        '"q"',
        "100%",
        "a_b",
        "a\\b",
        "x\ny",
        "é",
        "É",
        "ß",
        "SS",
        "😀",
    ),
    *(
        "*",
        "[a]",
        "?",
        "]",
        "^a",
        "1",
        "1.0",
        "01",
        "-5",
        "1e3",
        "0.5",
        "true",
        "false",
        "null",
        " 1",
    ),
    *(
        "9223372036854775808",
        "\u212a",
        "k",
        "ΑΣ",
        "ας",
        "y" * 199 + "z",
        "y" * 200,
        "y" * 200 + "z",
        "n/1",
        "n",
    ),
)
NUMBERS = (0, 1, 1.0, -5, 0.5, 2, 3, 1000, 2**53 + 1, 2**63 - 1, -(2**63), 1e300, -0.0)
LITERAL_NUMBERS = (*NUMBERS, 2**63, 10**30, -(10**390), 10**390, 1e-320)
KEYS = ("k", "a.b", "k k", "name", "text", "it's", "é", "a")
JSON_KEYS = ("k", "a.b", "a", "a.b.c", "b", "x y", "mlflow.spanInputs", "mlflow.spanInputs.a")
PATTERNS = (
    *(
        *TEXTS[:24],
        "%",
        "_",
        "a%",
        "%a",
        "%b",
        "%a%",
        "a_",
        "__",
        "%\\%",
        "a\\_b",
        "a\\\\b",
        "%\n%",
        "\\",
    ),
    *(
        "É%",
        "%é%",
        "%ß%",
        "%ss%",
        "K",
        "\u212a%",
        "y%",
        "y" * 199 + "%",
        "%'%",
        '%"%',
        "[a%",
        "%]",
        "*%",
        "\0",
        "a\0%",
    ),
    *("%name%", "%retrieve%", "%RETRIEVE%", "%1%", "Val%"),
)
REGEXES = (
    *(
        "",
        "a",
        "^a$",
        "(?i)é",
        "[0-9]+",
        r"\d",
        r"\.",
        "a|b",
        "^$",
        r"\\",
        "x.y",
        "(?s)x.y",
        "'",
        '"',
        "a{1}",
        "{e<=1}",
    ),
    *("y{200}", r"\bq", "k", "(?i)k", "[^a]", "%", r"\Z", "(?m)^y"),
)
SPAN_NAMES = ("root", "retrieve", "llm", "a", "É", "tool")

scalars = st.sampled_from([*TEXTS, *NUMBERS, True, False, None])
documents: st.SearchStrategy[Any] = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(
        st.sampled_from(JSON_KEYS), st.one_of(scalars, st.lists(scalars, max_size=1)), max_size=2
    ),
)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


texts = st.sampled_from(TEXTS)
times_ns = st.sampled_from(
    [START_MS * 10**6, START_MS * 10**6 + 1, (START_MS + 1000) * 10**6, (START_MS + 5) * 10**6 - 1]
)
attributes = st.dictionaries(
    st.sampled_from(JSON_KEYS[:6]),
    documents | st.dictionaries(st.sampled_from(JSON_KEYS), documents, max_size=2),
    max_size=3,
)
spans = st.fixed_dictionaries(
    {
        "name": st.sampled_from(SPAN_NAMES),
        "type": _maybe(st.sampled_from(["LLM", "CHAIN", "a"])),
        "status": st.sampled_from(["OK", "ERROR", "UNSET"]),
        "start_time_ns": times_ns,
        "end_time_ns": _maybe(times_ns),
        "error": _maybe(st.sampled_from(["ValueError: a", "KeyError: 'k'", "a"])),
        "model": _maybe(st.sampled_from(["gpt-4o", "a"])),
        "attributes": attributes,
        "events": st.lists(
            st.fixed_dictionaries({"name": texts, "attributes": attributes}), max_size=1
        ),
        "inputs": documents,
        "outputs": documents,
    }
)
assessments = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["k", "a", "a.b"]),
        "kind": st.sampled_from(["feedback", "expectation"]),
        "value": documents,
        "valid": st.sampled_from([True, True, False]),
    }
)
rows = st.dictionaries(st.sampled_from(KEYS), texts, max_size=3)
prompts = st.sampled_from(
    [{}, {"mlflow.linkedPrompts": '[{"name": "n", "version": "1"}, {"name": "é", "version": 2}]'}]
)


@st.composite
def metadata(draw: st.DrawFn) -> dict[str, str]:
    found = draw(rows) | draw(prompts)
    for key in ("mlflow.trace.session", "mlflow.trace.user", "mlflow.sourceRun"):
        value = draw(_maybe(texts))
        if value is not None:
            found[key] = value
    return found


@st.composite
def trees(draw: st.DrawFn) -> list[Span]:
    """Draw the spans of a trace: mostly a tree, at times with a lost parent or a circle."""
    drawn = draw(st.lists(spans, max_size=4))
    for number, span in enumerate(drawn):
        parent = draw(st.integers(-1, len(drawn)))
        span["span_id"] = f"{number:016x}"
        span["parent_id"] = None if parent < 0 or number == 0 else f"{parent:016x}"
    return cast("list[Span]", drawn)


traces = st.builds(
    lambda made, offset_ms, tree, given: cast(
        "Trace",
        {**made, "id": offset_ms, "spans": tree, "assessments": cast("list[Assessment]", given)},
    ),
    st.fixed_dictionaries(
        {
            "experiment": st.sampled_from([0, 0, 1, 12]),
            "resource": st.sampled_from(
                [{}, {"mlflow.user": "a"}, {"mlflow.source.name": "it's", "mlflow.user": "É"}]
            ),
            "name": _maybe(texts),
            "status": st.sampled_from(["OK", "ERROR", "IN_PROGRESS"]),
            "duration_ms": _maybe(st.sampled_from([0, 1, 2, 999, 1000, 1500, 2**62])),
            "client_request_id": _maybe(texts),
            "input_tokens": _maybe(st.sampled_from([0, 1, 5, 2**40])),
            "total_cost": _maybe(st.sampled_from([0.0, 0.5, 1.0, 1e-9])),
            "request_preview": _maybe(texts),
            "tags": st.builds(lambda a, b: a | b, rows, prompts),
            "metadata": metadata(),
        }
    ),
    st.sampled_from([0, 1, 2, 3, 1000, 1500]),
    trees(),
    st.lists(assessments, max_size=3),
)


def number_ids(made: list[Trace]) -> list[Trace]:
    """Return the traces with ids as the writer gives them: milliseconds, and a number that tells them apart."""
    return [
        {**trace, "id": (START_MS + trace["id"] << 20) + number}
        for number, trace in enumerate(made)
    ]


# Filters

_STRING_FIELDS = [
    *(
        "trace_id",
        "request_id",
        "name",
        "status",
        "state",
        "client_request_id",
        "experiment_id",
        "run_id",
    ),
    *("request_preview", "session", "user", "request", "response", "error"),
    *("attributes.name", "trace.status", "metadata.mlflow.user", "metadata.mlflow.source.name"),
    *("tags.mlflow.traceName", "tags.mlflow.trace.session", "metadata.mlflow.trace.user"),
]
_SPAN_STRINGS = [
    "name",
    "type",
    "status",
    "id",
    "parent_id",
    "inputs",
    "outputs",
    "error",
    "model",
    "attributes.mlflow.spanType",
]
_TIMES = ["timestamp_ms", "timestamp", "request_time", "end_time_ms", "end_time"]
_LENGTHS = ["execution_time_ms", "execution_time", "duration"]

_keyed = st.builds(
    ast.Reference,
    st.sampled_from(["tags", "tag", "metadata", "request_metadata"]),
    st.sampled_from(KEYS),
)
_assessed = st.builds(
    ast.Reference,
    st.sampled_from(["feedback", "expectation", "assessment"]),
    st.sampled_from(["k", "a", "a.b", "a.k", "a.b.c"]),
)
_attribute = st.builds(
    lambda key: ast.Reference("span", f"attributes.{key}"), st.sampled_from(JSON_KEYS)
)


def _named(names: list[str]) -> st.SearchStrategy[ast.Reference]:
    return st.sampled_from(names).map(_reference)


def _reference(name: str) -> ast.Reference:
    entity, _, key = name.partition(".")
    return ast.Reference(entity, key) if key else ast.Reference(None, name)


def _of_span(names: list[str]) -> st.SearchStrategy[ast.Reference]:
    return st.sampled_from(names).map(lambda name: ast.Reference("span", name))


_text_values = st.builds(
    ast.Text,
    st.sampled_from(
        [*TEXTS, "OK", "ERROR", "UNSET", "LLM", "0", "12", "root", "ValueError: a", "0" * 16]
    ),
)
_number_values = st.builds(ast.Number, st.sampled_from(LITERAL_NUMBERS))
_string_values = _text_values | _text_values | _number_values
_json_values = _text_values | _number_values | st.builds(ast.Truth, st.booleans())
_numeric_values = _number_values | st.builds(ast.Text, st.sampled_from(["1", "0.5", "-5", "1e3"]))
_duration_values = st.builds(
    ast.Duration,
    st.sampled_from([0, 1, 1.5, -2, 1000, 0.1]),
    st.sampled_from(["ns", "us", "ms", "s", "m", "h", "d"]),
)
_length_values = _numeric_values | _duration_values
_instant_values = st.one_of(
    _numeric_values,
    st.builds(ast.Number, st.sampled_from([START_MS, START_MS + 1, START_MS + 1000, START_MS + 0.5, START_MS - 1])),
    st.builds(ast.Text, st.sampled_from([str(START_MS + 1), "2026-05-28T20:26:40Z", "2026-05-28T20:26:40.001", "2026-05-28 22:26:41+02:00", "1969-12-31", "9999-12-31T23:59:59.999Z"])),
)  # fmt: skip


def _leaves(
    fields: st.SearchStrategy[ast.Reference],
    values: st.SearchStrategy[ast.Value],
    *,
    patterns: bool,
) -> st.SearchStrategy[ast.Node]:
    comparators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    kinds: list[st.SearchStrategy[ast.Node]] = [
        st.builds(ast.Comparison, fields, comparators, values),
        st.builds(
            ast.Membership,
            fields,
            st.lists(values, min_size=1, max_size=3).map(tuple),
            st.booleans(),
        ),
        st.builds(ast.Between, fields, values, values, st.booleans()),
        st.builds(ast.NullTest, fields, st.booleans()),
    ]
    return st.one_of(kinds + ([_patterns(fields)] * 2 if patterns else []))


def _patterns(fields: st.SearchStrategy[ast.Reference]) -> st.SearchStrategy[ast.Node]:
    like = st.builds(
        ast.Match,
        fields,
        st.sampled_from(["LIKE", "ILIKE"]),
        st.builds(ast.Text, st.sampled_from(PATTERNS)),
        st.booleans(),
    )
    regex = st.builds(
        ast.Match,
        fields,
        st.just("RLIKE"),
        st.builds(ast.Text, st.sampled_from(REGEXES)),
        st.booleans(),
    )
    return like | like | regex


@st.composite
def _drawn(draw: st.DrawFn, name: str) -> ast.Node:
    """Draw from a strategy of this module by its name: Hypothesis warns of strategies with a long repr."""
    strategy: st.SearchStrategy[ast.Node] = globals()[name]
    return draw(strategy)


span_leaves = _drawn("_span_leaves")
trace_leaves = _drawn("_trace_leaves")
quantified = _drawn("_quantified")

_prompt_values = st.builds(ast.Text, st.sampled_from(["n/1", "é/2", "n"]))
_prompt = st.just(ast.Reference(None, "prompt"))
_span_leaves: st.SearchStrategy[ast.Node] = st.one_of(
    _leaves(_of_span(_SPAN_STRINGS), _string_values, patterns=True),
    _leaves(_attribute, _json_values, patterns=True),
    _leaves(_of_span(["duration"]), _length_values, patterns=False),
    _leaves(_of_span(["start_time", "end_time"]), _instant_values, patterns=False),
    _patterns(_of_span(["content"])),
)
_trace_leaves: st.SearchStrategy[ast.Node] = st.one_of(
    _leaves(_named(_STRING_FIELDS), _string_values, patterns=True),
    _leaves(_keyed, _string_values, patterns=True),
    _leaves(_assessed, _json_values, patterns=True),
    _leaves(_named(_TIMES), _instant_values, patterns=False),
    _leaves(_named(_LENGTHS), _length_values, patterns=False),
    _leaves(_named(["span_count", "tokens.input", "cost.total"]), _numeric_values, patterns=False),
    _patterns(_named(["text"])),
    st.builds(ast.Comparison, _prompt, st.sampled_from(["=", "!="]), _prompt_values),
    st.builds(
        ast.Membership,
        _prompt,
        st.lists(_prompt_values, min_size=1, max_size=2).map(tuple),
        st.booleans(),
    ),
    st.builds(ast.NullTest, _prompt, st.booleans()),
)


def _joined(inner: st.SearchStrategy[ast.Node]) -> st.SearchStrategy[ast.Node]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        st.builds(ast.Not, inner),
        several.map(lambda nodes: cast("ast.Node", ast.conjunction(nodes))),
        several.map(lambda nodes: cast("ast.Node", ast.disjunction(nodes))),
    )


def _in_span(inner: st.SearchStrategy[ast.Node]) -> st.SearchStrategy[ast.Node]:
    relations = st.sampled_from(["parent", "any_child", "any_ancestor", "any_descendant"])
    return _joined(inner) | st.builds(ast.Related, relations, inner)


span_conditions = st.recursive(span_leaves, _in_span, max_leaves=4)
_quantified: st.SearchStrategy[ast.Node] = st.one_of(
    st.builds(ast.SpanTest, st.sampled_from(["any_span", "all_spans", "no_span"]), span_conditions),
    st.builds(ast.Aggregate, st.just("count_spans"), st.none(), _maybe(span_conditions), st.sampled_from(["=", "!=", "<", ">", ">="]), st.builds(ast.Number, st.sampled_from([0, 1, 2, -1, 1.5]))),
    st.builds(ast.Aggregate, st.sampled_from(["sum_spans", "min_spans", "max_spans", "avg_spans"]), _of_span(["duration"]), _maybe(span_conditions), st.sampled_from(["=", "<", ">="]), _length_values),
    st.builds(ast.Aggregate, st.sampled_from(["min_spans", "max_spans"]), _attribute, _maybe(span_conditions), st.sampled_from(["=", "<", ">="]), _numeric_values),
)  # fmt: skip
trace_level = st.recursive(trace_leaves | quantified, _joined, max_leaves=5)
filters = st.recursive(
    trace_leaves | trace_leaves | span_leaves | quantified, _joined, max_leaves=6
)
