"""Scoring traces as they arrive: a sample of them, on a thread in the background that ends with the process.

Which traces are in the sample follows from their ids, so every process and every run agrees. Invariant: nothing
here breaks or stops the traced program; what goes wrong is counted, and logged once of its kind.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from tracestore.answers import Answer
from tracestore.arguments import checked
from tracestore.capture.span import log
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.evaluation.evaluate import Run
from tracestore.evaluation.scorer import Scorer, scorers_of
from tracestore.following import Follower
from tracestore.runtime import runtime
from tracestore.store import Store


class Monitor:
    """Scores new traces until it is stopped. `monitor(…)` makes one; use `stop()`, or a `with` block.

    Attributes:
        failures: What went wrong in the background, by kind of error.
    """

    def __init__(
        self,
        store: Store,
        scorers: Sequence[Scorer],
        filter_string: str | None,
        experiment_ids: Sequence[str] | None,
        sample: float,
        interval_s: float,
        max_concurrency: int,
    ) -> None:
        self._run = Run(store, scorers, 0, 0.0, rescore=False)
        self._follower = Follower(store, filter_string or "", experiment_ids=experiment_ids)
        self._sample, self._interval_s = sample, interval_s
        self._concurrency = max_concurrency
        self._waiting: deque[str] = deque()
        self._round = threading.Lock()
        self._stopped = threading.Event()
        self.failures: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work, name="tracestore-monitor", daemon=True)

    def start(self) -> Monitor:
        """Begin; returns the monitor."""
        self._thread.start()
        return self

    def _work(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - a monitor never ends the program
                if not threading.main_thread().is_alive():
                    return  # the process ends, and no thread can be started any more
                kind = type(error).__name__
                self.failures[kind] = self.failures.get(kind, 0) + 1
                if self.failures[kind] == 1:
                    log.warning("traces were not scored: %s: %s", kind, error)

    def flush(self) -> int:
        """Score, on this thread, what has ended and is not scored; return how many traces that were."""
        with self._round:
            self._look()
            before = len(self._waiting)
            self._run.over(self._taken(), self._concurrency, lambda _done: None)
            return before - len(self._waiting)

    def _look(self) -> None:
        """Note which traces of the sample have ended since the last look."""
        is_behind = True
        while is_behind:
            news = self._follower.news()
            is_behind = self._follower.is_behind
            self._waiting += [
                trace.trace_id
                for trace in news
                if isinstance(trace, Trace) and in_sample(trace.trace_id, self._sample)
            ]

    def _taken(self) -> Iterator[Trace]:
        """Yield what waits, one by one: a trace that can't be scored holds up no other, and `stop` comes between."""
        while self._waiting and not self._stopped.is_set():
            trace_id = self._waiting.popleft()
            with contextlib.suppress(NotFoundError):  # deleted meanwhile
                yield self._run.store.get_trace(trace_id)

    def answer(self) -> Answer:
        """Return a row for each scorer, as `evaluate` does, of what was scored so far."""
        return self._run.answer()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Score no more, but for what runs; True if the thread has ended within `timeout_s`."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def __enter__(self) -> Monitor:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()


def in_sample(trace_id: str, sample: float) -> bool:
    """Return whether a trace is in the sample of so large a share; a larger sample holds the smaller one."""
    try:
        place = int(trace_id[-8:], 16)
    except ValueError:
        place = sum(map(ord, trace_id)) * 2_654_435_761 % 2**32
    return place < sample * 2**32


@checked
def monitor(
    scorers: Callable[..., Any] | Scorer | Sequence[Callable[..., Any] | Scorer],
    filter_string: str | None = None,
    *,
    sample: float = 1.0,
    interval_s: float = 5.0,
    store: Store | None = None,
    experiment_ids: Sequence[str] | None = None,
    max_concurrency: int = 2,
) -> Monitor:
    """Score new traces as they end, on a thread in the background that ends with the process.

    Args:
        scorers: As `evaluate`.
        filter_string: Only traces that meet it.
        sample: The share of traces, 0 to 1, chosen by their ids.
        interval_s: Seconds between two looks.
        store: Where the traces are; default the active store.
        experiment_ids: Of these experiments; default the active one, or all of `store`.
        max_concurrency: Scorers that run at a time.

    Returns:
        The Monitor: `stop()` ends it, `flush()` scores what has ended by now, `answer()` says what came of it.

    Raises:
        InvalidArgumentError: A scorer is no function, or an argument is out of range.
        FilterSyntaxError: The filter can't be read.

    Example:
        >>> def is_short(outputs):
        ...     return len(outputs) < 100
        >>> with monitor(is_short, sample=1.0) as watching:
        ...     with tracestore.start_span("answer") as span:
        ...         span.set_outputs("Paris")
        ...     watching.flush()
        1
    """
    if not 0 <= sample <= 1 or interval_s <= 0 or max_concurrency < 1:
        raise InvalidArgumentError(
            "sample is between 0 and 1, interval_s positive, max_concurrency at least 1"
        )
    used = runtime.store if store is None else store
    where = (
        [str(runtime.experiment)] if store is None and experiment_ids is None else experiment_ids
    )
    made = scorers_of(scorers)
    return Monitor(used, made, filter_string, where, sample, interval_s, max_concurrency).start()
