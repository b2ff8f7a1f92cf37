"""Docstrings of functions that pass on to a Store: what the Store's method says of arguments is said there only.

`help()` shows it in both places.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

#: Sections in the order in which they stand.
_ORDER = ("Args", "Returns", "Raises")

F = TypeVar("F", bound=Callable[..., object])

#: Sections of a docstring that hold of both, and one of their entries with its further lines.
_SECTION = re.compile(r"^(Args|Returns|Raises):\n((?:    .*\n|\n(?=    ))+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): .*\n(?:     .*\n)*", re.MULTILINE)


def documented_as(source: Callable[..., object]) -> Callable[[F], F]:
    """Return a decorator that puts sections of `source`'s docstring between a function's summary and example.

    Arguments that the function does not have are left out, and what it says of them itself goes before.
    """

    def decorate(function: F) -> F:
        own, other = _clean(function.__doc__), _clean(source.__doc__)
        if not own or not other:  # python -OO
            return function
        parameters = function.__code__.co_varnames
        head, example, tail = own.partition("Example:\n")
        said = {found[1]: found[2].rstrip("\n") for found in _SECTION.finditer(head)}
        for name, body in (found.groups() for found in _SECTION.finditer(other)):
            if name == "Args":
                said[name] = _arguments(said.get(name, ""), body, parameters)
            else:
                said.setdefault(name, body.rstrip("\n"))
        parts = [_SECTION.sub("", head).strip()]
        parts += [f"{name}:\n{said[name]}" for name in _ORDER if said.get(name)]
        function.__doc__ = "\n\n".join([*parts, (example + tail).rstrip()]).rstrip() + "\n"
        return function

    return decorate


def _arguments(own: str, other: str, parameters: Sequence[str]) -> str:
    """Return the entries of both in the order of the parameters, the function's own where both have one."""
    entries = {found[1]: found[0].rstrip("\n") for found in _ENTRY.finditer(other)}
    entries |= {found[1]: found[0].rstrip("\n") for found in _ENTRY.finditer(own + "\n")}
    return "\n".join(entries[name] for name in parameters if name in entries)


def _clean(text: str | None) -> str:
    if not text:
        return ""
    first, _, rest = text.partition("\n")
    return f"{first.strip()}\n{textwrap.dedent(rest)}".rstrip() + "\n"
