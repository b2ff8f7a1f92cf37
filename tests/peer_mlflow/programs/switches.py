"""Programs: switching tracing on and off, sampling, headers of other processes, processors, environment variables."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, own, program, spans_of


def _kind(mlflow: Any) -> str:
    with mlflow.start_span("s") as span:
        return type(span).__name__


@program()
def off_and_on(mlflow: Any, see: See) -> None:
    see("at first", _kind(mlflow))
    mlflow.tracing.disable()
    see("disabled", _kind(mlflow))
    see("result", mlflow.trace(lambda x: x + 1)(1))
    see("current", mlflow.get_current_active_span())
    mlflow.tracing.enable()
    see("enabled", _kind(mlflow))
    mlflow.tracing.enable()
    see("enabled twice", _kind(mlflow))
    mlflow.tracing.disable()
    mlflow.tracing.reset()
    see("reset", _kind(mlflow))
    mlflow.tracing.enable()


@program()
def spans_that_are_not_recorded(mlflow: Any, see: See) -> None:
    mlflow.tracing.disable()
    with mlflow.start_span("s") as span:
        see(
            "values",
            [
                span.trace_id,
                span.span_id,
                span.name,
                span.parent_id,
                span.inputs,
                span.outputs,
                span.start_time_ns,
                span.end_time_ns,
                span.status,
            ],
        )
        for name, arguments in {
            "set_inputs": (1,),
            "set_outputs": (1,),
            "set_attribute": ("a", 1),
            "set_attributes": ({"a": 1},),
            "set_status": ("OK",),
            "add_event": (None,),
            "set_span_type": ("LLM",),
            "record_exception": ("x",),
            "end": (),
        }.items():
            see.result(name, lambda n=name, a=arguments: getattr(span, n)(*a))
        see("get", span.get_attribute("a"))
        see.result("update", lambda: mlflow.update_current_trace(tags={"a": "1"}))
        see("active", mlflow.get_active_trace_id())
    no_context = mlflow.start_span_no_context("s")
    see("without context", type(no_context).__name__)
    mlflow.tracing.enable()


@program()
def a_client_while_off(mlflow: Any, see: See) -> None:
    mlflow.tracing.disable()
    client = mlflow.MlflowClient()
    root = client.start_trace("s")
    see("trace", [type(root).__name__, root.trace_id])
    see.result("span", lambda: type(client.start_span("c", root.trace_id, "x")).__name__)
    see.result("end", lambda: client.end_trace(root.trace_id))
    see.result(
        "feedback", lambda: mlflow.log_feedback(trace_id=root.trace_id, name="f", value=1).value
    )
    mlflow.tracing.enable()


@program()
def sampling_by_override(mlflow: Any, see: See) -> None:
    @mlflow.trace(sampling_ratio_override=0.0)
    def never() -> str:
        return type(mlflow.get_current_active_span()).__name__

    @mlflow.trace(sampling_ratio_override=1.0)
    def always() -> str:
        return type(mlflow.get_current_active_span()).__name__

    see("never", never())
    see("always", always())

    @mlflow.trace
    def parent() -> str:
        return never()

    see("under a recorded parent", parent())

    @mlflow.trace(sampling_ratio_override=0.0)
    def dropped() -> str:
        return always()

    see("under a dropped parent", dropped())


@program(MLFLOW_TRACE_SAMPLING_RATIO="0.0")
def sampled_out(mlflow: Any, see: See) -> None:
    before = mlflow.get_last_active_trace_id()
    see("span", _kind(mlflow))
    see("last id", mlflow.get_last_active_trace_id() == before)
    see("result", mlflow.trace(lambda: 5)())
    see(
        "override",
        mlflow.trace(
            lambda: type(mlflow.get_current_active_span()).__name__, sampling_ratio_override=1.0
        )(),
    )
    see("context", mlflow.update_current_trace(tags={"a": "1"}))


@program(MLFLOW_TRACE_SAMPLING_RATIO="1.5")
def a_ratio_out_of_range(mlflow: Any, see: See) -> None:
    see("span", _kind(mlflow))


@program(MLFLOW_TRACE_SAMPLING_RATIO="abc")
def a_ratio_that_is_none(mlflow: Any, see: See) -> None:
    see("span", _kind(mlflow))


@program(MLFLOW_ACTIVE_MODEL_ID="m-env")
def the_environment_s_model(mlflow: Any, see: See) -> None:
    _kind(mlflow)
    see("metadata", own(see.last().info.trace_metadata))


@program(MLFLOW_TRACKING_USERNAME="zoe")
def the_environment_s_user(mlflow: Any, see: See) -> None:
    _kind(mlflow)
    metadata = see.last().info.trace_metadata
    see("user", metadata["mlflow.user"])
    see("source type", metadata["mlflow.source.type"])


@program(MLFLOW_TRACKING_USERNAME="zoe")
def metadata_given_wins(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(metadata={"mlflow.user": "mine"})
    see("user", see.last().info.trace_metadata["mlflow.user"])


@program()
def headers(mlflow: Any, see: See) -> None:
    tracing = mlflow.tracing
    see("outside", tracing.get_tracing_context_headers_for_http_request())
    with mlflow.start_span("client") as span:
        given = tracing.get_tracing_context_headers_for_http_request()
        see("keys", sorted(given))
        parts = given["traceparent"].split("-")
        see(
            "parts",
            [
                parts[0],
                parts[1] == span.trace_id.removeprefix("tr-"),
                parts[2] == span.span_id,
                parts[3],
            ],
        )


@program()
def headers_come_in(mlflow: Any, see: See) -> None:
    tracing = mlflow.tracing
    incoming = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with (
        tracing.set_tracing_context_from_http_request_headers(incoming),
        mlflow.start_span("server") as span,
    ):
        see("span", [span.trace_id, span.parent_id])
    with (
        tracing.set_tracing_context_from_http_request_headers(
            {"Traceparent": incoming["traceparent"]}
        ),
        mlflow.start_span("server") as span,
    ):
        see("another case", span.trace_id)
    with mlflow.start_span("afterwards") as span:
        see("afterwards", span.parent_id)

    def enter(value: dict[str, str]) -> None:
        with tracing.set_tracing_context_from_http_request_headers(value):
            pass

    see.result("missing", lambda: enter({}))
    see.result("malformed", lambda: enter({"traceparent": "zzz"}))


@program()
def headers_within_a_process(mlflow: Any, see: See) -> None:
    tracing = mlflow.tracing
    with mlflow.start_span("client"):
        given = tracing.get_tracing_context_headers_for_http_request()
        with (
            tracing.set_tracing_context_from_http_request_headers(given),
            mlflow.start_span("server"),
        ):
            pass
    see("spans", [[s["name"], s["parent"]] for s in spans_of(see.last())])


@program()
def chat_tools(mlflow: Any, see: See) -> None:
    tools = [
        {
            "type": "function",
            "function": {
                "name": "add",
                "description": "adds",
                "parameters": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}},
                    "required": ["x"],
                },
            },
        }
    ]
    with mlflow.start_span("s") as span:
        mlflow.tracing.set_span_chat_tools(span, tools)
        see.result("no list", lambda: mlflow.tracing.set_span_chat_tools(span, "x"))
    read = see.last().data.spans[0].get_attribute("mlflow.chat.tools")
    see("name", read[0]["function"]["name"])
    see("parameters", read[0]["function"]["parameters"]["properties"]["x"]["type"])


@program()
def span_processors(mlflow: Any, see: See) -> None:
    def shout(span: Any) -> None:
        span.set_outputs(str(span.outputs).upper())

    mlflow.tracing.configure(span_processors=[shout])
    with mlflow.start_span("s") as span:
        span.set_outputs("quiet")
    trace = see.last()
    see("outputs", trace.data.spans[0].outputs)
    see("preview", trace.info.response_preview)
    mlflow.tracing.configure(span_processors=[])
    with mlflow.start_span("s") as span:
        span.set_outputs("quiet")
    see("without", see.last().data.spans[0].outputs)


@program()
def a_processor_that_fails(mlflow: Any, see: See) -> None:
    def fail(span: Any) -> None:
        raise ValueError(span.name)

    mlflow.tracing.configure(span_processors=[fail])
    with mlflow.start_span("s") as span:
        span.set_attribute("a", 1)
    see("state", see.last().info.state)
    see("attribute", see.last().data.spans[0].get_attribute("a"))
    mlflow.tracing.reset()


@program()
def display_switches(mlflow: Any, see: See) -> None:
    see.result("off", mlflow.tracing.disable_notebook_display)
    see.result("on", mlflow.tracing.enable_notebook_display)


@program()
def flushing(mlflow: Any, see: See) -> None:
    see.result("flush", mlflow.flush_trace_async_logging)


@program()
def names_of_constants(mlflow: Any, see: See) -> None:
    import importlib  # noqa: PLC0415

    constant = importlib.import_module(f"{mlflow.__name__}.tracing.constant")
    for name in (
        "SpanAttributeKey.INPUTS",
        "SpanAttributeKey.OUTPUTS",
        "SpanAttributeKey.CHAT_USAGE",
        "TraceMetadataKey.TRACE_SESSION",
        "TraceMetadataKey.TRACE_USER",
        "TraceTagKey.TRACE_NAME",
        "TokenUsageKey.INPUT_TOKENS",
    ):
        target: Any = constant
        for part in name.split("."):
            target = getattr(target, part, None)
        see(name, target)
