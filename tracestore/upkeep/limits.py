"""What may stay in a file: an age, a number of traces, a size, and which traces they are about.

Knows the filter language, no connection. Invariant: `Limits` can be carried out: its filters can be read and it
says what is to go.
"""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from tracestore import filters
from tracestore.errors import InvalidArgumentError
from tracestore.filters import ast, meaning

#: A trace in progress for longer than this has no program any more, in seconds. Until then it is never pruned.
RUNNING_S = 86_400.0

_AGE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]+)\s*")
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([kKMGT]?i?)B?\s*")
_UNITS_BYTES = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What goes: traces that break a limit, the oldest first, never one that `keep` is about.

    Attributes:
        older_than_s: Traces that started longer ago than this, in seconds.
        max_traces: The oldest, until no more than so many are left that meet `filter`.
        max_bytes: The oldest, until what the file holds takes no more than so many bytes.
        keep: A filter; what meets it stays, whatever its age.
        filter: A filter; only what meets it may go. Without a limit all of it goes.
    """

    older_than_s: float | None = None
    max_traces: int | None = None
    max_bytes: int | None = None
    keep: str | None = None
    filter: str | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether a limit is given at all; without one, everything that `filter` is about goes."""
        return any(
            limit is not None for limit in (self.older_than_s, self.max_traces, self.max_bytes)
        )


def read_limits(
    older_than: str | float | dt.timedelta | None = None,
    max_traces: int | None = None,
    max_bytes: str | int | None = None,
    keep: str | None = None,
    filter_string: str | None = None,
) -> Limits:
    """Return the limits that the arguments of `Store.prune` mean.

    Raises:
        InvalidArgumentError: An argument can't be read, or nothing says what is to go.
        FilterSyntaxError: A filter can't be read.
    """
    limits = Limits(
        older_than_s=None if older_than is None else _age_s(older_than),
        max_traces=None if max_traces is None else _count(max_traces),
        max_bytes=None if max_bytes is None else _size_bytes(max_bytes),
        keep=_condition("keep", keep),
        filter=_condition("filter", filter_string),
    )
    if not limits.is_bounded and limits.filter is None:
        raise InvalidArgumentError(
            "nothing says which traces are to go: give older_than, max_traces, max_bytes or filter"
        )
    return limits


def candidates(limits: Limits, now_ms: int) -> tuple[ast.Node, ...]:
    """Return the conditions, besides `filter`, that hold for each trace that may go at all."""
    status, start = ast.Reference(None, "status"), ast.Reference(None, "timestamp_ms")
    running_since = ast.Number(now_ms - int(RUNNING_S * 1000))
    ended = ast.Or(
        (
            ast.Comparison(status, "!=", ast.Text("IN_PROGRESS")),
            ast.Comparison(start, "<", running_since),
        )
    )
    kept = filters.parse(limits.keep)
    return (ended,) if kept is None else (ended, ast.Not(kept))


def _condition(name: str, text: object) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{name} is a {type(text).__name__}; it must be a filter string")
    parsed = filters.parse(text)
    if parsed is None:
        return None
    meaning.normalise(parsed, text)
    return text


def _age_s(age: object) -> float:
    seconds: float | None = None
    if isinstance(age, dt.timedelta):
        seconds = age.total_seconds()
    elif isinstance(age, (int, float)) and not isinstance(age, bool):
        seconds = float(age)
    elif isinstance(age, str) and (found := _AGE.fullmatch(age)) and found[2] in ast.UNITS_NS:
        seconds = float(found[1]) * ast.UNITS_NS[found[2]] / 1e9
    if seconds is None or not 0 <= seconds < 1e11:
        raise InvalidArgumentError(
            f"older_than is {age!r}; it must be a timedelta, seconds, or text such as '30d' or '12h'"
        )
    return seconds


def _count(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**62:
        raise InvalidArgumentError(f"max_traces is {number!r}; it must be a whole number from 0")
    return number


def _size_bytes(size: object) -> int:
    """Return a size in bytes: "1 GB" is a thousand million, "1 GiB" 2**30."""
    if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**62:
        return size
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if found is None or found[2] == "i":
        raise InvalidArgumentError(
            f"max_bytes is {size!r}; it must be a number of bytes, or text such as '500 MB' or '2GiB'"
        )
    factor = 1024 if found[2].endswith("i") else 1000
    return int(float(found[1]) * factor ** _UNITS_BYTES[found[2][:1]])
