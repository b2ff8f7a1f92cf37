"""Runs the programs of one environment under one library and prints what they observe as JSON.

    python -m tests.peer_mlflow.observe LIBRARY FOLDER [KEY=VALUE ...]

The variables say which programs, and are in the environment already: both libraries read some of them when they
are imported. A process of its own for each library, so that neither sees what the other has set.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys

from tests.peer_mlflow.conformance import load_programs
from tests.peer_mlflow.observing import run


def main() -> None:
    """Run; see the module."""
    name, folder, *given = sys.argv[1:]
    environment = tuple(sorted((key, value) for key, _, value in (g.partition("=") for g in given)))
    load_programs()
    os.chdir(folder)  # MLflow makes a directory of its own where it runs
    logging.disable(logging.CRITICAL)
    library = importlib.import_module(name)
    library.set_tracking_uri(f"sqlite:///{folder}/{name}.db")
    observed = run(library, environment)
    library.flush_trace_async_logging()
    with open(f"{folder}/{name}.json", "w", encoding="utf-8") as file:  # noqa: PTH123 - stdout is the programs'
        json.dump(observed, file, indent=1)


if __name__ == "__main__":
    main()
