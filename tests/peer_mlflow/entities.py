"""Traces there and back between MLflow and tracestore, both ways, in one process.

    python -m tests.peer_mlflow.entities

Run with MLflow installed. Records the traces of `traces.py` with each library, gives the dictionaries and JSON of
the one to the other, and fails where what it reads is not what the first one says of its own trace. What is
compared is what both say: ids, times, states, payloads, attributes, events, links, tags, metadata, assessments.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import sys
import tempfile
from typing import Any

import tracestore
from tests.peer_mlflow.traces import record

_INFO = [
    "trace_id",
    "request_time",
    "state",
    "request_preview",
    "response_preview",
    "client_request_id",
    "execution_duration",
]
_SPAN = [
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "span_type",
    "start_time_ns",
    "end_time_ns",
    "inputs",
    "outputs",
    "model_name",
]
_ASSESSMENT = ["name", "value", "span_id", "rationale", "metadata", "assessment_id", "overrides"]


def record_everything(library: Any) -> str:
    """Record one trace that has whatever a trace can have, and return its id."""
    entities: Any = importlib.import_module(f"{library.__name__}.entities")
    with library.start_span("root", span_type="AGENT", description="all") as root:
        root.set_inputs({"messages": [{"role": "user", "content": "é \u2028 ?"}]})
        library.update_current_trace(
            tags={"t": "v"}, metadata={"m": "v"}, client_request_id="c", session_id="s", user="u"
        )
        with library.start_span("call", span_type="LLM", log_level="WARNING") as call:
            call.set_attribute("mlflow.llm.model", "some-model")
            call.set_attribute("nested", {"a": [1, 2.5, None, True, {"b": "c"}]})
            call.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 1, "output_tokens": 2})
            call.add_event(entities.SpanEvent("event", 1_700_000_000_000_000_001, {"k": "v"}))
            call.add_link(entities.Link("tr-" + "a" * 32, "b" * 16, {"why": "because"}))
            call.record_exception(ValueError("no"))
        root.set_outputs([None, "", [], {}])
    source = entities.AssessmentSource("LLM_JUDGE", "judge")
    library.log_feedback(
        trace_id=root.trace_id, name="f", value={"x": [1]}, source=source, rationale="so",
        metadata={"k": "v"}, span_id=call.span_id,
    )  # fmt: skip
    library.log_feedback(trace_id=root.trace_id, name="e", error=ValueError("no"))
    library.log_expectation(trace_id=root.trace_id, name="x", value=[1, "two", {"three": 3}])
    return str(root.trace_id)


def seen_of(trace: Any) -> dict[str, Any]:
    """Return what a trace of either library says, as JSON values."""
    info = trace.info
    said = {name: getattr(info, name) for name in _INFO}
    said |= {
        "state": info.state.value,
        "experiment": info.experiment_id,
        "tags": dict(info.tags),
        "metadata": {k: v[:250] for k, v in info.trace_metadata.items()},
        "assessments": [_seen_of_assessment(each) for each in info.assessments],
        "spans": [_seen_of_span(span) for span in trace.data.spans],
    }
    return dict(json.loads(json.dumps(said, default=str)))


def _seen_of_span(span: Any) -> dict[str, Any]:
    return {
        **{name: getattr(span, name) for name in _SPAN},
        "status": (span.status.status_code.value, span.status.description),
        "level": None if span.log_level is None else int(span.log_level),
        "attributes": span.attributes,
        "events": [(event.name, event.timestamp, dict(event.attributes)) for event in span.events],
        "links": [(link.trace_id, link.span_id, link.attributes) for link in span.links],
    }


def _seen_of_assessment(assessment: Any) -> dict[str, Any]:
    error = getattr(assessment, "error", None)
    return {
        **{name: getattr(assessment, name) for name in _ASSESSMENT},
        "value": _as_float(assessment.value),
        "valid": assessment.valid
        is not False,  # MLflow's expectations lose it in its own dictionaries
        "source": (assessment.source.source_type, assessment.source.source_id),
        "error": None if error is None else (error.error_code, error.error_message),
    }


def _as_float(value: Any) -> Any:
    """Return a number as protobuf's only kind of number, which MLflow's dictionaries have."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, list):
        return [_as_float(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_float(each) for key, each in value.items()}
    return value


def differences(source: Any, target: Any, ids: list[str]) -> list[str]:
    """Return where `target` reads another trace than `source` has, as text for a person."""
    found = []
    client = source.MlflowClient()
    target_trace = importlib.import_module(f"{target.__name__}.entities").Trace
    for trace_id in ids:
        trace = client.get_trace(trace_id)
        expected = seen_of(trace)
        for form, twin in (
            ("dictionary", target_trace.from_dict(json.loads(json.dumps(trace.to_dict())))),
            ("JSON", target_trace.from_json(trace.to_json())),
            (
                "there and back",
                type(trace).from_dict(target_trace.from_json(trace.to_json()).to_dict()),
            ),
        ):
            found += [
                f"{source.__name__} to {target.__name__}, {form}, {trace_id}, {key}:\n"
                f"  {expected[key]!r}\n  {value!r}"
                for key, value in seen_of(twin).items()
                if value != expected[key]
            ]
    return found


def main() -> int:
    """Record with each, read with the other, and say what differs."""
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
        mlflow: Any = importlib.import_module("mlflow")
        mlflow.set_tracking_uri(f"sqlite:///{pathlib.Path(directory, 'mlflow.db')}")
        tracestore.set_tracking_uri(str(pathlib.Path(directory, "traces.db")))
        count, found = 0, []
        for source, target in ((mlflow, tracestore), (tracestore, mlflow)):
            ids = [*record(source), record_everything(source)]
            count += len(ids)
            found += differences(source, target, ids)
        tracestore.tracing.reset()
    print("\n".join(found[:20]))
    print(f"{count} traces, three ways each: {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
