"""Records a file with MLflow, imports it, and compares what MLflow and tracestore read of it, trace by trace.

    python -m tests.peer_mlflow.importing [--record]

`.ci/mlflow` makes the environment with both. `--record` writes the file's tables as SQL text beside the tests, so
that the import is also tested where MLflow is not.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pathlib
import re
import sqlite3
import sys
import tempfile
from typing import Any

import tracestore
from tests.peer_mlflow.observing import own, plain

SQL = pathlib.Path(__file__).parent / "mlflow-3.17.2.sql"

#: The tables that an import reads; the others are left out of the text.
_TABLES = (
    "alembic_version", "experiments", "experiment_tags", "trace_info", "trace_tags",
    "trace_request_metadata", "spans", "assessments",
)  # fmt: skip

#: Metadata that `usage` and `cost` are read from, as JSON text with other blanks.
_SUMS = ("mlflow.trace.tokenUsage", "mlflow.trace.cost")

#: Where packages and this program are on the machine that records.
_PLACE = re.compile(r"/[^\s\"'\\]*/(site-packages|tests)/")


def main() -> None:
    """Record, import, compare; exits with 1 and the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--record", action="store_true", help="write the file's tables anew")
    options = parser.parse_args()
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    mlflow = importlib.import_module("mlflow")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)  # MLflow makes a directory of its own where it runs
        path = f"{folder}/mlflow.db"
        mlflow.set_tracking_uri(f"sqlite:///{path}")
        record(mlflow)
        theirs = {
            t.info.trace_id: facts(t) for t in mlflow.MlflowClient().search_traces(max_results=1000)
        }
        with tracestore.open(f"{folder}/traces.db") as store:
            before = tracestore.get_tracking_uri()
            tracestore.set_tracking_uri(store.path)
            imported = tracestore.import_traces(path)
            tracestore.set_tracking_uri(before)
            ours = {t.info.trace_id: facts(t) for t in store.search_traces(max_results=None)}
        if options.record:
            SQL.write_text(dump(path), "utf-8")
        os.chdir(pathlib.Path(__file__).parent)
    problems = list(differences(theirs, ours))
    print(f"{len(theirs)} traces of MLflow imported and compared: {imported}")
    if problems or not theirs:
        sys.exit("\n".join(["But:", *problems]))


def record(mlflow: Any) -> None:
    """Record with MLflow what an import has to carry over."""
    entities = mlflow.entities
    mlflow.set_experiment("shop")
    mlflow.MlflowClient().set_experiment_tag(
        mlflow.get_experiment_by_name("shop").experiment_id, "team", "a"
    )
    with mlflow.start_span(
        "root", "CHAIN", attributes={"a": [1, {"b": None}], "text": "é"}
    ) as root:
        root.set_inputs(
            {"messages": [{"role": "user", "content": "hi"}], "nan": [float("nan"), float("inf")]}
        )
        with mlflow.start_span("llm", "CHAT_MODEL") as span:
            span.set_attribute(
                "mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
            )
            span.set_attribute(
                "mlflow.llm.cost", {"input_cost": 0.5, "output_cost": 0.25, "total_cost": 0.75}
            )
            span.add_event(entities.SpanEvent("e", timestamp=5, attributes={"k": "v", "n": 1}))
            span.add_link(
                entities.Link(trace_id="tr-" + "a" * 32, span_id="b" * 16, attributes={"why": "x"})
            )
        root.set_outputs("done")
        mlflow.update_current_trace(
            tags={"env": "prod", "odd key/": "it's"}, metadata={"m": "1"}, client_request_id="c-1",
            session_id="s-1", user="ada", response_preview="mine",
        )  # fmt: skip
    first = mlflow.log_feedback(
        trace_id=root.trace_id,
        name="good",
        value=False,
        rationale="r",
        metadata={"k": "v"},
        span_id=span.span_id,
    )
    mlflow.override_feedback(trace_id=root.trace_id, assessment_id=first.assessment_id, value=True)
    mlflow.log_feedback(
        trace_id=root.trace_id,
        name="failed",
        error=entities.AssessmentError("CODE", "message", "stack"),
    )
    mlflow.log_expectation(
        trace_id=root.trace_id,
        name="answer",
        value={"a": [1, 2.5]},
        source=entities.AssessmentSource("HUMAN", "bob"),
    )
    with contextlib.suppress(ValueError), mlflow.start_span("fails"), mlflow.start_span("inner"):
        raise ValueError("no")
    mlflow.set_experiment("gone")
    for name in ("", "日本語", "x" * 300):
        with mlflow.start_span(name):
            pass
    mlflow.delete_experiment(mlflow.get_experiment_by_name("gone").experiment_id)
    mlflow.set_experiment(experiment_id="0")
    root = mlflow.start_span_no_context("timed", start_time_ns=1_600_000_000_123_456_789)
    root.end(end_time_ns=1_600_000_001_123_456_789)


def facts(trace: Any) -> dict[str, Any]:
    """Return what has to be the same of a trace, read by MLflow and by tracestore."""
    info = trace.info
    found = {
        "state": info.state,
        "times": [info.request_time, info.execution_duration],
        "tags": own(info.tags),
        "metadata": {k: v for k, v in own(info.trace_metadata).items() if k not in _SUMS},
        "source": [
            info.trace_metadata.get("mlflow.user"),
            info.trace_metadata.get("mlflow.source.type"),
        ],
        "client_request_id": info.client_request_id,
        "previews": [info.request_preview, info.response_preview],
        "usage": info.token_usage,
        "cost": info.cost,
        "assessments": sorted((_assessment(a) for a in info.assessments), key=str),
        "spans": sorted((_span(s) for s in trace.data.spans), key=str),
    }
    return {key: plain(value) for key, value in found.items()}


def _assessment(each: Any) -> list[Any]:
    error = (
        each.error and [each.error.error_code, each.error.error_message, each.error.stack_trace]
        if hasattr(each, "error")
        else None
    )
    return [
        each.assessment_id, type(each).__name__, each.name, each.value, each.source.source_type, each.source.source_id,
        each.rationale, each.metadata, each.span_id, each.create_time_ms, each.last_update_time_ms, each.overrides,
        bool(each.valid), error,
    ]  # fmt: skip


def _span(span: Any) -> list[Any]:
    return [
        span.span_id, span.parent_id, span.name, span.span_type, span.start_time_ns, span.end_time_ns,
        span.status.status_code, span.status.description, _texts(span.inputs), span.outputs, _texts(own(span.attributes)),
        [[e.name, e.timestamp, e.attributes] for e in span.events],
        [[link.trace_id, link.span_id, link.attributes] for link in span.links],
    ]  # fmt: skip


def _texts(value: Any) -> Any:
    """Return a payload with NaN and the infinities as the texts that tracestore has for them."""
    if isinstance(value, float) and value in (float("inf"), -float("inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN is not itself
        return "NaN"
    if isinstance(value, dict):
        return {key: _texts(field) for key, field in value.items()}
    return [_texts(each) for each in value] if isinstance(value, list) else value


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return where two readings of the same traces differ, as text."""
    found = [f"not imported: {key}" for key in theirs.keys() - ours.keys()]
    for key in theirs.keys() & ours.keys():
        found += [
            f"{key} {part}\n  MLflow:     {theirs[key][part]!r}\n  tracestore: {ours[key][part]!r}"
            for part in theirs[key]
            if theirs[key][part] != ours[key][part]
        ]
    return found


def dump(path: str) -> str:
    """Return the tables that an import reads as SQL text, without the paths of the machine."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        lines = [
            line
            for line in connection.iterdump()
            if any(
                line.startswith((f'CREATE TABLE "{t}"', f"CREATE TABLE {t} ", f'INSERT INTO "{t}"'))
                for t in _TABLES
            )
        ]
    text = "\n".join(lines).replace(str(pathlib.Path(path).parent), "/mlflow") + "\n"
    return _PLACE.sub(r"/\1/", text)


if __name__ == "__main__":
    main()
