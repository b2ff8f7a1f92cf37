"""Programs: Python values as inputs and outputs, and what is read back of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import pathlib
import uuid
from typing import Any

from tests.peer_mlflow.observing import See, program


class _Colour(enum.Enum):
    RED = "red"


class _Number(enum.IntEnum):
    ONE = 1


class _Text(str, enum.Enum):
    A = "a"


@dataclasses.dataclass
class _Point:
    x: int
    label: str = "p"


@dataclasses.dataclass
class _Line:
    start: _Point
    tags: list[str]


class _Plain:
    def __str__(self) -> str:
        return "plain object"


def _round_trip(mlflow: Any, value: Any) -> Any:
    with mlflow.start_span("s") as span:
        span.set_inputs(value)
    return mlflow.get_trace(span.trace_id, flush=True).data.spans[0].inputs


def _observe(mlflow: Any, see: See, values: dict[str, Any]) -> None:
    for label, value in values.items():
        see.result(label, functools.partial(_round_trip, mlflow, value))


@program()
def json_values(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "none": None,
            "true": True,
            "false": False,
            "zero": 0,
            "negative": -5,
            "float": 0.1,
            "text": "hello",
            "empty text": "",
            "unicode": "日本語 😀",
            "list": [1, [2, [3]]],
            "empty list": [],
            "object": {"a": {"b": [None, 1.5]}},
            "empty object": {},
            "newline": 'a\nb\t"q"\\',
        },
    )


@program()
def numbers(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "big": 2**64,
            "bigger": 10**40,
            "small float": 1e-300,
            "large float": 1e300,
            "minus zero": -0.0,
            "complex": 1 + 2j,
            "decimal": decimal.Decimal("1.50"),
        },
    )


@program()
def odd_floats(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "nan": float("nan"),
            "infinity": float("inf"),
            "minus infinity": float("-inf"),
            "in a list": [1.0, float("nan")],
        },
    )


@program()
def containers(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "tuple": (1, 2),
            "set": {1},
            "frozen set": frozenset({1}),
            "integer keys": {1: "a", 2: "b"},
            "boolean key": {True: 1},
            "none key": {None: 1},
            "float key": {0.5: 1},
            "tuple key": {(1, 2): 3},
            "range": range(3),
            "mixed keys": {"a": 1, 2: "b"},
        },
    )


@program()
def times(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "datetime": dt.datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - a naive one
            "aware": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
            "date": dt.date(2024, 1, 2),
            "time": dt.time(3, 4),
            "delta": dt.timedelta(seconds=5),
        },
    )


@program()
def library_values(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "uuid": uuid.UUID(int=5),
            "path": pathlib.PurePosixPath("/a/b"),
            "bytes": b"ab\xff",
            "bytearray": bytearray(b"ab"),
            "enum": _Colour.RED,
            "int enum": _Number.ONE,
            "text enum": _Text.A,
            "exception": ValueError("v"),
            "class": int,
            "ellipsis": ...,
        },
    )


@program()
def structures(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "dataclass": _Point(1),
            "nested dataclass": _Line(_Point(1, "q"), ["t"]),
            "plain": _Plain(),
            "list of dataclasses": [_Point(1), _Point(2)],
            "in an object": {"p": _Point(3)},
        },
    )


@program()
def pydantic_models(mlflow: Any, see: See) -> None:
    import pydantic  # noqa: PLC0415

    class Inner(pydantic.BaseModel):
        n: int

    class Model(pydantic.BaseModel):
        name: str
        inner: Inner
        maybe: int | None = None

    _observe(
        mlflow,
        see,
        {
            "model": Model(name="a", inner=Inner(n=1)),
            "list": [Inner(n=1)],
            "in an object": {"m": Inner(n=2)},
        },
    )


@program()
def numpy_values(mlflow: Any, see: See) -> None:
    import numpy as np  # noqa: PLC0415

    _observe(
        mlflow,
        see,
        {
            "float64": np.float64(1.5),
            "int64": np.int64(3),
            "bool": np.bool_(True),
            "array": np.array([1, 2, 3]),
            "text": np.str_("a"),
        },
    )


@program()
def pandas_values(mlflow: Any, see: See) -> None:
    import pandas as pd  # noqa: PLC0415

    _observe(
        mlflow,
        see,
        {
            "frame": pd.DataFrame({"a": [1, 2]}),
            "series": pd.Series([1, 2]),
            "timestamp": pd.Timestamp("2024-01-02"),
        },
    )


@program()
def text_that_looks_like_json(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "object": '{"a": 1}',
            "list": "[1]",
            "text": '"q"',
            "number": "5",
            "true": "true",
            "null": "null",
        },
    )


@program()
def odd_text(mlflow: Any, see: See) -> None:
    _observe(
        mlflow,
        see,
        {
            "control": "a\x01b",
            "line separator": "a\u2028b",
            "bom": "\ufeffx",
            "long": "x" * 100_000,
        },
    )


@program()
def deep(mlflow: Any, see: See) -> None:
    value: Any = 1
    for _ in range(50):
        value = [value]
    see.result("fifty levels", lambda: _round_trip(mlflow, value))


@program()
def functions(mlflow: Any, see: See) -> None:
    def generate() -> Any:
        yield 1

    value = see.result(
        "kind of a generator", lambda: type(_round_trip(mlflow, generate())).__name__
    )
    see.result("kind of a function", lambda: type(_round_trip(mlflow, generate)).__name__)
    del value


@program()
def as_outputs_and_attributes(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        span.set_outputs(_Point(1))
        span.set_attribute("point", _Point(2))
        span.set_attribute("time", dt.date(2024, 1, 2))
        span.set_attribute("json text", '{"a": 1}')
    read = see.last().data.spans[0]
    see("outputs", read.outputs)
    see("attributes", [read.get_attribute("point"), read.get_attribute("time")])
    see("json text", read.get_attribute("json text"))
