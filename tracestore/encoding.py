"""Any Python value to bounded JSON, as UTF-8, on the thread that has it. Never raises on user data.

The fast way is one call into msgspec (about 0.3 µs for a small dictionary, 1 µs a kilobyte). What that can't
do (lone surrogates, cycles, depth, dictionaries with odd keys, objects that raise) goes the slow way: a copy
in plain builtins, bounded in depth and size, where only the value at fault is replaced, by a text that says
so. NaN and the infinities, which JSON lacks and msgspec turns into null, become the texts "NaN", "Infinity"
and "-Infinity", as in protobuf's JSON form (https://protobuf.dev/programming-guides/json/).

Text is kept as text: a string that looks like JSON stays a string.

Of lists and dictionaries the storage itself is read, never what a subclass overrides; iterators are never
consumed. What runs of a user's own code is a model's `model_dump` and `str()` of anything unknown. Between two such
calls the time is looked at: MAX_SECONDS for a payload. One call that never returns can't be interrupted, here or
anywhere in Python (MLflow hangs too).
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Iterable
from typing import Any

import msgspec

#: Longest JSON text kept for one payload (inputs, outputs, one attribute), in bytes. Longer ones are cut.
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024

#: How much of a payload that was cut is kept, in characters of its JSON text.
KEPT_CHARACTERS = 256 * 1024

#: Nesting that the fast way follows.
MAX_FAST_DEPTH = 500

#: Whether msgspec follows more than 1,000 levels: its limit is the interpreter's for C code, larger from 3.12 on.
_MAY_BE_DEEP = sys.version_info >= (3, 12)

#: Nesting that the slow way follows; SQLite's JSON functions refuse 1,000 levels and more.
MAX_DEPTH = 100

#: Values that the slow way copies out of one payload; objects that make new objects without end stop there.
MAX_VALUES = 100_000

#: How long the objects of one payload may take to describe themselves, in seconds; looked at between two objects.
MAX_SECONDS = 0.25

#: Longest text kept of an object that describes itself by `str()`, in characters.
MAX_TEXT = 64 * 1024

#: Integers up to this size have JSON text: CPython refuses to print more than 4,300 digits by default.
_MAX_INT_BITS = 14_000

#: Elements of arrays, data frames and other large objects that are shown as a sample.
SAMPLE = 20

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

#: Stands for what is beyond MAX_VALUES.
_TOO_MANY = f"<more than {MAX_VALUES} values>"

#: Stands for what is beyond MAX_SECONDS.
_TOO_LATE = f"<not recorded: the objects of this payload took more than {MAX_SECONDS} s to read>"

#: Stands for a payload where not even the reason can be told.
_NOT_RECORDED = b'"<not recorded>"'

#: Types that most values are of, and that hold no number with a fraction.
_NO_FLOATS = frozenset((str, int, bool, type(None)))

_CONTAINERS = (dict, list, tuple, set, frozenset)

#: What `model_dump` gives: a model's fields, or what a RootModel holds.
_DUMPED = (*_CONTAINERS, str, int, float)


def encode(value: Any) -> bytes:
    """Return `value` as JSON of at most MAX_PAYLOAD_BYTES. Never raises an Exception.

    Bytes all the way to the file: to make a text of what is not ASCII and bytes again takes longer than the encoding.
    """
    descriptions: _Descriptions | None = None
    try:
        try:
            data = _encode(value)
        except _UnknownTypeError:  # objects that describe themselves, within a time
            descriptions = _Descriptions()
            data = msgspec.json.Encoder(enc_hook=descriptions.first).encode(value)
        if len(data) > MAX_PAYLOAD_BYTES:
            return _cut(data)
        if data.find(b"null") >= 0 and _has_odd_float(value, MAX_DEPTH):
            return _encode_slowly(value, descriptions)
        if _MAY_BE_DEEP and len(data) > 2 * MAX_FAST_DEPTH and _is_deep(data, value):
            return _encode_slowly(value, descriptions)
    except Exception:  # noqa: BLE001 - user objects may raise anything; the slow way finds the culprit
        try:
            return _encode_slowly(value, descriptions)
        except Exception:  # noqa: BLE001 - no room on the stack, or no memory, even for saying so
            return _NOT_RECORDED
    return data


def encode_text(value: Any) -> str:
    """Return what `encode` does as a text."""
    return encode(value).decode()


class _UnknownTypeError(Exception):
    """A payload has an object that msgspec doesn't know."""


class _LateError(Exception):
    """The time for describing a payload's objects is over."""


def _refuse(value: Any) -> Any:
    raise _UnknownTypeError(type(value).__name__)


class _Descriptions:
    """`describe` for the objects of one payload, MAX_SECONDS for all of them, each asked once."""

    __slots__ = ("_deadline", "_known")

    def __init__(self) -> None:
        self._deadline = time.perf_counter() + MAX_SECONDS
        #: By id what an object said, each time, with the object itself, so that no other gets its id meanwhile.
        self._known: dict[int, tuple[Any, list[Any]]] = {}

    def first(self, value: Any) -> Any:
        """Return what stands for `value` and keep it for `of`; _LateError once the time is over."""
        said = self._in_time(value)
        self._known.setdefault(id(value), (value, []))[1].append(said)
        return said

    def of(self, value: Any) -> Any:
        """Return what `first` did, as often as it was asked, then as `first` does."""
        _, said = self._known.get(id(value), (None, None))
        return said.pop() if said else self._in_time(value)

    def _in_time(self, value: Any) -> Any:
        if time.perf_counter() > self._deadline:
            raise _LateError
        return describe(value)


def encode_attributes(attributes: dict[str, Any]) -> bytes:
    """Return attributes (scalars, and msgspec.Raw for what `encode` has been through) as JSON."""
    try:
        return _encode(attributes)
    except UnicodeEncodeError:  # a key with a lone surrogate
        return _encode({clean_text(k): v for k, v in attributes.items()})


def attribute_value(value: Any) -> Any:
    """Return `value` in a form that later changes can't reach: a scalar itself, or encoded JSON."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() and len(value) < KEPT_CHARACTERS else _raw(value)
    if kind is bool or value is None or (kind is int and -(2**63) <= value < 2**63):
        return value
    return _raw(value)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(encode(value))


def bindable(number: float) -> int | float:
    """Return `number` as SQLite can hold it: an integer of more than 64 bits as the nearest float, or infinity."""
    if isinstance(number, float) or -(2**63) <= number < 2**63:
        return number
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def clean_text(text: str) -> str:
    """Return `text` as SQLite and UTF-8 can hold it: no lone surrogates, NUL shown as U+2400."""
    if "\0" in text:
        text = text.replace("\0", "␀")
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def text_of(value: Any) -> str:
    """Return a tag's or metadata's value as text: itself, or `str()` of it, or JSON of containers."""
    if type(value) is str:
        return value if value.isascii() and "\0" not in value else clean_text(value)
    if issubclass(type(value), _CONTAINERS):  # isinstance asks the value itself, which may raise
        return encode_text(value)
    return clean_text(_safe_str(value))


def _encode_slowly(value: Any, descriptions: _Descriptions | None) -> bytes:
    try:
        data = _encode(_Copy(descriptions).of(value, MAX_DEPTH))
    except Exception as error:  # noqa: BLE001 - a value that changes while it is read, out of memory
        return _encode(_unavailable(value, error))
    return data if len(data) <= MAX_PAYLOAD_BYTES else _cut(data)


def _cut(data: bytes) -> bytes:
    """Return a JSON object that holds the beginning of `data` and says how much was cut."""
    kept = data[:KEPT_CHARACTERS].decode("utf-8", "ignore")
    note = f"{len(data)} bytes of JSON were cut to the first {len(kept)} characters"
    return _encode({"tracestore.cut": note, "beginning": kept})


def _is_deep(data: bytes, value: Any) -> bool:
    """Whether `value`, whose JSON text is `data`, has more than MAX_FAST_DEPTH levels."""
    containers = data.count(b"[") + data.count(b"{")  # text counts too: this only spares the walk
    return containers > MAX_FAST_DEPTH and _has_levels(value, MAX_FAST_DEPTH)


def _has_levels(value: Any, depth: int) -> bool:
    if value is None or isinstance(value, (str, int, float)):
        return False
    parts = _parts(value)
    if parts is None:
        return False
    return depth == 0 or any(_has_levels(part, depth - 1) for part in parts)


def _has_odd_float(value: Any, depth: int) -> bool:
    """Whether NaN or an infinity is anywhere in what msgspec itself looks into."""
    if type(value) in _NO_FLOATS:
        return False
    if isinstance(value, float):
        return not math.isfinite(value)
    if depth == 0:
        return False
    return any(_has_odd_float(part, depth - 1) for part in _parts(value) or ())


def _parts(value: Any) -> Iterable[Any] | None:
    """Return what msgspec looks into, None of a value without parts."""
    fields = _fields(value)
    if fields is not None:
        return dict.values(fields)
    return _elements(value) if isinstance(value, _CONTAINERS) else None


def _elements(value: Any) -> Iterable[Any]:
    """Return an iterator over the storage of a container, whatever its class overrides."""
    kinds: tuple[Any, ...] = (list, tuple, set, frozenset, dict)
    return next(kind.__iter__(value) for kind in kinds if isinstance(value, kind))


def _fields(value: Any) -> dict[Any, Any] | None:
    """Return the fields of a dictionary, a dataclass, an attrs class or a struct; None of anything else."""
    if isinstance(value, dict):
        return value
    kind = type(value)
    names = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", None)
    if names is None:
        names = [field.name for field in getattr(kind, "__attrs_attrs__", ())]
    return {name: getattr(value, name) for name in names if hasattr(value, name)} or None


class _Copy:
    """A copy of a value in JSON's builtins: bounded in depth and size, cycles noticed.

    What can't be copied becomes a text that says why.
    """

    __slots__ = ("_above", "_descriptions", "_left")

    def __init__(self, descriptions: _Descriptions | None = None) -> None:
        self._above: set[int] = set()
        self._left = MAX_VALUES
        self._descriptions = descriptions or _Descriptions()

    def of(self, value: Any, depth: int) -> Any:
        """Return the copy of `value`, which may have `depth` more levels."""
        try:
            return self._of(value, depth)
        except _LateError:
            return _TOO_LATE
        except Exception as error:  # noqa: BLE001 - user objects may raise anything
            return _unavailable(value, error)

    def _of(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return _plain_scalar(value)
        name = type(value).__name__
        if id(value) in self._above:
            return f"<{name} that contains itself>"
        if depth == 0:
            return f"<{name} below {MAX_DEPTH} levels of nesting>"
        self._above.add(id(value))
        try:
            return self._of_parts(value, depth - 1)
        finally:
            self._above.discard(id(value))

    def _of_parts(self, value: Any, depth: int) -> Any:
        fields = _fields(value)
        if fields is not None:
            return self._of_fields(fields, depth)
        if isinstance(value, _CONTAINERS):
            return self._of_elements(value, depth)
        try:
            built = msgspec.to_builtins(value)
        except Exception:  # noqa: BLE001 - what msgspec doesn't know describes itself
            built = self._descriptions.of(value)
        return built if isinstance(built, str) else self.of(built, depth)

    def _of_fields(self, fields: dict[Any, Any], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, field in dict.items(fields):
            part = self._next(field, depth)
            if _is_cut(part):
                return {**copy, "tracestore.cut": part}
            copy[_key(key)] = part
        return copy

    def _of_elements(self, container: Any, depth: int) -> list[Any]:
        copy: list[Any] = []
        for element in _elements(container):
            part = self._next(element, depth)
            copy.append(part)
            if _is_cut(part):
                break
        return copy

    def _next(self, part: Any, depth: int) -> Any:
        """Return the copy of a container's next part, or why nothing of it is copied from here on."""
        self._left -= 1
        return _TOO_MANY if self._left < 0 else self.of(part, depth)


def _is_cut(part: Any) -> bool:
    """Whether it stands for the rest of a container: the very text, not one of the program's that reads like it."""
    return part is _TOO_MANY or part is _TOO_LATE


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _odd_float(value)
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        return f"<int of {value.bit_length()} bits>"
    return value


def _key(key: Any) -> str:
    """Return a dictionary's key as text: numbers, flags and None as JSON writes them."""
    if key is None or type(key) is bool:
        return "null" if key is None else str(key).lower()
    return clean_text(key if type(key) is str else _safe_str(key))


def _odd_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def describe(value: Any) -> Any:
    """Return what stands for an object that JSON has no form for: msgspec's `enc_hook`.

    pydantic models give what they dump, numpy scalars their number, arrays and data frames their type, shape
    and first elements; anything else its `str()`.
    """
    kind = type(value)
    if value is None or kind is bool:  # as a key, which msgspec asks about too
        return _key(value)
    if hasattr(kind, "model_dump"):  # asked of the class: a mock has every attribute
        dumped = value.model_dump()
        if isinstance(dumped, _DUMPED):
            return _without_odd_floats(dumped)
    package = kind.__module__.partition(".")[0]
    if package == "numpy":
        return _describe_numpy(value)
    if package in ("pandas", "polars"):
        return _describe_frame(value)
    return _safe_str(value)


def _without_odd_floats(value: Any) -> Any:
    return _Copy().of(value, MAX_DEPTH) if _has_odd_float(value, MAX_DEPTH) else value


def _describe_numpy(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    if shape is None:
        return _safe_str(value)
    if shape == ():
        item = value.item()
        return _safe_str(value) if type(item) is type(value) else _without_odd_floats(item)
    sample = _without_odd_floats(value.flat[:SAMPLE].tolist())
    return {"type": "ndarray", "dtype": str(value.dtype), "shape": list(shape), "sample": sample}


def _describe_frame(value: Any) -> Any:
    if not hasattr(value, "head"):
        return _safe_str(value)
    shape = list(getattr(value, "shape", ()))
    return {"type": type(value).__name__, "shape": shape, "sample": str(value.head(SAMPLE))}


def _safe_str(value: Any) -> str:
    try:
        text = str(value)
        if len(text) <= MAX_TEXT:
            return text
        return f"{text[:MAX_TEXT]}… <{len(text)} characters were cut to the first {MAX_TEXT}>"
    except Exception as error:  # noqa: BLE001 - a user's __str__ may raise anything
        return _unavailable(value, error)


def _unavailable(value: Any, error: Exception) -> str:
    return f"<{type(value).__name__}: not recorded, {type(error).__name__} while reading it>"


#: One encoder for all, bound once.
_encode = msgspec.json.Encoder(enc_hook=_refuse).encode
