"""Entities: dictionaries and JSON there and back, searches on a trace, names of MLflow 2, lists."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracestore
from tests.capture_traces import all_traces, only_trace
from tracestore.entities import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    Expectation,
    Experiment,
    Feedback,
    Link,
    PagedList,
    Span,
    SpanEvent,
    SpanLogLevel,
    SpanStatus,
    SpanStatusCode,
    Trace,
    TraceInfo,
    TraceState,
    TraceStatus,
)
from tracestore.errors import InvalidArgumentError
from tracestore.store import Store


@pytest.fixture
def trace(recording: Store) -> Trace:
    """A trace with everything in it."""
    with contextlib.suppress(ValueError), tracestore.start_span("root") as root:
        root.set_inputs({"q": "why?"})
        root.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4})
        tracestore.update_current_trace(
            tags={"t": "1"}, metadata={"m": "2"}, client_request_id="c-1", session_id="s"
        )
        with tracestore.start_span("search", span_type="RETRIEVER", description="looks") as child:
            child.set_outputs([1, None, "é"])
            child.add_event(SpanEvent("event", 7, {"k": [1]}))
            child.add_link(Link("tr-" + "a" * 32, "b" * 16, {"why": True}))
            child.set_log_level("INFO")
        with tracestore.start_span("search 2", span_type="RETRIEVER"):
            pass
        raise ValueError("broken")
    trace_id = root.trace_id
    tracestore.log_feedback(trace_id=trace_id, name="good", value=1, span_id=child.span_id)
    tracestore.log_feedback(trace_id=trace_id, name="judge", error=ValueError("no"))
    tracestore.log_expectation(trace_id=trace_id, name="good", value={"a": 1})
    return only_trace(recording)


# ------------------------------------------------------------------------------------------ there and back


def test_trace_comes_back_from_its_dictionary_and_its_json(trace: Trace) -> None:
    expected = trace.to_dict()
    for twin in (
        Trace.from_dict(trace.to_dict()),
        Trace.from_json(trace.to_json()),
        Trace.from_json(trace.to_json(pretty=True)),
    ):
        assert twin.to_dict() == expected
        assert twin.data.spans == trace.data.spans
        assert twin.info.state is TraceState.ERROR
    assert "\n  " in trace.to_json(pretty=True)
    assert "\n" not in trace.to_json()


def test_dictionary_has_mlflows_form(trace: Trace) -> None:
    info = trace.to_dict()["info"]
    assert info["trace_location"] == {
        "type": "MLFLOW_EXPERIMENT",
        "mlflow_experiment": {"experiment_id": "0"},
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info["request_time"])
    assert (info["state"], info["client_request_id"]) == ("ERROR", "c-1")
    [feedback, error, expectation] = info["assessments"]
    assert feedback["feedback"] == {"value": 1}
    assert error["feedback"]["error"]["error_code"] == "ValueError"
    assert expectation["expectation"] == {
        "serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a": 1}'}
    }
    span = trace.to_dict()["data"]["spans"][0]
    assert set(span) == {
        "trace_id",
        "span_id",
        "parent_span_id",
        "name",
        "start_time_unix_nano",
        "end_time_unix_nano",
        "events",
        "status",
        "attributes",
        "links",
    }
    assert span["status"] == {"code": "STATUS_CODE_ERROR", "message": "ValueError: broken"}
    assert json.loads(span["attributes"]["mlflow.traceRequestId"]) == trace.trace_id


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_payload_survives_store_dictionary_and_json(recording: Store, value: Any) -> None:
    with tracestore.start_span("span") as span:
        span.set_inputs(value)
        span.set_attribute("a", value)
        live = span.to_immutable_span()
    stored = recording.get_trace(span.trace_id).data.spans[0]
    assert stored.inputs == live.inputs
    assert stored.get_attribute("a") == live.get_attribute("a")
    assert Span.from_dict(json.loads(json.dumps(stored.to_dict()))) == stored


def test_span_of_mlflow_with_bare_nan_is_read(trace: Trace) -> None:
    data = trace.data.spans[0].to_dict()
    data["attributes"]["mlflow.spanOutputs"] = "[NaN, Infinity, -Infinity, 1.5]"
    assert Span.from_dict(data).outputs == ["NaN", "Infinity", "-Infinity", 1.5]


_BREAKS: list[tuple[str, Any]] = [
    ("info", None),
    ("data", []),
    ("data", {"spans": 5}),
    ("data", {"spans": [5]}),
    ("data", {"spans": [{}]}),
    ("info.state", "FINE"),
    ("info.request_time", 5),
    ("info.request_time", "yesterday"),
    ("info.trace_location", {}),
    ("info.tags", "text"),
    ("data.spans.0.span_id", "no base64!"),
    ("data.spans.0.attributes", {}),
    ("data.spans.0.attributes", {"mlflow.traceRequestId": "5"}),
    ("data.spans.0.attributes", {"mlflow.traceRequestId": '"x"', "deep": "[" * 100_000}),
    ("data.spans.0.attributes", {"mlflow.traceRequestId": '"x"', "bad": "{"}),
    ("data.spans.0.attributes", [1]),
    ("data.spans.0.status", {"code": "FINE"}),
    ("data.spans.0.start_time_unix_nano", "x"),
]


@pytest.mark.parametrize(
    ("path", "value"), _BREAKS, ids=[f"{p} {i}" for i, (p, _) in enumerate(_BREAKS)]
)
def test_dictionary_of_another_form_is_refused(trace: Trace, path: str, value: Any) -> None:
    data: Any = trace.to_dict()
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = data
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(InvalidArgumentError):
        Trace.from_dict(data)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"info": {}}', "[" * 100_000, None])
def test_json_of_another_form_is_refused(text: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        Trace.from_json(text)


# ------------------------------------------------------------------------------------------ searching a trace


def test_search_spans_by_type_name_pattern_and_id(trace: Trace) -> None:
    def names(**wanted: Any) -> list[str]:
        return [span.name for span in trace.search_spans(**wanted)]

    assert names() == ["root", "search", "search 2"]
    assert names(span_type="RETRIEVER") == ["search", "search 2"]
    assert names(name="search") == ["search"]
    assert names(name=re.compile("^s.*2$")) == ["search 2"]
    assert names(name=re.compile("earc"), span_type="RETRIEVER") == ["search", "search 2"]
    assert names(span_id=trace.data.spans[1].span_id) == ["search"]
    assert names(span_type="retriever") == []
    with pytest.raises(InvalidArgumentError, match="regular expression"):
        names(name=5)


def test_search_assessments_by_name_span_and_type(trace: Trace) -> None:
    def kinds(*args: Any, **wanted: Any) -> list[str]:
        return [type(found).__name__ for found in trace.search_assessments(*args, **wanted)]

    assert kinds() == ["Feedback", "Feedback", "Expectation"]
    assert kinds("good") == ["Feedback", "Expectation"]
    assert kinds("good", type="expectation") == ["Expectation"]
    assert kinds(type="feedback") == ["Feedback", "Feedback"]
    assert kinds(span_id=trace.data.spans[1].span_id) == ["Feedback"]
    assert kinds("none") == []


def test_overridden_assessments_are_shown_only_if_asked_for(trace: Trace) -> None:
    first = trace.info.assessments[0]
    first.valid = False
    assert first not in trace.search_assessments()
    assert first in trace.search_assessments(all=True)


def test_older_names_of_mlflow(trace: Trace) -> None:
    info = trace.info
    assert info.request_id == info.trace_id == trace.trace_id
    assert info.timestamp_ms == info.request_time
    assert info.execution_time_ms == info.execution_duration
    assert info.status is TraceStatus.ERROR
    assert info.status.value == info.state.value == "ERROR"
    assert info.request_metadata is info.trace_metadata
    assert info.experiment_id == "0"
    assert info.name == "root"
    assert info.token_usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert info.cost is None
    assert trace.data.spans[0].request_id == trace.trace_id
    assert trace.data.request == '{"q":"why?"}'
    assert trace.data.response is None


def test_spans_of_a_trace_start_with_the_root_and_read_whole(trace: Trace) -> None:
    root, child, _ = trace.data.spans
    assert trace.data.root is root
    assert child.parent_id == root.span_id
    assert (child.outputs, child.description) == ([1, None, "é"], "looks")
    assert child.log_level is SpanLogLevel.INFO
    assert child.events == [SpanEvent("event", 7, {"k": [1]})]
    assert child.links == [Link("tr-" + "a" * 32, "b" * 16, {"why": True})]
    assert child.get_attribute("none") is None
    assert child.model_name is None
    with pytest.raises(TypeError, match="get_attribute"):
        child["name"]


def test_trace_can_be_copied_pickled_and_shown(trace: Trace) -> None:
    for twin in (copy.deepcopy(trace), pickle.loads(pickle.dumps(trace))):
        assert twin.to_dict() == trace.to_dict()
    assert repr(trace) == f"Trace(trace_id={trace.trace_id!r})"
    assert "name='root'" in repr(trace.data.spans[0])
    assert len({*trace.data.spans, *trace.data.spans}) == 3


# ------------------------------------------------------------------------------------------ small ones


def test_paged_list_is_a_list_with_a_token() -> None:
    page = PagedList([1, 2], token="t")
    assert page == [1, 2]
    assert page.token == "t"
    assert type(page.to_list()) is list
    for twin in (copy.copy(page), copy.deepcopy(page), pickle.loads(pickle.dumps(page))):
        assert (list(twin), twin.token, type(twin)) == ([1, 2], "t", PagedList)
    assert PagedList().token is None
    assert page[-1:] == [2]
    with pytest.raises(TypeError, match="'status': where pandas is installed"):
        page["status"]  # type: ignore[call-overload]


def test_list_of_traces_shows_itself(recording: Store) -> None:
    with tracestore.start_span("shown"):
        pass
    traces = recording.search_traces()
    assert "shown" in traces._repr_mimebundle_()["text/html"]
    assert traces.token is None
    assert all_traces(recording)[0].info.name == "shown"


def test_status_is_checked() -> None:
    ok: Any = "OK"
    assert SpanStatus(ok) == SpanStatus(SpanStatusCode.OK)
    for bad in ("ok", 5, None):
        with pytest.raises(InvalidArgumentError, match="upper case"):
            SpanStatus(bad)  # type: ignore[arg-type]
    assert str(SpanStatusCode.OK) == "OK"
    assert f"{TraceState.OK}" == "OK"


def test_log_level_is_parsed_in_any_case() -> None:
    assert SpanLogLevel.from_value("warning") is SpanLogLevel.WARNING
    assert SpanLogLevel.from_value(SpanLogLevel.ERROR) is SpanLogLevel.ERROR
    for bad in ("loud", 15, None):
        with pytest.raises(InvalidArgumentError, match="log_level"):
            SpanLogLevel.from_value(bad)  # type: ignore[arg-type]


def test_assessment_source_is_normalised_and_checked() -> None:
    assert AssessmentSource("human") == AssessmentSource("HUMAN", "default")
    with pytest.warns(FutureWarning, match="LLM_JUDGE"):
        assert AssessmentSource("ai_judge", None).source_type == "LLM_JUDGE"
    with pytest.raises(InvalidArgumentError, match="source_type"):
        AssessmentSource("ROBOT")
    with pytest.raises(InvalidArgumentError, match="AssessmentSource"):
        Feedback(source="me")  # type: ignore[arg-type]


def test_assessments_have_default_sources_and_errors_in_each_form() -> None:
    assert Feedback().source.source_type == "CODE"
    assert Expectation("e", 1).source.source_type == "HUMAN"
    with pytest.raises(InvalidArgumentError, match="no value"):
        Expectation("e", None)
    text: Any = "went wrong"
    assert Feedback(error=text).error_code == "ASSESSMENT_ERROR"
    raised: Any = KeyError("k")
    assert Feedback(error=raised).error_message == "'k'"
    assert AssessmentError.of(AssessmentError("code")).error_code == "code"
    with pytest.raises(InvalidArgumentError, match="error is a"):
        Feedback(error=5)  # type: ignore[arg-type]
    assert isinstance(Feedback(), Assessment)


def test_info_with_broken_usage_says_none() -> None:
    info = TraceInfo(
        "tr-1",
        tracestore.entities.TraceLocation.from_experiment_id("0"),
        0,
        TraceState.OK,
        trace_metadata={"mlflow.trace.tokenUsage": "{", "mlflow.trace.cost": "[1]"},
    )
    assert info.token_usage is None
    assert info.cost is None
    assert Experiment("1", "name").lifecycle_stage == "active"
