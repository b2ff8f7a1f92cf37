"""Makes the bundled prices anew from the genai-prices package that is installed: `python -m tests.prices_snapshot`.

    pip install --upgrade genai-prices && python -m tests.prices_snapshot  # and pin its version in pyproject.toml

Keeps what prices tokens and requests, leaves out what this package has no count of (audio, images, searches) and
the texts. The licence of the data is written beside it. tests/test_prices.py compares all of it with the package.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import pathlib
from typing import Any

import tracestore

FOLDER = pathlib.Path(tracestore.__file__).parent / "prices"

#: What is kept of a price: its name in genai-prices and in our file.
KEPT = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "requests_kcount": "requests",
}

#: Request contexts that can be told from a recorded answer; prices for others (batches) are left out.
CONTEXT = "service_tier"


def clause(match: Any) -> Any:
    """Return a match clause: a text equals, a list is any of, the others are objects of one key."""
    if match is None:
        return None
    [(kind, value)] = vars(match).items()
    if kind in ("or_", "and_"):
        parts = [clause(part) for part in value]
        return parts if kind == "or_" else {"and": parts}
    if kind == "regex":
        return {kind: value}
    return value.lower() if kind == "equals" else {kind: value.lower()}


def number(value: Any) -> float | int:
    """Return a price as the shortest number."""
    return int(value) if value == int(value) else float(value)


def prices(model_price: Any) -> dict[str, Any]:
    """Return what is kept of a price; a tiered one as [tokens of input above which it holds, price]."""
    found: dict[str, Any] = {}
    for key, name in KEPT.items():
        value = getattr(model_price, key)
        if value is not None and hasattr(value, "tiers"):
            steps = [[tier.start, number(tier.price)] for tier in value.tiers]
            found[name] = [[0, number(value.base)], *steps]
        elif value is not None:
            found[name] = number(value)
    return found


def conditional(price: Any) -> dict[str, Any]:
    """Return prices with the condition under which they hold."""
    found: dict[str, Any] = prices(price.prices)
    constraint = price.constraint
    if hasattr(constraint, "start_date"):
        found["from"] = constraint.start_date.isoformat()
    elif constraint is not None:
        found["between"] = [constraint.start_time.isoformat(), constraint.end_time.isoformat()]
    return found


def model(info: Any) -> dict[str, Any]:
    """Return one model."""
    several: list[Any] | None = info.prices if isinstance(info.prices, list) else None
    kept: dict[str, Any] = {
        "match": clause(info.match),
        "prices": [prices(info.prices)] if several is None else [conditional(p) for p in several],
    }
    variants = [
        conditional(variant) | {"tier": variant.when[CONTEXT]}
        for variant in info.price_variants or ()
        if list(variant.when) == [CONTEXT]
    ]
    if variants:
        kept["variants"] = variants
    return kept


def provider(info: Any) -> dict[str, Any]:
    """Return one provider."""
    kept = {
        "id": info.id,
        "model_match": clause(info.model_match),
        "provider_match": clause(info.provider_match),
        "fallback": info.fallback_model_providers,
    }
    kept = {key: value for key, value in kept.items() if value is not None}
    return kept | {"models": [model(each) for each in info.models]}


def main() -> None:
    """Write the data and its licence."""
    from genai_prices.data import providers  # noqa: PLC0415 - an extra of the tests

    distribution = importlib.metadata.distribution("genai-prices")
    snapshot = {
        "source": f"https://github.com/pydantic/genai-prices {distribution.version}, MIT",
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "providers": [provider(each) for each in providers],
    }
    text = json.dumps(snapshot, separators=(",", ":"), ensure_ascii=False)
    text = text.replace('{"match":', '\n{"match":')  # a line each, for who reads the difference
    (FOLDER / "prices.json").write_text(text + "\n", "utf-8")
    [licence] = [f for f in distribution.files or () if f.name == "LICENSE"]
    (FOLDER / "prices.LICENSE").write_text(licence.read_text(), "utf-8")


if __name__ == "__main__":
    main()
