"""Guide 004, context managers: blocks of code."""
# mypy: ignore-errors

import tracestore as mlflow

query, filters = "sqlite", {"year": 2024}


def fetch_data(query, filters):
    return [query, filters, None]


def transform_data(data):
    return [item for item in data if item]


with mlflow.start_span(name="data_processing") as span:
    # Set inputs at the start
    span.set_inputs({"query": query, "filters": filters})

    # Your processing logic
    data = fetch_data(query, filters)
    processed = transform_data(data)

    # Set outputs before exiting
    span.set_outputs({"count": len(processed), "status": "success"})
