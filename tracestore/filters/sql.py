"""Conditions and streams as SQL: the only place where a filter becomes text that SQLite reads.

Every value and every key is bound. The text is made of the constants below and of names from `fields` and
`plan`; `build` refuses a template whose places and parts don't agree. What is not known (a NULL) counts as
false: AND and OR keep to that by themselves, and NOT is written `IS NOT TRUE`.

`t` is the trace that is looked at, `s0`, `s1`, … are spans, from the outermost condition inwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from tracestore.encoding import bindable
from tracestore.filters import ast, fields, patterns, values
from tracestore.filters.fields import Found, Source, Type
from tracestore.filters.parser import OrderItem
from tracestore.filters.plan import INDEXES, Scan, Stream, assessment_names, id_range
from tracestore.storage.schema import PAYLOAD_MARK, SHARED_COLUMNS

Bindable: TypeAlias = "str | int | float | None"


@dataclass(frozen=True)
class Fragment:
    """A piece of SQL and the values of its question marks, in order."""

    text: str
    values: tuple[Bindable, ...] = ()


@dataclass(frozen=True)
class Moment:
    """When a search runs.

    Attributes:
        now_ns: What `now()` is, in nanoseconds since 1970.
        deadline_ns: When regular expressions must be done, of `time.monotonic_ns`.
    """

    now_ns: int
    deadline_ns: int


#: The lowest and the highest id of all traces.
EXTENT = Fragment("SELECT (SELECT min(id) FROM traces), (SELECT max(id) FROM traces)")

#: How far the text index has come.
INDEXED_TO = Fragment("SELECT indexed_to FROM text_progress")

#: Experiments beyond which it is not worth looking whether they are all there are.
_MAX_GAPS = 16

#: How many conditions are joined in a row.
_CHAIN = 32

_PLACE = re.compile(r"\{\}|\?")
_TRUE = Fragment("1")
_FALSE = Fragment("0")

_TRACE_COLUMNS = {
    "end": "((t.id >> 20) + ifnull(t.duration_ms, 0))",
    "start": "(t.id >> 20)",
    "experiment": "CAST(t.experiment AS TEXT)",
    "span_count": "(SELECT count(*) FROM spans WHERE trace = t.id)",
}

_AGGREGATES = {
    "sum_spans": "CASE WHEN count({}) THEN total({}) END",
    "avg_spans": "avg({})",
    "min_spans": "min({})",
    "max_spans": "max({})",
}

_RELATED = {
    "parent": """
        EXISTS (SELECT 1 FROM spans AS {} WHERE {} AND {}.trace = {}.trace AND {}.span_id = {}.parent_id)""",
    "any_child": """
        EXISTS (SELECT 1 FROM spans AS {} WHERE {} AND {}.trace = {}.trace AND {}.parent_id = {}.span_id)""",
    # UNION, not UNION ALL: a file may hold a circle of parents, and each span is looked at once.
    "any_ancestor": """
        EXISTS (
            WITH RECURSIVE up (span_id) AS (
                SELECT {}.parent_id
                UNION
                SELECT p.parent_id FROM up CROSS JOIN spans AS p ON p.trace = {}.trace AND p.span_id = up.span_id
            )
            SELECT 1 FROM up CROSS JOIN spans AS {} ON {}.trace = {}.trace AND {}.span_id = up.span_id WHERE {}
        )""",
    "any_descendant": """
        EXISTS (
            WITH RECURSIVE down (span_id) AS (
                SELECT c.span_id FROM spans AS c WHERE c.trace = {}.trace AND c.parent_id = {}.span_id
                UNION
                SELECT c.span_id FROM down CROSS JOIN spans AS c ON c.trace = {}.trace AND c.parent_id = down.span_id
            )
            SELECT 1 FROM down CROSS JOIN spans AS {} ON {}.trace = {}.trace AND {}.span_id = down.span_id WHERE {}
        )""",
}


def build(template: str, *parts: Fragment | Bindable) -> Fragment:
    """Return `template` with each `{}` replaced by a Fragment and each `?` bound to a value, in order."""
    waiting = iter(parts)
    bound: list[Bindable] = []

    def place(found: re.Match[str]) -> str:
        part = next(waiting)
        if isinstance(part, Fragment) is not (found.group() == "{}"):
            raise TypeError(f"{found.group()} in {template!r} is given {type(part).__name__}")
        if isinstance(part, Fragment):
            bound.extend(part.values)
            return part.text
        bound.append(part)
        return "?"

    text = _PLACE.sub(place, template)
    if next(waiting, None) is not None:
        raise TypeError(f"too many parts for {template!r}")
    return Fragment(text, tuple(bound))


def join(operator: str, parts: Sequence[Fragment]) -> Fragment:
    """Return `parts` joined by AND or OR."""
    if not parts:
        return _TRUE if operator == "AND" else _FALSE
    if len(parts) == 1:
        return parts[0]
    if (
        len(parts) > _CHAIN
    ):  # SQLite limits the depth of expressions, and a chain is as deep as it is long
        chains = (parts[start : start + _CHAIN] for start in range(0, len(parts), _CHAIN))
        return join(operator, [join(operator, chain) for chain in chains])
    return build(f"({f' {operator} '.join('{}' for _ in parts)})", *parts)


def comma(parts: Sequence[Fragment]) -> Fragment:
    """Return `parts` with commas between them."""
    return build(", ".join("{}" for _ in parts), *parts)


def condition(node: ast.Node, moment: Moment, span: int | None = None) -> Fragment:
    """Return the SQL that is true where `node` holds.

    Args:
        node: In normal form.
        moment: When the search runs.
        span: Number of the span that is looked at; None where it is the trace `t`.
    """
    if isinstance(node, (ast.And, ast.Or)):
        # The deepest first: what stands before it waits on the stack of SQLite's parser, which holds 100.
        operands = sorted(node.operands, key=_height, reverse=True)
        operator = "AND" if isinstance(node, ast.And) else "OR"
        return join(operator, [condition(operand, moment, span) for operand in operands])
    if isinstance(node, ast.Not):
        return build("({} IS NOT TRUE)", condition(node.operand, moment, span))
    if isinstance(node, ast.SpanTest):
        return _span_test(node, moment)
    if isinstance(node, ast.Related):
        return _related(node, moment, span or 0)
    if isinstance(node, ast.Aggregate):
        return _aggregate(node, moment)
    return _leaf(node, moment, span)


def stream(source: Stream, low: int, high: int, *, descending: bool) -> Fragment:
    """Return the SELECT of a stream: ids of traces as `trace`, each once, in the order of ids."""
    legs = [_scan(leg, low, high) for leg in source.legs]
    text = "\nUNION\n".join(leg.text for leg in legs)
    bound = tuple(value for leg in legs for value in leg.values)
    direction = "DESC" if descending else "ASC"
    # Without a LIMIT SQLite may drop this ORDER BY, seeing no use in it.
    return Fragment(f"{text}\nORDER BY trace {direction}\nLIMIT -1", bound)


def unordered(source: Stream, low: int, high: int) -> Fragment:
    """Return the SELECT of a stream in any order: ids of traces as `trace`, each once."""
    legs = [_scan(leg, low, high) for leg in source.legs]
    return Fragment(
        "\nUNION\n".join(leg.text for leg in legs), tuple(v for leg in legs for v in leg.values)
    )


def probe_ordered(scan: Scan, low: int, high: int, limit: int, *, descending: bool) -> Fragment:
    """Return the SELECT of the number of entries, at most `limit`, and of the last id among them."""
    last = Fragment("min" if descending else "max")
    return build(
        "SELECT count(*), {}(trace) FROM (SELECT trace FROM ({}) LIMIT ?)",
        last,
        stream(scan, low, high, descending=descending),
        limit,
    )


def probe_range(scan: Scan, low: int, high: int, limit: int) -> Fragment:
    """Return the SELECT of the number of entries of a scan in any order, at most `limit`."""
    return build(
        "SELECT count(*), NULL FROM ({} LIMIT ?)", _scan(scan, low, high, distinct=False), limit
    )


def resources(leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return the SELECT of the ids of the resources that meet a condition on metadata."""
    found = fields.find(leaf.field)
    member = build("tracestore_text_at(r.metadata, ?)", found.key)
    return build("SELECT r.id FROM resources AS r WHERE {}", _text(member, leaf, moment))


def outside_experiments(wanted: Sequence[int]) -> Fragment | None:
    """Return the SELECT of whether any trace is in none of these experiments (ascending); None if too many."""
    if len(wanted) > _MAX_GAPS:
        return None
    gaps = [build("experiment < ?", wanted[0]), build("experiment > ?", wanted[-1])]
    gaps += [build("experiment > ? AND experiment < ?", *pair) for pair in pairwise(wanted)]
    some = [
        build("EXISTS (SELECT 1 FROM traces INDEXED BY traces_experiment WHERE {})", gap)
        for gap in gaps
    ]
    return build("SELECT {}", join("OR", some))


def order_term(item: OrderItem, key: Fragment) -> Fragment:
    """Return an item of ORDER BY."""
    direction = "DESC" if item.descending else "ASC"
    return build(f"{{}} {direction} NULLS {'FIRST' if item.nulls_first else 'LAST'}", key)


def order_key(item: OrderItem) -> Fragment:
    """Return the expression that an item of an order sorts by; absent is NULL."""
    found = fields.find(item.field)
    source = found.field.source
    if source is Source.TRACE:
        column = {"experiment": "t.experiment"}.get(found.column)
        return Fragment(column or _TRACE_COLUMNS.get(found.column, f"t.{found.column}"))
    if source is Source.TAGS:
        return build("(SELECT value FROM tags WHERE trace = t.id AND key = ?)", found.key)
    if source is Source.METADATA:
        return build("(SELECT value FROM metadata WHERE trace = t.id AND key = ?)", found.key)
    if source is Source.RESOURCE:
        return build(
            "(SELECT tracestore_text_at(metadata, ?) FROM resources WHERE id = t.resource)",
            found.key,
        )
    return _newest_said(found)


def _newest_said(found: Found) -> Fragment:
    """Return the scalar of the newest valid assessment of the name, or of an object that the name reaches into."""
    (name, _), *objects = assessment_names(found.key or "")
    if not objects:
        return build(
            "(SELECT scalar FROM assessments AS a WHERE a.trace = t.id AND a.name = ? AND {} AND a.valid = 1"
            " ORDER BY a.id DESC LIMIT 1)",
            name,
            _assessment_kind(found),
        )
    within = [
        build(
            "WHEN ? THEN coalesce(tracestore_number_at(a.value, ?), tracestore_text_at(a.value, ?))",
            each,
            path,
            path,
        )
        for each, path in objects
    ]
    scalar = build(
        f"CASE a.name WHEN ? THEN a.scalar {' '.join('{}' for _ in within)} END", name, *within
    )
    named = build(f"a.name IN ({_marks(len(objects) + 1)})", name, *(each for each, _ in objects))
    return build(
        "(SELECT {} AS said FROM assessments AS a WHERE a.trace = t.id AND {} AND {} AND a.valid = 1"
        " AND said IS NOT NULL ORDER BY a.id DESC LIMIT 1)",
        scalar,
        named,
        _assessment_kind(found),
    )


def _scan(scan: Scan, low: int, high: int, *, distinct: bool = True) -> Fragment:
    index = INDEXES[scan.index]
    repeats = distinct and not index.is_unique
    hint = "" if index.is_primary else f" INDEXED BY {scan.index}"
    where = [
        build(f"{column} = ?", _bound(value))
        for column, value in zip(index.columns, scan.equal, strict=False)
    ]
    for comparator, value in scan.bounds:
        where.append(_limit(index.columns[len(scan.equal)], comparator, value))
    if index.where:
        where.append(Fragment(index.where))
    where.append(build(f"{index.trace} BETWEEN ? AND ?", low, high))
    select = f"SELECT {'DISTINCT ' if repeats else ''}{index.trace} AS trace FROM {index.table}{hint} WHERE "
    return build(select + " AND ".join("{}" for _ in where), *where)


def _limit(column: str, comparator: str, value: object) -> Fragment:
    if isinstance(value, tuple):
        return build(f"{column} {comparator} ({_marks(len(value))})", *map(_bound, value))
    return build(f"{column} {comparator} ?", _bound(value))


def _bound(value: object) -> Bindable:
    """Return `value`, which came out of a plan, as what it is: something to bind."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(type(value).__name__)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _height(node: ast.Node) -> int:
    """Return how many conditions stand within each other."""
    if isinstance(node, (ast.And, ast.Or)):
        return 1 + max(map(_height, node.operands))
    if isinstance(node, ast.Not):
        return 1 + _height(node.operand)
    if isinstance(node, (ast.SpanTest, ast.Related)):
        return 1 + _height(node.condition)
    if isinstance(node, ast.Aggregate) and node.condition is not None:
        return 1 + _height(node.condition)
    return 0


def _span_test(node: ast.SpanTest, moment: Moment) -> Fragment:
    inner = condition(node.condition, moment, 0)
    if node.quantifier == "all_spans":
        inner = build("({} IS NOT TRUE)", inner)
    if node.quantifier != "any_span":
        return build("(NOT EXISTS (SELECT 1 FROM spans AS s0 WHERE {} AND s0.trace = t.id))", inner)
    return build("EXISTS (SELECT 1 FROM spans AS s0 WHERE {} AND s0.trace = t.id)", inner)


def _related(node: ast.Related, moment: Moment, span: int) -> Fragment:
    this, other = Fragment(f"s{span}"), Fragment(f"s{span + 1}")
    inner = condition(node.condition, moment, span + 1)
    template = _RELATED[node.relation]
    if node.relation in {"parent", "any_child"}:
        return build(template, other, inner, other, this, other, this)
    if node.relation == "any_ancestor":
        return build(template, this, this, other, other, this, other, inner)
    return build(template, this, this, this, other, other, this, other, inner)


def _aggregate(node: ast.Aggregate, moment: Moment) -> Fragment:
    inner = condition(node.condition, moment, 0) if node.condition else _TRUE
    if node.field is None:
        quantity, bound = Fragment("count(*)"), values.number(node.value)
    else:
        found = fields.find(node.field, in_span=True)
        of_span = _number_of_span(found)
        template = _AGGREGATES[node.function]
        quantity = build(template, *([of_span] * template.count("{}")))
        bound = _aggregate_bound(node, found, moment)
    return build(
        f"((SELECT {{}} FROM spans AS s0 WHERE {{}} AND s0.trace = t.id) {_sql_operator(node.operator)} ?)",
        quantity,
        inner,
        bound,
    )


def _aggregate_bound(node: ast.Aggregate, found: Found, moment: Moment) -> int | float:
    if found.field.type is Type.JSON:
        return values.number(node.value)
    bound = values.nanoseconds(node.value, found.field.type, moment.now_ns) / found.field.unit_ns
    return bindable(int(bound) if bound.denominator == 1 else float(bound))


def _number_of_span(found: Found) -> Fragment:
    if found.field.type is Type.JSON:
        return build(f"tracestore_number_at(s0.{found.column}, ?)", found.key)
    return _span_column(found.column, 0)


def _span_column(column: str, span: int) -> Fragment:
    alias = f"s{span}"
    if column == "duration":
        return Fragment(f"({alias}.end_time_ns - {alias}.start_time_ns)")
    return Fragment(_span_text(alias, column))


def _span_text(alias: str, column: str) -> str:
    """Return the expression of a span's column, whole."""
    name = f"{alias}.{column}"
    if column not in SHARED_COLUMNS:
        return name
    # Not `schema.whole`: within the deepest conditions it is too deep for SQLite's parser.
    return f"iif({name} GLOB '{PAYLOAD_MARK}*', tracestore_whole({name}), {name})"


def _leaf(leaf: ast.Leaf, moment: Moment, span: int | None) -> Fragment:
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


def _trace_leaf(found: Found, leaf: ast.Leaf, moment: Moment) -> Fragment:
    if found.column == "start":
        limits = id_range(leaf, moment.now_ns)
        if limits is not None:
            return build("(t.id BETWEEN ? AND ?)", *limits)
    column = Fragment(_TRACE_COLUMNS.get(found.column, f"t.{found.column}"))
    return _column(column, found, leaf, moment)


def _span_leaf(found: Found, leaf: ast.Leaf, moment: Moment, span: int) -> Fragment:
    if found.field.type is Type.TEXT and isinstance(leaf, ast.Match):
        return _readable(leaf, moment, f"s{span}")
    column = _span_column(found.column, span)
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


def _sql_operator(operator: str) -> str:
    """Return a comparator of the language, from the closed list, in SQL."""
    return {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}[operator]


def _within(column: Fragment, wanted: Sequence[Bindable], *, negated: bool) -> Fragment:
    """Return `column [NOT] IN (…)`; of an absent value neither holds."""
    if not wanted:
        return build("({} IS NOT NULL)", column) if negated else _FALSE
    operator = "NOT IN" if negated else "IN"
    return build(f"({{}} {operator} ({_marks(len(wanted))}))", column, *wanted)


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
        build(f"({{}} {_sql_operator(part.operator)} ?)", column, values.number(part.value))
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
    operator = _sql_operator(part.operator)
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
        return build("({} IS NOT NULL)", column) if leaf.negated else _FALSE
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


def _assessment_kind(found: Found) -> Fragment:
    kind = found.column
    return build("a.kind = ?", kind) if kind else _TRUE


def _assessment_leaf(found: Found, leaf: ast.Leaf, moment: Moment) -> Fragment:
    """Return whether any valid assessment of the name, or of an object that the name reaches into, passes."""
    is_absence = isinstance(leaf, ast.NullTest) and not leaf.negated
    wanted = ast.NullTest(leaf.field, negated=True) if is_absence else leaf
    tests = []
    for name, path in assessment_names(found.key or ""):
        if path is None and isinstance(wanted, ast.NullTest):
            test = _TRUE  # an assessment without a value is there all the same
        else:
            test = _assessment_test(path, wanted, moment)
        tests.append(build("(a.name = ? AND {})", name, test))
    some = Fragment("NOT EXISTS" if is_absence else "EXISTS")
    return build(
        "({} (SELECT 1 FROM assessments AS a WHERE a.trace = t.id AND a.valid = 1 AND {} AND {}))",
        some,
        _assessment_kind(found),
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
