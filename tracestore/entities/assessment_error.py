"""Why an assessment could not be made, by MLflow's module path."""

from tracestore.entities.assessment import AssessmentError

__all__ = ["AssessmentError"]
