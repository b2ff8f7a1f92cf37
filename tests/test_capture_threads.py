"""Context: threads that nest by a switch, and where nesting comes by itself: tasks, copies, forks, other processes."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

import tracestore
from tracestore import tracing
from tracestore.capture import threads
from tracestore.store import Store

#: Free-threaded Python gives a new thread its maker's context, and so its current span, unless told otherwise.
INHERITS = bool(getattr(sys.flags, "thread_inherit_context", False))


@pytest.fixture
def nesting() -> Iterator[None]:
    tracing.nest_threads()
    yield
    tracing.nest_threads(False)


def work(name: str = "work") -> str:
    with tracestore.start_span(name) as span:
        return span.trace_id


def parents(store: Store) -> dict[str, str | None]:
    """Return the name of each span's parent in the newest trace, by the span's name."""
    spans = store.search_traces()[0].data.spans
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_id or "") for span in spans}


def run_thread(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


class Worker(threading.Thread):
    def run(self) -> None:
        work()


THREADS: dict[str, Callable[[], threading.Thread]] = {
    "target": lambda: threading.Thread(target=work),
    "arguments": lambda: threading.Thread(target=work, args=("work",), daemon=True),
    "subclass": lambda: Worker(),  # noqa: PLW0108 - as the others
    "timer": lambda: threading.Timer(0.0, work),
}


@pytest.mark.parametrize("kind", THREADS)
def test_thread_begins_a_trace_of_its_own_unless_switched(recording: Store, kind: str) -> None:
    with tracestore.start_span("root"):
        run_thread(THREADS[kind]())
    assert len(recording.search_traces()) == (1 if INHERITS else 2)


@pytest.mark.usefixtures("nesting")
@pytest.mark.parametrize("kind", THREADS)
def test_thread_nests_in_the_span_that_started_it(recording: Store, kind: str) -> None:
    with tracestore.start_span("root"), tracestore.start_span("step"):
        run_thread(THREADS[kind]())
    assert parents(recording) == {"root": None, "step": "root", "work": "step"}


@pytest.mark.usefixtures("nesting")
def test_task_nests_where_it_was_submitted_not_where_the_worker_started(recording: Store) -> None:
    with ThreadPoolExecutor(1) as pool:
        with tracestore.start_span("first") as first:
            assert pool.submit(work).result() == first.trace_id
        with tracestore.start_span("second") as second:
            assert list(pool.map(work, ["a", "b"])) == [second.trace_id] * 2
        assert pool.submit(work).result() not in (first.trace_id, second.trace_id)
    assert len(recording.search_traces()) == 3


@pytest.mark.usefixtures("nesting")
def test_errors_and_results_of_tasks_are_as_without(recording: Store) -> None:
    with tracestore.start_span("root"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(max, 1, 2, key=lambda x: -x).result() == 1
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()
    assert recording.path


@pytest.mark.usefixtures("nesting")
def test_an_executor_of_asyncio_nests_too(recording: Store) -> None:
    async def main() -> None:
        with tracestore.start_span("root"):
            await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())
    assert parents(recording) == {"root": None, "work": "root"}


@pytest.mark.usefixtures("nesting")
def test_many_threads_of_many_spans_each_nest_in_their_own(recording: Store) -> None:
    def request(number: int) -> None:
        with tracestore.start_span("request") as span:
            span.set_attribute("number", number)
            inner = [threading.Thread(target=work, args=(f"of {number}",)) for _ in range(3)]
            for thread in inner:
                thread.start()
            for thread in inner:
                thread.join()

    outer = [threading.Thread(target=request, args=(number,)) for number in range(8)]
    for thread in outer:
        thread.start()
    for thread in outer:
        thread.join()
    traces = recording.search_traces()
    assert len(traces) == 8
    for trace in traces:
        number = trace.data.spans[0].get_attribute("number")
        assert [span.name for span in trace.data.spans[1:]] == [f"of {number}"] * 3


@pytest.mark.usefixtures("nesting")
def test_only_the_span_is_carried_and_only_while_the_task_runs(recording: Store) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    variable.set("outside")
    with ThreadPoolExecutor(1) as pool:
        with tracestore.start_span("root"):
            assert pool.submit(variable.get).result() == ("outside" if INHERITS else "unset")
        assert pool.submit(tracestore.get_active_trace_id).result() is None
    assert recording.path


def test_switched_off_threads_are_as_python_made_them() -> None:
    tracing.nest_threads()
    assert threading.Thread.start is threads._start_nested
    tracing.nest_threads(False)
    assert threading.Thread.start is threads._start
    assert ThreadPoolExecutor.submit is threads._submit


def test_tasks_and_copied_contexts_nest_by_themselves(recording: Store) -> None:
    async def child(name: str) -> None:
        await asyncio.sleep(0)
        work(name)

    async def main() -> None:
        with tracestore.start_span("root"):
            await asyncio.gather(child("a"), child("b"))
            await asyncio.to_thread(work, "c")

    asyncio.run(main())
    assert parents(recording) == {"root": None, "a": "root", "b": "root", "c": "root"}
    with tracestore.start_span("again"), ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, work).result()
    assert parents(recording) == {"again": None, "work": "again"}


def in_process(path: str, headers: dict[str, str]) -> str:
    """Record under the span that another process named."""
    tracestore.set_tracking_uri(path)
    with tracing.set_tracing_context_from_http_request_headers(headers):
        trace_id = work("in another process")
    tracestore.flush()
    return trace_id


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_process_nests_by_headers(recording: Store, method: Any) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    context = multiprocessing.get_context(method)
    with tracestore.start_span("root") as root, ProcessPoolExecutor(1, mp_context=context) as pool:
        headers = tracing.get_tracing_context_headers_for_http_request()
        assert pool.submit(in_process, recording.path, headers).result(timeout=60) == root.trace_id
    assert parents(recording) == {"root": None, "in another process": "root"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_inside_a_span_records_and_the_parent_ends_it(recording: Store) -> None:
    context = multiprocessing.get_context("fork")
    with tracestore.start_span("root"):
        child = context.Process(target=work)
        child.start()
        child.join(60)
        assert child.exitcode == 0
    tracestore.flush()
    assert "root" in parents(recording)
