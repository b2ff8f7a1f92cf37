"""Older names of MLflow for where traces go; `tracestore.entities.MlflowExperimentLocation` is the newer one."""

from __future__ import annotations

import warnings

from tracestore.entities.trace_location import MlflowExperimentLocation

__all__ = ["MlflowExperiment", "MlflowExperimentLocation"]


class MlflowExperiment(MlflowExperimentLocation, frozen=True):
    """An experiment, by its id; the older name of MlflowExperimentLocation."""

    def __post_init__(self) -> None:
        """Say which name is the newer one."""
        warnings.warn(
            "MlflowExperiment is the older name of tracestore.entities.MlflowExperimentLocation",
            category=FutureWarning,
            stacklevel=2,
        )
