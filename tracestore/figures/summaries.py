"""Lists of values to one figure: exact percentiles, means, shares, counts, agreement.

Pure functions. Absent values (None) are left out; of nothing there is None, not 0. Sums are exact where the
values are whole numbers and correctly rounded where they are not (math.fsum).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

#: Beyond this a number is none that floats can add up.
_FAR = 1e300


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return a percentile of ascending values, interpolated between the two nearest ranks.

    As numpy's and pandas' default ("linear"; definition 7 of Hyndman and Fan, Sample Quantiles in Statistical
    Packages, 1996).
    """
    if not ordered:
        return None
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return low + (high - low) * (place - below)


#: Numbers from which on counting beats comparing.
_MANY = 10_000


def ascending(values: Sequence[float]) -> list[float]:
    """Return values in order. Many whole numbers are counted first: durations in milliseconds repeat themselves."""
    if len(values) < _MANY or set(map(type, values)) != {int}:
        return sorted(values)
    counted = Counter(values)
    return [value for known in sorted(counted) for value in itertools.repeat(known, counted[known])]


def total(values: Sequence[float]) -> float | None:
    """Return the sum of values, None of none."""
    if not values:
        return None
    if set(map(type, values)) == {int}:
        return sum(values)
    return math.fsum(values)


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean of values, None of none."""
    summed = total(values)
    return None if summed is None else summed / len(values)


def counts(values: Sequence[Any], as_key: Any) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first, by its text."""
    found = Counter(map(as_key, values))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def numbers(values: Sequence[Any]) -> list[float]:
    """Return the numbers among values that can be computed with: no booleans, NaN, infinities and the like."""
    return [v for v in values if type(v) in (int, float) and -_FAR < v < _FAR]


def agrees(expected: Any, given: Any, name: str = "") -> bool:
    """Return whether an answer is what was expected.

    It is if it equals the expected value: numbers by size, texts without white space around them. An answer that
    is an object also agrees by its member `name`, by its only member, or by the text of the chat message that it is.
    """
    return any(_same(expected, candidate) for candidate in answers_in(given, name))


def answers_in(given: Any, name: str = "") -> list[Any]:
    """Return what an answer may be taken for: itself, its member `name`, its only member, its message's text."""
    found = [given]
    if isinstance(given, dict):
        found += [given[name]] if name in given else []
        found += given.values() if len(given) == 1 else []
        choices = given.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else given
        if isinstance(message, dict) and isinstance(message.get("content"), str):
            found.append(message["content"])
    return found


def _same(expected: Any, given: Any) -> bool:
    if isinstance(expected, str) and isinstance(given, str):
        return expected.strip() == given.strip()
    if isinstance(expected, bool) or isinstance(given, bool):
        return expected is given
    return bool(expected == given)
