"""Confidence intervals, with where they are from. Pure functions of numbers; the same input, the same interval.

Shares: Wilson's score interval (E. B. Wilson, Probable Inference, the Law of Succession, and Statistical
Inference, 1927) and, for a difference of two, Newcombe's hybrid of them (R. G. Newcombe, Interval Estimation for
the Difference Between Independent Proportions, 1998, method 10).

Means and percentiles: the percentile bootstrap (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13). A resampled percentile needs no resampling of rows: the rank that a percentile of n values takes is
binomial, so ranks are drawn and values looked up. Means of many values are resampled as their central limit has
them: normal, with the sample's own deviation.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tracestore.figures.summaries import percentile

#: Resamples of a bootstrap, and the seed of all of them: an answer is the same when it is asked for again.
RESAMPLES, SEED = 2_000, 20_261_120

#: Values from which on a mean's resamples are drawn from its normal limit.
MANY_VALUES = 200

#: Values of which there are fewer make no interval.
FEW_VALUES = 5


class Interval(NamedTuple):
    """Both ends of a confidence interval, included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the interval."""
        return self.low <= value <= self.high


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Return Wilson's interval of a share, None of no trials.

    Example:
        >>> [round(end, 4) for end in wilson(1, 10)]
        [0.0179, 0.4042]
    """
    if trials <= 0:
        return None
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    share, square = successes / trials, z * z / trials
    middle = share + square / 2
    spread = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    low, high = (middle - spread) / (1 + square), (middle + spread) / (1 + square)
    # Where there is none or nothing else the ends are exact, and rounding must not say otherwise.
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def share_difference(
    first: tuple[int, int], second: tuple[int, int], confidence: float = 0.95
) -> Interval | None:
    """Return Newcombe's interval of `second - first`, each (successes, trials); None where one has no trials.

    Example:
        >>> [round(end, 4) for end in share_difference((48, 80), (56, 70))]
        [0.0524, 0.3339]
    """
    one, other = wilson(*first, confidence), wilson(*second, confidence)
    if one is None or other is None:
        return None
    p, q = first[0] / first[1], second[0] / second[1]
    below = math.hypot(q - other.low, one.high - p)
    above = math.hypot(other.high - q, p - one.low)
    return Interval(q - p - below, q - p + above)


def mean_samples(values: Sequence[float], rng: random.Random) -> list[float]:
    """Return the means of bootstrap resamples."""
    count = len(values)
    if count >= MANY_VALUES:
        centre = statistics.fmean(values)
        error = math.sqrt(math.fsum((value - centre) ** 2 for value in values)) / count
        return [rng.gauss(centre, error) for _ in range(RESAMPLES)]
    return [math.fsum(rng.choices(values, k=count)) / count for _ in range(RESAMPLES)]


def percentile_samples(ordered: Sequence[float], percent: float, rng: random.Random) -> list[float]:
    """Return the percentile of bootstrap resamples of ascending values.

    The order statistic of rank k of a resample is the value at the quantile of a Beta(k, n + 1 - k) number.
    """
    count = len(ordered)
    place = (count - 1) * percent / 100
    below, part = math.floor(place), place % 1
    found = []
    for _ in range(RESAMPLES):
        # The two neighbouring order statistics of n uniform numbers, drawn together.
        low = rng.betavariate(below + 1, count - below)
        high = low
        if part and below + 1 < count:
            high = low + (1 - low) * rng.betavariate(1, count - below - 1)
        ends = [ordered[min(int(at * count), count - 1)] for at in (low, high)]
        found.append(ends[0] + (ends[1] - ends[0]) * part)
    return found


def middle_of(samples: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the interval that holds the middle `confidence` of samples."""
    ordered = sorted(samples)
    tail = (1 - confidence) / 2 * 100
    low, high = percentile(ordered, tail), percentile(ordered, 100 - tail)
    return Interval(low or 0.0, high or 0.0)


def bootstrap_difference(
    first: Sequence[float],
    second: Sequence[float],
    samples_of: Callable[[Sequence[float], random.Random], list[float]],
    confidence: float = 0.95,
) -> Interval | None:
    """Return the bootstrap interval of a statistic's `second - first`, None where one has fewer than 5 values.

    Args:
        first: Values of one group, as `samples_of` takes them.
        second: Values of the other.
        samples_of: Makes the statistic of resamples of values.
        confidence: How sure, 0 to 1.
    """
    if min(len(first), len(second)) < FEW_VALUES:
        return None
    rng = random.Random(SEED)  # noqa: S311 - no secret
    ones, others = samples_of(first, rng), samples_of(second, rng)
    return middle_of([b - a for a, b in zip(ones, others, strict=True)], confidence)
