"""What a filter says, as frozen nodes; `str(node)` is canonical filter text that parses to the same node.

Nodes are plain syntax: a `Reference` may name a field that does not exist, until `fields.check` has looked.
Each remembers where it stood (`at`), for errors only: two filters that say the same compare equal wherever
their parts stand.

Invariant: an `And` holds no `And` and an `Or` no `Or` (build them with `conjunction` and `disjunction`), and
both hold at least two operands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from tracestore.filters.lexer import BARE_KEY

#: Start and length, in characters, of a node in the text it came from.
At: TypeAlias = "tuple[int, int]"

#: Nanoseconds of each unit of time.
UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}

_ATTRIBUTES = "attributes."


def _nowhere() -> At:
    return (0, 0)


@dataclass(frozen=True)
class Text:
    """A quoted text."""

    value: str
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        return "'" + self.value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Number:
    """A number; one too large for a float is infinite."""

    value: int | float
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        if isinstance(self.value, float) and math.isinf(self.value):
            return "1e999" if self.value > 0 else "-1e999"
        return repr(self.value)


@dataclass(frozen=True)
class Duration:
    """A length of time, such as `1.5s`; `unit` is a key of UNITS_NS."""

    amount: int | float
    unit: str
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{Number(self.amount)}{self.unit}"


@dataclass(frozen=True)
class Truth:
    """`true` or `false`."""

    value: bool
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True)
class Now:
    """The moment of the search, plus `offset`."""

    offset: Duration | None = None
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        if self.offset is None:
            return "now()"
        sign = "-" if math.copysign(1, self.offset.amount) < 0 else "+"
        return f"now() {sign} {Duration(abs(self.offset.amount), self.offset.unit)}"


Value: TypeAlias = "Text | Number | Duration | Truth | Now"


@dataclass(frozen=True)
class Reference:
    """A field as written: `name` has no entity, `tags.env` has entity `tags` and key `env`."""

    entity: str | None
    key: str
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        if self.entity is None:
            return _quote_name(self.key)
        prefix = f"{_quote_name(self.entity)}."
        if self.entity == "span" and self.key.startswith(_ATTRIBUTES) and self.key != _ATTRIBUTES:
            return f"{prefix}{_ATTRIBUTES}{_quote_key(self.key[len(_ATTRIBUTES) :])}"
        return prefix + _quote_key(self.key)


@dataclass(frozen=True)
class Comparison:
    """`field = value`; `operator` is one of = != < <= > >=."""

    field: Reference
    operator: str
    value: Value

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.value}"


@dataclass(frozen=True)
class Match:
    """`field [NOT] LIKE 'pattern'`; `operator` is LIKE, ILIKE or RLIKE."""

    field: Reference
    operator: str
    pattern: Text
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field} {_not(self.negated)}{self.operator} {self.pattern}"


@dataclass(frozen=True)
class Membership:
    """`field [NOT] IN (value, …)`."""

    field: Reference
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field} {_not(self.negated)}IN ({', '.join(map(str, self.values))})"


@dataclass(frozen=True)
class Between:
    """`field [NOT] BETWEEN low AND high`, both ends included."""

    field: Reference
    low: Value
    high: Value
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field} {_not(self.negated)}BETWEEN {self.low} AND {self.high}"


@dataclass(frozen=True)
class NullTest:
    """`field IS NULL`, or with `negated` `field IS NOT NULL`."""

    field: Reference
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field} IS {_not(self.negated)}NULL"


@dataclass(frozen=True)
class Not:
    """`NOT operand`."""

    operand: Node

    def __str__(self) -> str:
        return f"NOT {_enclose(self.operand, And, Or)}"


@dataclass(frozen=True)
class And:
    """All of two or more operands."""

    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return " AND ".join(_enclose(operand, And, Or) for operand in self.operands)


@dataclass(frozen=True)
class Or:
    """Any of two or more operands."""

    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return " OR ".join(_enclose(operand, Or) for operand in self.operands)


@dataclass(frozen=True)
class SpanTest:
    """`any_span(…)`, `all_spans(…)` or `no_span(…)`; `quantifier` is that word."""

    quantifier: str
    condition: Node
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.quantifier}({self.condition})"


@dataclass(frozen=True)
class Related:
    """A condition on another span of the trace; `relation` is parent, any_child, any_ancestor or any_descendant."""

    relation: str
    condition: Node
    at: At = field(default_factory=_nowhere, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.relation}({self.condition})"


@dataclass(frozen=True)
class Aggregate:
    """`count_spans([condition]) > value`, or `sum_spans(field[, condition]) > value`."""

    function: str
    field: Reference | None
    condition: Node | None
    operator: str
    value: Value

    def __str__(self) -> str:
        arguments = ", ".join(
            str(part) for part in (self.field, self.condition) if part is not None
        )
        return f"{self.function}({arguments}) {self.operator} {self.value}"


#: A test of one field: what the tree's leaves are, aggregates aside.
Leaf: TypeAlias = "Comparison | Match | Membership | Between | NullTest"

Node: TypeAlias = "Leaf | Not | And | Or | SpanTest | Related | Aggregate"


def conjunction(operands: Iterable[Node]) -> Node | None:
    """Return the AND of `operands`: none is None, one is itself, nested ANDs are opened."""
    return _chain(And, operands)


def disjunction(operands: Iterable[Node]) -> Node | None:
    """Return the OR of `operands`: none is None, one is itself, nested ORs are opened."""
    return _chain(Or, operands)


def negation(node: Node) -> Node:
    """Return what holds where `node` does not; NOT NOT is nothing."""
    return node.operand if isinstance(node, Not) else Not(node)


def _chain(kind: type[And | Or], operands: Iterable[Node]) -> Node | None:
    flat: list[Node] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) else (operand,))
    if len(flat) > 1:
        return kind(tuple(flat))
    return flat[0] if flat else None


def _not(negated: bool) -> str:
    return "NOT " if negated else ""


def _enclose(node: Node, *kinds: type[And | Or]) -> str:
    return f"({node})" if isinstance(node, kinds) else str(node)


def _quote_name(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) else _backticks(name)


def _quote_key(key: str) -> str:
    return key if re.fullmatch(BARE_KEY, key) else _backticks(key)


def _backticks(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"
