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
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from tracestore.capture.scope import DEFAULT_OPTIONS, SpanOptions, SpanScope, start
from tracestore.capture.span import LiveSpan, current
from tracestore.entities import Link, SpanEvent, SpanLogLevel
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime

P = ParamSpec("P")
R = TypeVar("R")

_SIMPLE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@overload
def trace(func: Callable[P, R]) -> Callable[P, R]: ...


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
    if ratio is not None and not 0.0 <= ratio <= 1.0:
        raise InvalidArgumentError(
            f"sampling_ratio_override is {ratio!r}; it must be from 0.0 to 1.0"
        )
    options = SpanOptions(
        attributes=attributes,
        experiment_id=getattr(trace_destination, "experiment_id", None),
        sampling_ratio=ratio,
        log_level=log_level,
        links=None if links is None else list(links),
        description=description,
    )

    def decorate(function: Any) -> Any:
        return _decorate(function, name, span_type, options, output_reducer)

    return decorate if func is None else decorate(func)


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
    call = _Call(function, name, span_type, options, reducer)
    if inspect.iscoroutinefunction(function):
        wrapper = _wrap_coroutine(call)
    elif inspect.isasyncgenfunction(function):
        wrapper = _wrap_async_generator(call)
    elif inspect.isgeneratorfunction(function):
        wrapper = _wrap_generator(call)
    else:
        wrapper = _wrap_function(call)
    if reducer is not None and not call.is_generator:
        raise InvalidArgumentError(f"output_reducer is for generators; {call.name!r} is none")
    functools.update_wrapper(wrapper, function)
    wrapper.__mlflow_traced__ = True  # MLflow's marker
    if call.signature is not None:
        wrapper.__signature__ = call.signature
    return wrapper


class _Call:
    """What is known of a decorated function, worked out once."""

    __slots__ = (
        "_drops_first",
        "_names",
        "function",
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
        self.is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(
            function
        )
        self.signature = _signature(function)
        plain = options == DEFAULT_OPTIONS
        self.options = DEFAULT_OPTIONS if plain else options
        parameters = [] if self.signature is None else list(self.signature.parameters.values())
        self._drops_first = bool(parameters) and parameters[0].name in ("self", "cls")
        simple = self.signature is not None and all(p.kind in _SIMPLE for p in parameters)
        #: Names of the parameters, where a call that gives all by position needs no binding.
        self._names = tuple(p.name for p in parameters) if simple else None

    def scope(self) -> SpanScope:
        return SpanScope(self.name, self.span_type, self.options)

    def record_inputs(self, span: LiveSpan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Record the arguments by the names of their parameters, defaults included."""
        names = self._names
        try:
            if names is not None and not kwargs and len(args) == len(names):
                inputs = dict(zip(names, args))  # noqa: B905 - just compared
            else:
                inputs = self._bind(args, kwargs)
            if self._drops_first:
                inputs = _without_first(inputs)
        except (
            TypeError
        ) as error:  # a call that doesn't fit the signature: the function itself will say so
            runtime.failed(f"the inputs of {self.name!r}", error)
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
            runtime.failed(f"the reduced output of {self.name!r}", error)
            return chunks


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
            _record_result(span, result)
            return result

    return wrapper


def _wrap_coroutine(call: _Call) -> Any:
    function = call.function

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with call.scope() as span:
            call.record_inputs(span, args, kwargs)
            result = await function(*args, **kwargs)
            _record_result(span, result)
            return result

    return wrapper


def _record_result(span: LiveSpan, result: Any) -> None:
    """Record the return value, unless the body has set outputs of its own."""
    if not span.has_outputs:
        span.set_outputs(result)


class _Iteration:
    """The span of one generator's run: current only while the generator's own code runs."""

    __slots__ = ("_before", "_call", "_chunks", "_ended", "span")

    def __init__(self, call: _Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = call
        self._chunks: list[Any] = []
        self._ended = False
        self.span = start(current.get(), call.name, call.span_type, call.options)
        call.record_inputs(self.span, args, kwargs)

    def enter(self) -> None:
        """Make the span current, just before the generator's code runs."""
        self._before = current.get()
        current.set(self.span)

    def leave(self) -> None:
        """Make current what was, just after."""
        if current.get() is self.span:
            current.set(self._before)

    def yielded(self, chunk: Any) -> None:
        """Take note of a chunk: an event now, part of the output at the end."""
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
        if exception is not None and not isinstance(exception, GeneratorExit):
            self.span.record_exception(exception)
        if not self.span.has_outputs and (self._chunks or exception is None):
            self.span.set_outputs(self._call.reduced(self._chunks))
        self.span.end()


def _wrap_generator(call: _Call) -> Any:
    function = call.function

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        iteration = _Iteration(call, args, kwargs)
        ending: BaseException | None = None
        try:
            generator = function(*args, **kwargs)
            step, value = generator.send, None
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
                except GeneratorExit:  # closed early, or dropped
                    iteration.enter()
                    try:
                        generator.close()
                    finally:
                        iteration.leave()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - passed on into the generator
                    step, value = generator.throw, thrown
        except BaseException as error:
            ending = error
            raise
        finally:
            iteration.end(ending)

    return wrapper


def _wrap_async_generator(call: _Call) -> Any:
    function = call.function

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        iteration = _Iteration(call, args, kwargs)
        ending: BaseException | None = None
        try:
            generator = function(*args, **kwargs)
            step, value = generator.asend, None
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
            ending = error
            raise
        finally:
            iteration.end(ending)

    return wrapper
