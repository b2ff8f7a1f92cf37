"""Auto-tracing of DSPy, as `mlflow.dspy.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("dspy", "DSPy")
