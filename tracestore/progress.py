"""Progress of what takes longer than a second: one line on standard error, where a person looks at it.

Knows a terminal or a notebook, not what is done. Invariant: nothing is written within the first second, nothing
where standard error is neither a terminal nor a notebook's, and the line is gone at the end.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

#: How long nothing is shown, and how often the line changes, in seconds.
PATIENCE_S, INTERVAL_S = 1.0, 0.2

_BAR = 24


class ProgressLine:
    """A line such as "120,000 traces read", with a bar where it is known how many there will be.

    Args:
        what: What is counted.
        total: How many there will be; None where nobody knows.

    Example:
        >>> with ProgressLine("traces scored", total=3) as progress:
        ...     progress.at(3)
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total = what, total
        self._next = time.monotonic() + PATIENCE_S
        self._width = 0
        self._is_seen = sys.stderr is not None and (
            sys.stderr.isatty() or "ipykernel" in sys.modules
        )

    def at(self, count: int) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if not self._is_seen or now < self._next:
            return
        self._next = now + INTERVAL_S
        self._write(self._line(count))

    def _line(self, count: int) -> str:
        if not self._total:
            return f"{count:,} {self._what}"
        full = min(_BAR, _BAR * count // self._total)
        return f"[{'#' * full}{'.' * (_BAR - full)}] {count:,} of {self._total:,} {self._what}"

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r{line.ljust(self._width)}")
        sys.stderr.flush()
        self._width = len(line)

    def __enter__(self) -> ProgressLine:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()
