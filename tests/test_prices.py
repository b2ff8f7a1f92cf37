"""Prices: the bundled ones are those of genai-prices, one's own come first, and nothing is guessed."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.util
import json
import logging
import pathlib
import re
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests import prices_snapshot
from tracestore.prices import cost_of, table

IS_INSTALLED = importlib.util.find_spec("genai_prices") is not None
genai_prices: Any = importlib.import_module("genai_prices") if IS_INSTALLED else None

#: Its table is what ours is compared with; it needs Python 3.11.
peer = pytest.mark.skipif(not IS_INSTALLED, reason="genai-prices is not installed")


@pytest.fixture(autouse=True)
def own_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    path = tmp_path / "prices.json"
    monkeypatch.setenv("TRACESTORE_PRICES", str(path))
    path.write_text("{}")
    table.forget()
    yield path
    table.forget()


def ns(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 10**9


USAGES: tuple[dict[str, int], ...] = (
    {"input_tokens": 1_000, "output_tokens": 500},
    {
        "input_tokens": 500_000,  # above the steps of most
        "output_tokens": 70,
        "cache_read_input_tokens": 300_000,
        "cache_creation_input_tokens": 50_000,
        "cache_creation_input_tokens_above_1hr": 20_000,
    },
)

_THEIRS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "cache_creation_input_tokens_above_1hr": "cache_write_1h_tokens",
}

MOMENTS = (
    dt.datetime(2024, 3, 1, 3, tzinfo=dt.timezone.utc),
    dt.datetime(2025, 9, 15, 18, 30, tzinfo=dt.timezone.utc),
    dt.datetime(2026, 11, 20, 12, tzinfo=dt.timezone.utc),
)


def their_cost(
    model: str, provider: str | None, usage: dict[str, int], moment: dt.datetime, tier: str | None
) -> dict[str, Decimal] | None:
    """Return what genai-prices says; None where it knows no such model, or no price of a token of it."""
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**{_THEIRS[key]: value for key, value in usage.items()}),
            model,
            provider_id=provider,
            genai_request_timestamp=moment,
            price_context=None if tier is None else {"service_tier": tier},
        )
    except LookupError:
        return None
    if not {"input_mtok", "output_mtok", "requests_kcount"} & {
        key for key, value in vars(found.model_price).items() if value is not None
    }:
        return None
    return {
        "input_cost": found.input_price,
        "output_cost": found.output_price,
        "total_cost": found.total_price,
    }


def names_of(clause: Any) -> Iterator[str]:
    """Yield names that a clause matches, as far as they can be made of it."""
    if isinstance(clause, str):
        yield clause
    elif isinstance(clause, list):
        for part in clause:
            yield from names_of(part)
    else:
        [(kind, value)] = clause.items()
        if kind == "and":
            yield "-".join(name for part in value for name in names_of(part))
        elif kind != "regex":
            yield from (value, f"{value}-20260102", f"x-{value}")


def all_names() -> list[tuple[str, str]]:
    names: dict[tuple[str, str], None] = {}
    for provider in table.snapshot().providers:
        for model in provider.models:
            for name in names_of(model.match):
                names[provider.id, name] = None
                names[provider.id, name.upper()] = None
    return list(names)


def assert_same(ours: dict[str, float] | None, theirs: dict[str, Decimal] | None) -> None:
    if ours is None or theirs is None:
        assert ours is None
        assert theirs is None
        return
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(float(value), rel=1e-9, abs=1e-15)


@peer
def test_snapshot_is_that_of_the_installed_package() -> None:
    from genai_prices.data import providers  # noqa: PLC0415 - large

    stored = json.loads((prices_snapshot.FOLDER / "prices.json").read_text("utf-8"))
    version = re.search(r" ([\d.]+), MIT$", stored["source"])
    assert version is not None
    assert version[1] == genai_prices.__version__  # pyproject.toml pins the snapshot's
    assert stored["providers"] == [prices_snapshot.provider(each) for each in providers]


def test_snapshot_is_small_and_has_its_licence_beside_it() -> None:
    assert (prices_snapshot.FOLDER / "prices.json").stat().st_size < 300_000
    assert "Pydantic Services" in (prices_snapshot.FOLDER / "prices.LICENSE").read_text("utf-8")


@peer
def test_whole_table_costs_what_genai_prices_says() -> None:
    """Source: genai-prices itself, asked about every name that a clause of the table is made of."""
    names = all_names()
    assert len(names) > 5_000
    known = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (provider, name) in enumerate(names):
            moment = MOMENTS[number % len(MOMENTS)]
            usage = USAGES[number // 7 % len(USAGES)]
            tier = (None, "priority", "flex", "default")[number // 3 % 4]
            ours = cost_of(name, usage, provider=provider, time_ns=ns(moment), tier=tier)
            assert_same(ours, their_cost(name, provider, usage, moment, tier))
            known += ours is not None
    assert known > 4_500


@peer
def test_models_without_a_provider_cost_what_genai_prices_says() -> None:
    names = {name for provider, name in all_names() if provider != "openrouter"}
    known = 0
    for name in sorted(names):
        routed = "litellm" if "/" in name else None
        theirs = their_cost(name, routed, USAGES[0], MOMENTS[2], None)
        ours = cost_of(name, USAGES[0], time_ns=ns(MOMENTS[2]))
        assert_same(ours, theirs)
        known += ours is not None
    assert known > 800


@peer
@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_prices_of_times_of_the_day(hour: int) -> None:
    moment = dt.datetime(2025, 6, 1, hour, 31, tzinfo=dt.timezone.utc)
    for model in ("deepseek-chat", "deepseek-reasoner"):
        ours = cost_of(model, USAGES[0], provider="deepseek", time_ns=ns(moment))
        assert_same(ours, their_cost(model, "deepseek", USAGES[0], moment, None))


@peer
def test_prices_change_at_midnight_of_their_date() -> None:
    asked = 0
    for provider in table.snapshot().providers:
        for model in provider.models:
            name = next(names_of(model.match), None)
            for start in {price.start for price in model.prices if price.start is not None}:
                midnight = dt.datetime(start.year, start.month, start.day, tzinfo=dt.timezone.utc)
                for moment in (midnight, midnight - dt.timedelta(seconds=1)):
                    if name is not None:
                        ours = cost_of(name, USAGES[0], provider=provider.id, time_ns=ns(moment))
                        assert_same(ours, their_cost(name, provider.id, USAGES[0], moment, None))
                        asked += 1
    assert asked > 300


# ------------------------------------------------------------------------------------------ never a guess


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("my-own-model", None),
        ("gpt-4o", "my-gateway"),  # a known model, but nobody knows what it costs there
        ("claude-sonnet-4", "openai"),
        ("gateway:/gpt-4o", None),
        ("endpoints:/gpt-4o", None),
        ("whisper-1", "openai"),  # priced by the hour
        ("", None),
        ("gpt-" + "4" * 10_000, None),
        (None, None),
        (7, None),
    ],
)
def test_what_is_not_known_has_no_cost(model: object, provider: str | None) -> None:
    assert cost_of(model, USAGES[0], provider=provider) is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "15",
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": "10"},
        {"input_tokens": -1},
        {"input_tokens": float("nan")},
        {"input_tokens": True},
        {"input_tokens": 10, "cache_read_input_tokens": "5"},
    ],
)
def test_usage_that_counts_nothing_has_no_cost(usage: object) -> None:
    assert cost_of("gpt-4o", usage) is None


def test_cache_tokens_beyond_the_input_were_not_counted_among_it() -> None:
    """Anthropic's own counts leave them out; MLflow's integrations add them."""
    apart = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 1_000}
    among = apart | {"input_tokens": 1_010}
    assert cost_of("claude-sonnet-4-5", apart) == cost_of("claude-sonnet-4-5", among)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("gcp.vertex_ai", "google"),
        ("aws.bedrock", "aws"),
        ("azure.ai.openai", "azure"),
        ("az.ai.openai", "azure"),
        ("OpenAI", "openai"),
        ("mistral_ai", "mistral"),
        ("x_ai", "x-ai"),
    ],
)
def test_providers_by_the_names_of_opentelemetry(name: str, same: str) -> None:
    assert table._provider_named(name) is table._provider_named(same)
    assert table._provider_named(same) is not None


# ------------------------------------------------------------------------------------------ one's own prices


def test_own_prices_come_first(own_file: pathlib.Path) -> None:
    own_file.write_text(
        json.dumps(
            {
                "gpt-4o": {"input": 1, "output": 2},
                "acme/GPT-4o": {"input": 10, "output": 20, "cache_read": 0.5},
                "llama*": {"input": 0, "output": 0},
                "llama-4*": {"input": [[0, 1], [1000, 3]], "output": 1, "requests": 5},
                "gpt-5": None,
            }
        )
    )
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    cached = usage | {"cache_read_input_tokens": 500_000}
    costs = {
        "gpt-4o": cost_of("GPT-4o", usage),
        "acme": cost_of("gpt-4o", cached, provider="acme"),
        "other": cost_of("gpt-4o", usage, provider="elsewhere"),
        "llama-3": cost_of("llama-3", usage),
        "llama-4": cost_of("llama-4-x", usage),
        "gpt-5": cost_of("gpt-5", usage),
        "gpt-4": cost_of("gpt-4", usage),
    }
    totals = {name: cost and cost["total_cost"] for name, cost in costs.items()}
    assert totals == {
        "gpt-4o": 3.0,
        "acme": 5 + 0.25 + 20,
        "other": 3.0,
        "llama-3": 0.0,
        "llama-4": pytest.approx(4.005),
        "gpt-5": None,
        "gpt-4": 90.0,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"m": {"input": -1}}',
        '{"m": {"input": "1"}}',
        '{"m": {"inptu": 1}}',
        '{"m": {"input": []}}',
        '{"m": 1}',
        '{"m": {"input": 1e400}}',
        "[" * 100_000,
        "\xff\xfe",
    ],
)
def test_own_file_that_cannot_be_read_is_said_once_and_the_bundled_prices_count(
    own_file: pathlib.Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    own_file.write_text(text, "latin-1")
    with caplog.at_level(logging.WARNING, "tracestore"):
        for _ in range(3):
            assert cost_of("gpt-4o", USAGES[0]) is not None
            assert cost_of("m", USAGES[0]) is None
    assert len(caplog.records) == 1
    assert str(own_file) in caplog.text
    assert '{"my-model"' in caplog.text


def test_own_file_that_is_named_but_missing_is_said(
    own_file: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_file.unlink()
    assert cost_of("gpt-4o", USAGES[0]) is not None
    assert "there is no such file" in caplog.text


def test_own_file_is_looked_for_in_the_configuration_directory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TRACESTORE_PRICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(table.own_path()).startswith(str(tmp_path))
    assert cost_of("m", USAGES[0]) is None
    assert caplog.text == ""  # that it is not there is the usual case
    table.own_path().parent.mkdir(parents=True)
    table.own_path().write_text('{"m": {"input": 1}}')
    table.forget()
    assert cost_of("m", USAGES[0]) is not None
