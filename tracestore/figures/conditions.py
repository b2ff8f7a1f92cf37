"""Conditions on figures, such as "error_rate < 2%" and "p95 < 3s": what alerts and CI check.

    condition  = metric , comparator , bound ;
    comparator = "<" | "<=" | ">" | ">=" | "=" | "==" | "!=" ;
    bound      = number , [ "%" | "ns" | "us" | "ms" | "s" | "m" | "h" | "d" ] ;

Pure functions of text and figures. A figure that is not there (no trace, no feedback) breaks no condition: to
demand traces say `count > 0`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tracestore.answers import Answer
from tracestore.answers.cells import cell_text
from tracestore.errors import InvalidArgumentError
from tracestore.figures import quantities
from tracestore.figures.quantities import Quantity

_CONDITION = re.compile(
    r"\s*(.+?)\s*(<=|>=|==|!=|<|>|=)\s*\$?([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(%|[a-z]*)\s*",
    re.ASCII | re.DOTALL,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3, "m": 60e3, "h": 3600e3, "d": 86400e3}


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        text: As it was given.
        quantity: The figure.
        comparator: As given.
        bound: In the figure's unit: milliseconds, a share of 1, dollars.
    """

    text: str
    quantity: Quantity
    comparator: str
    bound: float

    def holds(self, value: Any) -> bool:
        """Return whether a figure meets the condition; one that is not there does."""
        return value is None or _COMPARE[self.comparator](value, self.bound)


@dataclass(frozen=True)
class Outcome:
    """What came of one condition in one group.

    Attributes:
        condition: The condition.
        group: The group's values by field; empty without groups.
        value: The figure, None where there is none.
        holds: Whether the condition is met.
    """

    condition: Condition
    group: dict[str, Any]
    value: Any
    holds: bool

    def __str__(self) -> str:
        unit = self.condition.quantity.unit
        value = "no data" if self.value is None else cell_text(self.value, unit)
        if self.value is not None and unit == "share":
            value = f"{self.value * 100:.4g} %"  # a rate just above its bound must not look like it
        where = ", ".join(f"{name} {cell_text(value)}" for name, value in self.group.items())
        return f"{self.condition.text}: {value}{f' ({where})' if where else ''}"


def parse(text: str) -> Condition:
    """Return the condition that `text` says.

    Raises:
        InvalidArgumentError: It has another form, no such metric, or a unit that the metric is not in.
        FilterSyntaxError: A filter within the metric can't be read.

    Example:
        >>> parse("p95 < 3s").bound
        3000.0
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InvalidArgumentError(
            f"condition {text!r:.200}: write a metric, a comparator and a number, as in 'error_rate < 2%' or 'p95 < 3s'"
        )
    quantity = quantities.parse(match[1])
    if quantity.function == "counts":
        raise InvalidArgumentError(f"condition {text!r:.200}: {match[1]} is no single number")
    return Condition(text.strip(), quantity, match[2], float(match[3]) * _factor(text, quantity, match[4]))  # fmt: skip


def _factor(text: str, quantity: Quantity, unit: str) -> float:
    if not unit:
        return 1.0
    if unit == "%" and quantity.unit == "share":
        return 0.01
    if unit in _MS and quantity.unit == "ms":
        return float(_MS[unit])
    raise InvalidArgumentError(f"condition {text!r:.200}: {quantity.label} is not in {unit!r}")


def outcomes(conditions: Sequence[Condition], answer: Answer) -> list[Outcome]:
    """Return what came of each condition in each row of an answer that has their figures."""
    keys = [column.name for column in answer.columns if column.is_key]
    return [
        Outcome(
            condition,
            {name: row[name] for name in keys},
            row[condition.quantity.label],
            condition.holds(row[condition.quantity.label]),
        )
        for condition in conditions
        for row in answer
    ]
