"""Traces from elsewhere added to running ones; traces logged as a whole; runs, prompts and model of a trace."""

from __future__ import annotations

import copy
import types
from typing import Any

import pytest

import tracestore
from tests.capture_traces import named, only_trace, shape
from tracestore import tracing
from tracestore.client import MlflowClient
from tracestore.entities import Trace, TraceState
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.store import Store


def _remote() -> dict[str, Any]:
    """Return the dictionary of a trace that a service has sent back, which has forgotten it since."""
    with tracestore.start_span("remote", span_type="AGENT") as root:
        root.set_inputs("asked")
        root.set_outputs("answered")
        tracestore.update_current_trace(tags={"both": "remote", "one": "remote"}, user="ada")
        with tracestore.start_span("call", span_type="LLM") as call:
            call.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4})
            call.record_exception(ValueError("no"))
    trace = tracestore.get_trace(root.trace_id)
    assert trace is not None
    tracestore.MlflowClient().delete_traces("0", trace_ids=[root.trace_id])
    return trace.to_dict()


@pytest.mark.parametrize("as_entity", [False, True])
def test_remote_trace_goes_under_the_current_span(recording: Store, as_entity: bool) -> None:
    remote = _remote()
    with tracestore.start_span("root"):
        tracestore.update_current_trace(tags={"both": "local"})
        with tracestore.start_span("request"):
            tracestore.add_trace(Trace.from_dict(remote) if as_entity else remote)
    trace = only_trace(recording)
    assert shape(trace) == {
        (None, "root"),
        ("root", "request"),
        ("request", "remote"),
        ("remote", "call"),
    }
    before = {span.name: span for span in Trace.from_dict(remote).data.spans}
    for name in ("remote", "call"):
        span = named(trace, name)
        assert span.trace_id == trace.trace_id
        assert (span.span_id, span.start_time_ns, span.end_time_ns, span.inputs, span.outputs) == (
            before[name].span_id,
            before[name].start_time_ns,
            before[name].end_time_ns,
            before[name].inputs,
            before[name].outputs,
        )
        assert (span.status, span.events) == (before[name].status, before[name].events)
    assert (trace.info.tags["both"], trace.info.tags["one"]) == ("local", "remote")
    assert (trace.info.user, trace.info.name) == ("ada", "root")
    assert trace.info.token_usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert recording.count_traces("span.error = 'ValueError: no'") == 1


def test_remote_trace_goes_under_the_span_that_is_named(recording: Store) -> None:
    remote = _remote()
    with tracestore.start_span("root") as root, tracestore.start_span("current"):
        tracestore.add_trace(remote, target=root)
    assert ("root", "remote") in shape(only_trace(recording))


def test_without_a_span_it_is_a_trace_of_its_own(recording: Store) -> None:
    remote = _remote()
    tracestore.add_trace(remote)
    trace = only_trace(recording)
    assert shape(trace) == {
        (None, "Remote Trace <remote>"),
        ("Remote Trace <remote>", "remote"),
        ("remote", "call"),
    }
    assert (trace.data.request, trace.data.response) == ('"asked"', '"answered"')
    assert trace.info.token_usage == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert trace.info.state is TraceState.OK


def test_spans_in_any_order_are_added(recording: Store) -> None:
    remote = _remote()
    remote["data"]["spans"].reverse()
    with tracestore.start_span("root"):
        tracestore.add_trace(remote)
    assert ("remote", "call") in shape(only_trace(recording))


def test_processors_see_what_is_added(recording: Store) -> None:
    remote = _remote()
    with (
        tracing.configure(span_processors=[lambda span: span.set_inputs("masked")]),
        tracestore.start_span("root"),
    ):
        tracestore.add_trace(remote)
    assert {span.inputs for span in only_trace(recording).data.spans} == {"masked"}


def test_where_tracing_is_off_nothing_is_added(recording: Store) -> None:
    remote = _remote()
    tracing.disable()
    tracestore.add_trace(remote)
    with tracestore.start_span("not recorded"):
        tracestore.add_trace(remote)
    assert recording.search_traces() == []


def _broken(change: str) -> Any:
    remote = _remote()
    spans = remote["data"]["spans"]
    if change == "running":
        remote["info"]["state"] = "IN_PROGRESS"
    elif change == "no spans":
        spans.clear()
    elif change == "parent missing":
        spans.pop(0)
    elif change == "twice":
        spans.append(copy.deepcopy(spans[1]))
        spans[2]["parent_span_id"] = spans[2]["span_id"]
    else:
        return {"no": "trace", "text": "text"}.get(change, 5) if change == "text" else {}
    return remote


@pytest.mark.parametrize(
    "change", ["running", "no spans", "parent missing", "twice", "text", "empty"]
)
def test_what_is_no_complete_trace_is_refused_and_adds_nothing(
    recording: Store, change: str
) -> None:
    broken = _broken(change)
    with tracestore.start_span("root"), pytest.raises(InvalidArgumentError, match="trace"):
        tracestore.add_trace(broken)
    assert shape(only_trace(recording)) == {(None, "root")}


# ------------------------------------------------------------------------------------------ log_trace


@pytest.mark.filterwarnings("ignore:log_trace:FutureWarning")
@pytest.mark.filterwarnings("ignore:intermediate_outputs:FutureWarning")
def test_trace_is_logged_as_a_whole(recording: Store) -> None:
    trace_id = tracestore.log_trace(
        "task",
        request="why?",
        response="because",
        intermediate_outputs={"found": [1]},
        attributes={"k": 1},
        tags={"t": "v"},
        start_time_ms=1_700_000_000_000,
        execution_time_ms=5129,
    )
    trace = only_trace(recording)
    assert (trace.trace_id, trace.info.name) == (trace_id, "task")
    assert (trace.data.request, trace.data.response) == ('"why?"', '"because"')
    assert trace.data.intermediate_outputs == {"found": [1]}
    assert trace.data.spans[0].get_attribute("k") == 1
    assert trace.info.tags["t"] == "v"
    assert (trace.info.request_time, trace.info.execution_duration) == (1_700_000_000_000, 5129)


def test_logging_a_whole_trace_is_older(recording: Store) -> None:
    with pytest.warns(FutureWarning, match="log_trace"):
        tracestore.log_trace()
    assert only_trace(recording).info.name == "Task"


# ------------------------------------------------------------------------------------------ runs, prompts, model


def test_traces_are_linked_to_a_run_and_unlinked(recording: Store) -> None:
    client = MlflowClient()
    ids = [client.start_trace(f"t{n}") for n in range(3)]
    for span in ids:
        client.end_trace(span.trace_id)
    linked = [ids[0].trace_id, ids[1].trace_id]
    client.link_traces_to_run(linked, "run-1")
    assert {t.trace_id for t in recording.search_traces("run_id = 'run-1'")} == set(linked)
    client.unlink_traces_from_run(linked[:1], "run-1")
    client.unlink_traces_from_run(linked[1:], "another run")
    assert [t.trace_id for t in recording.search_traces("run_id = 'run-1'")] == linked[1:]
    with pytest.raises(NotFoundError, match="tr-none"):
        client.link_traces_to_run([*linked, "tr-none"], "run-2")
    assert recording.count_traces("run_id = 'run-2'") == 0


def test_prompts_are_linked_to_a_trace(recording: Store) -> None:
    client = MlflowClient()
    with tracestore.start_span("span") as span:
        pass
    prompts = [types.SimpleNamespace(name="greeting", version=n) for n in (1, 2, 1)]
    client.link_prompt_versions_to_trace(prompts[:1], span.trace_id)
    client.link_prompt_versions_to_trace(prompts, trace_id=span.trace_id)
    assert recording.count_traces("prompt = 'greeting/1'") == 1
    assert recording.count_traces("prompt = 'greeting/2'") == 1
    assert recording.get_trace(span.trace_id).info.tags["mlflow.linkedPrompts"].count("name") == 2
    with pytest.raises(NotFoundError, match="tr-none"):
        client.link_prompt_versions_to_trace(prompts, "tr-none")


def test_active_model_is_recorded_until_it_is_cleared(recording: Store) -> None:
    with tracestore.set_active_model(name="v1") as active:
        assert (active.model_id, tracestore.get_active_model_id()) == ("v1", "v1")
        with tracestore.start_span("in the block"):
            pass
    assert tracestore.get_active_model_id() is None
    tracestore.set_active_model(model_id="m-2")
    with tracestore.start_span("after"):
        pass
    tracestore.clear_active_model()
    with tracestore.start_span("cleared"):
        pass
    found = {
        t.info.name: t.info.trace_metadata.get("mlflow.modelId") for t in recording.search_traces()
    }
    assert found == {"in the block": "v1", "after": "m-2", "cleared": None}
    with pytest.raises(InvalidArgumentError, match="either"):
        tracestore.set_active_model()


def test_client_says_which_file_it_is_about(recording: Store) -> None:
    assert MlflowClient().tracking_uri == f"sqlite:///{recording.path}"
