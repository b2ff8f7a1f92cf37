"""The decorator on generators: the span is the iteration, however and wherever it goes on and ends."""

from __future__ import annotations

import contextvars
import gc
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

import tracestore
from tests.capture_traces import all_traces, exception_types, named, only_span, only_trace, shape
from tracestore.runtime import runtime
from tracestore.store import Store


@tracestore.trace
def count(n: int) -> Generator[int, Any, str]:
    for i in range(n):  # noqa: UP028 - `yield from` would hide `send`
        yield i
    return "all"


def test_whole_iteration_is_one_span(recording: Store) -> None:
    assert list(count(3)) == [0, 1, 2]
    span = only_span(recording)
    assert span.inputs == {"n": 3}
    assert span.outputs == [0, 1, 2]
    assert [e.name for e in span.events] == [f"mlflow.chunk.item.{i}" for i in range(3)]
    assert [e.attributes["mlflow.chunk.value"] for e in span.events] == [0, 1, 2]


def test_generator_that_is_never_started_records_nothing(recording: Store) -> None:
    count(3)
    count(3).close()
    gc.collect()
    assert all_traces(recording) == []


def test_empty_generator_is_recorded(recording: Store) -> None:
    assert list(count(0)) == []
    assert only_span(recording).outputs == []


def _close(generator: Generator[int, Any, str]) -> None:
    generator.close()


def _drop(generator: Generator[int, Any, str]) -> None:
    del generator
    gc.collect()


def _close_in_thread(generator: Generator[int, Any, str]) -> None:
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()


def _close_in_other_context(generator: Generator[int, Any, str]) -> None:
    contextvars.Context().run(generator.close)


@pytest.mark.parametrize("leave", [_close, _drop, _close_in_thread, _close_in_other_context])
def test_generator_left_early_ends_well_with_what_it_yielded(
    recording: Store, leave: Callable[[Any], None]
) -> None:
    generators = [count(5)]
    next(generators[0])
    next(generators[0])
    leave(generators.pop())
    span = only_span(recording)
    assert span.end_time_ns is not None
    assert span.status.status_code == "OK"
    assert span.outputs == [0, 1]
    assert exception_types(span) == []


def test_break_within_a_traced_caller_keeps_the_tree(recording: Store) -> None:
    @tracestore.trace
    def first() -> int:
        for i in count(5):
            return i
        return -1

    assert first() == 0
    assert shape(only_trace(recording)) == {(None, "first"), ("first", "count")}


def test_send_throw_and_return_value_pass_through(recording: Store) -> None:
    @tracestore.trace
    def echo() -> Generator[Any, Any, str]:
        received: Any = "start"
        while received != "stop":
            try:
                received = yield received
            except KeyError as error:
                received = repr(error)
        return "returned"

    generator = echo()
    assert next(generator) == "start"
    assert generator.send("a") == "a"
    assert generator.throw(KeyError("k")) == "KeyError('k')"
    with pytest.raises(StopIteration) as stop:
        generator.send("stop")
    assert stop.value.value == "returned"
    span = only_span(recording)
    assert span.outputs == ["start", "a", "KeyError('k')"]
    assert span.status.status_code == "OK"


def test_thrown_exception_that_is_not_handled_is_an_error(recording: Store) -> None:
    generator = count(5)
    next(generator)
    with pytest.raises(KeyError, match="k"):
        generator.throw(KeyError("k"))
    assert exception_types(only_span(recording)) == ["KeyError"]


def test_yield_from_passes_the_return_value(recording: Store) -> None:
    @tracestore.trace
    def outer() -> Generator[int, Any, str]:
        result = yield from count(2)
        return result + "!"

    generator = outer()
    assert [next(generator), next(generator)] == [0, 1]
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "all!"
    assert shape(only_trace(recording)) == {(None, "outer"), ("outer", "count")}


def test_exception_inside_is_recorded_with_what_was_yielded(recording: Store) -> None:
    @tracestore.trace
    def breaks() -> Iterator[int]:
        yield 1
        raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        list(breaks())
    span = only_span(recording)
    assert span.status.description == "ValueError: midway"
    assert span.outputs == [1]
    assert exception_types(span) == ["ValueError"]


def test_stop_iteration_raised_inside_is_a_runtime_error_as_ever(recording: Store) -> None:
    @tracestore.trace
    def breaks() -> Iterator[int]:
        yield 1
        raise StopIteration  # noqa: PLR1708 - that is the test

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(breaks())
    assert exception_types(only_span(recording)) == ["RuntimeError"]


def test_wrong_call_fails_at_the_first_step_and_is_recorded(recording: Store) -> None:
    generator = count(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        next(generator)
    assert exception_types(only_span(recording)) == ["TypeError"]


def test_generator_that_ignores_its_close_ends_and_fails_as_ever(recording: Store) -> None:
    @tracestore.trace
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator: Any = stubborn()
    next(generator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        generator.close()
    assert only_span(recording).end_time_ns is not None


def test_generator_that_fails_while_it_is_closed_is_an_error(recording: Store) -> None:
    @tracestore.trace
    def breaks() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise OSError("while closing")

    generator: Any = breaks()
    next(generator)
    with pytest.raises(OSError, match="while closing"):
        generator.close()
    assert exception_types(only_span(recording)) == ["OSError"]


def test_generator_may_return_on_close(recording: Store) -> None:
    @tracestore.trace
    def obliging() -> Generator[int, None, str]:
        try:
            yield 1
        except GeneratorExit:
            return "closed"
        return "done"

    generator = obliging()
    next(generator)
    result: Any = generator.close()  # type: ignore[func-returns-value]  # it does from 3.13 on
    assert result == ("closed" if sys.version_info >= (3, 13) else None)
    assert only_span(recording).status.status_code == "OK"


def test_spans_in_the_generator_are_below_it_and_those_of_the_consumer_are_not(
    recording: Store,
) -> None:
    @tracestore.trace
    def produces() -> Iterator[int]:
        for i in range(2):
            with tracestore.start_span(f"produce {i}"):
                pass
            yield i

    with tracestore.start_span("consumer") as consumer:
        for i in produces():
            assert tracestore.get_current_active_span() is consumer
            with tracestore.start_span(f"consume {i}"):
                pass
    assert shape(only_trace(recording)) == {
        (None, "consumer"),
        ("consumer", "produces"),
        ("produces", "produce 0"),
        ("produces", "produce 1"),
        ("consumer", "consume 0"),
        ("consumer", "consume 1"),
    }


def test_span_left_open_over_a_yield_is_current_in_the_generator_only(recording: Store) -> None:
    @tracestore.trace
    def produces() -> Iterator[int]:
        with tracestore.start_span("around"):
            for i in range(2):
                with tracestore.start_span(f"within {i}"):
                    pass
                yield i

    with tracestore.start_span("consumer") as consumer:
        for i in produces():
            assert tracestore.get_current_active_span() is consumer
            with tracestore.start_span(f"consume {i}"):
                pass
        assert tracestore.get_current_active_span() is consumer
    assert shape(only_trace(recording)) == {
        (None, "consumer"),
        ("consumer", "produces"),
        ("produces", "around"),
        ("around", "within 0"),
        ("around", "within 1"),
        ("consumer", "consume 0"),
        ("consumer", "consume 1"),
    }


def test_untraced_generator_with_an_open_span_does_not_outlive_its_consumers_span(
    recording: Store,
) -> None:
    def produces() -> Iterator[int]:
        with tracestore.start_span("around"):
            yield 1
            yield 2

    with tracestore.start_span("consumer"):
        generator: Any = produces()
        next(generator)
    assert tracestore.get_current_active_span() is None
    with tracestore.start_span("another trace") as another:
        generator.close()
        assert tracestore.get_current_active_span() is another
    assert tracestore.get_current_active_span() is None
    roots = [trace.data.root.name for trace in all_traces(recording) if trace.data.root]
    assert roots == ["consumer", "another trace"]


def test_interleaved_generators_keep_apart(recording: Store) -> None:
    @tracestore.trace
    def produces(name: str) -> Iterator[str]:
        with tracestore.start_span(f"around {name}"):
            yield name
            with tracestore.start_span(f"within {name}"):
                yield name

    with tracestore.start_span("root"):
        for _ in zip(produces("a"), produces("b")):  # noqa: B905 - both end alike
            pass
    trace = only_trace(recording)
    for name in "ab":
        assert (f"around {name}", f"within {name}") in shape(trace)
        assert ("produces", f"around {name}") in shape(trace)


def test_generator_consumed_in_other_threads_step_by_step(recording: Store) -> None:
    chunks: list[int] = []
    errors: list[BaseException] = []
    generator = count(4)

    def step() -> None:
        try:
            chunks.append(next(generator))
            assert tracestore.get_current_active_span() is None
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    for _ in range(3):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    chunks += list(generator)
    assert (chunks, errors) == ([0, 1, 2, 3], [])
    assert only_span(recording).outputs == [0, 1, 2, 3]


def test_generator_consumed_in_other_contexts_step_by_step(recording: Store) -> None:
    with tracestore.start_span("creator"):
        generator = count(3)
        contextvars.copy_context().run(next, generator)
        contextvars.Context().run(next, generator)
    assert list(generator) == [2]
    assert shape(only_trace(recording)) == {(None, "creator"), ("creator", "count")}


def test_nested_traced_generators_make_a_chain(recording: Store) -> None:
    @tracestore.trace
    def outer(n: int) -> Iterator[int]:
        for i in count(n):
            yield 10 * i

    assert list(outer(3)) == [0, 10, 20]
    trace = only_trace(recording)
    assert shape(trace) == {(None, "outer"), ("outer", "count")}
    assert named(trace, "count").outputs == [0, 1, 2]


def test_reducer_makes_the_output(recording: Store) -> None:
    @tracestore.trace(output_reducer=sum)
    def numbers() -> Iterator[int]:
        yield from (1, 2, 3)

    list(numbers())
    assert only_span(recording).outputs == 6


def test_reducer_that_fails_leaves_the_list(recording: Store) -> None:
    def fails(chunks: list[Any]) -> Any:
        raise ZeroDivisionError(len(chunks))

    list(tracestore.trace(count.__wrapped__, output_reducer=fails)(2))  # type: ignore[attr-defined]
    assert only_span(recording).outputs == [0, 1]
    assert runtime.failures == {"the reduced output of a generator": 1}


def test_outputs_set_by_the_body_are_kept(recording: Store) -> None:
    @tracestore.trace
    def produces() -> Iterator[int]:
        yield 1
        span = tracestore.get_current_active_span()
        assert span is not None
        span.set_outputs("own")

    list(produces())
    assert only_span(recording).outputs == "own"


def test_two_hundred_chunks_are_all_there(recording: Store) -> None:
    list(count(200))
    span = only_span(recording)
    assert len(span.events) == 200
    assert span.outputs == list(range(200))


def test_chunks_that_are_too_large_together_stay_readable(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tracestore.encoding", "tracestore.capture.events"):
        monkeypatch.setattr(f"{module}.MAX_PAYLOAD_BYTES", 20_000)
    monkeypatch.setattr("tracestore.encoding.KEPT_CHARACTERS", 1_000)

    @tracestore.trace
    def produces() -> Iterator[str]:
        yield "z" * 30_000
        for _ in range(100):
            yield "x" * 1_000

    list(produces())
    events = only_span(recording).events
    assert 5 < len(events) < 30
    assert "cut" in str(events[0].attributes)
    assert events[1].attributes == {"mlflow.chunk.value": "x" * 1_000}
    assert events[-1].name == "tracestore.cut"
    assert f"{101 - (len(events) - 1)} further events" in str(events[-1].attributes)


def test_generator_of_a_trace_that_is_not_sampled_runs_and_keeps_nothing(recording: Store) -> None:
    unsampled = tracestore.trace(count.__wrapped__, sampling_ratio_override=0.0)  # type: ignore[attr-defined]
    with tracestore.start_span("consumer") as consumer:
        pass
    del consumer
    assert list(unsampled(3)) == [0, 1, 2]
    assert tracestore.get_current_active_span() is None
    assert [t.info.name for t in all_traces(recording)] == ["consumer"]
