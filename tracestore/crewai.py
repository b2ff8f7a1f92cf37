"""Auto-tracing of CrewAI, as `mlflow.crewai.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import trace_library


def autolog(log_traces: bool = True, disable: bool = False, silent: bool = False) -> None:
    """Record every call of CrewAI from now on, by the instrumentor that is installed for it.

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
    trace_library("crewai", log_traces, disable)
