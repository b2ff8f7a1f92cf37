"""Guide 004, client API: explicit spans, by MLflow 2's argument names."""
# mypy: ignore-errors

from tracestore import MlflowClient

query, documents = "sqlite", ["page 1", "page 2"]

client = MlflowClient()

# Start a trace
root_span = client.start_trace("complex_workflow")

# Create child spans with explicit parent relationships
child_span = client.start_span(
    name="data_retrieval",
    request_id=root_span.request_id,
    parent_id=root_span.span_id,
    inputs={"query": query},
)

# End spans explicitly
client.end_span(
    request_id=child_span.request_id, span_id=child_span.span_id, outputs={"documents": documents}
)

# End the trace
client.end_trace(request_id=root_span.request_id)
