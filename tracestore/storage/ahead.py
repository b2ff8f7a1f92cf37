"""One step of work ahead: while what was read is made use of, the next is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def one_ahead(make: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `make(item)` of each item, in order, the next being made on a second thread meanwhile.

    Of use where `make` waits for SQLite, which gives up the interpreter's lock for the length of a step: so for a
    statement of few rows that take long. Where no thread can be had, as at the end of a program, this thread makes all.
    What `make` raises is raised in its turn. A consumer that stops early waits for what is being made.
    """
    with ThreadPoolExecutor(1, "tracestore-ahead") as pool:
        made: Future[R] | None = None
        for item in items:
            following = _begun(pool, make, item)
            if made is not None:
                yield made.result()
            made = following
        if made is not None:
            yield made.result()


def _begun(pool: ThreadPoolExecutor, make: Callable[[T], R], item: T) -> Future[R]:
    try:
        return pool.submit(make, item)
    except RuntimeError:  # the interpreter shuts down, or there are as many threads as there may be
        made: Future[R] = Future()
        made.set_result(make(item))
        return made
