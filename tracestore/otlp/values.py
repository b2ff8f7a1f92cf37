"""Attribute values: OTLP's AnyValue and plain values, without loss either way.

What JSON has no form for is an object with one telling key: `{"otel.bytes": base64}`, `{"otel.double": "NaN"}`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BYTES, _DOUBLE = "otel.bytes", "otel.double"


def plain(value: Mapping[str, Any]) -> Any:
    """Return an AnyValue as a plain value; None for the empty one."""
    for kind, item in value.items():
        if kind == "arrayValue":
            return [plain(part) for part in item.get("values", ())]
        if kind == "kvlistValue":
            return plain_attributes(item.get("values", ()))
        if kind == "bytesValue":
            return {_BYTES: base64.b64encode(item).decode()}
        if kind == "doubleValue" and not math.isfinite(item):
            name = "NaN" if math.isnan(item) else ("Infinity" if item > 0 else "-Infinity")
            return {_DOUBLE: name}
        return item
    return None


def plain_attributes(attributes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a list of KeyValue as a dictionary; of a key that is there twice, the last value."""
    return {pair.get("key", ""): plain(pair.get("value", {})) for pair in attributes}


def any_value(value: Any) -> dict[str, Any]:
    """Return a plain JSON value as an AnyValue."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": value} if -(2**63) <= value < 2**63 else {"doubleValue": float(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def _object(value: Mapping[str, Any]) -> dict[str, Any]:
    if len(value) == 1:
        [(key, item)] = value.items()
        if key == _DOUBLE and item in ("NaN", "Infinity", "-Infinity"):
            return {"doubleValue": float(item)}
        if key == _BYTES and isinstance(item, str):
            try:
                return {"bytesValue": base64.b64decode(item, validate=True)}
            except ValueError:
                pass
    return {"kvlistValue": {"values": key_values(value)}}


def key_values(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a dictionary as a list of KeyValue."""
    return [{"key": str(key), "value": any_value(value)} for key, value in attributes.items()]
