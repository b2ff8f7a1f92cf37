"""MLflow's module path of the client."""

from tracestore.client import MlflowClient

__all__ = ["MlflowClient"]
