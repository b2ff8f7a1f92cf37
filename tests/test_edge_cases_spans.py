"""Edge cases 1 to 59: reading what has just been recorded, decorators and spans."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import logging
import os
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tracestore
from tests.capture_traces import all_traces, named, only_span, only_trace
from tests.edge_cases import better, follows
from tracestore import MlflowClient, tracing
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.entities import MlflowExperimentLocation, Span
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.runtime import runtime
from tracestore.store import Store


def record(name: str = "s", **tags: str) -> str:
    with tracestore.start_span(name) as span:
        tracestore.update_current_trace(tags=tags)
    return span.trace_id


def read(trace_id: str) -> Any:
    return tracestore.get_trace(trace_id)


# Reads and timing ---------------------------------------------------------------------------------------------


@better(1, mlflow="None until the trace is exported", why="what has ended is found")
def test_001_a_trace_that_has_just_ended_is_found(recording: Store) -> None:
    record()
    assert recording.path
    assert read(tracestore.get_last_active_trace_id() or "").info.state.value == "OK"


@better(2, mlflow="0 traces for up to 5 s", why="a search flushes first")
def test_002_a_search_sees_what_was_recorded_just_before(recording: Store) -> None:
    for _ in range(4):
        record()
    assert len(recording.search_traces()) == 4


@better(3, mlflow="RESOURCE_DOES_NOT_EXIST", why="feedback waits for its trace")
def test_003_feedback_straight_after_the_call_is_kept(recording: Store) -> None:
    trace_id = record()
    tracestore.log_feedback(trace_id=trace_id, name="f", value=1)
    assert recording.get_trace(trace_id).info.assessments[0].value == 1


@better(4, mlflow="BAD_REQUEST for a tag on an unknown trace", why="one code for one situation")
def test_004_a_tag_straight_after_the_call_works_and_an_unknown_trace_is_said(
    recording: Store,
) -> None:
    tracestore.set_trace_tag(record(), "k", "v")
    assert only_trace(recording).info.tags["k"] == "v"
    with pytest.raises(NotFoundError):
        tracestore.set_trace_tag("tr-nope", "k", "v")
    with pytest.raises(NotFoundError):
        tracestore.log_feedback(trace_id="tr-nope", value=1)


@follows(5)
def test_005_an_unknown_trace_is_none_and_the_client_raises(recording: Store) -> None:
    assert recording.path
    assert tracestore.get_trace("tr-nope") is None
    with pytest.raises(NotFoundError):
        MlflowClient().get_trace("tr-nope")


@better(6, mlflow="None", why="a running trace is there, as it stands")
def test_006_a_running_trace_is_found(recording: Store) -> None:
    with tracestore.start_span("running") as span:
        assert recording.get_trace(span.trace_id).info.state.value == "IN_PROGRESS"


@follows(7)
def test_007_the_last_trace_is_that_of_any_thread_or_of_this_context(recording: Store) -> None:
    assert recording.path
    ids: list[str] = []
    thread = threading.Thread(target=lambda: ids.append(record()))
    thread.start()
    thread.join()
    assert tracestore.get_last_active_trace_id() == ids[0]
    assert tracestore.get_last_active_trace_id(thread_local=True) is None

    async def main() -> str:
        return record()

    trace_id = asyncio.run(main())
    assert tracestore.get_last_active_trace_id() == trace_id
    assert tracestore.get_last_active_trace_id(thread_local=True) is None


@follows(8)
def test_008_the_last_trace_is_unchanged_by_one_that_is_not_recorded(recording: Store) -> None:
    assert recording.path
    trace_id = record()
    with tracing.context(enabled=False):
        record()
    assert tracestore.get_last_active_trace_id() == trace_id


@better(9, mlflow="every later trace is lost", why="a flush only waits")
def test_009_recording_goes_on_after_a_terminating_flush(recording: Store) -> None:
    tracestore.flush_trace_async_logging(terminate=True)
    record()
    assert len(recording.search_traces()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@better(
    10, mlflow="the child never exports, a flush in it hangs", why="a child has a writer of its own"
)
def test_010_the_child_of_a_fork_records(recording: Store) -> None:
    record("parent")
    child = os.fork()
    if child == 0:
        record("child")
        os._exit(0 if tracestore.flush(10) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert {trace.info.name for trace in recording.search_traces()} == {"parent", "child"}


@better(11, mlflow="a line about flushing on stderr", why="a program's output is its own")
def test_011_the_end_of_a_program_says_nothing(recording: Store) -> None:
    code = "import tracestore\nwith tracestore.start_span('s'): pass"
    environment = {**os.environ, "TRACESTORE_DB": recording.path}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    assert (ended.stdout, ended.stderr) == (b"", b"")
    assert len(recording.search_traces()) == 1


@better(12, mlflow="more than 50,000 is refused", why="memory is the caller's own to spend")
def test_012_no_results_are_asked_for_and_many(recording: Store) -> None:
    record()
    for limit, count in ((0, 0), (-1, 0), (50_001, 1), (None, 1)):
        assert len(recording.search_traces(max_results=limit)) == count


@better(
    13, mlflow="bytes, and an empty page after the last full one", why="the last page has no token"
)
def test_013_a_page_that_is_exactly_full_has_no_token(recording: Store) -> None:
    for _ in range(4):
        record()
    first = recording.search_traces(max_results=2)
    assert isinstance(first.token, str)
    assert recording.search_traces(max_results=2, page_token=first.token).token is None


@follows(14)
def test_014_the_client_searches_all_experiments_the_function_the_active_one(
    recording: Store,
) -> None:
    record()
    tracestore.set_experiment("other")
    assert recording.path
    assert len(MlflowClient().search_traces()) == 1
    assert len(tracestore.search_traces(return_type="list")) == 0


@better(15, mlflow="hidden, and get_trace takes 3 s to fail", why="what is there is shown")
def test_015_a_trace_with_fewer_spans_than_it_had_is_shown(recording: Store) -> None:
    with tracestore.start_span("root") as span, tracestore.start_span("child"):
        pass
    tracestore.flush()
    recording.transact(lambda c: c.execute("DELETE FROM spans WHERE name = 'child'").rowcount)
    assert [s.name for s in recording.get_trace(span.trace_id).data.spans] == ["root"]
    assert len(recording.search_traces()) == 1


# Decorators and spans -----------------------------------------------------------------------------------------


@better(16, mlflow="OK, no event", why="what was interrupted did not succeed")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_016_interruptions_end_the_span_as_error(
    recording: Store, error: type[BaseException]
) -> None:
    with pytest.raises(error), tracestore.start_span("s"):
        raise error
    span = only_span(recording)
    assert (span.status.status_code.value, [e.name for e in span.events]) == (
        "ERROR",
        ["exception"],
    )


@follows(17)
def test_017_a_caught_error_fails_the_child_only(recording: Store) -> None:
    with tracestore.start_span("root"):
        try:
            with tracestore.start_span("child"):
                os.environ["NOBODY_SETS_THIS"]
        except KeyError:
            pass
    trace = only_trace(recording)
    assert trace.info.state.value == "OK"
    assert named(trace, "child").status.description == "KeyError: 'NOBODY_SETS_THIS'"


@better(18, mlflow="an empty description", why="as of any other error")
def test_018_an_error_in_a_generator_is_described(recording: Store) -> None:
    @tracestore.trace
    def words() -> Iterator[str]:
        yield "a"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(words())
    assert only_span(recording).status.description == "ValueError: no more"
    assert only_span(recording).outputs == ["a"]


@better(19, mlflow="no trace at all; the parent's is damaged", why="what it yielded was wanted")
def test_019_a_generator_that_is_left_early_is_recorded(recording: Store) -> None:
    @tracestore.trace
    def count() -> Iterator[int]:
        yield 1
        yield 2

    with tracestore.start_span("root"):
        for _ in count():
            break
    trace = only_trace(recording)
    assert trace.info.name == "root"
    assert named(trace, "count").outputs == [1]


@better(20, mlflow="both are lost", why="a traced function behaves as the function")
def test_020_send_and_return_of_a_generator_work(recording: Store) -> None:
    @tracestore.trace
    def echo() -> Any:
        got = yield "first"
        return got

    generator = echo()
    next(generator)
    with pytest.raises(StopIteration) as stop:
        generator.send("sent")
    assert stop.value.value == "sent"
    assert recording.path


@better(21, mlflow="events of the last 128 chunks", why="there is no limit of 128")
def test_021_every_chunk_has_an_event(recording: Store) -> None:
    @tracestore.trace
    def count() -> Iterator[int]:
        yield from range(200)

    list(count())
    span = only_span(recording)
    assert (len(span.outputs), len(span.events)) == (200, 200)


@better(
    22, mlflow="the trace becomes unreadable, and its experiment", why="there is no limit of 128"
)
def test_022_more_than_128_attributes_are_kept(recording: Store) -> None:
    with tracestore.start_span("s") as span:
        for i in range(300):
            span.set_attribute(f"k{i}", i)
    assert only_span(recording).get_attribute("k0") == 0
    assert only_span(recording).get_attribute("k299") == 299


@follows(23)
def test_023_defaults_and_empty_arguments_are_inputs(recording: Store) -> None:
    @tracestore.trace
    def f(x: int, y: int = 2, *rest: int, **more: int) -> None:
        pass

    f(1)
    assert only_span(recording).inputs == {"x": 1, "y": 2, "rest": [], "more": {}}


@better(24, mlflow="`self` is recorded", why="whether it counts as false says nothing")
def test_024_self_is_never_an_input(recording: Store) -> None:
    class Empty:
        def __len__(self) -> int:
            return 0

        @tracestore.trace
        def method(self, x: int) -> int:
            return x

    Empty().method(1)
    assert only_span(recording).inputs == {"x": 1}


@follows(25)
def test_025_a_call_that_does_not_fit_fails_as_itself(recording: Store) -> None:
    @tracestore.trace
    def f(x: int) -> int:
        return x

    with pytest.raises(TypeError):
        f()  # type: ignore[call-arg]
    assert only_span(recording).inputs is None
    assert only_trace(recording).info.state.value == "ERROR"


@follows(26)
@pytest.mark.parametrize(("given", "kept"), [(0, 0), ("", ""), (None, "returned"), ([], [])])
def test_026_outputs_of_the_body_are_kept_but_for_none(
    recording: Store, given: Any, kept: Any
) -> None:
    @tracestore.trace
    def f(_x: int) -> str:
        span = tracestore.get_current_active_span()
        assert span is not None
        span.set_outputs(given)
        span.set_inputs("replaced")
        return "returned"

    f(1)
    assert (only_span(recording).inputs, only_span(recording).outputs) == ("replaced", kept)


@follows(27)
def test_027_none_is_an_output_and_no_output_is_none(recording: Store) -> None:
    tracestore.trace(lambda: None, name="none")()
    record("without")
    none, without = all_traces(recording)
    assert (none.data.response, none.info.response_preview) == ("null", "null")
    assert without.data.response is None


@better(28, mlflow="np.int64(3) becomes '3'", why="a number is a number")
def test_028_numbers_of_numpy_are_numbers(recording: Store) -> None:
    tracestore.trace(lambda: [np.int64(3), np.float64(1.5)])()
    assert only_span(recording).outputs == [3, 1.5]


@better(29, mlflow="the whole dictionary becomes one text", why="only the key needs to be text")
def test_029_a_tuple_as_key_becomes_text(recording: Store) -> None:
    tracestore.trace(lambda: {(1, 2): 3, "a": 4})()
    assert only_span(recording).outputs == {"(1, 2)": 3, "a": 4}


@better(30, mlflow="bare NaN, which is not JSON", why="any program can read the file")
def test_030_odd_floats_are_told_apart_in_valid_json(recording: Store) -> None:
    tracestore.trace(lambda: [float("nan"), float("inf"), -float("inf")])()
    assert only_span(recording).outputs == ["NaN", "Infinity", "-Infinity"]


@better(31, mlflow="read back as an object", why="text is text")
def test_031_text_that_is_json_stays_text(recording: Store) -> None:
    with tracestore.start_span("s") as span:
        span.set_inputs('{"a": 1}')
    assert only_span(recording).inputs == '{"a": 1}'


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@better(32, mlflow="the function is not called", why="tracing never breaks the program")
def test_032_an_argument_whose_text_fails_does_no_harm(recording: Store) -> None:
    assert tracestore.trace(lambda x: isinstance(x, NoText))(NoText())
    assert "not recorded" in only_span(recording).inputs["x"]


@better(33, mlflow="RecursionError", why="tracing never breaks the program")
def test_033_an_argument_that_contains_itself_does_no_harm(recording: Store) -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert tracestore.trace(len)(cycle) == 2
    assert "contains itself" in str(only_span(recording).inputs)


@better(34, mlflow="AttributeError", why="they are callables like others")
def test_034_partials_and_callable_objects_are_traced(recording: Store) -> None:
    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

    assert tracestore.trace(functools.partial(max, 1))(2) == 2
    assert tracestore.trace(Adder())(2) == 3
    assert [trace.info.name for trace in all_traces(recording)] == ["max", "Adder"]


@follows(35)
def test_035_same_names_stay_the_same(recording: Store) -> None:
    with tracestore.start_span("s"), tracestore.start_span("s"):
        pass
    assert [span.name for span in only_trace(recording).data.spans] == ["s", "s"]


@follows(36)
def test_036_a_ratio_of_a_nested_call_counts_for_nothing(recording: Store) -> None:
    inner = tracestore.trace(lambda: 1, name="inner", sampling_ratio_override=0.0)
    tracestore.trace(inner, name="outer")()
    assert len(only_trace(recording).data.spans) == 2


@follows(37)
def test_037_below_a_dropped_root_nothing_is_recorded(recording: Store) -> None:
    inner = tracestore.trace(tracestore.get_current_active_span, sampling_ratio_override=1.0)
    assert tracestore.trace(inner, sampling_ratio_override=0.0)() is None
    assert recording.search_traces() == []


@better(38, mlflow="tracing is off, silently", why="a typo is said and changes nothing")
@pytest.mark.parametrize("ratio", ["", "abc", "1.5"])
def test_038_a_ratio_that_is_none_is_said_and_all_is_recorded(
    recording: Store, ratio: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACE_SAMPLING_RATIO", ratio)
    runtime.reset()
    runtime.configure(path=recording.path)
    record()
    assert len(tracestore.search_traces(return_type="list")) == 1
    assert "MLFLOW_TRACE_SAMPLING_RATIO" in caplog.text


@better(39, mlflow="the trace is never stored", why="MLflow's own documentation promises it")
def test_039_a_destination_of_a_nested_span_is_ignored_with_a_warning(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    other = MlflowExperimentLocation(tracestore.create_experiment("other"))
    with caplog.at_level(logging.WARNING), tracestore.start_span("root"):
        with tracestore.start_span("nested", trace_destination=other):
            pass
        tracestore.trace(lambda: 1, name="call", trace_destination=other)()
    trace = only_trace(recording)
    assert {span.name for span in trace.data.spans} == {"root", "nested", "call"}
    assert trace.info.experiment_id == "0"
    assert "trace_destination" in caplog.text


@better(40, mlflow="the span is dropped, silently", why="only what is wrong is left out")
def test_040_wrong_options_are_left_out(recording: Store) -> None:
    with tracestore.start_span("a", attributes="x"):  # type: ignore[arg-type]
        pass
    with tracestore.start_span("b", log_level="zzz"):
        pass
    assert [trace.info.name for trace in all_traces(recording)] == ["a", "b"]


@better(41, mlflow="OK", why="a failure is never hidden")
def test_041_an_exception_after_ok_is_visible(recording: Store) -> None:
    def run() -> None:
        with tracestore.start_span("s") as span:
            span.set_status("OK")
            raise ValueError("after")

    with pytest.raises(ValueError, match="after"):
        run()
    assert only_trace(recording).info.state.value == "ERROR"
    assert only_span(recording).status.description == "ValueError: after"


@follows(42)
def test_042_a_state_that_was_set_stays_and_the_span_fails(recording: Store) -> None:
    def run() -> None:
        with tracestore.start_span("s"):
            tracestore.update_current_trace(state="OK")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        run()
    assert only_trace(recording).info.state.value == "OK"
    assert only_span(recording).status.status_code.value == "ERROR"


@better(43, mlflow="a bad status of end() leaves the span open", why="end() ends")
def test_043_a_bad_status_is_refused_and_ends_the_span(recording: Store) -> None:
    span = tracestore.start_span_no_context("s")
    with pytest.raises(InvalidArgumentError):
        span.set_status("ok")
    span.end(status="FOO")
    assert only_span(recording).status.status_code.value == "OK"


@follows(44)
def test_044_what_comes_after_the_end_is_ignored(recording: Store) -> None:
    span = tracestore.start_span_no_context("s")
    span.end(outputs=1)
    span.end(outputs=2)
    span.set_outputs(3)
    span.set_attribute("late", 1)
    assert (only_span(recording).outputs, only_span(recording).get_attribute("late")) == (1, None)


@follows(45, 46)
def test_045_046_spans_without_context_are_never_current(recording: Store) -> None:
    with tracestore.start_span("outer") as outer:
        child = tracestore.start_span_no_context("child")
        assert child.parent_id == outer.span_id
        assert tracestore.get_current_active_span() is outer
        child.end()
    root = tracestore.start_span_no_context("root")
    with tracestore.start_span("separate") as separate:
        assert separate.trace_id != root.trace_id
    root.end()
    assert len(all_traces(recording)) == 3


@better(47, mlflow="no name until the child ends", why="a root that has ended is complete")
def test_047_a_root_that_ends_before_its_child_is_complete(recording: Store) -> None:
    root = tracestore.start_span_no_context("root")
    child = tracestore.start_span_no_context("child", parent_span=root)
    root.end()
    info = recording.get_trace(root.trace_id).info
    assert (info.state.value, info.name) == ("OK", "root")
    child.end()
    assert len(only_trace(recording).data.spans) == 2


@better(48, mlflow="a span that is not recorded", why="it belongs to its trace, late or not")
def test_048_a_child_that_starts_after_its_root_ended_is_recorded(recording: Store) -> None:
    root = tracestore.start_span_no_context("root")
    root.end()
    tracestore.start_span_no_context("late", parent_span=root).end()
    assert [span.name for span in only_trace(recording).data.spans] == ["root", "late"]


@better(49, mlflow="BAD_REQUEST", why="the trace is asked for by name; it is one of its own")
def test_049_the_client_starts_a_trace_inside_a_span(recording: Store) -> None:
    client = MlflowClient()
    with tracestore.start_span("fluent") as span:
        child = client.start_span("child", span.trace_id, span.span_id)
        client.end_span(span.trace_id, child.span_id)
        root = client.start_trace("root")
        client.end_trace(root.trace_id)
    assert {trace.info.name for trace in all_traces(recording)} == {"fluent", "root"}


@follows(50)
def test_050_a_trace_ends_once_and_an_unknown_span_is_passed_over(recording: Store) -> None:
    client = MlflowClient()
    root = client.start_trace("root")
    client.end_span(root.trace_id, "0123456789abcdef")
    client.end_trace(root.trace_id)
    with pytest.raises(tracestore.MlflowException):
        client.end_trace(root.trace_id)
    assert len(all_traces(recording)) == 1


@better(
    51, mlflow="AttributeError of attributes, events, to_dict", why="code that reads a span runs on"
)
def test_051_a_span_that_is_not_recorded_can_be_read(recording: Store) -> None:
    with tracing.context(enabled=False), tracestore.start_span("s") as span:
        assert isinstance(span, NoOpSpan)
        assert (span.inputs, span.attributes, span.events, span.to_dict()) == (None, {}, [], {})
    assert recording.search_traces() == []


@follows(52)
def test_052_live_spans_are_not_copied_and_stored_ones_are(recording: Store) -> None:
    with tracestore.start_span("s") as live:
        for attempt in (copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                attempt(live)
    again = pickle.loads(pickle.dumps(only_trace(recording)))
    assert again.info.trace_id == live.trace_id
    assert isinstance(live, LiveSpan)
    assert type(again.data.spans[0]) is Span


@follows(53)
def test_053_a_thread_nests_with_a_copied_context_only(recording: Store) -> None:
    with tracestore.start_span("root"):
        for target in (record, functools.partial(contextvars.copy_context().run, record)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert sorted(len(trace.data.spans) for trace in all_traces(recording)) == [1, 2]


@better(
    54, mlflow="the second trace replaces the first", why="ids have a random source of their own"
)
def test_054_a_seed_does_not_make_ids_collide(recording: Store) -> None:
    for _ in range(2):
        random.seed(0)
        record()
    assert len({trace.info.trace_id for trace in all_traces(recording)}) == 2


@better(55, mlflow="the oldest open trace disappears", why="nothing that runs is dropped")
def test_055_any_number_of_traces_may_be_open(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACE_BUFFER_MAX_SIZE", "2")
    spans = [tracestore.start_span_no_context(f"t{i}") for i in range(10)]
    for span in spans:
        span.end()
    assert len(all_traces(recording)) == 10


@better(
    56,
    mlflow="ended by force, open spans and the name lost",
    why="a trace may take as long as it takes",
)
def test_056_no_trace_is_ended_by_force(recording: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACE_TIMEOUT_SECONDS", "0")
    with tracestore.start_span("root"), tracestore.start_span("child"):
        tracestore.flush()
    assert only_trace(recording).info.state.value == "OK"


@better(57, mlflow="accepted; it fails later", why="a mistake is said where it is made")
def test_057_a_processor_that_is_no_function_is_refused(recording: Store) -> None:
    with pytest.raises(InvalidArgumentError):
        tracing.configure(span_processors=[1])  # type: ignore[list-item]
    assert recording.path


@better(
    58,
    mlflow="the span is exported unprocessed",
    why="a processor that redacts must not leak when it fails",
)
def test_058_a_processor_that_fails_breaks_nothing(recording: Store) -> None:
    def fail(_span: LiveSpan) -> None:
        raise RuntimeError("processor")

    tracing.configure(span_processors=[fail])
    try:
        with tracestore.start_span("s") as span:
            span.set_inputs("secret")
    finally:
        tracing.reset()
    assert only_span(recording).inputs != "secret"


@follows(59)
def test_059_previews_show_what_processors_left(recording: Store) -> None:
    tracing.configure(span_processors=[lambda span: span.set_inputs("processed")])
    try:
        with tracestore.start_span("s") as span:
            span.set_inputs("given")
    finally:
        tracing.reset()
    assert only_trace(recording).info.request_preview == '"processed"'
