"""Spans to rows: tree order, branches, and places on the time axis.

What html.py and text.py draw, neither of them computes. Knows ids and times, not names or payloads.
Recorded trees are not to be trusted: parents may be missing, form a ring or be used twice. Invariant: every
span is in exactly one row, parents come before their children, and the work is linear apart from sorting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracestore.display.units import (
    NS_PER_DAY,
    NS_PER_H,
    NS_PER_MIN,
    NS_PER_MS,
    NS_PER_S,
)

if TYPE_CHECKING:
    from tracestore.entities.span import Span
    from tracestore.entities.trace import Trace

#: Levels of a branch that are drawn; a deeper one starts with "⋯".
MAX_BRANCH_LEVELS = 16

_MAX_TICKS = 5
_STEPS_NS = (
    *(digit * 10**power for power in range(10) for digit in (1, 2, 5)),
    *(n * NS_PER_S for n in (10, 15, 30)),
    *(n * NS_PER_MIN for n in (1, 2, 5, 10, 15, 30)),
    *(n * NS_PER_H for n in (1, 2, 6, 12)),
    *(digit * 10**power * NS_PER_DAY for power in range(12) for digit in (1, 2, 5)),
)


@dataclass(frozen=True)
class Row:
    """A span in its place.

    Attributes:
        span: The span.
        depth: Levels below its root, 0 for a root.
        branch: What a terminal draws before the name, such as "│  ├─ "; empty for a root.
        offset_ns: From the start of the trace's time axis, at least 0.
        duration_ns: None while the span is open; negative where its clock ran backwards.
        offset: `offset_ns` as a fraction of the axis, 0 to 1.
        fraction: The length of its bar as a fraction of the axis, 0 to 1 - offset. The bar of an open
            span reaches to the end of the axis.
        is_orphan: It names a parent that the trace does not have.
    """

    span: Span
    depth: int
    branch: str
    offset_ns: int
    duration_ns: int | None
    offset: float
    fraction: float
    is_orphan: bool

    @property
    def is_open(self) -> bool:
        """Whether the span had not ended when it was recorded."""
        return self.duration_ns is None

    @property
    def is_error(self) -> bool:
        """Whether the span failed."""
        return str(self.span.status.status_code) == "ERROR"


@dataclass(frozen=True)
class Axis:
    """The time that a trace covers: start in nanoseconds since 1970, and length."""

    start_ns: int
    length_ns: int

    @property
    def step_ns(self) -> int:
        """The distance of ticks, a round time; at most five of them fit."""
        return next(
            (step for step in _STEPS_NS if step * _MAX_TICKS >= self.length_ns), self.length_ns
        )

    def ticks_ns(self) -> list[int]:
        """Return the ticks as nanoseconds from the start; the first is 0."""
        return list(range(0, self.length_ns + 1, self.step_ns))


def time_axis(trace: Trace) -> Axis:
    """Return the axis from the first start to the last end; open spans reach as far as is known."""
    spans = trace.data.spans
    starts = [span.start_time_ns for span in spans]
    ends = [span.end_time_ns for span in spans if span.end_time_ns is not None]
    if not starts:
        return Axis(trace.info.request_time * NS_PER_MS, 0)
    events = [e.timestamp for s in spans if s.end_time_ns is None for e in s.events]
    start_ns = min(starts)
    return Axis(start_ns, max(*starts, *ends, *events, start_ns) - start_ns)


def tree_rows(trace: Trace) -> list[Row]:
    """Return one row for each span of `trace`, children after their parents in the order they started.

    Roots are spans without a parent, those whose parent is missing, and of each ring of parents the span
    that started first. Of spans with the same id the first recorded is the parent.
    """
    axis = time_axis(trace)
    spans = trace.data.spans
    known = {span.span_id for span in spans}
    return [
        _row(spans[place.index], place, axis, known)
        for place in _places(_children(spans), len(spans))
    ]


@dataclass(frozen=True)
class _Place:
    index: int
    depth: int
    stem: str  # what the branches of its children begin with
    branch: str


def _row(span: Span, place: _Place, axis: Axis, known: set[str]) -> Row:
    offset_ns = span.start_time_ns - axis.start_ns
    duration_ns = None if span.end_time_ns is None else span.end_time_ns - span.start_time_ns
    bar_ns = axis.length_ns - offset_ns if duration_ns is None else max(0, duration_ns)
    length_ns = axis.length_ns or 1
    return Row(
        span=span,
        depth=place.depth,
        branch=place.branch,
        offset_ns=offset_ns,
        duration_ns=duration_ns,
        offset=offset_ns / length_ns,
        fraction=bar_ns / length_ns,
        is_orphan=bool(span.parent_id) and span.parent_id not in known,
    )


def _children(spans: Sequence[Span]) -> dict[int | None, list[int]]:
    """Return the indexes of each span's children by the parent's index, in order of start; roots by None."""
    first: dict[str, int] = {}
    for index, span in enumerate(spans):
        first.setdefault(span.span_id, index)
    parents = [first.get(span.parent_id) if span.parent_id else None for span in spans]
    order = sorted(range(len(spans)), key=lambda index: spans[index].start_time_ns)
    _open_rings(parents, order)
    children: dict[int | None, list[int]] = {}
    for index in order:
        children.setdefault(parents[index], []).append(index)
    return children


def _open_rings(parents: list[int | None], order: Iterable[int]) -> None:
    """Make a root of the first in `order` of each ring in `parents`."""
    rank = {index: place for place, index in enumerate(order)}
    done: set[int] = set()
    for start in rank:
        path: dict[int, None] = {}
        index: int | None = start
        while index is not None and index not in done and index not in path:
            path[index] = None
            index = parents[index]
        if index is not None and index in path:
            walk = list(path)
            parents[min(walk[walk.index(index) :], key=rank.__getitem__)] = None
        done.update(path)


def _places(children: dict[int | None, list[int]], count: int) -> list[_Place]:
    """Return every span's place, depth first. A loop with a stack: trees may be deeper than Python's."""
    places: list[_Place] = []
    stack = [_Place(index, 0, "", "") for index in reversed(children.get(None, []))]
    while stack:
        place = stack.pop()
        places.append(place)
        below = children.get(place.index, [])
        stack.extend(_child(place, i, is_last=i == below[-1]) for i in reversed(below))
    assert len(places) == count, "every span has a place"  # noqa: S101 - the invariant of this module
    return places


def _child(parent: _Place, index: int, *, is_last: bool) -> _Place:
    joint, gap = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
    stem = parent.stem + gap
    if len(stem) > 3 * MAX_BRANCH_LEVELS:
        stem = "⋯" + stem[-3 * MAX_BRANCH_LEVELS + 1 :]
    return _Place(index, parent.depth + 1, stem, parent.stem + joint)
