"""Auto-tracing of Mistral's client, as `mlflow.mistral.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("mistral", "Mistral's client")
