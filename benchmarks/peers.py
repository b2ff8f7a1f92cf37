"""Libraries to compare with, each in an environment of its own, beside us in the same run.

    python -m benchmarks.peers install            # all: MLflow 1 GB, Phoenix's client 60 MB
    python -m benchmarks.peers install phoenix
    python -m benchmarks.peers                    # which are there

A peer runs in a process of its own environment and takes its turns through pipes: while it measures, we wait.
`benchmarks.overhead`, `.ingest` and `.search` show the peers that are installed. The OpenTelemetry SDK is not
among them: it is in our own environment, see peer_otel.py.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from benchmarks.report import Result
from benchmarks.workload import WorkloadTrace, trace_of

ROOT = pathlib.Path(__file__).parent.parent

#: Calls of a peer in one block: MLflow takes up to 45 ms for a trace.
BLOCK_CALLS = 30

#: Distinct traces of the workload that are recorded over and over.
TRACES = 200


class Known(NamedTuple):
    """A peer that can be installed."""

    key: str
    name: str
    packages: tuple[str, ...]
    folder: str
    stores: bool  # what it records can be counted in a file


KNOWN = (
    Known("mlflow", "MLflow, SQLite", ("mlflow==3.17.2",), ".venv-mlflow", True),
    Known(
        "phoenix",
        "Phoenix's client, dropped",
        ("arize-phoenix-otel==0.17.2",),
        ".venv-phoenix-client",
        False,
    ),
)


def python_of(known: Known) -> pathlib.Path | None:
    """Return the interpreter of the peer's environment, None where it is not installed."""
    folder = pathlib.Path(os.environ.get(f"{known.key.upper()}_VENV", ROOT / known.folder))
    names = ("bin/python", "Scripts/python.exe")
    return next((folder / name for name in names if (folder / name).exists()), None)


def environment() -> dict[str, str]:
    """Return an environment in which a peer's interpreter finds this source before any other."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def installed() -> list[Peer]:
    """Return the peers whose environments are there; entering one starts its process."""
    found = [(known, python_of(known)) for known in KNOWN]
    return [Peer(known, python) for known, python in found if python is not None]


class Peer:
    """A library in a process of its own; a context manager that starts and ends it."""

    def __init__(self, known: Known, python: pathlib.Path) -> None:
        self.key, self.name, self.stores = known.key, known.name, known.stores
        self._python = python

    def __enter__(self) -> Peer:  # noqa: PYI034 - Self is from 3.11 on
        command = (str(self._python), "-m", f"benchmarks.peer_{self.key}")
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(),
        )
        return self

    def __exit__(self, *_raised: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended by itself
            self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        self._errors.close()

    def block(self, what: str) -> Callable[[int], list[float]]:
        """Return what has the peer time calls: `span`, `call` or `trace`; microseconds of each."""
        return lambda calls: list(self._ask(what, min(calls, BLOCK_CALLS)))

    def ingest(self, traces: int) -> tuple[int, float]:
        """Have so many traces recorded; return how many are stored, and the seconds until they were."""
        stored, took_s = self._ask("ingest", traces)
        return int(stored), float(took_s)

    def _ask(self, what: str, count: int) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(msgspec.json.encode([what, count]) + b"\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise SystemExit(f"{self.name} ended with this:\n{self._errors.read()[-2_000:]}")
        return msgspec.json.decode(line)


def search(traces: int, runs: int, data: pathlib.Path) -> Result | None:
    """Return what MLflow and we take for the same filters on the same traces, None where it is not installed."""
    python = python_of(KNOWN[0])
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        written = pathlib.Path(folder, "search.json")
        options = ("--traces", str(traces), "--runs", str(runs), "--data", str(data.resolve()))
        subprocess.run(
            (
                str(python),
                "-m",
                "benchmarks.peer_search",
                "--quick",
                *options,
                "--json",
                str(written),
            ),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            env=environment(),
            check=False,  # 1 says that the answers differ; so does the table
        )
        return msgspec.json.decode(written.read_bytes(), type=Result)


# ------------------------------------------------------------------------------------------ in the peer's process


class Library(NamedTuple):
    """What a peer's process measures: the same three things, and what waits until all is handed over."""

    span: Callable[[], object]
    call: Callable[[], object]
    trace: Callable[[WorkloadTrace], object]
    parent: Callable[[], contextlib.AbstractContextManager[Any]]
    flush: Callable[[], object]
    stored: Callable[[], int]


def serve(make: Callable[[pathlib.Path], Library]) -> None:
    """Answer the questions of `Peer` until it closes the pipe. What the library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        library = make(pathlib.Path(folder))
        for line in sys.stdin.buffer:
            what, count = msgspec.json.decode(line)
            answers.write(msgspec.json.encode(_measured(library, what, count)) + b"\n")
        os.chdir(ROOT)


def _measured(library: Library, what: str, count: int) -> list[float]:
    traces = [trace_of(index % TRACES) for index in range(count)]
    if what == "ingest":
        before, started = library.stored(), time.perf_counter()
        for trace in traces:
            library.trace(trace)
        library.flush()
        return [library.stored() - before, time.perf_counter() - started]
    if what == "trace":
        found = _timed(lambda index: library.trace(traces[index]), count)
    else:
        call = library.span if what == "span" else library.call
        with library.parent():
            found = _timed(lambda _index: call(), count)
    library.flush()
    return found


def _timed(call: Callable[[int], object], count: int) -> list[float]:
    samples = []
    for index in range(count):
        started = time.perf_counter_ns()
        call(index)
        samples.append((time.perf_counter_ns() - started) / 1e3)
    return samples


# ------------------------------------------------------------------------------------------ installing


def main(arguments: Sequence[str] | None = None) -> None:
    """Install peers, or say which are there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    keys = [known.key for known in KNOWN]
    parser.add_argument("what", nargs="?", choices=("install",))
    parser.add_argument("peers", nargs="*", help=f"of {', '.join(keys)}; none: all")
    options = parser.parse_args(arguments)
    for known in KNOWN:
        if options.what and (known.key in options.peers or not options.peers):
            _install(known)
        python = python_of(known)
        print(f"{known.name}: {known.folder if python else 'not installed'}")


def _install(known: Known) -> None:
    folder = ROOT / known.folder
    subprocess.run((sys.executable, "-m", "venv", str(folder)), check=True)
    pip = (str(python_of(known)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, *known.packages, "--editable", str(ROOT)), check=True)


if __name__ == "__main__":
    main()
