"""Auto-tracing of LangChain and LangGraph, as `mlflow.langchain.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("langchain", "LangChain and LangGraph")
