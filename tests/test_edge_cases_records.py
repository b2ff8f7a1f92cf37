"""Edge cases 60 to 87: tags, metadata, previews, usage and assessments."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Any

import pytest

import tracestore
from tests.capture_traces import all_traces, only_span, only_trace
from tests.edge_cases import better, follows
from tracestore import MlflowClient, tracing
from tracestore.entities import Feedback, MlflowExperimentLocation
from tracestore.errors import NotFoundError
from tracestore.store import Store


def record(**update: Any) -> str:
    with tracestore.start_span("s") as span:
        tracestore.update_current_trace(**update)
    return span.trace_id


# Tags and metadata --------------------------------------------------------------------------------------------


@better(60, mlflow="the trace loses its name, tags and state", why="an object becomes JSON text")
def test_060_metadata_that_is_an_object_is_kept_as_text(recording: Store) -> None:
    record(tags={"a": "1"}, metadata={"m": {"x": 1}})
    info = only_trace(recording).info
    assert (info.tags["a"], info.trace_metadata["m"], info.name) == ("1", '{"x":1}', "s")


@better(
    61,
    mlflow="True becomes '1', None a tag without a value",
    why="a tag says what was said, or is not there",
)
def test_061_tags_become_text_and_none_is_left_out(recording: Store) -> None:
    record(tags={"t": True, "n": None})
    assert {k: v for k, v in only_trace(recording).info.tags.items() if k in "tn"} == {"t": "True"}
    assert recording.count_traces("tags.n IS NULL") == 1


@better(
    62,
    mlflow="a session id of 251 characters costs the trace its tags",
    why="there is no such limit",
)
def test_062_a_long_session_id_is_kept(recording: Store) -> None:
    record(session_id="s" * 300, tags={"a": "1"})
    info = only_trace(recording).info
    assert (info.trace_metadata["mlflow.trace.session"], info.tags["a"]) == ("s" * 300, "1")


@follows(63)
def test_063_a_running_trace_takes_any_tag(recording: Store) -> None:
    record(tags={"mlflow.user": "mine"})
    assert only_trace(recording).info.tags["mlflow.user"] == "mine"


@follows(64)
def test_064_a_tag_renames_a_running_trace_and_a_context_does_not(recording: Store) -> None:
    record(tags={"mlflow.traceName": "renamed"})
    with tracing.context(tags={"mlflow.traceName": "x"}):
        record()
    assert [trace.info.name for trace in all_traces(recording)] == ["renamed", "s"]


@follows(65)
def test_065_a_name_can_be_deleted(recording: Store) -> None:
    tracestore.delete_trace_tag(record(), "mlflow.traceName")
    assert recording.count_traces("name IS NULL") == 1
    assert recording.count_traces("name != 'x'") == 0


@better(
    66,
    mlflow="cut to 8,000, 4,096 or 250 characters, depending on the way",
    why="text is kept whole",
)
def test_066_long_tags_and_metadata_are_whole_everywhere(recording: Store) -> None:
    trace_id = record(tags={"long": "x" * 9000}, metadata={"long": "x" * 9000})
    tracestore.set_trace_tag(trace_id, "set", "y" * 9000)
    info = only_trace(recording).info.to_dict()
    assert [len(info["tags"][key]) for key in ("long", "set")] == [9000, 9000]
    assert len(info["trace_metadata"]["long"]) == 9000


@better(
    67,
    mlflow="`set_trace_tag` refuses some characters, `update_current_trace` none",
    why="both take the same keys",
)
def test_067_keys_are_the_same_on_both_ways(recording: Store) -> None:
    trace_id = record(tags={"weird$key": "1"})
    tracestore.set_trace_tag(trace_id, "other$key", "2")
    assert recording.count_traces("tags.`weird$key` = '1' AND tags.`other$key` = '2'") == 1


def metadata_of_program(recording: Store, folder: pathlib.Path, *arguments: str) -> dict[str, str]:
    """Record a trace by a program that runs in `folder`; return its metadata."""
    code = f"import tracestore\ntracestore.set_tracking_uri({recording.path!r})\nwith tracestore.start_span('s'): pass"
    (folder / "program.py").write_text(code)
    subprocess.run(
        [sys.executable, *(arguments or ("-c", code))], cwd=folder, check=True, timeout=60
    )
    return recording.search_traces()[0].info.trace_metadata


@better(68, mlflow="empty texts", why="what is not known is absent")
def test_068_outside_a_repository_there_is_no_commit(
    recording: Store, tmp_path: pathlib.Path
) -> None:
    assert "mlflow.source.git.commit" not in metadata_of_program(recording, tmp_path)


@follows(69)
@pytest.mark.parametrize(("arguments", "name"), [(("program.py",), "program.py"), ((), "-c")])
def test_069_the_source_is_the_script_as_typed(
    recording: Store, tmp_path: pathlib.Path, arguments: tuple[str, ...], name: str
) -> None:
    found = metadata_of_program(recording, tmp_path, *arguments)
    assert found["mlflow.source.name"] == name


@follows(70)
def test_070_previews_are_the_last_words_or_json(recording: Store) -> None:
    messages = [{"role": "user", "content": "asked"}, {"role": "assistant", "content": "told"}]
    given: list[Any] = [{"messages": messages}, {"messages": []}, "text", "x" * 3000]
    for inputs in given:
        with tracestore.start_span("s") as span:
            tracestore.update_current_trace(request_preview="")
            span.set_inputs(inputs)
    previews = [trace.info.request_preview or "" for trace in all_traces(recording)]
    assert previews[:3] == ["asked", '{"messages":[]}', '"text"']
    assert (len(previews[3]), previews[3][-3:]) == (1000, "...")


@follows(71)
def test_071_a_context_inside_a_trace_does_not_touch_it(recording: Store) -> None:
    with tracestore.start_span("s"), tracing.context(tags={"late": "1"}):
        pass
    assert "late" not in only_trace(recording).info.tags


@better(72, mlflow="edits the outer trace", why="where tracing is off nothing is recorded")
def test_072_an_update_where_tracing_is_off_does_nothing(recording: Store) -> None:
    with tracestore.start_span("s"), tracing.context(enabled=False):
        tracestore.update_current_trace(tags={"inside": "1"})
    assert "inside" not in only_trace(recording).info.tags


@follows(73)
def test_073_a_run_id_is_recorded_and_changes_no_experiment(recording: Store) -> None:
    experiment = tracestore.set_experiment("active")
    with tracestore.start_span("s", run_id="run-1"):
        pass
    info = only_trace(recording).info
    assert info.trace_metadata["mlflow.sourceRun"] == "run-1"
    assert info.experiment_id == experiment.experiment_id


@follows(74)
def test_074_set_experiment_cancels_a_destination(recording: Store) -> None:
    other = tracestore.create_experiment("other")
    tracing.set_destination(MlflowExperimentLocation(other))
    active = tracestore.set_experiment("active")
    record()
    assert only_trace(recording).info.experiment_id == active.experiment_id


@better(
    75,
    mlflow="spans and a nameless trace appear",
    why="a trace is whole, and found where it was sent",
)
def test_075_a_trace_into_a_deleted_experiment_is_whole(recording: Store) -> None:
    key = tracestore.create_experiment("gone")
    recording.transact(
        lambda c: (
            c.execute(
                "UPDATE experiments SET lifecycle_stage = 'deleted'  WHERE id = ?", (int(key),)
            ).rowcount
        )
    )
    tracestore.start_span_no_context("s", experiment_id=key).end()
    info = only_trace(recording).info
    assert (info.name, info.state.value) == ("s", "OK")


def usage_of(recording: Store, *usages: Any) -> dict[str, int] | None:
    with tracestore.start_span("root") as root:
        root.set_attribute("mlflow.chat.tokenUsage", usages[0])
        for usage in usages[1:]:
            with tracestore.start_span("child") as child:
                child.set_attribute("mlflow.chat.tokenUsage", usage)
    return recording.get_trace(root.trace_id).info.token_usage


@better(
    76,
    mlflow="an empty usage hides the children's, a missing total is 0",
    why="what is known is summed",
)
def test_076_usage_is_summed_of_what_is_known(recording: Store) -> None:
    one = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert usage_of(recording, {}, one) == one
    part = usage_of(recording, {"input_tokens": 3}) or {}
    assert (part["input_tokens"], part["total_tokens"]) == (3, 3)
    assert usage_of(recording, "many") is None


@follows(77)
def test_077_attributes_of_other_conventions_count(recording: Store) -> None:
    with tracestore.start_span("s") as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.output_tokens": 6,
                "session.id": "s1",
                "user.id": "u1",
            }
        )
    assert only_span(recording).span_type == "CHAT_MODEL"
    usage = only_trace(recording).info.token_usage or {}
    assert (usage["input_tokens"], usage["total_tokens"]) == (5, 11)
    assert recording.count_traces("session = 's1' AND user = 'u1'") == 1


@follows(78)
def test_078_a_model_among_the_inputs_is_enough_for_a_cost(recording: Store) -> None:
    with tracestore.start_span("s") as span:
        span.set_inputs({"model": "gpt-4o"})
        usage = {"input_tokens": 1000, "output_tokens": 1000, "total_tokens": 2000}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
    assert only_span(recording).model_name == "gpt-4o"
    assert (only_trace(recording).info.cost or {})["total_cost"] > 0


# Assessments --------------------------------------------------------------------------------------------------


@better(79, mlflow="no id until the trace is exported", why="it is stored at once")
def test_079_feedback_on_a_running_trace_has_its_id(recording: Store) -> None:
    with tracestore.start_span("s") as span:
        logged = tracestore.log_feedback(trace_id=span.trace_id, value=1)
        assert (logged.assessment_id or "").startswith("a-")
    assert only_trace(recording).info.assessments[0].assessment_id == logged.assessment_id


@better(
    80,
    mlflow="INTERNAL_ERROR",
    why="the object given is not changed; each logging is one of its own",
)
def test_080_the_same_object_can_be_logged_twice(recording: Store) -> None:
    trace_id, feedback = record(), Feedback(name="f", value=1)
    ids = {tracestore.log_assessment(trace_id, feedback).assessment_id for _ in range(2)}
    assert len(ids) == 2
    assert len(only_trace(recording).info.assessments) == 2


def values_of(recording: Store) -> list[Any]:
    """Return the values of the trace's feedback `f` that counts."""
    return [
        found.to_dictionary()["feedback"]["value"]
        for found in only_trace(recording).search_assessments("f")
    ]


@follows(81)
def test_081_an_override_hides_and_its_deletion_brings_back(recording: Store) -> None:
    trace_id = record()
    old = tracestore.log_feedback(trace_id=trace_id, name="f", value=False)
    new = tracestore.override_feedback(
        trace_id=trace_id, assessment_id=str(old.assessment_id), value=True
    )
    assert values_of(recording) == [True]
    assert recording.count_traces("feedback.f = false") == 0
    tracestore.delete_assessment(trace_id, str(new.assessment_id))
    assert values_of(recording) == [False]


@follows(82)
def test_082_deleting_what_is_not_there_is_no_error(recording: Store) -> None:
    tracestore.delete_assessment(record(), "a-unknown")
    assert recording.path


@follows(83)
def test_083_an_update_renames_and_merges_metadata(recording: Store) -> None:
    trace_id = record()
    logged = tracestore.log_feedback(trace_id=trace_id, name="f", value=1, metadata={"a": "1"})
    changed = Feedback(name="g", value=2, metadata={"b": "2"})
    tracestore.update_assessment(trace_id, str(logged.assessment_id), changed)
    [read] = only_trace(recording).info.assessments
    assert (read.name, read.value, read.metadata) == ("g", 2, {"a": "1", "b": "2"})


@better(84, mlflow="the whole result set raises", why="NaN is kept as a text that says so")
def test_084_feedback_that_is_not_a_number_can_be_read(recording: Store) -> None:
    tracestore.log_feedback(trace_id=record(), name="f", value=float("nan"))
    assert only_trace(recording).info.assessments[0].value == "NaN"
    assert len(tracestore.search_traces(return_type="list")) == 1
    assert only_trace(recording).to_dict()


@better(85, mlflow="1 is 1.0 in a dictionary", why="a number is what it was")
def test_085_an_integer_is_an_integer_in_both_forms(recording: Store) -> None:
    tracestore.log_feedback(trace_id=record(), name="f", value=1)
    assessment = only_trace(recording).info.assessments[0]
    values = (assessment.value, assessment.to_dictionary()["feedback"]["value"])
    assert [type(value) for value in values] == [int, int]


@better(86, mlflow="a number without quotes is a syntax error", why="a number is written as one")
def test_086_feedback_is_compared_by_what_it_is(recording: Store) -> None:
    for value in (True, "true", 0.9, "0.9", False):
        tracestore.log_feedback(trace_id=record(), name="x", value=value)
    assert recording.count_traces("feedback.x = 'true'") == 2
    assert recording.count_traces("feedback.x > 0.5") == 1
    assert recording.count_traces("feedback.x = 0.9") >= 1


@better(
    87, mlflow="matches every trace of that session", why="feedback is about the trace that has it"
)
def test_087_feedback_of_a_session_counts_for_its_own_trace(recording: Store) -> None:
    trace_id = record(session_id="s1")
    record(session_id="s1")
    metadata = {"mlflow.trace.session": "s1"}
    tracestore.log_feedback(trace_id=trace_id, name="shared", value=True, metadata=metadata)
    assert recording.count_traces("feedback.shared = true") == 1
    with pytest.raises(NotFoundError):
        MlflowClient().get_trace("tr-none")
