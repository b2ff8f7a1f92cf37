"""MLflow as a peer: the same spans and traces through its own API, into an SQLite file, as it is set up by default.

Runs in MLflow's environment, see peers.py.
"""

from __future__ import annotations

import contextlib
import importlib
import pathlib
import sqlite3
from typing import Any

from benchmarks.peers import Library, serve
from benchmarks.workload import ToolError, WorkloadTrace, use_tool


def library(folder: pathlib.Path) -> Library:
    """Return MLflow, storing into a file of its own in `folder`."""
    mlflow: Any = importlib.import_module("mlflow")
    path = folder / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    mlflow.set_experiment("benchmarks")

    def span() -> None:
        with mlflow.start_span("step"):
            pass

    @mlflow.trace  # type: ignore[untyped-decorator,unused-ignore]  # MLflow is not in mypy's environment
    def decorated(question: str) -> str:
        return question

    def stored() -> int:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM trace_info").fetchone()[0])

    return Library(
        span=span,
        call=lambda: decorated("why?"),
        trace=lambda trace: record(mlflow, trace),
        parent=lambda: mlflow.start_span("round"),
        flush=mlflow.flush_trace_async_logging,
        stored=stored,
    )


def record(mlflow: Any, trace: WorkloadTrace) -> None:
    """Record one trace of the workload."""
    start = mlflow.start_span
    session = {"mlflow.trace.session": trace.session, "mlflow.trace.user": trace.user}
    try:
        with start(trace.name, span_type="CHAIN") as root:
            root.set_inputs(trace.question)
            mlflow.update_current_trace(
                tags=trace.tags,
                metadata={**trace.metadata, **session},
                client_request_id=trace.client_request_id,
            )
            with start("retrieve", span_type="RETRIEVER") as span:
                span.set_inputs(trace.query)
                span.set_outputs(trace.documents)
            with start("generate", span_type="CHAT_MODEL") as span:
                span.set_inputs(trace.prompt)
                span.set_attributes(trace.model_attributes)
                span.set_attribute("mlflow.chat.tokenUsage", trace.usage)
                span.set_outputs(trace.completion)
            with start(trace.tool, span_type="TOOL") as span:
                span.set_inputs(trace.call)
                use_tool(trace)
                span.set_outputs(trace.result)
            root.set_outputs(trace.answer)
    except ToolError:
        return


if __name__ == "__main__":
    serve(library)
