"""A tag of an experiment."""

from __future__ import annotations

import msgspec


class ExperimentTag(msgspec.Struct, frozen=True):
    """A tag of an experiment: text by key."""

    key: str
    value: str
