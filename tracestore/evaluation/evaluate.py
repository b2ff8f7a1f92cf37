"""Scoring stored traces: bounded concurrency, retries, and what is scored already left alone.

Every score is written as soon as it is there, so a run that is broken off goes on where it was. Invariant: no
exception of a scorer gets out; it becomes an assessment error, and the rest goes on.
"""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tracestore.answers import Answer, Column
from tracestore.arguments import checked
from tracestore.capture.context import current
from tracestore.capture.scope import NO_OP
from tracestore.entities import Feedback, Trace, TraceState
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.evaluation.scorer import Scorer, scorers_of
from tracestore.evaluation.workers import EventLoop, for_each
from tracestore.figures import summaries
from tracestore.progress import ProgressLine
from tracestore.runtime import runtime
from tracestore.store import Store

#: Traces that are loaded at a time, with their spans.
_PAGE_TRACES = 100

#: The longest wait before a retry, in seconds.
_MAX_WAIT_S = 60.0

_COLUMNS = (
    Column("scorer", is_key=True),
    Column("version", is_key=True),
    Column("scored"),
    Column("failed"),
    Column("skipped"),
    Column("mean"),
    Column("share", "share"),
    Column("counts"),
)


@dataclass
class Tally:
    """What became of one scorer: how often it scored, failed, had nothing to say or to do, and its values."""

    counts: Counter[str] = field(default_factory=Counter)
    values: list[Any] = field(default_factory=list)


@checked
def evaluate(
    traces: str | Iterable[Trace | str] | None,
    scorers: Callable[..., Any] | Scorer | Sequence[Callable[..., Any] | Scorer],
    *,
    store: Store | None = None,
    experiment_ids: Sequence[str] | None = None,
    max_concurrency: int = 8,
    retries: int = 0,
    retry_wait_s: float = 0.5,
    rescore: bool = False,
) -> Answer:
    """Score stored traces; the scores become CODE feedback on them, with the scorer's name and version.

    A trace that a scorer's version has scored already is left alone, also after a run that was broken off; one
    that failed is tried again. New scores override the scorer's older ones. Traces in progress are left out.

    Args:
        traces: A filter ("" or None: all), or traces, or ids of traces.
        scorers: Functions, see `scorer`; what they return to be awaited shares one event loop.
        store: Where the traces are; default the active store.
        experiment_ids: Of these experiments, where a filter is given; default the active one, or all of `store`.
        max_concurrency: Scorers that run at a time.
        retries: How often a scorer that raised is called again, after `retry_wait_s`, twice that, …
        retry_wait_s: Seconds.
        rescore: Score also what is scored.

    Returns:
        A row for each scorer: how many scored, failed, skipped; the mean of its numbers, the share of true, how
        often each text.

    Raises:
        InvalidArgumentError: A scorer is no function, or an argument is out of range.
        NotFoundError: There is no trace of a given id.
        FilterSyntaxError: The filter can't be read.

    Example:
        >>> with tracestore.start_span("answer") as span:
        ...     span.set_outputs("Paris")
        >>> def is_short(outputs):
        ...     return len(outputs) < 100
        >>> evaluate("", [is_short])["share"]
        [1.0]
        >>> tracestore.count_traces("feedback.is_short = true")
        1
    """
    made = scorers_of(scorers)
    if max_concurrency < 1 or retries < 0 or retry_wait_s < 0:
        raise InvalidArgumentError("max_concurrency is at least 1, retries and retry_wait_s 0")
    used = runtime.store if store is None else store
    where = (
        [str(runtime.experiment)] if store is None and experiment_ids is None else experiment_ids
    )
    run = Run(used, made, retries, retry_wait_s, rescore=rescore)
    found, total = _found(used, traces, where)
    with ProgressLine("scores", total * len(made)) as progress:
        run.over(found, max_concurrency, progress.at)
    return run.answer()


def _found(
    store: Store, traces: str | Iterable[Trace | str] | None, where: Sequence[str] | None
) -> tuple[Iterator[Trace], int]:
    """Return the traces that are meant, page by page, and how many they are."""
    if traces is None or isinstance(traces, str):
        return _pages(store, traces, where), store.count_traces(traces, experiment_ids=where)
    given = list(traces)
    if not all(isinstance(each, (Trace, str)) for each in given):
        raise InvalidArgumentError("traces is a filter, or a list of traces or of their ids")
    ids = [each.trace_id if isinstance(each, Trace) else each for each in given]
    return map(store.get_trace, ids), len(given)


def _pages(store: Store, filter_string: str | None, where: Sequence[str] | None) -> Iterator[Trace]:
    token: str | None = None
    while True:
        page = store.search_traces(
            filter_string, experiment_ids=where, max_results=_PAGE_TRACES, page_token=token
        )
        yield from page
        token = page.token
        if token is None:
            return


class Run:
    """One evaluation: its scorers, its store, and what came of it. Its methods may be called from any thread.

    Args:
        store: Where scores are written.
        scorers: See `scorer`.
        retries: See `evaluate`.
        retry_wait_s: See `evaluate`.
        rescore: See `evaluate`.
    """

    def __init__(
        self,
        store: Store,
        scorers: Sequence[Scorer],
        retries: int,
        retry_wait_s: float,
        *,
        rescore: bool,
    ) -> None:
        self.store, self.scorers = store, scorers
        self._retries, self._retry_wait_s, self._rescore = retries, retry_wait_s, rescore
        self.tallies = {scorer.name: Tally() for scorer in scorers}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def over(
        self, traces: Iterable[Trace], max_concurrency: int, progress: Callable[[int], None]
    ) -> None:
        """Score traces, so many at a time; on an interruption what runs is finished and nothing more begun."""
        self._stopped.clear()
        with EventLoop() as loop:
            for_each(
                self._due(traces),
                lambda due: self.score(*due, loop),
                max_concurrency,
                self._stopped,
                lambda: progress(self.done),
            )

    @property
    def done(self) -> int:
        """How often a scorer and a trace have been dealt with."""
        with self._lock:
            return sum(tally.counts.total() for tally in self.tallies.values())

    def _due(self, traces: Iterable[Trace]) -> Iterator[tuple[Trace, Scorer]]:
        for trace in traces:
            for scorer in self.scorers:
                if trace.info.state == TraceState.IN_PROGRESS or (
                    not self._rescore and scorer.has_scored(trace)
                ):
                    self._count(scorer, "skipped")
                else:
                    yield trace, scorer

    def score(self, trace: Trace, scorer: Scorer, loop: EventLoop) -> None:
        """Call one scorer for one trace and write what it says."""
        try:
            found = scorer.feedback(self._called(trace, scorer, loop))
            outcome = "scored" if found else "silent"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a scorer raises is an assessment error
            found, outcome = [scorer.failure(error)], "failed"
        earlier = {each.name: each.assessment_id for each in scorer.earlier(trace)}
        try:
            for feedback in found:
                replaced = replace(feedback, overrides=earlier.get(feedback.name))
                self.store.log_assessment(trace.trace_id, replaced)
        except NotFoundError:  # deleted meanwhile
            found, outcome = [], "skipped"
        self._count(scorer, outcome, found)

    def _called(self, trace: Trace, scorer: Scorer, loop: EventLoop) -> Any:
        """Return what the scorer returns, called again where it raises."""
        for attempt in range(self._retries + 1):
            try:
                return _call(scorer, trace, loop)
            except Exception:
                if attempt == self._retries:
                    raise
                wait_s = min(_MAX_WAIT_S, self._retry_wait_s * 2**attempt)
                if self._stopped.wait(wait_s):
                    raise
        raise AssertionError

    def _count(self, scorer: Scorer, outcome: str, found: Sequence[Feedback] = ()) -> None:
        with self._lock:
            tally = self.tallies[scorer.name]
            tally.counts[outcome] += 1
            tally.values += [each.value for each in found if each.error is None]

    def answer(self) -> Answer:
        """Return a row for each scorer."""
        rows = []
        for scorer in self.scorers:
            tally = self.tallies[scorer.name]
            booleans = [value for value in tally.values if isinstance(value, bool)]
            texts = [value for value in tally.values if isinstance(value, str)]
            rows.append(
                (
                    scorer.name,
                    scorer.version,
                    tally.counts["scored"],
                    tally.counts["failed"],
                    tally.counts["skipped"],
                    summaries.mean(summaries.numbers(tally.values)),
                    sum(booleans) / len(booleans) if booleans else None,
                    summaries.counts(texts, str) or None,
                )
            )
        return Answer(_COLUMNS, rows, "evaluation")


def _call(scorer: Scorer, trace: Trace, loop: EventLoop) -> Any:
    """Call a scorer, with tracing off for what it calls."""
    before = current.set(NO_OP)  # what is awaited runs in a copy of this context
    try:
        returned = scorer.function(**scorer.arguments(trace))
        return loop.result_of(returned) if inspect.isawaitable(returned) else returned
    finally:
        current.reset(before)
