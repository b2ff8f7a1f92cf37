"""Asks MLflow itself and tracestore the same filters about the same traces, in one process.

    python -m tests.peer_mlflow.compare [--record]

`.ci/mlflow` makes the environment with both. Fails, and says where, unless every filter that MLflow takes has the
same answer from both or is in the list of differences, every difference of the list occurs, and the page still
says what both say. `--record` writes the page instead of comparing with it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import sys
import tempfile
from typing import Any

from tests.peer_mlflow.differences import DIFFERENCES
from tests.peer_mlflow.page import (
    Answer,
    ask,
    differences_in,
    page_of,
    read_page,
    unexplained,
    write_page,
)
from tests.peer_mlflow.traces import record

#: What MLflow's answers were recorded from.
MLFLOW = "3.17.2"


def main() -> None:
    """Compare, or record; exits with 1 and the reasons where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--record", action="store_true", help="write the page anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)  # MLflow makes a directory of its own where it runs
        mlflow = _answers("mlflow", f"sqlite:///{folder}/mlflow.db")
        ours = _answers("tracestore", f"sqlite:///{folder}/tracestore.db")
        os.chdir(pathlib.Path(__file__).parent)
    page = page_of(mlflow, ours)
    if options.record:
        write_page(page)
    problems = [*unexplained(mlflow, ours), *_problems(page, read_page())]
    _print_summary(page)
    if problems:
        sys.exit("\n".join(["But:", *problems]))


def _answers(name: str, uri: str) -> dict[str, Answer]:
    """Record the traces with the library of that name into a new file, and ask it everything."""
    library = importlib.import_module(name)
    library.set_tracking_uri(uri)
    return ask(library, record(library))


def _problems(page: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    version = importlib.import_module("mlflow").__version__
    problems = [] if version == MLFLOW else [f"this is MLflow {version}; the page is of {MLFLOW}"]
    unseen = {each.id for each in DIFFERENCES} - differences_in(page)
    problems += [f"the difference {each!r} does not occur: delete it" for each in sorted(unseen)]
    for source in {**page, **recorded}:
        now, then = page.get(source, "not asked"), recorded.get(source, "not asked")
        if now != then:
            problems.append(f"{source}\n  now: {now!r}\n  the page: {then!r}")
    return problems


def _print_summary(page: dict[str, Any]) -> None:
    differing = sum(isinstance(entry, list) for entry in page.values())
    refused = sum(entry is None for entry in page.values())
    same = len(page) - differing - refused
    print(
        f"{len(page):,} filters: {same:,} answered the same, {differing} differ"
        f" for {len(differences_in(page))} reasons, {refused} refused by MLflow"
    )


if __name__ == "__main__":
    main()
