"""Auto-tracing of CrewAI, as `mlflow.crewai.autolog()`; see `tracestore.autologging`."""

from tracestore.autologging import autolog_of

autolog = autolog_of("crewai", "CrewAI")
