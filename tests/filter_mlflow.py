"""Support: what MLflow itself answers to many filters over a few traces, as recorded in `golden/filter_mlflow.json`.

`python -m tests.filter_mlflow DATABASE`, in an environment with MLflow, records the answers anew into an
empty SQLite database and the page. A null stands for a filter that MLflow refuses.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "golden" / "filter_mlflow.json"


def read_page() -> dict[str, Any]:
    """Return {"mlflow": version, "traces": […], "answers": {filter: indexes of traces, or None}}."""
    page: dict[str, Any] = json.loads(PAGE.read_text(encoding="utf-8"))
    return page


def write_page(page: dict[str, Any]) -> None:
    """Write the page with one trace and one answer a line."""
    traces = ",\n".join(json.dumps(trace, ensure_ascii=False) for trace in page["traces"])
    answers = ",\n".join(
        f"{json.dumps(source, ensure_ascii=False)}: {json.dumps(found)}"
        for source, found in page["answers"].items()
    )
    text = f'{{"mlflow": "{page["mlflow"]}",\n"traces": [\n{traces}\n],\n"answers": {{\n{answers}\n}}}}\n'
    PAGE.write_text(text, encoding="utf-8")


def record(database: str) -> None:
    """Ask MLflow everything on the page, and write its answers."""
    mlflow = importlib.import_module("mlflow")  # only who records has it
    page = read_page()
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    numbers = {_log(mlflow, trace): number for number, trace in enumerate(page["traces"])}
    mlflow.flush_trace_async_logging()
    client = mlflow.MlflowClient()
    for source in page["answers"]:
        try:
            found = client.search_traces(locations=["0"], filter_string=source, max_results=100)
        except mlflow.MlflowException:
            page["answers"][source] = None
        else:
            page["answers"][source] = sorted(numbers[trace.info.trace_id] for trace in found)
    write_page({**page, "mlflow": mlflow.__version__})


def _log(mlflow: Any, trace: dict[str, Any]) -> str:
    """Record one trace with MLflow, and return its id."""
    with mlflow.start_span(name=trace["name"]) as root:
        root.set_inputs(trace["inputs"])
        root.set_outputs(trace["outputs"])
        for span in trace["spans"]:
            with mlflow.start_span(
                span["name"], span["type"], attributes=span["attributes"]
            ) as child:
                child.set_status(span["status"])
        mlflow.update_current_trace(
            tags=trace["tags"], metadata=trace["metadata"], client_request_id=trace["crid"]
        )
        root.set_status(trace["status"])
    mlflow.flush_trace_async_logging()
    for kind, log in (("feedback", mlflow.log_feedback), ("expectation", mlflow.log_expectation)):
        for assessment in trace[kind]:
            log(trace_id=root.trace_id, **assessment)
    return str(root.trace_id)


if __name__ == "__main__":
    record(sys.argv[1])
