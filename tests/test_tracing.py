"""`tracestore.tracing`: span processors, destinations, context across processes, chat attributes, switches."""

from __future__ import annotations

import contextvars
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracestore
from tests.capture_traces import all_traces, named, only_span, only_trace, shape
from tracestore import tracing
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.propagation import _TRACEPARENT
from tracestore.capture.span import LiveSpan
from tracestore.entities import Span, SpanStatusCode
from tracestore.entities.trace_location import MlflowExperimentLocation
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.store import Store
from tracestore.tracing.destination import MlflowExperiment

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _no_processors_left() -> Iterator[None]:
    yield
    tracing.configure(span_processors=[])


def mask(span: LiveSpan) -> None:
    span.set_inputs("[masked]")
    span.set_attribute("key", "[masked]")


# ------------------------------------------------------------------------------------------ processors


def test_processors_change_what_is_recorded_in_their_order(recording: Store) -> None:
    def count(span: LiveSpan) -> None:
        span.set_outputs([span.inputs, span.status.status_code.value])

    with tracing.configure(span_processors=[mask, count]), tracestore.start_span("span") as span:
        span.set_inputs({"password": "swordfish"})
        span.set_attribute("key", "swordfish")
    stored = only_span(recording)
    assert (stored.inputs, stored.outputs) == ("[masked]", ["[masked]", "OK"])
    assert stored.get_attribute("key") == "[masked]"
    assert only_trace(recording).info.request_preview == '"[masked]"'


def test_configuration_holds_for_its_block_or_until_the_next(recording: Store) -> None:
    tracing.configure(span_processors=[mask])
    with tracing.configure(span_processors=[]), tracestore.start_span("in the block") as span:
        span.set_inputs("plain")
    tracing.configure()  # changes nothing
    with tracestore.start_span("after") as span:
        span.set_inputs("plain")
    assert [t.data.spans[0].inputs for t in all_traces(recording)] == ["plain", "[masked]"]


def test_processor_that_raises_costs_the_span_its_content(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_span: LiveSpan) -> None:
        raise KeyError("swordfish")

    def program() -> None:
        with tracestore.start_span("span") as span:
            span.set_inputs("swordfish")
            span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 1})
            raise ValueError("swordfish")

    with (
        tracing.configure(span_processors=[broken, mask]),
        pytest.raises(ValueError, match="swordfish"),
    ):
        program()
    stored = only_span(recording)
    assert stored.status.status_code is SpanStatusCode.ERROR
    assert stored.get_attribute("tracestore.withheld") == "span processor broken raised KeyError"
    with recording.reading() as connection:
        for table in ("traces", "spans", "span_attributes", "metadata"):
            assert "swordfish" not in str(connection.execute(f"SELECT * FROM {table}").fetchall())
    assert "KeyError" in caplog.text
    assert len(tracestore.stats()["failures"]) == 1


def test_open_span_shows_nothing_that_a_processor_has_not_seen(recording: Store) -> None:
    with tracing.configure(span_processors=[mask]), tracestore.start_span("root") as root:
        root.set_inputs("swordfish")
        root.set_attribute("key", "swordfish")
        with tracestore.start_span("child"):
            pass
        running = recording.get_trace(root.trace_id)
        assert "swordfish" not in running.to_json()
        assert named(running, "root").end_time_ns is None
    assert named(only_trace(recording), "root").inputs == "[masked]"


def test_what_a_processor_returns_is_ignored_and_said_once(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def returning(span: LiveSpan) -> Any:
        return span

    with tracing.configure(span_processors=[returning]):
        for name in ("a", "b"):
            with tracestore.start_span(name) as span:
                span.set_inputs("kept")
    assert [t.data.spans[0].inputs for t in all_traces(recording)] == ["kept", "kept"]
    assert caplog.text.count("returning") == 1


@pytest.mark.parametrize("bad", [1, lambda: None, divmod])
def test_what_cannot_be_called_with_a_span_is_no_processor(recording: Store, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"span.processor"):
        tracing.configure(span_processors=[bad])
    with tracestore.start_span("span") as span:
        span.set_inputs("kept")
    assert only_span(recording).inputs == "kept"


def test_time_that_a_processor_takes_is_not_the_spans(recording: Store) -> None:
    def spin(_span: LiveSpan) -> None:
        while tracestore.capture.span.clock() < begun + 20_000_000:
            pass

    begun = tracestore.capture.span.clock()
    with tracing.configure(span_processors=[spin]), tracestore.start_span("span"):
        pass
    span = only_span(recording)
    assert span.end_time_ns is not None
    assert span.end_time_ns - span.start_time_ns < 15_000_000


# ------------------------------------------------------------------------------------------ destinations


def _experiments(store: Store) -> list[str]:
    return [trace.info.experiment_id for trace in all_traces(store)]


def test_destination_goes_before_the_active_experiment_until_that_is_set(recording: Store) -> None:
    first = tracestore.set_experiment("first").experiment_id
    second = tracestore.create_experiment("second")
    tracing.set_destination(MlflowExperimentLocation(second))
    with tracestore.start_span("to the destination"):
        pass
    with tracestore.start_span("named", trace_destination=MlflowExperimentLocation(first)):
        pass
    tracestore.set_experiment("first")
    with tracestore.start_span("to the active one"):
        pass
    assert _experiments(recording) == [second, first, first]


def test_destination_of_a_context_stays_in_it(recording: Store) -> None:
    general, local = (tracestore.create_experiment(name) for name in ("general", "local"))

    def in_a_context_of_its_own() -> None:
        tracing.set_destination(MlflowExperimentLocation(local), context_local=True)
        with tracestore.start_span("local"):
            pass

    tracing.set_destination(MlflowExperimentLocation(general))
    contextvars.copy_context().run(in_a_context_of_its_own)
    with tracestore.start_span("general"):
        pass
    assert _experiments(recording) == [local, general]


def test_destination_of_the_environment(recording: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = tracestore.create_experiment("from outside")
    monkeypatch.setenv("MLFLOW_TRACING_DESTINATION", experiment)
    runtime.configure()
    tracestore.set_experiment("active")
    with tracestore.start_span("span"):
        pass
    assert _experiments(recording) == [experiment]


@pytest.mark.parametrize("bad", [None, "0", 3, MlflowExperimentLocation("catalog.schema")])
def test_anything_but_an_experiment_is_no_destination(recording: Store, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        tracing.set_destination(bad)
    assert runtime.destination is None
    assert recording.path


def test_older_name_of_a_destination_still_works(recording: Store) -> None:
    experiment = tracestore.create_experiment("older")
    with pytest.warns(FutureWarning, match="MlflowExperimentLocation"):
        tracing.set_destination(MlflowExperiment(experiment))
    with tracestore.start_span("span"):
        pass
    assert _experiments(recording) == [experiment]


# ------------------------------------------------------------------------------------------ across processes


def test_headers_name_the_current_span(recording: Store) -> None:
    with tracestore.start_span("client") as span:
        headers = tracing.get_tracing_context_headers_for_http_request()
    assert headers == {"traceparent": f"00-{span.trace_id[3:]}-{span.span_id}-01"}
    assert recording.get_trace(span.trace_id).trace_id == span.trace_id


def test_without_a_span_the_headers_are_empty(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert tracing.get_tracing_context_headers_for_http_request() == {}
    assert "no span" in caplog.text
    tracing.disable()
    with tracestore.start_span("not recorded"):
        assert tracing.get_tracing_context_headers_for_http_request() == {}
    assert recording.search_traces() == []


@pytest.mark.parametrize("key", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_spans_of_the_block_belong_to_the_remote_trace(recording: Store, key: str) -> None:
    headers = {"Host": "here", key: f"00-{TRACE}-{SPAN}-01"}
    with tracing.set_tracing_context_from_http_request_headers(headers):
        assert tracestore.get_current_active_span() is None
        with tracestore.start_span("server") as server, tracestore.start_span("inner"):
            tracestore.update_current_trace(tags={"side": "server"})
        with tracestore.start_span("second"):
            pass
    with tracestore.start_span("after") as after:
        pass
    assert after.trace_id != server.trace_id == f"tr-{TRACE}"
    trace = recording.get_trace(f"tr-{TRACE}")
    assert {s.name: s.parent_id for s in trace.data.spans} == {
        "server": SPAN,
        "inner": server.span_id,
        "second": SPAN,
    }
    assert (trace.info.name, trace.info.state.value) == ("server", "OK")
    assert trace.info.tags["side"] == "server"


def test_parts_of_one_trace_that_run_at_once_are_all_recorded(recording: Store) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    inside = threading.Barrier(4)

    def serve(number: int) -> None:
        with (
            tracing.set_tracing_context_from_http_request_headers(headers),
            tracestore.start_span(f"server {number}"),
        ):
            inside.wait(20)

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [trace] = all_traces(recording)
    assert {span.name for span in trace.data.spans} == {f"server {n}" for n in range(4)}


def test_in_the_same_process_the_block_continues_the_trace(recording: Store) -> None:
    with tracestore.start_span("client"):
        headers = tracing.get_tracing_context_headers_for_http_request()

        def serve() -> None:
            with (
                tracing.set_tracing_context_from_http_request_headers(headers),
                tracestore.start_span("server"),
            ):
                tracestore.update_current_trace(tags={"side": "server"})

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
    trace = only_trace(recording)
    assert shape(trace) == {(None, "client"), ("client", "server")}
    assert (trace.info.name, trace.info.tags["side"]) == ("client", "server")


SERVER = """
import sys, tracestore
from tracestore import tracing
tracestore.set_tracking_uri(sys.argv[1])
with tracing.set_tracing_context_from_http_request_headers({"Traceparent": sys.argv[2]}):
    with tracestore.start_span("server") as span:
        span.set_inputs("asked")
        tracestore.update_current_trace(tags={"server": "yes", "both": "server"})
"""


def test_two_processes_and_one_file_make_one_trace(recording: Store) -> None:
    with tracestore.start_span("client") as client:
        client.set_inputs("question")
        headers = tracing.get_tracing_context_headers_for_http_request()
        recording.flush()
        subprocess.run(
            [sys.executable, "-c", SERVER, recording.path, headers["traceparent"]],
            check=True,
            timeout=60,
        )
        assert recording.get_trace(client.trace_id).info.name == "client"
        tracestore.update_current_trace(tags={"both": "client"})
    trace = only_trace(recording)
    assert shape(trace) == {(None, "client"), ("client", "server")}
    assert (trace.info.name, trace.info.state.value) == ("client", "OK")
    assert trace.info.request_preview == '"question"'
    assert {k: trace.info.tags[k] for k in ("server", "both")} == {
        "server": "yes",
        "both": "client",
    }


def test_whole_replaces_the_row_that_a_part_has_made(recording: Store) -> None:
    with tracestore.start_span("client") as client:
        header = f"00-{client.trace_id[3:]}-{client.span_id}-01"
        subprocess.run(
            [sys.executable, "-c", SERVER, recording.path, header], check=True, timeout=60
        )
        assert recording.get_trace(client.trace_id).search_spans(name="server")
    trace = only_trace(recording)
    assert (trace.info.name, len(trace.data.spans)) == ("client", 2)


def test_not_sampled_elsewhere_is_not_recorded_here(recording: Store) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    with (
        tracing.set_tracing_context_from_http_request_headers(headers),
        tracestore.start_span("server") as span,
    ):
        assert isinstance(span, NoOpSpan)
    assert recording.search_traces() == []


def test_sampled_elsewhere_is_recorded_whatever_the_ratio_here(recording: Store) -> None:
    runtime.configure(sampling_ratio=0.0)
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    with (
        tracing.set_tracing_context_from_http_request_headers(headers),
        tracestore.start_span("server"),
    ):
        pass
    assert named(recording.get_trace(f"tr-{TRACE}"), "server").parent_id == SPAN


def test_headers_without_traceparent_are_refused(recording: Store) -> None:
    with (
        pytest.raises(InvalidArgumentError, match="no traceparent"),
        tracing.set_tracing_context_from_http_request_headers({"Host": "here"}),
    ):
        pass
    assert recording.path


@pytest.mark.parametrize(
    "value",
    [
        "zzz",
        "",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\nX: y",
        f"00-{'٣' * 32}-{SPAN}-01",
    ],
)
def test_header_of_another_form_counts_as_none(
    recording: Store, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    with (
        tracing.set_tracing_context_from_http_request_headers({"traceparent": value}),
        tracestore.start_span("server") as span,
    ):
        assert span.parent_id is None
    assert "traceparent" in caplog.text
    assert only_trace(recording).trace_id != f"tr-{TRACE}"


def test_header_of_a_later_version_is_read(recording: Store) -> None:
    headers = {"traceparent": f"01-{TRACE}-{SPAN}-01-what-comes-later"}
    with (
        tracing.set_tracing_context_from_http_request_headers(headers),
        tracestore.start_span("server") as span,
    ):
        assert span.parent_id == SPAN
    assert named(recording.get_trace(f"tr-{TRACE}"), "server").parent_id == SPAN


@given(st.text())
def test_any_text_is_a_header_or_is_not(text: str) -> None:
    found = _TRACEPARENT.fullmatch(text)
    assert found is None or (len(text) >= 55 and text.isprintable())


# ------------------------------------------------------------------------------------------ chat, switches

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def test_chat_tools_and_messages_are_attributes(recording: Store) -> None:
    with tracestore.start_span("chat") as span:
        tracing.set_span_chat_tools(span, [TOOL])
        with pytest.warns(FutureWarning, match="MLflow 2"):
            tracing.set_span_chat_messages(span, [{"role": "user", "content": "why?"}])
        with pytest.warns(FutureWarning, match="MLflow 2"):
            tracing.set_span_chat_messages(span, [{"role": "assistant"}], append=True)
    stored: Span = only_span(recording)
    assert stored.get_attribute("mlflow.chat.tools") == [TOOL]
    assert [m["role"] for m in stored.get_attribute("mlflow.chat.messages")] == [
        "user",
        "assistant",
    ]


@pytest.mark.parametrize("bad", [TOOL, "add", [1], [{}], [{"type": "function", "function": {}}]])
def test_what_is_no_list_of_tools_is_refused(recording: Store, bad: Any) -> None:
    with (
        tracestore.start_span("chat") as span,
        pytest.raises(InvalidArgumentError, match="tool"),
    ):
        tracing.set_span_chat_tools(span, bad)
    assert only_span(recording).get_attribute("mlflow.chat.tools") is None


@pytest.mark.filterwarnings("ignore:set_span_chat_messages:FutureWarning")
@pytest.mark.parametrize("bad", ["why?", [1], [{"content": "why?"}]])
def test_what_is_no_list_of_messages_is_refused(recording: Store, bad: Any) -> None:
    with (
        tracestore.start_span("chat") as span,
        pytest.raises(InvalidArgumentError, match="message"),
    ):
        tracing.set_span_chat_messages(span, bad)
    assert recording.path


def test_reset_forgets_processors_destination_and_display(recording: Store) -> None:
    tracing.configure(span_processors=[mask])
    tracing.set_destination(MlflowExperimentLocation("7"))
    tracing.set_destination(MlflowExperimentLocation("8"), context_local=True)
    tracing.disable()
    tracing.reset()
    assert (runtime.destination, runtime.enabled, runtime.ended_traces) == (None, True, None)
    assert runtime.recording_experiment == 0
    runtime.configure(path=recording.path)
    with tracestore.start_span("span") as span:
        span.set_inputs("plain")
    assert tracestore.get_trace(span.trace_id).data.spans[0].inputs == "plain"  # type: ignore[union-attr]


def test_every_name_is_documented() -> None:
    assert all(getattr(tracing, name).__doc__ for name in tracing.__all__)


def _bytes_on_disk(store: Store) -> bytes:
    folder = pathlib.Path(store.path).parent
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_on_disk_has_what_a_processor_takes_out(recording: Store) -> None:
    def redact(span: LiveSpan) -> None:
        span.set_inputs("[masked]")
        span.set_outputs("[masked]")
        span.set_attribute("key", "[masked]")

    with tracing.configure(span_processors=[redact]), tracestore.start_span("root") as root:
        root.set_inputs("swordfish")
        root.set_outputs("swordfish")
        with tracestore.start_span("open too") as inner:
            inner.set_attribute("key", "swordfish")
            with tracestore.start_span("ended") as ended:
                ended.set_outputs("swordfish")
            recording.get_trace(root.trace_id)  # has what is open written
            recording.flush()
            assert b"open too" in _bytes_on_disk(recording)
            assert b"swordfish" not in _bytes_on_disk(recording)
        recording.flush()
    recording.flush()
    assert b"masked" in _bytes_on_disk(recording)
    assert b"swordfish" not in _bytes_on_disk(recording)
