"""Traces as a whole: updates of the current one, sampling, the switch, scopes."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import tracestore
import tracestore.tracing
from tests.capture_traces import all_traces, only_trace, shape
from tracestore.capture.live_trace import LiveTrace
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.span import LiveSpan
from tracestore.entities import TraceInfo, TraceState
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.storage.writer import OPEN_AFTER_S
from tracestore.store import Store

# ------------------------------------------------------------------------------------------ updates


def test_update_takes_everything_from_a_nested_span(recording: Store) -> None:
    with tracestore.start_span("root"), tracestore.start_span("child"):
        tracestore.update_current_trace(
            tags={"text": "v", "number": 1, "flag": True, "none": None, "list": [1, {"a": 2}]},
            metadata={"m": {"x": 1}},
            client_request_id="req-1",
            request_preview="asked",
            response_preview="answered",
            state="ERROR",
            model_id="m-1",
            session_id="s-1",
            user="u-1",
        )
    info = only_trace(recording).info
    assert {k: info.tags[k] for k in ("text", "number", "flag", "list")} == {
        "text": "v",
        "number": "1",
        "flag": "True",
        "list": '[1,{"a":2}]',
    }
    assert "none" not in info.tags
    expected = {
        "m": '{"x":1}',
        "mlflow.modelId": "m-1",
        "mlflow.trace.session": "s-1",
        "mlflow.trace.user": "u-1",
    }
    assert expected.items() <= info.trace_metadata.items()
    assert (info.client_request_id, info.state) == ("req-1", TraceState.ERROR)
    assert (info.request_preview, info.response_preview) == ("asked", "answered")


def test_updates_merge_and_the_later_one_wins(recording: Store) -> None:
    with tracestore.start_span("root"):
        tracestore.update_current_trace(tags={"a": "1", "b": "1"}, metadata={"x": "1"})
        tracestore.update_current_trace(tags={"b": "2"}, metadata={"y": "2"})
        tracestore.update_current_trace()
    info = only_trace(recording).info
    assert {"a": "1", "b": "2"}.items() <= info.tags.items()
    assert {"x": "1", "y": "2"}.items() <= info.trace_metadata.items()


def test_update_renames_the_trace(recording: Store) -> None:
    with tracestore.start_span("root"):
        tracestore.update_current_trace(tags={"mlflow.traceName": "renamed"})
    assert only_trace(recording).info.name == "renamed"


def test_state_set_by_hand_outlives_an_exception(recording: Store) -> None:
    @tracestore.trace
    def fails() -> None:
        tracestore.update_current_trace(state=TraceState.OK)
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fails()
    trace = only_trace(recording)
    assert trace.info.state == "OK"
    assert trace.data.spans[0].status.status_code == "ERROR"


def test_previews_are_made_of_the_root_unless_given(recording: Store) -> None:
    with tracestore.start_span("root") as span:
        span.set_inputs({"messages": [{"role": "user", "content": "why?"}]})
        span.set_outputs("because")
        tracestore.update_current_trace(request_preview="", response_preview="y" * 2_000)
    info = only_trace(recording).info
    assert info.request_preview == "why?"
    assert info.response_preview == "y" * 997 + "..."


@pytest.mark.parametrize(
    "arguments",
    [
        {"state": "ok"},
        {"state": "IN_PROGRESS"},
        {"state": 5},
        {"request_preview": 5},
        {"response_preview": ["x"]},
    ],
)
def test_update_refuses_what_cannot_be(recording: Store, arguments: dict[str, Any]) -> None:
    with tracestore.start_span("root"), pytest.raises(InvalidArgumentError):
        tracestore.update_current_trace(**arguments)
    assert only_trace(recording).info.state == "OK"


@pytest.mark.parametrize("bad", ["text", [1], 5])
def test_update_with_tags_that_are_no_mapping_is_refused_in_the_log(
    recording: Store, caplog: pytest.LogCaptureFixture, bad: Any
) -> None:
    with tracestore.start_span("root"):
        tracestore.update_current_trace(tags=bad, metadata=bad, client_request_id="kept")
    assert only_trace(recording).info.client_request_id == "kept"
    assert "tags or metadata was not recorded" in caplog.text


def test_update_without_a_trace_only_warns(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    tracestore.update_current_trace(tags={"a": "1"})
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert all_traces(recording) == []


def test_update_of_a_trace_that_is_not_sampled_says_nothing(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    @tracestore.trace(sampling_ratio_override=0.0)
    def function() -> None:
        tracestore.update_current_trace(tags={"a": "1"})

    function()
    assert caplog.records == []
    assert all_traces(recording) == []


def test_text_that_sqlite_cannot_hold_is_cleaned(recording: Store) -> None:
    with tracestore.start_span("root"):
        tracestore.update_current_trace(
            tags={"a\ud800": "b\0\ud800"}, user="\ud800", client_request_id="\0"
        )
    info = only_trace(recording).info
    assert info.tags["a\ufffd"] == "b␀\ufffd"
    assert info.trace_metadata["mlflow.trace.user"] == "\ufffd"
    assert info.client_request_id == "␀"


# ------------------------------------------------------------------------------------------ sampling


@tracestore.trace
def _sampled() -> bool:
    with tracestore.start_span("child"):
        return tracestore.get_current_active_span() is not None


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (1.0, 500, 500), (0.3, 80, 220)])
def test_share_of_whole_traces_is_recorded(
    recording: Store, ratio: float, least: int, most: int
) -> None:
    runtime.configure(sampling_ratio=ratio)
    seen = sum(_sampled() for _ in range(500))
    traces = all_traces(recording)
    assert least <= len(traces) <= most
    assert seen == len(traces)
    assert all(shape(trace) == {(None, "_sampled"), ("_sampled", "child")} for trace in traces)


def test_override_counts_for_the_root_only(recording: Store) -> None:
    @tracestore.trace(sampling_ratio_override=1.0)
    def always() -> None: ...

    @tracestore.trace(sampling_ratio_override=0.0)
    def never() -> None:
        always()

    @tracestore.trace
    def root() -> None:
        never()

    runtime.configure(sampling_ratio=0.0)
    root()
    always()
    never()
    runtime.configure(sampling_ratio=1.0)
    root()
    first, second = all_traces(recording)
    assert shape(first) == {(None, "always")}
    assert shape(second) == {(None, "root"), ("root", "never"), ("never", "always")}


def test_program_runs_the_same_where_nothing_is_recorded(recording: Store) -> None:
    @tracestore.trace(attributes={"a": 1}, description="d", log_level="INFO", span_type="TOOL")
    def function(x: int) -> int:
        span: Any = tracestore.start_span_no_context("by hand", inputs=x)
        with tracestore.start_span("block") as block:
            block.set_inputs(x)
            block.record_exception("e")
        span.end(outputs=1, status="nonsense")
        return x

    async def coroutine(x: int) -> int:
        return x

    runtime.configure(sampling_ratio=0.0)
    assert function(1) == 1
    assert asyncio.run(tracestore.trace(coroutine)(2)) == 2
    with pytest.raises(ZeroDivisionError):
        tracestore.trace(lambda: 1 / 0)()
    assert tracestore.get_last_active_trace_id() is None
    assert all_traces(recording) == []


# ------------------------------------------------------------------------------------------ switch


def test_disabled_nothing_is_recorded_until_enabled(recording: Store) -> None:
    tracestore.tracing.disable()
    assert _sampled() is False
    with tracestore.start_span("none") as span:
        assert isinstance(span, NoOpSpan)
        assert span.trace_id == "MLFLOW_NO_OP_SPAN_TRACE_ID"
    tracestore.tracing.enable()
    assert _sampled() is True
    assert len(all_traces(recording)) == 1


def test_running_trace_goes_on_when_tracing_is_disabled(recording: Store) -> None:
    with tracestore.start_span("root"):
        tracestore.tracing.disable()
        with tracestore.start_span("child"):
            pass
    tracestore.tracing.enable()
    assert shape(only_trace(recording)) == {(None, "root"), ("root", "child")}


# ------------------------------------------------------------------------------------------ scopes


def test_context_gives_tags_and_metadata_to_traces_that_start_in_it(recording: Store) -> None:
    with tracestore.tracing.context(
        tags={"t": 1, "both": "outer"}, metadata={"m": [1]}, session_id="s", user="u"
    ):
        with tracestore.start_span("outer"):
            pass
        with (
            tracestore.tracing.context(tags={"both": "inner"}, session_id="s2"),
            tracestore.start_span("inner"),
        ):
            pass
    with tracestore.start_span("after"):
        pass
    outer, inner, after = (trace.info for trace in all_traces(recording))
    assert {"t": "1", "both": "outer"}.items() <= outer.tags.items()
    assert {"t": "1", "both": "inner"}.items() <= inner.tags.items()
    assert outer.trace_metadata["m"] == "[1]"
    for info, session in ((outer, "s"), (inner, "s2")):
        assert info.trace_metadata["mlflow.trace.session"] == session
        assert info.trace_metadata["mlflow.trace.user"] == "u"
    assert "t" not in after.tags
    assert "m" not in after.trace_metadata


def test_context_does_not_touch_a_trace_that_runs_and_does_not_name_one(recording: Store) -> None:
    with (
        tracestore.start_span("root"),
        tracestore.tracing.context(tags={"t": "1", "mlflow.traceName": "x"}),
    ):
        with tracestore.start_span("child"):
            pass
        tracestore.start_span_no_context("grandchild").end()
    info = only_trace(recording).info
    assert "t" not in info.tags
    assert info.name == "root"


def test_context_switches_tracing_for_its_block(recording: Store) -> None:
    with tracestore.tracing.context(enabled=False):
        assert _sampled() is False
        with tracestore.tracing.context(enabled=True):
            assert _sampled() is True
        assert _sampled() is False
    tracestore.tracing.disable()
    with tracestore.tracing.context(enabled=True):
        assert _sampled() is True
    with tracestore.tracing.context(tags={"t": "1"}):
        assert _sampled() is False
    tracestore.tracing.enable()
    assert len(all_traces(recording)) == 2


def test_context_switched_off_within_a_trace_leaves_out_its_block(recording: Store) -> None:
    with tracestore.start_span("root") as root:
        with tracestore.tracing.context(enabled=False), tracestore.start_span("left out"):
            assert tracestore.get_current_active_span() is None
        assert tracestore.get_current_active_span() is root
        with tracestore.start_span("child"):
            pass
    assert shape(only_trace(recording)) == {(None, "root"), ("root", "child")}


def test_context_left_in_another_context_disturbs_nobody(recording: Store) -> None:
    import contextvars  # noqa: PLC0415

    scope = tracestore.tracing.context(enabled=False, tags={"t": "1"})
    contextvars.copy_context().run(scope.__enter__)
    with tracestore.start_span("here") as here:
        scope.__exit__(None, None, None)
        assert tracestore.get_current_active_span() is here
    assert "t" not in only_trace(recording).info.tags


# ------------------------------------------------------------------------------------------ where to


def _changed_by(change: Callable[[], Any]) -> TraceInfo:
    change()
    with tracestore.start_span("span") as span:
        pass
    return runtime.store.get_trace(span.trace_id).info


def test_experiment_destination_model_and_run_are_recorded(recording: Store) -> None:
    assert _changed_by(lambda: None).experiment_id == "0"
    experiment = tracestore.set_experiment("mine")
    assert _changed_by(lambda: None).experiment_id == experiment.experiment_id

    class Destination:
        experiment_id = "0"

    @tracestore.trace(trace_destination=Destination())
    def elsewhere() -> None:
        with tracestore.start_span("child", trace_destination=Destination(), run_id="ignored"):
            pass

    elsewhere()
    tracestore.set_active_model(model_id="m-9")
    with tracestore.start_span("root", run_id="r-1"):
        pass
    *_, third, fourth = (trace.info for trace in all_traces(recording))
    assert third.experiment_id == "0"
    assert fourth.trace_metadata["mlflow.sourceRun"] == "r-1"
    assert fourth.trace_metadata["mlflow.modelId"] == "m-9"


def test_running_trace_ends_in_the_store_that_it_began_in(recording: Store) -> None:
    with tracestore.start_span("first") as first:
        tracestore.set_tracking_uri(f"sqlite:///{recording.path}.other")
    with tracestore.start_span("second") as second:
        pass
    assert recording.get_trace(first.trace_id).info.state == "OK"
    assert runtime.store.path == f"{recording.path}.other"
    assert runtime.store.get_trace(second.trace_id).info.state == "OK"
    assert tracestore.get_tracking_uri() == f"sqlite:///{recording.path}.other"
    with tracestore.open(recording.path, read_only=True) as store:
        assert store.count_traces() == 1


def test_synchronous_writing_is_durable_when_the_root_ends(recording: Store) -> None:
    runtime.configure(async_logging=False)
    with tracestore.start_span("span"):
        pass
    assert runtime.store.writer.pending() == 0
    assert runtime.store.writer.written == 1
    assert recording is runtime.store


def test_a_failure_of_each_kind_is_logged_once_and_counted(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    del recording

    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no text")

    for _ in range(3):
        runtime.failed("a test", Mute())
    assert len(caplog.records) == 1
    assert "a test was not recorded: Mute: <message unavailable" in caplog.text
    assert tracestore.stats()["failures"] == {"a test": 3}


def test_a_written_trace_leaves_memory_without_garbage_collection(recording: Store) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            with tracestore.start_span("root") as root:
                root.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 1})
                with tracestore.start_span("child") as child:
                    child.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 2})
                    tracestore.update_current_trace(tags={"a": "b"})
        del root, child
        recording.flush()
        recording.set_experiment_tag(
            "0", "after", "the batch"
        )  # the writer holds no batch any more
        left = [each for each in gc.get_objects() if type(each) in (LiveSpan, LiveTrace)]
    finally:
        gc.enable()
    assert left == []
    assert recording.search_traces()[0].info.token_usage["input_tokens"] == 1  # type: ignore[index]  # it is there


def test_a_large_open_span_is_written_though_its_trace_still_waits(recording: Store) -> None:
    """What is open goes first in line; where it fills a batch, its trace must be in that batch, too."""
    with tracestore.start_span("before"):
        pass
    tracestore.flush()
    let_go = threading.Event()
    busy = threading.Thread(target=recording.writer.run, args=(lambda _connection: let_go.wait(),))
    with tracestore.start_span("root") as root:
        root.set_inputs("x" * 7_000_000)
        root.set_attribute("more", "x" * 7_000_000)
        busy.start()
        with tracestore.start_span("child"):
            pass
        time.sleep(OPEN_AFTER_S * 1.1)
        let_go.set()
        busy.join()
        spans = recording.get_trace(root.trace_id).data.spans
        assert [span.name for span in spans] == ["root", "child"]
    assert tracestore.flush().dropped == 0


def test_a_tag_may_be_an_object_that_answers_nothing(recording: Store) -> None:
    class Mute:
        def __getattribute__(self, name: str) -> Any:
            raise ValueError(name)

    with tracestore.start_span("span"):
        tracestore.update_current_trace(tags={"tag": Mute()}, session_id="s")
    info = only_trace(recording).info
    assert info.session_id == "s"
    assert "Mute" in info.tags["tag"]
