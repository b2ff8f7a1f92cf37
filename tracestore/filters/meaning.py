"""The AST made sure of and made simple: every field exists and takes its operator and value, and few forms are left.

`normalise` returns an AST of the same meaning in which
    aliases are canonical            state -> status, tags.`mlflow.traceName` -> name
    the same-span rule is explicit   span.a = 1 AND span.b = 2 -> any_span(span.a = 1 AND span.b = 2)
    fields of spans are span tests   error, request, response, text -> any_span(…) or no_span(…)
    a LIKE without wildcards is =, and NOT NOT is gone.

Invariant: what comes out compiles; a FilterSyntaxError comes from here or from the parser, never later.
"""

from __future__ import annotations

from typing import NoReturn

from tracestore.errors import FilterSyntaxError
from tracestore.filters import ast, fields, patterns, values
from tracestore.filters.fields import Field, Source, Type
from tracestore.filters.parser import OrderItem

#: How heavy a condition may be by what stands within what, because SQLite's parser holds 100 unfinished
#: things: AND, OR and NOT weigh 1 (more than 32 in a row 2), a condition on spans 8, one on ancestors or
#: descendants 12.
MAX_WEIGHT = 56

_SPAN_QUANTITIES = {Type.NUMBER, Type.LENGTH, Type.JSON}


def normalise(node: ast.Node, source: str = "") -> ast.Node:
    """Return `node` checked and in normal form.

    Args:
        node: As parsed, or as made by code.
        source: The text it was parsed from, for errors.

    Raises:
        FilterSyntaxError: With the place of a field, operator or value that is of no use where it stands.
    """
    check = _Check(source)
    normal = check.node(node, in_span=False)
    if _weight(normal) > MAX_WEIGHT:
        check.fail(
            "conditions are nested too deeply: divide the filter, or nest less", (0, len(source))
        )
    return normal


def normalise_order(item: OrderItem, source: str = "") -> OrderItem:
    """Return an item of an order with its canonical field.

    Raises:
        FilterSyntaxError: If there is no such field, or nothing can be ordered by it.
    """
    check = _Check(source)
    reference, field = check.reference(item.field, in_span=False)
    if field.source is Source.SPAN or not field.sortable:
        check.fail(
            f"traces can't be ordered by {field.name}: a trace may have several", item.field.at
        )
    return OrderItem(reference, item.descending, item.nulls_first)


class _Check:
    """One walk over one AST."""

    def __init__(self, source: str) -> None:
        self.source = source

    def fail(self, reason: str, at: ast.At) -> NoReturn:
        """Raise a FilterSyntaxError at that place."""
        raise FilterSyntaxError(reason, self.source, *at)

    def node(self, node: ast.Node, *, in_span: bool) -> ast.Node:
        """Return the normal form of any node."""
        if isinstance(node, ast.Not):
            return ast.negation(self.node(node.operand, in_span=in_span))
        if isinstance(node, ast.And):
            return self._and(node, in_span=in_span)
        if isinstance(node, ast.Or):
            operands = (self.node(operand, in_span=in_span) for operand in node.operands)
            return ast.disjunction(operands) or node
        if isinstance(node, ast.SpanTest):
            if in_span:
                self.fail(f"{node.quantifier} can't stand in a condition on one span", node.at)
            return ast.SpanTest(node.quantifier, self.node(node.condition, in_span=True), node.at)
        if isinstance(node, ast.Related):
            if not in_span:
                self.fail(
                    f"{node.relation}(…) relates to one span: write any_span({node.relation}(…))",
                    node.at,
                )
            return ast.Related(node.relation, self.node(node.condition, in_span=True), node.at)
        if isinstance(node, ast.Aggregate):
            return self._aggregate(node, in_span=in_span)
        return self._trace_leaf(node) if not in_span else self._leaf(node, in_span=True)

    def _and(self, node: ast.And, *, in_span: bool) -> ast.Node:
        """Return the conjunction, with its span comparisons gathered into one test of one span."""
        if in_span:
            return ast.conjunction(self.node(part, in_span=True) for part in node.operands) or node
        of_one_span = [part for part in node.operands if _is_span_leaf(part)]
        rest = [self.node(part, in_span=False) for part in node.operands if not _is_span_leaf(part)]
        gathered = ast.conjunction(self.node(part, in_span=True) for part in of_one_span)
        if gathered is not None:
            rest.append(ast.SpanTest("any_span", gathered))
        return ast.conjunction(rest) or node

    def _aggregate(self, node: ast.Aggregate, *, in_span: bool) -> ast.Node:
        at = node.field.at if node.field else node.value.at
        if in_span:
            self.fail(f"{node.function} can't stand in a condition on one span", at)
        condition = self.node(node.condition, in_span=True) if node.condition else None
        if node.field is None:
            self._number(node.value)
            return ast.Aggregate(node.function, None, condition, node.operator, node.value)
        reference, field = self.reference(node.field, in_span=True)
        instant = field.type is Type.INSTANT and node.function in {"min_spans", "max_spans"}
        if field.type not in _SPAN_QUANTITIES and not instant:
            self.fail(
                f"{node.function} takes a span field that is a number or a length of time", at
            )
        if field.type is Type.JSON:
            self._number(node.value)
        else:
            self._time(node.value, field)
        return ast.Aggregate(node.function, reference, condition, node.operator, node.value)

    def _trace_leaf(self, node: ast.Leaf) -> ast.Node:
        """Return a leaf outside of span conditions, where a field of spans becomes a test of spans."""
        leaf = self._leaf(node, in_span=False)
        found = fields.find(leaf.field)
        if found.field.source is Source.SPAN:
            return ast.SpanTest("any_span", leaf)
        if found.field.source not in {Source.SPANS, Source.ROOT_SPAN}:
            return leaf
        column = ast.Reference("span", found.column, leaf.field.at)
        is_root = ast.NullTest(ast.Reference("span", "parent_id"))
        limits = [is_root] if found.field.source is Source.ROOT_SPAN else []
        if isinstance(leaf, ast.NullTest):
            inner, quantifier = (
                ast.NullTest(column, negated=True),
                "any_span" if leaf.negated else "no_span",
            )
            return ast.SpanTest(quantifier, ast.conjunction([*limits, inner]) or inner)
        if isinstance(leaf, ast.Match) and leaf.negated and found.field.type is Type.TEXT:
            return ast.SpanTest("no_span", ast.Match(column, leaf.operator, leaf.pattern))
        moved = _with_field(leaf, column)
        return ast.SpanTest("any_span", ast.conjunction([*limits, moved]) or moved)

    def _leaf(self, node: ast.Leaf, *, in_span: bool) -> ast.Leaf:
        """Return a leaf whose field exists and takes its operator and values."""
        reference, field = self.reference(node.field, in_span=in_span)
        operator = _operator(node)
        taken = fields.OPERATORS[field.type]
        if operator not in taken:
            self.fail(
                f"{field.name} ({field.type.value}) takes {', '.join(taken)}: not {operator}",
                node.field.at,
            )
        for value in _values(node):
            self._value(value, field)
        if isinstance(node, ast.Match):
            self._pattern(node)
            literal = patterns.literal_of(node.pattern.value) if node.operator == "LIKE" else None
            if literal is not None and field.type is Type.STRING:
                text = ast.Text(literal, node.pattern.at)
                return ast.Comparison(reference, "!=" if node.negated else "=", text)
        return _with_field(node, reference)

    def reference(self, reference: ast.Reference, *, in_span: bool) -> tuple[ast.Reference, Field]:
        """Return the canonical reference and its field."""
        try:
            found = fields.find(reference, in_span=in_span)
            return fields.canonical(reference, in_span=in_span), found.field
        except fields.UnknownFieldError as error:
            start, length = reference.at
            shown = len(reference.entity) if error.is_entity and reference.entity else length
            self.fail(str(error), (start, shown))

    def _value(self, value: ast.Value, field: Field) -> None:
        """Refuse a value of a kind that the field is never compared with."""
        if field.type is Type.NUMBER:
            self._number(value)
        elif field.type in {Type.LENGTH, Type.INSTANT}:
            self._time(value, field)
        elif field.type is Type.STRING and not isinstance(value, (ast.Text, ast.Number)):
            self.fail(
                f"{field.name} is a string: compare it with a text in quotes, as '{value}'",
                value.at,
            )
        elif field.type is Type.PROMPT and not isinstance(value, ast.Text):
            self.fail("a prompt is written 'name/version', in quotes", value.at)
        elif field.type is Type.JSON and isinstance(value, (ast.Duration, ast.Now)):
            self.fail(f"{field.name} is compared with a text, a number, true or false", value.at)

    def _number(self, value: ast.Value) -> None:
        try:
            values.number(value)
        except values.ValueKindError as error:
            self.fail(str(error), value.at)

    def _time(self, value: ast.Value, field: Field) -> None:
        try:
            values.nanoseconds(value, field.type, 0)
        except values.ValueKindError as error:
            self.fail(str(error), value.at)

    def _pattern(self, node: ast.Match) -> None:
        try:
            if node.operator == "RLIKE":
                patterns.check_regex(node.pattern.value)
            else:
                patterns.to_glob(node.pattern.value, fold=node.operator == "ILIKE")
        except patterns.PatternError as error:
            self.fail(str(error), node.pattern.at)


def _weight(node: ast.Node) -> int:
    """Return the weight of the heaviest way from `node` down to a leaf."""
    if isinstance(node, (ast.And, ast.Or)):
        return (1 if len(node.operands) <= 32 else 2) + max(map(_weight, node.operands))
    if isinstance(node, ast.Not):
        return 1 + _weight(node.operand)
    if isinstance(node, ast.Related) and node.relation in {"any_ancestor", "any_descendant"}:
        return 12 + _weight(node.condition)
    if isinstance(node, (ast.SpanTest, ast.Related)):
        return 8 + _weight(node.condition)
    if isinstance(node, ast.Aggregate) and node.condition is not None:
        return 8 + _weight(node.condition)
    return 0


def _is_span_leaf(node: ast.Node) -> bool:
    kinds = (ast.Comparison, ast.Match, ast.Membership, ast.Between, ast.NullTest)
    return isinstance(node, kinds) and node.field.entity == "span"


def _operator(leaf: ast.Leaf) -> str:
    if isinstance(leaf, (ast.Comparison, ast.Match)):
        return leaf.operator
    if isinstance(leaf, ast.Membership):
        return "IN"
    return "BETWEEN" if isinstance(leaf, ast.Between) else "IS NULL"


def _values(leaf: ast.Leaf) -> tuple[ast.Value, ...]:
    """Return the values that the field is compared with; a pattern is none of them."""
    if isinstance(leaf, ast.Comparison):
        return (leaf.value,)
    if isinstance(leaf, ast.Membership):
        return leaf.values
    return (leaf.low, leaf.high) if isinstance(leaf, ast.Between) else ()


def _with_field(leaf: ast.Leaf, field: ast.Reference) -> ast.Leaf:
    if isinstance(leaf, ast.Comparison):
        return ast.Comparison(field, leaf.operator, leaf.value)
    if isinstance(leaf, ast.Match):
        return ast.Match(field, leaf.operator, leaf.pattern, leaf.negated)
    if isinstance(leaf, ast.Membership):
        return ast.Membership(field, leaf.values, leaf.negated)
    if isinstance(leaf, ast.Between):
        return ast.Between(field, leaf.low, leaf.high, leaf.negated)
    return ast.NullTest(field, leaf.negated)
