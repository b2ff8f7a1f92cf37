"""A value as a person reads it, by its unit: durations, shares, dollars, counts, moments.

Pure functions of values. Invariant: never raises, however wild the value, and returns one line.
"""

from __future__ import annotations

import datetime as dt
import json
import math

from tracestore.display.escape import visible_line
from tracestore.display.units import NS_PER_MS, duration_text

#: Characters of a text that a cell shows.
_MAX_TEXT = 80

#: A duration beyond which it is shown as a plain number.
_MAX_MS = 1e15


def cell_text(value: object, unit: str = "") -> str:
    """Return a value as one line; "-" for None.

    Args:
        value: What a row holds.
        unit: "ms", "share" (of 1, shown in percent), "usd", "points" (a difference of shares), "per_min" or "".
    """
    if value is None:
        return "-"
    if isinstance(value, dt.datetime):
        return _moment_text(value)
    if isinstance(value, dict):
        return ", ".join(f"{cell_text(key)}: {cell_text(item)}" for key, item in value.items())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        line = visible_line(text[: _MAX_TEXT + 1])
        return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 1] + "…"
    return _number_text(value, unit)


def _number_text(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return str(value)
    if unit == "ms" and abs(value) < _MAX_MS:
        return duration_text(round(value * NS_PER_MS))
    if unit == "share":
        return f"{value * 100:.1f} %"
    if unit == "points":
        return f"{value * 100:+.1f} points"
    if unit == "usd":
        sign, dollars = "-" if value < 0 else "", abs(value)
        return f"{sign}${dollars:,.2f}" if dollars >= 100 else f"{sign}${dollars:.4f}"
    per = " / min" if unit == "per_min" else ""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}{per}"
    return f"{value:,.3g}{per}" if abs(value) < 1_000 else f"{value:,.0f}{per}"


def _moment_text(moment: dt.datetime) -> str:
    text = moment.strftime("%Y-%m-%d %H:%M:%S" if moment.second else "%Y-%m-%d %H:%M")
    offset = moment.strftime("%z")
    return text if offset in {"", "+0000"} else f"{text}{offset[:3]}:{offset[3:5]}"
