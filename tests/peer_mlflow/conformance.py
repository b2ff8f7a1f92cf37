"""Runs the same programs under MLflow and under tracestore, in separate processes, and compares what they observe.

    python -m tests.peer_mlflow.conformance [--keep FOLDER]

`.ci/mlflow` makes the environment with both. Fails, and says where, unless every observation is the same from both
or on the list of intended differences, and every difference of the list occurs. Nothing that MLflow says is written
down here: it is asked each time.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from tests.peer_mlflow import programs
from tests.peer_mlflow.intended import INTENDED, Intended, reason_of
from tests.peer_mlflow.observing import FAILED, PROGRAMS

#: What both run with: MLflow's traces are readable when the traced call returns, as ours always are.
_BASE = {"MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false", "PYTHONWARNINGS": "ignore"}

_ABSENT = "<not observed>"

Observed = dict[str, dict[str, Any]]


def main() -> None:
    """Run and compare; exits with 1 and the reasons where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--keep", metavar="FOLDER", help="leave what was observed there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        kept = options.keep or folder
        pathlib.Path(kept).mkdir(exist_ok=True)
        mlflow, ours = observe("mlflow", kept), observe("tracestore", kept)
    problems = compare(mlflow, ours)
    if problems:
        sys.exit("\n".join(["But:", *problems]))


def load_programs() -> None:
    """Import the modules of programs, which registers what is in them."""
    for module in pkgutil.iter_modules(programs.__path__):
        importlib.import_module(f"{programs.__name__}.{module.name}")


def observe(library: str, folder: str) -> Observed:
    """Run all programs under a library, one process for each environment; return what they observe."""
    load_programs()
    observed: Observed = {}
    for environment in sorted({each.environment for each in PROGRAMS.values()}):
        given = [f"{key}={value}" for key, value in environment]
        command = [sys.executable, "-m", "tests.peer_mlflow.observe", library, folder, *given]
        variables = {
            k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "TRACESTORE_"))
        }
        ended = subprocess.run(
            command,
            env={**variables, **_BASE, **dict(environment)},
            cwd=pathlib.Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{ended.stderr[-4000:]}")
        observed |= json.loads((pathlib.Path(folder) / f"{library}.json").read_text("utf-8"))
    return observed


def compare(mlflow: Observed, ours: Observed) -> list[str]:
    """Print how many observations are the same; return what differs and should not, as text."""
    problems: list[str] = []
    seen: collections.Counter[str] = collections.Counter()
    same = differing = 0
    for name in PROGRAMS:
        for label in {**mlflow.get(name, {}), **ours.get(name, {})}:
            if label == FAILED:
                problems.append(f"{name} does not run to its end")
            theirs, own = mlflow[name].get(label, _ABSENT), ours[name].get(label, _ABSENT)
            found = [(f"{name} | {label}{path}", *pair) for path, *pair in differences(theirs, own)]
            reasons = [reason_of(where, a, b) for where, a, b in found]
            seen.update({reason.id for reason in reasons if reason is not None})
            problems += [
                f"{where}\n  MLflow:     {a!r:.500}\n  tracestore: {b!r:.500}"
                for (where, a, b), reason in zip(found, reasons, strict=True)
                if reason is None
            ]
            same, differing = same + (not found), differing + bool(found)
    problems += [f"the difference {each.id!r} does not occur: delete it" for each in _unseen(seen)]
    print(
        f"{len(PROGRAMS)} programs, {same + differing:,} observations: {same:,} the same,"
        f" {differing} differ, for {len(seen)} reasons that are written down"
    )
    return problems


def _unseen(seen: collections.Counter[str]) -> Iterator[Intended]:
    return (each for each in INTENDED if each.id not in seen)


def differences(theirs: Any, own: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two observations differ: the path to the smallest part that does, and both parts."""
    if isinstance(theirs, dict) and isinstance(own, dict):
        for key in {**theirs, **own}:
            yield from differences(theirs.get(key, _ABSENT), own.get(key, _ABSENT), f"{path}/{key}")
    elif isinstance(theirs, list) and isinstance(own, list) and len(theirs) == len(own):
        for index, pair in enumerate(zip(theirs, own, strict=True)):
            yield from differences(*pair, f"{path}/{index}")
    elif theirs != own or type(theirs) is not type(own):
        yield path, theirs, own


if __name__ == "__main__":
    main()
