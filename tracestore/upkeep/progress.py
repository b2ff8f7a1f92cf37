"""The one form of progress that all of upkeep reports."""

from __future__ import annotations

from collections.abc import Callable

#: Told what is being done, how much of it is done and how much there is: `progress("delete", 300, 1_000)`.
#: What it raises ends the call; what was done until then stays done.
Progress = Callable[[str, int, int], object]


def silent(_phase: str, _done: int, _total: int) -> None:
    """Report nothing."""
