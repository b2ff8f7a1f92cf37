"""Auto-tracing of smolagents, as `mlflow.smolagents.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("smolagents", "smolagents")
