"""A store: one file with all the verbs for it. `tracestore.open(path)` gives one.

Puts together the file (storage), the language (filters, search) and the entities. Reads see everything that
was recorded before in this process: they flush first, with a deadline.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tracestore import assessments, frame, ids, settings
from tracestore.arguments import checked, shown
from tracestore.assessments import A
from tracestore.encoding import clean_text, text_of
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
from tracestore.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    ReadOnlyError,
    StoreError,
)
from tracestore.progress import ProgressLine
from tracestore.redaction import policy
from tracestore.storage import (
    assessment_rows,
    experiment_rows,
    indexer,
    memory,
    processes,
    record_rows,
    recovery,
    schema,
    statements,
    trace_forms,
    trace_rows,
)
from tracestore.storage.connection import version_of
from tracestore.storage.database import Database, IdleWork
from tracestore.storage.schema import ID_BITS
from tracestore.storage.writer import Flushed, Writer
from tracestore.upkeep.file import File, Progress, silent
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


class Recording(Protocol):
    """A trace that is being recorded in this process, as far as a store cares."""

    def set_tag(self, key: str, value: str) -> None:
        """Set a tag of the running trace."""

    def delete_tag(self, key: str) -> bool:
        """Delete a tag of the running trace; False where it has none of that name."""

    def announce_open(self) -> None:
        """Have the trace and its open spans written as they stand."""

    def open_records(self, age_s: float) -> list[Any]:
        """Return records of what is open and not in the file yet."""

    @property
    def has_ended(self) -> bool:
        """Whether its root has ended."""

    def written(self, record: Any) -> None:
        """Take note that a span's record is in the file."""

    def keeps(self, span_id: str) -> bool:
        """Whether the recorder will be given this span when the trace ends."""


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
        self.live: dict[str, Recording] = {}
        #: Called, on the writing thread, when traces of this process have ended and are in the file.
        self.on_ended: list[Callable[[], object]] = []
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
        self.writer.open_records = self._open_records
        self.writer.will_keep = self._will_keep
        self.writer.on_start = processes.close_with_process_pool
        self.writer.recorder = self._database.recorder
        self._looked_at = 0.0
        self._said_left_behind = False
        if self._database.recorder is not None:
            self._database.recorder.on_foreign_process = self.start_anew
        self._made = False
        processes.stores.add(self)

    def _forget_written(self, spans: Sequence[Any], ended: bool) -> None:
        for span in spans:
            trace = self.live.get(span[0])
            if trace is not None:
                trace.written(span)
        if ended:  # the end of a trace may be written after the last of its spans
            for tell in list(self.on_ended):
                tell()

    def _will_keep(self, record: Any) -> bool:
        trace = self.live.get(record[0])
        return trace is not None and trace.keeps(record[1])

    def _open_records(self, age_s: float) -> list[Any]:
        return [
            record for trace in list(self.live.values()) for record in trace.open_records(age_s)
        ]

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
        with self.reading() as connection:
            keys, token = _find(
                connection,
                filter_string,
                experiment_ids=experiment_ids,
                max_results=max_results,
                order_by=order_by,
                page_token=page_token,
                run_id=run_id,
                model_id=model_id,
            )
            traces = trace_rows.load_traces(connection, keys, include_spans=include_spans)
            return PagedList(traces, token)

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
        make_table = frame.prepare(extract_fields, return_type)
        include_spans = search.pop("include_spans", True)
        with self.reading() as connection:
            keys, _ = _find(connection, filter_string, **search)
            return make_table(trace_forms.load_forms(connection, keys, include_spans=include_spans))

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
        from tracestore import search, sessions  # noqa: PLC0415 - not needed by a program that only records

        also = _also(run_id, model_id)
        experiments = experiment_keys(experiment_ids)
        chosen = search.Query(filter_string, None, experiments, also)
        members = search.Query(None, None, experiments, also)
        with self.reading() as connection:
            found = sessions.newest_sessions(connection, chosen, max_results)
            keys = sessions.keys_of_sessions(connection, found, members)
            whole = trace_rows.load_traces(
                connection, list(itertools.chain.from_iterable(keys)), include_spans=include_spans
            )
            traces: dict[str | None, list[Trace]] = {each: [] for each in found}
            for trace in whole:
                traces[trace.info.session_id].append(trace)
        return PagedList(Session(some) for some in traces.values() if some)

    def get_session(self, session_id: str, *, include_spans: bool = True) -> Session:
        """Return one session with its traces in order, of whatever experiment.

        Raises:
            NotFoundError: No trace has that session id.
        """
        from tracestore import search, sessions  # noqa: PLC0415 - not needed by a program that only records

        with self.reading() as connection:
            [keys] = sessions.keys_of_sessions(connection, [session_id], search.Query())
            traces = trace_rows.load_traces(connection, keys, include_spans=include_spans)
            session = Session(traces)
        if not session.traces:
            raise NotFoundError(f"session {session_id!r} is not in {self.path}")
        return session

    def count_traces(
        self, filter_string: str | None = None, *, experiment_ids: Sequence[str] | None = None
    ) -> int:
        """Return how many traces meet a filter, without fetching them. Errors as `search_traces`."""
        from tracestore import search  # noqa: PLC0415 - not needed by a program that only records

        with self.reading() as connection:
            query = search.Query(filter_string, None, experiment_keys(experiment_ids))
            return search.count(connection, query)

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
            OSError: The file can't be written. Else as `search_traces`.
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
        from tracestore import search  # noqa: PLC0415 - not needed by a program that only records

        with self.reading() as connection:
            return search.explain(connection, search.Query(filter_string, order_by))

    def get_trace(self, trace_id: str) -> Trace:
        """Return one trace, also one that is still running, with its spans as they stand.

        Raises:
            NotFoundError: There is no such trace.
        """
        self._announce(trace_id)
        with self.reading() as connection:
            key = record_rows.key_of(connection, trace_id)
            traces = [] if key is None else list(trace_rows.load_traces(connection, [key]))
        if not traces:
            raise NotFoundError(f"trace {trace_id!r} is not in {self.path}")
        return traces[0]

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
        key, text = _tag(key, value)
        running = self.live.get(trace_id)
        if running is not None:
            running.set_tag(key, text)
        elif not self._write(
            lambda connection: trace_rows.set_tag(connection, trace_id, key, text)
        ):
            raise NotFoundError(f"trace {trace_id!r} is not in {self.path}")

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Delete one tag.

        Raises:
            NotFoundError: There is no such trace, or it has no such tag.
        """
        running = self.live.get(trace_id)
        found = running is not None and running.delete_tag(key)
        stored = self._write(lambda connection: trace_rows.delete_tag(connection, trace_id, key))
        if not (found or stored):
            raise NotFoundError(f"trace {trace_id!r} has no tag {key!r}")

    def set_metadata(self, trace_ids: Sequence[str], key: str, value: Any) -> None:
        """Set one metadata text of stored traces. For what is known of them only afterwards.

        Raises:
            NotFoundError: There is no such trace; then none is changed.
            InvalidArgumentError: The key is no text, empty, or longer than 250 characters.
        """
        key, text = _tag(key, value)

        def set_all(connection: sqlite3.Connection) -> str | None:
            keys = {each: record_rows.key_of(connection, each) for each in trace_ids}
            missing = next((each for each, found in keys.items() if found is None), None)
            if missing is None:
                rows = [(found, key, text) for found in keys.values()]
                statements.insert(connection, record_rows.METADATA, rows)
            return missing

        missing = self._write(set_all)
        if missing is not None:
            raise NotFoundError(f"trace {missing!r} is not in {self.path}")

    def delete_metadata(self, trace_ids: Sequence[str], key: str, value: Any) -> None:
        """Delete one metadata text of stored traces, where it is `value`."""

        def delete_all(connection: sqlite3.Connection) -> None:
            for trace_id in trace_ids:
                connection.execute(
                    "DELETE FROM metadata WHERE key = ? AND value = ?"
                    " AND trace = (SELECT id FROM traces WHERE trace_id = ?)",
                    (key, text_of(value), trace_id),
                )

        self._write(delete_all)

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
        if (max_timestamp_millis is None) == (not trace_ids):
            raise InvalidArgumentError("pass either max_timestamp_millis or trace_ids (not empty)")
        if max_traces is not None and (max_timestamp_millis is None or max_traces < 1):
            raise InvalidArgumentError(
                "max_traces goes with max_timestamp_millis and is at least 1"
            )
        experiment = experiment_key(experiment_id)

        def delete(connection: sqlite3.Connection) -> int:
            if max_timestamp_millis is not None:
                keys = trace_rows.keys_up_to(
                    connection, experiment, ((max_timestamp_millis + 1) << ID_BITS) - 1, max_traces
                )
            else:
                keys = trace_rows.keys_among(connection, experiment, trace_ids or ())
            return trace_rows.delete_traces(connection, keys)

        return self._write(delete)

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
        if trace_id is None or trace_id == ids.NO_OP_TRACE_ID:
            return assessments.checked(assessment)
        stored = assessments.prepared(assessment, trace_id)
        value = assessments.encoded_value(stored)
        self._announce(trace_id)

        def insert(connection: sqlite3.Connection) -> bool:
            if stored.overrides is not None:
                self._assessment(connection, trace_id, stored.overrides)
            return assessment_rows.insert_assessment(connection, stored, value)

        if not self._write(insert):
            raise NotFoundError(f"trace {trace_id!r} is not in {self.path}")
        assessment.trace_id, assessment.assessment_id = trace_id, stored.assessment_id
        return stored

    def get_assessment(self, trace_id: str, assessment_id: str) -> Feedback | Expectation:
        """Return one assessment, also one that is overridden.

        Raises:
            NotFoundError: There is no such trace, or no such assessment of it.
        """
        with self.reading() as connection:
            return self._assessment(connection, trace_id, assessment_id)

    def update_assessment(self, trace_id: str, assessment_id: str, assessment: A) -> A:
        """Change an assessment in place; return it as it is stored now.

        Name and value (and a feedback's error) become those of `assessment`, its metadata is merged, its
        rationale counts unless None. Id, span, source and time of creation stay.

        Raises:
            NotFoundError: There is no such trace, or no such assessment of it.
            InvalidArgumentError: The stored one is feedback and `assessment` an expectation, or the reverse.
        """
        value = assessments.encoded_value(assessments.checked(assessment))

        def update(connection: sqlite3.Connection) -> Any:
            stored = self._assessment(connection, trace_id, assessment_id)
            changed = assessments.changed(stored, assessment)
            assessment_rows.update_assessment(connection, changed, value)
            return changed

        return self._write(update)  # type: ignore[no-any-return]  # of the type of `assessment`

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
        return self.log_assessment(
            trace_id, assessments.overriding(stored, value, rationale, source, metadata)
        )

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete an assessment; what only it overrode is valid again. Nothing happens where there is none."""
        self._write(
            lambda connection: assessment_rows.delete_assessment(
                connection, trace_id, assessment_id
            )
        )

    def _assessment(
        self, connection: sqlite3.Connection, trace_id: str, assessment_id: str
    ) -> Feedback | Expectation:
        found = assessment_rows.find_assessment(connection, trace_id, assessment_id)
        if found is None:
            known = record_rows.key_of(connection, trace_id) is not None
            missing = f"assessment {assessment_id!r} of trace {trace_id!r}"
            raise NotFoundError(
                f"{missing if known else f'trace {trace_id!r}'} is not in {self.path}"
            )
        return found

    def _announce(self, trace_id: str) -> None:
        """Have a trace that still runs written as it stands."""
        running = self.live.get(trace_id)
        if running is not None:
            running.announce_open()

    # ------------------------------------------------------------------------ experiments

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None
    ) -> str:
        """Make an experiment and return its id.

        Raises:
            AlreadyExistsError: There is one of that name, perhaps a deleted one.
            InvalidArgumentError: The name is no text, or blank.
        """
        name = _experiment_name(name)

        def create(connection: sqlite3.Connection) -> int | None:
            if experiment_rows.find_experiments(connection, "name = ?", (name,)):
                return None
            return experiment_rows.insert_experiment(
                connection, name, artifact_location, _now_ms(), _texts(tags)
            )

        key = self._write(create)
        if key is None:
            raise AlreadyExistsError(
                f"experiment {name!r} exists already; get_experiment_by_name gets it"
            )
        return str(key)

    def get_or_create_experiment(self, name: str) -> Experiment:
        """Return the experiment of that name, made if there is none.

        Raises:
            InvalidArgumentError: The name is blank, or the experiment was deleted.
        """
        name = _experiment_name(name)

        def find(connection: sqlite3.Connection) -> Experiment:
            found = experiment_rows.find_experiments(connection, "name = ?", (name,))
            if not found:
                experiment_rows.insert_experiment(connection, name, None, _now_ms(), {})
                found = experiment_rows.find_experiments(connection, "name = ?", (name,))
            return found[0]

        experiment = self.get_experiment_by_name(name) or self._write(find)
        if experiment.lifecycle_stage != "active":
            raise InvalidArgumentError(
                f"experiment {name!r} is deleted; restore it or take another name"
            )
        return experiment

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment by id; NotFoundError where there is none."""
        with self.reading() as connection:
            found = experiment_rows.find_experiments(
                connection, "id = ?", (experiment_key(experiment_id),)
            )
        if not found:
            raise NotFoundError(f"there is no experiment {experiment_id!r} in {self.path}")
        return found[0]

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment by its exact name, None where there is none."""
        with self.reading() as connection:
            found = experiment_rows.find_experiments(connection, "name = ?", (name,))
        return found[0] if found else None

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
        from tracestore import experiments  # noqa: PLC0415 - not needed by a program that only records

        condition = {
            ViewType.ACTIVE_ONLY: "lifecycle_stage = 'active'",
            ViewType.DELETED_ONLY: "lifecycle_stage = 'deleted'",
        }.get(view_type, "1")
        with self.reading() as connection:
            found = experiment_rows.find_experiments(connection, condition, ())
        return experiments.search(found, filter_string, order_by, max_results, page_token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an active experiment another name.

        Raises:
            NotFoundError: There is no such experiment.
            AlreadyExistsError: Another one has that name.
            InvalidArgumentError: The name is blank, or the experiment is deleted.
        """
        name = _experiment_name(new_name)

        def rename(connection: sqlite3.Connection) -> bool:
            experiment = self._active_experiment(connection, experiment_id)
            taken = experiment_rows.find_experiments(
                connection, "name = ? AND id != ?", (name, int(experiment.experiment_id))
            )
            if not taken:
                experiment_rows.update_experiment(
                    connection, int(experiment.experiment_id), _now_ms(), name=name
                )
            return not taken

        if not self._write(rename):
            raise AlreadyExistsError(f"experiment {name!r} exists already; take another name")

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment as deleted; its traces stay, and `restore_experiment` brings it back.

        Raises:
            NotFoundError: There is no such experiment.
            InvalidArgumentError: It is deleted already, or it is the default one, "0".
        """
        if experiment_key(experiment_id) == 0:
            raise InvalidArgumentError("experiment '0', Default, can't be deleted")

        def delete(connection: sqlite3.Connection) -> None:
            experiment = self._active_experiment(connection, experiment_id)
            experiment_rows.update_experiment(
                connection, int(experiment.experiment_id), _now_ms(), lifecycle_stage="deleted"
            )

        self._write(delete)

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back.

        Raises:
            NotFoundError: There is no such experiment, or it is not deleted.
        """

        def restore(connection: sqlite3.Connection) -> bool:
            key = experiment_key(experiment_id)
            found = experiment_rows.find_experiments(
                connection, "id = ? AND lifecycle_stage = 'deleted'", (key,)
            )
            if found:
                experiment_rows.update_experiment(
                    connection, key, _now_ms(), lifecycle_stage="active"
                )
            return bool(found)

        if not self._write(restore):
            raise NotFoundError(f"there is no deleted experiment {experiment_id!r} in {self.path}")

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set one tag of an experiment. A value that is no text becomes its `str()`.

        Raises:
            NotFoundError: There is no such experiment.
            InvalidArgumentError: The key is no text, empty or too long, or the experiment is deleted.
        """
        key, text = _tag(key, value)

        def set_tag(connection: sqlite3.Connection) -> None:
            experiment = self._active_experiment(connection, experiment_id)
            experiment_rows.set_tag(connection, int(experiment.experiment_id), key, text)

        self._write(set_tag)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete one tag of an experiment.

        Raises:
            NotFoundError: There is no such experiment, or it has no such tag.
            InvalidArgumentError: The experiment is deleted.
        """

        def delete_tag(connection: sqlite3.Connection) -> bool:
            experiment = self._active_experiment(connection, experiment_id)
            return experiment_rows.delete_tag(connection, int(experiment.experiment_id), key)

        if not self._write(delete_tag):
            raise NotFoundError(f"experiment {experiment_id!r} has no tag {key!r}")

    def _active_experiment(self, connection: sqlite3.Connection, experiment_id: str) -> Experiment:
        found = experiment_rows.find_experiments(
            connection, "id = ?", (experiment_key(experiment_id),)
        )
        if not found:
            raise NotFoundError(f"there is no experiment {experiment_id!r} in {self.path}")
        if found[0].lifecycle_stage != "active":
            raise InvalidArgumentError(
                f"experiment {experiment_id!r} is deleted; restore_experiment brings it back"
            )
        return found[0]

    # ------------------------------------------------------------------------ the file

    def flush(self, timeout_s: float = 60.0) -> Flushed:
        """Wait until all that was recorded so far is in the file, at most `timeout_s` seconds.

        Returns:
            Counts of records: durable, dropped, still pending. True in a condition if none is pending.
        """
        return self.writer.flush(timeout_s)

    def stats(self) -> dict[str, Any]:
        """Return counters of this process (queued, written, dropped, failed) and of the file.

        The file's: path, size_bytes (with its WAL), traces, spans, assessments, and left_behind: traces that killed
        processes left beside the file, which the next store that is open for writing takes over. None, and an `error`
        that says why, where it can't be read. Counting takes a pass over an index, 10 ms for 100,000 traces.
        """
        names = ("traces", "spans", "assessments", "left_behind", "size_bytes")
        found: dict[str, Any] = dict.fromkeys(names)
        try:
            with self.reading() as connection:
                found |= trace_rows.counts(connection)
                found["left_behind"] = recovery.traces_left_behind(connection, self.path)
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
        return prune.prune(self._file(), given, progress, dry_run=dry_run)

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
        checksum. Spans from before schema version 3 have none. Reads everything, about 25 MB a second, in short
        steps: programs go on recording.

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

        return check.check(self._file(), progress)

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

        return copies.backup(self._file(), path, progress)

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

        return copies.extract(self._file(), filter_string, path, progress)

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
        return copies.merge(self._file(), other, filter_string, progress)

    def vacuum(self, *, progress: Progress = silent) -> Vacuumed:
        """Make the file smaller: rows that belong to nothing, gaps of the text index, free pages.

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
        return vacuum.vacuum(self._file(), progress)

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

    def _file(self) -> File:
        return File(self.path, self.reading, self._write, self.live)

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
def _find(
    connection: sqlite3.Connection,
    filter_string: str | None = None,
    *,
    experiment_ids: Sequence[str] | None = None,
    max_results: int | None = 100,
    order_by: Sequence[str] | str | None = None,
    page_token: str | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
) -> tuple[Sequence[int], str | None]:
    """Return the keys of the traces found and the next page's token."""
    from tracestore import search  # noqa: PLC0415 - not needed by a program that only records

    query = search.Query(
        filter_string, order_by, experiment_keys(experiment_ids), _also(run_id, model_id)
    )
    return search.search_ids(connection, query, max_results, page_token)


def _also(run_id: str | None, model_id: str | None) -> tuple[Any, ...]:
    from tracestore import filters  # noqa: PLC0415 - not needed by a program that only records

    given = {"mlflow.sourceRun": run_id, "mlflow.modelId": model_id}
    return tuple(
        filters.equals("metadata", key, value) for key, value in given.items() if value is not None
    )


def experiment_keys(ids: Sequence[str] | None) -> tuple[int, ...] | None:
    """Return experiments' numbers, None for None; InvalidArgumentError for what is no list of their ids."""
    if isinstance(ids, str):
        raise InvalidArgumentError(
            f"experiment_ids is the text {shown(ids)}; pass a list of ids, and a filter as filter_string=…"
        )
    if ids is not None and not isinstance(ids, Iterable):
        raise InvalidArgumentError(f"experiment_ids is {shown(ids)}; it must be a list of ids")
    return None if ids is None else tuple(experiment_key(experiment_id) for experiment_id in ids)


def experiment_key(experiment_id: str) -> int:
    """Return an experiment's number; InvalidArgumentError for anything but a decimal number."""
    try:
        key = int(experiment_id)
    except (TypeError, ValueError, OverflowError):
        key = -1
    if not 0 <= key < 2**63:
        raise InvalidArgumentError(
            f"experiment id is {shown(experiment_id)}; it must be a decimal number"
        )
    return key


def _experiment_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgumentError(f"experiment name is {shown(name)}; it must be text, not blank")
    return clean_text(name)


def _tag_key(key: object) -> str:
    if not isinstance(key, str) or not 1 <= len(key) <= 250:
        raise InvalidArgumentError(
            f"tag key is {shown(key)}; it must be text of 1 to 250 characters"
        )
    return clean_text(key)


def _tag(key: object, value: Any) -> tuple[str, str]:
    """Return a tag as it is kept: of a secret only that there was one."""
    name = _tag_key(key)
    return name, policy.clean_texts({name: text_of(value)})[name]


def _texts(values: dict[str, Any] | None) -> dict[str, str]:
    return {text_of(key): text_of(value) for key, value in (values or {}).items()}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


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
