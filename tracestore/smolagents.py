"""Auto-tracing of smolagents, as `mlflow.smolagents.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import trace_library


def autolog(log_traces: bool = True, disable: bool = False, silent: bool = False) -> None:
    """Record every call of smolagents from now on, by the instrumentor that is installed for it.

    Args:
        log_traces: False is the same as `disable=True`.
        disable: Stop recording and put the library's own functions back.
        silent: Kept for MLflow programs; nothing is said here anyway.

    Raises:
        MissingPackageError: The library or its instrumentor is not installed; the message says which.

    Example:
        >>> autolog(disable=True)
    """
    del silent
    trace_library("smolagents", log_traces, disable)
