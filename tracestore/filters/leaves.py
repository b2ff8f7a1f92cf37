"""One test of one field as SQL.

Every value and every key is bound; the text is made of the constants here and of names from `fields`. What is
absent is NULL, or no row, and passes no test but IS NULL.

`t` is the trace that is looked at, `s0`, `s1`, … are spans, from the outermost condition inwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tracestore.encoding import bindable
from tracestore.filters import ast, fields, patterns, values
from tracestore.filters.fields import Found, Source, Type
from tracestore.filters.scans import assessment_names
from tracestore.filters.sql import FALSE, TRUE, Bindable, Fragment, build, join, marks
from tracestore.filters.times import Moment, id_range
from tracestore.storage.schema import PAYLOAD_MARK, SHARED_COLUMNS

_TRACE_COLUMNS = {
    "end": "((t.id >> 20) + ifnull(t.duration_ms, 0))",
    "start": "(t.id >> 20)",
    "experiment": "CAST(t.experiment AS TEXT)",
    "span_count": "(SELECT count(*) FROM spans WHERE trace = t.id)",
}


def leaf_test(leaf: ast.Leaf, moment: Moment, span: int | None) -> Fragment:
    """Return the SQL of one test of one field."""
    found = fields.find(leaf.field, in_span=span is not None)
    source = found.field.source
    if source is Source.SPAN:
        return _span_leaf(found, leaf, moment, span or 0)
    if source is Source.TRACE:
        return _trace_leaf(found, leaf, moment)
    if source is Source.RESOURCE:
        return build("(t.resource IN ({}))", resources(leaf, moment))
    if source is Source.ASSESSMENT:
        return _assessment_leaf(found, leaf, moment)
    if source is Source.PROMPT:
        return _prompt_leaf(found, leaf)
    table = "tags" if source is Source.TAGS else "metadata"
    if isinstance(leaf, ast.NullTest):
        some = "EXISTS" if leaf.negated else "NOT EXISTS"
        return build(f"({some} (SELECT 1 FROM {table} WHERE trace = t.id AND key = ?))", found.key)
    test = _text(Fragment("value"), leaf, moment)
    return build(
        f"EXISTS (SELECT 1 FROM {table} WHERE trace = t.id AND key = ? AND {{}})", found.key, test
    )


def text_test(column: Fragment, test: ast.Node | None, moment: Moment) -> Fragment:
    """Return the test of a text by a leaf of any field of texts, by NOT of one, or by none."""
    if isinstance(test, ast.Not):
        return build("({} IS NOT TRUE)", text_test(column, test.operand, moment))
    if isinstance(test, (ast.Comparison, ast.Match, ast.Membership, ast.Between, ast.NullTest)):
        return _text(column, test, moment)
    return TRUE


def resources(leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return the SELECT of the ids of the resources that meet a condition on metadata."""
    found = fields.find(leaf.field)
    member = build("tracestore_text_at(r.metadata, ?)", found.key)
    return build("SELECT r.id FROM resources AS r WHERE {}", _text(member, leaf, moment))


def trace_column(column: str) -> Fragment:
    """Return the expression of a column of traces, or of a quantity made of it."""
    return Fragment(_TRACE_COLUMNS.get(column, f"t.{column}"))


def span_column(column: str, span: int) -> Fragment:
    """Return the expression of a column of a span, or of a quantity made of it."""
    alias = f"s{span}"
    if column == "duration":
        return Fragment(f"({alias}.end_time_ns - {alias}.start_time_ns)")
    return Fragment(_span_text(alias, column))


def assessment_kind(found: Found, alias: str = "a") -> Fragment:
    """Return the test that an assessment is of the kind that the field speaks of."""
    kind = found.column
    return build(f"{alias}.kind = ?", kind) if kind else TRUE


def sql_operator(operator: str) -> str:
    """Return a comparator of the language, from the closed list, in SQL."""
    return {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}[operator]


def _span_text(alias: str, column: str) -> str:
    """Return the expression of a span's column, whole."""
    name = f"{alias}.{column}"
    if column not in SHARED_COLUMNS:
        return name
    # Not `schema.whole`: within the deepest conditions it is too deep for SQLite's parser.
    return f"iif({name} GLOB '{PAYLOAD_MARK}*', tracestore_whole({name}), {name})"


def _trace_leaf(found: Found, leaf: ast.Leaf, moment: Moment) -> Fragment:
    if found.column == "start":
        limits = id_range(leaf, moment.now_ns)
        if limits is not None:
            return build("(t.id BETWEEN ? AND ?)", *limits)
    return _column(trace_column(found.column), found, leaf, moment)


def _span_leaf(found: Found, leaf: ast.Leaf, moment: Moment, span: int) -> Fragment:
    if found.field.type is Type.TEXT and isinstance(leaf, ast.Match):
        return _readable(leaf, moment, f"s{span}")
    column = span_column(found.column, span)
    if found.field.type is Type.JSON:
        return _json(column, found.key, leaf, moment, lenient=False)
    return _column(column, found, leaf, moment)


def _column(column: Fragment, found: Found, leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return the test of a plain column by its type."""
    if isinstance(leaf, ast.NullTest):
        return build(f"({{}} IS {'NOT ' if leaf.negated else ''}NULL)", column)
    if found.field.type in {Type.INSTANT, Type.LENGTH}:
        return _time(column, found, leaf, moment)
    if found.field.type is Type.NUMBER:
        return _number(column, leaf)
    return _text(column, leaf, moment)


def _comparisons(leaf: ast.Leaf) -> tuple[str, tuple[ast.Comparison, ...]]:
    """Return BETWEEN as the comparisons that it stands for, and the operator that joins them."""
    if isinstance(leaf, ast.Comparison):
        return "AND", (leaf,)
    if isinstance(leaf, ast.Between):
        low, high = ("<", ">") if leaf.negated else (">=", "<=")
        parts = (
            ast.Comparison(leaf.field, low, leaf.low),
            ast.Comparison(leaf.field, high, leaf.high),
        )
        return ("OR" if leaf.negated else "AND"), parts
    raise TypeError(type(leaf).__name__)


def _within(column: Fragment, wanted: Sequence[Bindable], *, negated: bool) -> Fragment:
    """Return `column [NOT] IN (…)`; of an absent value neither holds."""
    if not wanted:
        return build("({} IS NOT NULL)", column) if negated else FALSE
    operator = "NOT IN" if negated else "IN"
    return build(f"({{}} {operator} ({marks(len(wanted))}))", column, *wanted)


def _time(column: Fragment, found: Found, leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return the test of a column of whole milliseconds or nanoseconds."""

    def limits(operator: str, value: ast.Value) -> list[tuple[int, int]]:
        ranges = values.intervals(found.field, operator, value, moment.now_ns)
        clamped = (values.clamp(each, values.MIN_INTEGER, values.MAX_INTEGER) for each in ranges)
        return [pair for pair in clamped if pair is not None]

    if isinstance(leaf, ast.Membership):
        whole = [low for value in leaf.values for low, _ in limits("=", value)]
        return _within(column, whole, negated=leaf.negated)
    operator, parts = _comparisons(leaf)
    tests = [
        join(
            "OR",
            [
                build("({} BETWEEN ? AND ?)", column, *pair)
                for pair in limits(part.operator, part.value)
            ],
        )
        for part in parts
    ]
    return join(operator, tests)


def _number(column: Fragment, leaf: ast.Leaf) -> Fragment:
    if isinstance(leaf, ast.Membership):
        return _within(
            column, [values.number(value) for value in leaf.values], negated=leaf.negated
        )
    operator, parts = _comparisons(leaf)
    tests = [
        build(f"({{}} {sql_operator(part.operator)} ?)", column, values.number(part.value))
        for part in parts
    ]
    return join(operator, tests)


def _text(column: Fragment, leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return the test of a text: as a number where it is compared with one."""
    if isinstance(leaf, ast.NullTest):
        return build(f"({{}} IS {'NOT ' if leaf.negated else ''}NULL)", column)
    if isinstance(leaf, ast.Match):
        return _match(column, leaf, moment)
    if isinstance(leaf, ast.Membership):
        return _text_within(column, leaf)
    operator, parts = _comparisons(leaf)
    return join(operator, [_text_comparison(column, part) for part in parts])


def _text_within(column: Fragment, leaf: ast.Membership) -> Fragment:
    texts = [value.value for value in leaf.values if isinstance(value, ast.Text)]
    numbers = [values.number(value) for value in leaf.values if isinstance(value, ast.Number)]
    tests = [_within(column, texts, negated=leaf.negated)] if texts else []
    if numbers:
        as_number = build("tracestore_number({})", column)
        tests.append(_within(as_number, numbers, negated=leaf.negated))
    return join("AND" if leaf.negated else "OR", tests)


def _text_comparison(column: Fragment, part: ast.Comparison) -> Fragment:
    operator = sql_operator(part.operator)
    if isinstance(part.value, ast.Number):
        return build(f"(tracestore_number({{}}) {operator} ?)", column, values.number(part.value))
    text = part.value.value if isinstance(part.value, ast.Text) else str(part.value)
    return build(f"({{}} {operator} ?)", column, text)


def _match(column: Fragment, leaf: ast.Match, moment: Moment) -> Fragment:
    """Return the test of a text by a pattern; an absent text neither matches nor fails to."""
    negation = " IS FALSE" if leaf.negated else ""
    if leaf.operator == "RLIKE":
        pattern, deadline = leaf.pattern.value, moment.deadline_ns
        return build(f"(tracestore_rlike(?, {{}}, ?){negation})", pattern, column, deadline)
    folded = leaf.operator == "ILIKE"
    glob = patterns.to_glob(leaf.pattern.value, fold=folded)
    if glob is None:
        return build("({} IS NOT NULL)", column) if leaf.negated else FALSE
    if folded:
        column = build("tracestore_casefold({})", column)
    return build(f"(({{}} GLOB ?){negation})", column, glob)


def _json(
    document: Fragment, path: str | None, leaf: ast.Leaf, moment: Moment, *, lenient: bool
) -> Fragment:
    """Return the test of a scalar within JSON text."""
    text = build("tracestore_text_at({}, ?)", document, path)
    if isinstance(leaf, ast.NullTest):
        return build(f"({{}} IS {'NOT ' if leaf.negated else ''}NULL)", text)
    if isinstance(leaf, ast.Match):
        test = _match(text, leaf, moment)
    elif isinstance(leaf, ast.Membership):
        operator = "NOT IN" if leaf.negated else "IN"
        literals = [_scalar(value) for value in leaf.values]
        test = _json_test(document, path, operator, literals, lenient=lenient)
    else:
        joined, parts = _comparisons(leaf)
        tests = [
            _json_test(document, path, part.operator, _scalar(part.value), lenient=lenient)
            for part in parts
        ]
        test = join(joined, tests)
    return build("({} AND {})", _mentions(document, path), test)


def _json_test(
    document: Fragment, path: str | None, operator: str, literal: object, *, lenient: bool
) -> Fragment:
    text = json.dumps(literal)
    return build("tracestore_matches({}, ?, ?, ?, ?)", document, path, operator, text, int(lenient))


def _mentions(document: Fragment, path: str | None) -> Fragment:
    """Return a cheap test that JSON text holds the last key of `path` at all, before it is decoded."""
    last = path.rpartition(".")[2] if path else ""
    if not re.fullmatch(
        r"[A-Za-z0-9_ -]+", last
    ):  # any other character may be written as an escape
        return build("({} IS NOT NULL)", document)
    return build("(instr({}, ?) > 0)", document, last)


def _scalar(value: ast.Value) -> str | int | float | bool:
    if isinstance(value, ast.Number):
        return bindable(value.value)
    return value.value if isinstance(value, (ast.Text, ast.Truth)) else str(value)


def _assessment_leaf(found: Found, leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return whether any valid assessment of the name, or of an object that the name reaches into, passes."""
    is_absence = isinstance(leaf, ast.NullTest) and not leaf.negated
    wanted = ast.NullTest(leaf.field, negated=True) if is_absence else leaf
    tests = []
    for name, path in assessment_names(found.key or ""):
        if path is None and isinstance(wanted, ast.NullTest):
            test = TRUE  # an assessment without a value is there all the same
        else:
            test = _assessment_test(path, wanted, moment)
        tests.append(build("(a.name = ? AND {})", name, test))
    some = Fragment("NOT EXISTS" if is_absence else "EXISTS")
    return build(
        "({} (SELECT 1 FROM assessments AS a WHERE a.trace = t.id AND a.valid = 1 AND {} AND {}))",
        some,
        assessment_kind(found),
        join("OR", tests),
    )


def _assessment_test(path: str | None, leaf: ast.Leaf, moment: Moment) -> Fragment:
    return _json(Fragment("a.value"), path, leaf, moment, lenient=True)


def _prompt_leaf(found: Found, leaf: ast.Leaf) -> Fragment:
    """Return the test of the prompts that metadata or a tag links."""
    rows = build(
        """
        SELECT value FROM metadata WHERE trace = t.id AND key = ?
        UNION ALL SELECT value FROM tags WHERE trace = t.id AND key = ?""",
        found.key,
        found.key,
    )
    negated = isinstance(leaf, ast.NullTest) and not leaf.negated
    some = Fragment("NOT EXISTS" if negated else "EXISTS")
    return build("({} (SELECT 1 FROM ({}) WHERE {}))", some, rows, _prompt_test(leaf))


def _prompt_test(leaf: ast.Leaf) -> Fragment:
    if isinstance(leaf, ast.Membership):
        operator = "NOT IN" if leaf.negated else "IN"
        literal: object = [_scalar(value) for value in leaf.values]
    elif isinstance(leaf, ast.Comparison):
        operator, literal = leaf.operator, _scalar(leaf.value)
    else:
        operator, literal = "!=", ""  # any prompt at all
    return build("tracestore_prompt(value, ?, ?)", operator, json.dumps(literal))


def _readable(leaf: ast.Match, moment: Moment, alias: str) -> Fragment:
    """Return the test of a span's text, after a cheap one of its JSON that fails for most spans."""
    columns = ("name", "inputs", "outputs", "attributes", "events")
    whole_columns = [_span_text(alias, column) for column in columns]
    text = Fragment(f"tracestore_readable({', '.join(whole_columns)})")
    test = _match(text, leaf, moment)
    infix = patterns.infix_of(leaf.pattern.value)
    if leaf.negated or infix is None or not _is_plain(infix):
        return test
    if leaf.operator == "ILIKE":
        blobs = ", ".join(f"CAST({column} AS BLOB)" for column in whole_columns)
        may_hold = build(f"tracestore_may_hold(?, {blobs})", infix.lower())
    else:
        held = [build(f"ifnull(instr({column}, ?) > 0, 0)", infix) for column in whole_columns]
        may_hold = join("OR", held)
    return build("({} AND {})", may_hold, test)


def _is_plain(text: str) -> bool:
    """Return whether JSON holds `text` as it is, if a key or a value in it does.

    False where it may be written as an escape, or may be a number that is written in another way.
    """
    return re.fullmatch(r"[A-Za-z0-9 _.,:;()'-]+", text) is not None and bool(
        re.search("[A-DF-Za-df-z _]", text)
    )
