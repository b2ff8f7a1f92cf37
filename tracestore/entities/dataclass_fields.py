"""What makes a struct a dataclass to whoever asks: MLflow's entities are dataclasses, ours are msgspec structs."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import msgspec


class DataclassFields:
    """Stands as `__dataclass_fields__` in a struct: `dataclasses.fields`, `asdict` and `replace` work on it.

    So does what frameworks do by them: FastAPI returns a dataclass as the dictionary of its fields. They are made
    when somebody asks.
    """

    __slots__ = ()

    def __get__(self, _struct: object, owner: type) -> dict[str, dataclasses.Field[Any]]:
        return _fields(owner)


@functools.cache
def _fields(owner: type) -> dict[str, dataclasses.Field[Any]]:
    fields = [
        (field.name, field.type, _with_default(field)) for field in msgspec.structs.fields(owner)
    ]
    twin: Any = dataclasses.make_dataclass(owner.__name__, fields)
    return dict(twin.__dataclass_fields__)


def _with_default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return dataclasses.field(default_factory=field.default_factory)
    if field.default is not msgspec.NODEFAULT:
        return dataclasses.field(default=field.default)
    return dataclasses.field()
