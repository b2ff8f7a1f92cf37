"""Auto-tracing of Amazon Bedrock, as `mlflow.bedrock.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("bedrock", "Amazon Bedrock")
