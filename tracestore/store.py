"""A store: one file with all the verbs for it. `tracestore.open(path)` gives one.

Each verb is a signature, what it promises, and a call of whoever does it: `contents` for what the file holds,
figures and comparison, upkeep. What a store does itself is what they stand on: reads that see everything that was
recorded before in this process (they flush first, with a deadline), writes on the writing thread, and its life.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from tracestore import settings
from tracestore.arguments import checked
from tracestore.assessments import A, overriding
from tracestore.contents import assessments, experiments, recordings, traces
from tracestore.contents.names import experiment_keys
from tracestore.entities import (
    AssessmentError,
    AssessmentSource,
    Expectation,
    Experiment,
    Feedback,
    PagedList,
    Session,
    Trace,
    ViewType,
)
from tracestore.errors import InvalidArgumentError, ReadOnlyError, StoreError
from tracestore.progress import ProgressLine
from tracestore.storage import indexer, memory, processes, recovery, schema, trace_rows
from tracestore.storage.connection import version_of
from tracestore.storage.database import Database, IdleWork
from tracestore.storage.file import File
from tracestore.storage.writer import Flushed, Writer
from tracestore.upkeep.progress import Progress, silent
from tracestore.upkeep.standing import StandingLimits

if TYPE_CHECKING:
    from tracestore.answers import Answer
    from tracestore.upkeep.copies import Copied, Merged
    from tracestore.upkeep.findings import Finding
    from tracestore.upkeep.limits import Limits
    from tracestore.upkeep.prune import Pruned
    from tracestore.upkeep.redact import Redacted
    from tracestore.upkeep.repair import Repaired
    from tracestore.upkeep.vacuum import Vacuumed

T = TypeVar("T")

log = logging.getLogger("tracestore")

#: How long a read waits for what was recorded just before it, in seconds.
READ_FLUSH_S = 10.0


@checked
class Store:
    """One SQLite file of traces.

    Any thread may use it. Close it with `close()`, or use it in a `with` block.

    Args:
        path: The file; made, with its directory, at the first write. ":memory:" is a new store of its own that
            is gone when it is closed, for tests.
        read_only: Never write. Nothing can be recorded, tagged or assessed then, and what killed processes left is
            not taken over: it is not seen, which is logged once, and counted in `stats()`.
        queue_size: Spans that may wait for the writer, 16 MB of payload at most.
        retry_timeout_s: How long a failing write is retried.
        index_text: Keep the text index up to date when there is nothing else to do.
        recorder: Keep what has ended in a spool beside the file until it is written, so that a killed process
            loses none of it.
        durability: "process": what is written outlives the process, and of a power cut all but the last
            100 ms; "power": also what `flush` has acknowledged.

    Raises:
        InvalidArgumentError: `path` names no file, or `durability` is another word.

    Example:
        >>> with Store(path) as store:
        ...     store.search_traces("status = 'ERROR'")
        []
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        queue_size: int = 20_000,
        retry_timeout_s: float = 500.0,
        index_text: bool = True,
        recorder: bool = True,
        durability: str = "process",
    ) -> None:
        if durability not in settings.DURABILITIES:
            raise InvalidArgumentError(
                f"durability is {durability!r}; it must be one of {', '.join(settings.DURABILITIES)}"
            )
        self._process_of_memory = os.getpid() if path == memory.NAME else None
        if self._process_of_memory is not None:
            path = memory.new_path()
        self.path = settings.path_of_file(path)
        self.read_only = read_only
        #: Traces of this process that have not ended, by id.
        self.live: dict[str, recordings.Recording] = {}
        #: Called, on the writing thread, when traces of this process have ended and are in the file.
        self.on_ended: list[Callable[[], object]] = []
        self._file = File(self.path, self.reading, self._write, self.live)
        self._limits = StandingLimits(self.live)
        self._database = Database(
            self.path,
            read_only=read_only,
            index_text=index_text,
            prepare=_prepare,
            idle_work=(IdleWork(self._limits.has_work, self._limits.do_some),),
            record=recorder,
            outlives_power_cut=durability == "power",
        )
        self._database.on_written = self._forget_written
        self.writer = Writer(self._database, queue_size, retry_timeout_s)
        self.writer.has_open = self.live.__len__  # type: ignore[assignment]  # as truthy as a bool
        self.writer.open_records = functools.partial(recordings.open_records, self.live)
        self.writer.will_keep = functools.partial(recordings.will_keep, self.live)
        self.writer.on_start = processes.close_with_process_pool
        self.writer.recorder = self._database.recorder
        self._looked_at = 0.0
        self._said_left_behind = False
        if self._database.recorder is not None:
            self._database.recorder.on_foreign_process = self.start_anew
        self._made = False
        processes.stores.add(self)

    def _forget_written(self, spans: Sequence[Any], ended: bool) -> None:
        recordings.tell_written(self.live, spans)
        if ended:  # the end of a trace may be written after the last of its spans
            for tell in list(self.on_ended):
                tell()

    # ------------------------------------------------------------------------ searching

    def search_traces(
        self,
        filter_string: str | None = None,
        *,
        experiment_ids: Sequence[str] | None = None,
        max_results: int | None = 100,
        order_by: Sequence[str] | str | None = None,
        page_token: str | None = None,
        include_spans: bool = True,
        run_id: str | None = None,
        model_id: str | None = None,
    ) -> PagedList[Trace]:
        """Return the traces that meet a filter, newest first.

        Args:
            filter_string: See the README's table of the filter language. None or "": every trace.
            experiment_ids: Only traces of these experiments; None: of all.
            max_results: None means all.
            order_by: Such as ["duration DESC", "name"].
            page_token: `token` of the page before.
            include_spans: False leaves `data.spans` empty, which is several times faster.
            run_id: Only traces with this `mlflow.sourceRun`.
            model_id: Only traces with this `mlflow.modelId`.

        Returns:
            A list whose `token` gets the next page, None on the last.

        Raises:
            FilterSyntaxError: The filter or the order can't be read.
            InvalidArgumentError: The page token belongs to another search.
            StoreError: The file can't be read.
        """
        from tracestore.contents import searches  # noqa: PLC0415 - not needed by a program that only records

        return searches.find_traces(
            self._file,
            filter_string,
            experiment_ids=experiment_ids,
            max_results=max_results,
            order_by=order_by,
            page_token=page_token,
            include_spans=include_spans,
            run_id=run_id,
            model_id=model_id,
        )

    def search_frame(
        self,
        filter_string: str | None = None,
        *,
        extract_fields: Sequence[str] | None = None,
        return_type: str = "pandas",
        **search: Any,
    ) -> Any:
        """Return what `search_traces` finds as a pandas.DataFrame, polars.DataFrame or pyarrow.Table.

        Args:
            filter_string: As `search_traces`.
            extract_fields: Further columns, such as "retrieve.outputs"; see `frame.prepare`.
            return_type: "pandas", "polars" or "arrow".
            **search: The other arguments of `search_traces`.

        Raises:
            InvalidArgumentError: The package is not installed, or see `search_traces`.
        """
        from tracestore.contents import searches  # noqa: PLC0415 - not needed by a program that only records

        return searches.make_frame(self._file, filter_string, extract_fields, return_type, **search)

    def search_sessions(
        self,
        filter_string: str | None = None,
        *,
        experiment_ids: Sequence[str] | None = None,
        max_results: int | None = 100,
        include_spans: bool = True,
        run_id: str | None = None,
        model_id: str | None = None,
    ) -> PagedList[Session]:
        """Return sessions, the one with the newest trace first, each with its traces in order.

        Args:
            filter_string: Only sessions with a trace that meets it; they come with all their traces.
            experiment_ids: Only traces of these experiments; None: of all.
            max_results: None means all.
            include_spans: False leaves `data.spans` empty, which is several times faster.
            run_id: Only traces with this `mlflow.sourceRun`.
            model_id: Only traces with this `mlflow.modelId`.

        Raises:
            FilterSyntaxError: The filter can't be read.
            StoreError: The file can't be read.
        """
        from tracestore.contents import searches  # noqa: PLC0415 - not needed by a program that only records

        return searches.find_sessions(
            self._file,
            filter_string,
            experiment_ids=experiment_ids,
            max_results=max_results,
            include_spans=include_spans,
            run_id=run_id,
            model_id=model_id,
        )

    def get_session(self, session_id: str, *, include_spans: bool = True) -> Session:
        """Return one session with its traces in order, of whatever experiment.

        Raises:
            NotFoundError: No trace has that session id.
        """
        from tracestore.contents import searches  # noqa: PLC0415 - not needed by a program that only records

        return searches.get_session(self._file, session_id, include_spans=include_spans)

    def count_traces(
        self, filter_string: str | None = None, *, experiment_ids: Sequence[str] | None = None
    ) -> int:
        """Return how many traces meet a filter, without fetching them. Errors as `search_traces`."""
        from tracestore.contents import searches  # noqa: PLC0415 - not needed by a program that only records

        return searches.count(self._file, filter_string, experiment_ids)

    def report(
        self,
        filter_string: str | None = None,
        path: str | os.PathLike[str] = "traces.html",
        *,
        title: str | None = None,
        max_results: int = 1_000,
        **search: Any,
    ) -> str:
        """Write the traces that meet a filter as one self-contained page; return its path.

        The page opens in any browser without network or server, and can be filtered and sorted there. It
        holds everything that was recorded: think before it is sent to somebody.

        Args:
            filter_string: As `search_traces`.
            path: The file, replaced where there is one. About as large as its traces.
            title: Of the window; default the filter.
            max_results: The page says so where more traces meet the filter.
            **search: The other arguments of `search_traces`: experiment_ids, order_by, …

        Raises:
            StoreError: The file can't be written. Else as `search_traces`.
        """
        from tracestore import ui  # noqa: PLC0415 - only for who looks

        found = self.search_traces(filter_string, max_results=max_results, **search)
        total = len(found)
        if found.token is not None:
            total = self.count_traces(filter_string, experiment_ids=search.get("experiment_ids"))
        filter_text = filter_string or ""
        page = ui.page_html(
            found,
            title=title or filter_text or ui.names_of(found),
            filter_string=filter_text,
            total=total,
        )
        ui.write_page(path, page)
        return os.fspath(path)

    def metrics(
        self,
        metrics: Sequence[str] | str | None = None,
        filter_string: str | None = None,
        group_by: Sequence[str] | str | None = None,
        every: str | None = None,
        *,
        zone: dt.tzinfo | str | None = None,
        start: dt.datetime | str | int | None = None,
        end: dt.datetime | str | int | None = None,
        experiment_ids: Sequence[str] | None = None,
        order_by: str | None = None,
        max_results: int | None = None,
    ) -> Answer:
        """Return figures over all traces that meet a filter, by group and by time.

        Args:
            metrics: Such as "error_rate", "p95", "sum(tokens.total)", "mean(feedback.score)"; see the README's
                table. Default: count, error_rate, p50, p95, tokens_total, cost.
            filter_string: As `search_traces`. A `span.` condition chooses traces, not spans.
            group_by: Fields of a trace (`tags.K`, `metadata.K`, `feedback.N`, `session`, `user`, `name`, …) or of
                its spans (`span.name`, `span.type`, `span.model`, …): then figures are of spans. What lacks a
                field is in the group None; of several feedbacks of one name the newest counts.
            every: A length of time, such as "15m", "1h", "1d", "1w": a row for each, empty ones too. A span
                belongs to where its trace starts.
            zone: Time zone of days and of the times that are returned; default UTC.
            start: Only traces that start then or later; the first bucket.
            end: Only traces that start before then; the last bucket.
            experiment_ids: Only traces of these experiments; None: of all.
            order_by: A column, "p95 DESC"; default: time, then groups.
            max_results: The most rows.

        Returns:
            An Answer, see there. Tokens and cost by `span.model` alone are the traces', see `figures.models`.

        Raises:
            InvalidArgumentError: A metric, group, length or moment can't be read.
            FilterSyntaxError: The filter or a field can't be read.
        """
        from tracestore import figures  # noqa: PLC0415 - only where it is asked for

        request = figures.Request(
            metrics=metrics,
            filter_string=filter_string,
            group_by=group_by,
            every=every,
            zone=zone,
            start=start,
            end=end,
            experiments=experiment_keys(experiment_ids),
            order_by=order_by,
            max_results=max_results,
        )
        with self.reading() as connection, ProgressLine("traces read") as progress:
            return figures.measure(connection, request, progress.at)

    def compare(
        self,
        by: Sequence[str] | str,
        metrics: Sequence[str] | str | None = None,
        filter_string: str | None = None,
        *,
        baseline: object = None,
        start: dt.datetime | str | int | None = None,
        end: dt.datetime | str | int | None = None,
        experiment_ids: Sequence[str] | None = None,
    ) -> Answer:
        """Return groups side by side: each metric's value, its difference to the baseline, and how sure that is.

        Args:
            by: What is compared, such as "tags.app_version"; at most 50 groups.
            metrics: As `metrics`. Default: count, error_rate, latency_mean, p95, tokens_mean, cost_mean.
            filter_string: As `search_traces`.
            baseline: The value of the group to compare with; default the first, in natural order.
            start: Only traces that start then or later.
            end: Only traces that start before then.
            experiment_ids: Only traces of these experiments; None: of all.

        Returns:
            A row for each metric and group: value, difference, and both ends of the 95 % interval of the
            difference: Newcombe's of Wilson's score intervals (1998) for shares, the percentile bootstrap (Efron
            and Tibshirani 1993, 2,000 resamples, always the same) for means and percentiles, none for counts and
            sums. `notes` say each difference in words, also where it is too small to tell.

        Raises:
            InvalidArgumentError: There is no such baseline, too many groups, or as `metrics`.
            FilterSyntaxError: The filter or a field can't be read.
        """
        from tracestore import comparison, figures  # noqa: PLC0415 - only where it is asked for

        request = figures.Request(
            metrics=metrics or comparison.DEFAULT_METRICS,
            filter_string=filter_string,
            group_by=by,
            start=start,
            end=end,
            experiments=experiment_keys(experiment_ids),
        )
        with self.reading() as connection, ProgressLine("traces read") as progress:
            return comparison.compare(connection, request, baseline, progress.at)

    def correlate(
        self,
        filter_string: str,
        *,
        within: str | None = None,
        experiment_ids: Sequence[str] | None = None,
        max_results: int | None = 20,
        min_count: int = 3,
    ) -> Answer:
        """Return what traces that meet a filter have more often than all others, the most telling first.

        Looks at tags, metadata, names, span names, types, models, errors and attributes, and assessments; what
        the filter itself speaks of is left out.

        Args:
            filter_string: Which traces are to be told apart, such as "status = 'ERROR'".
            within: Only look at traces that meet this filter too.
            experiment_ids: Only traces of these experiments; None: of all.
            max_results: The most rows; None: all.
            min_count: The fewest matching traces that have it.

        Returns:
            Rows of condition (a filter), counts and shares among matching and other traces, how many times as
            frequent, and Dunning's log-likelihood G² (1993), by which they are ranked. What chance may have
            brought is left out (5 % over all conditions tried, Bonferroni).

        Raises:
            FilterSyntaxError: A filter can't be read.
        """
        from tracestore import comparison  # noqa: PLC0415 - only where it is asked for

        line = ProgressLine("tables looked at", comparison.TABLES)
        with self.reading() as connection, line as progress:
            return comparison.correlate(
                connection,
                filter_string,
                within,
                experiment_keys(experiment_ids),
                max_results,
                min_count,
                progress.at,
            )

    def explain(
        self, filter_string: str | None = None, order_by: Sequence[str] | str | None = None
    ) -> str:
        """Return how a search would run: SQL, bound values, SQLite's query plan, as one text."""
        from tracestore.contents import searches  # noqa: PLC0415 - not needed by a program that only records

        return searches.explain(self._file, filter_string, order_by)

    def get_trace(self, trace_id: str) -> Trace:
        """Return one trace, also one that is still running, with its spans as they stand.

        Raises:
            NotFoundError: There is no such trace.
        """
        return traces.get(self._file, self.live.get(trace_id), trace_id)

    def span_counts(self, trace_ids: Sequence[str]) -> dict[str, int]:
        """Return how many spans each of these traces has, without loading them; unknown ids are left out."""
        with self.reading() as connection:
            return trace_rows.span_counts(connection, trace_ids)

    def failures(self, trace_ids: Sequence[str]) -> dict[str, str]:
        """Return what those of these traces that failed say of it: of the failed span that started last."""
        with self.reading() as connection:
            return trace_rows.failures(connection, trace_ids)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a context manager that flushes and lends a reading connection."""
        for store in _stores_of(self.path):
            if not store.read_only:
                store.writer.flush(READ_FLUSH_S)
                store._leave_replaced_file()  # noqa: SLF001 - the same class
        self._take_over()
        there = self._made and os.path.exists(self.path)  # noqa: PTH110 - a path as text
        if not (self.read_only or there):
            if version_of(self.path) != schema.VERSION:
                self._write(lambda _connection: None)  # makes or migrates it, or waits for who does
            self._made = True
        return self._database.readers.lend()

    def _leave_replaced_file(self) -> None:
        """Have the writer notice that another file bears the name now: its WAL lies beside that one."""
        if self._database.was_replaced:
            self._write(lambda _connection: None)

    def _take_over(self) -> None:
        """Have the writer take over what processes that died have left, if there is any; looks once a second."""
        now = time.monotonic()
        if now - self._looked_at < 1.0:
            return
        self._looked_at = now
        if self._database.left_behind():
            if self.read_only:
                self._say_left_behind()
                return
            self._database.look_for_spools = True
            with contextlib.suppress(
                StoreError
            ):  # a full disk: what is there can be read all the same
                self.writer.run(lambda _connection: None, READ_FLUSH_S)

    def _say_left_behind(self) -> None:
        if not self._said_left_behind:
            self._said_left_behind = True
            log.warning(
                "a process that was killed left records beside %s, which a store that is opened with read_only=True "
                "can't take over and does not see; stats() counts the traces. Open it once for writing",
                self.path,
            )

    # ------------------------------------------------------------------------ changing traces

    def set_trace_tag(self, trace_id: str, key: str, value: Any) -> None:
        """Set one tag; durable and visible on return. A value that is no text becomes its `str()`.

        Raises:
            NotFoundError: There is no such trace.
            InvalidArgumentError: The key is no text, empty, or longer than 250 characters.
        """
        traces.set_tag(self._file, self.live.get(trace_id), trace_id, key, value)

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Delete one tag.

        Raises:
            NotFoundError: There is no such trace, or it has no such tag.
        """
        traces.delete_tag(self._file, self.live.get(trace_id), trace_id, key)

    def set_metadata(self, trace_ids: Sequence[str], key: str, value: Any) -> None:
        """Set one metadata text of stored traces. For what is known of them only afterwards.

        Raises:
            NotFoundError: There is no such trace; then none is changed.
            InvalidArgumentError: The key is no text, empty, or longer than 250 characters.
        """
        traces.set_metadata(self._file, trace_ids, key, value)

    def delete_metadata(self, trace_ids: Sequence[str], key: str, value: Any) -> None:
        """Delete one metadata text of stored traces, where it is `value`."""
        traces.delete_metadata(self._file, trace_ids, key, value)

    def delete_traces(
        self,
        experiment_id: str,
        max_timestamp_millis: int | None = None,
        max_traces: int | None = None,
        trace_ids: Sequence[str] | None = None,
    ) -> int:
        """Delete traces of one experiment, by id or up to a time, oldest first; return how many.

        Args:
            experiment_id: Traces of other experiments are left alone.
            max_timestamp_millis: Delete traces that started then or earlier.
            max_traces: At most so many, with `max_timestamp_millis` only.
            trace_ids: Delete these.

        Raises:
            InvalidArgumentError: Not exactly one of `max_timestamp_millis` and `trace_ids` is given.
        """
        return traces.delete(self._file, experiment_id, max_timestamp_millis, max_traces, trace_ids)

    # ------------------------------------------------------------------------ assessments

    def log_feedback(
        self,
        trace_id: str | None,
        name: str = "feedback",
        value: Any = None,
        source: AssessmentSource | None = None,
        error: AssessmentError | BaseException | str | None = None,
        rationale: str | None = None,
        metadata: dict[str, Any] | None = None,
        span_id: str | None = None,
    ) -> Feedback:
        """Store feedback on a trace, or on one of its spans; durable and visible on return.

        Args:
            trace_id: The trace, stored or still running.
            name: What is judged.
            value: Any JSON value: a flag, a number, a category, an object.
            source: Who judged; default CODE.
            error: Why there is no value.
            rationale: Why this value.
            metadata: Further text by key.
            span_id: A span of the trace.

        Raises:
            NotFoundError: There is no such trace.
            InvalidArgumentError: `source` or `error` is of another type.
        """
        return self.log_assessment(
            trace_id,
            Feedback(
                name=name,
                value=value,
                source=source,  # type: ignore[arg-type]  # None becomes the default source
                error=error,  # type: ignore[arg-type]  # exceptions and texts are converted
                rationale=rationale,
                metadata=metadata,
                span_id=span_id,
            ),
        )

    def log_expectation(
        self,
        trace_id: str | None,
        name: str,
        value: Any,
        source: AssessmentSource | None = None,
        metadata: dict[str, Any] | None = None,
        span_id: str | None = None,
    ) -> Expectation:
        """Store what the right answer would have been; otherwise as `log_feedback`. Source: HUMAN."""
        return self.log_assessment(
            trace_id,
            Expectation(
                name=name,
                value=value,
                source=source,  # type: ignore[arg-type]  # None becomes the default source
                metadata=metadata,
                span_id=span_id,
            ),
        )

    def log_assessment(self, trace_id: str | None, assessment: A) -> A:
        """Store a Feedback or Expectation; return a copy with its id and trace, and give these to `assessment`.

        The same object may be stored again, and is another assessment then. For a trace that is not recorded
        (tracing is off) nothing is stored, and `assessment` comes back without an id.

        Raises:
            NotFoundError: There is no such trace, or no such assessment to override.
            InvalidArgumentError: `assessment` is of another type, or its name is no text.
        """
        running = None if trace_id is None else self.live.get(trace_id)
        return assessments.log(self._file, running, trace_id, assessment)

    def get_assessment(self, trace_id: str, assessment_id: str) -> Feedback | Expectation:
        """Return one assessment, also one that is overridden.

        Raises:
            NotFoundError: There is no such trace, or no such assessment of it.
        """
        return assessments.get(self._file, trace_id, assessment_id)

    def update_assessment(self, trace_id: str, assessment_id: str, assessment: A) -> A:
        """Change an assessment in place; return it as it is stored now.

        Name and value (and a feedback's error) become those of `assessment`, its metadata is merged, its
        rationale counts unless None. Id, span, source and time of creation stay.

        Raises:
            NotFoundError: There is no such trace, or no such assessment of it.
            InvalidArgumentError: The stored one is feedback and `assessment` an expectation, or the reverse.
        """
        return assessments.update(self._file, trace_id, assessment_id, assessment)

    def override_feedback(
        self,
        trace_id: str,
        assessment_id: str,
        value: Any,
        rationale: str | None = None,
        source: AssessmentSource | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Feedback:
        """Store feedback that takes the place of another, which is kept but no longer valid.

        Filters, `Trace.search_assessments` and sums see the new one only; deleting it brings the old one back.
        Name and span are those of the old one, the source is CODE unless given.

        Raises:
            NotFoundError: There is no such trace, or no such assessment of it.
            InvalidArgumentError: It is an expectation; `update_assessment` changes one.
        """
        stored = self.get_assessment(trace_id, assessment_id)
        return self.log_assessment(trace_id, overriding(stored, value, rationale, source, metadata))

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete an assessment; what only it overrode is valid again. Nothing happens where there is none."""
        assessments.delete(self._file, trace_id, assessment_id)

    # ------------------------------------------------------------------------ experiments

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None
    ) -> str:
        """Make an experiment and return its id.

        Raises:
            AlreadyExistsError: There is one of that name, perhaps a deleted one.
            InvalidArgumentError: The name is no text, or blank.
        """
        return experiments.create(self._file, name, artifact_location, tags)

    def get_or_create_experiment(self, name: str) -> Experiment:
        """Return the experiment of that name, made if there is none.

        Raises:
            InvalidArgumentError: The name is blank, or the experiment was deleted.
        """
        return experiments.get_or_create(self._file, name)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment by id; NotFoundError where there is none."""
        return experiments.get(self._file, experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment by its exact name, None where there is none."""
        return experiments.find_by_name(self._file, name)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = None,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """Return experiments, the newest first.

        Args:
            view_type: Active ones, deleted ones or all, see ViewType.
            max_results: Of a page; None: all.
            filter_string: About name, experiment_id, creation_time, last_update_time, tags.K, in the language
                that traces are searched with.
            order_by: Such as ["name DESC"].
            page_token: `token` of the page before.

        Raises:
            FilterSyntaxError: The filter or the order can't be read.
            InvalidArgumentError: The token or `max_results` is none.
        """
        return experiments.search(
            self._file, view_type, filter_string, order_by, max_results, page_token
        )

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an active experiment another name.

        Raises:
            NotFoundError: There is no such experiment.
            AlreadyExistsError: Another one has that name.
            InvalidArgumentError: The name is blank, or the experiment is deleted.
        """
        experiments.rename(self._file, experiment_id, new_name)

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment as deleted; its traces stay, and `restore_experiment` brings it back.

        Raises:
            NotFoundError: There is no such experiment.
            InvalidArgumentError: It is deleted already, or it is the default one, "0".
        """
        experiments.delete(self._file, experiment_id)

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back.

        Raises:
            NotFoundError: There is no such experiment, or it is not deleted.
        """
        experiments.restore(self._file, experiment_id)

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set one tag of an experiment. A value that is no text becomes its `str()`.

        Raises:
            NotFoundError: There is no such experiment.
            InvalidArgumentError: The key is no text, empty or too long, or the experiment is deleted.
        """
        experiments.set_tag(self._file, experiment_id, key, value)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete one tag of an experiment.

        Raises:
            NotFoundError: There is no such experiment, or it has no such tag.
            InvalidArgumentError: The experiment is deleted.
        """
        experiments.delete_tag(self._file, experiment_id, key)

    # ------------------------------------------------------------------------ the file

    def flush(self, timeout_s: float = 60.0) -> Flushed:
        """Wait until all that was recorded so far is in the file, at most `timeout_s` seconds.

        Returns:
            Counts of records: durable, dropped, still pending. True in a condition if none is pending.
        """
        return self.writer.flush(timeout_s)

    def stats(self) -> dict[str, Any]:
        """Return counters of this process (queued, written, dropped, failed) and of the file.

        The file's: path, size_bytes (with its WAL), traces, spans, assessments, left_behind: traces that killed
        processes left beside the file, which the next store that is open for writing takes over, and
        unreadable_spools: files there that can't be read, which `check` names. None, and an `error`
        that says why, where it can't be read. Counting takes a pass over an index, 10 ms for 100,000 traces.
        """
        names = (
            *("traces", "spans", "assessments"),
            *("left_behind", "unreadable_spools", "size_bytes"),
        )
        found: dict[str, Any] = dict.fromkeys(names)
        try:
            with self.reading() as connection:
                found |= trace_rows.counts(connection)
                found["left_behind"], found["unreadable_spools"] = recovery.traces_left_behind(
                    connection, self.path
                )
            found["size_bytes"] = sum(
                os.path.getsize(self.path + suffix)  # noqa: PTH202 - a path as text
                for suffix in ("", "-wal")
                if os.path.exists(self.path + suffix)  # noqa: PTH110 - a path as text
            )
        except (StoreError, OSError) as error:
            found["error"] = str(error)
        return {**self.writer.stats(), **found, "path": self.path}

    def index_text(self) -> int:
        """Index all text that is not indexed yet; return about how many spans that were.

        Not needed: the writer does it bit by bit when it has nothing else to do, and a search also looks at
        what is not indexed. About 10 MB of text a second. Returns 0 where this SQLite has no FTS5.
        """
        self.flush()
        begun = self._write(indexer.indexed_to)
        while self._write(indexer.index_some):
            pass
        return self._write(indexer.indexed_to) - begun

    # ------------------------------------------------------------------------ upkeep

    def prune(
        self,
        *,
        older_than: str | float | dt.timedelta | None = None,
        max_traces: int | None = None,
        max_bytes: str | int | None = None,
        keep: str | None = None,
        filter: str | None = None,  # noqa: A002 - the name of what it is
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> Pruned:
        """Delete traces that break a limit, the oldest first, and give their space back to the disk.

        Others go on recording: the file is held for about 25 ms at a time. Traces in progress stay, unless
        they started more than a day ago and this process does not record them. Interrupted, it has deleted
        the oldest; call it again. A limit that `keep` is in the way of is not reached.

        Args:
            older_than: Delete what started longer ago: "30d", "12h", seconds or a timedelta.
            max_traces: Delete until no more than so many are left, of those that meet `filter`.
            max_bytes: Delete until what the file holds takes no more than this: bytes, "500 MB", "2GiB".
            keep: A filter, such as "feedback.correct IS NOT NULL". What meets it stays.
            filter: Delete only what meets it; without a limit, all of that.
            dry_run: Change nothing, only say what would go. For `max_bytes` that is an estimate.
            progress: Called as progress(phase, done, total).

        Raises:
            InvalidArgumentError: An argument can't be read, or nothing says what is to go.
            FilterSyntaxError: A filter can't be read.

        Example:
            >>> with Store(path) as store:
            ...     store.prune(older_than="30d", keep="feedback.correct IS NOT NULL").traces
            0
        """
        from tracestore.upkeep import limits, prune  # noqa: PLC0415 - rarely needed

        given = limits.read_limits(older_than, max_traces, max_bytes, keep, filter)
        if self.read_only and not dry_run:
            raise _read_only(self.path)
        return prune.prune(self._file, given, progress, dry_run=dry_run)

    def set_retention(
        self,
        *,
        older_than: str | float | dt.timedelta | None = None,
        max_traces: int | None = None,
        max_bytes: str | int | None = None,
        keep: str | None = None,
        filter: str | None = None,  # noqa: A002 - the name of what it is
    ) -> Limits | None:
        """Set what `prune` shall do by itself; without arguments: nothing. Return it.

        The limits are kept in the file. Every process that records into it looks once a minute, when it has
        nothing to write, and deletes in steps of about 25 ms.

        Raises:
            InvalidArgumentError: As `prune`.
            FilterSyntaxError: A filter can't be read.

        Example:
            >>> with Store(path) as store:
            ...     store.set_retention(older_than="90d", max_bytes="2 GB").max_bytes
            2000000000
        """
        from tracestore.upkeep import limits, retention  # noqa: PLC0415 - rarely needed

        given = (older_than, max_traces, max_bytes, keep, filter)
        found = None if given == (None,) * 5 else limits.read_limits(*given)
        self._write(lambda connection: retention.write(connection, found))
        self._limits.check_soon()
        return found

    def get_retention(self) -> Limits | None:
        """Return what `set_retention` set, by whatever process; None where nothing is."""
        from tracestore.upkeep import retention  # noqa: PLC0415 - rarely needed

        with self.reading() as connection:
            return retention.read(connection)

    def check(self, *, progress: Progress = silent) -> list[Finding]:
        """Return what is wrong with the file, the worst first; an empty list where nothing is.

        SQLite's own check of pages and indexes, and then every rule of a store: rows that belong to nothing,
        JSON that is none, attributes and text that their indexes don't have, spans that don't match their
        checksum. Spans from before schema version 3 have none. And what lies beside it: spools that can't be read, copies
        that killed processes left. Reads everything, about 25 MB a second, in short steps: programs go on recording.

        Args:
            progress: Called as progress(phase, done, total).

        Raises:
            StoreError: The file can't be opened at all.

        Example:
            >>> with Store(path) as store:
            ...     store.check()
            []
        """
        from tracestore.upkeep import check  # noqa: PLC0415 - rarely needed

        return check.check(self._file, progress)

    def backup(self, path: str | os.PathLike[str], *, progress: Progress = silent) -> Copied:
        """Copy the file, as it is at this moment, to a new file; the only safe way while it is in use.

        Programs go on recording. The copy is verified and then appears under its name whole, for its owner only;
        interrupted, there is none. Of what other processes have recorded it holds what they have written.

        Args:
            path: The new file; nothing may be called that.
            progress: Called as progress(phase, done, total).

        Raises:
            AlreadyExistsError: There is something at `path`.
            DamagedFileError: The store itself is damaged.
            StoreError: `path` can't be written.

        Example:
            >>> with Store(path) as store:
            ...     store.backup(path + ".backup").traces
            0
        """
        from tracestore.upkeep import copies  # noqa: PLC0415 - rarely needed

        return copies.backup(self._file, path, progress)

    def extract(
        self,
        filter_string: str | None,
        path: str | os.PathLike[str],
        *,
        progress: Progress = silent,
    ) -> Copied:
        """Copy the traces that meet a filter into a new store, with their assessments and experiments.

        Args:
            filter_string: As `search_traces`; None: all, which makes a compact copy.
            path: The new file; nothing may be called that. It appears whole, for its owner only.
            progress: Called as progress(phase, done, total).

        Raises:
            AlreadyExistsError: There is something at `path`.
            FilterSyntaxError: The filter can't be read.
            StoreError: `path` can't be written.

        Example:
            >>> with Store(path) as store:
            ...     store.extract("status = 'ERROR'", path + ".errors").traces
            0
        """
        from tracestore.upkeep import copies  # noqa: PLC0415 - rarely needed

        return copies.extract(self._file, filter_string, path, progress)

    def merge(
        self,
        other: str | os.PathLike[str],
        filter_string: str | None = None,
        *,
        progress: Progress = silent,
    ) -> Merged:
        """Take the traces of another store's file into this one; that file is only read.

        Ids stay; experiments go by name. Of a trace that both have, the one that has ended goes before one in
        progress, of two that have ended the later; tags, metadata, spans and assessments that the winner
        lacks are added. The same merge again changes nothing, so one that was interrupted is called again.

        Args:
            other: The other file.
            filter_string: Only traces that meet this.
            progress: Called as progress(phase, done, total).

        Raises:
            ForeignFileError: `other` is no store, or its schema was tampered with.
            StoreError: `other` can't be read.

        Example:
            >>> with Store(path) as store, Store(path + ".other") as other:
            ...     _ = other.create_experiment("makes the file")
            ...     store.merge(other.path).added
            0
        """
        from tracestore.upkeep import copies  # noqa: PLC0415 - rarely needed

        if self.read_only:
            raise _read_only(self.path)
        return copies.merge(self._file, other, filter_string, progress)

    def vacuum(self, *, progress: Progress = silent) -> Vacuumed:
        """Make the file smaller: rows that belong to nothing, gaps of the text index, free pages.

        Also removes what killed processes left of copies that they were making in the file's folder.

        In steps of about 25 ms, so programs go on recording. `extract(None, path)` makes the smallest copy.

        Args:
            progress: Called as progress(phase, done, total).

        Example:
            >>> with Store(path) as store:
            ...     store.vacuum().removed_rows
            0
        """
        from tracestore.upkeep import vacuum  # noqa: PLC0415 - rarely needed

        if self.read_only:
            raise _read_only(self.path)
        return vacuum.vacuum(self._file, progress)

    def redact(
        self,
        filter_string: str | None = None,
        *,
        patterns: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Redacted:
        """Replace secrets in stored traces, and wipe them from the file's bytes.

        What the redaction of new traces replaces, and besides what matches `patterns` and values under
        `names`. Copies elsewhere (backups, spools of processes that run, exports) are not touched.

        Args:
            filter_string: Only traces that meet it.
            patterns: Regular expressions; keep them linear, they run over every text.
            names: Keys, as they are written, whose values are replaced.

        Raises:
            InvalidArgumentError: A pattern is no regular expression, or matches where there is no text.

        Example:
            >>> with Store(path) as store:
            ...     store.redact("user = 'ada'", names=["email"]).changed
            0
        """
        from tracestore.upkeep import redact  # noqa: PLC0415 - rarely needed

        rules = redact.rules(patterns, names)
        found = self.search_traces(filter_string, max_results=None, include_spans=False)
        done = redact.redact(self._write, [trace.trace_id for trace in found], rules)
        self.vacuum()
        self._database.must_empty_wal = True
        self._write(lambda connection: connection.execute("UPDATE text_progress SET id = id"))
        return done

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued and what is open, within `timeout_s`, and close the file; True if all is written.

        What is recorded after that is still written, on the thread that records it.
        """
        for trace in list(self.live.values()):
            trace.announce_open()
        done = self.writer.close(timeout_s)
        self._database.leave_spool()
        self._database.readers.close()
        if self._process_of_memory is not None:
            memory.remove(self.path, self._process_of_memory)
        return done

    def pause(self) -> None:
        """Before a fork: have nothing open and no thread running."""
        self.writer.pause(2.0)
        self._database.readers.shut(2.0)

    def resume(self) -> None:
        """After a fork, in the parent."""
        self._database.readers.open()
        self.writer.resume()

    def start_anew(self) -> None:
        """After a fork, in the child: what the parent had queued is the parent's.

        Where the parent's connections were open, because a write hung, a search took too long or C code forked, the
        child never writes to the file: what it records waits in its spool for another process.
        """
        self._database.forget()
        self.writer.reset()
        self.live.clear()  # what the parent has open, the parent ends

    def transact(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job(connection)` on the writing thread in one transaction and return its result.

        For importers and upkeep, which write rows of their own.

        Raises:
            StoreError: The file can't be written.
        """
        return self._write(job)

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self.read_only:
            raise _read_only(self.path)
        return self.writer.run(job)  # type: ignore[no-any-return]  # whatever the job returns

    def __enter__(self) -> Store:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.path!r}{', read_only=True' if self.read_only else ''})"


def _read_only(path: str) -> ReadOnlyError:
    return ReadOnlyError(f"{path} was opened with read_only=True; open it for writing")


def _prepare(connection: sqlite3.Connection) -> None:
    from tracestore.filters import functions  # noqa: PLC0415 - not needed by a program that only records

    functions.register(connection)


@checked
def repair(
    path: str | os.PathLike[str],
    new_path: str | os.PathLike[str],
    *,
    progress: Progress = silent,
) -> Repaired:
    """Save what a damaged file still holds into a new file, and say what was lost.

    Every page is read, whether or not SQLite still finds it, with what the WAL holds; what a table lost is taken
    from its indexes where they have it. Spans that were changed by the damage and could be read are saved and named
    (`changed_spans`). The damaged file is only read. About 10 MB a second. Close what else uses
    the file before: this reads past SQLite's locks.

    Args:
        path: The damaged file.
        new_path: The new file; nothing may be called that. It appears whole, for its owner only.
        progress: Called as progress(phase, done, total).

    Raises:
        AlreadyExistsError: There is something at `new_path`.
        ForeignFileError: The file holds nothing that tracestore has written.
        InvalidArgumentError: This process has the file open.
        StoreError: The file can't be read, or the new one not be written.

    Example:
        >>> with Store(path) as store:
        ...     _ = store.create_experiment("makes the file")
        >>> repair(path, path + ".repaired").lost
        {}
    """
    from tracestore.upkeep import repair  # noqa: PLC0415 - rarely needed

    source = settings.path_of_file(path)
    if any(store._database.is_open for store in _stores_of(source)):  # noqa: SLF001 - of this module
        raise InvalidArgumentError(f"{source} is open in this process; close the store first")
    return repair.repair(source, new_path, progress)


def make_ready(path: str) -> None:
    """Have the store at `path` migrated, and what killed processes left written, before it is only read.

    Nothing where neither is due, 0.1 ms, and where the file is no store or can't be written: reading says that.
    """
    with contextlib.suppress(StoreError):
        if recovery.left_behind(path) or (version_of(path) or schema.VERSION) < schema.VERSION:
            with Store(path, recorder=False) as store, store.reading():
                pass


def _stores_of(path: str) -> list[Store]:
    """Return this process's stores of one file: reads see what another one of them has queued."""
    return [
        store for store in list(processes.stores) if isinstance(store, Store) and store.path == path
    ]
