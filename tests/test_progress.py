"""The line of progress: in a terminal, after a second, also while nothing says how far it is, and gone at the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

CODE = """
import sys, time
from tracestore import progress
progress.PATIENCE_S, progress.INTERVAL_S = 0.05, 0.02
for total, count in ((None, 0), (None, 1200), (4, 2)):
    with progress.ProgressLine("things", total) as line:
        if count:
            line.at(count)
        time.sleep(0.4)
    print("next", file=sys.stderr)
with progress.ProgressLine("things"):
    pass
"""


def shown_in_a_terminal() -> str:
    """Return what the program writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", CODE], stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    assert process.returncode == 0
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


def test_a_line_says_how_far_it_is_and_that_it_goes_on_and_is_gone_at_the_end() -> None:
    silent, counted, bar, quick = shown_in_a_terminal().split("next\r\n")
    assert "\rworking, 0 s\r" in silent
    assert "\r1,200 things, 0 s\r" in counted
    assert f"\r[{'#' * 12}{'.' * 12}] 2 of 4 things, 0 s\r" in bar
    assert quick == ""
    for each in (silent, counted, bar):
        assert each.endswith(" \r")
        assert each.split("\r")[-2].strip() == ""


def test_nothing_is_written_where_nobody_looks() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stderr == "next\n" * 3
