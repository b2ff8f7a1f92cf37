"""Conditions as SQL that is true where they hold.

What is not known (a NULL) counts as false: AND and OR keep to that by themselves, and NOT is written
`IS NOT TRUE`. `t` is the trace that is looked at, `s0`, `s1`, … are spans, from the outermost condition inwards.
"""

from __future__ import annotations

from collections.abc import Mapping

from tracestore.encoding import bindable
from tracestore.filters import ast, fields, values
from tracestore.filters.fields import Found, Type
from tracestore.filters.indexes import COLUMN_INDEXES
from tracestore.filters.leaves import leaf_test, span_column, sql_operator
from tracestore.filters.sql import TRUE, Fragment, build, join
from tracestore.filters.times import Moment

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
    return leaf_test(node, moment, span)


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
    test = build("EXISTS (SELECT 1 FROM spans AS s0 WHERE {} AND s0.trace = t.id)", inner)
    operands = node.condition.operands if isinstance(node.condition, ast.And) else ()
    comparisons = [operand for operand in operands if isinstance(operand, ast.Comparison)]
    equal = {index: leaf for leaf in comparisons if (index := _index_of(leaf)) is not None}
    if len(equal) < 2:
        return test
    in_indexes = _test_of_indexes(equal, moment)
    return in_indexes if len(operands) == 2 else join("AND", [in_indexes, test])


def _test_of_indexes(equal: Mapping[str, ast.Comparison], moment: Moment) -> Fragment:
    """Return whether a span meets the first two of some equalities, by index: reads their entries and no row.

    Where two common values never meet in one span, it spares reading a page of 16 KB for each.
    """
    (first, leaf), (second, other) = list(equal.items())[:2]
    return build(
        f"EXISTS (SELECT 1 FROM spans AS s0 INDEXED BY {first} CROSS JOIN spans AS s1 INDEXED BY {second}"
        " WHERE {} AND s0.trace = t.id AND {} AND s1.trace = t.id AND s1.id = s0.id)",
        leaf_test(leaf, moment, 0),
        leaf_test(other, moment, 1),
    )


def _index_of(leaf: ast.Comparison) -> str | None:
    """Return the index whose entries say whether a span meets an equality with a text, None for anything else."""
    if leaf.operator != "=" or not isinstance(leaf.value, ast.Text):
        return None
    found = fields.find(leaf.field, in_span=True)
    return COLUMN_INDEXES.get((found.field.source, found.column))


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
    inner = condition(node.condition, moment, 0) if node.condition else TRUE
    if node.field is None:
        quantity, bound = Fragment("count(*)"), values.number(node.value)
    else:
        found = fields.find(node.field, in_span=True)
        of_span = _number_of_span(found)
        template = _AGGREGATES[node.function]
        quantity = build(template, *([of_span] * template.count("{}")))
        bound = _aggregate_bound(node, found, moment)
    return build(
        f"((SELECT {{}} FROM spans AS s0 WHERE {{}} AND s0.trace = t.id) {sql_operator(node.operator)} ?)",
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
    return span_column(found.column, 0)
