"""How the benchmarks print and keep what they found: where they ran, percentiles, tables of plain text, JSON.

Knows nothing of what is measured. Invariant: no mean is ever printed; a figure is a percentile of samples, or a
ratio of two figures of the same run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import pathlib
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

import tracestore


class Percentiles(NamedTuple):
    """Percentiles of samples, in the samples' unit."""

    median: float
    p90: float
    p99: float
    max: float


def percentiles(samples: Sequence[float]) -> Percentiles:
    """Return percentiles by nearest rank: each is a sample that was seen. `samples` is not empty."""
    return Percentiles(rank(samples, 50), rank(samples, 90), rank(samples, 99), max(samples))


def rank(samples: Sequence[float], percent: float) -> float:
    """Return one percentile by nearest rank. `samples` is not empty."""
    per_mille = round(percent * 10)
    return sorted(samples)[max(0, -(-len(samples) * per_mille // 1_000) - 1)]


class Table(msgspec.Struct):
    """A table as it is printed: the first column to the left, the others to the right."""

    head: list[str]
    rows: list[list[str]]

    def text(self) -> str:
        """Return the table in plain text, without a blank line after it."""
        table = [self.head, *self.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(self.head))]
        lines = []
        for row in (self.head, ["-" * width for width in widths], *self.rows):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


class Result(msgspec.Struct):
    """One run of one program: what was asked, where and when, and what was found.

    `figures` are the numbers that others refer to, by a name that ends with their unit.
    """

    program: str
    question: str
    command: str
    date: str
    commit: str
    software: str
    machine: str
    load: str = ""
    seconds: float = 0.0
    tables: list[Table] = []
    notes: list[str] = []
    figures: dict[str, float] = {}

    def heading(self) -> str:
        """Return what is asked, and where and when: figures without these can't be compared."""
        return f"{self.question}\n{self.date}, tracestore {self.commit}, {self.software}\n{self.machine}"

    def text(self) -> str:
        """Return all of it as it was printed."""
        parts = [self.heading(), *(table.text() for table in self.tables)]
        return "\n\n".join([*parts, "\n".join([*self.notes, self.load])])


class Report:
    """Prints what a program finds while it runs, and writes it as JSON where that was asked for.

    A context manager: entering prints the heading, leaving the load average.
    """

    def __init__(self, program: str, question: str, options: argparse.Namespace) -> None:
        self._path: pathlib.Path | None = options.json
        self._started = time.perf_counter()
        self.result = Result(
            program=program,
            question=question,
            command=options.command,
            date=f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC",
            commit=f"{tracestore.__version__} at {_commit()}",
            software=f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
            machine=f"{os.cpu_count()} x {_cpu()}, {platform.system()}, {load_average()}",
        )

    def __enter__(self) -> Report:  # noqa: PYI034 - Self is from 3.11 on
        print(self.result.heading(), end="\n\n", flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        self.result.load = load_average()
        self.result.seconds = round(time.perf_counter() - self._started, 1)
        print("\n".join([*self.result.notes, self.result.load]))
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(msgspec.json.format(msgspec.json.encode(self.result)) + b"\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table and keep it."""
        table = Table(list(head), [list(row) for row in rows])
        self.result.tables.append(table)
        print(table.text(), end="\n\n", flush=True)

    def note(self, line: str) -> None:
        """Keep a line that is printed below the tables."""
        self.result.notes.append(line)

    def figures(self, **figures: float) -> None:
        """Keep numbers that the table of targets and the summary refer to by these names."""
        self.result.figures.update({name: float(f"{figures[name]:.4g}") for name in figures})


def parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of a program's options, with its docstring as help."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def options_of(
    of: argparse.ArgumentParser, arguments: Sequence[str] | None, **quick: Any
) -> argparse.Namespace:
    """Parse `arguments`; `quick` are the defaults of the quick form. `command` is what to run again."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    of.add_argument("--quick", action="store_true", help="the quick form: smaller, seconds")
    of.add_argument("--json", type=pathlib.Path, help="write the figures to this file too")
    if "--quick" in given:
        of.set_defaults(**quick)
    options = of.parse_args(given)
    options.command = _command(of.prog, given)
    return options


def _command(program: str, given: Sequence[str]) -> str:
    """Return the command without what names places of one machine."""
    kept, skips = [program], False
    for argument in given:
        if not skips and argument not in {"--json", "--data"}:
            kept.append(argument)
        skips = argument in {"--json", "--data"}
    return " ".join(kept)


def load_average() -> str:
    """Return the machine's load as text: above the number of cores, absolute figures are too high."""
    if not hasattr(os, "getloadavg"):  # Windows
        return "load average unknown"
    return "load average " + " ".join(f"{load:.2f}" for load in os.getloadavg())


def _commit() -> str:
    root = pathlib.Path(__file__).parent
    commands = (
        ("git", "rev-parse", "--short", "HEAD"),
        ("git", "status", "--porcelain", "--", "..", ":!*.md", ":!*.json", ":!*.svg"),
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


def sizes(text: str) -> list[int]:
    """Return numbers of traces from an option: `10000,100000`."""
    return [int(size) for size in text.split(",")]
