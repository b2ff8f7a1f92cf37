"""Auto-tracing of Google's Gen AI client, as `mlflow.gemini.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("gemini", "Google's Gen AI client")
