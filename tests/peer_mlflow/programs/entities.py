"""Programs: what traces, spans and their parts are, as objects, dictionaries and JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.peer_mlflow.observing import See, program

_START = 1_700_000_000_123_000_000


def _trace(mlflow: Any) -> Any:
    root = mlflow.start_span_no_context(
        "root",
        "CHAIN",
        inputs={"q": "é"},
        tags={"t": "1"},
        metadata={"m": "1"},
        attributes={"a": [1]},
        start_time_ns=_START,
    )
    child = mlflow.start_span_no_context(
        "child", "TOOL", parent_span=root, start_time_ns=_START + 1
    )
    child.add_event(mlflow.entities.SpanEvent("e", timestamp=_START + 2, attributes={"k": "v"}))
    child.end(outputs=[1], status="ERROR", end_time_ns=_START + 3)
    root.end(outputs="out", end_time_ns=_START + 4_000_000)
    mlflow.flush_trace_async_logging()
    return mlflow.get_trace(root.trace_id, flush=True)


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _without_ids(v)
            for k, v in value.items()
            if not k.endswith(("trace_id", "span_id"))
            and not k.startswith(
                (
                    "mlflow.user",
                    "mlflow.source",
                    "mlflow.trace.s",
                    "mlflow.trace_s",
                    "mlflow.traceI",
                    "mlflow.traceO",
                    "mlflow.traceR",
                    "mlflow.artifact",
                    "mlflow.experimentId",
                    "mlflow.spanStart",
                    "mlflow.trace.info",
                )
            )
        }
    return [_without_ids(each) for each in value] if isinstance(value, list) else value


@program()
def a_trace_as_a_dictionary(mlflow: Any, see: See) -> None:
    data = _trace(mlflow).to_dict()
    see("keys", [sorted(data), sorted(data["data"])])
    info = _without_ids(data["info"])
    info.pop("trace_location", None)
    for key, value in info.items():
        see(f"info.{key}", value)
    for number, span in enumerate(data["data"]["spans"]):
        for key, value in _without_ids(span).items():
            see(f"span {number}.{key}", value)


@program()
def a_trace_from_its_dictionary(mlflow: Any, see: See) -> None:
    trace = _trace(mlflow)
    for label, again in {
        "dict": mlflow.entities.Trace.from_dict(trace.to_dict()),
        "json": mlflow.entities.Trace.from_json(trace.to_json()),
    }.items():
        see(
            f"{label} ids",
            [
                again.info.trace_id == trace.info.trace_id,
                [s.span_id for s in again.data.spans] == [s.span_id for s in trace.data.spans],
            ],
        )
        see(
            f"{label} values",
            [
                again.info.state,
                again.info.tags.get("t"),
                again.info.request_time,
                again.data.spans[0].inputs,
                again.data.spans[1].outputs,
                again.data.spans[1].status.status_code,
            ],
        )
        see(f"{label} request", [again.data.request, again.data.response])
    see.result("no json", lambda: mlflow.entities.Trace.from_json("{"))
    see.result("no info", lambda: mlflow.entities.Trace.from_dict({"data": {}}))
    see.result("pretty", lambda: "\n" in trace.to_json(pretty=True))


@program()
def aliases(mlflow: Any, see: See) -> None:
    info = _trace(mlflow).info
    see(
        "times",
        [info.timestamp_ms, info.execution_time_ms, info.request_time, info.execution_duration],
    )
    see("ids", [info.request_id == info.trace_id, info.experiment_id.isdecimal()])
    see("status", [info.status.value, info.state.value])
    see("metadata", info.request_metadata == info.trace_metadata)
    see(
        "location",
        [
            info.trace_location.type,
            info.trace_location.mlflow_experiment.experiment_id == info.experiment_id,
        ],
    )


@program()
def searched_spans(mlflow: Any, see: See) -> None:
    trace = _trace(mlflow)
    see("by name", [s.name for s in trace.search_spans(name="child")])
    see("by pattern", [s.name for s in trace.search_spans(name=re.compile("^ch"))])
    see("by type", [s.name for s in trace.search_spans(span_type="CHAIN")])
    see("by id", [s.name for s in trace.search_spans(span_id=trace.data.spans[1].span_id)])
    see("both", trace.search_spans(name="child", span_type="CHAIN"))
    see("all", len(trace.search_spans()))
    see.result("wrong name", lambda: trace.search_spans(name=5))
    see.result("wrong type", lambda: trace.search_spans(span_type=5))


@program()
def representations(mlflow: Any, see: See) -> None:
    trace = _trace(mlflow)
    see(
        "trace",
        repr(trace) == f"Trace(trace_id='{trace.info.trace_id}')"
        or repr(trace).startswith("Trace("),
    )
    see("span", repr(trace.data.spans[0]).startswith("Span(name='root'"))


@program()
def payloads(mlflow: Any, see: See) -> None:
    data = _trace(mlflow).data
    see("texts", [data.request, data.response])
    see("parsed", json.loads(data.request))
    see("intermediate", data.intermediate_outputs)


@program()
def equality(mlflow: Any, see: See) -> None:
    trace = _trace(mlflow)
    again = mlflow.get_trace(trace.info.trace_id, flush=True)
    see("infos", trace.info == again.info)
    see("another object", trace is again)


@program()
def a_span_as_a_dictionary(mlflow: Any, see: See) -> None:
    span = _trace(mlflow).data.spans[1]
    data = span.to_dict()
    again = mlflow.entities.Span.from_dict(data)
    see(
        "again",
        [
            again.name,
            again.span_id == span.span_id,
            again.parent_id == span.parent_id,
            again.outputs,
            again.span_type,
            again.start_time_ns,
            again.end_time_ns,
        ],
    )
    see("lengths", [len(data["trace_id"]), len(data["span_id"])])
    see("attributes", sorted(data["attributes"]))
    see.result("nothing", lambda: mlflow.entities.Span.from_dict({}))


@program()
def a_span_of_mlflow_2(mlflow: Any, see: See) -> None:
    data: dict[str, Any] = {
        "name": "old", "context": {"span_id": "0x0123456789abcdef", "trace_id": "0x" + "ab" * 16}, "parent_id": None,
        "start_time": _START, "end_time": _START + 5, "status_code": "OK", "status_message": "", "events": [],
        "attributes": {"mlflow.traceRequestId": '"tr-old"', "mlflow.spanInputs": '{"x": 1}', "mlflow.spanType": '"LLM"'},
    }  # fmt: skip
    span = see.result("read", lambda: mlflow.entities.Span.from_dict(data) and None)
    del span
    old = mlflow.entities.Span.from_dict(data)
    see(
        "values",
        [
            old.name,
            old.span_id,
            old.inputs,
            old.span_type,
            old.status.status_code,
            old.trace_id,
            old.parent_id,
        ],
    )


@program()
def statuses(mlflow: Any, see: See) -> None:
    entities = mlflow.entities
    see("codes", [code.value for code in entities.SpanStatusCode])
    see("equal", entities.SpanStatus("OK") == entities.SpanStatus(entities.SpanStatusCode.OK))
    see("description", entities.SpanStatus("ERROR", "d").description)
    see.result("bad", lambda: entities.SpanStatus("bad"))
    see("states", [state.value for state in entities.TraceState])
    see("levels", {level.name: level.value for level in entities.SpanLogLevel})


@program()
def locations(mlflow: Any, see: See) -> None:
    location = mlflow.entities.trace_location.TraceLocation.from_experiment_id("7")
    see("location", [location.type, location.mlflow_experiment.experiment_id])
    see("dictionary", location.to_dict())


@program()
def trace_infos_by_hand(mlflow: Any, see: See) -> None:
    entities = mlflow.entities
    info = entities.TraceInfo(
        trace_id="tr-1",
        trace_location=entities.trace_location.TraceLocation.from_experiment_id("0"),
        request_time=1_700_000_000_000,
        state=entities.TraceState.OK,
    )
    see(
        "defaults",
        [
            info.request_preview,
            info.execution_duration,
            info.tags,
            info.trace_metadata,
            info.assessments,
            info.client_request_id,
        ],
    )
    see("dictionary", sorted(info.to_dict()))
    see("again", entities.TraceInfo.from_dict(info.to_dict()).trace_id)
    see("usage", info.token_usage)


@program()
def submodules(mlflow: Any, see: See) -> None:
    import importlib  # noqa: PLC0415

    for path in (
        "entities",
        "entities.span",
        "entities.trace",
        "entities.trace_info",
        "entities.span_event",
        "entities.span_status",
        "entities.assessment",
        "entities.assessment_source",
        "entities.trace_state",
        "tracing",
        "tracing.constant",
        "exceptions",
        "client",
    ):
        see.result(path, lambda p=path: importlib.import_module(f"{mlflow.__name__}.{p}") and True)
