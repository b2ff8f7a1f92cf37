"""Ctrl-C at any moment: in a program, and in a cell of a real Jupyter kernel. Nothing is locked or left half done."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

import tracestore
from tests import upkeep_store
from tracestore import progress
from tracestore.errors import StoreError
from tracestore.evaluation import workers
from tracestore.storage.interruption import heeding_signals
from tracestore.store import Store

STORM = """
import os, random, signal, sys, threading, time
import tracestore

tracestore.set_tracking_uri(sys.argv[1])
acknowledged = caught = 0
storming = True
armed = False

def interrupt(signum, frame):  # as Ctrl-C, but only where it is caught: never between two of the blocks
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)

def storm():
    global storming
    rng = random.Random(1)
    for _ in range(150):
        time.sleep(rng.uniform(0.0005, 0.008))
        os.kill(os.getpid(), signal.SIGINT)
    storming = False

with tracestore.start_span("before") as span:  # imports done: an interrupt would only put them off
    pass
tracestore.log_feedback(trace_id=span.trace_id, name="good", value=True)
tracestore.search_traces(return_type="list")
begin = threading.Event()
threading.Thread(target=lambda: begin.wait() and storm(), daemon=True).start()
number = 0
begin.set()  # now: an interrupt while the thread starts is none of ours
while storming:
    try:
        armed = True
        number += 1
        with tracestore.start_span("t") as span:
            span.set_inputs(number)
            with tracestore.start_span("child"):
                pass
        acknowledged += 1
        if number % 20 == 0:
            tracestore.flush(1)
        if number % 50 == 0:
            tracestore.search_traces(max_results=1, return_type="list")
        if number % 70 == 0:
            tracestore.log_feedback(trace_id=span.trace_id, name="good", value=True)
        armed = False
    except KeyboardInterrupt:
        caught += 1
start = time.monotonic()
with tracestore.start_span("after"):
    pass
assert tracestore.flush(10)
assert time.monotonic() - start < 8
assert len(tracestore.search_traces(filter_string="name = 'after'", return_type="list")) == 1
print(acknowledged, caught)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_storm_of_interrupts_locks_nothing_and_loses_nothing_that_was_acknowledged(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "traces.db"
    done = subprocess.run(
        [sys.executable, "-c", STORM, str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    acknowledged, caught = map(int, done.stdout.split())
    with contextlib.closing(sqlite3.connect(path, timeout=1)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # no transaction was left open
    with Store(path) as store:
        store.count_traces()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (whole,) = connection.execute(
            "SELECT count(*) FROM trace_view WHERE status != 'IN_PROGRESS' AND span_count = 2"
        ).fetchone()

    print(f"figure: {caught} interrupts, {acknowledged:,} acknowledged traces, 0 lost")
    assert caught > 75
    assert whole >= acknowledged > 20


@contextlib.contextmanager
def interrupted_start() -> Iterator[None]:
    """Have Ctrl-C come within the next `Thread.start` of this thread, when the other one runs already."""

    def interrupt(frame: types.FrameType, _event: str, _argument: object) -> None:
        caller = frame.f_back
        if frame.f_code.co_name == "wait" and caller and caller.f_code.co_name == "start":
            sys.settrace(None)
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        sys.settrace(before)


def test_ctrl_c_while_the_writing_thread_starts_does_not_hold_up_close(
    tmp_path: pathlib.Path,
) -> None:
    """The thread was one that nobody knew: `close` and the end of the process waited 5 s each."""
    store = Store(tmp_path / "traces.db")
    with interrupted_start():
        store.create_experiment("interrupted")
    start = time.monotonic()
    assert store.close(20.0)
    took_s = time.monotonic() - start

    assert took_s < 10.0
    store.create_experiment("after")
    names = {experiment.name for experiment in store.search_experiments()}
    assert names == {"Default", "after", "interrupted"}


def test_ctrl_c_while_scorers_start_ends_them() -> None:
    done: list[int] = []

    def score(number: int) -> None:
        done.append(number)
        time.sleep(0.005)

    with interrupted_start():
        workers.for_each(range(400), score, 2, threading.Event(), lambda: None)
    time.sleep(0.2)  # what was begun ends
    ended = len(done)
    time.sleep(0.1)
    assert len(done) == ended < 300


def test_ctrl_c_while_a_line_of_progress_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with interrupted_start(), progress.ProgressLine("things"):
        pass
    deadline = time.monotonic() + 10
    while any(thread.name == "tracestore-progress" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


class StruckError(KeyboardInterrupt):
    """What the handler of a signal raises."""


@contextlib.contextmanager
def strike_after(seconds: float) -> Iterator[None]:
    """Have SIGUSR1 raise StruckError on this thread, once."""

    def strike(_number: int, _frame: object) -> None:
        raise StruckError

    before = signal.signal(signal.SIGUSR1, strike)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_what_a_signal_raises_ends_a_search_and_is_not_made_an_error_of_the_search(
    recording: Store,
) -> None:
    for _ in range(20):
        with tracestore.start_span("t") as span:
            span.set_inputs("x" * 4_000)
    slow = "text RLIKE 'x[^y]*y'"  # 60 ms a trace, within a function that SQLite calls

    recording.count_traces("text RLIKE 'x'")  # what it needs is imported
    for _ in range(3):
        with strike_after(0.1), pytest.raises(StruckError):
            recording.count_traces(slow)
    assert recording.count_traces() == 20


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_what_a_signal_raises_ends_a_statement_that_would_run_for_ever(
    tmp_path: pathlib.Path,
) -> None:
    upkeep_store.make(tmp_path / "traces.db", 1)
    endless = (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    )
    with Store(tmp_path / "traces.db", read_only=True) as store, store.reading() as connection:
        with strike_after(0.2), pytest.raises(StruckError):
            heeding_signals(connection, lambda: connection.execute(endless).fetchall())
        assert connection.execute("SELECT count(*) FROM traces").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="syntax"):
            heeding_signals(connection, lambda: connection.execute("SELEC"))


CELLS = {
    "endless": """
import tracestore
while True:
    with tracestore.start_span("endless"):
        tracestore.search_traces(max_results=1)
""",
    "after": """
with tracestore.start_span("after"):
    pass
print(len(tracestore.search_traces(filter_string="name = 'after'", return_type="list")))
""",
}


def test_an_interrupted_cell_leaves_the_notebook_and_its_store_usable(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "traces.db"
    environment = {**os.environ, "TRACESTORE_DB": str(path)}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    try:
        for round_ in range(3):
            with Store(path) as store:
                before = store.count_traces("name = 'endless'")
            request = client.execute(CELLS["endless"])
            _wait_for(client, "execute_input")
            _wait_until_recorded(path, before)
            manager.interrupt_kernel()
            assert _reply_to(client, request)["ename"] == "KeyboardInterrupt"
            shown: list[str] = []
            client.execute_interactive(
                CELLS["after"],
                timeout=30,
                output_hook=lambda message, shown=shown: shown.append(
                    message["content"].get("text", "")
                ),
            )
            assert "".join(shown).strip() == str(round_ + 1)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()

    with Store(path) as store:
        assert store.count_traces("name = 'after' AND status = 'OK'") == 3
        assert store.count_traces("status = 'IN_PROGRESS'") == 0


def _reply_to(client: Any, request: str) -> dict[str, Any]:
    while True:
        reply: Any = client.get_shell_msg(timeout=30)
        if reply["parent_header"]["msg_id"] == request:
            return dict(reply["content"])


def _wait_for(client: Any, kind: str) -> None:
    while client.get_iopub_msg(timeout=30)["msg_type"] != kind:
        pass


def _wait_until_recorded(path: pathlib.Path, before: int) -> None:
    """Return once the cell of this round has recorded more than there was."""
    with Store(path, read_only=True, recorder=False) as store:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            with contextlib.suppress(StoreError):  # it is not there yet
                if store.count_traces("name = 'endless'") > before:
                    return
            time.sleep(0.02)
    raise AssertionError
