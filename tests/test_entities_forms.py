"""Dictionaries of other versions of MLflow, module paths, what entities are to each other, defaults on reading."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracestore
from tests.capture_traces import named, only_span, only_trace
from tracestore import entities
from tracestore.capture.scope import NO_OP
from tracestore.entities import (
    Document,
    Link,
    LiveSpan,
    MlflowExperimentLocation,
    NoOpSpan,
    Span,
    SpanEvent,
    SpanLogLevel,
    Trace,
    TraceData,
    TraceInfo,
    TraceLocation,
    TraceLocationType,
    TraceState,
    TraceStatus,
)
from tracestore.errors import InvalidArgumentError
from tracestore.store import Store

#: A trace as MLflow 2.20 wrote it.
V2: dict[str, Any] = {
    "info": {
        "request_id": "8f0dd9d6a1d04d8c8b4f4f2a8f0c2f8b",
        "experiment_id": "3",
        "timestamp_ms": 1_700_000_000_123,
        "execution_time_ms": 45,
        "status": "OK",
        "request_metadata": {"mlflow.sourceRun": "r"},
        "tags": {"mlflow.traceName": "chat"},
        "assessments": [],
    },
    "data": {
        "spans": [
            {
                "name": "chat",
                "context": {
                    "span_id": "0x00ab12cd34ef5678",
                    "trace_id": "0xd1eb50d0d6b12f0a3c4e5f60718293a4",
                },
                "parent_id": None,
                "start_time": 1_700_000_000_123_000_000,
                "end_time": 1_700_000_000_168_000_000,
                "status_code": "ERROR",
                "status_message": "ValueError: no",
                "attributes": {
                    "mlflow.traceRequestId": '"8f0dd9d6a1d04d8c8b4f4f2a8f0c2f8b"',
                    "mlflow.spanType": '"LLM"',
                    "mlflow.spanInputs": '{"q": 1}',
                },
                "events": [{"name": "e", "timestamp": 5, "attributes": {"k": "v"}}],
            }
        ],
        "request": '{"q": 1}',
        "response": None,
    },
}


def test_trace_of_mlflow_2_is_read() -> None:
    trace = Trace.from_dict(copy.deepcopy(V2))
    info, span = trace.info, trace.data.spans[0]
    assert info.trace_id == span.trace_id == "8f0dd9d6a1d04d8c8b4f4f2a8f0c2f8b"
    assert (info.experiment_id, info.request_time, info.execution_duration) == (
        "3",
        1_700_000_000_123,
        45,
    )
    assert (info.state, info.trace_metadata) == (TraceState.OK, {"mlflow.sourceRun": "r"})
    assert (span.span_id, span.parent_id) == ("00ab12cd34ef5678", None)
    assert (span.status.status_code.value, span.status.description) == ("ERROR", "ValueError: no")
    assert span.events == [SpanEvent("e", 5, {"k": "v"})]
    assert (span.inputs, trace.data.request) == ({"q": 1}, '{"q":1}')
    assert Trace.from_json(trace.to_json()).to_dict() == trace.to_dict()


def test_span_of_mlflow_3_5_is_read(recording: Store) -> None:
    with tracestore.start_span("root"), tracestore.start_span("child"):
        pass
    child = named(only_trace(recording), "child")
    older = child.to_dict() | {
        "trace_id": child.trace_id,
        "span_id": child.span_id,
        "parent_span_id": child.parent_id,
        "status": {"code": "OK", "message": ""},
    }
    assert Span.from_dict(older) == child


@pytest.mark.parametrize(
    ("written", "duration_ms"), [("1.5s", 1500), ("0s", 0), ("12.000000001s", 12_000)]
)
def test_length_of_time_in_protobufs_form_is_read(written: str, duration_ms: int) -> None:
    info = {
        "trace_id": "tr-1",
        "trace_location": {"mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2023-11-14T22:13:20.123456789Z",
        "execution_duration": written,
    }
    read = TraceInfo.from_dict(info)
    assert (read.execution_duration, read.request_time) == (duration_ms, 1_700_000_000_123)


BROKEN_INFO = [
    {"trace_id": 5},
    {"request_time": "yesterday"},
    {"request_time": 5},
    {"state": "FINE"},
    {"trace_location": {"type": "INFERENCE_TABLE", "inference_table": {"full_table_name": "t"}}},
    {"trace_location": None},
    {"execution_duration": "soon"},
    {"tags": 5},
    {"assessments": [5]},
]


@pytest.mark.parametrize("change", BROKEN_INFO, ids=str)
def test_info_of_another_form_is_refused(change: dict[str, Any]) -> None:
    good = Trace.from_dict(copy.deepcopy(V2)).info.to_dict()
    good.pop("execution_duration_ms")
    with pytest.raises(InvalidArgumentError, match="trace"):
        TraceInfo.from_dict(good | change)


BROKEN_SPAN = [
    {"span_id": "not base64!"},
    {"span_id": "YWJj"},
    {"span_id": None},
    {"events": [{"name": "e"}]},
    {"events": [5]},
    {"links": [{}]},
    {"status": {"code": "STATUS_CODE_FINE"}},
    {"attributes": {}},
    {"attributes": {"mlflow.traceRequestId": "5"}},
    {"start_time_unix_nano": "now"},
]


@pytest.mark.parametrize("change", BROKEN_SPAN, ids=str)
def test_span_of_another_form_is_refused(change: dict[str, Any]) -> None:
    good = Trace.from_dict(copy.deepcopy(V2)).data.spans[0].to_dict()
    with pytest.raises(InvalidArgumentError, match="not a span's dictionary"):
        Span.from_dict(good | change)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*V2["info"], "trace_id", "state"]), json_values), json_values
)
def test_whatever_is_in_a_dictionary_it_is_read_or_refused(info: dict[str, Any], span: Any) -> None:
    data = copy.deepcopy(V2)
    data["info"] |= info
    data["data"]["spans"].append(span)
    for given_ in (data, {"info": info, "data": {"spans": span}}, span):
        try:
            trace = Trace.from_dict(given_)
        except InvalidArgumentError:
            continue
        assert isinstance(trace.to_dict(), dict)


# ------------------------------------------------------------------------------------------ modules and kinds

#: Module paths that MLflow has, with what programs import from each.
PATHS = {
    "assessment": ("Assessment", "Feedback", "Expectation"),
    "assessment_error": ("AssessmentError",),
    "assessment_source": ("AssessmentSource", "AssessmentSourceType"),
    "document": ("Document",),
    "experiment": ("Experiment",),
    "experiment_tag": ("ExperimentTag",),
    "lifecycle_stage": ("LifecycleStage",),
    "link": ("Link",),
    "span": ("Span", "SpanType"),
    "span_event": ("SpanEvent",),
    "span_log_level": ("SpanLogLevel",),
    "span_status": ("SpanStatus", "SpanStatusCode"),
    "trace": ("Trace",),
    "trace_data": ("TraceData",),
    "trace_info": ("TraceInfo",),
    "trace_location": ("TraceLocation", "MlflowExperimentLocation"),
    "trace_state": ("TraceState",),
    "trace_status": ("TraceStatus",),
    "view_type": ("ViewType",),
}


@pytest.mark.parametrize("module", PATHS)
def test_each_noun_has_mlflows_module(module: str) -> None:
    there = importlib.import_module(f"tracestore.entities.{module}")
    for name in PATHS[module]:
        assert getattr(there, name) is getattr(entities, name)


def test_every_entity_is_there_and_documented() -> None:
    for name in entities.__all__:
        assert (getattr(entities, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="nonsense"):
        entities.nonsense  # noqa: B018


def test_spans_of_every_kind_are_spans(recording: Store) -> None:
    with tracestore.start_span("span") as live:
        assert isinstance(live, LiveSpan)
        assert isinstance(live, Span)
    assert isinstance(NO_OP, Span)
    assert isinstance(NoOpSpan(), NoOpSpan)
    assert type(only_span(recording)) is Span


def test_span_is_no_dictionary_and_says_what_to_do(recording: Store) -> None:
    with tracestore.start_span("span"):
        pass
    span: Any = only_span(recording)
    with pytest.raises(TypeError, match="get_attribute"):
        span["name"]
    with pytest.raises(AttributeError, match="no dictionary"):
        span.get("name")
    with pytest.raises(TypeError):
        list(span)
    with pytest.raises(TypeError):
        "name" in span  # noqa: B015
    assert not hasattr(span, "get")


def test_attributes_of_a_span_are_not_slowed_down() -> None:
    """A class with `__getattr__` loses CPython's fast way to its slots: 0.6 µs of 2 for each span."""
    assert not hasattr(LiveSpan, "__getattr__")


def test_span_is_copied_and_pickled(recording: Store) -> None:
    with tracestore.start_span("span") as live:
        live.set_inputs([1])
    trace = only_trace(recording)
    for twin in (pickle.loads(pickle.dumps(trace)), copy.deepcopy(trace), copy.copy(trace)):
        assert twin == trace


@pytest.mark.parametrize(
    ("span_type", "level"),
    [("LLM", "INFO"), ("TOOL", "INFO"), ("CHAIN", "DEBUG"), ("UNKNOWN", "DEBUG"), (None, "DEBUG")],
)
def test_log_level_of_a_span_that_has_ended_follows_its_type(
    recording: Store, span_type: str | None, level: str
) -> None:
    with tracestore.start_span("span", span_type=span_type) as live:
        assert live.log_level is None
    span = only_span(recording)
    assert span.log_level is SpanLogLevel[level]
    assert span.get_attribute("mlflow.spanLogLevel") == SpanLogLevel[level]
    assert Span.from_dict(span.to_dict()) == span


def test_exception_makes_a_span_loud_and_what_somebody_said_counts(recording: Store) -> None:
    with tracestore.start_span("root") as root:
        with tracestore.start_span("quiet", log_level="warning"):
            pass
        root.record_exception(ValueError("no"))
    trace = only_trace(recording)
    assert named(trace, "root").log_level is SpanLogLevel.ERROR
    assert named(trace, "quiet").log_level is SpanLogLevel.WARNING


# ------------------------------------------------------------------------------------------ small ones


def test_aliases_of_an_info_can_be_set() -> None:
    info = Trace.from_dict(copy.deepcopy(V2)).info
    info.experiment_id, info.timestamp_ms, info.execution_time_ms = "7", 1, 2
    info.status = TraceStatus.IN_PROGRESS
    assert info.trace_location == TraceLocation.from_experiment_id("7")
    assert (info.request_time, info.execution_duration) == (1, 2)
    assert info.state is TraceState.IN_PROGRESS


def test_status_and_state_are_the_same_by_other_names() -> None:
    assert [TraceStatus.from_state(status.to_state()) for status in TraceStatus] == list(
        TraceStatus
    )
    assert TraceStatus.end_statuses() | TraceStatus.pending_statuses() == set(TraceStatus)


def test_location_is_an_experiment() -> None:
    location = TraceLocation(TraceLocationType.MLFLOW_EXPERIMENT, MlflowExperimentLocation("1"))
    assert location == TraceLocation.from_experiment_id("1")
    assert TraceLocation.from_dict(json.loads(json.dumps(location.to_dict()))) == location
    with pytest.raises(InvalidArgumentError, match="experiment"):
        TraceLocation(TraceLocationType.UC_SCHEMA)


def test_event_and_link_have_mlflows_dictionaries() -> None:
    assert SpanEvent("e", 5).json() == {"name": "e", "timestamp": 5, "attributes": None}
    assert SpanEvent("e", 5, {"k": 1}).json()["attributes"] == '{"k": 1}'
    link = Link("tr-1", "ab", {"why": 1})
    assert Link.from_dict(link.to_dict()) == link


class _LangChain:
    page_content, metadata = "text", {"a": 1}


class _LlamaIndex:
    node_id, metadata = "n", {"a": 1}

    def get_content(self) -> str:
        return "text"

    def get_score(self) -> float:
        return 0.5


def test_documents_of_other_libraries() -> None:
    assert Document.from_langchain_document(_LangChain()) == Document("text", {"a": 1})
    found = Document.from_llama_index_node_with_score(_LlamaIndex())
    assert found.to_dict() == {
        "page_content": "text",
        "metadata": {"score": 0.5, "a": 1},
        "id": "n",
    }


@pytest.mark.filterwarnings("ignore:intermediate_outputs:FutureWarning")
def test_intermediate_outputs_are_those_below_the_root(recording: Store) -> None:
    with tracestore.start_span("root"):
        for name, outputs in (("a", 1), ("b", 2), ("b", 3), ("c", None)):
            with tracestore.start_span(name) as span:
                span.set_outputs(outputs)
    assert only_trace(recording).data.intermediate_outputs == {"a": 1, "b_1": 2, "b_2": 3}
    assert TraceData().intermediate_outputs is None


def test_entities_are_dataclasses_to_whoever_asks(recording: Store) -> None:
    with tracestore.start_span("span") as live:
        live.add_event(SpanEvent("event", 1, {"a": [1]}))
        live.add_link(Link("tr-" + "a" * 32, "b" * 16))
    trace = only_trace(recording)
    event = trace.data.spans[0].events[0]
    assert dataclasses.asdict(event) == {"name": "event", "timestamp": 1, "attributes": {"a": [1]}}
    assert dataclasses.replace(event, name="other") == SpanEvent("other", 1, {"a": [1]})
    assert dataclasses.replace(trace.info, trace_id="tr-1").tags == trace.info.tags
    fields = dataclasses.asdict(trace)
    assert list(fields["info"]) == [field.name for field in dataclasses.fields(TraceInfo)]
    assert fields["info"]["trace_location"]["mlflow_experiment"] == {"experiment_id": "0"}
    assert not dataclasses.is_dataclass(Span)
    defaults = {field.name: field.default for field in dataclasses.fields(Link)}
    assert defaults == {
        "trace_id": dataclasses.MISSING,
        "span_id": dataclasses.MISSING,
        "attributes": None,
    }


def test_row_of_a_data_frame_has_mlflows_columns(recording: Store) -> None:
    with tracestore.start_span("span") as live:
        live.set_inputs({"q": 1})
    trace = only_trace(recording)
    row = trace.to_pandas_dataframe_row()
    assert list(row) == Trace.pandas_dataframe_columns()
    assert (row["trace_id"], row["request"]) == (trace.trace_id, {"q": 1})
    assert row["state"] is TraceState.OK
    assert Trace.from_json(row["trace"]) == trace
    frame = tracestore.search_traces(return_type="pandas")
    assert frame.iloc[0].to_dict().items() >= {k: v for k, v in row.items() if k != "trace"}.items()
