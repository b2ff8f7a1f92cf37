"""What a span that called a language model says of the call: its model, its provider, what it cost.

Pure functions of attributes and payloads as they were recorded; prices are looked up on the writing thread. What
a program recorded itself always counts: a cost is computed only where none was set, also not to None.
"""

from __future__ import annotations

import functools
import logging
import types
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tracestore.entities.span import COST_KEY, MODEL_KEY, USAGE_KEY

log = logging.getLogger("tracestore")

#: Attributes that name the model, first one wins.
MODEL_KEYS = (MODEL_KEY, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name")

#: Attributes that name who was called, likewise.
PROVIDER_KEYS = (
    "mlflow.llm.provider",
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
)

#: A payload beyond this is not looked into for a model, in bytes.
_MAX_DECODED = 1024 * 1024

_failed: set[str] = set()


class _Payload(msgspec.Struct):
    """The fields of a request or an answer that say what was called."""

    model: Any = None
    service_tier: Any = None


_NOTHING = _Payload()
_decode = msgspec.json.Decoder(_Payload).decode


def first_text(said: Callable[[str], Any], keys: tuple[str, ...]) -> str | None:
    """Return the first of some attributes that is a text, None where none is."""
    for key in keys:
        value = said(key)
        if isinstance(value, str):
            return value
    return None


def what_was_called(
    said: Callable[[str], Any], inputs: bytes | None, outputs: bytes | None, start_time_ns: int
) -> dict[str, Any]:
    """Return what to add to the attributes of a span that reports token usage and no cost: model and cost.

    Args:
        said: The span's attributes, decoded, by key; None for one that is absent.
        inputs: As JSON.
        outputs: Likewise.
        start_time_ns: When the call began, nanoseconds since 1970: prices change.
    """
    try:
        return _added(said, inputs, outputs, start_time_ns)
    except Exception as error:  # noqa: BLE001 - a price must never cost a span
        if type(error).__name__ not in _failed:
            _failed.add(type(error).__name__)
            log.warning("costs are not computed: %r", error)
        return {}


def _added(
    said: Callable[[str], Any], inputs: bytes | None, outputs: bytes | None, start_time_ns: int
) -> dict[str, Any]:
    usage = said(USAGE_KEY)
    if not usage or (type(usage) is not dict and not isinstance(usage, Mapping)):
        return {}
    model = first_text(said, MODEL_KEYS) or _text(_payload(inputs, b'"model"').model)
    answer = _payload(outputs, b'"service_tier"' if model else b'"model"')
    model = model or _text(answer.model)
    if model is None:
        return {}
    added: dict[str, Any] = {MODEL_KEY: model} if said(MODEL_KEY) is None else {}
    cost = _prices().cost_of(
        model,
        usage,
        provider=first_text(said, PROVIDER_KEYS),
        time_ns=start_time_ns,
        tier=answer.service_tier,
    )
    return added if cost is None else added | {COST_KEY: cost}


@functools.cache
def _prices() -> types.ModuleType:
    from tracestore import prices  # noqa: PLC0415 - programs that call no model need none

    return prices


def _payload(data: bytes | None, wanted: bytes) -> _Payload:
    if data is None or len(data) > _MAX_DECODED or wanted not in data:
        return _NOTHING
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # no object, or not ours
        return _NOTHING


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
