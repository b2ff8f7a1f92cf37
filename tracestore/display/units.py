"""Durations, sizes, counts and times in words.

Knows numbers, not what they measure. Invariant: never raises on a number, however wild, and what it returns
is short (at most 40 characters) unless the number itself is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MIN = 60 * NS_PER_S
NS_PER_H = 60 * NS_PER_MIN
NS_PER_DAY = 24 * NS_PER_H

_MAX_COST = 1e12  # a larger one is no cost, and an integer may be too large to format

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def duration_text(duration_ns: int | None) -> str:
    """Return "0", "850 ns", "12.3 ms", "1.20 s", "2 min 05 s", "3 h 20 min" or "4 d 02 h"; for None "-".

    Below a minute there are three digits, fewer where the duration is exactly that.
    """
    if duration_ns is None:
        return "-"
    if duration_ns == 0:
        return "0"
    if duration_ns < 0:
        return f"-{duration_text(-duration_ns)}"
    for unit_ns, unit in ((1, "ns"), (NS_PER_US, "µs"), (NS_PER_MS, "ms"), (NS_PER_S, "s")):
        if duration_ns < unit_ns * _LIMITS[unit]:
            return f"{_three_digits(duration_ns, unit_ns)} {unit}"
    for unit_ns, unit, part_ns, part, limit_ns in (
        (NS_PER_MIN, "min", NS_PER_S, "s", NS_PER_H),
        (NS_PER_H, "h", NS_PER_MIN, "min", NS_PER_DAY),
    ):
        if duration_ns < limit_ns:
            return f"{duration_ns // unit_ns} {unit} {duration_ns % unit_ns // part_ns:02} {part}"
    return f"{duration_ns // NS_PER_DAY:,} d {duration_ns % NS_PER_DAY // NS_PER_H:02} h"


#: How many of a unit are rounded to three digits; above, the next unit takes over.
_LIMITS = {"ns": 1_000, "µs": 999.5, "ms": 999.5, "s": 60}


def _three_digits(duration_ns: int, unit_ns: int) -> str:
    value = duration_ns / unit_ns
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    is_exact = duration_ns * 10**digits % unit_ns == 0
    return f"{value:.3g}" if is_exact else f"{value:.{digits}f}"


def size_text(size_bytes: int) -> str:
    """Return a size as "812 B", "1.2 kB" or "3.4 MB" (powers of 1,000)."""
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    for unit_bytes, unit in ((1_000, "kB"), (1_000_000, "MB")):
        if size_bytes < 999_950 * (unit_bytes // 1_000):
            return f"{size_bytes / unit_bytes:.1f} {unit}"
    return f"{size_bytes / 1_000_000_000:,.1f} GB"


def count_text(count: int, noun: str, plural: str | None = None) -> str:
    """Return "1 span", "2,300 spans"; `plural` where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def cost_text(cost: Mapping[str, Any] | None) -> str:
    """Return the total of a cost as "$0.00211", four digits of it; "" where none is known, or it is nonsense."""
    total = (cost or {}).get("total_cost")
    is_number = isinstance(total, (int, float)) and abs(total) < _MAX_COST
    return f"${Decimal(f'{total:.4g}'):,f}" if is_number else ""


def time_text(time_ms: int | None, zone: tzinfo | None = None) -> str:
    """Return "2026-11-20 18:32:08.123 UTC+01:00" in `zone`, by default this machine's.

    A moment that no calendar has is "time 99999999999999999 ms"; None is "-".
    """
    moment = _moment(time_ms, zone)
    if moment is None:
        return "-" if time_ms is None else f"time {time_ms} ms"
    offset = f"{moment:%z}"  # +0100, +053020
    offset = "" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1_000:03} UTC{offset}"


def short_time_text(time_ms: int | None, zone: tzinfo | None = None) -> str:
    """Return `time_text` to the second, for tables: "2026-11-20 18:32:08+01:00"."""
    moment = _moment(time_ms, zone)
    if moment is None:
        return time_text(time_ms, zone)
    return moment.isoformat(sep=" ", timespec="seconds")


def _moment(time_ms: int | None, zone: tzinfo | None) -> datetime | None:
    if time_ms is None:
        return None
    try:
        return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)
    except (OverflowError, ValueError, OSError):  # OSError: from Windows' C library
        return None
