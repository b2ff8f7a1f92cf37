"""Runs the quick form of all benchmarks and writes a table and a plot.

    python -m benchmarks [--full] [--only overhead,ingest] [--results FOLDER] [--data FOLDER]

Each program runs in a process of its own, one after the other: five minutes on two quiet cores, and two more on the
first run, which builds files. `--full` runs the forms whose figures README.md keeps: an hour, and files of 11 GB in
`benchmarks/data`. Into the folder (default `benchmarks/results`) go a JSON file for each program, `results.md` and
`targets.svg`; what a program that fails has printed is shown, the others run all the same, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import peers, targets
from benchmarks.dataset import DATA
from benchmarks.plot import plot
from benchmarks.readme import results_in, run

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = pathlib.Path(__file__).parent / "results"

#: All programs, with about how many seconds the quick form takes: what the bar goes by.
PROGRAMS = {
    "import_time": 4,
    "overhead": 8,
    "instructions": 22,
    "contention": 19,
    "memory": 6,
    "size": 7,
    "ingest": 14,
    "get": 6,
    "search": 20,
    "metrics": 10,
    "growth": 30,
    "otel": 3,
    "upkeep": 20,
    "hot_spots": 10,
}

#: Programs that keep or read files of many traces.
WITH_DATA = frozenset({"get", "search", "metrics", "growth", "upkeep", "hot_spots"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the programs, and write what they found."""
    options = _options(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    failed = []
    with Progress(
        TextColumn("{task.description:12}"), BarColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task("", total=sum(PROGRAMS[name] for name in options.only))
        for name in options.only:
            progress.update(task, description=name)
            started = time.perf_counter()
            problem = _run(name, options)
            progress.advance(task, PROGRAMS[name])
            took_s = time.perf_counter() - started
            progress.print(f"{name}: {took_s:.0f} s" + (f", failed:\n{problem}" if problem else ""))
            failed += [name] if problem else []
    _write(options.results)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="the full forms: an hour")
    parser.add_argument("--only", type=_programs, default=_available(), help="programs, by commas")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="folder to write to")
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of files to read")
    return parser.parse_args(arguments)


def _programs(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        known = ", ".join(PROGRAMS)
        raise argparse.ArgumentTypeError(f"no program {', '.join(unknown)}; there are {known}")
    return names


def _available() -> list[str]:
    """Return all programs that can run here: counting instructions needs Valgrind."""
    has_valgrind = shutil.which("valgrind") is not None
    return [name for name in PROGRAMS if name != "instructions" or has_valgrind]


def _run(name: str, options: argparse.Namespace) -> str:
    """Run one program and, in the full form, what compares with MLflow alone; return what went wrong, if anything."""
    results = options.results.resolve()
    data = ("--data", str(options.data.resolve())) if name in WITH_DATA else ()
    form = () if options.full else ("--quick",)
    command = (sys.executable, "-m", f"benchmarks.{name}", *form, *data)
    problem = _process(command, results / f"{name}.json")
    mlflow = peers.python_of(peers.KNOWN[0])
    if not options.full or mlflow is None or problem:
        return problem
    if name == "search":
        command = (str(mlflow), "-m", "benchmarks.peer_search", *data)
        return _process(command, results / "peer_search.json")
    if name == "metrics":
        peer = ("--peer", "--traces", "10000", "--runs", "3")
        command = (str(mlflow), "-m", "benchmarks.metrics", *peer, *data)
        return _process(command, results / "metrics_peer.json")
    return ""


def _process(command: Sequence[str], written: pathlib.Path) -> str:
    """Run a command that writes its JSON; return the end of what it printed where it failed."""
    with tempfile.TemporaryFile("w+") as printed:
        done = subprocess.run(
            (*command, "--json", str(written)),
            cwd=ROOT,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=peers.environment(),
            check=False,
        )
        printed.seek(0)
        return "" if done.returncode == 0 else printed.read()[-2_000:]


def _write(folder: pathlib.Path) -> None:
    """Write the table and the plot of all results in the folder, and say where they are."""
    results = results_in(folder)
    parts = ["# Benchmarks", targets.table(results), "![](targets.svg)"]
    parts += [run(result) for result in results.values()]
    (folder / "results.md").write_text("\n\n".join(parts) + "\n", "utf-8")
    (folder / "targets.svg").write_text(plot(results), "utf-8")
    print(f"{targets.table(results)}\n\n{folder / 'results.md'}\n{folder / 'targets.svg'}")


if __name__ == "__main__":
    main()
