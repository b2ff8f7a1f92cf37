"""A picture of all targets: one bar each, as long as the figure is times the target, on a logarithmic scale.

Pure functions of numbers and labels. Invariant: every attribute is a number computed here or a constant, and every
text is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from benchmarks.report import Result
from benchmarks.targets import TARGETS, distance

#: Pixels: the column of names, that of the bars, one row, and what stands above and below the rows.
_NAMES, _BARS, _ROW, _TOP, _BOTTOM = 460, 380, 22, 34, 26

#: The scale goes from a hundredth of the target to ten times it; what is beyond ends at its edge.
_LEAST, _MOST = 0.01, 10.0

#: Blue for what is met, orange for what is not: told apart by people who see few colours.
_MET, _MISSED = "#0072b2", "#d55e00"


def plot(results: Mapping[str, Result]) -> str:
    """Return an SVG of what was measured; targets without a figure are left out."""
    measured = [
        (target.what.replace("`", ""), ratio)
        for target in TARGETS
        if (ratio := distance(target, results.get(target.program))) is not None
    ]
    width, height = _NAMES + _BARS + 70, _TOP + _ROW * len(measured) + _BOTTOM
    parts = [
        _head(width, height),
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(8, 18, "times the target: left of the line it is met"),
    ]
    for tick in (0.01, 0.1, 1.0, 10.0):
        parts.append(_line(_x(tick), height - _BOTTOM, dark=tick == 1.0))
        parts.append(_text(_x(tick) - 8, height - 8, f"{tick:g}"))
    for at, (what, ratio) in enumerate(measured):
        parts.append(_bar(at, what, ratio))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _head(width: int, height: int) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    )


def _x(ratio: float) -> float:
    span = math.log10(_MOST / _LEAST)
    inside = min(_MOST, max(_LEAST, ratio))
    return round(_NAMES + _BARS * math.log10(inside / _LEAST) / span, 1)


def _bar(at: int, what: str, ratio: float) -> str:
    top = _TOP + at * _ROW
    colour = _MET if ratio <= 1 else _MISSED
    bar = (
        f'<rect x="{_NAMES}" y="{top + 3}" width="{max(1.0, _x(ratio) - _NAMES):.1f}" height="{_ROW - 8}"'
        f' fill="{colour}" fill-opacity=".8"/>'
    )
    return bar + _text(8, top + 14, what) + _text(_x(ratio) + 4, top + 14, f"{ratio:.2f}")


def _line(x: float, bottom: float, *, dark: bool) -> str:
    return f'<path d="M{x} {_TOP - 6}V{bottom}" stroke="{"#000" if dark else "#ccc"}"/>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}">{html.escape(text)}</text>'
