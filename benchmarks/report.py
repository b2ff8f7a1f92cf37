"""How the benchmarks print: where they ran, percentiles, tables of plain text.

Knows nothing of what is measured. Invariant: no mean is ever printed; a figure is a percentile of samples, or a
ratio of two figures of the same run.
"""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import tracestore


class Percentiles(NamedTuple):
    """Percentiles of samples, in the samples' unit."""

    median: float
    p90: float
    p99: float
    max: float


def percentiles(samples: Sequence[float]) -> Percentiles:
    """Return percentiles by nearest rank: each is a sample that was seen. `samples` is not empty."""
    ordered = sorted(samples)

    def rank(percent: int) -> float:
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

    return Percentiles(rank(50), rank(90), rank(99), ordered[-1])


def print_header(question: str) -> None:
    """Print what is asked, and where and when: figures without these can't be compared."""
    print(question)
    print(
        f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC,"
        f" tracestore {tracestore.__version__} at {_commit()},"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    print(f"{os.cpu_count()} x {_cpu()}, {platform.system()}, {load_average()}")
    print()


def load_average() -> str:
    """Return the machine's load as text: above the number of cores, absolute figures are too high."""
    if not hasattr(os, "getloadavg"):  # Windows
        return "load average unknown"
    return "load average " + " ".join(f"{load:.2f}" for load in os.getloadavg())


def _commit() -> str:
    root = pathlib.Path(__file__).parent
    commands = (
        ("git", "rev-parse", "--short", "HEAD"),
        ("git", "status", "--porcelain", "--", ".."),
    )
    try:
        commit, changes = (
            subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return "an unknown commit"
    return commit.strip() + (" and changes" if changes.strip() else "")


def _cpu() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())
    print()
    sys.stdout.flush()


def number(value: float) -> str:
    """Return `value` in three significant digits or so, thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(value: float, floor: float) -> str:
    """Return how many times `floor` fits into `value`."""
    return f"{value / floor:.2f}x"
