"""`@trace`: a span for each call of a function, whatever kind of function it is.

    plain function      the span is the call
    coroutine function  the span is the awaited call
    generator           the span is the iteration, from the first `next` to the end, however it ends
    async generator     likewise
    class               the span is the construction

Inputs are bound to the names in the signature; what is yielded is collected as the output. A generator's span
is current only while its own code runs, never in the code that consumes it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from tracestore.arguments import shown
from tracestore.capture.context import current, innermost
from tracestore.capture.no_op import NoOpSpan
from tracestore.capture.routes import turn_routes
from tracestore.capture.scope import DEFAULT_OPTIONS, SpanOptions, SpanScope, listed, start
from tracestore.capture.span import FunctionName, LiveSpan
from tracestore.entities import Link, SpanEvent, SpanLogLevel
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime

P = ParamSpec("P")
R = TypeVar("R")

_SIMPLE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@overload
def trace(
    func: Callable[P, R],
    name: str | None = None,
    span_type: str = "UNKNOWN",
    attributes: Mapping[str, Any] | None = None,
    output_reducer: Callable[[list[Any]], Any] | None = None,
    trace_destination: Any = None,
    sampling_ratio_override: float | None = None,
    log_level: SpanLogLevel | str | None = None,
    links: Sequence[Link] | None = None,
    description: str | None = None,
) -> Callable[P, R]: ...


@overload
def trace(
    func: None = None,
    name: str | None = None,
    span_type: str = "UNKNOWN",
    attributes: Mapping[str, Any] | None = None,
    output_reducer: Callable[[list[Any]], Any] | None = None,
    trace_destination: Any = None,
    sampling_ratio_override: float | None = None,
    log_level: SpanLogLevel | str | None = None,
    links: Sequence[Link] | None = None,
    description: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def trace(
    func: Callable[..., Any] | None = None,
    name: str | None = None,
    span_type: str = "UNKNOWN",
    attributes: Mapping[str, Any] | None = None,
    output_reducer: Callable[[list[Any]], Any] | None = None,
    trace_destination: Any = None,
    sampling_ratio_override: float | None = None,
    log_level: SpanLogLevel | str | None = None,
    links: Sequence[Link] | None = None,
    description: str | None = None,
) -> Any:
    """Record a span for each call of the decorated function.

    The outermost call makes a trace. Works on functions, coroutines, generators, async generators, methods,
    class and static methods (in either order of decorators), classes and other callables; the wrapper is of
    the same kind, with the same signature.

    Args:
        func: The function, where the decorator is used without arguments.
        name: The span's name, default the function's.
        span_type: See SpanType; any text.
        attributes: Attributes of each span.
        output_reducer: For generators: makes the recorded output of the list of what was yielded.
        trace_destination: An object with an `experiment_id`, for calls that start a trace.
        sampling_ratio_override: Share of traces recorded, 0.0 to 1.0, for calls that start a trace.
        log_level: How loud the span is.
        links: References to other traces' spans.
        description: Free text.

    Raises:
        InvalidArgumentError: At decoration: the ratio is out of range, or a reducer is given for something
            that is no generator.

    Example:
        >>> @trace(span_type="CHAIN")
        ... def answer(question: str) -> str:
        ...     return question.upper()
        >>> answer("why?")
        'WHY?'
    """
    ratio = sampling_ratio_override
    if ratio is not None and not (isinstance(ratio, (int, float)) and 0.0 <= ratio <= 1.0):
        raise InvalidArgumentError(
            f"sampling_ratio_override is {shown(ratio)}; it must be from 0.0 to 1.0"
        )
    options = SpanOptions(
        attributes=attributes,
        experiment_id=getattr(trace_destination, "experiment_id", None),
        sampling_ratio=ratio,
        log_level=log_level,
        links=listed(links),
        description=description,
    )

    def decorate(function: Any, depth: int = 1) -> Any:
        traced = _decorate(function, name, span_type, options, output_reducer)
        turn_routes(function, traced, sys._getframe(depth))  # noqa: SLF001 - where the decorator stands
        return traced

    return decorate if func is None else decorate(func, depth=2)


def _decorate(
    function: Any,
    name: str | None,
    span_type: str,
    options: SpanOptions,
    reducer: Callable[[list[Any]], Any] | None,
) -> Any:
    for kind in (classmethod, staticmethod):
        if isinstance(function, kind):
            return kind(_decorate(function.__func__, name, span_type, options, reducer))
    if not callable(function):
        raise InvalidArgumentError(
            f"trace decorates functions and other callables, not {shown(function)}; "
            "its options go by keyword: @trace(name=…)"
        )
    call = _Call(function, name, span_type, options, reducer)
    if call.is_coroutine:
        wrapper = _wrap_coroutine(call)
    elif call.is_async_generator:
        wrapper = _wrap_async_generator(call)
    elif call.is_generator:
        wrapper = _wrap_generator(call)
    else:
        wrapper = _wrap_function(call)
    if reducer is not None and not (call.is_generator or call.is_async_generator):
        raise InvalidArgumentError(f"output_reducer is for generators; {call.name!r} is none")
    wrapper.__name__ = wrapper.__qualname__ = _name_of(function)  # a partial has none of its own
    functools.update_wrapper(wrapper, function)
    wrapper.__mlflow_traced__ = True  # MLflow's marker
    if call.signature is not None:
        wrapper.__signature__ = call.signature
    return wrapper


class _Call:
    """What is known of a decorated function, worked out once."""

    __slots__ = (
        "_first",
        "_function_name",
        "_names",
        "function",
        "is_async_generator",
        "is_coroutine",
        "is_generator",
        "name",
        "options",
        "reducer",
        "signature",
        "span_type",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None,
        span_type: str,
        options: SpanOptions,
        reducer: Callable[[list[Any]], Any] | None,
    ) -> None:
        self.function = function
        self.name = name or _name_of(function)
        self.span_type = span_type
        self.reducer = reducer
        body = _body(function)
        self.is_coroutine = _is(inspect.iscoroutinefunction, function, body)
        self.is_async_generator = _is(inspect.isasyncgenfunction, function, body)
        self.is_generator = _is(inspect.isgeneratorfunction, function, body)
        self.signature = _signature(function)
        #: Recorded as MLflow does: not of generators.
        iterates = self.is_generator or self.is_async_generator
        self._function_name = None if iterates else FunctionName(_name_of(function))
        plain = options == DEFAULT_OPTIONS
        self.options = DEFAULT_OPTIONS if plain else options
        parameters = [] if self.signature is None else list(self.signature.parameters.values())
        #: Name of the first parameter, which is not recorded where it is a method's `self` or `cls`.
        self._first = parameters[0].name if parameters and parameters[0].kind in _SIMPLE else None
        simple = self.signature is not None and all(p.kind in _SIMPLE for p in parameters)
        #: Names of the parameters, where a call that gives all by position needs no binding.
        self._names = tuple(p.name for p in parameters) if simple else None

    def scope(self) -> SpanScope:
        return SpanScope(self.name, self.span_type, self.options)

    def record_inputs(self, span: LiveSpan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Record the arguments by the names of their parameters, defaults included."""
        names = self._names
        if self._function_name is not None and type(span) is LiveSpan:
            span.note_function(self._function_name)
        try:
            if names is not None and not kwargs and len(args) == len(names):
                inputs = dict(zip(names, args))  # noqa: B905 - just compared
            else:
                inputs = self._bind(args, kwargs)
            if self._first == "self" or (self._first == "cls" and isinstance(inputs["cls"], type)):
                inputs = _without_first(inputs)
        except TypeError as error:  # the call doesn't fit: the function itself will say so
            runtime.failed("the inputs of a call", error)
            return
        span.set_inputs(inputs)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if self.signature is None:
            return {"args": args, **kwargs}
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def reduced(self, chunks: list[Any]) -> Any:
        if self.reducer is None:
            return chunks
        try:
            return self.reducer(chunks)
        except Exception as error:  # noqa: BLE001 - the reducer is user code
            runtime.failed("the reduced output of a generator", error)
            return chunks


def _body(function: Any) -> Any:
    """Return what runs when `function` is called: of a callable object its class's `__call__`."""
    if inspect.isroutine(function) or isinstance(function, (functools.partial, type)):
        return function
    return type(function).__call__


def _is(kind: Callable[[Any], bool], function: Any, body: Any) -> bool:
    return kind(function) or kind(body)


def _name_of(function: Any) -> str:
    name = getattr(function, "__name__", None)
    if name is None and isinstance(function, functools.partial):
        return _name_of(function.func)
    return name or type(function).__name__


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return None


def _without_first(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` without `self` or `cls`."""
    return {name: value for index, (name, value) in enumerate(inputs.items()) if index}


def _wrap_function(call: _Call) -> Any:
    function = call.function

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with call.scope() as span:
            call.record_inputs(span, args, kwargs)
            result = function(*args, **kwargs)
            span.set_result(result)
            return result

    return wrapper


def _wrap_coroutine(call: _Call) -> Any:
    function = call.function

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with call.scope() as span:
            call.record_inputs(span, args, kwargs)
            result = await function(*args, **kwargs)
            span.set_result(result)
            return result

    return wrapper


class _Iteration:
    """The span of one generator's run: current only while the generator's own code runs."""

    __slots__ = ("_before", "_call", "_chunks", "_ended", "_own", "span")

    def __init__(self, call: _Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = call
        self._chunks: list[Any] = []
        self._ended = False
        self._before: LiveSpan | NoOpSpan | None = None
        self.span = start(innermost(), call.name, call.span_type, call.options)
        #: What was current in the generator's code when it last waited: the span, or one within it.
        self._own: LiveSpan | NoOpSpan | None = self.span
        call.record_inputs(self.span, args, kwargs)

    def enter(self) -> None:
        """Make current what the generator's code left current, just before it runs."""
        self._before = current.get()
        current.set(self._own)

    def leave(self) -> None:
        """Make current what was, just after."""
        now = current.get()
        if now is self.span or self.span.encloses(now):
            self._own = now
            current.set(self._before)

    def yielded(self, chunk: Any) -> None:
        """Take note of a chunk: an event now, part of the output at the end."""
        if isinstance(self.span, NoOpSpan):
            return
        index = len(self._chunks)
        self._chunks.append(chunk)
        self.span.add_event(
            SpanEvent(f"mlflow.chunk.item.{index}", attributes={"mlflow.chunk.value": chunk})
        )

    def end(self, exception: BaseException | None = None) -> None:
        """End the span, once: with the exception that ended the run, if any.

        A generator that is closed early ends well: what it yielded is its output.
        """
        if self._ended:
            return
        self._ended = True
        try:
            if exception is not None and not isinstance(exception, GeneratorExit):
                self.span.record_exception(exception)
            if not self.span.has_outputs and (self._chunks or exception is None):
                self.span.set_outputs(self._call.reduced(self._chunks))
        finally:
            self.span.end()


def _wrap_generator(call: _Call) -> Any:
    function = call.function

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        iteration = _Iteration(call, args, kwargs)
        value = None
        try:
            generator = function(*args, **kwargs)
            step = generator.send
            while True:
                iteration.enter()
                try:
                    chunk = step(value)
                except StopIteration as stop:
                    return stop.value
                finally:
                    iteration.leave()
                iteration.yielded(chunk)
                try:
                    step, value = generator.send, (yield chunk)
                except GeneratorExit as leaving:  # closed early, or dropped
                    iteration.enter()
                    try:
                        generator.throw(leaving)
                    except StopIteration as stop:
                        return stop.value
                    finally:
                        iteration.leave()
                    raise RuntimeError("generator ignored GeneratorExit") from None
                except BaseException as thrown:  # noqa: BLE001 - passed on into the generator
                    step, value = generator.throw, thrown
        except BaseException as error:
            value = None  # an exception must not keep itself alive through its traceback
            iteration.end(error)
            raise
        finally:
            iteration.end()

    return wrapper


def _wrap_async_generator(call: _Call) -> Any:
    function = call.function

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        iteration = _Iteration(call, args, kwargs)
        value = None
        try:
            generator = function(*args, **kwargs)
            step = generator.asend
            while True:
                iteration.enter()
                try:
                    chunk = await step(value)
                except StopAsyncIteration:
                    return
                finally:
                    iteration.leave()
                iteration.yielded(chunk)
                try:
                    step, value = generator.asend, (yield chunk)
                except GeneratorExit:  # closed early, or dropped
                    iteration.enter()
                    try:
                        await generator.aclose()
                    finally:
                        iteration.leave()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - passed on into the generator
                    step, value = generator.athrow, thrown
        except BaseException as error:
            value = None  # an exception must not keep itself alive through its traceback
            iteration.end(error)
            raise
        finally:
            iteration.end()

    return wrapper
