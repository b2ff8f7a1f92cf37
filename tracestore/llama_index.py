"""Auto-tracing of LlamaIndex, as `mlflow.llama_index.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("llama_index", "LlamaIndex")
