"""Programs: spans by `start_span` and `start_span_no_context`, their setters, attributes, events, links and ends."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, own, program


@program()
def a_span(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s", span_type="LLM", attributes={"x": 1}) as span:
        span.set_inputs({"q": 1})
        span.set_attribute("y", [1, 2])
        span.set_attributes({"z": {"a": None}, "w": "text"})
        span.set_outputs("done")
    see.last("trace")


@program()
def default_name(mlflow: Any, see: See) -> None:
    with mlflow.start_span() as span:
        see("name and type", [span.name, span.span_type])
    see.last("trace")


@program()
def a_live_span(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s", attributes={"a": 1}) as span:
        span.set_inputs([1])
        span.set_outputs({"o": 1})
        see("values", [span.inputs, span.outputs, span.parent_id, span.end_time_ns])
        see("attributes", own(span.attributes))
        see("attribute", [span.get_attribute("a"), span.get_attribute("missing")])
        see(
            "ids",
            [
                len(span.span_id),
                span.trace_id[:3],
                len(span.trace_id),
                span.request_id == span.trace_id,
            ],
        )
        see("status", [span.status.status_code, span.status.description])
    see("ended", [span.end_time_ns is not None, span.status.status_code])


@program()
def same_names(mlflow: Any, see: See) -> None:
    with mlflow.start_span("same"), mlflow.start_span("same"), mlflow.start_span("same"):
        pass
    see("names", [span.name for span in see.last().data.spans])


@program()
def siblings_and_depth(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root"):
        for i in range(3):
            with mlflow.start_span(f"child {i}"), mlflow.start_span(f"leaf {i}"):
                pass
    see.last("trace")


@program()
def status_by_hand(mlflow: Any, see: See) -> None:
    entities = mlflow.entities
    given: dict[str, Any] = {
        "OK": "OK", "ERROR": "ERROR", "UNSET": "UNSET", "lower case": "ok", "unknown": "foo", "number": 5, "none": None,
        "code": entities.SpanStatusCode.ERROR, "status": entities.SpanStatus("ERROR", "because"),
        "status of a code": entities.SpanStatus(entities.SpanStatusCode.OK),
    }  # fmt: skip
    for label, status in given.items():
        with mlflow.start_span("s") as span:
            see.result(f"set {label}", lambda s=status, x=span: x.set_status(s))
        trace = see.last()
        found = trace.data.spans[0].status
        see(f"read {label}", [trace.info.state, found.status_code, found.description])


@program()
def status_changes(mlflow: Any, see: See) -> None:
    for first, second in (("OK", "ERROR"), ("ERROR", "OK"), ("ERROR", "UNSET"), ("OK", "UNSET")):
        with mlflow.start_span("s") as span:
            span.set_status(first)
            span.set_status(second)
            see(f"{first} then {second} live", span.status.status_code)
        see(
            f"{first} then {second}",
            [see.last().info.state, see.last().data.spans[0].status.status_code],
        )


@program()
def setters_misused(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        see.result("key that is no text", lambda: span.set_attribute(5, 1))
        see.result("attributes that are none", lambda: span.set_attributes("x"))
        see.result("event", lambda: span.add_event("x"))
        see.result("exception", lambda: span.record_exception(5))
        see.result("link", lambda: span.add_link("x"))
        see.result("type", lambda: span.set_span_type("TOOL"))
        see.result("level", lambda: span.set_log_level("loud"))
    see.last("trace")


@program()
def after_the_end(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        span.set_outputs(1)
    see.result("outputs", lambda: span.set_outputs(2))
    see.result("attribute", lambda: span.set_attribute("late", 1))
    see.result("status", lambda: span.set_status("ERROR"))
    see.result("end", lambda: span.end(outputs=3))
    see("live", [span.outputs, span.get_attribute("late"), span.status.status_code])
    see.last("trace")


@program()
def ended_in_the_block(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        span.end(outputs="first", status="ERROR")
        span.set_outputs("second")
    see.last("trace")


@program()
def ends_with_arguments(mlflow: Any, see: See) -> None:
    span = mlflow.start_span_no_context("s", inputs=1)
    span.end(
        outputs={"o": 1},
        attributes={"a": 1},
        status="ERROR",
        end_time_ns=span.start_time_ns + 5_000_000,
    )
    trace = see.last("trace")
    see("duration", trace.info.execution_duration)
    span = mlflow.start_span_no_context("bad status")
    see.result("end", lambda: span.end(status="FOO"))


@program()
def spans_without_context(mlflow: Any, see: See) -> None:
    root = mlflow.start_span_no_context(
        "root", "CHAIN", inputs={"q": 1}, attributes={"a": 1}, tags={"t": "1"}, metadata={"m": "1"}
    )
    see("current", mlflow.get_current_active_span())
    child = mlflow.start_span_no_context("child", parent_span=root, inputs=2)
    grandchild = mlflow.start_span_no_context("grandchild", parent_span=child)
    grandchild.end()
    child.end(outputs=3)
    root.end(outputs=4)
    see.last("trace")


@program()
def without_context_inside_a_span(mlflow: Any, see: See) -> None:
    with mlflow.start_span("outer") as outer:
        span = mlflow.start_span_no_context("s")
        see("is a child", span.parent_id == outer.span_id)
        see("current is the outer", mlflow.get_current_active_span().name)
        span.end()
    see.last("trace")


@program()
def with_context_inside_one_without(mlflow: Any, see: See) -> None:
    root = mlflow.start_span_no_context("root")
    with mlflow.start_span("other") as span:
        see("another trace", span.trace_id != root.trace_id)
    root.end()


@program()
def given_times(mlflow: Any, see: See) -> None:
    start = 1_700_000_000_123_456_789
    root = mlflow.start_span_no_context("root", start_time_ns=start)
    child = mlflow.start_span_no_context("child", parent_span=root, start_time_ns=start + 1_000_000)
    child.end(end_time_ns=start + 2_500_000)
    root.end(end_time_ns=start + 7_999_999)
    trace = see.last()
    see("times", [[s.start_time_ns, s.end_time_ns] for s in trace.data.spans])
    see(
        "trace",
        [
            trace.info.request_time,
            trace.info.execution_duration,
            trace.info.timestamp_ms,
            trace.info.execution_time_ms,
        ],
    )


@program()
def events(mlflow: Any, see: See) -> None:
    event = mlflow.entities.SpanEvent(
        "cache hit",
        timestamp=1_700_000_000_000_000_000,
        attributes={"key": "k", "n": 1, "f": 0.5, "b": True, "list": ["a", "b"]},
    )
    with mlflow.start_span("s") as span:
        span.add_event(event)
        span.add_event(mlflow.entities.SpanEvent("plain"))
    read = see.last().data.spans[0].events
    see("names", [e.name for e in read])
    see("first", [read[0].timestamp, read[0].attributes])
    see("second", read[1].attributes)
    see("json", sorted(event.json()))


@program()
def recorded_exceptions(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        span.record_exception(ValueError("bad"))
    see.last("exception")
    with mlflow.start_span("s") as span:
        span.record_exception("as text")
    trace = see.last("text")
    attributes = trace.data.spans[0].events[0].attributes
    see("attributes", {k: v for k, v in attributes.items() if k != "exception.stacktrace"})


@program()
def links(mlflow: Any, see: See) -> None:
    link = mlflow.entities.Link(
        trace_id="tr-" + "a" * 32, span_id="b" * 16, attributes={"why": "because"}
    )
    with mlflow.start_span("s", links=[link]) as span:
        span.add_link(mlflow.entities.Link(trace_id="tr-" + "c" * 32, span_id="d" * 16))
    read = see.last().data.spans[0].links
    see("links", [[each.trace_id, each.span_id, each.attributes] for each in read])
    see.result("bad ids", lambda: mlflow.entities.Link(trace_id="x", span_id="y"))


@program()
def descriptions(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s", description="what it does") as span:
        see("live", span.description)
    see("read", see.last().data.spans[0].description)
    with mlflow.start_span("s") as span:
        see("none", span.description)
        span.set_description("later")
    see("set", see.last().data.spans[0].description)


@program()
def special_attributes(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        span.set_attribute("mlflow.spanInputs", {"q": 1})
        span.set_attribute("mlflow.spanOutputs", "o")
        span.set_attribute("mlflow.spanType", "TOOL")
    span = see.last().data.spans[0]
    see("read", [span.inputs, span.outputs, span.span_type])


@program()
def attributes_of_each_type(mlflow: Any, see: See) -> None:
    values = {
        "text": "é",
        "int": 3,
        "float": 0.25,
        "true": True,
        "none": None,
        "list": [1, "a"],
        "object": {"a": {"b": 1}},
        "empty": "",
        "big": 2**70,
        "negative": -1,
    }
    with mlflow.start_span("s", attributes=values):
        pass
    span = see.last().data.spans[0]
    for key in values:
        see(key, span.get_attribute(key))


@program()
def odd_names(mlflow: Any, see: See) -> None:
    for name in ("", " ", "a\nb", "日本語", "x" * 500, "quote's", 'double"quote', "%_\\"):
        with mlflow.start_span(name):
            pass
        trace = see.last()
        see(repr(name)[:30], [trace.data.spans[0].name, trace.info.tags.get("mlflow.traceName")])


@program()
def active_trace(mlflow: Any, see: See) -> None:
    see("outside", [mlflow.get_active_trace_id(), mlflow.get_current_active_span()])
    with mlflow.start_span("s") as span:
        see(
            "inside",
            [
                mlflow.get_active_trace_id() == span.trace_id,
                mlflow.get_current_active_span() is span,
            ],
        )
        with mlflow.start_span("t") as inner:
            see(
                "nested",
                [
                    mlflow.get_active_trace_id() == span.trace_id,
                    mlflow.get_current_active_span() is inner,
                ],
            )
        see("back", mlflow.get_current_active_span() is span)
    see(
        "after",
        [
            mlflow.get_active_trace_id(),
            mlflow.get_last_active_trace_id() == span.trace_id,
            mlflow.get_last_active_trace_id(thread_local=True) == span.trace_id,
        ],
    )


@program()
def spans_are_no_dictionaries(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        pass
    span = see.last().data.spans[0]
    see.result("item", lambda: span["name"])
    see.result("get", lambda: span.get("name"))
    see.result("iterate", lambda: list(span))


@program()
def copies(mlflow: Any, see: See) -> None:
    import copy  # noqa: PLC0415
    import pickle  # noqa: PLC0415

    with mlflow.start_span("s") as live:
        see.result("deep copy of a live span", lambda: copy.deepcopy(live))
        see.result("pickle of a live span", lambda: pickle.dumps(live))
        see("immutable", type(live.to_immutable_span()).__name__)
    trace = see.last()
    see("pickled trace", pickle.loads(pickle.dumps(trace)).info.trace_id == trace.info.trace_id)
    see("names", [type(live).__name__, type(trace).__name__])


@program()
def a_root_that_ends_before_its_child(mlflow: Any, see: See) -> None:
    root = mlflow.start_span_no_context("root")
    child = mlflow.start_span_no_context("child", parent_span=root)
    root.end()
    child.end(outputs=1)
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(root.trace_id, flush=True)
    see.trace("trace", trace)


@program()
def a_child_after_the_end_of_its_root(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root") as root:
        pass
    child = mlflow.start_span_no_context("late", parent_span=root)
    child.end()
    mlflow.flush_trace_async_logging()
    see("spans", len(mlflow.get_trace(root.trace_id, flush=True).data.spans))


@program()
def many_spans(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root"):
        for i in range(200):
            with mlflow.start_span("s") as span:
                span.set_attribute("i", i)
    trace = see.last()
    see("count", len(trace.data.spans))
    see("order", [s.get_attribute("i") for s in trace.data.spans if s.parent_id][:5])


@program()
def many_attributes(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        for i in range(100):
            span.set_attribute(f"k{i}", i)
    see("count", len(own(see.last().data.spans[0].attributes)))


@program()
def a_wrong_attributes_argument(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s", attributes="x") as span:
        see("live", type(span).__name__)
    with mlflow.start_span("s", attributes=[("a", 1)]) as span:
        see("pairs", span.get_attribute("a"))
    with mlflow.start_span("s", log_level="zzz") as span:
        see("level", type(span).__name__)
