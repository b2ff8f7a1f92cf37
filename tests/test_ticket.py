"""The write ticket: one holder at a time among threads and processes, fair, with deadlines, and gone at the end."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import tracestore
from tracestore.errors import StoreError
from tracestore.storage.ticket import Ticket

#: Takes the ticket for some seconds from the sign on; prints how often and how long it waited at most, in ms.
SATURATED = """
import sys, time
from tracestore.storage.ticket import Ticket
ticket, count, longest = Ticket(sys.argv[1]), 0, 0.0
print("ready", flush=True)
sys.stdin.readline()
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    asked = time.monotonic()
    with ticket.held(10.0):
        longest = max(longest, time.monotonic() - asked)
        with open(sys.argv[1] + ".holder", "x"):
            time.sleep(0.002)
        import os; os.unlink(sys.argv[1] + ".holder")
        count += 1
        if count % 50 == 0:
            ticket.remove()
print(count, longest * 1000)
"""


def test_saturated_processes_take_turns_and_nobody_starves(tmp_path: pathlib.Path) -> None:
    """Also while holders remove the side file: `open(…, "x")` fails where two hold the ticket."""
    path = str(tmp_path / "store.db")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SATURATED, path, "2.0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:  # all at once: one alone takes many more turns than one of four
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    counts = [int(count) for count, _ in printed]
    assert min(counts) > 0.2 * max(counts), counts
    assert max(float(longest) for _, longest in printed) < 1_000


def test_threads_with_tickets_of_their_own_keep_each_other_out(tmp_path: pathlib.Path) -> None:
    holders: list[int] = []
    together: list[int] = []

    def hold(number: int) -> None:
        ticket = Ticket(str(tmp_path / "store.db"))
        for _ in range(30):
            with ticket.held(20.0):
                holders.append(number)
                together.append(len(holders))
                time.sleep(0)
                holders.remove(number)
        ticket.forget()

    threads = [threading.Thread(target=hold, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(together) == {1}
    assert len(together) == 120


def test_waiting_ends_at_its_deadline(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "store.db")
    first, second = Ticket(path), Ticket(path)
    with first.held(1.0):
        start = time.monotonic()
        with pytest.raises(BlockingIOError), second.held(0.2):
            pass
        assert 0.15 < time.monotonic() - start < 2.0
    with second.held(1.0):
        second.remove()
    first.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_dies_gives_the_ticket_back(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "store.db")
    program = (
        "import sys, time\nfrom tracestore.storage.ticket import Ticket\n"
        "with Ticket(sys.argv[1]).held(1.0):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        ticket = Ticket(path)
        with pytest.raises(BlockingIOError), ticket.held(0.05):
            pass
        process.kill()
    with ticket.held(1.0):
        ticket.remove()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_process_that_is_stopped_while_it_writes_stops_no_other_program(
    tmp_path: pathlib.Path,
) -> None:
    path = str(tmp_path / "traces.db")
    program = (
        "import sys, time\nfrom tracestore.storage.ticket import Ticket\n"
        "with Ticket(sys.argv[1]).held(1.0):\n    print('held', flush=True); time.sleep(60)"
    )
    with tracestore.open(path) as store:
        store.create_experiment("before")
        with subprocess.Popen(
            [sys.executable, "-c", program, path], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            process.send_signal(signal.SIGSTOP)
            try:
                found = [experiment.name for experiment in store.search_experiments()]
                start = time.monotonic()
                with contextlib.suppress(StoreError):
                    store.writer.run(lambda _connection: None, timeout_s=0.3)
                took = time.monotonic() - start
            finally:
                process.kill()
        assert found == ["before", "Default"]
        assert took < 2.0
        store.create_experiment("after")


def test_every_write_of_a_store_holds_the_ticket(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "traces.db")
    with tracestore.open(path) as store:
        other = Ticket(path)

        def is_held(_connection: object) -> bool:
            try:
                with other.held(0.0):
                    return False
            except BlockingIOError:
                return True

        assert store.writer.run(is_held)
        other.forget()


def test_one_file_is_left_after_a_clean_end(tmp_path: pathlib.Path) -> None:
    with tracestore.open(tmp_path / "traces.db") as store:
        store.create_experiment("any")
        assert (tmp_path / "traces.db-ticket").exists()

    assert [file.name for file in tmp_path.iterdir()] == ["traces.db"]
