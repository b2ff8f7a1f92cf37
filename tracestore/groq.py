"""Auto-tracing of Groq's client, as `mlflow.groq.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("groq", "Groq's client")
