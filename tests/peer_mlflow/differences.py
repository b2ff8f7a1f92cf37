"""Support: the differences between MLflow's answers and tracestore's that are meant, each with its reason.

The one place where they are written: the comparison with MLflow takes its leave from here, and
`python -m tests.peer_mlflow.differences` writes the README's table from here. Knows no answers.
Invariant: each difference occurs in `filters.filters()`; the comparison fails where one does not.
"""

from __future__ import annotations

import pathlib
import re
from typing import NamedTuple

README = pathlib.Path(__file__).parent.parent.parent / "README.md"

_QUOTED = r"(?:'[^']*'|\"[^\"]*\")"
_LIKE = r"I?LIKE"


class Difference(NamedTuple):
    """One thing that filters mean otherwise here.

    Attributes:
        id: Its name in the page of answers.
        filters: Regular expression that the whole filter matches.
        example: A filter that shows it.
        mlflow: What MLflow answers.
        here: What tracestore answers, and why.
    """

    id: str
    filters: str
    example: str
    mlflow: str
    here: str


#: The first that matches a filter is its reason.
DIFFERENCES = (
    Difference(
        "bad-pattern", r".* RLIKE '\('", "name RLIKE '('",
        "nothing", "an error that says what is wrong with the pattern",
    ),
    Difference(
        "span-attribute-number", r"span\.attributes\.t (=|!=|RLIKE) .*", "span.attributes.t != '1'",
        "`=` nothing, `!=` every trace, `RLIKE` sees texts only", "the attribute's value is compared, as text with a text",
    ),
    Difference(
        "span-attribute-equal", r"span\.attributes\.\S+ !?= .*", "span.attributes.model = 'gpt-4'",
        "`=` nothing, `!=` every trace", "the attribute's value is compared",
    ),
    Difference(
        "span-attribute-like", rf"span\.attributes\.\S+ {_LIKE} .*", "span.attributes.model LIKE 'gpt%'",
        "the pattern is sought in the span's JSON from the key on: nothing without a leading `%`, anything after the match", "the pattern is that of the whole value, as everywhere",
    ),
    Difference(
        "span-attribute-rlike", r"span\.attributes\.\S+ RLIKE .*", "span.attributes.model RLIKE '(?i)GPT'",
        "the expression becomes part of one about the span's JSON: flags and alternatives go wrong", "the expression is sought in the value",
    ),
    Difference(
        "hijacked-key", r"(tags|metadata|feedback)\.(name|text|timestamp|run_id) .*", "tags.name = 'x'",
        "the trace's name, text, time or run, whatever stands before the dot", "the tag of that key",
    ),
    Difference(
        "hijacked-key-case", r"tags\.Name .*", "tags.Name = 'x'",
        "the trace's name", "the tag of that key, as written",
    ),
    Difference(
        "text-joined", rf".*trace\.text {_LIKE} .* AND .*|.* AND trace\.text {_LIKE} .*", "trace.text LIKE '%a%' AND trace.text LIKE '%b%'",
        "one span has both, and what `span.` conditions ask for", "the trace has both, in any of its spans; `span.content` is of one span",
    ),
    Difference(
        "doubled-quote", rf".* {_LIKE} '%''%'|.* {_LIKE} '%it''s%'|.* = 'it''s'", "name = 'it''s'",
        "nothing", "a doubled quote stands for one",
    ),
    Difference(
        "text-json", rf"(trace\.text|span\.content) {_LIKE} '.*(\"|CHAIN|say _).*'", "trace.text LIKE '%\"hello\"%'",
        "the span's JSON is searched: quotes and line breaks are escaped, keys, ids and span types match", "what a person reads is searched: names, inputs, outputs, attributes, events",
    ),
    Difference(
        "ilike-unicode", r".* ILIKE '.*[Éé].*'", "name ILIKE 'é'",
        "folds ASCII only", "folds all of Unicode",
    ),
    Difference(
        "like-escape", rf".* {_LIKE} '.*\\.*'", r"tags.n LIKE '100\%'",
        "a backslash is a character like others", r"`\%`, `\_` and `\\` stand for the character",
    ),
    Difference(
        "assessment-json", rf"(feedback|expectation)\.\S+ ({_LIKE}|RLIKE) .*", "feedback.q LIKE 'g%'",
        "the value's JSON is searched, with its quotes", "the text itself is searched",
    ),
    Difference(
        "assessment-number", r"(feedback|expectation)\.\S+ !?= ['\"]5\.0['\"]", "feedback.q = '5.0'",
        "only a text `5.0`", "also the number 5, as `'5'` does",
    ),
    Difference(
        "assessment-null", r"feedback\.failed .*", "feedback.failed != 'good'",
        "feedback without a value (an error) has the value `null`, which is not `good`", "it has none: only `IS NOT NULL` and `IS NULL` see it",
    ),
    Difference(
        "session-feedback", r"feedback\.shared .*", "feedback.shared = 'true'",
        "feedback with the metadata `mlflow.trace.session` counts for every trace of that session", "feedback counts for the trace that has it",
    ),
    Difference(
        "quoted-end-time", rf"(trace\.)?end_time(_ms)? [<>]=? {_QUOTED}", "end_time_ms < '1700000000000'",
        "a number in quotes is above every number", "a number in quotes is that number",
    ),
    Difference(
        "not-a-time", r"(execution_time|timestamp_ms) [>=] 'abc'", "execution_time > 'abc'",
        "nothing", "an error",
    ),
    Difference(
        "missing-and", r"status = 'OK' name = 'a'|AND .*|.* AND", "status = 'OK' name = 'a'",
        "an AND that is missing, or stands at an end, is passed over", "an error",
    ),
    Difference(
        "empty-run", r"run_id = ''", "run_id = ''",
        "every trace", "traces whose run is the empty text: none",
    ),
    Difference(
        "own-metadata", r"metadata\.`mlflow\.traceInputs` .*", "metadata.`mlflow.traceInputs` IS NULL",
        "MLflow keeps a copy of inputs and outputs in metadata", "only what was recorded as metadata is there; see `request` and `response`",
    ),
    Difference(
        "issues", r"issue\..*", "issue.id = 'iss-1'",
        "traces of an issue", "an error: there are no issues here",
    ),
)  # fmt: skip


def difference_of(source: str) -> Difference | None:
    """Return the difference that a filter falls under, None where both must answer the same."""
    found = (each for each in DIFFERENCES if re.fullmatch(each.filters, source, re.DOTALL))
    return next(found, None)


def reference_table() -> str:
    """Return all differences as a Markdown table."""
    rows = [f"| {_code(each.example)} | {each.mlflow} | {each.here} |" for each in DIFFERENCES]
    return "\n".join(["| filter | MLflow 3.17 | tracestore |", "|---|---|---|", *rows])


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def with_table(readme: str) -> str:
    """Return `readme` with the table between its markers."""
    begin, end = "<!-- differences: generated -->\n", "<!-- end of differences -->"
    before, _, rest = readme.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{reference_table()}\n{end}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text("utf-8")), "utf-8")
