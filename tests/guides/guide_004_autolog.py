"""Guide 004, auto-tracing: calls of OpenAI's client under spans of one's own."""
# mypy: ignore-errors
# ruff: noqa: ARG001, I001

import tracestore as mlflow
import openai

# Enable auto-tracing for OpenAI
mlflow.openai.autolog()


def retrieve_documents(query):
    return ["page 1", "page 2"]


@mlflow.trace(span_type="CHAIN")
def rag_pipeline(query: str):
    # Manual span for retrieval
    with mlflow.start_span(name="retrieval") as span:
        docs = retrieve_documents(query)
        span.set_outputs({"doc_count": len(docs)})

    # Auto-traced OpenAI call
    response = openai.chat.completions.create(
        model="gpt-4",
        messages=[{"role": "user", "content": f"Answer based on: {docs}\n\nQuery: {query}"}],
    )

    return response.choices[0].message.content
