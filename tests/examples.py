"""Runs the examples of every docstring, each module's in a folder and into files of its own.

`python -m tests.examples` prints a line of JSON for each module: its name, how many examples it has, what
went wrong. A process of its own: some examples change it for good, as a global tracer provider does.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import json
import os
import pathlib
import pkgutil
import tempfile
from typing import NamedTuple

import tracestore
from tracestore.runtime import runtime

ROOT = pathlib.Path(tracestore.__file__).parent

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(ROOT)], "tracestore.")
    if not module.name.endswith("__main__")
)


class Outcome(NamedTuple):
    """What running a module's examples gave."""

    module: str
    examples: int
    wrong: list[str]


def run(name: str, folder: pathlib.Path) -> Outcome:
    """Run a module's examples in `folder`."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for test in finder.find(importlib.import_module(name)) if test.examples]
    wrong: list[str] = []
    for number, test in enumerate(tests):
        runtime.reset()
        runtime.configure(path=str(folder / f"{number}.db"))
        test.globs |= {"tracestore": tracestore, "path": str(folder / "example.db")}
        doctest.DocTestRunner().run(test, out=wrong.append)
    return Outcome(name, len(tests), wrong)


def main() -> None:
    """Run the examples of all modules."""
    for name in MODULES:
        with tempfile.TemporaryDirectory() as made:
            os.chdir(made)
            with contextlib.redirect_stdout(None):
                outcome = run(name, pathlib.Path(made))
            runtime.reset()
            print(json.dumps(outcome._asdict()), flush=True)


if __name__ == "__main__":
    main()
