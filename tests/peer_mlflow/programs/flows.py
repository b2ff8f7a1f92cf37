"""Programs: generators, coroutines, tasks, threads and copied contexts."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.peer_mlflow.observing import See, program, spans_of


@program()
def a_generator(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def count(n: int) -> Iterator[int]:
        yield from range(n)

    see("chunks", list(count(3)))
    trace = see.last("trace")
    see("values", [event.attributes for event in trace.data.spans[0].events])


@program()
def a_reduced_generator(mlflow: Any, see: See) -> None:
    @mlflow.trace(output_reducer="".join)
    def words() -> Iterator[str]:
        yield "a"
        yield "b"

    list(words())
    see.last("trace")


@program()
def a_reducer_that_fails(mlflow: Any, see: See) -> None:
    @mlflow.trace(output_reducer=lambda chunks: chunks["none"])
    def words() -> Iterator[str]:
        yield "a"

    see("chunks", list(words()))
    see("outputs", see.last().data.spans[0].outputs)


@program()
def a_generator_that_is_never_iterated(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def words() -> Iterator[str]:
        yield "a"

    before = mlflow.get_last_active_trace_id()
    words()
    see("no trace", mlflow.get_last_active_trace_id() == before)


@program()
def a_generator_in_a_span(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def words() -> Iterator[str]:
        with mlflow.start_span("inside"):
            pass
        yield "a"

    with mlflow.start_span("root") as root:
        for _ in words():
            see("current in the loop", mlflow.get_current_active_span() is root)
    see("spans", [[s["name"], s["parent"]] for s in spans_of(see.last())])


@program()
def a_generator_that_fails(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def words() -> Iterator[str]:
        yield "a"
        raise ValueError("no more")

    see.result("iterate", lambda: list(words()))
    trace = see.last()
    span = trace.data.spans[0]
    see("state", [trace.info.state, span.status.status_code])
    see("description", span.status.description)
    see("outputs", span.outputs)
    see("events", [event.name for event in span.events])


@program()
def a_generator_that_is_left(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def left() -> Iterator[int]:
        yield 1
        yield 2

    before = mlflow.get_last_active_trace_id()
    for _ in left():
        break
    mlflow.flush_trace_async_logging()
    see("a trace", mlflow.get_last_active_trace_id() != before)


@program()
def what_a_generator_is_sent(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def echo() -> Any:
        got = yield "first"
        yield got
        return "result"

    generator = echo()
    next(generator)
    see("sent", generator.send("hello"))
    try:
        next(generator)
    except StopIteration as stop:
        see("returned", stop.value)


@program()
def many_chunks(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def count() -> Iterator[int]:
        yield from range(200)

    list(count())
    span = see.last().data.spans[0]
    see("outputs", len(span.outputs))
    see("events", len(span.events))


@program()
def a_coroutine(mlflow: Any, see: See) -> None:
    @mlflow.trace
    async def inner(x: int) -> int:
        await asyncio.sleep(0)
        return x * 2

    @mlflow.trace
    async def outer() -> int:
        return sum(await asyncio.gather(inner(1), inner(2)))

    see("result", asyncio.run(outer()))
    trace = see.last()
    see("spans", sorted([s["name"], s["parent"], s["outputs"]] for s in spans_of(trace)))


@program()
def an_async_generator(mlflow: Any, see: See) -> None:
    @mlflow.trace(output_reducer=sum)
    async def count() -> AsyncIterator[int]:
        for i in range(3):
            yield i

    async def run() -> list[int]:
        return [i async for i in count()]

    see("chunks", asyncio.run(run()))
    see.last("trace")


@program()
def a_coroutine_that_fails(mlflow: Any, see: See) -> None:
    @mlflow.trace
    async def fail() -> None:
        raise ValueError("async")

    see.result("run", lambda: asyncio.run(fail()))
    see.last("trace")


@program()
def a_cancelled_task(mlflow: Any, see: See) -> None:
    @mlflow.trace
    async def wait() -> None:
        await asyncio.sleep(60)

    async def run() -> bool:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    see("cancelled", asyncio.run(run()))
    trace = see.last()
    see("state", trace.info.state)
    see("events", len(trace.data.spans[0].events))


@program()
def concurrent_traces(mlflow: Any, see: See) -> None:
    @mlflow.trace
    async def handle(x: int) -> int:
        with mlflow.start_span("step"):
            await asyncio.sleep(0)
        return x

    async def run() -> None:
        await asyncio.gather(*(handle(i) for i in range(4)))

    asyncio.run(run())
    mlflow.flush_trace_async_logging()
    traces = mlflow.search_traces(return_type="list", flush=True)
    see("traces", len(traces))
    see("spans", [[s["name"], s["parent"]] for s in spans_of(traces[0])])
    see("outputs", sorted(trace.data.spans[0].outputs for trace in traces))


@program()
def a_thread(mlflow: Any, see: See) -> None:
    ids = []

    def work() -> None:
        with mlflow.start_span("in the thread") as span:
            ids.append(span.trace_id)

    with mlflow.start_span("root") as root:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    see("another trace", ids[0] != root.trace_id)


@program()
def a_thread_with_the_context(mlflow: Any, see: See) -> None:
    def work() -> None:
        with mlflow.start_span("in the thread"):
            pass

    with mlflow.start_span("root"), ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            pool.submit(contextvars.copy_context().run, work).result()
    see("spans", [[s["name"], s["parent"]] for s in spans_of(see.last())])


@program()
def to_thread(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def work() -> int:
        return 1

    async def run() -> None:
        with mlflow.start_span("root"):
            await asyncio.to_thread(work)

    asyncio.run(run())
    see("spans", [[s["name"], s["parent"]] for s in spans_of(see.last())])


@program()
def last_trace_of_a_thread(mlflow: Any, see: See) -> None:
    seen = {}

    def work() -> None:
        seen["before"] = mlflow.get_last_active_trace_id(thread_local=True)
        with mlflow.start_span("s") as span:
            pass
        seen["after"] = mlflow.get_last_active_trace_id(thread_local=True) == span.trace_id

    with mlflow.start_span("main") as main:
        pass
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    see("thread", seen)
    see("main", mlflow.get_last_active_trace_id(thread_local=True) == main.trace_id)
    see("any", mlflow.get_last_active_trace_id() == main.trace_id)


@program()
def a_span_handed_to_a_thread(mlflow: Any, see: See) -> None:
    root = mlflow.start_span_no_context("root")

    def work() -> None:
        mlflow.start_span_no_context("child", parent_span=root).end(outputs=1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    root.end()
    see("spans", [[s["name"], s["parent"], s["outputs"]] for s in spans_of(see.last())])
