"""What is kept when a process ends or forks: real child processes, and every trace counted."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

import tracestore

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

HEAD = """
import atexit, multiprocessing, os, signal, sys, threading, time
import tracestore

def record(count, name="t"):
    for number in range(count):
        with tracestore.start_span(name) as span:
            span.set_inputs({"number": number, "text": "x" * 500})
            with tracestore.start_span("child"):
                pass

if __name__ == "__main__":
    tracestore.set_tracking_uri(sys.argv[1])
"""


def run(
    tmp_path: pathlib.Path, body: str, *, timeout_s: float = 60.0, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run HEAD and `body` (the main part) as a program that records into traces.db."""
    program = tmp_path / "program.py"
    program.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), str(tmp_path / "traces.db")],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def stored(tmp_path: pathlib.Path) -> dict[str, int]:
    """Return complete traces by name: ended, with both spans."""
    with contextlib.closing(sqlite3.connect(tmp_path / "traces.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute(
            "SELECT name, count(*) FROM trace_view WHERE status != 'IN_PROGRESS' AND span_count = 2"
            " GROUP BY name"
        ).fetchall()
    return dict(rows)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('on purpose')", 1),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", -2),
        ("tracestore.flush(); os._exit(0)", 0),
        ("import asyncio; asyncio.run(asyncio.sleep(0))", 0),
    ],
)
def test_everything_recorded_is_kept_however_the_program_ends(
    tmp_path: pathlib.Path, ending: str, code: int
) -> None:
    run(tmp_path, f"record(1000)\n{ending}", code=code)

    assert stored(tmp_path) == {"t": 1000}


def test_what_late_functions_and_threads_record_is_kept(tmp_path: pathlib.Path) -> None:
    run(
        tmp_path,
        """
        atexit.register(record, 10, "atexit registered late")
        record(100)
        def late():
            time.sleep(0.3)
            record(100, "thread")
        threading.Thread(target=late).start()
        """,
    )

    assert stored(tmp_path) == {"t": 100, "thread": 100, "atexit registered late": 10}


def test_what_an_atexit_function_registered_before_records_is_kept(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "early.py"
    program.write_text(
        "import atexit, sys\n"
        "def last():\n"
        "    for _ in range(10):\n"
        "        with tracestore.start_span('last'):\n"
        "            with tracestore.start_span('child'): pass\n"
        "atexit.register(last)\n"
        "import tracestore\n"
        "tracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('first'):\n"
        "    with tracestore.start_span('child'): pass\n"
    )
    subprocess.run(
        [sys.executable, str(program), str(tmp_path / "traces.db")], check=True, timeout=60
    )

    assert stored(tmp_path) == {"first": 1, "last": 10}


def test_thread_pool_tasks_that_end_late_are_kept(tmp_path: pathlib.Path) -> None:
    run(
        tmp_path,
        """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(4)
        for _ in range(8):
            pool.submit(lambda: (time.sleep(0.1), record(25)))
        """,
    )

    assert stored(tmp_path) == {"t": 200}


@pytest.mark.parametrize(
    "method",
    [pytest.param("fork", marks=needs_fork), "spawn", pytest.param("forkserver", marks=needs_fork)],
)
def test_children_of_multiprocessing_keep_everything(tmp_path: pathlib.Path, method: str) -> None:
    """On Python up to 3.12 such a child ends without running atexit functions."""
    program = tmp_path / "program.py"
    program.write_text(
        HEAD.replace('if __name__ == "__main__":\n', "").replace(
            "    tracestore.set_tracking_uri(sys.argv[1])\n", ""
        )
        + textwrap.dedent(
            f"""
            def work(path, number):
                tracestore.set_tracking_uri(path)
                record(200, f"child {{number}}")

            if __name__ == "__main__":
                tracestore.set_tracking_uri(sys.argv[1])
                record(100, "parent")
                context = multiprocessing.get_context({method!r})
                children = [context.Process(target=work, args=(sys.argv[1], n)) for n in range(3)]
                for child in children: child.start()
                record(100, "parent")
                for child in children: child.join()
                with context.Pool(2) as pool:
                    pool.starmap(work, [(sys.argv[1], n) for n in range(3)])
                    pool.close()
                    pool.join()
                sys.exit(max(child.exitcode for child in children))
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "traces.db")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.stderr == ""
    assert done.returncode == 0
    assert stored(tmp_path) == {"parent": 200, "child 0": 400, "child 1": 400, "child 2": 400}


@needs_fork
def test_parent_and_children_of_a_fork_lose_and_double_nothing(tmp_path: pathlib.Path) -> None:
    run(
        tmp_path,
        """
        stop = threading.Event()
        def keep_recording():
            while not stop.is_set():
                record(5, "busy thread")
                time.sleep(0.002)  # not faster than the file: what is dropped then is another test's
        busy = threading.Thread(target=keep_recording)
        busy.start()
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # the busy thread of this test, not ours
        pids = []
        for number in range(20):
            record(10, "parent")
            pid = os.fork()
            if pid == 0:
                record(20, "child")
                assert tracestore.flush(20)
                os._exit(0)
            pids.append(pid)
        codes = [os.waitpid(pid, 0)[1] for pid in pids]
        stop.set()
        busy.join()
        assert codes == [0] * 20, codes
        """,
    )

    found = stored(tmp_path)
    assert found["parent"] == 200
    assert found["child"] == 400
    assert found["busy thread"] % 5 == 0
    print("figure: 20 forks beside a busy thread: 600 of 600 traces")


@needs_fork
@pytest.mark.parametrize(("search_s", "more"), [(0.5, 4_000), (4.0, 0)], ids=["short", "long"])
def test_a_search_in_another_thread_while_a_process_forks_costs_the_child_nothing(
    tmp_path: pathlib.Path, search_s: float, more: int
) -> None:
    """A child that inherits a reading connection has no locks on the file, and what it commits can vanish.

    So the fork waits for the search; where that takes too long, the child leaves the file alone.
    """
    _run_workers(
        tmp_path,
        f"""
        import logging, warnings
        from tracestore.runtime import runtime
        warnings.simplefilter("ignore", DeprecationWarning)  # the searching thread of this test, not ours
        record(50, "parent")
        store, searching, stop = runtime.store, threading.Event(), threading.Event()
        def search():
            while not stop.is_set():
                with store.reading() as connection:
                    connection.execute("SELECT count(*) FROM traces").fetchone()
                    searching.set()
                    time.sleep({search_s})
        thread = threading.Thread(target=search)
        thread.start()
        assert searching.wait(20)
        started = time.monotonic()
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            if not {more}:
                logging.disable()  # it says that it may not write
            record(20, "child")
            tracestore.flush(20)
            os.read(read_end, 1)  # until the parent, as the last one to have it open, has closed the file
            record({more}, "child")  # more than the spool holds, and acknowledged
            tracestore.flush(20)
            os.kill(os.getpid(), signal.SIGKILL)
        assert time.monotonic() - started < 5
        stop.set()
        thread.join()
        store.close()
        os.write(write_end, b".")
        os.waitpid(pid, 0)
        """,
    )

    assert stored(tmp_path) == {"parent": 50, "child": 20 + more}


@needs_fork
@pytest.mark.skipif(sys.version_info < (3, 12), reason="the warning is of Python 3.12")
def test_forking_warns_of_no_thread_of_ours(tmp_path: pathlib.Path) -> None:
    """Python 3.12 and later warn where a process with threads forks; the writer is stopped before."""
    run(
        tmp_path,
        """
        record(10)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        """,
    )


@needs_fork
def test_a_span_that_is_open_across_a_fork_ends_in_the_parent(tmp_path: pathlib.Path) -> None:
    run(
        tmp_path,
        """
        with tracestore.start_span("t"):
            pid = os.fork()
            if pid == 0:
                with tracestore.start_span("child"):
                    pass
                tracestore.flush(20)
                os._exit(0)
            os.waitpid(pid, 0)
        """,
    )

    assert stored(tmp_path) == {"t": 1}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_process_leaves_what_had_ended_and_what_was_open(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        HEAD
        + textwrap.indent(
            textwrap.dedent(
                """
                record(100)
                with tracestore.start_span("outer") as outer:
                    outer.set_inputs({"question": "why?"})
                    with tracestore.start_span("long"):
                        record(1, "step")
                        time.sleep(2.5)
                        print("ready", flush=True)
                        time.sleep(60)
                """
            ),
            "    ",
        )
    )
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "traces.db")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)

    with contextlib.closing(sqlite3.connect(tmp_path / "traces.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ended = connection.execute("SELECT count(*) FROM traces WHERE status = 'OK'").fetchone()
        spans = connection.execute(
            "SELECT s.name, s.end_time_ns IS NULL, s.inputs FROM spans s JOIN traces t ON t.id = s.trace"
            " WHERE t.status = 'IN_PROGRESS' ORDER BY s.start_time_ns"
        ).fetchall()
    assert ended == (100,)
    assert spans[0] == ("outer", 1, '{"question":"why?"}')
    assert spans[1][:2] == ("long", 1)
    assert [name for name, _, _ in spans[2:]] == ["step", "child"]


def test_eight_processes_write_one_file(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(HEAD + "    record(500, sys.argv[2])\n    assert tracestore.flush(60)\n")
    path = str(tmp_path / "traces.db")

    processes = [
        subprocess.Popen([sys.executable, str(program), path, f"p{n}"], stderr=subprocess.PIPE)
        for n in range(8)
    ]
    errors = [process.communicate(timeout=100)[1] for process in processes]

    assert errors == [b""] * 8
    assert [process.returncode for process in processes] == [0] * 8
    with tracestore.open(
        path
    ) as store:  # a machine too busy to write all within the exit's deadline
        store.count_traces()
    assert stored(tmp_path) == {f"p{n}": 500 for n in range(8)}


def test_a_program_whose_file_is_held_by_another_ends_in_time_and_says_so(
    tmp_path: pathlib.Path,
) -> None:
    run(tmp_path, "record(1, 'before')")
    with contextlib.closing(
        sqlite3.connect(tmp_path / "traces.db", isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        run(tmp_path, "record(10)\nassert not tracestore.flush(0.5)", timeout_s=60)
        took = time.monotonic() - start
        connection.execute("ROLLBACK")

    assert took < 15
    assert stored(tmp_path) == {"before": 1}


def _run_workers(tmp_path: pathlib.Path, main: str, *, code: int = 0) -> None:
    """Run a program whose workers, functions `work(number)`, record 50 traces each."""
    program = tmp_path / "program.py"
    program.write_text(
        HEAD.replace('if __name__ == "__main__":\n', "").replace(
            "    tracestore.set", "tracestore.set"
        )
        + "\ndef work(number):\n    record(50, f'worker {number % 4}')\n    return number\n\n"
        + 'if __name__ == "__main__":\n'
        + textwrap.indent(textwrap.dedent(main), "    ")
    )
    environment = {**os.environ, "TRACESTORE_DB": str(tmp_path / "traces.db")}
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "traces.db")],
        capture_output=True,
        text=True,
        timeout=100,
        env=environment,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == code
    with tracestore.open(tmp_path / "traces.db") as store:
        store.count_traces()


@pytest.mark.parametrize(
    "method",
    [pytest.param("fork", marks=needs_fork), "spawn", pytest.param("forkserver", marks=needs_fork)],
)
def test_pools_that_are_terminated_lose_nothing_that_had_ended(
    tmp_path: pathlib.Path, method: str
) -> None:
    """`with Pool()` ends its workers by SIGTERM, as soon as the last result is there."""
    _run_workers(
        tmp_path,
        f"""
        record(10, "parent")
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            assert sorted(pool.map(work, range(8))) == list(range(8))
        record(10, "parent")
        """,
    )

    expected = {f"worker {number}": 100 for number in range(4)}
    assert stored(tmp_path) == {"parent": 20, **expected}
    print(f"figure: a {method} pool: 400 of 400 traces of its workers")


@needs_fork
def test_executors_and_workers_that_leave_by_os_exit_lose_nothing(tmp_path: pathlib.Path) -> None:
    _run_workers(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
            assert sum(executor.map(work, range(4))) == 6
        for number in range(4):
            if os.fork() == 0:
                work(number)
                os._exit(0)
            os.wait()
        """,
    )

    assert stored(tmp_path) == {f"worker {number}": 100 for number in range(4)}


@needs_fork
def test_a_prefork_server_records_in_its_master_and_its_workers(tmp_path: pathlib.Path) -> None:
    """As gunicorn --preload and celery do: the master has recorded, workers are replaced, then killed."""
    _run_workers(
        tmp_path,
        """
        record(20, "master")
        workers = []
        for generation in range(2):
            for number in range(4):
                reader, writer = os.pipe()
                pid = os.fork()
                if pid == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    work(number)
                    os.write(writer, b"done")
                    time.sleep(60)
                workers.append((pid, reader))
            record(20, "master")
            for pid, reader in workers:
                assert os.read(reader, 4) == b"done"
                os.kill(pid, signal.SIGTERM if generation else signal.SIGKILL)
                os.waitpid(pid, 0)
            workers.clear()
        """,
    )

    expected = {f"worker {number}": 100 for number in range(4)}
    assert stored(tmp_path) == {"master": 60, **expected}
    print("figure: 8 workers that were killed, a master: 460 of 460 traces")


@needs_fork
@pytest.mark.skipif(sys.platform != "linux", reason="a C library's fork by ctypes")
@pytest.mark.parametrize(
    "after",
    [
        "pass",
        pytest.param(
            "ctypes.pythonapi.PyOS_AfterFork_Child()",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13),
                reason="Python 3.13 ends such a child itself: PyOS_BeforeFork has locked nothing",
            ),
        ),
    ],
)
def test_a_fork_by_c_code_that_runs_no_hooks_harms_nobody(
    tmp_path: pathlib.Path, after: str
) -> None:
    """As uWSGI's, which runs the hooks in the child alone: the child inherits open connections."""
    _run_workers(
        tmp_path,
        f"""
        import ctypes
        os.waitpid(os.fork() or os._exit(0), 0)  # a fork with hooks before makes no difference
        record(20, "parent")
        tracestore.flush()
        from tracestore.runtime import runtime
        while not runtime.store.writer.dormant:  # a thread that wants the interpreter lock just now would
            time.sleep(0.001)                    # leave it broken in the child: that is Python's own
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            {after}
            record(20, "child")
            os._exit(0)
        record(20, "parent")
        assert os.waitpid(pid, 0)[1] == 0
        record(20, "parent")
        """,
    )

    assert stored(tmp_path) == {"parent": 60, "child": 20}


def test_reloading_the_package_loses_and_doubles_nothing(tmp_path: pathlib.Path) -> None:
    _run_workers(
        tmp_path,
        """
        import importlib
        record(20, "before")
        for _ in range(3):
            for name in ("tracestore.storage.writer", "tracestore.store", "tracestore.runtime", "tracestore"):
                importlib.reload(sys.modules[name])
            record(20, "between")
        for name in [name for name in sys.modules if name.split(".")[0] == "tracestore"]:
            del sys.modules[name]
        import tracestore
        record(20, "after")
        """,
    )

    assert stored(tmp_path) == {"before": 20, "between": 60, "after": 20}


@pytest.mark.slow
def test_eight_processes_at_once_keep_two_thousand_traces_each(tmp_path: pathlib.Path) -> None:
    """And reading goes on: no search waits longer than a second."""
    program = tmp_path / "program.py"
    program.write_text(HEAD + "    record(2000, sys.argv[2])\n    assert tracestore.flush(60)\n")
    path = str(tmp_path / "traces.db")
    with tracestore.open(path) as store:
        store.create_experiment("any")
        store.flush()
    processes = [
        subprocess.Popen([sys.executable, str(program), path, f"p{n}"], stderr=subprocess.PIPE)
        for n in range(8)
    ]
    waits = []
    with tracestore.open(path, read_only=True) as store:
        store.search_traces(max_results=10)  # imports what searching needs
        while any(process.poll() is None for process in processes):
            start = time.monotonic()
            store.search_traces(max_results=10)
            waits.append(time.monotonic() - start)
            time.sleep(0.01)
    errors = [process.communicate(timeout=100)[1] for process in processes]

    assert errors == [b""] * 8
    with tracestore.open(
        path
    ) as store:  # a machine too busy to write all within the exit's deadline
        store.count_traces()
    assert stored(tmp_path) == {f"p{n}": 2000 for n in range(8)}
    longest_ms = max(waits) * 1000
    print(
        f"figure: 16,000 of 16,000 traces; {len(waits):,} searches, the longest {longest_ms:.0f} ms"
    )
    assert max(waits) < 1.0
