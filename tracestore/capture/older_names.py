"""Older names of arguments: they count as the newer ones, with a warning."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tracestore.errors import InvalidArgumentError

P = ParamSpec("P")
R = TypeVar("R")


def takes(**newer: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator: the function also takes older names, by keyword, each as the name it has now.

    The call raises InvalidArgumentError where a value is given by both names.

    Args:
        **newer: The parameter's name by its older one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = function.__code__.co_varnames
        places = {older: parameters.index(name) for older, name in newer.items()}

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for older in newer.keys() & kwargs.keys():
                name = newer[older]
                if name in kwargs or places[older] < len(args):
                    raise InvalidArgumentError(f"{older} is the older name of {name}; pass one")
                warnings.warn(
                    f"{older} is the older name of {name}", category=FutureWarning, stacklevel=2
                )
                kwargs[name] = kwargs.pop(older)
            return function(*args, **kwargs)

        return wrapper

    return decorate
