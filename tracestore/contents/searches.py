"""Searches of traces and of their sessions: from what a caller asked to entities, tables and texts.

Imports the filter language, so a program that only records never imports this.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any

from tracestore import filters, frame, search, sessions
from tracestore.arguments import checked
from tracestore.contents.names import experiment_keys
from tracestore.entities import PagedList, Session, Trace
from tracestore.errors import NotFoundError
from tracestore.storage import trace_forms, trace_rows
from tracestore.storage.file import File


def find_traces(
    file: File, filter_string: str | None, *, include_spans: bool, **asked: Any
) -> PagedList[Trace]:
    """Return one page of the traces that meet a filter; `asked` is what `_find` takes."""
    with file.reading() as connection:
        keys, token = _find(connection, filter_string, **asked)
        traces = trace_rows.load_traces(connection, keys, include_spans=include_spans)
        return PagedList(traces, token)


def make_frame(
    file: File,
    filter_string: str | None,
    extract_fields: Sequence[str] | None,
    return_type: str,
    *,
    include_spans: bool = True,
    **asked: Any,
) -> Any:
    """Return what `find_traces` finds as a table."""
    make_table = frame.prepare(extract_fields, return_type)
    with file.reading() as connection:
        keys, _ = _find(connection, filter_string, **asked)
        return make_table(trace_forms.load_forms(connection, keys, include_spans=include_spans))


def count(file: File, filter_string: str | None, experiment_ids: Sequence[str] | None) -> int:
    """Return how many traces meet a filter."""
    with file.reading() as connection:
        query = search.Query(filter_string, None, experiment_keys(experiment_ids))
        return search.count(connection, query)


def explain(file: File, filter_string: str | None, order_by: Sequence[str] | str | None) -> str:
    """Return how a search would run."""
    with file.reading() as connection:
        return search.explain(connection, search.Query(filter_string, order_by))


def find_sessions(
    file: File,
    filter_string: str | None,
    *,
    experiment_ids: Sequence[str] | None,
    max_results: int | None,
    include_spans: bool,
    run_id: str | None,
    model_id: str | None,
) -> PagedList[Session]:
    """Return sessions with a trace that meets a filter, the one with the newest trace first."""
    also = _also(run_id, model_id)
    experiments = experiment_keys(experiment_ids)
    chosen = search.Query(filter_string, None, experiments, also)
    members = search.Query(None, None, experiments, also)
    with file.reading() as connection:
        found = sessions.newest_sessions(connection, chosen, max_results)
        keys = sessions.keys_of_sessions(connection, found, members)
        whole = trace_rows.load_traces(
            connection, list(itertools.chain.from_iterable(keys)), include_spans=include_spans
        )
        traces: dict[str | None, list[Trace]] = {each: [] for each in found}
        for trace in whole:
            traces[trace.info.session_id].append(trace)
    return PagedList(Session(some) for some in traces.values() if some)


def get_session(file: File, session_id: str, *, include_spans: bool) -> Session:
    """Return one session with its traces in order; NotFoundError where no trace has its id."""
    with file.reading() as connection:
        [keys] = sessions.keys_of_sessions(connection, [session_id], search.Query())
        session = Session(trace_rows.load_traces(connection, keys, include_spans=include_spans))
    if not session.traces:
        raise NotFoundError(f"session {session_id!r} is not in {file.path}")
    return session


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
    query = search.Query(
        filter_string, order_by, experiment_keys(experiment_ids), _also(run_id, model_id)
    )
    return search.search_ids(connection, query, max_results, page_token)


def _also(run_id: str | None, model_id: str | None) -> tuple[Any, ...]:
    given = {"mlflow.sourceRun": run_id, "mlflow.modelId": model_id}
    return tuple(
        filters.equals("metadata", key, value) for key, value in given.items() if value is not None
    )
