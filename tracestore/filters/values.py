"""What a literal is worth: numbers that SQLite can hold, instants and lengths as exact integers.

Times are compared in whole units of the column they meet (milliseconds of a trace, nanoseconds of a span),
so a comparison with a time becomes intervals of integers: exact, and what an index can search.

Invariant: no number leaves here that does not fit into SQLite's 64 bits, and none is rounded on the way.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import TypeAlias

from tracestore.encoding import bindable
from tracestore.filters import ast
from tracestore.filters.fields import Field, Type

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)

#: Ends included; None is unbounded.
Interval: TypeAlias = "tuple[int | None, int | None]"

_NS_A_MS = 1_000_000
_NUMERAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_ISO_8601 = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?)?"
    r" ?(Z|z|[-+]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

#: Stands for infinity among times: beyond every 64-bit nanosecond.
_FAR = 10**40


class ValueKindError(Exception):
    """A literal that is of no use to its field; the text says what would be."""


def read_number(text: str) -> int | float | None:
    """Return the number that `text` is as a whole, else None. Neither white space nor `inf` is a number."""
    if len(text) > 400 or not _NUMERAL.fullmatch(
        text
    ):  # Python refuses integers of over 4,300 digits
        return None
    return bindable(int(text) if text.lstrip("+-").isdigit() else float(text))


def number(value: ast.Value) -> int | float:
    """Return what a NUMBER field is compared with.

    Raises:
        ValueKindError: If `value` is no number and no text of one.
    """
    if isinstance(value, ast.Number):
        return bindable(value.value)
    read = read_number(value.value) if isinstance(value, ast.Text) else None
    if read is None:
        raise ValueKindError(f"expected a number, found {_describe(value)}")
    return read


def nanoseconds(value: ast.Value, field_type: Type, now_ns: int) -> Fraction:
    """Return what a LENGTH or INSTANT field is compared with, in nanoseconds (an instant's since 1970).

    Raises:
        ValueKindError: If `value` is no length, or no instant.
    """
    read = _plain_number(value)
    if read is not None:
        return _exact(read) * _NS_A_MS
    if field_type is Type.LENGTH:
        if isinstance(value, ast.Duration):
            return _length_ns(value)
        raise ValueKindError(
            f"expected a length of time such as 1.5s, without quotes, or milliseconds, found {_describe(value)}"
        )
    if isinstance(value, ast.Now):
        return now_ns + (_length_ns(value.offset) if value.offset else Fraction(0))
    instant = _read_iso_8601(value.value) if isinstance(value, ast.Text) else None
    if instant is None:
        raise ValueKindError(
            "expected an instant such as '2026-01-31', '2026-01-31T14:05:00Z', now() - 1h or epoch"
            f" milliseconds, found {_describe(value)}"
        )
    return Fraction(instant)


def intervals(field: Field, operator: str, value: ast.Value, now_ns: int) -> tuple[Interval, ...]:
    """Return for which stored integers of a time `field` the comparison holds, as ascending intervals."""
    bound = nanoseconds(value, field.type, now_ns) / field.unit_ns
    floor, ceiling = math.floor(bound), math.ceil(bound)
    whole = floor == ceiling
    found: dict[str, tuple[Interval, ...]] = {
        "=": ((floor, floor),) if whole else (),
        "!=": ((None, floor - 1), (floor + 1, None)) if whole else ((None, None),),
        "<": ((None, ceiling - 1),),
        "<=": ((None, floor),),
        ">": ((floor + 1, None),),
        ">=": ((ceiling, None),),
    }
    return found[operator]


def clamp(interval: Interval, lowest: int, highest: int) -> tuple[int, int] | None:
    """Return `interval` within [lowest, highest], or None where nothing is left."""
    low = lowest if interval[0] is None else max(lowest, interval[0])
    high = highest if interval[1] is None else min(highest, interval[1])
    return (low, high) if low <= high else None


def _plain_number(value: ast.Value) -> int | float | None:
    if isinstance(value, ast.Number):
        return value.value
    return read_number(value.value) if isinstance(value, ast.Text) else None


def _length_ns(duration: ast.Duration) -> Fraction:
    return _exact(duration.amount) * ast.UNITS_NS[duration.unit]


def _exact(number: float) -> Fraction:
    """Return the number a person wrote: 0.1 is a tenth, not the binary fraction next to it."""
    if isinstance(number, int):
        return Fraction(number)
    if math.isinf(number):
        return Fraction(_FAR if number > 0 else -_FAR)
    return Fraction(repr(number))


def _read_iso_8601(text: str) -> int | Fraction | None:
    """Return the nanoseconds since 1970 of an ISO 8601 date or time, or None. Without a zone it is UTC."""
    match = _ISO_8601.fullmatch(text.strip())
    if match is None:
        return None
    date, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime.strptime(
            f"{date} {hour or '00'}:{minute or '00'}:{second or '00'}", "%Y-%m-%d %H:%M:%S"
        ).replace(tzinfo=timezone.utc)
        seconds = (moment - _EPOCH) // timedelta(seconds=1) - _zone_seconds(zone)
    except ValueError:
        return None
    return seconds * 10**9 + Fraction(f"0.{fraction or 0}") * 10**9


def _zone_seconds(zone: str | None) -> int:
    """Return the seconds by which a zone such as `+02:00` is ahead of UTC."""
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    seconds = hours * 3600 + minutes * 60
    return -seconds if zone[0] == "-" else seconds


def _describe(value: ast.Value) -> str:
    names = {
        ast.Text: "the text",
        ast.Number: "the number",
        ast.Duration: "the length of time",
        ast.Truth: "the boolean",
        ast.Now: "the instant",
    }
    shown = str(value)
    return f"{names[type(value)]} {shown if len(shown) <= 40 else shown[:39] + '…'}"
