"""Docstrings of functions that pass on to a Store: what the Store's method says of arguments is said there only.

`help()` shows it in both places.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])

#: Sections of a docstring that hold of both, and one of their entries with its further lines.
_SECTION = re.compile(r"^(Args|Returns|Raises):\n((?:    .*\n|\n(?=    ))+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): .*\n(?:     .*\n)*", re.MULTILINE)


def documented_as(source: Callable[..., object]) -> Callable[[F], F]:
    """Return a decorator that puts sections of `source`'s docstring between a function's summary and example.

    Arguments that the function does not have are left out, and sections that it has itself.
    """

    def decorate(function: F) -> F:
        own, other = _clean(function.__doc__), _clean(source.__doc__)
        if not own or not other:  # python -OO
            return function
        said = {found[1] for found in _SECTION.finditer(own)}
        parameters = function.__code__.co_varnames
        added = [
            f"{name}:\n{_entries(body, parameters) if name == 'Args' else body}".rstrip()
            for name, body in (found.groups() for found in _SECTION.finditer(other))
            if name not in said
        ]
        head, example, tail = own.partition("Example:\n")
        parts = [head.rstrip(), *(part for part in added if part != "Args:"), example + tail]
        function.__doc__ = "\n\n".join(part.rstrip() for part in parts if part) + "\n"
        return function

    return decorate


def _clean(text: str | None) -> str:
    if not text:
        return ""
    first, _, rest = text.partition("\n")
    return f"{first.strip()}\n{textwrap.dedent(rest)}".rstrip() + "\n"


def _entries(body: str, parameters: tuple[str, ...]) -> str:
    return "".join(found[0] for found in _ENTRY.finditer(body) if found[1] in parameters)
