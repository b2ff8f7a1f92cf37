"""SQL text and the values that are bound in it, never apart.

Every value and every key is bound: a `Fragment` is text with question marks and the values for them. `build`
refuses a template whose places and parts don't agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Bindable: TypeAlias = "str | int | float | None"


@dataclass(frozen=True)
class Fragment:
    """A piece of SQL and the values of its question marks, in order."""

    text: str
    values: tuple[Bindable, ...] = ()


TRUE = Fragment("1")
#: Bound, because SQLite drops what a literal 0 is joined to by AND, also what says that a partial index can be used.
FALSE = Fragment("?", (0,))

#: How many conditions are joined in a row.
_CHAIN = 32
_PLACE = re.compile(r"\{\}|\?")


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
        return TRUE if operator == "AND" else FALSE
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


def marks(count: int) -> str:
    """Return so many question marks."""
    return ", ".join("?" * count)
