"""Guide 004, decorators: one line a function."""
# mypy: ignore-errors
# ruff: noqa: N801, RET504

import tracestore as mlflow
from tracestore.entities import SpanType


class llm:
    @staticmethod
    def invoke(query):
        if query == "fail":
            raise ConnectionError("the model is away")
        return f"an answer to {query}"


@mlflow.trace(span_type=SpanType.CHAIN)
def process_request(query: str) -> str:
    # Your code here - automatically traced!
    result = generate_response(query)
    return result


@mlflow.trace(span_type=SpanType.LLM)
def generate_response(query: str) -> str:
    # Nested function - parent-child relationship handled automatically
    return llm.invoke(query)
