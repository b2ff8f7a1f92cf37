"""Programs: what `@trace` records of functions, methods, classes and their arguments."""

from __future__ import annotations

import functools
from typing import Any

from tests.peer_mlflow.observing import See, program, spans_of


@program()
def a_function(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def add(x: int, y: int = 2) -> int:
        return x + y

    see("result", add(1))
    see.last("trace")
    see("name", [add.__name__, add.__mlflow_traced__, add.__wrapped__ is not None])


@program()
def options_of_the_decorator(mlflow: Any, see: See) -> None:
    @mlflow.trace(
        name="sum", span_type="TOOL", attributes={"a": 1, "b": [1, {"c": None}]}, description="adds"
    )
    def add(x: int, y: int) -> int:
        return x + y

    add(1, y=2)
    see.last("trace")


@program()
def trace_called_as_a_function(mlflow: Any, see: See) -> None:
    see("result", mlflow.trace(len)([1, 2, 3]))
    see.last("builtin")
    see("lambda", mlflow.trace(lambda x: x + 1)(1))
    see.last("lambda trace")


@program()
def arguments_of_every_kind(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def f(a: Any, /, b: Any, *rest: Any, c: Any = 3, **more: Any) -> None:
        pass

    f(1, 2)
    see("least", see.last().data.spans[0].inputs)
    f(1, 2, 3, 4, c=5, d=6)
    see("most", see.last().data.spans[0].inputs)
    see("request", see.last().data.request)


@program()
def methods(mlflow: Any, see: See) -> None:
    class Thing:
        @mlflow.trace
        def method(self, x: int) -> int:
            return x

        @classmethod
        @mlflow.trace
        def of_class(cls, x: int) -> int:
            return x

        @mlflow.trace
        @classmethod
        def of_class_too(cls, x: int) -> int:
            return x

        @staticmethod
        @mlflow.trace
        def static(x: int) -> int:
            return x

        @mlflow.trace
        @staticmethod
        def static_too(x: int) -> int:
            return x

    thing = Thing()
    for name in ("method", "of_class", "of_class_too", "static", "static_too"):
        see(f"{name} result", getattr(thing, name)(1))
        trace = see.last()
        see(name, [spans_of(trace), trace.info.tags["mlflow.traceName"]])


@program()
def a_class(mlflow: Any, see: See) -> None:
    @mlflow.trace
    class Thing:
        def __init__(self, x: int) -> None:
            self.x = x

    see("attribute", Thing(3).x)
    trace = see.last()
    see("name", trace.data.spans[0].name)
    see("inputs", trace.data.spans[0].inputs)


@program()
def a_call_that_does_not_fit(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def f(x: int) -> int:
        return x

    see.result("call", lambda: f(1, 2))
    trace = see.last()
    see("inputs", trace.data.spans[0].inputs)
    see("state", trace.info.state)
    see("events", [event.name for event in trace.data.spans[0].events])


@program()
def nested_functions(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def inner(x: int) -> int:
        return x * 2

    @mlflow.trace(span_type="CHAIN")
    def outer(x: int) -> int:
        return inner(x) + inner(x + 1)

    see("result", outer(1))
    see.last("trace")


@program()
def recursion(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def count(n: int) -> int:
        return n if n == 0 else count(n - 1)

    count(3)
    trace = see.last()
    see("names", [span.name for span in trace.data.spans])
    see("inputs", [span.inputs for span in trace.data.spans])


@program()
def decorated_twice(mlflow: Any, see: See) -> None:
    @mlflow.trace
    @mlflow.trace
    def f() -> int:
        return 1

    f()
    see("spans", [[s.name, s.parent_id is None] for s in see.last().data.spans])


@program()
def inputs_are_taken_before_the_body(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def f(items: list[int]) -> list[int]:
        items.append(2)
        return items

    f([1])
    span = see.last().data.spans[0]
    see("inputs and outputs", [span.inputs, span.outputs])


@program()
def set_in_the_body(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def f(x: int, outputs: Any) -> str:
        span = mlflow.get_current_active_span()
        span.set_inputs({"replaced": x})
        span.set_outputs(outputs)
        return "returned"

    values: tuple[Any, ...] = (0, "", {}, [], False, None, "set")
    for value in values:
        f(1, value)
        span = see.last().data.spans[0]
        see(f"{value!r}", [span.inputs, span.outputs])


@program()
def returning_none(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def f() -> None:
        return None

    f()
    see.last("trace")


@program()
def an_object_that_is_false(mlflow: Any, see: See) -> None:
    class Empty:
        def __len__(self) -> int:
            return 0

        @mlflow.trace
        def method(self, x: int) -> int:
            return x

    Empty().method(1)
    see("inputs", sorted(see.last().data.spans[0].inputs))


@program()
def a_partial(mlflow: Any, see: See) -> None:
    def f(x: int, y: int) -> int:
        return x + y

    see.result("call", lambda: mlflow.trace(functools.partial(f, 1))(2))


@program()
def a_callable_object(mlflow: Any, see: See) -> None:
    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

    see.result("call", lambda: mlflow.trace(Adder())(2))


@program()
def decorating_something_else(mlflow: Any, see: See) -> None:
    see.result("ratio", lambda: mlflow.trace(lambda: 1, sampling_ratio_override=1.5))
    see.result("reducer", lambda: mlflow.trace(lambda: 1, output_reducer=sum))


@program()
def signatures_are_kept(mlflow: Any, see: See) -> None:
    import inspect  # noqa: PLC0415

    @mlflow.trace
    async def coroutine(x: int = 1) -> int:
        """Doc."""
        return x

    @mlflow.trace
    def generator(x: int = 1) -> Any:
        yield x

    @mlflow.trace
    async def agenerator(x: int = 1) -> Any:
        yield x

    see(
        "kinds",
        [
            inspect.iscoroutinefunction(coroutine),
            inspect.isgeneratorfunction(generator),
            inspect.isasyncgenfunction(agenerator),
        ],
    )
    see("signature", [str(inspect.signature(f)) for f in (coroutine, generator, agenerator)])
    see("documentation", coroutine.__doc__)


@program()
def names_of_functions(mlflow: Any, see: See) -> None:
    see("empty name", mlflow.trace(lambda: 1, name="")())
    see("span", see.last().data.spans[0].name)
    see("function name", see.last().data.spans[0].get_attribute("mlflow.spanFunctionName"))


@program()
def span_types(mlflow: Any, see: See) -> None:
    for span_type in ("LLM", "my own", "", None):
        mlflow.trace(lambda: 1, span_type=span_type)()
        see(f"{span_type!r}", see.last().data.spans[0].span_type)
    see("names", {k: v for k, v in vars(mlflow.entities.SpanType).items() if k.isupper()})


@program()
def log_levels(mlflow: Any, see: See) -> None:
    for span_type in (
        "LLM",
        "CHAT_MODEL",
        "TOOL",
        "RETRIEVER",
        "AGENT",
        "EMBEDDING",
        "CHAIN",
        "UNKNOWN",
        "own",
    ):
        with mlflow.start_span("s", span_type):
            pass
        see(span_type, see.last().data.spans[0].log_level)
    for level in ("warning", "CRITICAL", mlflow.entities.SpanLogLevel.INFO):
        with mlflow.start_span("s", log_level=level):
            pass
        see(f"given {level!s}", see.last().data.spans[0].log_level)


@program()
def a_failing_span_is_loud(mlflow: Any, see: See) -> None:
    def fail() -> None:
        raise ValueError("no")

    see.result("call", mlflow.trace(fail))
    see("level", see.last().data.spans[0].log_level)
