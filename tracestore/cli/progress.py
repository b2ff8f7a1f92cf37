"""How far a long command has come, as a bar on standard error where that is a terminal.

Knows rich, not what is done. Invariant: standard output is left to the result.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from tracestore.cli import streams
from tracestore.upkeep.progress import Progress, silent


@contextlib.contextmanager
def bar() -> Iterator[Progress]:
    """Lend the block a `progress` for `Store.prune` and its like; the bar is gone after the block."""
    if not streams.is_terminal(sys.stderr):
        yield silent
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        tasks = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase)
            bars.update(tasks[phase], completed=done, total=total)

        yield show
