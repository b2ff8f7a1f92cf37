"""The decorator on async generators, and what asyncio does to them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Any

import pytest

import tracestore
from tests.capture_traces import all_traces, exception_types, only_span, only_trace, shape
from tracestore.store import Store


@tracestore.trace
async def count(n: int) -> AsyncGenerator[int, Any]:
    for i in range(n):
        await asyncio.sleep(0)
        yield i


def test_whole_iteration_is_one_span(recording: Store) -> None:
    async def main() -> list[int]:
        return [i async for i in count(3)]

    assert asyncio.run(main()) == [0, 1, 2]
    span = only_span(recording)
    assert span.outputs == [0, 1, 2]
    assert len(span.events) == 3


def test_aclose_ends_it_well(recording: Store) -> None:
    async def main() -> None:
        async with contextlib.aclosing(count(5)) as generator:
            async for i in generator:
                if i == 1:
                    break

    asyncio.run(main())
    span = only_span(recording)
    assert (span.outputs, span.status.status_code) == ([0, 1], "OK")


@pytest.mark.parametrize("ticks", [0, 5])
def test_dropped_generator_is_ended_by_the_loop_as_ever(recording: Store, ticks: int) -> None:
    cleaned: list[str] = []

    async def produces(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(f"{name} begins")
            await asyncio.sleep(0)
            cleaned.append(f"{name} ends")

    async def main(generator: AsyncIterator[int]) -> None:
        async for _ in generator:
            break
        del generator
        gc.collect()
        for _ in range(ticks):
            await asyncio.sleep(0)

    asyncio.run(main(produces("x")))
    plain = list(cleaned)
    cleaned.clear()
    asyncio.run(main(tracestore.trace(produces)("x")))
    gc.collect()
    assert cleaned == plain
    assert only_span(recording).end_time_ns is not None


def test_generator_still_referenced_at_the_loops_end_is_ended(recording: Store) -> None:
    kept = []

    async def main() -> None:
        kept.append(count(5))
        await kept[0].__anext__()

    asyncio.run(main())
    assert only_span(recording).outputs == [0]


def test_asend_and_athrow_pass_through(recording: Store) -> None:
    @tracestore.trace
    async def echo() -> AsyncGenerator[Any, Any]:
        received: Any = "start"
        while True:
            try:
                received = yield received
            except KeyError as error:
                received = repr(error)

    async def main() -> list[Any]:
        generator = echo()
        found = [
            await generator.__anext__(),
            await generator.asend("a"),
            await generator.athrow(KeyError("k")),
        ]
        await generator.aclose()
        return found

    assert asyncio.run(main()) == ["start", "a", "KeyError('k')"]
    assert only_span(recording).status.status_code == "OK"


def test_exception_inside_is_an_error(recording: Store) -> None:
    @tracestore.trace
    async def breaks() -> AsyncIterator[int]:
        yield 1
        raise ValueError("midway")

    async def main() -> list[int]:
        return [i async for i in breaks()]

    with pytest.raises(ValueError, match="midway"):
        asyncio.run(main())
    assert exception_types(only_span(recording)) == ["ValueError"]


def test_timeout_within_a_step_is_an_error(recording: Store) -> None:
    @tracestore.trace
    async def stalls() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in stalls():
            pass

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(consume(), 0.02)
        assert tracestore.get_current_active_span() is None

    asyncio.run(main())
    span = only_span(recording)
    assert span.status.status_code == "ERROR"
    assert exception_types(span) == ["CancelledError"]


def test_consumer_between_yields_sees_its_own_span(recording: Store) -> None:
    @tracestore.trace
    async def produces() -> AsyncIterator[int]:
        with tracestore.start_span("around"):
            for i in range(2):
                await asyncio.sleep(0)
                with tracestore.start_span(f"within {i}"):
                    yield i

    async def main() -> None:
        with tracestore.start_span("consumer") as consumer:
            async for i in produces():
                assert tracestore.get_current_active_span() is consumer
                with tracestore.start_span(f"consume {i}"):
                    await asyncio.sleep(0)
            assert tracestore.get_current_active_span() is consumer

    asyncio.run(main())
    assert shape(only_trace(recording)) == {
        (None, "consumer"),
        ("consumer", "produces"),
        ("produces", "around"),
        ("around", "within 0"),
        ("around", "within 1"),
        ("consumer", "consume 0"),
        ("consumer", "consume 1"),
    }


def test_each_step_in_another_task(recording: Store) -> None:
    async def main() -> list[int]:
        generator = count(3)

        async def step() -> int:
            chunk = await generator.__anext__()
            assert tracestore.get_current_active_span() is None
            return chunk

        found = [await asyncio.ensure_future(step()) for _ in range(3)]
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()
        return found

    assert asyncio.run(main()) == [0, 1, 2]
    assert only_span(recording).outputs == [0, 1, 2]


def test_closed_in_another_task_than_it_ran_in(recording: Store) -> None:
    async def main() -> None:
        generator = count(3)

        async def step() -> int:
            return await generator.__anext__()

        async def close() -> None:
            await generator.aclose()

        await asyncio.create_task(step())
        with tracestore.start_span("elsewhere") as elsewhere:
            await asyncio.create_task(close())
            assert tracestore.get_current_active_span() is elsewhere

    asyncio.run(main())
    assert {t.info.name for t in all_traces(recording)} == {"count", "elsewhere"}


def test_many_at_once_keep_apart(recording: Store) -> None:
    @tracestore.trace
    async def consume(n: int) -> int:
        return sum([i async for i in count(n)])

    async def main() -> list[int]:
        return await asyncio.gather(*(consume(n) for n in range(20)))

    assert asyncio.run(main()) == [sum(range(n)) for n in range(20)]
    traces = all_traces(recording)
    assert len(traces) == 20
    assert all(shape(trace) == {(None, "consume"), ("consume", "count")} for trace in traces)


class _Suspend:
    """Suspends its task for ever."""

    def __await__(self) -> Generator[None, None, None]:
        while True:
            yield


def test_task_destroyed_within_a_step_disturbs_nobody(recording: Store) -> None:
    """The loop is gone, the coroutine is finalised while another span is current."""

    @tracestore.trace
    async def stalls() -> AsyncIterator[int]:
        yield 1
        await _Suspend()

    async def consume() -> None:
        async for _ in stalls():
            pass

    coroutines: list[Any] = [consume()]
    contextvars.Context().run(coroutines[0].send, None)
    with tracestore.start_span("other") as other:
        coroutines.clear()
        gc.collect()
        assert tracestore.get_current_active_span() is other
    assert {t.info.name for t in all_traces(recording)} == {"stalls", "other"}


def test_reducer_makes_the_output(recording: Store) -> None:
    @tracestore.trace(output_reducer="".join)
    async def tokens() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def main() -> None:
        async for _ in tokens():
            pass

    asyncio.run(main())
    assert only_span(recording).outputs == "ab"
