"""Auto-tracing of LiteLLM, as `mlflow.litellm.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("litellm", "LiteLLM")
