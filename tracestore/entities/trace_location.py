"""Where a trace belongs. Here that is always an experiment of the file; MLflow's other places are Databricks's."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from tracestore.arguments import checked
from tracestore.entities.dataclass_fields import DataclassFields
from tracestore.errors import InvalidArgumentError


class TraceLocationType(str, enum.Enum):
    """What kind of place a trace belongs to; in this package always MLFLOW_EXPERIMENT."""

    TRACE_LOCATION_TYPE_UNSPECIFIED = "TRACE_LOCATION_TYPE_UNSPECIFIED"
    MLFLOW_EXPERIMENT = "MLFLOW_EXPERIMENT"
    INFERENCE_TABLE = "INFERENCE_TABLE"
    UC_SCHEMA = "UC_SCHEMA"
    UC_TABLE_PREFIX = "UC_TABLE_PREFIX"


class TraceLocationBase(msgspec.Struct, frozen=True):
    """What every place is; `tracing.set_destination` and `trace_destination` take one."""

    __dataclass_fields__ = DataclassFields()


class MlflowExperimentLocation(TraceLocationBase, frozen=True):
    """An experiment, by its id: a decimal number as text."""

    experiment_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form."""
        return {"experiment_id": self.experiment_id}

    @classmethod
    @checked
    def from_dict(cls, data: Mapping[str, Any]) -> MlflowExperimentLocation:
        """Return the location that `to_dict` made `data` of."""
        return cls(str(data["experiment_id"]))


class TraceLocation(TraceLocationBase, frozen=True):
    """The place of a stored trace, always an experiment."""

    type: TraceLocationType
    mlflow_experiment: MlflowExperimentLocation = None  # type: ignore[assignment]  # never None

    def __post_init__(self) -> None:
        """Refuse what is no experiment."""
        if not isinstance(self.mlflow_experiment, MlflowExperimentLocation):
            raise InvalidArgumentError(
                "the location of a trace must be an experiment here, "
                "such as TraceLocation.from_experiment_id('0')"
            )

    @classmethod
    def from_experiment_id(cls, experiment_id: str) -> TraceLocation:
        """Return the location that is an experiment."""
        return cls(TraceLocationType.MLFLOW_EXPERIMENT, MlflowExperimentLocation(experiment_id))

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form."""
        return {
            "type": self.type.value,
            "mlflow_experiment": self.mlflow_experiment.to_dict(),
        }

    @classmethod
    @checked
    def from_dict(cls, data: Mapping[str, Any]) -> TraceLocation:
        """Return the location that `to_dict`, here or in MLflow 3, made `data` of.

        Raises:
            InvalidArgumentError: It is no experiment.
        """
        kind, experiment = data.get("type", "MLFLOW_EXPERIMENT"), data.get("mlflow_experiment")
        return cls(
            TraceLocationType(kind),
            MlflowExperimentLocation.from_dict(experiment) if experiment else None,  # type: ignore[arg-type]  # refused
        )
