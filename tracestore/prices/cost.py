"""Usage times prices. Pure but for the table, which loads itself."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tracestore.prices import table
from tracestore.prices.table import Prices, Rate

#: Names that stand for a route, not for a model. Source: MLflow 3.
_ROUTES = ("gateway:/", "endpoints:/")

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - UTC throughout


class _Tokens(NamedTuple):
    """Tokens of one call; those read from and written to a cache are among `input`."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    cache_write_1h: float  # among `cache_write`


def cost_of(
    model: object,
    usage: object,
    *,
    provider: object = None,
    time_ns: int | None = None,
    tier: object = None,
) -> dict[str, float] | None:
    """Return what a call cost in US dollars, None where its model or its usage is not known.

    Args:
        model: The model's name, as the program or the provider writes it.
        usage: Tokens by MLflow's names: `input_tokens` (those of a cache included), `output_tokens`,
            `cache_read_input_tokens`, `cache_creation_input_tokens`,
            `cache_creation_input_tokens_above_1hr`.
        provider: Who was called, such as "openai"; None: whom the model's name tells. One that the table
            does not know has no prices.
        time_ns: When, nanoseconds since 1970; None: 1970's prices, the first ones.
        tier: The service tier, where prices depend on it, such as "priority".

    Returns:
        `input_cost`, `output_cost` and `total_cost`.

    Example:
        >>> cost_of("gpt-4o", {"input_tokens": 1_000_000, "output_tokens": 0}, provider="openai")
        {'input_cost': 2.5, 'output_cost': 0.0, 'total_cost': 2.5}
    """
    if not isinstance(model, str) or model.startswith(_ROUTES):
        return None
    tokens = _tokens(usage)
    if tokens is None:
        return None
    prices = _prices(model, provider if isinstance(provider, str) else None, time_ns, tier)
    return None if prices is None else _cost(prices, tokens)


def _prices(model: str, provider: str | None, time_ns: int | None, tier: object) -> Prices | None:
    is_own, own = table.own_prices(model, provider)
    if is_own:
        return own
    found = table.find_model(model, provider)
    if found is None:
        return None
    moment = _EPOCH + dt.timedelta(microseconds=(time_ns or 0) // 1_000)
    return found.prices_at(moment, tier if isinstance(tier, str) else None)


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)


def _tokens(usage: object) -> _Tokens | None:
    """Return the counts of a usage, None where it counts nothing or what can't be."""
    if type(usage) is not dict and not isinstance(usage, Mapping):
        return None
    values = [_count(usage.get(name)) for name in _COUNTS]
    if None in values:
        return None
    given, output, read, written, long_written = (value or 0 for value in values)
    written = max(written, long_written)
    if read + written > given:  # so they were not counted among them
        given += read + written
    if given == 0 and output == 0:
        return None
    return _Tokens(given, output, read, written, long_written)


def _count(value: Any) -> float | None:
    """Return a count, 0 for one that is absent, None for what is none."""
    if value is None:
        return 0
    is_count = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_count and math.isfinite(value) and 0 <= value < 2**53 else None


def _cost(prices: Prices, tokens: _Tokens) -> dict[str, float] | None:
    """Return the sums; each token counts once, at the price of the most special kind that has one."""
    if prices.input is None and prices.output is None and prices.requests is None:
        return None
    rest, spent = tokens.input, 0.0
    written = tokens.cache_write
    if prices.cache_write_1h is not None:
        spent += tokens.cache_write_1h * _at(prices.cache_write_1h, tokens)
        rest -= tokens.cache_write_1h
        written -= tokens.cache_write_1h
    if prices.cache_write is not None:
        spent += written * _at(prices.cache_write, tokens)
        rest -= written
    if prices.cache_read is not None:
        spent += tokens.cache_read * _at(prices.cache_read, tokens)
        rest -= tokens.cache_read
    if prices.input is not None:
        spent += rest * _at(prices.input, tokens)
    input_cost = spent / 1e6
    output_cost = tokens.output * _at(prices.output, tokens) / 1e6
    total_cost = input_cost + output_cost + _at(prices.requests, tokens) / 1e3
    return {"input_cost": input_cost, "output_cost": output_cost, "total_cost": total_cost}


def _at(rate: Rate | None, tokens: _Tokens) -> float:
    """Return the price that holds: of steps the last one that the input is above, else the first."""
    if rate is None or isinstance(rate, (int, float)):
        return rate or 0.0
    price = rate[0][1]
    for above, step_price in rate[1:]:
        if tokens.input > above:
            price = step_price
    return price
