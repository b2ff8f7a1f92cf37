"""A difference in words: what it is, how sure, and that it is too small to tell where it is."""

from __future__ import annotations

from tracestore.answers.cells import cell_text
from tracestore.comparison.intervals import Interval


def difference_sentence(
    label: str,
    unit: str,
    names: tuple[str, str],
    values: tuple[float, float],
    interval: Interval | None,
) -> str:
    """Return one sentence about a figure of two groups.

    Args:
        label: Of the figure.
        unit: Of the figure, see `answers.cells`.
        names: Of the two groups.
        values: The figure of each.
        interval: Of the second minus the first; None where there is too little to say.
    """
    said = " and ".join(
        f"{cell_text(value, unit)} in {name}" for name, value in zip(names, values, strict=True)
    )
    head = f"{label} is {said}"
    if interval is None:
        return f"{head}: too few to tell."
    unit = "points" if unit == "share" else unit
    between = f"{cell_text(interval.low, unit)} to {cell_text(interval.high, unit)}"
    if interval.holds(0):
        return f"{head}: the difference is too small to tell from chance (95 %: {between})."
    more = "more" if values[1] > values[0] else "less"
    gap = cell_text(abs(values[1] - values[0]), unit).lstrip("+")
    return f"{head}: {gap} {more} in {names[1]} (95 %: {between})."
