"""What distinguishes matching traces: what they have more often than the others, ranked.

The rank is Dunning's log-likelihood ratio G² of the two-by-two table (T. Dunning, Accurate Methods for the
Statistics of Surprise and Coincidence, Computational Linguistics 19, 1993), which holds for rare values where
Pearson's chi-square does not. A row is kept if chance alone would hardly bring it, with Bonferroni's correction
for having looked at so many.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence

from tracestore.answers import Answer, Column
from tracestore.comparison.features import (
    KINDS,
    Feature,
    check_least,
    features_of,
    ids_of,
    mentioned,
)
from tracestore.filters import meaning, parser
from tracestore.search import Query, select

#: The chance that a row is there for nothing, over all rows.
SIGNIFICANCE = 0.05

#: Tables that are looked at.
TABLES = len(KINDS) + 1

#: Fields that say nearly the same as another that the filter speaks of.
_TWINS: dict[tuple[str | None, str], set[tuple[str | None, str]]] = {
    (None, "status"): {("span", "status"), ("span", "error")},
    ("span", "status"): {(None, "status"), ("span", "error")},
    ("span", "error"): {(None, "status"), ("span", "status")},
}

_COLUMNS = (
    Column("condition", is_key=True),
    Column("matching"),
    Column("others"),
    Column("share_matching", "share"),
    Column("share_others", "share"),
    Column("times"),
    Column("g2"),
)


def correlate(
    connection: sqlite3.Connection,
    filter_string: str,
    within: str | None = None,
    experiments: tuple[int, ...] | None = None,
    max_results: int | None = 20,
    min_count: int = 3,
    progress: Callable[[int], None] = lambda _done: None,
) -> Answer:
    """Return what traces that meet a filter have more often than the others, the most telling first.

    Args:
        connection: To a store's file, with `filters.register` done.
        filter_string: The matching traces.
        within: The traces that are looked at, matching and others; None: all.
        experiments: Only traces of these experiments; None: of all.
        max_results: The most rows; None: all.
        min_count: The fewest matching traces that have it.
        progress: Called with the number of tables looked at, of `TABLES`.

    Raises:
        FilterSyntaxError: A filter can't be read.
        InvalidArgumentError: `min_count` is no positive number.
    """
    check_least(min_count)
    both = f"({within}) AND ({filter_string})" if within else filter_string
    population = select(connection, Query(within, None, experiments))
    selected = select(connection, Query(both, None, experiments))
    everything = [] if population is None else ids_of(population)
    matching = [] if selected is None else ids_of(selected)
    title = f"what distinguishes traces of {filter_string}"
    others = len(everything) - len(matching)
    if population is None or not matching or not others:
        note = f"{len(matching):,} traces match and {others:,} do not: there is nothing to compare."
        return Answer(_COLUMNS, [], title, [note])
    left_out = _said_by(filter_string)
    found = [
        feature
        for feature in features_of(population, everything, matching, min_count, progress)
        if (feature.field.entity, feature.field.key) not in left_out
    ]
    counts = (len(matching), others)
    telling = _telling(found, counts, min_count)
    ranked = sorted(telling, key=lambda f: (-_rank(f, counts), f.condition))
    limit = len(ranked) if max_results is None else max(0, max_results)
    rows = [_row(feature, counts) for feature in ranked[:limit]]
    note = (
        f"{len(matching):,} traces match, {others:,} do not. Ranked by Dunning's G²;"
        f" {len(found):,} conditions were tried, {len(ranked):,} are beyond chance (5 %, Bonferroni)."
    )
    return Answer(_COLUMNS, rows, title, [note])


def _said_by(filter_string: str) -> set[tuple[str | None, str]]:
    """Return the fields that need not be told, as the filter itself speaks of them."""
    parsed = parser.parse(filter_string)
    fields = mentioned(None if parsed is None else meaning.normalise(parsed, filter_string))
    fields |= {
        ("assessment", key) for entity, key in fields if entity in {"feedback", "expectation"}
    }
    return fields | {twin for field in fields for twin in _TWINS.get(field, ())}


def _telling(found: Sequence[Feature], counts: tuple[int, int], least: int) -> list[Feature]:
    """Return those that matching traces have more often, beyond chance."""
    limit = SIGNIFICANCE / max(1, len(found))
    return [
        feature
        for feature in found
        if feature.matching >= least
        and feature.matching * counts[1] > (feature.all - feature.matching) * counts[0]
        and math.erfc(math.sqrt(_rank(feature, counts) / 2)) < limit
    ]


def _rank(feature: Feature, counts: tuple[int, int]) -> float:
    return log_likelihood(feature.matching, counts[0], feature.all - feature.matching, counts[1])


def log_likelihood(first: int, of_first: int, second: int, of_second: int) -> float:
    """Return G² of `first` of `of_first` against `second` of `of_second`; 0 where the shares are the same.

    Example:
        >>> round(log_likelihood(10, 20, 10, 200), 2)
        26.91
    """
    total = of_first + of_second
    some = first + second
    cells = (
        (first, some * of_first / total),
        (second, some * of_second / total),
        (of_first - first, (total - some) * of_first / total),
        (of_second - second, (total - some) * of_second / total),
    )
    return max(0.0, 2 * math.fsum(seen * math.log(seen / due) for seen, due in cells if seen))


def _row(feature: Feature, counts: tuple[int, int]) -> tuple[object, ...]:
    others = feature.all - feature.matching
    share, share_others = feature.matching / counts[0], others / counts[1]
    times = share / share_others if others else None
    return (
        feature.condition,
        feature.matching,
        others,
        share,
        share_others,
        times,
        round(_rank(feature, counts), 1),
    )
