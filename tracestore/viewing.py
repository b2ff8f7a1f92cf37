"""Looking at traces: `tracestore.diff`, `explore` and `report`, on the active store.

Thin: what a page holds is in ui, what a notebook's kernel answers in explorer.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tracestore import explorer
from tracestore.arguments import checked, shown
from tracestore.contents.names import experiment_keys
from tracestore.difference import TraceDiff, diff_traces
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.store import Store


def diff(a: Trace | str, b: Trace | str) -> TraceDiff:
    """Return two traces aligned by the paths of their spans, with what differs.

    In a notebook it is shown side by side, `str()` of it is a text: steps that only one trace has, texts,
    states and errors that changed, durations, tokens and cost.

    Args:
        a: A trace, or the id of one in the active store.
        b: The one it is compared with.

    Raises:
        NotFoundError: There is no trace with that id.
        InvalidArgumentError: One is neither a trace nor an id.

    Example:
        >>> with tracestore.start_span("answer") as first:
        ...     first.set_outputs("yes")
        >>> with tracestore.start_span("answer") as second:
        ...     second.set_outputs("no")
        >>> diff(first.trace_id, second.trace_id).pairs[0].text_difference("outputs")
        ['- "yes"', '+ "no"']
    """
    for each in (a, b):
        if not isinstance(each, (Trace, str)):
            raise InvalidArgumentError(f"{shown(each)} is no trace; pass a trace or its id")
    first, second = (
        runtime.store.get_trace(each) if isinstance(each, str) else each for each in (a, b)
    )
    return diff_traces(first, second)


@checked
def report(
    filter_string: str | None = None,
    path: str | os.PathLike[str] = "traces.html",
    *,
    title: str | None = None,
    max_results: int = 1_000,
    experiment_ids: Sequence[str] | None = None,
    order_by: Sequence[str] | str | None = None,
) -> str:
    """Write the traces that meet a filter as one self-contained page; return its path.

    The page opens in any browser without network or server, and can be filtered and sorted there. It holds
    everything that was recorded: think before it is sent to somebody.

    Args:
        filter_string: As `search_traces`. None or "": every trace.
        path: The file, replaced where there is one. About as large as its traces.
        title: Of the window; default the filter.
        max_results: The page says so where more traces meet the filter.
        experiment_ids: Default the active experiment.
        order_by: As `search_traces`.

    Raises:
        FilterSyntaxError: The filter or the order can't be read.
        StoreError: The file can't be written.

    Example:
        >>> report("status = 'ERROR'", "failures.html")
        'failures.html'
    """
    return runtime.store.report(
        filter_string,
        path,
        title=title,
        max_results=max_results,
        experiment_ids=experiment_ids or [str(runtime.experiment)],
        order_by=order_by,
    )


@checked
def explore(
    filter_string: str | None = None,
    *,
    store: Store | None = None,
    experiment_ids: Sequence[str] | None = None,
    user: str | None = None,
    height_px: int = 640,
) -> Any:
    """Return a widget to search, look at and assess traces in a notebook's cell.

    Needs the extra `notebook` (anywidget): Jupyter Lab and Notebook, VS Code, Colab, marimo. Filters run in
    the kernel against the whole file, pages load as they are scrolled to. Saved without the kernel the cell
    keeps a table of the newest traces.

    Args:
        filter_string: Only these traces, whatever is typed besides.
        store: The file; default the active one.
        experiment_ids: Default the active experiment, of a given store all.
        user: Who assesses, recorded as the source; default this user's name.
        height_px: Of the widget, in CSS pixels.

    Raises:
        InvalidArgumentError: anywidget is not installed.

    Example:
        >>> explore("status = 'ERROR'")  # doctest: +SKIP
    """
    keys = experiment_keys(experiment_ids)
    ids = None if keys is None else [str(key) for key in keys]
    if store is None:
        store = runtime.store
        ids = [str(runtime.experiment)] if ids is None else ids
    shown = explorer.Explorer(store, ids, filter_string, user)
    return explorer.widget(shown, filter_string or "Traces", height_px)
