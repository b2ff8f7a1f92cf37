"""Groups side by side: each figure of each group, its difference to the first, and how sure that is."""

from __future__ import annotations

import functools
import random
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from tracestore.answers import Answer, Column
from tracestore.answers.cells import cell_text
from tracestore.arguments import shown
from tracestore.comparison import intervals
from tracestore.comparison.intervals import Interval
from tracestore.comparison.sentences import difference_sentence
from tracestore.errors import InvalidArgumentError
from tracestore.figures import aggregate
from tracestore.figures.aggregate import Measured, Request
from tracestore.figures.quantities import Quantity

DEFAULT_METRICS = ("count", "error_rate", "latency_mean", "p95", "tokens_mean", "cost_mean")

#: Groups that are compared.
MAX_COMPARED = 50


def compare(
    connection: sqlite3.Connection,
    request: Request,
    baseline: object = None,
    progress: Callable[[int], None] | None = None,
) -> Answer:
    """Return a row for each group and metric, with the difference to the baseline.

    Args:
        connection: To a store's file, with `filters.register` done.
        request: What is asked; `group_by` is what is compared.
        baseline: The value of the group that the others are compared with; None: the first.
        progress: Called with the number of rows read.

    Raises:
        InvalidArgumentError: There is no such baseline, or there are too many groups.
    """
    measured = aggregate.read(connection, request, progress)
    keys = _keys(measured, baseline)
    rows: list[tuple[Any, ...]] = []
    notes: list[str] = []
    for quantity in measured.quantities:
        first = None if not keys else measured.figure_of(quantity, keys[0])
        for key in keys:
            value = measured.figure_of(quantity, key)
            interval = None if key == keys[0] else _interval(measured, quantity, keys[0], key)
            is_pair = key != keys[0] and _is_number(value) and _is_number(first)
            both: tuple[Any, Any] = (first, value)
            gap = both[1] - both[0] if is_pair else None
            rows.append((quantity.label, *key, value, gap, *(interval or (None, None))))
            if is_pair and _can_vary(quantity):
                names = (_name(keys[0]), _name(key))
                notes.append(
                    difference_sentence(quantity.label, quantity.unit, names, both, interval)
                )
    head = [Column("metric", is_key=True)]
    head += [Column(group.label, is_key=True) for group in measured.groups]
    head += [Column(name) for name in ("value", "difference", "low", "high")]
    units = {quantity.label: quantity.unit for quantity in measured.quantities}
    return Comparison(head, rows, measured.title, notes, units)


class Comparison(Answer):
    """An answer whose rows have the units of their metrics; its notes say each difference in words."""

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Sequence[tuple[Any, ...]],
        title: str,
        notes: Sequence[str],
        units: dict[str, str],
    ) -> None:
        super().__init__(columns, rows, title, notes)
        self.units = units

    def shown(self, row: tuple[Any, ...]) -> list[str]:
        """Return a row as texts, in the unit of its metric."""
        unit = self.units.get(row[0], "")
        gap_unit = "points" if unit == "share" else unit
        keys = [cell_text(value) for value in row[:-4]]
        return [*keys, cell_text(row[-4], unit), *(cell_text(v, gap_unit) for v in row[-3:])]


def _keys(measured: Measured, baseline: object) -> list[tuple[Any, ...]]:
    keys = measured.keys()
    if len(keys) > MAX_COMPARED:
        raise InvalidArgumentError(
            f"{len(keys):,} groups are more than can be compared side by side ({MAX_COMPARED}):"
            " narrow the filter, or take metrics(group_by=…)"
        )
    if baseline is None:
        return keys
    wanted = tuple(baseline) if isinstance(baseline, (list, tuple)) else (baseline,)
    if wanted not in keys:
        there = ", ".join(_name(key) for key in keys)
        named = _name(wanted) if all(isinstance(each, str) for each in wanted) else shown(baseline)
        raise InvalidArgumentError(f"there is no group {named} to compare with; {there}")
    return [wanted, *(key for key in keys if key != wanted)]


def _name(key: tuple[Any, ...]) -> str:
    return " / ".join("none" if value is None else cell_text(value) for value in key)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _can_vary(quantity: Quantity) -> bool:
    """Whether the figure is a share, a mean or a percentile, which another sample would have differently."""
    return quantity.function in {"error_rate", "share", "agreement", "mean", "percentile"}


def _interval(
    measured: Measured, quantity: Quantity, first: tuple[Any, ...], second: tuple[Any, ...]
) -> Interval | None:
    """Return the interval of the difference of one figure between two groups."""
    if not _can_vary(quantity):
        return None
    if quantity.function in {"error_rate", "share", "agreement"}:
        shares = [measured.share_of(quantity, key) for key in (first, second)]
        return intervals.share_difference(shares[0], shares[1])
    one, other = (measured.numbers_of(quantity, key) for key in (first, second))
    if quantity.function == "mean":
        return intervals.bootstrap_difference(one, other, intervals.mean_samples)
    samples: Callable[[Sequence[float], random.Random], list[float]] = functools.partial(
        _percentile_samples, quantity.percent
    )
    return intervals.bootstrap_difference(one, other, samples)


def _percentile_samples(percent: float, values: Sequence[float], rng: random.Random) -> list[float]:
    return intervals.percentile_samples(values, percent, rng)
