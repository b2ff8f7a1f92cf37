"""Auto-tracing of Anthropic's client, as `mlflow.anthropic.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("anthropic", "Anthropic's client")
