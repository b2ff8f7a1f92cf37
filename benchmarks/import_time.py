"""What does importing tracestore cost, and how long until the first trace is in a new file?

    python -m benchmarks.import_time [--runs 21] [--quick] [--json FILE]

Starts a fresh Python for every sample, with compiled modules in a folder of their own; the programs take
turns, so that all meet the same machine. The floor is Python that does nothing. The names of the package are
loaded when they are first used, so the row that counts for a program is the one with the first span; it ends
without Python's own clean-up, the rows after it with.

What would change our mind: more than 50 ms over bare Python for the import and the first span, or a heavy module
among those that are loaded.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks.report import Report, number, options_of, parser, percentiles

_FIRST_SPAN = """
import sys, tracestore
tracestore.set_tracking_uri(sys.argv[1])
with tracestore.start_span("first"):
    pass
"""

#: What each fresh Python runs; the path of a new file is its argument.
PROGRAMS = {
    "bare Python": "",
    "import sqlite3, msgspec": "import sqlite3, msgspec",
    "import tracestore": "import tracestore",
    "import tracestore, trace": "from tracestore import trace",
    "import, first span": _FIRST_SPAN + "import os; os._exit(0)",
    "import, first trace durable in a new file": _FIRST_SPAN + "assert tracestore.flush()",
    "import, search_traces, an empty file": (
        "import sys, tracestore\n"
        "with tracestore.open(sys.argv[1]) as store: assert not store.search_traces()"
    ),
}

#: Modules that no program should pay for which only records.
HEAVY = (
    "asyncio",
    "pandas",
    "numpy",
    "sqlite_utils",
    "rich",
    "click",
    "pydantic",
    "platformdirs",
    "regex",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    of = parser("import_time", __doc__)
    of.add_argument("--runs", type=int, default=21)
    options = options_of(of, arguments, runs=7)
    with Report("import_time", "What does importing cost?", options) as report:
        _report(report, *_measured(options.runs))


def _measured(runs: int) -> tuple[dict[str, list[float]], dict[str, set[str]]]:
    """Return milliseconds of each program's runs, and the modules that each loads."""
    samples: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(folder)
        for run in range(runs + 1):  # the first run compiles and is left out
            for index, (name, program) in enumerate(PROGRAMS.items()):
                elapsed_ms = _run_ms(
                    program, pathlib.Path(folder, f"{run}-{index}.db"), environment
                )
                if run:
                    samples[name].append(elapsed_ms)
        modules = {
            name: _modules(program, pathlib.Path(folder, f"modules-{index}.db"))
            for index, (name, program) in enumerate(PROGRAMS.items())
        }
    return samples, modules


def _environment(folder: str) -> dict[str, str]:
    """Return an environment in which modules are compiled once, whatever the one outside says."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _run_ms(program: str, path: pathlib.Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run((sys.executable, "-c", program, str(path)), check=True, env=environment)
    return (time.perf_counter() - started) * 1e3


def _modules(program: str, path: pathlib.Path) -> set[str]:
    """Return the names of the modules that are loaded when `program` ends."""
    program = program.replace("import os; os._exit(0)", "") + "\nimport sys; print(*sys.modules)"
    command = (sys.executable, "-c", program, str(path))
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def _report(report: Report, samples: dict[str, list[float]], modules: dict[str, set[str]]) -> None:
    bare_ms = percentiles(samples["bare Python"]).median
    rows = []
    for name, values_ms in samples.items():
        found = percentiles(values_ms)
        heavy = " ".join(module for module in HEAVY if module in modules[name])
        over = number(found.median - bare_ms) if name != "bare Python" else ""
        rows.append(
            (
                name,
                number(found.median),
                over,
                number(min(values_ms)),
                number(found.p90),
                str(len(modules[name])),
                heavy or "none",
            )
        )
    head = ("fresh process, ms", "median", "over bare", "least", "p90", "modules", "heavy")
    report.table(head, rows)
    medians = {name: percentiles(values).median for name, values in samples.items()}
    report.figures(
        bare_python_ms=bare_ms,
        import_over_bare_ms=medians["import tracestore"] - bare_ms,
        first_span_over_bare_ms=medians["import, first span"] - bare_ms,
        first_trace_ms=medians["import, first trace durable in a new file"],
        sqlite3_and_msgspec_over_bare_ms=medians["import sqlite3, msgspec"] - bare_ms,
    )


if __name__ == "__main__":
    main()
