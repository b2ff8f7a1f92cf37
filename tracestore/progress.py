"""Progress of what takes longer than a second: one line on standard error, where a person looks at it.

Knows a terminal or a notebook, not what is done. A thread writes the line, so that it also goes on while one long
statement of SQLite says nothing. Invariant: nothing is written within the first second, nothing where standard
error is neither a terminal nor a notebook's, and the line is gone at the end.
"""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

#: How long nothing is shown, and how often the line changes, in seconds.
PATIENCE_S, INTERVAL_S = 1.0, 0.2

_BAR = 24


class ProgressLine:
    """A line such as "120,000 traces read, 2 s", with a bar where it is known how many there will be.

    Args:
        what: What is counted.
        total: How many there will be; None where nobody knows.

    Example:
        >>> with ProgressLine("traces scored", total=3) as progress:
        ...     progress.at(3)
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total = what, total
        self._count = 0
        self._width = 0
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def at(self, count: int) -> None:
        """Say how far it is."""
        self._count = count

    def _work(self) -> None:
        pause_s = PATIENCE_S
        while not self._ended.wait(pause_s):
            self._write(self._line(time.monotonic() - self._started))
            pause_s = INTERVAL_S

    def _line(self, seconds: float) -> str:
        if self._total:
            full = min(_BAR, _BAR * self._count // self._total)
            bar = "#" * full + "." * (_BAR - full)
            return f"[{bar}] {self._count:,} of {self._total:,} {self._what}, {seconds:.0f} s"
        done = f"{self._count:,} {self._what}" if self._count else "working"
        return f"{done}, {seconds:.0f} s"

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r{line.ljust(self._width)}")
        sys.stderr.flush()
        self._width = max(self._width, len(line))

    def __enter__(self) -> ProgressLine:  # noqa: PYI034 - Self is from 3.11 on
        is_seen = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        if is_seen:
            self._thread = threading.Thread(
                target=self._work, name="tracestore-progress", daemon=True
            )
            try:
                self._thread.start()
            except BaseException:  # Ctrl-C: it runs already, and nobody else would end it
                self._ended.set()
                raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()
