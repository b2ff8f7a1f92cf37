"""Tokens to AST: one function for each rule of the grammar, the rule as its docstring.

    filter = [ or ] ;        empty, blank or None: every trace

Knows the grammar, not the fields: `spna.nmae = 1` is good syntax. Nothing is guessed and nothing is ignored:
a missing AND, a bare word as a value or a stray sign is a FilterSyntaxError under the place.

Invariant: `parse(str(node)) == node` for every node that `parse` returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from tracestore.errors import FilterSyntaxError
from tracestore.filters import ast
from tracestore.filters.lexer import Kind, Token, Tokens

#: How deep parentheses, NOT, and conditions within conditions may be nested.
MAX_NESTING = 64

#: How many tests of a field one filter may hold. SQLite bears 1,000 levels of expression.
MAX_CONDITIONS = 500

#: How many values a filter may hold, IN lists included. SQLite bears 32,766 and each may be bound twice.
MAX_VALUES = 5_000

QUANTIFIERS = ("any_span", "all_spans", "no_span")
AGGREGATES = ("sum_spans", "min_spans", "max_spans", "avg_spans")
RELATIONS = ("parent", "any_child", "any_ancestor", "any_descendant")

_COMPARATORS = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<>": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_FUNCTIONS = (*QUANTIFIERS, "count_spans", *AGGREGATES, *RELATIONS)
_RESERVED = (
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
    "FALSE",
)


@dataclass(frozen=True)
class OrderItem:
    """One item of an order: a field, its direction, and where absent values go."""

    field: ast.Reference
    descending: bool = False
    nulls_first: bool = False

    def __str__(self) -> str:
        direction = " DESC" if self.descending else ""
        return f"{self.field}{direction}{' NULLS FIRST' if self.nulls_first else ''}"


def parse(source: str | None) -> ast.Node | None:
    """Return what the filter says; None, empty or blank says nothing and gives None.

    Raises:
        FilterSyntaxError: With the place, and what was expected there.
    """
    parser = _Parser(source or "")
    if parser.tokens.at_end:
        return None
    node = _or(parser)
    if not parser.tokens.at_end:
        _fail_after_condition(parser)
    return node


def parse_order(source: str) -> OrderItem:
    """Return one item of an order.

    order = field , [ "ASC" | "DESC" ] , [ "NULLS" , ( "FIRST" | "LAST" ) ] ;

    Raises:
        FilterSyntaxError: With the place, and what was expected there.
    """
    tokens = Tokens(source)
    if tokens.current.kind is not Kind.NAME:
        tokens.fail("an order_by item begins with a field, as in 'timestamp_ms DESC'")
    field = _reference(tokens.read())
    direction = tokens.accept("ASC", "DESC")
    nulls_first = False
    if tokens.accept("NULLS"):
        place = tokens.accept("FIRST", "LAST") or tokens.fail("NULLS is followed by FIRST or LAST")
        nulls_first = place.word == "FIRST"
    if not tokens.at_end:
        tokens.fail(
            "an order_by item is: field [ASC|DESC] [NULLS FIRST|LAST], one field for each item"
        )
    return OrderItem(field, direction is not None and direction.word == "DESC", nulls_first)


class _Parser:
    """Tokens, and how much of the limits is used."""

    def __init__(self, source: str) -> None:
        self.tokens = Tokens(source)
        self.nesting = 0
        self.conditions = 0
        self.values = 0

    def enter(self, token: Token) -> None:
        """Go one level deeper."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self.tokens.fail(
                f"more than {MAX_NESTING} levels of parentheses, NOT and nested conditions",
                token,
            )

    def leave(self) -> None:
        """Come back from a level."""
        self.nesting -= 1

    def count_condition(self, token: Token) -> None:
        """Note one more test of a field."""
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            self.tokens.fail(f"more than {MAX_CONDITIONS} conditions in one filter", token)

    def count_value(self, token: Token) -> None:
        """Note one more value."""
        self.values += 1
        if self.values > MAX_VALUES:
            self.tokens.fail(f"more than {MAX_VALUES:,} values in one filter", token)


def _or(parser: _Parser) -> ast.Node:
    """Read a disjunction.

    or = and , { "OR" , and } ;
    """
    operands = [_and(parser)]
    while parser.tokens.accept("OR"):
        operands.append(_and(parser))
    return ast.disjunction(operands) or operands[0]


def _and(parser: _Parser) -> ast.Node:
    """Read a conjunction.

    and = not , { "AND" , not } ;
    """
    operands = [_not(parser)]
    while parser.tokens.accept("AND"):
        operands.append(_not(parser))
    return ast.conjunction(operands) or operands[0]


def _not(parser: _Parser) -> ast.Node:
    """Read a condition that NOT may precede.

    not = "NOT" , not | primary ;
    """
    word = parser.tokens.accept("NOT")
    if word is None:
        return _primary(parser)
    parser.enter(word)
    node = ast.Not(_not(parser))
    parser.leave()
    return node


def _primary(parser: _Parser) -> ast.Node:
    """Read a condition without AND, OR, NOT outside of parentheses.

    primary = "(" , or , ")" | quantified | related | comparison ;
    """
    tokens = parser.tokens
    if tokens.check("("):
        return _enclosed(parser)
    token = tokens.current
    if token.kind is not Kind.NAME or token.word in _RESERVED:
        tokens.fail(f"expected a condition such as status = 'OK', found {_describe(token)}")
    tokens.read()
    if token.key is None and not token.quote:
        if tokens.check("("):
            return _function(parser, token)
        if token.text.lower() in _FUNCTIONS:
            tokens.fail(f"{token.text} is a function: write {token.text}(…)", token)
    parser.count_condition(token)
    return _comparison(parser, _reference(token))


def _function(parser: _Parser, name: Token) -> ast.Node:
    """Read a condition that begins with a function.

    quantified = ( "any_span" | "all_spans" | "no_span" ) , "(" , or , ")" | aggregate , comparator , value ;
    related = ( "parent" | "any_child" | "any_ancestor" | "any_descendant" ) , "(" , or , ")" ;
    """
    word = name.text.lower()
    at = _at(name)
    if word in QUANTIFIERS:
        return ast.SpanTest(word, _enclosed(parser), at)
    if word in RELATIONS:
        return ast.Related(word, _enclosed(parser), at)
    if word == "count_spans" or word in AGGREGATES:
        return _aggregate(parser, word, name)
    near = get_close_matches(word, _FUNCTIONS, 1)
    hint = f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(_FUNCTIONS)}"
    return parser.tokens.fail(f"unknown function {name.text!r}{hint}", name)


def _aggregate(parser: _Parser, function: str, name: Token) -> ast.Node:
    """Read a comparison of a quantity over spans.

    aggregate = "count_spans" , "(" , [ or ] , ")"
        | ( "sum_spans" | "min_spans" | "max_spans" | "avg_spans" ) , "(" , span_field , [ "," , or ] , ")" ;
    """
    tokens = parser.tokens
    parser.count_condition(name)
    opening = tokens.read()
    parser.enter(opening)
    field = None if function == "count_spans" else _aggregated_field(tokens, function)
    condition = None
    if tokens.accept(",") if field else not tokens.check(")"):
        condition = _or(parser)
    _close(parser, opening)
    operator = tokens.accept(*_COMPARATORS) or tokens.fail(
        f"expected a comparison after {function}(…), such as > 3"
    )
    return ast.Aggregate(function, field, condition, _COMPARATORS[operator.text], _value(parser))


def _aggregated_field(tokens: Tokens, function: str) -> ast.Reference:
    """Read the field that is summed up.

    span_field = field ;
    """
    if tokens.current.kind is not Kind.NAME:
        tokens.fail(f"{function} needs a span field, as in {function}(span.duration)")
    return _reference(tokens.read())


def _enclosed(parser: _Parser) -> ast.Node:
    """Read a condition in parentheses.

    "(" , or , ")"
    """
    opening = parser.tokens.read()
    parser.enter(opening)
    node = _or(parser)
    _close(parser, opening)
    return node


def _close(parser: _Parser, opening: Token) -> None:
    """Read the closing parenthesis; at the end of the text the error points at the one left open."""
    tokens = parser.tokens
    if tokens.at_end:
        tokens.fail("this parenthesis is never closed", opening)
    if not tokens.accept(")"):
        _fail_after_condition(parser)
    parser.leave()


def _comparison(parser: _Parser, field: ast.Reference) -> ast.Node:
    """Read a test of one field.

    comparison = field , comparator , value
        | field , [ "NOT" ] , ( match | in | between )
        | field , "IS" , [ "NOT" ] , "NULL" ;
    """
    tokens = parser.tokens
    if operator := tokens.accept(*_COMPARATORS):
        return ast.Comparison(field, _COMPARATORS[operator.text], _value(parser))
    if tokens.accept("IS"):
        negated = tokens.accept("NOT") is not None
        tokens.expect("NULL", "IS is followed by NULL or NOT NULL; a value is compared with =")
        return ast.NullTest(field, negated)
    negated = tokens.accept("NOT") is not None
    if operator := tokens.accept("LIKE", "ILIKE", "RLIKE"):
        return ast.Match(field, operator.word, _pattern(parser, operator.word), negated)
    if tokens.accept("IN"):
        return ast.Membership(field, _list(parser), negated)
    if tokens.accept("BETWEEN"):
        low = _value(parser)
        tokens.expect("AND", "BETWEEN is written: field BETWEEN low AND high")
        return ast.Between(field, low, _value(parser), negated)
    after = "NOT" if negated else str(field)
    choice = (
        "LIKE, ILIKE, RLIKE, IN or BETWEEN"
        if negated
        else "a comparator (= != < <= > >= LIKE IN BETWEEN IS)"
    )
    hint = _OTHER_OPERATORS.get(tokens.current.word, "")
    return tokens.fail(f"expected {choice} after {after}, found {_describe(tokens.current)}{hint}")


#: Operators of other languages, and how it is said here.
_OTHER_OPERATORS = {
    **dict.fromkeys(("REGEXP", "MATCHES", "SIMILAR"), ": write RLIKE"),
    **dict.fromkeys(
        ("CONTAINS", "MATCH", "GLOB"), ": write LIKE, with % for any run of characters"
    ),
}


def _pattern(parser: _Parser, operator: str) -> ast.Text:
    """Read a pattern.

    string = 'single' | "double" ;
    """
    token = parser.tokens.current
    if token.kind is not Kind.STRING:
        parser.tokens.fail(f"{operator} is followed by a text in quotes, found {_describe(token)}")
    parser.count_value(token)
    parser.tokens.read()
    return ast.Text(token.text, _at(token))


def _list(parser: _Parser) -> tuple[ast.Value, ...]:
    """Read the values of an IN.

    "(" , value , { "," , value } , [ "," ] , ")"
    """
    tokens = parser.tokens
    opening = tokens.expect("(", "IN is followed by a list in parentheses, as in IN ('a', 'b')")
    if tokens.check(")"):
        tokens.fail("an IN list holds at least one value")
    values = [_value(parser)]
    while tokens.accept(",") and not tokens.check(")"):
        values.append(_value(parser))
    if tokens.at_end:
        tokens.fail("this parenthesis is never closed", opening)
    tokens.expect(")", f"expected ',' or ')' in the list, found {_describe(tokens.current)}")
    return tuple(values)


def _value(parser: _Parser) -> ast.Value:
    """Read a value.

    value = string | number | duration | "true" | "false" | time ;
    """
    tokens = parser.tokens
    token = tokens.current
    parser.count_value(token)
    if token.kind is Kind.STRING:
        tokens.read()
        return ast.Text(token.text, _at(token))
    if token.kind is Kind.NUMBER or tokens.check("+", "-"):
        return _number(tokens)
    if tokens.accept("TRUE", "FALSE"):
        return ast.Truth(token.word == "TRUE", _at(token))
    if tokens.accept("NOW"):
        return _now(tokens, token)
    return tokens.fail(_missing_value(token))


def _number(tokens: Tokens) -> ast.Number | ast.Duration:
    """Read a number or a length of time.

    number = [ "+" | "-" ] , digits ; duration = number , ( "ns" | "us" | "ms" | "s" | "m" | "h" | "d" ) ;
    """
    sign = tokens.accept("+", "-")
    token = tokens.current
    if token.kind is not Kind.NUMBER:
        tokens.fail(f"expected a number after the sign, found {_describe(token)}")
    tokens.read()
    value = _numeral(token.text)
    if sign is not None and sign.text == "-":
        value = -value
    start = sign.start if sign else token.start
    at = (start, token.end - start)
    if not token.unit:
        return ast.Number(value, at)
    if token.unit not in ast.UNITS_NS:
        units = ", ".join(ast.UNITS_NS)
        tokens.fail(f"unknown unit {token.unit!r}: a length of time ends in one of {units}", token)
    return ast.Duration(value, token.unit, at)


def _numeral(text: str) -> int | float:
    """Return the number that the digits stand for, whole where they are whole."""
    return int(text) if text.isdigit() else float(text)


def _now(tokens: Tokens, name: Token) -> ast.Now:
    """Read an instant relative to the search.

    time = "now()" , [ ( "-" | "+" ) , duration ] ;
    """
    tokens.expect("(", "now is written now()")
    closing = tokens.expect(")", "now() takes nothing in its parentheses")
    at = (name.start, closing.end - name.start)
    if not tokens.check("+", "-"):
        return ast.Now(None, at)
    offset = _number(tokens)
    if not isinstance(offset, ast.Duration):
        raise FilterSyntaxError(
            "now() is moved by a length of time with a unit, as in now() - 1h",
            tokens.source,
            *offset.at,
        )
    return ast.Now(offset, at)


def _reference(token: Token) -> ast.Reference:
    """Return a field.

    field = name | entity , "." , key ;
    """
    if token.key is None:
        return ast.Reference(None, token.text, _at(token))
    return ast.Reference(token.text, token.key, _at(token))


def _at(token: Token) -> ast.At:
    return (token.start, token.end - token.start)


def _fail_after_condition(parser: _Parser) -> None:
    """Say what may follow a whole condition."""
    token = parser.tokens.current
    closing = "a closing parenthesis" if parser.nesting else "the end"
    if token.kind is Kind.SYMBOL and token.text == ")":
        parser.tokens.fail("this parenthesis was never opened")
    hint = _hint_after_condition(parser.tokens.previous, token)
    reason = f"expected AND, OR or {closing} after a condition, found {_describe(token)}{hint}"
    parser.tokens.fail(reason)


#: What follows a condition in SQL, and where it is said here.
_ELSEWHERE = {
    "ORDER": ": order_by says the order",
    "LIMIT": ": max_results says how many",
    "ESCAPE": ": a backslash escapes % and _",
}


def _hint_after_condition(before: Token | None, token: Token) -> str:
    """Return what may have been meant by a token after a whole condition."""
    if token.word in _ELSEWHERE:
        return _ELSEWHERE[token.word]
    if before is None:
        return ""
    if before.kind is Kind.NUMBER and token.text in ast.UNITS_NS:
        return f": a unit follows its number directly, as in 5{token.text}"
    if before.end != token.start:
        return ""
    if before.kind is Kind.NUMBER and token.text == "-":
        return ": a date stands in quotes, as '2026-01-31'"
    if before.kind is Kind.STRING and token.kind is not Kind.SYMBOL:
        return f": a {before.quote} inside a text is written twice"
    return ""


def _missing_value(token: Token) -> str:
    if token.word in {"NULL", "NONE"}:
        return "nothing equals NULL: write IS NULL or IS NOT NULL"
    if token.kind is not Kind.NAME:
        return (
            f"expected a value (a text in quotes, a number, true, false), found {_describe(token)}"
        )
    if token.key is not None:
        return "expected a value, found a field: a field is compared with a value only"
    return f"expected a value, found {_describe(token)}: write a text in quotes, as '{token.text}'"


def _describe(token: Token) -> str:
    if token.kind in {Kind.END, Kind.STRING, Kind.NUMBER}:
        return str(token.kind.value)
    return f"{token.text!r}" if token.key is None else "a field"
