"""Lines over time as SVG: one small chart for each figure, a line for each group.

Pure functions of numbers and labels. Invariant: every attribute is a number computed here or a constant, and
every text goes through `escape`; absent values leave a gap in the line.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from tracestore.answers.cells import cell_text
from tracestore.display.escape import escape
from tracestore.display.markup import Markup

#: Lines that one chart shows; further groups are in the table only.
MAX_LINES = 8

#: Points of a line that are drawn.
MAX_POINTS = 2_000

#: Colours of lines, told apart by people who see few of them (Okabe and Ito, 2008).
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#b8a800",
)  # fmt: skip

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 130, 8, 8, 22, 18

_Points = Sequence[tuple[dt.datetime, object]]


def chart_svg(name: str, unit: str, series: Mapping[str, _Points]) -> Markup:
    """Return a chart of one figure.

    Args:
        name: What the figure is called.
        unit: See `cells`.
        series: Points by label, in the order of time; a value that is no number is a gap.
    """
    lines = list(series.items())[:MAX_LINES]
    shown = {label: _thinned(points) for label, points in lines}
    times = [time.timestamp() for points in shown.values() for time, _ in points]
    values = [value for points in shown.values() for _, value in points if _is_number(value)]
    most = max((float(v) for v in values), default=0.0)  # type: ignore[arg-type]  # numbers only
    low = min([0.0, *(float(v) for v in values)])  # type: ignore[arg-type]  # numbers only
    scale = _Scale(min(times, default=0), max(times, default=1), low, most)
    parts = [_text(_LEFT, 14, f"{name} up to {cell_text(most, unit)}", "ts-chart-name"), _axis()]
    parts += [_path(points, scale, COLOURS[at]) for at, points in enumerate(shown.values())]
    if times:
        first, last = (
            min(p[0][0] for p in shown.values()),
            max(p[-1][0] for p in shown.values()),
        )
        parts.append(_text(_LEFT, _HEIGHT - 4, cell_text(first), "ts-chart-time"))
        end = _text(_WIDTH - _RIGHT, _HEIGHT - 4, cell_text(last), "ts-chart-time ts-chart-end")
        parts.append(end)
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    label = escape(f"{name} over time")
    return Markup(f'<svg role="img" aria-label="{label}" {size}>{"".join(parts)}</svg>')


class _Scale:
    """From times and values to places."""

    def __init__(self, first: float, last: float, low: float, top: float) -> None:
        self._first, self._seconds = first, max(last - first, 1e-9)
        self._low, self._range = low, max(top - low, 1e-12)

    def x(self, time: dt.datetime) -> float:
        share = (time.timestamp() - self._first) / self._seconds
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self._low) / self._range
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _path(points: _Points, scale: _Scale, colour: str) -> str:
    steps, dots, drawing = [], [], False
    for at, (time, value) in enumerate(points):
        if not _is_number(value):
            drawing = False
            continue
        x, y = scale.x(time), scale.y(float(value))  # type: ignore[arg-type]  # a number
        steps.append(f"{'L' if drawing else 'M'}{x} {y}")
        alone = not drawing and (at + 1 == len(points) or not _is_number(points[at + 1][1]))
        if alone:
            dots.append(f'<circle cx="{x}" cy="{y}" r="2" fill="{colour}"/>')
        drawing = True
    line = f'<path d="{"".join(steps)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    return line + "".join(dots)


def _axis() -> str:
    y = _HEIGHT - _BOTTOM
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="currentColor"'
        ' stroke-opacity="0.3"/>'
    )


def _text(x: float, y: float, text: str, classes: str) -> str:
    anchor = ' text-anchor="end"' if "ts-chart-end" in classes else ""
    return f'<text class="{classes}" x="{x}" y="{y}"{anchor}>{escape(text)}</text>'


def _thinned(points: _Points) -> _Points:
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    return points[::step]


def has_numbers(series: Mapping[str, _Points]) -> bool:
    """Return whether there is anything to draw."""
    return any(_is_number(value) for points in series.values() for _, value in points)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
