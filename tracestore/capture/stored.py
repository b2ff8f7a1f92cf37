"""Stored traces as functions of the package: get, search, count, tag, with MLflow's signatures.

Thin: each works out which store and which experiment are meant and calls the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from tracestore import frame
from tracestore.arguments import checked
from tracestore.capture.documentation import documented_as
from tracestore.capture.older_names import takes
from tracestore.capture.span import log
from tracestore.entities import PagedList, Trace
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.runtime import runtime
from tracestore.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def get_last_active_trace() -> Trace | None:
    """Return the trace whose root span ended last, None before the first. Of MLflow 2.

    Example:
        >>> with tracestore.start_span("chat"):
        ...     pass
        >>> get_last_active_trace().info.name
        'chat'
    """
    trace_id = runtime.last_trace_id
    return None if trace_id is None else get_trace(trace_id)


@takes(request_id="trace_id")
def get_trace(trace_id: str, silent: bool = False, flush: bool = False) -> Trace | None:
    """Return one trace with its spans, None (and a warning in the log) where there is none.

    A trace that has just ended is there, and so is one that still runs.

    Args:
        trace_id: `tr-…`.
        silent: No warning.
        flush: Kept for MLflow programs; reads always see what was recorded before.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> get_trace(span.trace_id).info.state.value
        'OK'
    """
    del flush
    if trace_id is None:  # what get_last_active_trace_id gives before the first
        return None
    try:
        return runtime.store.get_trace(trace_id)
    except NotFoundError as error:
        if not silent:
            log.warning("%s", error)
        return None


@overload
def search_traces(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    max_results: int | None = None,
    order_by: Sequence[str] | None = None,
    extract_fields: Sequence[str] | None = None,
    run_id: str | None = None,
    *,
    return_type: Literal["list"],
    model_id: str | None = None,
    sql_warehouse_id: str | None = None,
    include_spans: bool = True,
    locations: Sequence[str] | None = None,
    flush: bool = False,
) -> PagedList[Trace]: ...


@overload
def search_traces(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    max_results: int | None = None,
    order_by: Sequence[str] | None = None,
    extract_fields: Sequence[str] | None = None,
    run_id: str | None = None,
    *,
    return_type: Literal["polars"],
    model_id: str | None = None,
    sql_warehouse_id: str | None = None,
    include_spans: bool = True,
    locations: Sequence[str] | None = None,
    flush: bool = False,
) -> pl.DataFrame: ...


@overload
def search_traces(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    max_results: int | None = None,
    order_by: Sequence[str] | None = None,
    extract_fields: Sequence[str] | None = None,
    run_id: str | None = None,
    *,
    return_type: Literal["arrow"],
    model_id: str | None = None,
    sql_warehouse_id: str | None = None,
    include_spans: bool = True,
    locations: Sequence[str] | None = None,
    flush: bool = False,
) -> pa.Table: ...


@overload
def search_traces(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    max_results: int | None = None,
    order_by: Sequence[str] | None = None,
    extract_fields: Sequence[str] | None = None,
    run_id: str | None = None,
    return_type: Literal["pandas"] | None = None,
    model_id: str | None = None,
    sql_warehouse_id: str | None = None,
    include_spans: bool = True,
    locations: Sequence[str] | None = None,
    flush: bool = False,
) -> pd.DataFrame: ...


@checked
@documented_as(Store.search_traces)
def search_traces(  # noqa: D417 - the store says the others
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    max_results: int | None = None,
    order_by: Sequence[str] | str | None = None,
    extract_fields: Sequence[str] | None = None,
    run_id: str | None = None,
    return_type: Literal["pandas", "polars", "arrow", "list"] | None = None,
    model_id: str | None = None,
    sql_warehouse_id: str | None = None,
    include_spans: bool = True,
    locations: Sequence[str] | None = None,
    flush: bool = False,
) -> pd.DataFrame | pl.DataFrame | pa.Table | PagedList[Trace]:
    """Return the traces of the active experiment that meet a filter, newest first.

    What was recorded before, also a moment ago, is seen.

    Args:
        experiment_ids: Of these experiments instead.
        extract_fields: Further columns, such as "retrieve.outputs"; data frames only.
        return_type: "pandas" (the default where pandas is installed), "polars", "arrow" or "list" (the
            default elsewhere). Each but the list needs its package: `pip install "tracestore[polars]"`.
        sql_warehouse_id: Kept for MLflow programs; ignored.
        locations: The newer name of `experiment_ids`.
        flush: Kept for MLflow programs; reads always see what was recorded before.

    Returns:
        A data frame (with "arrow" a pyarrow.Table) with MLflow's twelve columns and two of its older ones, or
        a list of Trace. In polars and Arrow, what is neither text nor a number is JSON text.

    Raises:
        FilterSyntaxError: The filter or the order can't be read.
        InvalidArgumentError: Another argument is out of range.

    Example:
        >>> len(search_traces(filter_string="tags.environment = 'production'", return_type="list"))
        0
    """
    del sql_warehouse_id, flush
    if return_type is None:
        return_type = "pandas" if frame.is_available() else "list"
    if return_type != "list" and not frame.is_table(return_type):
        raise InvalidArgumentError(
            f"return_type is {return_type!r}; it must be 'pandas', 'polars', 'arrow' or 'list'"
        )
    if experiment_ids is not None and locations is not None:
        raise InvalidArgumentError("pass locations or experiment_ids (its older name), not both")
    if extract_fields and return_type == "list":
        raise InvalidArgumentError(
            "extract_fields makes columns of a data frame: return_type='pandas'"
        )
    where = experiment_ids if locations is None else locations
    search: dict[str, Any] = {
        "experiment_ids": [str(runtime.experiment)] if where is None else where,
        "max_results": max_results,
        "order_by": order_by,
        "include_spans": include_spans,
        "run_id": run_id,
        "model_id": model_id,
    }
    if return_type == "list":
        return runtime.store.search_traces(filter_string, **search)
    return runtime.store.search_frame(
        filter_string, extract_fields=extract_fields, return_type=return_type, **search
    )


@documented_as(Store.count_traces)
def count_traces(
    filter_string: str | None = None, experiment_ids: Sequence[str] | None = None
) -> int:
    """Return how many traces of the active experiment meet a filter, without fetching them.

    Example:
        >>> count_traces("status = 'ERROR'")
        0
    """
    where = [str(runtime.experiment)] if experiment_ids is None else experiment_ids
    return runtime.store.count_traces(filter_string, experiment_ids=where)


@documented_as(Store.explain)
def explain(filter_string: str | None = None, order_by: Sequence[str] | str | None = None) -> str:
    """Return how a search would run: SQL, bound values and SQLite's query plan, as one text.

    Example:
        >>> "SELECT" in explain("status = 'ERROR'")
        True
    """
    return runtime.store.explain(filter_string, order_by)


@takes(request_id="trace_id")
@documented_as(Store.set_trace_tag)
def set_trace_tag(trace_id: str, key: str, value: Any) -> None:
    """Set one tag of a trace, running or stored.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> set_trace_tag(span.trace_id, "reviewed", "yes")
    """
    runtime.store.set_trace_tag(trace_id, key, value)


@takes(request_id="trace_id")
@documented_as(Store.delete_trace_tag)
def delete_trace_tag(trace_id: str, key: str) -> None:
    """Delete one tag of a trace, running or stored.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     tracestore.update_current_trace(tags={"draft": "yes"})
        >>> delete_trace_tag(span.trace_id, "draft")
    """
    runtime.store.delete_trace_tag(trace_id, key)
