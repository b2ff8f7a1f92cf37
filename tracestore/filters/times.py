"""Conditions on the start of a trace as ranges of ids, which are in the order of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracestore.filters import ast, fields, values
from tracestore.storage.schema import END_MS, ID_BITS

#: The range of milliseconds whose ids fit into 64 bits.
MAX_MS = END_MS - 1
MIN_MS = -END_MS

#: The lowest and the highest id that there can be.
ALL_IDS = (MIN_MS << ID_BITS, values.MAX_INTEGER)


@dataclass(frozen=True)
class Moment:
    """When a search runs.

    Attributes:
        now_ns: What `now()` is, in nanoseconds since 1970.
        deadline_ns: When regular expressions must be done, of `time.monotonic_ns`.
    """

    now_ns: int
    deadline_ns: int


def id_range(node: ast.Node, now_ns: int) -> tuple[int, int] | None:
    """Return the ids (ends included, low > high where none) that a comparison of `timestamp_ms` means.

    None where the condition is no such comparison, or not one single range.
    """
    if isinstance(node, ast.Between) and not node.negated:
        parts = [
            ast.Comparison(node.field, ">=", node.low),
            ast.Comparison(node.field, "<=", node.high),
        ]
    elif isinstance(node, ast.Comparison):
        parts = [node]
    else:
        return None
    if node.field != ast.Reference(None, "timestamp_ms"):
        return None
    field = fields.find(node.field).field
    low, high = MIN_MS, MAX_MS
    for part in parts:
        intervals = values.intervals(field, part.operator, part.value, now_ns)
        if len(intervals) > 1:
            return None
        clamped = values.clamp(intervals[0], low, high) if intervals else None
        low, high = clamped or (0, -1)
    return low << ID_BITS, (high + 1 << ID_BITS) - 1


def split_time(terms: Iterable[ast.Node], now_ns: int) -> tuple[tuple[ast.Node, ...], int, int]:
    """Return the terms that are no time range, and the range of ids that the others leave."""
    rest = []
    low, high = ALL_IDS
    for term in terms:
        limits = id_range(term, now_ns)
        if limits is None:
            rest.append(term)
        else:
            low, high = max(low, limits[0]), min(high, limits[1])
    return tuple(rest), low, high
