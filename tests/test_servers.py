"""Real servers that fork workers, gunicorn and celery: every request and every task is there, also of killed workers."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tracestore.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

#: Records when it is imported, which with preloading is before the fork, and from then on.
RECORDING = """
import os
import tracestore

def record(name, number):
    with tracestore.start_span(name) as span:
        span.set_inputs({"number": number})
        with tracestore.start_span("child"):
            pass

record("import", os.getpid())
"""

APPLICATION = (
    RECORDING
    + """
def application(environ, start_response):
    record("request", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
)

TASKS = (
    RECORDING
    + """
import celery

folder = os.environ["QUEUE"]
app = celery.Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "/control"
}

app.conf.worker_lost_wait = 1.0  # seconds

@app.task
def work(number):
    record("task", number)
    with open(folder + ".done", "ab", buffering=0) as done:
        done.write(b"%d\\n" % os.getpid())
    if number == 35:
        os.kill(os.getpid(), 9)
"""
)


@contextlib.contextmanager
def _server(tmp_path: pathlib.Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server whose log is in `log`; nothing of it is left afterwards."""
    environment = {
        **os.environ,
        "TRACESTORE_DB": str(tmp_path / "traces.db"),
        "QUEUE": str(tmp_path / "queue"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait(tmp_path: pathlib.Path, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.05)


def _stored(tmp_path: pathlib.Path) -> dict[str, int]:
    """Return how many traces of each name have ended and have both spans, each number once."""
    deadline = time.monotonic() + 30
    spool = pathlib.Path(f"{tmp_path / 'traces.db'}-spool")
    while True:
        with Store(tmp_path / "traces.db") as store:
            traces = store.search_traces("status = 'OK'", max_results=None)
        if not spool.exists() or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    roots = [span for t in traces for span in t.data.spans if span.parent_id is None]
    requests = [(root.name, str(root.inputs)) for root in roots]
    assert len(set(requests)) == len(requests)
    assert all(len(trace.data.spans) == 2 for trace in traces)
    return dict(collections.Counter(name for name, _ in requests))


@pytest.mark.parametrize("worker", ["sync", "gthread"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_gunicorn_with_preload_keeps_every_request(
    tmp_path: pathlib.Path, worker: str, how: signal.Signals
) -> None:
    """Half way its workers are killed, and at the end the whole server is, by the same signal."""
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION)
    numbers = iter(range(1_000))
    workers: set[int] = set()
    command = ("gunicorn", "--preload", "-w", "2", "-k", worker, "--threads", "2", "-b")
    with _server(tmp_path, *command, "127.0.0.1:0", "application:application") as server:
        log = tmp_path / "log"
        _wait(tmp_path, lambda: log.read_text().count("Booting worker") == 2)
        found = re.search(r"Listening at: (http://[\d.:]+)", log.read_text())
        assert found is not None

        def ask(times: int) -> None:
            for _ in range(times):
                with urllib.request.urlopen(f"{found[1]}/{next(numbers)}", timeout=30) as answer:
                    workers.add(int(answer.read()))

        def ask_at_once() -> None:
            threads = [threading.Thread(target=ask, args=(10,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        ask_at_once()
        for pid in workers.copy():
            os.kill(pid, how)
        _wait(tmp_path, lambda: log.read_text().count("Booting worker") == 2 + len(workers))
        ask_at_once()
        if how == signal.SIGKILL:
            os.killpg(server.pid, how)
        else:
            server.send_signal(how)
        server.wait(60)

    assert _stored(tmp_path) == {"import": 1, "request": 80}
    print("figure: gunicorn --preload whose workers are killed: 80 of 80 requests")


def test_celery_with_prefork_keeps_every_task(tmp_path: pathlib.Path) -> None:
    """Each process of the pool is replaced after ten tasks; one is killed in the middle of a task."""
    pytest.importorskip("celery")
    (tmp_path / "tasks.py").write_text(TASKS)
    queue = tmp_path / "queue"
    (queue / "control").mkdir(parents=True)
    done = tmp_path / "queue.done"
    done.touch()
    environment = {
        **os.environ,
        "TRACESTORE_DB": str(tmp_path / "traces.db"),
        "QUEUE": str(queue),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    send = "import tasks\nfor number in range(60): tasks.work.delay(number)"
    command = [sys.executable, "-c", send]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)

    def ran() -> list[str]:
        return done.read_text().splitlines()

    pool = ("celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2")
    options = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
    with _server(tmp_path, *pool, "--max-tasks-per-child", "10", *options) as server:
        _wait(tmp_path, lambda: len(ran()) == 60)
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    pids = len(set(ran()))

    assert pids > 2
    assert _stored(tmp_path) == {"import": 2, "task": 60}  # the sender's and the server's
    print(f"figure: celery's prefork pool: 60 of 60 tasks, {pids} processes, one killed")
