"""The background writer: batches, deadlines, a full queue, failures, and a thread that never dies."""

from __future__ import annotations

import errno
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tracestore.errors import StoreError
from tracestore.storage import writer as writer_module
from tracestore.storage.writer import Writer


class ListSink:
    """Keeps what is written in a list; `obstacle` may raise or wait before each write."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.closed = 0
        self.obstacle: Callable[[Sequence[Any]], None] = lambda _records: None

    def write(self, records: Sequence[Any]) -> int:
        self.obstacle(records)
        self.threads.add(threading.current_thread().name)
        self.rows.extend(records)
        self.batches.append(len(records))
        return sum(isinstance(record, tuple) for record in records)

    def run(self, job: Callable[[Any], Any]) -> Any:
        return job(self.rows)

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, OSError)

    def is_lasting(self, error: BaseException) -> bool:
        return isinstance(error, StoreError)

    def size_bytes(self, record: Any) -> int:
        return len(repr(record))

    def idle(self) -> bool:
        return False

    def feed(self) -> tuple[int, int]:
        return 0, 0

    def set_aside(self, _records: Sequence[Any]) -> bool:
        return False

    def sync_due_s(self) -> float | None:
        return None

    def sync(self) -> None:
        pass

    def must_confirm(self) -> bool:
        return False

    def confirm(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def sink() -> ListSink:
    return ListSink()


@pytest.fixture
def writer(sink: ListSink) -> Iterator[Writer]:
    writer = Writer(sink, queue_size=1000, retry_timeout_s=5.0)
    yield writer
    writer.close(2.0)


def test_records_arrive_in_order_on_one_other_thread(writer: Writer, sink: ListSink) -> None:
    for number in range(500):
        writer.put((number,))

    assert writer.flush(5.0).durable == 500
    assert sink.rows == [(number,) for number in range(500)]
    assert sink.threads == {"tracestore-writer"}


def test_records_of_many_threads_all_arrive_each_in_its_order(
    writer: Writer, sink: ListSink
) -> None:
    def record(thread: int) -> None:
        for number in range(2_000):
            writer.put((thread, number))

    threads = [threading.Thread(target=record, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flushed = writer.flush(10.0)

    assert (flushed.durable, flushed.dropped, flushed.pending) == (16_000, 0, 0)
    for thread_number in range(8):
        own = [number for thread, number in sink.rows if thread == thread_number]
        assert own == list(range(2_000))


def test_a_single_record_is_written_without_a_flush(writer: Writer, sink: ListSink) -> None:
    arrived = threading.Event()
    sink.obstacle = lambda _records: arrived.set()

    writer.put(("alone",))

    assert arrived.wait(20.0)


def test_flush_of_an_idle_writer_returns_at_once(writer: Writer) -> None:
    writer.put((1,))
    writer.flush(5.0)

    start = time.perf_counter()
    for _ in range(100):
        assert writer.flush(5.0)
    assert time.perf_counter() - start < 1.0  # 100 waits for a batch would be 2.5 s


def test_flush_gives_up_at_its_deadline_and_says_what_is_pending(
    writer: Writer, sink: ListSink
) -> None:
    gate = threading.Event()
    sink.obstacle = lambda _records: (gate.wait(10.0), None)[1]
    writer.put((1,))

    start = time.perf_counter()
    flushed = writer.flush(0.2)

    assert 0.15 < time.perf_counter() - start < 2.0
    assert not flushed
    assert flushed.pending > 0
    gate.set()
    assert writer.flush(5.0).durable == 1


def test_a_full_queue_makes_callers_wait_then_drops_counts_and_says_so_once(
    sink: ListSink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "ROOM_WAIT_S", 0.2)
    gate = threading.Event()
    sink.obstacle = lambda _records: (gate.wait(10.0), None)[1]
    writer = Writer(sink, queue_size=10, retry_timeout_s=5.0)
    with caplog.at_level(logging.WARNING, logger="tracestore"):
        start = time.perf_counter()
        for number in range(200):
            writer.put((number,))
        took = time.perf_counter() - start

    assert 0.15 < took < 10.0  # waited once: once for each record would be 38 s
    assert writer.stats()["dropped"] >= 100
    assert [record.message for record in caplog.records if "queue is full" in record.message] != []
    assert len(caplog.records) == 1

    gate.set()
    assert writer.flush(5.0)
    for number in range(5):  # it has drained: nothing is dropped any more
        writer.put((number,))
    dropped = writer.stats()["dropped"]
    flushed = writer.flush(5.0)
    assert flushed.dropped == dropped
    assert flushed.durable + flushed.dropped == 205
    writer.close(2.0)


def test_a_queue_is_full_by_its_size_in_bytes_too(
    sink: ListSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "ROOM_WAIT_S", 0.2)
    monkeypatch.setattr(writer_module, "QUEUE_BYTES", 1_000)
    gate = threading.Event()
    sink.obstacle = lambda _records: (gate.wait(10.0), None)[1]
    writer = Writer(sink, queue_size=100_000, retry_timeout_s=5.0)
    writer.put((0,), 10)
    writer.flush(0.1)  # it waits in the sink: nothing leaves the queue from now on
    for number in range(50):
        writer.put(("x" * number,), 100)
    assert writer.stats()["dropped"] == 40
    gate.set()
    assert writer.flush(5.0).durable == 11
    for number in range(500):  # it has drained: callers wait for room and lose nothing
        writer.put((number,), 100)
    flushed = writer.flush(5.0)
    assert (flushed.durable, flushed.dropped) == (511, 40)
    writer.close(2.0)


def test_a_burst_beyond_the_queue_loses_nothing_while_the_file_keeps_up(sink: ListSink) -> None:
    writer = Writer(sink, queue_size=100, retry_timeout_s=5.0)
    for number in range(20_000):
        writer.put((number,))

    flushed = writer.flush(10.0)

    assert (flushed.durable, flushed.dropped) == (20_000, 0)
    writer.close(2.0)


def test_a_passing_failure_is_retried_until_it_passes(writer: Writer, sink: ListSink) -> None:
    failures = iter([OSError(errno.ENOSPC, "full")] * 3)

    def fail_thrice(_records: Sequence[Any]) -> None:
        for failure in failures:
            raise failure

    sink.obstacle = fail_thrice
    writer.put((1,))

    flushed = writer.flush(5.0)

    assert (flushed.durable, flushed.dropped) == (1, 0)


def test_a_failure_that_lasts_is_given_up_after_the_retry_timeout_and_counted(
    sink: ListSink,
) -> None:
    writer = Writer(sink, queue_size=100, retry_timeout_s=0.2)

    def fail(_records: Sequence[Any]) -> None:
        raise OSError(errno.EIO, "broken")

    sink.obstacle = fail
    writer.put((1,))
    assert writer.flush(5.0).dropped == 1

    sink.obstacle = lambda _records: None
    writer.put((2,))
    assert writer.flush(5.0).durable == 1
    assert writer.stats()["failed"] == 1
    writer.close(2.0)


def test_one_record_that_cannot_be_written_does_not_take_the_batch_with_it(
    writer: Writer, sink: ListSink
) -> None:
    def refuse_poison(records: Sequence[Any]) -> None:
        if ("poison",) in records:
            raise ValueError("poison")

    sink.obstacle = refuse_poison
    for number in range(20):
        writer.put((number,))
    writer.put(("poison",))
    for number in range(20, 40):
        writer.put((number,))

    flushed = writer.flush(5.0)

    assert (flushed.durable, flushed.dropped) == (40, 1)
    assert sink.rows == [(number,) for number in range(40)]


def test_the_thread_outlives_any_exception(writer: Writer, sink: ListSink) -> None:
    class Strange(BaseException):
        pass

    raised = threading.Event()

    def strange(_records: Sequence[Any]) -> None:
        sink.obstacle = lambda _records: None
        raised.set()
        raise Strange

    sink.obstacle = strange
    writer.put((1,))
    assert raised.wait(20.0)
    writer.put((2,))

    assert writer.flush(5.0)
    assert (2,) in sink.rows


def test_a_job_runs_after_the_records_before_it_and_returns_its_result(
    writer: Writer,
) -> None:
    writer.put((1,))
    writer.put((2,))

    assert writer.run(list) == [(1,), (2,)]


def test_an_error_of_a_job_is_raised_where_it_was_asked_for(writer: Writer) -> None:
    def fail(_rows: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        writer.run(fail)
    assert writer.run(len) == 0


def test_a_job_that_does_not_get_its_turn_is_a_clear_error(writer: Writer, sink: ListSink) -> None:
    gate = threading.Event()
    sink.obstacle = lambda _records: (gate.wait(10.0), None)[1]
    writer.put((1,))

    with pytest.raises(StoreError, match="could not be written within"):
        writer.run(len, timeout_s=0.1)
    gate.set()


def test_what_comes_after_close_is_written_by_the_thread_that_brings_it(
    writer: Writer, sink: ListSink
) -> None:
    writer.put((1,))
    assert writer.close(2.0)

    writer.put((2,))

    assert sink.rows == [(1,), (2,)]
    assert threading.current_thread().name in sink.threads
    assert writer._thread is None


def test_nothing_is_written_while_the_file_is_closed_by_another_thread() -> None:
    """A record that comes while the writer closes starts no thread that would write beside it."""
    for _ in range(8):
        sink = ListSink()
        inside: list[str] = []
        beside: list[str] = []

        def alone(_records: Sequence[Any] = (), inside: Any = inside, beside: Any = beside) -> None:
            inside.append("here")
            beside.extend(inside[1:])
            time.sleep(0.0002)
            inside.pop()

        sink.obstacle, sink.close = alone, alone  # type: ignore[method-assign]
        writer = Writer(sink, queue_size=1000, retry_timeout_s=5.0)
        closing = threading.Event()

        def record(writer: Writer = writer, closing: threading.Event = closing) -> None:
            while not closing.is_set():
                writer.put((1,))
                time.sleep(0)
            writer.put((2,))

        threads = [threading.Thread(target=record) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.001)
        writer.close(5.0)
        closing.set()
        for thread in threads:
            thread.join()

        assert beside == []
        assert sink.rows.count((2,)) == 2
        assert writer._thread is None


def test_close_ends_within_its_deadline_while_writing_hangs(sink: ListSink) -> None:
    writer = Writer(sink, queue_size=100, retry_timeout_s=500.0)
    gate = threading.Event()
    sink.obstacle = lambda _records: (gate.wait(10.0), None)[1]
    writer.put((1,))

    start = time.perf_counter()
    assert not writer.close(0.3)
    assert time.perf_counter() - start < 2.0
    gate.set()


def test_close_gives_up_retrying_at_its_deadline(sink: ListSink) -> None:
    writer = Writer(sink, queue_size=100, retry_timeout_s=500.0)

    def fail(_records: Sequence[Any]) -> None:
        raise OSError(errno.ENOSPC, "full")

    sink.obstacle = fail
    writer.put((1,))

    start = time.perf_counter()
    writer.close(0.5)
    assert time.perf_counter() - start < 3.0
    assert writer.stats()["failed"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the clock of a thread")
def test_an_idle_writer_costs_no_cpu(writer: Writer) -> None:
    writer.put((1,))
    writer.flush(5.0)
    time.sleep(0.1)  # the batch wait is over: it sleeps without end now

    assert writer._thread is not None
    assert writer._thread.ident is not None
    clock = time.pthread_getcpuclockid(writer._thread.ident)  # other tests' threads are not its own
    before = time.clock_gettime(clock)
    time.sleep(0.5)

    assert time.clock_gettime(clock) - before < 0.02
    assert writer.dormant


def test_open_things_are_asked_for_about_once_a_second(writer: Writer, sink: ListSink) -> None:
    asked: queue.SimpleQueue[float] = queue.SimpleQueue()
    writer.has_open = lambda: True

    def open_records(age_s: float) -> list[object]:
        asked.put(age_s)
        return [("open",)]

    writer.open_records = open_records
    writer.rouse()

    assert asked.get(timeout=5.0) == 1.0
    assert asked.get(timeout=5.0) == 1.0
    writer.has_open = lambda: False
    writer.flush(5.0)
    assert 1 <= sink.rows.count(("open",)) <= 4
