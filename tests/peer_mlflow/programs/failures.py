"""Programs: exceptions, and how they end spans and traces."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, program, spans_of


class _OddError(Exception):
    def __str__(self) -> str:
        return "odd: é"


def _fail(error: BaseException) -> None:
    raise error


@program()
def a_function_that_raises(mlflow: Any, see: See) -> None:
    for error in (
        ValueError("bad"),
        KeyError("k"),
        _OddError(),
        RuntimeError(),
        OSError(2, "missing"),
        AssertionError("a\nb"),
    ):
        see.result(type(error).__name__, lambda e=error: mlflow.trace(_fail)(e))
        trace = see.last()
        span = trace.data.spans[0]
        see(
            f"{type(error).__name__} span",
            [trace.info.state, span.status.status_code, span.status.description, span.outputs],
        )
        attributes = span.events[0].attributes
        see(
            f"{type(error).__name__} event",
            [
                span.events[0].name,
                attributes["exception.type"],
                attributes["exception.message"],
                "Traceback" in attributes["exception.stacktrace"],
            ],
        )


@program()
def a_block_that_raises(mlflow: Any, see: See) -> None:
    def run() -> None:
        with mlflow.start_span("outer"), mlflow.start_span("inner") as span:
            span.set_outputs("before")
            raise ValueError("x")

    see.result("block", run)
    see.last("trace")


@program()
def an_error_that_is_caught(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def inner() -> None:
        raise KeyError("k")

    @mlflow.trace
    def outer() -> str:
        try:
            inner()
        except KeyError:
            return "caught"
        return ""

    see("result", outer())
    see.last("trace")


@program()
def an_error_through_three_spans(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def a() -> None:
        b()

    @mlflow.trace
    def b() -> None:
        c()

    @mlflow.trace
    def c() -> None:
        raise ValueError("deep")

    see.result("call", a)
    see("spans", spans_of(see.last()))


@program()
def base_exceptions(mlflow: Any, see: See) -> None:
    for error in (KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
        try:
            mlflow.trace(_fail)(error)
        except BaseException as caught:  # noqa: BLE001 - that it passes is the observation
            see(f"{type(error).__name__} passes", caught is error)
        trace = see.last()
        span = trace.data.spans[0]
        see(type(error).__name__, [trace.info.state, span.status.status_code, len(span.events)])


@program()
def an_error_after_ok(mlflow: Any, see: See) -> None:
    def run() -> None:
        with mlflow.start_span("s") as span:
            span.set_status("OK")
            raise ValueError("after")

    see.result("block", run)
    trace = see.last()
    see("events", [event.name for event in trace.data.spans[0].events])
    see("status", [trace.info.state, trace.data.spans[0].status.status_code])


@program()
def a_state_by_hand_and_an_error(mlflow: Any, see: See) -> None:
    def run() -> None:
        with mlflow.start_span("s"):
            mlflow.update_current_trace(state="OK")
            raise ValueError("x")

    see.result("block", run)
    trace = see.last()
    see("states", [trace.info.state, trace.data.spans[0].status.status_code])


@program()
def chained_exceptions(mlflow: Any, see: See) -> None:
    def run() -> None:
        try:
            _fail(ValueError("first"))
        except ValueError as error:
            raise TypeError("second") from error

    see.result("call", mlflow.trace(run))
    stack = see.last().data.spans[0].events[0].attributes["exception.stacktrace"]
    see("both are told", ["first" in stack, "second" in stack])


@program()
def an_argument_whose_text_fails(mlflow: Any, see: See) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    ran: list[Any] = []
    see.result("call", lambda: mlflow.trace(ran.append)(Bad()))
    see("ran", len(ran))


@program()
def an_argument_that_contains_itself(mlflow: Any, see: See) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    see.result("call", lambda: mlflow.trace(len)(cycle))


@program()
def span_events_from_exceptions(mlflow: Any, see: See) -> None:
    event = mlflow.entities.SpanEvent.from_exception(ValueError("v"))
    see(
        "event",
        [event.name, event.attributes["exception.type"], event.attributes["exception.message"]],
    )
