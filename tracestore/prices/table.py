"""Prices by provider and model: the bundled snapshot, and above it a person's own file.

A model is found by the rules of genai-prices (https://github.com/pydantic/genai-prices): the provider by its id
or its clause, else by the model's name; then the first model of the provider whose clause matches. Prices may
start at a date, hold between times of the day, depend on the service tier, and rise with the number of input
tokens. Invariant: nothing here raises because of a name that was recorded or a file that a person wrote.
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib.resources
import logging
import os
import pathlib
import re
from typing import Annotated, Any

import msgspec

from tracestore import settings

log = logging.getLogger("tracestore")

#: Names of models and providers longer than this are no names.
MAX_NAME = 200

#: A person's own file is not read beyond this.
MAX_FILE_BYTES = 4 * 1024 * 1024

_Price = Annotated[float, msgspec.Meta(ge=0)]
_Step = tuple[Annotated[int, msgspec.Meta(ge=0)], _Price]

#: US dollars: one price, or steps of [tokens of input above which it holds for all tokens, price].
Rate = _Price | Annotated[list[_Step], msgspec.Meta(min_length=1)]


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """US dollars per million tokens (`requests`: per thousand calls); None where none is asked for."""

    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    requests: Rate | None = None


class _Dated(Prices, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices with when they hold: from a date on, between times of the day, in a service tier."""

    start: dt.date | None = msgspec.field(default=None, name="from")
    between: tuple[dt.time, dt.time] | None = None
    tier: str | None = None

    def holds(self, moment: dt.datetime) -> bool:
        """Whether these prices hold at `moment`, which is UTC."""
        if self.start is not None:
            return moment.date() >= self.start
        if self.between is None:
            return True
        now = moment.time()
        start, end = (time.replace(tzinfo=None) for time in self.between)
        return start <= now < end if start <= end else now >= start or now < end


class Model(msgspec.Struct, frozen=True):
    """One model: what names it, its prices (a later one that holds goes first), those of service tiers."""

    match: Any
    prices: list[_Dated]
    variants: list[_Dated] = []

    def prices_at(self, moment: dt.datetime, tier: str | None) -> Prices:
        """Return the prices that hold at `moment`; where none does, the first ones."""
        standard = next((p for p in reversed(self.prices) if p.holds(moment)), self.prices[0])
        for variant in self.variants:
            if variant.tier == tier and variant.holds(moment):
                changed = {k: getattr(variant, k) for k in Prices.__struct_fields__}
                changed = {key: value for key, value in changed.items() if value is not None}
                standard = msgspec.structs.replace(standard, **changed)
                break
        return standard


class _Provider(msgspec.Struct, frozen=True):
    id: str
    models: list[Model]
    model_match: Any = None
    provider_match: Any = None
    fallback: list[str] = []


class _Snapshot(msgspec.Struct, frozen=True):
    source: str
    date: dt.date
    providers: list[_Provider]


def _matches(clause: Any, text: str) -> bool:
    """Whether a clause matches: a text equals, a list is any of, an object says how."""
    if isinstance(clause, str):
        return clause == text
    if isinstance(clause, list):
        return any(_matches(part, text) for part in clause)
    [(kind, value)] = clause.items()
    if kind == "contains":
        return value in text
    if kind == "starts_with":
        return text.startswith(value)
    if kind == "ends_with":
        return text.endswith(value)
    if kind == "and":
        return all(_matches(part, text) for part in value)
    return re.search(value, text) is not None


@functools.cache
def snapshot() -> _Snapshot:
    """Return the bundled prices: 3 ms the first time."""
    file = importlib.resources.files(__package__) / "prices.json"
    return msgspec.json.decode(file.read_bytes(), type=_Snapshot)


#: Names of OpenTelemetry's semantic conventions and of frameworks that no clause of the table matches rightly.
#: Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/
_ALIASES = {
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
}


@functools.lru_cache(maxsize=512)
def find_model(model: str, provider: str | None) -> Model | None:
    """Return the model that the names mean, None where the table does not know it."""
    model = model.lower().strip()
    if not model or len(model) > MAX_NAME or (provider is not None and len(provider) > MAX_NAME):
        return None
    found = None if provider is None else _provider_named(provider)
    if provider is None:
        # As genai-prices does for litellm: a provider before a slash.
        before, slash, after = model.partition("/")
        found = _provider_named(before) if slash else None
        if found is not None:
            model = after
        else:
            found = next((p for p in snapshot().providers if _is_known_to(p, model)), None)
    return None if found is None else _model_of(found, model)


def _is_known_to(provider: _Provider, model: str) -> bool:
    return provider.model_match is not None and _matches(provider.model_match, model)


def _provider_named(name: str) -> _Provider | None:
    name = name.lower().strip()
    name = _ALIASES.get(name, name)
    providers = snapshot().providers
    by_id = next((p for p in providers if p.id == name), None)
    return by_id or next(
        (p for p in providers if p.provider_match is not None and _matches(p.provider_match, name)),
        None,
    )


def _model_of(provider: _Provider, model: str) -> Model | None:
    return _named(provider, model) or _named(provider, _with_dashed_date(model))


def _named(provider: _Provider, model: str) -> Model | None:
    for each in provider.models:
        if _matches(each.match, model):
            return each
    others = {other.id: other for other in snapshot().providers if other.id in provider.fallback}
    for name in provider.fallback:
        for each in others[name].models:
            if _matches(each.match, model):
                # A service tier is one of the provider's own.
                return msgspec.structs.replace(each, variants=[])
    return None


_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _with_dashed_date(model: str) -> str:
    """Return "gpt-5.2-2025-12-11" for "gpt-5.2-20251211", as routers write it."""
    return _COMPACT_DATE.sub(lambda match: "{}{}-{}-{}".format(*match.groups()), model)


# ---------------------------------------------------------------------------- a person's own prices


def own_prices(model: str, provider: str | None) -> tuple[bool, Prices | None]:
    """Return whether a person's file says anything of a model, and what; None: that it has no cost."""
    own = _own()
    if not own:
        return False, None
    model = model.lower().strip()
    names = [model] if provider is None else [f"{provider.lower().strip()}/{model}", model]
    for name in names:
        if name in own:
            return True, own[name]
    beginnings = [key for key in own if key.endswith("*") and _begins(names, key[:-1])]
    return (True, own[max(beginnings, key=len)]) if beginnings else (False, None)


def _begins(names: list[str], beginning: str) -> bool:
    return any(name.startswith(beginning) for name in names)


def own_path() -> pathlib.Path:
    """Return where a person's own prices are: TRACESTORE_PRICES, else in the configuration directory."""
    variable = "TRACESTORE_PRICES"
    given = settings.load({variable: os.environ[variable]} if variable in os.environ else {}).prices
    if given is not None:
        return pathlib.Path(os.path.expanduser(given))  # noqa: PTH111 - raises nothing for ~nobody
    import platformdirs  # noqa: PLC0415 - 15 ms, not needed where a path is given

    return pathlib.Path(platformdirs.user_config_dir("tracestore", False)) / "prices.json"


@functools.cache
def _own() -> dict[str, Prices | None]:
    path = own_path()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)  # a larger one is cut, and no JSON
        own = msgspec.json.decode(data, type=dict[str, Prices | None])
    except FileNotFoundError:
        if "TRACESTORE_PRICES" in os.environ:
            log.warning("TRACESTORE_PRICES=%s: there is no such file; bundled prices count", path)
        return {}
    except (OSError, ValueError, msgspec.DecodeError, RecursionError) as error:
        log.warning(
            "the prices in %s are not used: %s; it must hold an object such as "
            '{"my-model": {"input": 0.5, "output": 1.5}}, US dollars per million tokens',
            path,
            error,
        )
        return {}
    return {key.lower().strip(): value for key, value in own.items()}


def forget() -> None:
    """Read everything again when it is next wanted: for tests, and after the file was changed."""
    for cached in (_own, find_model):
        cached.cache_clear()
