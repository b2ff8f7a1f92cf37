"""Any value to bounded JSON text: what comes back equals what went in, or says why not. Nothing is raised."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid
from typing import Any
from unittest.mock import MagicMock, Mock

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracestore import encoding
from tracestore.encoding import attribute_value, clean_text, encode_attributes, encode_text, text_of

_ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=20)
_CLEAN_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def _nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    )


_JSON = _nested(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _CLEAN_TEXT,
    _CLEAN_TEXT,
)
_HARD = _nested(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _ANY_TEXT
    | st.binary(max_size=10)
    | st.complex_numbers()
    | st.frozensets(st.integers(), max_size=3)
    | st.tuples(st.floats())
    | st.datetimes()
    | st.decimals()
    | st.builds(object),
    _ANY_TEXT | st.integers() | st.none() | st.booleans() | st.tuples(st.integers()) | st.floats(),
)


def decoded(value: Any) -> Any:
    """Encode and decode; the text must be JSON for msgspec and, strictly, for json."""
    text = encode_text(value)
    assert "\ud800" not in text
    text.encode()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return msgspec.json.decode(text)


@given(_JSON)
def test_json_values_come_back_equal(value: Any) -> None:
    assert decoded(value) == value


@given(_HARD)
def test_anything_becomes_json(value: Any) -> None:
    decoded(value)
    decoded({"a": [value]})


@given(_ANY_TEXT)
def test_text_stays_text(text: str) -> None:
    result = decoded(text)
    assert isinstance(result, str)
    assert len(result) == len(text)
    assert result == text or any(0xD800 <= ord(c) < 0xE000 for c in text)


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '"q"', "1", "null", "true", ""])
def test_text_that_looks_like_json_stays_text(text: str) -> None:
    assert decoded(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        ([math.inf, -math.inf, None], ["Infinity", "-Infinity", None]),
        ({"a": {"b": (math.nan, 1.5)}}, {"a": {"b": ["NaN", 1.5]}}),
        (np.float32("nan"), "NaN"),
        (np.float64("inf"), "Infinity"),
    ],
)
def test_numbers_that_json_lacks_are_marked(value: Any, expected: Any) -> None:
    assert decoded(value) == expected


@dataclasses.dataclass
class Data:
    score: float
    parts: list[Any] = dataclasses.field(default_factory=list)


class Struct(msgspec.Struct):
    score: float


class Model(pydantic.BaseModel):
    name: str
    score: float | None = None
    when: dt.datetime | None = None


class Scores(pydantic.RootModel[list[float]]):
    pass


class Color(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


def test_objects_with_fields_give_their_fields() -> None:
    assert decoded(Data(1.5, [Data(2.5)])) == {
        "score": 1.5,
        "parts": [{"score": 2.5, "parts": []}],
    }
    assert decoded(Struct(1.0)) == {"score": 1.0}
    assert decoded(Model(name="n")) == {"name": "n", "score": None, "when": None}
    assert decoded({"scores": Scores([1.5, math.nan])}) == {"scores": [1.5, "NaN"]}
    assert decoded([Color.RED, Number.ONE]) == ["red", 1]


def test_numbers_that_json_lacks_are_marked_in_objects_too() -> None:
    assert decoded(Data(math.nan, [Data(math.inf)])) == {
        "score": "NaN",
        "parts": [{"score": "Infinity", "parts": []}],
    }
    assert decoded([Struct(math.nan), None]) == [{"score": "NaN"}, None]
    assert decoded(Model(name="n", score=math.nan))["score"] == "NaN"


def test_standard_objects_have_their_usual_text() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
    number = uuid.UUID(int=5)
    assert decoded([moment, number, decimal.Decimal("1.50"), pathlib.PurePosixPath("/a/b")]) == [
        "2026-01-02T03:04:05Z",
        str(number),
        "1.50",
        "/a/b",
    ]
    assert decoded(b"bytes") == "Ynl0ZXM="
    assert decoded({3, 1, 2}) == [1, 2, 3]
    assert decoded((1, (2,))) == [1, [2]]


def test_arrays_and_frames_are_a_sample_with_their_shape() -> None:
    array = decoded(np.arange(1_000_000).reshape(1000, 1000))
    assert array == {
        "type": "ndarray",
        "dtype": "int64",
        "shape": [1000, 1000],
        "sample": list(range(20)),
    }
    assert decoded(np.array([1.0, math.nan]))["sample"] == [1.0, "NaN"]
    frame = decoded(pd.DataFrame({"column": range(1000)}))
    assert (frame["type"], frame["shape"]) == ("DataFrame", [1000, 1])
    assert "column" in frame["sample"]
    assert len(frame["sample"]) < 2_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float64(1.5), 1.5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.longdouble(1), "1.0"),
        ({np.int64(1): np.int64(2)}, {"1": 2}),
    ],
)
def test_numpy_scalars_are_numbers(value: Any, expected: Any) -> None:
    assert decoded(value) == expected


def test_keys_become_text() -> None:
    assert decoded({1: "a", 1.5: "b", (1, 2): "c", None: "d", "\ud800": "e"}) == {
        "1": "a",
        "1.5": "b",
        "(1, 2)": "c",
        "null": "d",
        "\ufffd": "e",
    }
    assert decoded({None: 1, True: 2, False: {None: 3}}) == {
        "null": 1,
        "true": 2,
        "false": {"null": 3},
    }


def test_large_integers_are_exact_and_huge_ones_marked() -> None:
    assert decoded([2**64, -(2**63) - 1, 10**100]) == [2**64, -(2**63) - 1, 10**100]
    assert decoded({"a": 10**6000, "b": 1}) == {"a": "<int of 19932 bits>", "b": 1}


def test_cycles_are_marked_at_once() -> None:
    branching: list[Any] = [1]
    branching += [branching, branching, {"again": branching}]
    marked = "<list that contains itself>"
    assert decoded(branching) == [1, marked, marked, {"again": marked}]
    mapping: dict[str, Any] = {"k": 1}
    mapping["self"] = mapping
    assert decoded(mapping) == {"k": 1, "self": "<dict that contains itself>"}
    data = Data(1.0)
    data.parts.append(data)
    assert decoded(data) == {"score": 1.0, "parts": ["<Data that contains itself>"]}


def test_value_that_is_twice_in_a_payload_is_no_cycle() -> None:
    shared = ["x"]
    assert decoded({"odd": math.nan, "a": shared, "b": shared}) == {
        "odd": "NaN",
        "a": ["x"],
        "b": ["x"],
    }


@pytest.mark.parametrize("depth", [99, 500, 2_000, 100_000])
def test_any_depth_becomes_json_that_can_be_read(depth: int) -> None:
    value: Any = "leaf"
    for _ in range(depth):
        value = [value]
    decoded(value)
    if depth > 1000:
        assert "levels of nesting" in encode_text(value)
    while isinstance(value, list) and value:  # taken apart: freeing it deeply is not ours to test
        value = value.pop()


class Raises:
    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        self.error = error

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        return 1


class RaisingModel:
    def model_dump(self) -> dict[str, Any]:
        raise RuntimeError("no fields")


class EndlessModel:
    def model_dump(self) -> dict[str, Any]:
        return {"left": EndlessModel(), "right": EndlessModel()}


class RaisingDict(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")

    def __iter__(self) -> Any:
        raise RuntimeError("no keys")


class RaisingList(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("no elements")


class GrowingDict(dict[str, Any]):
    """Changes while it is read."""

    def items(self) -> Any:
        for i in range(5):
            self[f"new {i}"] = i
            yield f"new {i}", object()


@pytest.mark.parametrize(
    "value",
    [Raises(), RaisingModel(), RaisingDict(a=1), RaisingList([1]), GrowingDict(), {Raises(): 1}],
    ids=lambda value: type(value).__name__,
)
def test_only_the_value_at_fault_is_replaced(value: Any) -> None:
    assert decoded({"good": [1, "\ud800"], "bad": value})["good"] == [1, "\ufffd"]


def test_objects_that_make_new_objects_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_VALUES", 1_000)
    text = encode_text(EndlessModel())
    assert "values" in text
    assert len(text) < 200_000


def test_mocks_are_their_text() -> None:
    for mock in (Mock(), MagicMock()):
        assert "Mock id=" in decoded({"client": mock})["client"]


def test_class_of_a_model_and_functions_are_their_text() -> None:
    assert "Model" in decoded(Model)
    assert "lambda" in decoded(lambda: 1)
    assert "iterator" in decoded(iter(()))


def test_large_payload_is_cut_and_says_so() -> None:
    value = {"text": "é" * (encoding.MAX_PAYLOAD_BYTES // 2)}
    cut = decoded(value)
    assert "bytes of JSON were cut" in cut["tracestore.cut"]
    assert cut["beginning"].startswith('{"text":"éé')
    assert len(encode_text(value)) < encoding.KEPT_CHARACTERS * 2


def test_many_values_on_the_slow_way_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_VALUES", 10)
    assert decoded([math.nan] * 50) == ["NaN"] * 10 + [encoding._TOO_MANY]
    mapping = decoded({str(i): math.nan for i in range(50)})
    assert len(mapping) == 11
    assert "tracestore.cut" in mapping


def test_encoding_with_the_stack_nearly_full_raises_nothing() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)

    def down() -> None:
        try:
            down()
        except RecursionError:
            assert msgspec.json.decode(encode_text(cyclic)) is not None

    with contextlib.suppress(RecursionError):  # of the call itself: no room for a frame of `encode`
        down()


@given(_ANY_TEXT)
def test_clean_text_fits_sqlite_and_keeps_the_rest(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "x"),
        (1, "1"),
        (True, "True"),
        (None, "None"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
        (Color.RED, "Color.RED"),
        ("\0\ud800", "␀\ufffd"),
    ],
)
def test_tags_are_text(value: Any, expected: str) -> None:
    assert text_of(value) == expected


def test_tag_of_an_object_that_raises_says_so() -> None:
    assert "not recorded" in text_of(Raises())


@given(st.dictionaries(_ANY_TEXT, _HARD, max_size=5))
def test_attributes_become_one_json_object(attributes: dict[str, Any]) -> None:
    prepared = {clean_text(k): attribute_value(v) for k, v in attributes.items()}
    result = msgspec.json.decode(encode_attributes(prepared))
    assert set(result) == {clean_text(k) for k in attributes}


def test_attribute_does_not_change_with_its_value() -> None:
    value = {"list": [1]}
    prepared = attribute_value(value)
    value["list"].append(2)
    assert msgspec.json.decode(encode_attributes({"k": prepared})) == {"k": {"list": [1]}}
