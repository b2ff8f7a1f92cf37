"""Spans by hand: nesting over tasks, threads and contexts, status, events, links, the end."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tracestore
from tests.capture_traces import all_traces, exception_types, named, only_span, only_trace, shape
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.entities import (
    Link,
    Span,
    SpanEvent,
    SpanStatus,
    SpanStatusCode,
)
from tracestore.errors import InvalidArgumentError
from tracestore.storage.schema import END_MS, END_NS
from tracestore.store import Store

# ------------------------------------------------------------------------------------------ nesting


def test_blocks_nest_and_the_current_span_follows(recording: Store) -> None:
    assert tracestore.get_current_active_span() is None
    assert tracestore.get_active_trace_id() is None
    with tracestore.start_span("outer") as outer:
        with tracestore.start_span("inner", span_type="LLM") as inner:
            assert tracestore.get_current_active_span() is inner
        assert tracestore.get_current_active_span() is outer
        assert tracestore.get_active_trace_id() == outer.trace_id == inner.trace_id
    assert tracestore.get_current_active_span() is None
    trace = only_trace(recording)
    assert shape(trace) == {(None, "outer"), ("outer", "inner")}
    assert named(trace, "inner").span_type == "LLM"


def test_a_block_decorates_functions_too(recording: Store) -> None:
    """As what `contextlib.contextmanager` makes does, which MLflow's `start_span` is."""

    @tracestore.start_span("work", span_type="TOOL", attributes={"k": 1})
    def work(x: int) -> int:
        if x:
            work(x - 1)
        return x

    @tracestore.start_span("wait")
    async def wait() -> None:
        await asyncio.sleep(0)
        with tracestore.start_span("inside"):
            pass

    assert (work(2), work.__name__) == (2, "work")
    trace = only_trace(recording)
    assert [(s.name, s.span_type, s.attributes["k"]) for s in trace.data.spans] == [
        ("work", "TOOL", 1)
    ] * 3
    asyncio.run(wait())
    assert shape(all_traces(recording)[-1]) == {(None, "wait"), ("wait", "inside")}


def test_gathered_tasks_nest_under_the_span_they_start_in(recording: Store) -> None:
    async def work(i: int) -> None:
        with tracestore.start_span(f"task {i}"):
            await asyncio.sleep(0)
            with tracestore.start_span(f"inside {i}"):
                await asyncio.sleep(0)

    async def main() -> None:
        with tracestore.start_span("root"):
            await asyncio.gather(*(work(i) for i in range(5)))

    asyncio.run(main())
    expected: set[tuple[str | None, str]] = {(None, "root")}
    for i in range(5):
        expected |= {("root", f"task {i}"), (f"task {i}", f"inside {i}")}
    assert shape(only_trace(recording)) == expected


def test_to_thread_and_copied_contexts_nest_and_plain_threads_do_not(recording: Store) -> None:
    def work(name: str) -> None:
        with tracestore.start_span(name):
            pass

    async def main() -> None:
        with tracestore.start_span("root"):
            await asyncio.to_thread(work, "to_thread")
            contextvars.copy_context().run(work, "copied")
            thread = threading.Thread(target=work, args=("plain",))
            thread.start()
            thread.join()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work, "pool").result()

    asyncio.run(main())
    shapes = [shape(trace) for trace in all_traces(recording)]
    assert {(None, "root"), ("root", "to_thread"), ("root", "copied")} in shapes
    assert {(None, "plain")} in shapes
    assert {(None, "pool")} in shapes


def test_block_left_in_another_context_disturbs_nobody(recording: Store) -> None:
    scope = tracestore.start_span("elsewhere")
    elsewhere = contextvars.copy_context()
    elsewhere.run(scope.__enter__)
    with tracestore.start_span("here") as here:
        scope.__exit__(None, None, None)
        assert tracestore.get_current_active_span() is here
    assert {t.info.name for t in all_traces(recording)} == {"here", "elsewhere"}


def test_task_that_outlives_its_root_is_a_late_child(recording: Store) -> None:
    async def main() -> None:
        may_end = asyncio.Event()

        async def late() -> None:
            await may_end.wait()
            with tracestore.start_span("late"):
                tracestore.update_current_trace(tags={"late": "yes"})

        with tracestore.start_span("root"):
            task = asyncio.create_task(late())
        may_end.set()
        await task

    asyncio.run(main())
    trace = only_trace(recording)
    assert shape(trace) == {(None, "root"), ("root", "late")}
    assert trace.info.tags["late"] == "yes"
    assert trace.info.state == "OK"


def test_child_that_ends_after_its_root_is_complete(recording: Store) -> None:
    with tracestore.start_span("root"):
        child = tracestore.start_span_no_context("child")
    assert named(recording.get_trace(child.trace_id), "child").end_time_ns is None
    child.end(outputs=1)
    assert named(only_trace(recording), "child").outputs == 1


# ------------------------------------------------------------------------------------------ no context


def test_span_without_context_takes_the_parent_given_or_the_current_one(recording: Store) -> None:
    root = tracestore.start_span_no_context(
        "root", inputs={"q": 1}, tags={"t": 1}, metadata={"m": None, "n": 2}
    )
    assert tracestore.get_current_active_span() is None
    child = tracestore.start_span_no_context("child", parent_span=root, span_type="TOOL")
    with tracestore.start_span("current") as current:
        below = tracestore.start_span_no_context("below")
        assert tracestore.get_current_active_span() is current
        below.end()
    child.end()
    root.end(outputs="done", attributes={"a": 1})
    first, second = all_traces(recording)
    assert shape(first) == {(None, "root"), ("root", "child")}
    assert shape(second) == {(None, "current"), ("current", "below")}
    assert first.info.tags["t"] == "1"
    assert first.info.trace_metadata["n"] == "2"
    assert "m" not in first.info.trace_metadata
    assert named(first, "root").outputs == "done"


def test_below_a_span_that_is_not_recorded_nothing_is(recording: Store) -> None:
    unrecorded: Any = NoOpSpan()
    child = tracestore.start_span_no_context("child", parent_span=unrecorded)
    child.end()
    assert isinstance(child, NoOpSpan)
    assert all_traces(recording) == []


def test_times_may_be_given(recording: Store) -> None:
    span = tracestore.start_span_no_context("span", start_time_ns=1_000_000_000_000_000_000)
    span.end(end_time_ns=1_000_000_002_500_000_000)
    trace = only_trace(recording)
    assert trace.info.request_time == 1_000_000_000_000
    assert trace.info.execution_duration == 2_500


def test_the_last_time_that_can_be_is_kept(recording: Store) -> None:
    moment = END_NS - 1
    tracestore.start_span_no_context("span", start_time_ns=moment).end(end_time_ns=moment)
    assert only_trace(recording).info.request_time == END_MS - 1
    assert recording.count_traces(f"timestamp = {END_MS - 1}") == 1


@pytest.mark.parametrize("moment", ["soon", -1, END_NS, 2**63 - 1, 10**30, float("nan"), [1]])
def test_times_that_cannot_be_are_now(
    recording: Store, caplog: pytest.LogCaptureFixture, moment: Any
) -> None:
    tracestore.start_span_no_context("root", start_time_ns=moment).end()
    assert abs(time.time() * 1000 - only_trace(recording).info.request_time) < 10**5
    recording.delete_traces("0", max_timestamp_millis=END_MS - 1)
    with tracestore.start_span("parent"):
        tracestore.start_span_no_context("span", start_time_ns=moment).end(end_time_ns=moment)
    span = named(only_trace(recording), "span")
    assert span.end_time_ns is not None
    assert 0 <= span.end_time_ns - span.start_time_ns < 10**11
    assert "start_time_ns of span 'span'" in caplog.text
    assert "end_time_ns of span 'span'" in caplog.text


# ------------------------------------------------------------------------------------------ last trace


def test_last_trace_id_is_of_the_root_that_ended_last_in_any_thread(recording: Store) -> None:
    del recording

    def work() -> None:
        with tracestore.start_span("elsewhere") as span:
            ids.append(span.trace_id)

    ids: list[str] = []
    assert tracestore.get_last_active_trace_id() is None
    with tracestore.start_span("here") as here:
        assert tracestore.get_last_active_trace_id() is None
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert tracestore.get_last_active_trace_id() == ids[0]
    assert tracestore.get_last_active_trace_id(thread_local=True) == here.trace_id


# ------------------------------------------------------------------------------------------ what a span holds


def test_ended_span_cannot_change(recording: Store) -> None:
    with tracestore.start_span("span") as span:
        span.set_inputs(1)
    span.set_inputs(2)
    span.set_outputs(2)
    span.set_attribute("late", 1)
    span.set_span_type("TOOL")
    span.set_status("ERROR")
    span.add_event(SpanEvent("late"))
    span.add_link(Link("tr-1", "2"))
    span.record_exception("late")
    span.end(outputs=3)
    stored = only_span(recording)
    assert (stored.inputs, stored.outputs, stored.span_type) == (1, None, "UNKNOWN")
    assert (stored.status.status_code, stored.events, stored.links) == ("OK", [], [])
    assert stored.get_attribute("late") is None


def test_first_end_wins_within_a_block(recording: Store) -> None:
    with tracestore.start_span("span") as span:
        span.end(outputs="first")
        span.set_outputs("second")
    assert only_span(recording).outputs == "first"


def test_live_span_reads_like_the_stored_one(recording: Store) -> None:
    with tracestore.start_span("span", attributes={"a": [1]}) as span:
        span.set_inputs({"x": (1, 2)})
        span.add_event(SpanEvent("event", 5, {"k": "v"}))
        span.add_link(Link("tr-" + "0" * 32, "1" * 16, {"why": 1}))
        assert span.inputs == {"x": [1, 2]}
        assert span.get_attribute("a") == [1]
        frozen = span.to_immutable_span()
        span.set_inputs("changed")
    assert frozen.inputs == {"x": [1, 2]}
    stored = only_span(recording)
    assert stored == span
    assert stored.events == [SpanEvent("event", 5, {"k": "v"})]
    assert stored.links == [Link("tr-" + "0" * 32, "1" * 16, {"why": 1})]


def test_live_span_cannot_be_copied_or_pickled_and_a_stored_one_can(recording: Store) -> None:
    with tracestore.start_span("span") as span:
        span.set_inputs([1])
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="to_immutable_span"):
                attempt(span)
    stored = only_span(recording)
    for twin in (pickle.loads(pickle.dumps(stored)), copy.copy(stored), copy.deepcopy(stored)):
        assert twin == stored
        assert twin.inputs == [1]
    trace = only_trace(recording)
    assert pickle.loads(pickle.dumps(trace)).to_dict() == trace.to_dict()


def test_unrecorded_span_offers_all_that_a_live_one_does() -> None:
    names = {name for name in dir(LiveSpan) if not name.startswith("_")}
    internal = {
        "trace",
        "record",
        "outline",
        "withhold",
        "take_over",
        "note_function",
        "parent",
        "ancestors",
        "used",
        "inputs_json",
        "outputs_json",
        "from_dict",
    }
    assert names - internal <= set(dir(NoOpSpan))


@pytest.mark.parametrize("name", [None, 5, "", "a\ud800b", "nul\0", "x" * 10_000])
def test_any_name_is_taken(recording: Store, name: Any) -> None:
    with tracestore.start_span(name):
        pass
    assert isinstance(only_span(recording).name, str)


def test_large_integer_attribute_does_not_break_the_program(recording: Store) -> None:
    with tracestore.start_span("span", attributes={"a": 10**30, "b": 10**6000}) as span:
        span.set_attribute("c", -(10**25))
        span.set_attribute("d", 10**400)
    assert recording.count_traces("span.attributes.d > 5 AND span.attributes.c < 5") == 1
    attributes = only_span(recording).attributes
    assert attributes["a"] == 10**30
    assert "bits" in attributes["b"]
    assert (attributes["c"], attributes["d"]) == (-(10**25), 10**400)


def test_mlflow_attribute_names_set_what_they_name(recording: Store) -> None:
    with tracestore.start_span("span") as span:
        span.set_attributes(
            {
                "mlflow.spanInputs": {"i": 1},
                "mlflow.spanOutputs": [2],
                "mlflow.spanType": "LLM",
                "mlflow.traceRequestId": "forged",
            }
        )
    stored = only_span(recording)
    assert (stored.inputs, stored.outputs, stored.span_type) == ({"i": 1}, [2], "LLM")
    assert stored.attributes["mlflow.traceRequestId"] == stored.trace_id != "forged"


def test_bad_options_are_left_out_and_the_span_is_recorded(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bad: Any = "text"
    with caplog.at_level(logging.WARNING, "tracestore"):
        with tracestore.start_span("a", attributes=bad, log_level="zzz", links=[bad]):
            pass
        with tracestore.start_span("b", attributes=bad and [("pair", 1)]):  # type: ignore[arg-type]
            pass
        tracestore.start_span_no_context("c", tags=[1], metadata=bad).end()  # type: ignore[arg-type]
    assert [t.info.name for t in all_traces(recording)] == ["a", "b", "c"]
    assert all_traces(recording)[1].data.spans[0].get_attribute("pair") == 1
    assert "attributes of span" in caplog.text
    assert "part of a span was not recorded" in caplog.text
    assert "tags or metadata was not recorded" in caplog.text


def test_attribute_key_that_is_no_text_is_refused_in_the_log(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with tracestore.start_span("span") as span:
        span.set_attribute(5, 1)  # type: ignore[arg-type]
        span.set_attributes("no mapping")  # type: ignore[arg-type]
    assert set(only_span(recording).attributes) == {
        "mlflow.traceRequestId",
        "mlflow.spanType",
        "mlflow.spanLogLevel",
    }
    assert "attribute key 5" in caplog.text


# ------------------------------------------------------------------------------------------ status


@pytest.mark.parametrize("status", ["OK", SpanStatusCode.OK, SpanStatus("OK")])  # type: ignore[arg-type]
def test_status_is_taken_in_each_form(recording: Store, status: Any) -> None:
    with tracestore.start_span("span") as span:
        span.set_status("ERROR")
        span.set_status(status)
    assert only_span(recording).status == SpanStatus(SpanStatusCode.OK)


def test_error_status_with_a_description(recording: Store) -> None:
    bad: Any = 5
    with tracestore.start_span("span") as span:
        span.set_status(SpanStatus(SpanStatusCode.ERROR, bad))
    assert only_span(recording).status == SpanStatus(SpanStatusCode.ERROR, "5")
    assert only_trace(recording).info.state == "ERROR"


@pytest.mark.parametrize("status", ["ok", "FINE", 5, None])
def test_status_that_is_none_is_refused(recording: Store, status: Any) -> None:
    with tracestore.start_span("span") as span, pytest.raises(InvalidArgumentError, match="status"):
        span.set_status(status)
    assert only_span(recording).status.status_code == "OK"


def test_end_with_a_bad_status_ends_all_the_same(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    tracestore.start_span_no_context("span").end(status="FOO")
    assert only_span(recording).end_time_ns is not None
    assert "ends without the status" in caplog.text


def test_exception_after_an_explicit_ok_is_an_error(recording: Store) -> None:
    def run() -> None:
        with tracestore.start_span("span") as span:
            span.set_status("OK")
            raise ValueError("after")

    with pytest.raises(ValueError, match="after"):
        run()
    assert only_span(recording).status == SpanStatus(SpanStatusCode.ERROR, "ValueError: after")


def test_exception_swallowed_in_the_block_leaves_it_ok(recording: Store) -> None:
    with tracestore.start_span("span") as span:
        try:
            raise ValueError("swallowed")  # noqa: TRY301 - that is the test
        except ValueError as error:
            span.add_event(SpanEvent.from_exception(error))
    stored = only_span(recording)
    assert stored.status.status_code == "OK"
    assert exception_types(stored) == ["ValueError"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_block_left_by_any_exception_is_an_error(
    recording: Store, kind: type[BaseException]
) -> None:
    with pytest.raises(kind), tracestore.start_span("span"):
        raise kind
    assert exception_types(only_span(recording)) == [kind.__name__]
    assert only_span(recording).status.status_code == "ERROR"


def test_exception_is_on_each_span_it_passes(recording: Store) -> None:
    with (
        pytest.raises(ValueError, match="x"),
        tracestore.start_span("a"),
        tracestore.start_span("b"),
    ):
        raise ValueError("x")
    for span in only_trace(recording).data.spans:
        assert exception_types(span) == ["ValueError"]


def test_stack_trace_is_bounded(recording: Store) -> None:
    def down(n: int) -> None:
        if n == 0:
            raise ValueError("deep")
        down_too(n - 1)

    def down_too(n: int) -> None:
        down(n)

    with pytest.raises(ValueError, match="deep"), tracestore.start_span("span"):
        down(300)
    text = only_span(recording).events[0].attributes["exception.stacktrace"]
    assert text.count(", in down") == 100
    assert text.endswith("ValueError: deep")


def test_setters_refuse_what_cannot_be(recording: Store) -> None:
    del recording
    bad: Any = 5
    with tracestore.start_span("span") as span:
        for setter in (span.add_event, span.add_link, span.record_exception, span.set_log_level):
            with pytest.raises(InvalidArgumentError):
                setter(bad)


def test_log_level_of_another_number_reads_as_none(recording: Store) -> None:
    with tracestore.start_span("span") as span:
        span.set_attribute("mlflow.spanLogLevel", 15)
    assert only_span(recording).log_level is None


def test_event_with_odd_contents_stays_readable(recording: Store) -> None:
    odd: Any = "\ud800"
    with tracestore.start_span("span") as span:
        span.add_event(SpanEvent(odd, attributes={odd: {1, 2}, "n": float("nan")}))
    [event] = only_span(recording).events
    assert event.name == "\ufffd"
    assert event.attributes == {"\ufffd": [1, 2], "n": "NaN"}


def test_spans_from_many_threads_are_all_there(recording: Store) -> None:
    def work(i: int) -> None:
        for j in range(25):
            with tracestore.start_span(f"{i}-{j}"), tracestore.start_span("child"):
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    traces = all_traces(recording)
    assert {t.info.name for t in traces} == {f"{i}-{j}" for i in range(8) for j in range(25)}
    assert all(len(trace.data.spans) == 2 for trace in traces)
    assert all(isinstance(span, Span) for trace in traces for span in trace.data.spans)
