"""MLflow's module path of exceptions; the tree itself is in tracestore.errors."""

from tracestore.errors import TracestoreError as MlflowException
from tracestore.errors import TracestoreError as MlflowTracingException

__all__ = ["MlflowException", "MlflowTracingException"]
