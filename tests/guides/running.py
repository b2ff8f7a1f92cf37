"""Runs the guides' programs: in this process, in a process of their own, or as services under uvicorn.

The programs beside this file are MLflow's guides as published, with import lines changed and pseudo-code
completed. They are not checked like the rest: their text is the point.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tracestore.runtime import runtime
from tracestore.store import Store

T = TypeVar("T")

FOLDER = pathlib.Path(__file__).parent

#: How long a service may take to start, and a program to run, in seconds.
DEADLINE_S = 30.0


def program(name: str) -> pathlib.Path:
    """Return the path of a guide's program."""
    return FOLDER / f"{name}.py"


def run_here(name: str) -> dict[str, Any]:
    """Run a program in this process, recording into the active store; return its names."""
    return runpy.run_path(str(program(name)), run_name="__main__")


@contextlib.contextmanager
def recording_into(path: pathlib.Path) -> Iterator[Store]:
    """Make the file at `path` the active store; afterwards everything is as it was."""
    before = vars(runtime).copy()
    runtime.configure(path=str(path))
    store = runtime.store
    try:
        yield store
    finally:
        store.close()
        vars(runtime).update(before)


def environment(path: pathlib.Path, **variables: str) -> dict[str, str]:
    """Return this process's variables without its tracing settings, with a tracking URI and `variables`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "TRACESTORE_"))}
    return kept | {"MLFLOW_TRACKING_URI": f"sqlite:///{path}"} | variables


def run_apart(
    name: str,
    *arguments: str,
    variables: dict[str, str],
    directory: pathlib.Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own to its end; a non-zero exit is an error."""
    done = subprocess.run(
        [sys.executable, str(program(name)), *arguments],
        env=variables,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@contextlib.contextmanager
def serving(name: str, variables: dict[str, str]) -> Iterator[str]:
    """Serve a program's `app` under uvicorn on a free port; yield its URL. Ends by SIGTERM."""
    command = [sys.executable, "-m", "uvicorn", f"{name}:app", "--app-dir", str(FOLDER)]
    service = subprocess.Popen(
        [*command, "--port", "0", "--no-access-log", "--no-use-colors"],
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = threading.Timer(DEADLINE_S, service.kill)
    deadline.start()
    try:
        yield _announced_url(service)
    finally:
        deadline.cancel()
        service.terminate()
        try:
            service.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            service.kill()
            service.communicate()
            raise


def _announced_url(service: subprocess.Popen[str]) -> str:
    """Return the URL that uvicorn writes to its log once it takes requests."""
    said = []
    assert service.stderr is not None
    for line in service.stderr:
        said.append(line)
        _, found, rest = line.partition("running on ")
        if found:
            return rest.split()[0]
    raise AssertionError(f"the service ended without serving:\n{''.join(said)}")


def eventually(look: Callable[[], T], wanted: Callable[[T], bool], deadline_s: float = 10.0) -> T:
    """Return what `look` returns as soon as it is as `wanted`; at the deadline what it was then.

    For what another process writes in the background.
    """
    end = time.monotonic() + deadline_s
    seen = look()
    while not wanted(seen) and time.monotonic() < end:
        time.sleep(0.01)  # between two looks; the condition decides, not the time
        seen = look()
    return seen
