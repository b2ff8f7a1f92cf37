"""Scoring traces as they arrive: a sample of them, on a thread in the background that ends with the process.

Which traces are in the sample follows from their ids, so every process and every run agrees. Invariant: nothing
here breaks or stops the traced program; what goes wrong is counted, and logged once of its kind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from tracestore.answers import Answer
from tracestore.arguments import checked
from tracestore.capture.span import log
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError
from tracestore.evaluation.evaluate import Run, now_ms
from tracestore.evaluation.scorer import Scorer, scorers_of
from tracestore.runtime import runtime
from tracestore.store import Store

#: How far back traces that started before the last round are looked at, in milliseconds.
_OVERLAP_MS = 60_000


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
        self._filter, self._experiments = filter_string, experiment_ids
        self._sample, self._interval_s = sample, interval_s
        self._concurrency = max_concurrency
        self._since_ms = now_ms()
        self._seen: dict[str, int] = {}
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
            found = self._new()
            self._run.over(found, self._concurrency, lambda _done: None)
            return len(found)

    def _new(self) -> list[Trace]:
        """Return the traces of the sample that have ended since the last round."""
        store, begun_ms = self._run.store, now_ms()
        limit = f"timestamp_ms >= {self._since_ms}"
        ended = f"{limit} AND status != 'IN_PROGRESS'"
        wanted = f"({self._filter}) AND {ended}" if self._filter else ended
        infos = store.search_traces(
            wanted, experiment_ids=self._experiments, max_results=None, include_spans=False
        )
        new = [
            trace
            for trace in infos
            if trace.trace_id not in self._seen and in_sample(trace.trace_id, self._sample)
        ]
        running = store.search_traces(
            f"{limit} AND status = 'IN_PROGRESS'",
            experiment_ids=self._experiments,
            max_results=1,
            order_by="timestamp_ms ASC",
            include_spans=False,
        )
        oldest_ms = running[0].info.request_time if running else begun_ms
        self._since_ms = max(self._since_ms, min(begun_ms - _OVERLAP_MS, oldest_ms))
        self._seen |= {trace.trace_id: trace.info.request_time for trace in new}
        self._seen = {key: ms for key, ms in self._seen.items() if ms >= self._since_ms}
        return [store.get_trace(trace.trace_id) for trace in reversed(new)]

    def answer(self) -> Answer:
        """Return a row for each scorer, as `evaluate` does, of what was scored so far."""
        return self._run.answer()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Score no more; True if the thread has ended within `timeout_s`."""
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
    used.count_traces(
        f"({filter_string}) AND timestamp_ms < 0" if filter_string else "trace_id = ''"
    )
    made = scorers_of(scorers)
    return Monitor(used, made, filter_string, where, sample, interval_s, max_concurrency).start()
