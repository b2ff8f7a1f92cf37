"""An experiment: the named group that traces belong to."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Experiment(msgspec.Struct, frozen=True):
    """A named group of traces. Experiment "0", "Default", always exists.

    Attributes:
        experiment_id: A decimal number, as text.
        name: Unique within the store, case-sensitive.
        artifact_location: Kept for MLflow programs that set it; nothing is written there.
        lifecycle_stage: "active" or "deleted".
        tags: Text by key.
        creation_time: Milliseconds since 1970.
        last_update_time: Milliseconds since 1970.
    """

    DEFAULT_EXPERIMENT_NAME: ClassVar[str] = "Default"

    experiment_id: str
    name: str
    artifact_location: str | None = None
    lifecycle_stage: str = "active"
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    creation_time: int | None = None
    last_update_time: int | None = None
