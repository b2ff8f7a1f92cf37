"""Values that would break, hang or bloat the traced call: bounded in time and size, and what was cut is said."""

from __future__ import annotations

import dataclasses
import itertools
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import attrs
import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracestore
from tracestore import encoding
from tracestore.encoding import encode_text
from tracestore.store import Store

#: Far above what any of these takes, far below what an unbounded one would.
_SECONDS = 5.0


def decoded(value: Any) -> Any:
    return msgspec.json.decode(encode_text(value))


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.count()


class EndlessDict(dict[str, Any]):
    def items(self) -> Any:
        return ((str(i), i) for i in itertools.count())

    def values(self) -> Any:
        return itertools.count()

    __iter__ = items


class Slow:
    def __str__(self) -> str:
        time.sleep(0.01)
        return "slow"


class Huge:
    def __str__(self) -> str:
        return "x" * 10_000_000


class Answers:
    """Has every attribute, and each raises or never ends."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __iter__(self) -> Iterator[int]:
        return itertools.count()

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __bool__(self) -> bool:
        raise RuntimeError("neither")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    __hash__ = None  # type: ignore[assignment]

    @property
    def field(self) -> Any:
        raise RuntimeError("no field")

    def __str__(self) -> str:
        return "answers"


class Model(pydantic.BaseModel):
    number: int


@attrs.define
class Point:
    x: int
    other: Any = None


@dataclasses.dataclass
class Holder:
    value: Any


def test_no_object_is_asked_twice_and_what_it_said_in_time_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    class Asked:
        def __str__(self) -> str:
            asked.append(self)
            time.sleep(0.03)
            return "said"

    monkeypatch.setattr(encoding, "MAX_SECONDS", 0.02)
    assert decoded({"a": [Asked(), "plain", Asked(), 1], "b": 2, "odd": "\ud800"}) == {
        "a": ["said", "plain", encoding._TOO_LATE],
        "b": 2,
        "odd": "\ufffd",
    }
    assert len(asked) == 1


def test_an_object_that_is_there_again_and_again_is_read_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoding, "MAX_SECONDS", 0.05)
    read = decoded([Slow()] * 1_000)
    assert read[0] == "slow"
    assert read[-1] == encoding._TOO_LATE
    assert len(read) < 100


@pytest.mark.parametrize("text", [encoding._TOO_LATE, encoding._TOO_MANY])
def test_a_text_that_reads_like_a_cut_cuts_nothing(text: str) -> None:
    value = {"a": [f"{text[:-1]}>", "after", "\ud800"], "b": f"{text[:-1]}>", "c": 1}
    assert decoded(value) == value | {"a": [text, "after", "\ufffd"]}


@pytest.mark.parametrize("odd", [1.5, "\ud800", object()], ids=["fast", "slow", "described"])
def test_storage_is_read_and_not_what_a_subclass_makes_of_it(odd: Any) -> None:
    begun = time.perf_counter()
    read = decoded(
        {"list": EndlessList([1, 2]), "dict": EndlessDict(a=1), "null": None, "odd": odd}
    )
    assert (read["list"], read["dict"]) == ([1, 2], {"a": 1})
    assert time.perf_counter() - begun < _SECONDS


def test_iterators_are_never_consumed() -> None:
    numbers = itertools.count()
    generator = (i for i in itertools.count())
    text = encode_text(
        {"count": numbers, "generator": generator, "range": range(10**9), "map": map(str, [1])}
    )
    assert (next(numbers), next(generator)) == (0, 0)
    assert len(text) < 500


def test_objects_that_take_long_are_read_until_the_time_is_over() -> None:
    begun = time.perf_counter()
    read = decoded([Slow() for _ in range(1_000)])  # 10 s, if all were read
    assert time.perf_counter() - begun < _SECONDS
    assert read[0] == "slow"
    assert read[-1] == encoding._TOO_LATE


def test_a_million_models_do_not_hold_up_the_call() -> None:
    model = Model(number=1)
    begun = time.perf_counter()
    read = decoded({"models": [model] * 1_000_000, "after": 1})
    assert time.perf_counter() - begun < _SECONDS
    assert read["models"][0] == {"number": 1}
    assert isinstance(read["models"][-1], str)


@pytest.mark.parametrize("element", [1, 0.5, "text", None, True], ids=repr)
def test_a_million_elements_are_recorded_or_cut_in_time(element: Any) -> None:
    begun = time.perf_counter()
    text = encode_text([element] * 1_000_000)
    assert time.perf_counter() - begun < _SECONDS
    assert len(text) <= encoding.MAX_PAYLOAD_BYTES


def test_text_of_an_object_is_cut_and_says_so() -> None:
    read = decoded(Huge())
    assert len(read) < encoding.MAX_TEXT + 100
    assert read.endswith("<10000000 characters were cut to the first 65536>")


def test_an_object_that_answers_nothing_is_its_text() -> None:
    assert decoded({"bad": Answers(), "good": 1}) == {"bad": "answers", "good": 1}
    assert decoded([Holder(Answers())]) == [{"value": "answers"}]


def test_an_array_that_is_not_contiguous_is_not_copied() -> None:
    array = np.zeros((3000, 3000)).T[:, ::-1]
    encode_text(array)
    tracemalloc.start()
    read = decoded(array)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000
    assert read["shape"] == [3000, 3000]
    assert len(read["sample"]) == encoding.SAMPLE


def test_large_frames_are_a_sample() -> None:
    frame = pd.DataFrame({"a": range(200_000), "b": ["text"] * 200_000})
    assert decoded(frame)["shape"] == [200_000, 2]
    assert len(encode_text(frame)) < 2_000


def test_attrs_classes_give_their_fields() -> None:
    assert decoded(Point(1, Point(2))) == {"x": 1, "other": {"x": 2, "other": None}}
    assert decoded(Point(1, float("inf"))) == {"x": 1, "other": "Infinity"}


def test_payloads_with_a_hundred_levels_are_read_back() -> None:
    value: Any = "bottom"
    for _ in range(100):
        value = {"in": [value]}
    text = encode_text(value)
    assert "bottom" in text
    assert msgspec.json.decode(text)


#: By name, because hypothesis looks at what it draws from.
_ODD: dict[str, Any] = {
    "answers": Answers(), "nan": float("nan"), "surrogate": "\ud800", "nul": "a\0b", "big": 2**200,
    "model": Model(number=1), "array": np.arange(3), "bytes": b"\xff", "type": object, "ellipsis": ...,
}  # fmt: skip
_WEIRD = st.recursive(
    st.sampled_from(sorted(_ODD)).map(_ODD.__getitem__)
    | st.builds(Point, st.integers())
    | st.floats()
    | st.text(st.characters(codec=None, categories=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(inner, max_size=3).map(EndlessList)
    | st.builds(Holder, inner)
    | st.builds(Point, st.just(1), inner)
    | st.dictionaries(st.integers() | st.text(max_size=3) | st.tuples(st.integers()), inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(EndlessDict),
    max_leaves=15,
)  # fmt: skip


@given(_WEIRD)
def test_whatever_is_nested_becomes_json_that_sqlite_can_hold(value: Any) -> None:
    text = encode_text(value)
    msgspec.json.decode(text)
    text.encode()  # no lone surrogates
    assert "\0" not in text
    assert text not in ("", encoding._NOT_RECORDED)


def test_a_traced_call_with_such_arguments_runs_and_is_recorded(recording: Store) -> None:
    @tracestore.trace
    def call(*arguments: Any) -> int:
        return len(arguments)

    cycle: list[Any] = []
    cycle.append(cycle)
    arguments = (Answers(), cycle, EndlessList([1]), Huge(), itertools.count(), "\ud800\0", 2**5000)
    assert call(*arguments) == len(arguments)
    inputs = recording.search_traces()[0].data.spans[0].inputs
    assert inputs["arguments"][:3] == ["answers", ["<list that contains itself>"], [1]]
