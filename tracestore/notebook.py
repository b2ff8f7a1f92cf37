"""Shows the traces of the notebook cell that has just run: `tracestore.tracing.enable_notebook_display()`.

Knows IPython's events (https://ipython.readthedocs.io/en/stable/config/callbacks.html) and the active store.
Invariant: a trace is shown once, not again where it is the cell's own value, and whatever goes wrong here is
counted and logged, never raised into the cell.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from tracestore.entities import PagedList, Trace
from tracestore.errors import NotFoundError
from tracestore.runtime import runtime

#: Traces of one cell that are shown, as in MLflow.
MAX_TRACES = 10

_EVENT = "post_run_cell"


def enable() -> None:
    """Show the traces of each cell from now on; nothing outside IPython."""
    shell = _shell()
    if shell is None:
        return
    disable()
    runtime.ended_traces = deque(maxlen=MAX_TRACES)
    shell.events.register(_EVENT, _show)


def disable() -> None:
    """Show no traces by itself."""
    runtime.ended_traces = None
    shell = _shell()
    if shell is not None and _show in shell.events.callbacks[_EVENT]:
        shell.events.unregister(_EVENT, _show)


def _shell() -> Any:
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    return None if ipython is None else ipython.get_ipython()


def _show(result: Any) -> None:
    """Show what the cell has recorded; called by IPython when a cell has run."""
    ended = runtime.ended_traces
    if not ended:
        return
    ids = list(dict.fromkeys(ended))
    ended.clear()
    try:
        traces = _traces(ids, getattr(result, "result", None))
        if traces:
            from IPython.display import display  # noqa: PLC0415 - only in a notebook

            display(traces[0] if len(traces) == 1 else PagedList(traces))  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - the cell has ended well
        runtime.failed("the display of a notebook's traces", error)


def _traces(ids: list[str], value: object) -> list[Trace]:
    """Return the traces, but for those that the cell's value shows already."""
    values = value if isinstance(value, list) else [value]
    shown = {each.trace_id for each in values if isinstance(each, Trace)}
    found: list[Trace] = []
    for trace_id in ids:
        if trace_id in shown:
            continue
        try:
            found.append(runtime.store.get_trace(trace_id))
        except NotFoundError:  # of another store, or deleted by the cell
            continue
    return found
