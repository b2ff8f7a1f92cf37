"""Guide 004, complex workflows: phases as nested spans."""
# mypy: ignore-errors

import tracestore as mlflow


def extract_from_source(data_source):
    return [f"{data_source} {number}" for number in range(3)]


def apply_transformations(raw_data):
    if raw_data[0].startswith("broken"):
        raise ValueError("the source is broken")
    return [record.upper() for record in raw_data]


def load_to_destination(transformed):
    return len(transformed)


@mlflow.trace(name="data_pipeline")
def process_data_pipeline(data_source: str):
    # Extract phase
    with mlflow.start_span(name="extract") as extract_span:
        raw_data = extract_from_source(data_source)
        extract_span.set_outputs({"record_count": len(raw_data)})

    # Transform phase
    with mlflow.start_span(name="transform") as transform_span:
        transformed = apply_transformations(raw_data)
        transform_span.set_outputs({"transformed_count": len(transformed)})

    # Load phase
    with mlflow.start_span(name="load") as load_span:
        result = load_to_destination(transformed)
        load_span.set_outputs({"status": "success"})

    return result
