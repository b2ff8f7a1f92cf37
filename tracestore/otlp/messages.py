"""OTLP's messages of traces as protobuf and as JSON, from one table.

A message is a dictionary with the names of OTLP's JSON form, ids as hex text, 64-bit integers as int, bytes as
bytes. Reading treats what it gets as hostile: bounded depth, every length checked, nothing but StoreError.
Source: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.7.0/opentelemetry/proto/trace/v1/trace.proto
and https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from tracestore.errors import StoreError

#: Levels of values within values that are read, and messages within one: an empty one is 2 bytes of a file
#: and 300 of memory.
MAX_DEPTH, MAX_MESSAGES = 100, 5_000_000

#: Bytes of an integer at most.
_VARINT_BYTES = 10


class Field(NamedTuple):
    """One field of a message: its JSON name, its kind, and whether it may occur often."""

    name: str
    kind: str  # a scalar kind, or the name of a message
    repeated: bool = False


#: Every message by name, its fields by number.
MESSAGES: dict[str, dict[int, Field]] = {
    "TracesData": {1: Field("resourceSpans", "ResourceSpans", True)},
    "ResourceSpans": {
        1: Field("resource", "Resource"),
        2: Field("scopeSpans", "ScopeSpans", True),
        3: Field("schemaUrl", "string"),
    },
    "Resource": {
        1: Field("attributes", "KeyValue", True),
        2: Field("droppedAttributesCount", "uint32"),
    },
    "ScopeSpans": {
        1: Field("scope", "Scope"),
        2: Field("spans", "Span", True),
        3: Field("schemaUrl", "string"),
    },
    "Scope": {
        1: Field("name", "string"),
        2: Field("version", "string"),
        3: Field("attributes", "KeyValue", True),
        4: Field("droppedAttributesCount", "uint32"),
    },
    "Span": {
        1: Field("traceId", "id"),
        2: Field("spanId", "id"),
        3: Field("traceState", "string"),
        4: Field("parentSpanId", "id"),
        5: Field("name", "string"),
        6: Field("kind", "enum"),
        7: Field("startTimeUnixNano", "fixed64"),
        8: Field("endTimeUnixNano", "fixed64"),
        9: Field("attributes", "KeyValue", True),
        10: Field("droppedAttributesCount", "uint32"),
        11: Field("events", "Event", True),
        12: Field("droppedEventsCount", "uint32"),
        13: Field("links", "Link", True),
        14: Field("droppedLinksCount", "uint32"),
        15: Field("status", "Status"),
        16: Field("flags", "fixed32"),
    },
    "Event": {
        1: Field("timeUnixNano", "fixed64"),
        2: Field("name", "string"),
        3: Field("attributes", "KeyValue", True),
        4: Field("droppedAttributesCount", "uint32"),
    },
    "Link": {
        1: Field("traceId", "id"),
        2: Field("spanId", "id"),
        3: Field("traceState", "string"),
        4: Field("attributes", "KeyValue", True),
        5: Field("droppedAttributesCount", "uint32"),
        6: Field("flags", "fixed32"),
    },
    "Status": {2: Field("message", "string"), 3: Field("code", "enum")},
    "KeyValue": {1: Field("key", "string"), 2: Field("value", "AnyValue")},
    "AnyValue": {
        1: Field("stringValue", "string"),
        2: Field("boolValue", "bool"),
        3: Field("intValue", "int64"),
        4: Field("doubleValue", "double"),
        5: Field("arrayValue", "ArrayValue"),
        6: Field("kvlistValue", "KeyValueList"),
        7: Field("bytesValue", "bytes"),
    },
    "ArrayValue": {1: Field("values", "AnyValue", True)},
    "KeyValueList": {1: Field("values", "KeyValue", True)},
    "Response": {1: Field("partialSuccess", "PartialSuccess")},
    "PartialSuccess": {1: Field("rejectedSpans", "int64"), 2: Field("errorMessage", "string")},
}

_BY_NAME = {
    message: {field.name: (number, field) for number, field in fields.items()}
    for message, fields in MESSAGES.items()
}
_VARINTS = frozenset({"uint32", "int64", "enum", "bool"})
_TOO_MANY = f"more than {MAX_MESSAGES:,} values in one message; split it, one message a line"
_WIRE_TYPES = {"fixed64": 1, "double": 1, "fixed32": 5} | dict.fromkeys(_VARINTS, 0)


def halves(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a TracesData as two with half of its spans each; [] where it has one at most."""
    spans = [
        (resource, scope, span)
        for resource in message.get("resourceSpans", ())
        for scope in resource.get("scopeSpans", ())
        for span in scope.get("spans", ())
    ]
    middle = (len(spans) + 1) // 2
    return [_of_spans(spans[:middle]), _of_spans(spans[middle:])] if len(spans) > 1 else []


def _of_spans(
    spans: Sequence[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]],
) -> dict[str, Any]:
    """Return a TracesData of spans with their resources and scopes."""
    resources: dict[int, tuple[dict[str, Any], dict[int, dict[str, Any]]]] = {}
    for resource, scope, span in spans:
        _, scopes = resources.setdefault(id(resource), ({**resource}, {}))
        scopes.setdefault(id(scope), {**scope, "spans": []})["spans"].append(span)
    return {
        "resourceSpans": [
            resource | {"scopeSpans": list(scopes.values())}
            for resource, scopes in resources.values()
        ]
    }


# ------------------------------------------------------------------------------------------ protobuf


def to_protobuf(message: Mapping[str, Any], kind: str = "TracesData") -> bytes:
    """Return a message as protobuf; names that it does not have are left out."""
    out = bytearray()
    _write_message(out, message, kind)
    return bytes(out)


def _write_message(out: bytearray, message: Mapping[str, Any], kind: str) -> None:
    for name, value in message.items():
        known = _BY_NAME[kind].get(name)
        if known is None:
            continue
        number, field = known
        for item in value if field.repeated else (value,):
            # In a oneof also a zero says something.
            if field.repeated or kind == "AnyValue" or item not in (0, "", None, b""):
                _write_field(out, number, field, item)


def _write_field(out: bytearray, number: int, field: Field, value: Any) -> None:
    wire_type = _WIRE_TYPES.get(field.kind, 2)
    _write_varint(out, number << 3 | wire_type)
    if wire_type == 0:
        _write_varint(out, int(value) & 0xFFFFFFFFFFFFFFFF)
    elif field.kind == "double":
        out += struct.pack("<d", value)
    elif wire_type == 1:
        out += struct.pack("<Q", value)
    elif wire_type == 5:
        out += struct.pack("<I", value)
    else:
        data = _bytes_of(field.kind, value)
        _write_varint(out, len(data))
        out += data


def _bytes_of(kind: str, value: Any) -> bytes:
    if kind == "string":
        return str(value).encode("utf-8", "replace")
    if kind == "id":
        return bytes.fromhex(value)
    if kind == "bytes":
        return bytes(value)
    return to_protobuf(value, kind)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def from_protobuf(data: bytes, kind: str = "TracesData") -> dict[str, Any]:
    """Return the message that `data` is; StoreError where it is none."""
    try:
        return _Reader(data).message(0, len(data), kind, 0)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise StoreError(f"this is no OTLP protobuf: {error}") from error


def read_size(file: BinaryIO) -> int:
    """Read the size that stands before a message in a file; StoreError where there is none."""
    data = b""
    while len(data) < _VARINT_BYTES and (byte := file.read(1)):
        data += byte
        if byte < b"\x80":
            return _Reader(data).varint()
    raise StoreError("this is no OTLP protobuf: a size is too long or not whole")


class _Reader:
    """Reads protobuf. Raises IndexError, ValueError or struct.error on what is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._messages = 0

    def message(self, start: int, end: int, kind: str, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels")
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise ValueError(_TOO_MANY)
        fields = MESSAGES[kind]
        found: dict[str, Any] = {}
        self._at = start
        while self._at < end:
            tag = self.varint()
            field = fields.get(tag >> 3)
            wire_type = tag & 7
            if field is None or wire_type != _WIRE_TYPES.get(field.kind, 2):
                self._skip(wire_type, end)
                continue
            value = self._value(field, end, depth)
            if field.repeated:
                found.setdefault(field.name, []).append(value)
            else:
                found[field.name] = value
        if self._at != end:
            raise ValueError("a field is longer than its message")
        return found

    def _value(self, field: Field, end: int, depth: int) -> Any:
        wire_type = _WIRE_TYPES.get(field.kind, 2)
        if wire_type == 0:
            return _varint_value(field.kind, self.varint())
        if wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
            code = "<d" if field.kind == "double" else ("<Q" if size == 8 else "<I")
            (value,) = struct.unpack(code, self._take(size, end))
            return value
        length = self.varint()
        if field.kind in MESSAGES:
            start = self._at
            if start + length > end:
                raise ValueError("a message is longer than what it is in")
            return self.message(start, start + length, field.kind, depth + 1)
        return _scalar(field.kind, self._take(length, end))

    def _take(self, length: int, end: int) -> bytes:
        start, self._at = self._at, self._at + length
        if self._at > end:
            raise ValueError("a value is longer than its message")
        return self._data[start : self._at]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 7 * _VARINT_BYTES, 7):
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF
        raise ValueError("a number is too long")

    def _skip(self, wire_type: int, end: int) -> None:
        if wire_type == 0:
            self.varint()
        elif wire_type in (1, 5):
            self._take(8 if wire_type == 1 else 4, end)
        elif wire_type == 2:
            self._take(self.varint(), end)
        else:
            raise ValueError(f"wire type {wire_type}")


def _varint_value(kind: str, value: int) -> Any:
    if kind == "bool":
        return bool(value)
    if kind == "int64" and value >= 1 << 63:
        return value - (1 << 64)
    return value & 0xFFFFFFFF if kind in ("uint32", "enum") else value


def _scalar(kind: str, data: bytes) -> Any:
    if kind == "string":
        return data.decode()
    return data.hex() if kind == "id" else data


# ------------------------------------------------------------------------------------------ JSON


def to_json(message: Mapping[str, Any], kind: str = "TracesData") -> bytes:
    """Return a message as OTLP's JSON in one line: hex ids, numbers of enumerations, 64-bit integers as text."""
    return msgspec.json.encode(_json_form(message, kind))


def _json_form(message: Mapping[str, Any], kind: str) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for name, value in message.items():
        _, field = _BY_NAME[kind].get(name, (0, None))
        if field is not None:
            items = [
                _json_value(field.kind, item) for item in (value if field.repeated else (value,))
            ]
            form[name] = items if field.repeated else items[0]
    return form


def _json_value(kind: str, value: Any) -> Any:
    if kind in MESSAGES:
        return _json_form(value, kind)
    if kind in ("int64", "fixed64"):
        return str(value)
    if kind == "bytes":
        return base64.b64encode(value).decode()
    if kind == "double" and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def from_json(data: bytes | str, kind: str = "TracesData") -> dict[str, Any]:
    """Return the message that is in a JSON text; StoreError where it is none.

    Takes enumerations by number and by name, integers as text and as numbers, ids in hex and in base64, and the
    older name `instrumentationLibrarySpans`.
    """
    try:
        return _read_json(_decoded(data), kind, 0)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"this is no OTLP JSON: {error}") from error


def _decoded(data: bytes | str) -> Any:
    count = data.count("{") if isinstance(data, str) else data.count(b"{")
    if count > MAX_MESSAGES:
        raise ValueError(_TOO_MANY)
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return json.loads(data)  # NaN and the infinities, as Python writes them


_OLD_NAMES = {
    "instrumentationLibrarySpans": "scopeSpans",
    "instrumentationLibrary": "scope",
}


def _read_json(form: Any, kind: str, depth: int) -> dict[str, Any]:
    if not isinstance(form, dict):
        raise TypeError(f"{kind} is no object")
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} levels")
    fields = _BY_NAME[kind]
    found: dict[str, Any] = {}
    for given, value in form.items():
        name = given if given in fields else _OLD_NAMES.get(given, _camel(given))
        if name not in fields or value is None:
            continue
        field = fields[name][1]
        if not field.repeated:
            found[name] = _read_value(field.kind, value, depth)
        elif isinstance(value, list):
            found[name] = [_read_value(field.kind, item, depth) for item in value]
        else:
            raise TypeError(f"{given} is no list")
    return found


def _camel(name: str) -> str:
    """Return the JSON name of protobuf's `some_name`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _read_value(kind: str, value: Any, depth: int) -> Any:
    if kind in MESSAGES:
        return _read_json(value, kind, depth + 1)
    if kind in ("int64", "fixed64", "uint32", "fixed32"):
        return _integer(kind, value)
    return _READERS[kind](value)


def _integer(kind: str, value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():  # also NaN and the infinities
        raise ValueError(f"{value!r} is no integer")
    number = int(value)
    low, high = (
        (-(2**63), 2**63) if kind == "int64" else (0, 2 ** (64 if kind == "fixed64" else 32))
    )
    if not low <= number < high:
        raise ValueError(f"{value!r:.30} is out of range")
    return number


def _id(value: Any) -> str:
    text = str(value)
    if len(text) in (0, 16, 32):
        return bytes.fromhex(text).hex()
    data = _bytes(text)
    if len(data) not in (8, 16):
        raise ValueError(f"{text!r:.50} is no id")
    return data.hex()


def _bytes(value: Any) -> bytes:
    """Read base64 in either alphabet, with or without padding, as protobuf's JSON has it."""
    text = str(value).rstrip("=").translate(_STANDARD)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


_STANDARD = str.maketrans("-_", "+/")


#: Enumerations of a span by name, and the numbers that OTLP has for them.
SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS_CODES = ("UNSET", "OK", "ERROR")


_ENUMS = {
    f"{prefix}_{name}": number
    for prefix, names in (("SPAN_KIND", SPAN_KINDS), ("STATUS_CODE", STATUS_CODES))
    for number, name in enumerate(names)
}


def _enum(value: Any) -> int:
    return _ENUMS[value] if value in _ENUMS else _integer("uint32", value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.30} is neither true nor false")
    return value


_READERS: dict[str, Any] = {
    "string": str,
    "bool": _boolean,
    "double": float,
    "enum": _enum,
    "id": _id,
    "bytes": _bytes,
}
