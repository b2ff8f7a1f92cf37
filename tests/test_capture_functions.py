"""The decorator on functions, coroutines, methods, classes and other callables."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tracestore
from tests.capture_traces import all_traces, exception_types, named, only_span, only_trace, shape
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.store import Store


def test_call_is_a_span_with_inputs_and_outputs(recording: Store) -> None:
    @tracestore.trace
    def add(left: int, right: int = 2) -> int:
        return left + right

    assert add(1) == 3
    span = only_span(recording)
    assert (span.name, span.span_type, span.status.status_code) == ("add", "UNKNOWN", "OK")
    assert span.inputs == {"left": 1, "right": 2}
    assert span.outputs == 3
    assert span.end_time_ns is not None
    assert span.end_time_ns >= span.start_time_ns


def test_decorator_takes_name_type_attributes_and_more(recording: Store) -> None:
    @tracestore.trace(
        name="other",
        span_type="TOOL",
        attributes={"k": [1, 2]},
        log_level="warning",
        description="what it does",
    )
    def function() -> None: ...

    function()
    span = only_span(recording)
    assert (span.name, span.span_type, span.description) == ("other", "TOOL", "what it does")
    assert span.get_attribute("k") == [1, 2]
    assert span.log_level is not None
    assert span.log_level.name == "WARNING"
    assert only_trace(recording).info.name == "other"


def test_empty_name_means_the_functions_name(recording: Store) -> None:
    tracestore.trace(lambda: 1, name="")()
    assert only_span(recording).name == "<lambda>"


def test_wrapper_keeps_name_doc_signature_and_kind() -> None:
    def plain(a: int, /, b: str = "x", *rest: int, c: bool, **more: Any) -> None:
        """Doc."""

    async def coroutine() -> None: ...
    def generator() -> Any:
        yield

    async def async_generator() -> Any:
        yield

    traced = tracestore.trace(plain)
    assert traced.__name__ == "plain"
    assert traced.__doc__ == "Doc."
    assert traced.__wrapped__ is plain  # type: ignore[attr-defined]
    assert traced.__mlflow_traced__ is True  # type: ignore[attr-defined]
    assert inspect.signature(traced) == inspect.signature(plain)
    kinds: list[Callable[[Any], bool]] = [
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ]
    for function in (plain, coroutine, generator, async_generator):
        for kind in kinds:
            assert kind(tracestore.trace(function)) == kind(function), (function, kind)


def test_every_kind_of_parameter_is_bound(recording: Store) -> None:
    @tracestore.trace
    def function(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> None: ...

    function(1, 2, 30, 40, x=5)
    function(1, b=2)
    first, second = (trace.data.spans[0].inputs for trace in all_traces(recording))
    assert first == {"a": 1, "b": 2, "rest": [30, 40], "c": 3, "more": {"x": 5}}
    assert second == {"a": 1, "b": 2, "rest": [], "c": 3, "more": {}}


class Empty:
    """An object whose truth value is False."""

    def __len__(self) -> int:
        return 0

    @tracestore.trace
    def method(self, x: int) -> int:
        return x

    @tracestore.trace
    @classmethod
    def class_outer(cls, x: int) -> tuple[str, int]:
        return cls.__name__, x

    @classmethod
    @tracestore.trace
    def class_inner(cls, x: int) -> tuple[str, int]:
        return cls.__name__, x

    @tracestore.trace
    @staticmethod
    def static_outer(x: int) -> int:
        return x

    @staticmethod
    @tracestore.trace
    def static_inner(x: int) -> int:
        return x


class Below(Empty):
    """Class methods must get the class they are called on."""


@pytest.mark.parametrize(
    "name", ["method", "class_outer", "class_inner", "static_outer", "static_inner"]
)
def test_methods_work_in_either_order_and_record_no_self(recording: Store, name: str) -> None:
    expected: Any = ("Below", 7) if "class" in name else 7
    assert getattr(Below(), name)(7) == expected
    assert getattr(Below(), name)(x=7) == expected
    for trace in all_traces(recording):
        assert trace.data.spans[0].inputs == {"x": 7}


def test_cls_that_is_no_class_is_recorded(recording: Store) -> None:
    @tracestore.trace
    def classify(cls: str, text: str) -> str:
        return cls + text

    classify("spam", "x")
    assert only_span(recording).inputs == {"cls": "spam", "text": "x"}


def test_first_parameter_self_is_left_out_wherever_the_function_stands(recording: Store) -> None:
    """A function can become a method later; an object's whole state is never recorded by accident."""

    @tracestore.trace
    def patched(self: object, x: int) -> None: ...

    patched(object(), 1)
    assert only_span(recording).inputs == {"x": 1}


def test_self_that_is_not_first_is_recorded(recording: Store) -> None:
    @tracestore.trace
    def function(x: int, self: int, cls: int) -> None: ...

    function(1, 2, 3)
    assert only_span(recording).inputs == {"x": 1, "self": 2, "cls": 3}


def test_star_parameter_called_self_is_recorded(recording: Store) -> None:
    @tracestore.trace
    def function(*self: int) -> None: ...

    function(1, 2)
    assert only_span(recording).inputs == {"self": [1, 2]}


def test_wrong_call_raises_the_functions_own_error_and_is_recorded(recording: Store) -> None:
    def one(x: int) -> int:
        return x

    with pytest.raises(TypeError) as plain:
        one(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError) as traced:
        tracestore.trace(one)(1, 2)  # type: ignore[call-arg]

    assert str(traced.value) == str(plain.value)
    span = only_span(recording)
    assert span.inputs is None
    assert exception_types(span) == ["TypeError"]
    assert span.status.status_code == "ERROR"


def test_class_is_a_span_of_its_construction(recording: Store) -> None:
    @tracestore.trace
    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

    assert Point(x=3).x == 3
    span = only_span(recording)
    assert (span.name, span.inputs) == ("Point", {"x": 3})


def test_partial_builtin_lambda_and_callable_object_are_traced(recording: Store) -> None:
    def power(base: int, exponent: int) -> int:
        return int(base**exponent)

    class Tripler:
        def __call__(self, x: int) -> int:
            return 3 * x

    square = tracestore.trace(functools.partial(power, exponent=2))
    assert square(3) == 9
    assert square.__name__ == "power"
    assert tracestore.trace(len)("four") == 4
    assert tracestore.trace(max)(3, 5) == 5  # has no signature
    assert tracestore.trace(lambda x: x)(1) == 1
    assert tracestore.trace(Tripler())(2) == 6
    recorded = [t.data.spans[0] for t in all_traces(recording)]
    assert [(s.name, s.inputs) for s in recorded] == [
        ("power", {"base": 3, "exponent": 2}),
        ("len", {"obj": "four"}),
        ("max", {"args": [3, 5]}),
        ("<lambda>", {"x": 1}),
        ("Tripler", {"x": 2}),
    ]


def test_object_with_async_call_is_awaited_within_its_span(recording: Store) -> None:
    class Agent:
        async def __call__(self, question: str) -> str:
            with tracestore.start_span("inside"):
                await asyncio.sleep(0)
            return question.upper()

    agent = tracestore.trace(Agent())
    assert inspect.iscoroutinefunction(agent)
    assert asyncio.run(agent("why")) == "WHY"
    trace = only_trace(recording)
    assert shape(trace) == {(None, "Agent"), ("Agent", "inside")}
    assert named(trace, "Agent").outputs == "WHY"


def test_recursion_makes_one_span_a_level(recording: Store) -> None:
    @tracestore.trace
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(4) == 4
    trace = only_trace(recording)
    assert len(trace.data.spans) == 5
    parents = {span.span_id: span.parent_id for span in trace.data.spans}
    assert len(set(parents.values())) == 5  # a chain


def test_endless_recursion_ends_every_span(recording: Store) -> None:
    started = 0

    @tracestore.trace
    def down() -> None:
        nonlocal started
        started += 1
        down()

    with pytest.raises(RecursionError):
        down()
    spans = only_trace(recording).data.spans
    assert len(spans) >= started
    assert all(span.end_time_ns is not None for span in spans)
    assert all(span.status.status_code == "ERROR" for span in spans)
    assert recording.stats()["failed"] == 0


def test_double_decoration_makes_two_spans(recording: Store) -> None:
    @tracestore.trace(name="outer")
    @tracestore.trace(name="inner")
    def function() -> int:
        return 1

    assert function() == 1
    assert shape(only_trace(recording)) == {(None, "outer"), ("outer", "inner")}


def test_outputs_set_by_the_body_are_kept(recording: Store) -> None:
    @tracestore.trace
    def function(own: Any) -> str:
        span = tracestore.get_current_active_span()
        assert span is not None
        span.set_outputs(own)
        return "returned"

    for own, expected in ((0, 0), ("", ""), ({}, {}), (None, "returned")):
        function(own)
        assert all_traces(recording)[-1].data.spans[0].outputs == expected


def test_return_of_none_is_an_output(recording: Store) -> None:
    tracestore.trace(lambda: None)()
    trace = only_trace(recording)
    assert trace.data.response == "null"
    assert trace.data.spans[0].outputs is None


def test_inputs_changed_by_the_body_are_recorded_as_they_were(recording: Store) -> None:
    @tracestore.trace
    def function(messages: list[str]) -> list[str]:
        messages.append("added")
        return messages

    returned = function(["first"])
    returned.append("after the call")
    span = only_span(recording)
    assert span.inputs == {"messages": ["first"]}
    assert span.outputs == ["first", "added"]


def test_coroutine_is_a_span_from_start_to_end(recording: Store) -> None:
    @tracestore.trace
    async def outer(x: int) -> int:
        with tracestore.start_span("inner"):
            await asyncio.sleep(0)
        return x + 1

    assert asyncio.run(outer(1)) == 2
    trace = only_trace(recording)
    assert shape(trace) == {(None, "outer"), ("outer", "inner")}
    assert named(trace, "outer").outputs == 2


def test_coroutine_that_is_never_awaited_records_nothing(recording: Store) -> None:
    @tracestore.trace
    async def function() -> None: ...

    function().close()
    assert all_traces(recording) == []


def test_cancelled_coroutine_is_an_error(recording: Store) -> None:
    @tracestore.trace
    async def waits() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    span = only_span(recording)
    assert span.status.status_code == "ERROR"
    assert exception_types(span) == ["CancelledError"]


@pytest.mark.parametrize(
    "kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
)
def test_exception_of_any_kind_is_an_error_with_its_event(
    recording: Store, kind: type[BaseException]
) -> None:
    @tracestore.trace
    def fails() -> None:
        raise kind("why")

    with pytest.raises(kind):
        fails()
    span = only_span(recording)
    assert span.status.status_code == "ERROR"
    assert span.status.description == f"{kind.__name__}: why"
    [event] = span.events
    assert event.name == "exception"
    assert event.attributes["exception.message"] == "why"
    assert "raise kind" in event.attributes["exception.stacktrace"]
    assert only_trace(recording).info.state == "ERROR"


def test_exception_that_the_caller_handles_leaves_the_caller_ok(recording: Store) -> None:
    @tracestore.trace
    def fails() -> None:
        raise KeyError("k")

    @tracestore.trace
    def recovers() -> str:
        try:
            fails()
        except KeyError:
            return "recovered"
        return "never"

    recovers()
    trace = only_trace(recording)
    assert named(trace, "fails").status.status_code == "ERROR"
    assert named(trace, "recovers").status.status_code == "OK"
    assert trace.info.state == "OK"


def test_exception_is_not_kept_alive(recording: Store) -> None:
    del recording
    import gc  # noqa: PLC0415
    import weakref  # noqa: PLC0415

    class Payload(Exception):  # noqa: N818
        pass

    @tracestore.trace
    def fails() -> None:
        raise Payload

    @tracestore.trace
    def yields() -> Any:
        yield 1
        raise Payload

    def kept(call: Callable[[], Any]) -> Any:
        try:
            call()
        except Payload as error:
            return weakref.ref(error)
        return None

    gc.disable()
    try:
        assert kept(fails)() is None
        assert kept(lambda: list(yields()))() is None
    finally:
        gc.enable()


class Hostile:
    """Raises whatever is asked of it."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __iter__ = __eq__ = __hash__ = __bool__ = __len__ = _fail


def test_hostile_argument_and_result_reach_the_function_untouched(recording: Store) -> None:
    hostile = Hostile()
    assert tracestore.trace(lambda value: value)(hostile) is hostile
    span = only_span(recording)
    assert "not recorded" in span.inputs["value"]
    assert "not recorded" in span.outputs


def test_exception_whose_text_fails_is_recorded(recording: Store) -> None:
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @tracestore.trace
    def fails() -> None:
        raise Mute

    with pytest.raises(Mute):
        fails()
    assert exception_types(only_span(recording)) == ["Mute"]


def test_what_cannot_be_traced_is_refused_at_decoration() -> None:
    with pytest.raises(InvalidArgumentError, match="callable"):
        tracestore.trace("name")  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="callable"):
        tracestore.trace(property(lambda self: self))  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="output_reducer"):
        tracestore.trace(lambda: 1, output_reducer=sum)
    for ratio in (-0.1, 1.1, "0.5", float("nan")):
        with pytest.raises(InvalidArgumentError, match="sampling_ratio_override"):
            tracestore.trace(sampling_ratio_override=ratio)  # type: ignore[arg-type]


def test_store_that_cannot_be_opened_leaves_the_program_alone(
    recording: Store, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.configure(path=f"{recording.path}/below/a/file.db")
    recording.flush()
    with open(recording.path, "w", encoding="utf-8"):  # noqa: PTH123 - a file where a directory is wanted
        pass

    @tracestore.trace
    def function() -> int:
        return 1

    with caplog.at_level(logging.WARNING, "tracestore"):
        assert function() == 1
        tracestore.flush()
    assert "lost" in caplog.text or "not recorded" in caplog.text


def test_name_of_the_function_is_an_attribute_but_of_generators(recording: Store) -> None:
    @tracestore.trace(name="named", attributes={"k": 1})
    def with_attributes() -> None:
        tracestore.start_span_no_context("child").end()

    @tracestore.trace
    async def coroutine() -> None:
        span = tracestore.get_current_active_span()
        assert span is not None
        span.set_attribute("own", 2)

    @tracestore.trace
    def generator() -> Iterator[int]:
        yield 1

    with_attributes()
    asyncio.run(coroutine())
    asyncio.run(coroutine())
    list(generator())
    spans = {s.name: s for t in recording.search_traces() for s in t.data.spans}
    assert {
        name: span.get_attribute("mlflow.spanFunctionName") for name, span in spans.items()
    } == {
        "named": "with_attributes",
        "child": None,
        "coroutine": "coroutine",
        "generator": None,
    }
    assert (spans["named"].get_attribute("k"), spans["coroutine"].get_attribute("own")) == (1, 2)
    assert recording.count_traces("span.attributes.`mlflow.spanFunctionName` = 'coroutine'") == 2
