"""Moments as people give them: datetimes, milliseconds, ISO 8601, and `now() - 1h` of the filter language."""

from __future__ import annotations

import datetime as dt
import time

from tracestore.errors import InvalidArgumentError
from tracestore.filters import ast, fields, meaning, parser, values


def instant_ms(given: object, name: str) -> int | None:
    """Return a moment in milliseconds since 1970, None for None.

    Args:
        given: A datetime with a time zone, a number of milliseconds, or text: ISO 8601, or such as "now() - 1h".
        name: What the moment is called in errors.

    Raises:
        InvalidArgumentError: It is none of these.
        FilterSyntaxError: The text can't be read.
    """
    if given is None:
        return None
    if isinstance(given, dt.datetime):
        if given.tzinfo is None:
            raise InvalidArgumentError(f"{name} has no time zone; add tzinfo, such as timezone.utc")
        return int(given.timestamp() * 1_000)
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str):
        return _read(given if given.lstrip().startswith("now") else f"'{given}'", name)
    raise InvalidArgumentError(
        f"{name} is {given!r:.100}; pass a datetime, milliseconds or ISO 8601"
    )


def _read(literal: str, name: str) -> int:
    source = f"timestamp_ms >= {literal}"
    parsed = parser.parse(source)
    node = None if parsed is None else meaning.normalise(parsed, source)
    if not isinstance(node, ast.Comparison):
        raise InvalidArgumentError(f"{name} is {literal:.100}, which is no moment")
    field = fields.find(node.field).field
    (low, _), *_rest = values.intervals(field, node.operator, node.value, time.time_ns())
    return low or 0
