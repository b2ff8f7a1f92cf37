"""Sessions of the active store, as functions of the package."""

from __future__ import annotations

from collections.abc import Sequence

from tracestore.capture.documentation import documented_as
from tracestore.entities import PagedList, Session
from tracestore.runtime import runtime
from tracestore.store import Store


def search_sessions(
    max_results: int | None = 100,
    run_id: str | None = None,
    model_id: str | None = None,
    include_spans: bool = True,
    locations: Sequence[str] | None = None,
    filter_string: str | None = None,
) -> PagedList[Session]:
    """Return the sessions of the active experiment, the one with the newest trace first.

    Args:
        max_results: None means all.
        run_id: Only traces with this `mlflow.sourceRun`.
        model_id: Only traces with this `mlflow.modelId`.
        include_spans: False leaves spans, requests and responses out, which is several times faster.
        locations: Of these experiments instead.
        filter_string: Only sessions with a trace that meets this filter; they come with all their traces.

    Raises:
        FilterSyntaxError: The filter can't be read.
        InvalidArgumentError: `locations` is no list of experiment ids.

    Example:
        >>> with tracestore.start_span("chat"):
        ...     tracestore.update_current_trace(session_id="s-1", user="ada")
        >>> [(session.id, len(session), session.users) for session in search_sessions()]
        [('s-1', 1, ['ada'])]
    """
    return runtime.store.search_sessions(
        filter_string,
        experiment_ids=[str(runtime.experiment)] if locations is None else locations,
        max_results=max_results,
        include_spans=include_spans,
        run_id=run_id,
        model_id=model_id,
    )


@documented_as(Store.get_session)
def get_session(session_id: str, include_spans: bool = True) -> Session:
    """Return one session with all its traces, oldest first.

    Example:
        >>> with tracestore.start_span("chat"):
        ...     tracestore.update_current_trace(session_id="s-1")
        >>> len(get_session("s-1"))
        1
    """
    return runtime.store.get_session(session_id, include_spans=include_spans)
