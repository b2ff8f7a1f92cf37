"""What is made one step ahead comes in order, once, and ends as its maker does."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from tracestore.storage.ahead import one_ahead

AT_EXIT = """
import atexit
from tracestore.storage.ahead import one_ahead
atexit.register(lambda: print(list(one_ahead(str, range(3)))))
"""


def test_the_next_is_made_while_one_is_used() -> None:
    made: list[int] = []

    def make(item: int) -> tuple[int, int]:
        made.append(item)
        return item, threading.get_ident()

    seen = []
    for item, thread in one_ahead(make, range(4)):
        deadline = time.monotonic() + 5
        while len(made) < min(item + 2, 4) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert made == list(range(min(item + 2, 4)))
        assert thread != threading.get_ident()
        seen.append(item)
    assert seen == [0, 1, 2, 3]
    assert list(one_ahead(str, [])) == []


def test_what_it_raises_comes_in_its_turn() -> None:
    results = one_ahead(lambda item: 6 // item, [3, 2, 0, 1])
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_consumer_that_stops_leaves_no_thread() -> None:
    before = threading.active_count()
    results = one_ahead(str, range(100))
    assert next(results) == "0"
    results.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


def test_at_the_end_of_a_program_no_thread_is_needed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['0', '1', '2']\n", "")
