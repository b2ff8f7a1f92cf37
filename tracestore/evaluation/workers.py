"""Where scorers run: so many threads at a time, and an event loop for what is to be awaited.

Knows no traces. All threads are daemons, so a scorer that hangs keeps no process from ending. Invariant: when
`for_each` returns or raises, nothing more is begun; what it had begun has ended, but for a second interruption.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

#: How often it is said how far the work is, and how long tasks that scorers left behind may take to end, in seconds.
INTERVAL_S, FAREWELL_S = 0.1, 1.0

_END = object()


def for_each(
    items: Iterable[T],
    function: Callable[[T], None],
    threads: int,
    stopped: threading.Event,
    progress: Callable[[], None],
) -> None:
    """Call a function for each item, on so many threads at a time.

    Args:
        items: Taken one after the other, by the threads.
        function: What it raises ends the work.
        threads: How many.
        stopped: Set by whoever wants nothing more to be begun; by this function at its end.
        progress: Called on this thread ten times a second.

    Raises:
        BaseException: The first that `items` or `function` raised, or that interrupted this thread.
    """
    iterator, taking = iter(items), threading.Lock()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            while not stopped.is_set():
                with taking:
                    item: Any = next(iterator, _END)
                if item is _END:
                    return
                function(item)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            raised.append(error)
            stopped.set()

    workers = [
        threading.Thread(target=work, name=f"tracestore-scorer-{number}", daemon=True)
        for number in range(threads)
    ]
    try:
        for worker in workers:
            worker.start()
        _wait(workers, progress)
    finally:
        stopped.set()
        _wait(workers, progress)
    if raised:
        raise raised[0]


def _wait(workers: Iterable[threading.Thread], progress: Callable[[], None]) -> None:
    for worker in workers:
        while worker.is_alive():
            worker.join(INTERVAL_S)
            progress()


class EventLoop:
    """An event loop on a thread of its own, from the first awaitable to the end of a `with` block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def result_of(self, awaitable: Awaitable[Any]) -> Any:
        """Return what an awaitable gives, or raise what it raises; may be called from any other thread."""
        return asyncio.run_coroutine_threadsafe(_guarded(awaitable), self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="tracestore-scorers", daemon=True
                )
                self._thread.start()
            return self._loop

    def __enter__(self) -> EventLoop:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(_farewell(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _guarded(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except (KeyboardInterrupt, SystemExit) as error:  # they would end the loop for all others
        raise RuntimeError(f"left by {error!r}") from error


async def _farewell() -> None:
    """End the tasks that scorers have left behind."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=FAREWELL_S)
