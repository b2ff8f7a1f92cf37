"""Who assessed, by MLflow's module path."""

from tracestore.entities.assessment import AssessmentSource, AssessmentSourceType

__all__ = ["AssessmentSource", "AssessmentSourceType"]
