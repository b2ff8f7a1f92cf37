"""OpenTelemetry in: spans of any instrumentor through our provider, or beside an application's own."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

import tracestore
from tracestore.capture.context import outside
from tracestore.entities import Span, SpanStatusCode, Trace
from tracestore.otel import SpanExporter, SpanProcessor, innermost, tracer_provider
from tracestore.runtime import runtime
from tracestore.store import Store

openinference: Any = importlib.import_module("openinference.instrumentation")


@pytest.fixture(autouse=True)
def alone(recording: Store) -> Iterator[None]:
    """No span of OpenTelemetry is left current, no mirror is left over."""
    assert recording.path
    yield
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert innermost.mirrors == {}
    outside.find = None
    tracer_provider.cache_clear()


@pytest.fixture
def tracer() -> trace.Tracer:
    return tracer_provider().get_tracer("tests", "1.2")


def only_trace(store: Store) -> Trace:
    (found,) = store.search_traces()
    return found


def tree(found: Trace) -> dict[str, str | None]:
    """Return each span's parent by name."""
    names = {span.span_id: span.name for span in found.data.spans}
    return {span.name: names.get(span.parent_id or "", span.parent_id) for span in found.data.spans}


def by_name(found: Trace) -> dict[str, Span]:
    return {span.name: span for span in found.data.spans}


def test_spans_of_both_libraries_nest_both_ways(recording: Store, tracer: trace.Tracer) -> None:
    @tracestore.trace
    def traced(x: int) -> int:
        with tracer.start_as_current_span("otel in function"):
            return x

    with (
        tracer.start_as_current_span("otel"),
        tracestore.start_span("ours"),
        tracer.start_as_current_span("otel within"),
    ):
        traced(1)
        list(generated())
    found = only_trace(recording)
    assert tree(found) == {
        "otel": None,
        "ours": "otel",
        "otel within": "ours",
        "traced": "otel within",
        "otel in function": "traced",
        "generated": "otel within",
    }
    assert found.info.state == "OK"


@tracestore.trace
def generated() -> Iterator[int]:
    yield 1


def test_a_span_made_current_by_hand_is_the_parent_of_ours(
    recording: Store, tracer: trace.Tracer
) -> None:
    span = tracer.start_span("otel")
    with trace.use_span(span, end_on_exit=True), tracestore.start_span("ours"):
        assert tracestore.get_current_active_span() is not None
        tracestore.update_current_trace(tags={"a": "b"})
    assert tree(only_trace(recording)) == {"otel": None, "ours": "otel"}
    assert only_trace(recording).info.tags["a"] == "b"


def test_a_span_that_another_library_has_wrapped_is_still_the_parent(
    recording: Store, tracer: trace.Tracer
) -> None:
    wrapped = openinference.OITracer(tracer, config=openinference.TraceConfig())
    with wrapped.start_as_current_span("wrapped"), tracestore.start_span("ours"):
        pass
    assert tree(only_trace(recording)) == {"wrapped": None, "ours": "wrapped"}


def test_what_a_span_is_given_is_recorded(recording: Store, tracer: trace.Tracer) -> None:
    other = trace.SpanContext(1 << 100, 7, is_remote=False)
    with tracer.start_as_current_span(
        "first name", kind=SpanKind.CLIENT, attributes={"a": 1, "list": (1.5, 2.0)}
    ) as span:
        span.update_name("second name")
        span.set_attributes({"b": "text", "none": None})
        span.add_event("happened", {"k": True}, timestamp=1_700_000_000_000_000_000)
        span.add_link(other, {"why": "related"})
        assert span.is_recording()
    assert not span.is_recording()
    span.set_attribute("late", 1)
    span.end()

    found = only_trace(recording)
    (stored,) = found.data.spans
    assert (stored.name, found.info.name) == ("second name", "second name")
    assert stored.attributes["list"] == [1.5, 2.0]
    assert {"a", "b"} <= stored.attributes.keys()
    assert not {"none", "late"} & stored.attributes.keys()
    assert stored.attributes["otel.span"] == {
        "kind": "CLIENT",
        "scope": {"name": "tests", "version": "1.2"},
        "status": "UNSET",
    }
    (event,) = stored.events
    assert (event.name, event.timestamp, event.attributes) == (
        "happened",
        1_700_000_000_000_000_000,
        {"k": True},
    )
    assert stored.links[0].trace_id == f"tr-{1 << 100:032x}"
    context_ = span.get_span_context()
    assert found.trace_id == f"tr-{context_.trace_id:032x}"
    assert stored.span_id == f"{context_.span_id:016x}"


def test_an_exception_is_recorded_once_and_goes_on(recording: Store, tracer: trace.Tracer) -> None:
    with pytest.raises(ValueError, match="no"), tracer.start_as_current_span("fails"):
        raise ValueError("no")
    found = only_trace(recording)
    (span,) = found.data.spans
    assert found.info.state == "ERROR"
    assert span.status.description == "ValueError: no"
    assert [event.name for event in span.events] == ["exception"]
    assert recording.search_traces("error = 'ValueError: no'")


def test_a_status_of_ok_is_final(recording: Store, tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("fine") as span:
        span.set_status(Status(StatusCode.ERROR, "at first"))
        span.set_status(StatusCode.OK)
        span.set_status(StatusCode.ERROR, "too late")
    (stored,) = only_trace(recording).data.spans
    assert stored.status.status_code is SpanStatusCode.OK
    assert "status" not in stored.attributes["otel.span"]


def test_decorated_functions_get_a_span_for_each_call(
    recording: Store, tracer: trace.Tracer
) -> None:
    @tracer.start_as_current_span("plain")
    def plain() -> None: ...

    @tracer.start_as_current_span("async")
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 3

    plain()
    plain()
    assert asyncio.run(coroutine()) == 3
    names = sorted(found.info.name or "" for found in recording.search_traces())
    assert names == ["async", "plain", "plain"]


def test_tasks_and_threads_with_the_context_nest(recording: Store, tracer: trace.Tracer) -> None:
    async def step(number: int) -> None:
        with tracer.start_as_current_span(f"step {number}"):
            await asyncio.sleep(0)
            with tracestore.start_span(f"ours {number}"):
                await asyncio.sleep(0)

    async def main() -> None:
        with tracer.start_as_current_span("main"):
            await asyncio.gather(*(step(number) for number in range(5)))
            copied = contextvars.copy_context()
            thread = threading.Thread(target=copied.run, args=(in_thread,))
            thread.start()
            thread.join()

    def in_thread() -> None:
        with tracestore.start_span("in thread"):
            pass

    asyncio.run(main())
    found = tree(only_trace(recording))
    assert found.pop("in thread") == "main"
    assert found == {"main": None} | {
        name: parent
        for number in range(5)
        for name, parent in ((f"step {number}", "main"), (f"ours {number}", f"step {number}"))
    }


def test_an_empty_context_begins_a_new_trace_and_baggage_does_not(
    recording: Store, tracer: trace.Tracer
) -> None:
    with tracestore.start_span("ours"):
        tracer.start_span("apart", context.Context()).end()
        tracer.start_span("nested", baggage.set_baggage("k", "v")).end()
    found = {t.info.name: tree(t) for t in recording.search_traces()}
    assert found == {"apart": {"apart": None}, "ours": {"ours": None, "nested": "ours"}}


def test_what_is_off_or_not_sampled_has_nothing_below_it(
    recording: Store, tracer: trace.Tracer
) -> None:
    tracestore.tracing.disable()
    try:
        with tracer.start_as_current_span("off") as span, tracestore.start_span("below"):
            assert not span.is_recording()
            tracestore.tracing.enable()
            with tracestore.start_span("still below"):
                pass
    finally:
        tracestore.tracing.enable()
    with tracestore.tracing.context(enabled=False), tracer.start_as_current_span("off"):
        pass
    assert recording.search_traces() == []


CHILD = """
import json, sys
from opentelemetry import baggage, context, propagate
import tracestore
from tracestore.otel import tracer_provider
carrier = json.loads(sys.argv[1])
token = context.attach(propagate.extract(carrier))
assert baggage.get_baggage("tenant") == "t-1"
with tracer_provider().get_tracer("child").start_as_current_span("remote", attributes={"session.id": "s-9"}):
    with tracestore.start_span("below remote"):
        pass
"""


def test_a_trace_goes_across_processes(recording: Store, tracer: trace.Tracer) -> None:
    carrier: dict[str, str] = {}
    with tracestore.start_span("ours"), tracer.start_as_current_span("request"):
        propagate.inject(carrier, context=baggage.set_baggage("tenant", "t-1"))
        subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(carrier)],
            check=True,
            timeout=60,
            env=os.environ | {"TRACESTORE_DB": recording.path},
        )
    found = only_trace(recording)
    assert tree(found) == {
        "ours": None,
        "request": "ours",
        "remote": "request",
        "below remote": "remote",
    }
    assert (found.info.name, found.info.state) == ("ours", "OK")
    assert found.info.trace_metadata["mlflow.trace.session"] == "s-9"


def test_a_trace_whose_root_is_elsewhere_keeps_its_ids(
    recording: Store, tracer: trace.Tracer
) -> None:
    header = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with tracer.start_as_current_span("served", context=propagate.extract(header)):
        pass
    found = only_trace(recording)
    assert found.trace_id == "tr-0af7651916cd43dd8448eb211c80319c"
    assert tree(found) == {"served": "b7ad6b7169203331"}
    assert (found.info.name, found.info.state) == ("served", "OK")
    unsampled = {"traceparent": "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00"}
    with tracer.start_as_current_span("not sampled", context=propagate.extract(unsampled)):
        pass
    assert len(recording.search_traces()) == 1


# ------------------------------------------------------------------ beside an application's provider


def test_a_processor_records_beside_the_sdk_and_nests(recording: Store) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    tracer = provider.get_tracer("app")
    with (
        tracer.start_as_current_span("sdk") as span,
        tracestore.start_span("ours"),
        tracer.start_as_current_span("sdk within", kind=SpanKind.SERVER) as inner,
    ):
        inner.set_attribute("gen_ai.operation.name", "chat")
        inner.add_event("happened", {"a": 1})
        inner.set_status(StatusCode.ERROR, "bad")
    found = only_trace(recording)
    assert tree(found) == {"sdk": None, "ours": "sdk", "sdk within": "ours"}
    assert found.trace_id == f"tr-{span.get_span_context().trace_id:032x}"
    stored = by_name(found)["sdk within"]
    assert stored.span_id == f"{inner.get_span_context().span_id:016x}"
    assert (stored.span_type, stored.status.description) == ("CHAT_MODEL", "bad")
    assert stored.attributes["otel.span"]["kind"] == "SERVER"
    assert "service.name" in json.loads(found.info.trace_metadata["otel.resource"])


def test_an_sdk_root_under_ours_joins_its_trace_and_says_its_own_id(recording: Store) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    with (
        tracestore.start_span("ours"),
        provider.get_tracer("app").start_as_current_span("sdk") as s,
    ):
        pass
    found = only_trace(recording)
    assert tree(found) == {"ours": None, "sdk": "ours"}
    details = by_name(found)["sdk"].attributes["otel.span"]
    assert details["trace_id"] == f"{s.get_span_context().trace_id:032x}"


def test_a_span_of_the_sdk_that_still_runs_is_in_the_file(recording: Store) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    span = provider.get_tracer("app").start_span("running", attributes={"a": 1})
    found = recording.get_trace(f"tr-{span.get_span_context().trace_id:032x}")
    assert (found.info.state, found.data.spans[0].end_time_ns) == ("IN_PROGRESS", None)
    assert found.data.spans[0].attributes["a"] == 1
    span.end()
    assert only_trace(recording).info.state == "OK"


def test_an_exporter_makes_one_trace_of_spans_that_come_in_parts(recording: Store) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SpanExporter()))  # one span at a time
    tracer = provider.get_tracer("app")
    with tracer.start_as_current_span("root", attributes={"user.id": "ada"}):
        for _ in range(2):
            with tracer.start_as_current_span("call") as call:
                call.set_attribute("gen_ai.usage.input_tokens", 5)
                call.set_attribute("gen_ai.usage.output_tokens", 2)
        (running,) = recording.search_traces()
        assert running.info.state == "IN_PROGRESS"
    found = only_trace(recording)
    assert (found.info.name, found.info.state) == ("root", "OK")
    assert found.info.token_usage == {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    assert found.info.trace_metadata["mlflow.trace.user"] == "ada"
    assert len(found.data.spans) == 3


def test_an_exporter_counts_what_it_can_not_read(recording: Store) -> None:
    exporter = SpanExporter()
    assert exporter.export([object()]).name == "FAILURE"  # type: ignore[list-item]  # on purpose
    assert runtime.failures == {"an exported span": 1}
    assert recording.search_traces() == []


APPLICATION = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
import tracestore
theirs = TracerProvider()
if sys.argv[1] == "has one":
    trace.set_tracer_provider(theirs)
tracestore.otel.autolog()
tracestore.otel.autolog()
is_theirs = trace.get_tracer_provider() is theirs
with trace.get_tracer("app").start_as_current_span("step"):
    pass
tracestore.otel.autolog(disable=True)
with trace.get_tracer("app").start_as_current_span("later"):
    pass
names = [t.info.name for t in tracestore.open(sys.argv[2]).search_traces(order_by="timestamp")]
print(is_theirs, names)
"""


@pytest.mark.parametrize(
    ("has", "expected"),
    [("has one", "True ['step']"), ("has none", "False ['step', 'later']")],
)
def test_an_application_keeps_its_provider(tmp_path: pathlib.Path, has: str, expected: str) -> None:
    path = str(tmp_path / "app.db")
    printed = subprocess.run(
        [sys.executable, "-c", APPLICATION, has, path],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
        env=os.environ | {"TRACESTORE_DB": path},
    ).stdout.strip()
    assert printed == expected


def test_batches_of_the_sdk_arrive(recording: Store) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(SpanExporter()))
    tracer = provider.get_tracer("app")
    for number in range(50):
        with tracer.start_as_current_span(f"root {number}"), tracer.start_as_current_span("child"):
            pass
    provider.shutdown()
    assert recording.count_traces("status = 'OK' AND span_count = 2") == 50


def test_nothing_of_a_hostile_attribute_breaks_the_program(
    recording: Store, tracer: trace.Tracer
) -> None:
    odd: Any = {
        "gen_ai.operation.name": ["chat"],
        "gen_ai.input.messages": "[" * 10_000,
        "llm.input_messages.x.message": 3,
        "llm.input_messages.0": "text",
        "llm.input_messages.0.message.role": "user",
        "gen_ai.usage.input_tokens": float("nan"),
        "session.id": {"a": 1},
        "input.value": "\ud800",
    }
    started = time.monotonic()
    with tracer.start_as_current_span("odd", attributes=odd):
        pass
    assert time.monotonic() - started < 5
    assert only_trace(recording).info.state == "OK"


@pytest.mark.usefixtures("tracer")
def test_what_outlives_its_root_is_a_late_child_here_too() -> None:
    with tracestore.start_span("root") as root:
        later = contextvars.copy_context()

    def late() -> str:
        with tracestore.start_span("late") as span:
            return span.trace_id

    assert later.run(late) == root.trace_id
