"""`tracestore.tracing`: switches and scopes, by the names that `mlflow.tracing` gives them."""

from tracestore.capture.fluent import disable, enable
from tracestore.capture.scope import context
from tracestore.runtime import runtime

__all__ = ["context", "disable", "enable", "reset"]


def reset() -> None:
    """Close the active store and forget settings, experiment and counters, as at the program's start."""
    runtime.reset()
