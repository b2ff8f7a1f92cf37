"""Support: the 115 edge cases of MLflow Tracing 3.17.2, by number, and whether tracestore follows it or does better.

The numbers are those of the list that was observed on MLflow itself; each test is marked with the cases it is of.
Invariant: a test function's name begins with the numbers of its cases, so that its id has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., object])

#: How many cases there are.
COUNT = 115


class Case(NamedTuple):
    """What tracestore does in one case: as MLflow does ("follows"), "better", or it "differs", and why."""

    verdict: str
    mlflow: str
    reason: str


CASES: dict[int, Case] = {}


def follows(*numbers: int) -> Callable[[F], F]:
    """Mark a test: in these cases tracestore does what MLflow does."""
    return _marked(numbers, Case("follows", "", ""))


def better(*numbers: int, mlflow: str, why: str) -> Callable[[F], F]:
    """Mark a test: in these cases tracestore does something else than MLflow, and why."""
    return _marked(numbers, Case("better", mlflow, why))


def differs(*numbers: int, mlflow: str, why: str) -> Callable[[F], F]:
    """Mark a test: in these cases MLflow does more, or something else that is not worse, and why it is not here."""
    return _marked(numbers, Case("differs", mlflow, why))


def _marked(numbers: tuple[int, ...], case: Case) -> Callable[[F], F]:
    def mark(test: F) -> F:
        expected = "_".join(f"{number:03}" for number in numbers)
        assert test.__name__.startswith(f"test_{expected}_"), test.__name__
        for number in numbers:
            assert number not in CASES, number
            CASES[number] = case
        return test

    return mark
