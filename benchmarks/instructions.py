"""How many machine instructions do the hot path and an insert batch take, and are they as many as they were?

    python -m benchmarks.instructions             # compare with what is stored
    python -m benchmarks.instructions --store     # store what was counted

Times are noisy, counts are not: Valgrind's callgrind counts what the recording thread alone executes (two runs differ
by less than 1 %), in a process with PYTHONHASHSEED=0 whose threads take turns only where one waits. Each piece of work
runs twice and the second run counts, so that nothing is made for the first time. The batch is 200 traces through
`write_records` in one transaction, SQLite included.

Counts are stored in `instructions.json` beside this file by Python's minor version and architecture, with the versions
of what they depend on. More than 10 % above the stored count fails. Where nothing is stored for the Python that runs,
that is said, and it fails only where `--own` names it: CI names its own.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import pathlib
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

import msgspec

import tracestore
from benchmarks.dataset import start_ns
from benchmarks.report import Report, number, options_of, parser
from benchmarks.workload import record, records, trace_of
from tracestore.storage import record_rows
from tracestore.storage.connection import open_for_writing, transaction

STORED = pathlib.Path(__file__).with_name("instructions.json")

#: How much more than the stored count is room for noise and for what a change is worth.
ROOM = 0.10

#: Spans, calls and traces in one counted run, and traces in the batch.
SPANS, TRACES, BATCH = 500, 100, 200

#: What is counted, in this order, with how often each run does it.
WORK = {
    "empty child span": SPANS,
    "decorated call, argument and result recorded": SPANS,
    "a trace of the workload": TRACES,
    "a trace in an insert batch": BATCH,
}


class Stored(msgspec.Struct):
    """Counts of one Python version on one architecture."""

    versions: str
    instructions: dict[str, int]


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, compare with what is stored, and print a table."""
    of = parser("instructions", __doc__)
    of.add_argument("--store", action="store_true", help="store what was counted")
    of.add_argument("--own", help="fail where nothing is stored for this one: 3.11 x86_64")
    of.add_argument("--counted", type=pathlib.Path, help=argparse.SUPPRESS)
    options = options_of(of, arguments)
    if options.counted is not None:
        _work(options.counted)
        return
    known = _stored()
    with Report("instructions", "How many instructions does recording take?", options) as report:
        counts = _counted()
        if options.store:
            known[_key()] = Stored(_versions(), counts)
            STORED.write_bytes(
                msgspec.json.format(msgspec.json.encode(known, order="sorted")) + b"\n"
            )
        problems = _compared(report, counts, known.get(_key()), options.own)
    if problems:
        sys.exit("\n".join(problems))


def _stored() -> dict[str, Stored]:
    if not STORED.exists():
        return {}
    return msgspec.json.decode(STORED.read_bytes(), type=dict[str, Stored])


def _key() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor} {platform.machine()}"


def _versions() -> str:
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" msgspec {msgspec.__version__}"
    )


def _compared(
    report: Report, counts: dict[str, int], known: Stored | None, own: str | None
) -> list[str]:
    """Report the counts beside the stored ones; return what is wrong."""
    rows, problems = [], []
    for name, count in counts.items():
        was = known.instructions.get(name) if known else None
        rows.append((name, number(count), number(was) if was else "", _change(count, was)))
        if was is not None and count < was * (1 - ROOM):
            report.note(
                f"{name}: store it, so that this stays: python -m benchmarks.instructions --store"
            )
        if was is not None and count > was * (1 + ROOM):
            problems.append(f"{name}: {count:,} instructions, {count / was - 1:+.1%} on {was:,}")
    report.table(("instructions each, the recording thread", "counted", "stored", "change"), rows)
    keys = ("span_instructions", "call_instructions", "trace_instructions", "batch_instructions")
    report.figures(**dict(zip(keys, counts.values(), strict=True)))
    if known is None:
        text = f"nothing is stored for {_key()}: `python -m benchmarks.instructions --store` writes"
        report.note(f"{text}\n  {msgspec.json.encode(Stored(_versions(), counts)).decode()}")
        if own == _key():
            problems.append(f"nothing is stored for {_key()}, which is CI's own")
    elif known.versions != _versions():
        report.note(f"stored with {known.versions}; this is {_versions()}")
    if problems:
        problems.append(
            f"more than {ROOM:.0%} above what is stored. If that is worth it, store it with a word on why:"
            " python -m benchmarks.instructions --store"
        )
    return problems


def _change(count: int, was: int | None) -> str:
    return "" if was is None else f"{count / was - 1:+.1%}"


# ------------------------------------------------------------------------------------------ counting


def _counted() -> dict[str, int]:
    """Return the instructions of each piece of work, counted in a process of its own."""
    if shutil.which("valgrind") is None:
        raise SystemExit(
            "valgrind is not installed; on Debian and Ubuntu: apt-get install valgrind"
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = (
            "valgrind",
            "--tool=callgrind",
            "--separate-threads=yes",
            "--dump-before=getppid",  # what `_work` calls before and after each piece
            f"--callgrind-out-file={folder}/counts",
            *(sys.executable, "-m", "benchmarks.instructions", "--counted", folder),
        )
        done = subprocess.run(
            command,
            cwd=STORED.parent.parent,
            env={**os.environ, "PYTHONHASHSEED": "0", "TRACESTORE_RECORDER": "on"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"valgrind ended with {done.returncode}:\n{done.stderr[-2_000:]}")
        # Dump 1 is the start; then between two marks, and before the next piece begins, in turn.
        totals = [
            _total(pathlib.Path(folder, f"counts.{2 * piece + 2}-01")) for piece in range(len(WORK))
        ]
    return {name: total // WORK[name] for name, total in zip(WORK, totals, strict=True)}


def _total(dump: pathlib.Path) -> int:
    found = re.search(r"^totals: (\d+)", dump.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"no total in {dump.name}: what did this Valgrind write?")
    return int(found[1])


def _work(folder: pathlib.Path) -> None:
    """Do each piece of work twice, the second time between two calls of `getppid`."""
    sys.setswitchinterval(
        1_000
    )  # no thread is asked for the interpreter; one that waits gives it up
    tracestore.set_tracking_uri(str(folder / "recorded.db"))
    traces = [trace_of(number) for number in range(TRACES)]
    pieces = (
        _marked(_spans, nested=True),
        _marked(_calls, nested=True),
        _marked(lambda: [record(trace) for trace in traces], nested=False),
        _batches(folder / "inserted.db"),
    )
    for piece in pieces:
        piece(lambda: None)
        gc.collect()
        piece(os.getppid)


#: Does a piece of work, and calls its argument just before and just after it.
Piece = Callable[[Callable[[], object]], None]


def _marked(work: Callable[[], object], *, nested: bool) -> Piece:
    """Return the piece of work, in a span or not; what it queues is written after it."""

    def piece(mark: Callable[[], object]) -> None:
        with tracestore.start_span("round") if nested else contextlib.nullcontext():
            mark()
            work()
            mark()
        tracestore.flush()

    return piece


def _spans() -> None:
    for _ in range(SPANS):
        with tracestore.start_span("step"):
            pass


def _calls() -> None:
    for _ in range(SPANS):
        _decorated("why?")


@tracestore.trace
def _decorated(question: str) -> str:
    return question


def _batches(path: pathlib.Path) -> Piece:
    """Return what inserts a batch that it has not inserted before."""
    connection = open_for_writing(str(path))
    made = [records(trace_of(number), start_ns(number, 2 * BATCH)) for number in range(2 * BATCH)]

    def piece(mark: Callable[[], object]) -> None:
        batch, made[:BATCH] = made[:BATCH], []
        mark()
        with transaction(connection):
            traces = [record for record, _ in batch]
            record_rows.write_records(
                connection, traces, [span for _, spans in batch for span in spans]
            )
        mark()

    return piece


if __name__ == "__main__":
    main()
