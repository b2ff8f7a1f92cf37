"""The recorder: real processes are killed, and what they were told is kept is counted in the file."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import queue
import random
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracestore
from tracestore.settings import load
from tracestore.storage import filesystem, spool
from tracestore.storage import writer as writer_module
from tracestore.storage.record_rows import SPAN_FIELDS, TraceRecord
from tracestore.storage.spool import Recorder
from tracestore.storage.ticket import try_lock
from tracestore.store import Store
from tracestore.upkeep.findings import ERROR

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

#: Records until it is killed; a byte to standard output for each trace whose call has returned.
RECORDING = """
import os, signal, sys
import tracestore
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup hands on as ignored
tracestore.set_tracking_uri(sys.argv[1])
name = sys.argv[2]
number = 0
while True:
    with tracestore.start_span(name) as span:
        span.set_inputs({"number": number, "messages": [{"role": "user", "content": "why? " * int(sys.argv[3])}]})
        with tracestore.start_span("model") as child:
            child.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4})
        span.set_outputs("because")
    number += 1
    os.write(1, b".")
"""


class Killed:
    """Processes that record and are killed; `acknowledged` says how many traces each was told are kept."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.acknowledged: dict[str, int] = {}

    def run(
        self,
        names: list[str],
        wait_s: float,
        how: signal.Signals = signal.SIGKILL,
        words: int = 20,
    ) -> None:
        """Run a process for each name, end all after `wait_s` from when all record, count."""
        outputs = [self.path.with_name(f"{name}.acknowledged") for name in names]
        processes = []
        for name, output in zip(names, outputs, strict=True):
            with output.open("wb") as stream:
                arguments = [sys.executable, "-c", RECORDING, str(self.path), name, str(words)]
                processes.append(subprocess.Popen(arguments, stdout=stream))
        deadline = time.monotonic() + 60
        while not all(output.stat().st_size for output in outputs):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(wait_s)
        for process in processes:
            process.send_signal(how)
        for process in processes:
            process.wait(30)
        for name, output in zip(names, outputs, strict=True):
            self.acknowledged[name] = output.stat().st_size

    def found(self) -> dict[str, int]:
        """Return complete traces by name once the store was opened; each number must be there once."""
        deadline = time.monotonic() + 60
        while True:
            with Store(self.path) as store:
                store.count_traces()
            # A machine with much else to do may not take over all within what a read waits for it.
            if not pathlib.Path(f"{self.path}-spool").exists() or time.monotonic() > deadline:
                break
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            doubled = connection.execute(
                "SELECT s.name, s.inputs, count(*) FROM spans s WHERE s.inputs IS NOT NULL"
                " GROUP BY 1, 2 HAVING count(*) > 1"
            ).fetchall()
            assert doubled == []
            incomplete = connection.execute(
                "SELECT count(*) FROM trace_view WHERE status = 'OK' AND"
                " (span_count != 2 OR total_tokens IS NOT 7 OR request_preview IS NULL"
                " OR response_preview IS NOT '\"because\"' OR resource NOT LIKE '%source.name%')"
            ).fetchone()
            assert incomplete == (0,)
            rows = connection.execute(
                "SELECT name, count(*) FROM traces WHERE status = 'OK' GROUP BY name"
            )
            return dict(rows.fetchall())


def _assert_nothing_lost(killed: Killed) -> int:
    found = killed.found()
    lost = {name: n - found.get(name, 0) for name, n in killed.acknowledged.items()}
    # One more may be there: killed between the end of the trace and the byte that says so.
    assert all(-1 <= missing <= 0 for missing in lost.values()), lost
    assert [file.name for file in killed.path.parent.iterdir() if "acknow" not in file.name] == [
        killed.path.name
    ]
    return sum(killed.acknowledged.values())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT])
def test_a_killed_process_loses_nothing_that_had_ended(
    tmp_path: pathlib.Path, how: signal.Signals
) -> None:
    killed = Killed(tmp_path / "traces.db")
    killed.run(["one", "two"], 0.1, how)

    kept = _assert_nothing_lost(killed)
    print(f"figure: {how.name} at 2 processes: {kept:,} acknowledged traces, 0 lost")
    assert kept > 50


def test_processes_that_are_killed_one_after_the_other_lose_and_double_nothing(
    tmp_path: pathlib.Path,
) -> None:
    """The next process takes over what the last one left, and is killed itself, perhaps meanwhile."""
    killed = Killed(tmp_path / "traces.db")
    rng = random.Random(5)
    for round_ in range(6):
        killed.run([f"{round_}"], rng.uniform(0.0, 0.08))

    _assert_nothing_lost(killed)


def test_killed_processes_whose_files_were_used_again_lose_and_double_nothing(
    tmp_path: pathlib.Path,
) -> None:
    killed = Killed(tmp_path / "traces.db")
    generations = rounds = 0
    while generations <= 6 and rounds < 20:  # a busy machine takes more of them
        rounds += 1
        killed.run([f"{rounds}"], 0.4, words=1_000)
        for file in pathlib.Path(f"{killed.path}-spool").iterdir():
            data = file.read_bytes()
            generations += struct.unpack_from("<4sIII", data)[2] if data else 0

    kept = _assert_nothing_lost(killed)
    assert generations > 6
    print(
        f"figure: files used {generations} times by {rounds} killed processes: {kept:,} traces, 0 lost"
    )


@pytest.mark.slow
def test_many_killed_processes_lose_and_double_nothing(tmp_path: pathlib.Path) -> None:
    rng = random.Random(6)
    total = kills = 0
    for part in range(6):
        folder = tmp_path / str(part)
        folder.mkdir()
        killed = Killed(folder / "traces.db")
        for round_ in range(6):
            names = [f"{round_}.{number}" for number in range(rng.randrange(1, 4))]
            kills += len(names)
            killed.run(names, rng.uniform(0.0, 0.5))
        total += _assert_nothing_lost(killed)
    print(f"figure: {kills} kills, {total:,} acknowledged traces: 0 lost, 0 doubled")


def _stored(path: pathlib.Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, status, span_count FROM trace_view").fetchall()


def _draft(number: int) -> TraceRecord:
    return TraceRecord(
        f"tr-{number:032x}", 0, 1_700_000_000_000 + number, "t", "OK", 5, None, {}, {}, None, None,
        {"mine": "1"}, {}, False,
    )  # fmt: skip


def _span(number: int) -> tuple[object, ...]:
    return (
        f"tr-{number:032x}", f"{number:016x}", None, "t", None, "OK", None, 1, 2, None, None, None,
        None, '"in"', '"out"',
    )  # fmt: skip


def _left_behind(path: pathlib.Path, numbers: range) -> pathlib.Path:
    """Write a spool as a process that was killed leaves it; return its file."""
    recorder = Recorder(str(path))
    for number in numbers:
        assert recorder.keep(None, _draft(number), [_span(number)])
    (segment,) = recorder._segments
    os.close(segment.handle)
    return pathlib.Path(segment.path)


def test_two_threads_that_close_at_once_close_no_file_twice(tmp_path: pathlib.Path) -> None:
    """As the main thread at the end of a process, while the writer's is not done: it raised, and closed a handle again."""
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        for _ in range(10):
            recorder, start = Recorder(str(tmp_path / "traces.db")), threading.Barrier(2)
            for _ in range(50):
                recorder._make().give_up(0)

            def close(start: threading.Barrier = start, recorder: Recorder = recorder) -> None:
                start.wait()
                recorder.close(leave=True)

            for closing in [threads.submit(close), threads.submit(close)]:
                closing.result()
            assert recorder._segments == []
    assert not pathlib.Path(recorder.folder).exists()


def test_each_frame_of_a_spool_is_taken_over_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    file = _left_behind(path, range(1, 1_201))
    again = file.read_bytes()
    with Store(path) as store:
        assert store.count_traces() == 1_200
        store.delete_traces("0", trace_ids=[f"tr-{7:032x}"])
        store.set_trace_tag(f"tr-{8:032x}", "mine", "2")
    assert not file.parent.exists()

    file.parent.mkdir()  # as if the process had been killed before it could remove the file
    file.write_bytes(again)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO state VALUES (?, '1200')", (f"spool.{file.name}",))
    with Store(path) as store:
        assert store.count_traces() == 1_199
        assert store.get_trace(f"tr-{8:032x}").info.tags["mine"] == "2"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM state WHERE name LIKE 'spool%'").fetchall() == []


@pytest.mark.parametrize("damage", ["torn tail", "torn in the middle", "flipped bits", "noise"])
def test_of_a_damaged_spool_the_sound_frames_are_taken(tmp_path: pathlib.Path, damage: str) -> None:
    path = tmp_path / "traces.db"
    file = _left_behind(path, range(1, 101))
    data = bytearray(file.read_bytes())
    frame_bytes = len(data) // 101
    if damage == "torn tail":
        del data[-5:]
    elif damage == "torn in the middle":
        middle = data.index(spool.MAGIC, len(data) // 2)
        del data[middle + 20 : middle + 40]
    elif damage == "flipped bits":
        data[50 * frame_bytes + 30] ^= 0x10
    else:
        data[:0] = random.Random(1).randbytes(5_000) + spool.MAGIC
    file.write_bytes(data)

    with Store(path) as store:
        assert store.count_traces() == (100 if damage == "noise" else 99)


@pytest.mark.skipif(sys.platform != "linux", reason="pipes, names that are no text")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("directory", "no regular file"),
        ("pipe", "no regular file"),
        ("link to what never ends", "no regular file"),
        ("huge", "more than a spool has"),
        ("name that is no text", "surrogates"),
    ],
)
def test_a_spool_that_cannot_be_read_holds_up_nobody_and_is_named(
    tmp_path: pathlib.Path, kind: str, reason: str
) -> None:
    path = tmp_path / "traces.db"
    odd = _left_behind(path, range(1, 4)).with_name("1-odd.spool")
    if kind == "directory":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    elif kind == "link to what never ends":
        odd.symlink_to("/dev/zero")
    elif kind == "huge":
        with odd.open("wb") as stream:
            stream.truncate(2**40)
    else:
        pathlib.Path(os.fsdecode(bytes(odd.with_name("1-")) + b"\xff.spool")).write_bytes(b"")

    with Store(path) as store:
        store.create_experiment("is written")
        assert store.count_traces() == 3
        assert store.stats()["unreadable_spools"] == 1
        message = "a spool that can't be read"
        (finding,) = (f for f in store.check() if f.message == message)
        assert finding.severity == ERROR
        assert reason in finding.places[0]


def test_what_lies_in_the_place_of_the_spools_folder_holds_up_nobody_and_is_named(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "traces.db"
    pathlib.Path(f"{path}-spool").write_text("a file")
    with Store(path) as store:
        store.create_experiment("is written")
        (finding,) = store.check()
    assert finding.message == "a spool that can't be read"


def test_a_frame_that_the_store_refuses_takes_no_other_with_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    file = _left_behind(path, range(1, 11))
    bad = (11, _draft(11)._replace(tags={"a": [1]}), ())  # type: ignore[dict-item]  # on purpose
    worse = (12, _draft(12), [(*_span(12)[:7], "no number", *_span(12)[8:])])
    with file.open("ab") as stream:
        payloads: tuple[object, ...] = (
            bad,
            worse,
            (13, "no trace", 5),
            "no frame",
            [],
            (14, None, [["x"]]),
            (15, _draft(15)._replace(metadata="x"), ()),  # type: ignore[arg-type]  # on purpose
            (0, (TraceRecord._fields, SPAN_FIELDS), {"mlflow.user": 1}),
            (0, 7, 7),
        )
        for payload in payloads:
            stream.write(spool._frame(payload))
        # The one byte that is no MessagePack.
        stream.write(spool._HEAD.pack(spool.MAGIC, 1, 1, zlib.crc32(b"\xc1", 1)) + b"\xc1")

    with Store(path) as store:
        assert store.count_traces() == 10


def test_a_spool_of_another_version_is_read_by_names(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    folder = pathlib.Path(f"{path}-spool")
    folder.mkdir()
    names = [*reversed(TraceRecord._fields), "from the future"]
    values = [*reversed(_draft(1)), {"any": 1}]
    head = (0, (names, ["extra", *SPAN_FIELDS]), {"mlflow.user": "me"})
    frames = [spool._frame(head), spool._frame((1, values, [["?", *_span(1)]]))]
    (folder / "1-old.spool").write_bytes(b"".join(frames))

    with Store(path) as store:
        (trace,) = store.search_traces()
    assert (trace.info.trace_metadata["mlflow.user"], trace.data.spans[0].inputs) == ("me", "in")


def test_the_command_line_shows_what_a_killed_process_left(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("any")
    _left_behind(path, range(1, 4))

    done = subprocess.run(
        [sys.executable, "-m", "tracestore", "count", "--db", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "3\n"


#: Records, has its files removed, records on, and is killed or ends.
REMOVED = """
import glob, os, shutil, signal, sys
import tracestore
path, what, end = sys.argv[1:]
def record(count, name):
    for _ in range(count):
        with tracestore.start_span(name):
            pass
tracestore.set_tracking_uri(path)
record(50, "before")
tracestore.flush()
for file in glob.glob(path + what):
    shutil.rmtree(file) if os.path.isdir(file) else os.unlink(file)
record(1, "noticed")
assert tracestore.flush()
handles = len(os.listdir("/proc/self/fd"))
record(300, "after")
if end == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
tracestore.flush()
assert len(os.listdir("/proc/self/fd")) <= handles + 4, "handles of removed files stay open"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="handles are counted in /proc")
@pytest.mark.parametrize("end", ["kill", "normal end"])
@pytest.mark.parametrize("what", ["*", "-spool"])
def test_where_the_files_are_removed_under_a_program_new_ones_keep_what_ends_from_then_on(
    tmp_path: pathlib.Path, what: str, end: str
) -> None:
    path = tmp_path / "traces.db"
    command = [sys.executable, "-c", REMOVED, str(path), what, end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == (-signal.SIGKILL if end == "kill" else 0), done.stderr
    assert "-spool was removed; a new one is begun" in done.stderr
    with Store(path) as store:
        assert store.count_traces("name = 'after'") == 300
        assert store.count_traces("name = 'noticed'") == 1
        assert store.count_traces("name = 'before'") == (0 if what == "*" else 50)
    print(
        f"figure: {'all files' if what == '*' else 'the spool'} removed, {end}: 301 of 301 traces that ended later"
    )
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_symlinks_pipes_and_folders_among_the_spools_are_left_alone(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "traces.db-spool"
    folder.mkdir()
    (tmp_path / "secret").write_text("mine")
    (folder / "1-a.spool").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "1-b.spool")
    (folder / "1-c.spool").mkdir()

    with Store(tmp_path / "traces.db") as store:
        assert store.count_traces() == 0
    assert (tmp_path / "secret").read_text() == "mine"
    assert len(list(folder.iterdir())) == 3


def test_the_spool_of_a_living_process_is_not_taken(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    recorder = Recorder(str(path))
    kept = recorder.keep(None, _draft(1), [_span(1)])
    assert kept is not None
    with Store(path) as store:
        assert store.count_traces() == 0
    assert pathlib.Path(kept.segment.path).exists()
    recorder.settle([kept])
    recorder.close()


def test_files_are_given_up_as_the_store_takes_their_frames(tmp_path: pathlib.Path) -> None:
    recorder = Recorder(str(tmp_path / "traces.db"))
    waiting = []
    for number in range(3_000):
        kept = recorder.keep(None, _draft(number), [(*_span(number)[:14], "x" * 5_000)])
        assert kept is not None
        waiting.append(kept)
        if len(waiting) == 100:
            recorder.positions(waiting)
            recorder.settle(waiting)
            waiting.clear()
            assert recorder.size_bytes() < 2 * spool.SEGMENT_BYTES
    assert len(list(pathlib.Path(recorder.folder).iterdir())) <= 2
    recorder.close()
    assert not pathlib.Path(recorder.folder).exists()


@pytest.mark.parametrize("in_place", [True, False])
def test_frames_of_many_threads_are_whole_within_and_behind_what_is_mapped(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *, in_place: bool
) -> None:
    kinds = {filesystem._kind(str(tmp_path))} if in_place else set()
    monkeypatch.setattr(filesystem, "_IN_PLACE", kinds)
    segment = spool.Segment(str(tmp_path / "spool"))
    assert filesystem.overwrites_in_place(str(tmp_path)) is in_place
    segment.begin({}, reserve=True, mapped=in_place)
    size = 100_000
    for generation in range(2):

        def write(first: int) -> None:
            for number in range(first, first + 10):
                segment.write(number, None, [(f"{number}", "x" * size)])

        threads = [threading.Thread(target=write, args=(100 * n + 1,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [payload[0] for payload in spool.frames(segment.read()) if payload[0]]
        assert sorted(found) == [100 * n + 1 + i for n in range(4) for i in range(10)]
        assert segment.size > spool.MAPPED_BYTES
        if not generation:
            segment.begin({}, reserve=True, mapped=in_place)
    assert (segment._pages is not None) is in_place
    segment.close(remove=True)


def test_a_fork_lets_go_of_the_files_so_that_they_are_unlocked_with_the_parent(
    tmp_path: pathlib.Path,
) -> None:
    recorder = Recorder(str(tmp_path / "traces.db"))
    for number in range(100):
        kept = recorder.keep(None, _draft(number), [(*_span(number)[:14], "x" * 5_000)])
        assert kept is not None
        recorder.positions([kept])
        recorder.settle([kept])
    segments = list(recorder._segments)
    assert any(segment._pages is not None for segment in segments) or not recorder._maps
    child = os.fork()
    if child == 0:
        recorder.forget()
        signal.pause()
    time.sleep(0.2)
    try:
        for segment in segments:
            segment.release()  # as the parent's end does
            handle = os.open(segment.path, os.O_RDWR)
            assert try_lock(handle)
            os.close(handle)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_one_file_is_used_again_while_the_other_is_written(tmp_path: pathlib.Path) -> None:
    recorder = Recorder(str(tmp_path / "traces.db"))
    used = set()
    for number in range(2_000):
        kept = recorder.keep(None, _draft(number), [(*_span(number)[:14], "x" * 5_000)])
        assert kept is not None
        used.add((kept.segment.name, kept.segment.generation))
        if number % 20 == 0:
            recorder.positions([kept])
            recorder.settle([kept])
        else:
            kept.segment.give_up(kept.number)
    assert len({name for name, _ in used}) == 2
    assert 30 < len(used) < 50  # 10 MB in pieces of 256 KB
    files = list(pathlib.Path(recorder.folder).iterdir())
    assert sum(file.stat().st_size for file in files) <= 2 * spool.MAPPED_BYTES
    recorder.close()
    assert not pathlib.Path(recorder.folder).exists()


_lengths = st.lists(st.integers(0, 3_000), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(older=_lengths, newer=_lengths, torn_at=st.floats(0, 1), flipped=st.integers(0, 40_000))
def test_of_a_file_that_was_used_again_only_whole_frames_of_the_last_time_count(
    older: list[int], newer: list[int], torn_at: float, flipped: int
) -> None:
    """A kill in the middle of a write, over what was there before; and one bit that flips anywhere."""

    def write(lengths: list[int], segment: spool.Segment) -> tuple[list[int], list[int]]:
        ends, numbers = [segment.size], []
        for length in lengths:
            number = segment.take_number()
            assert number is not None
            segment.write(number, _draft(number), [(*_span(number)[:14], "x" * length)])
            segment.give_up(number)
            numbers.append(number)
            ends.append(segment.size)
        return ends, numbers

    with tempfile.TemporaryDirectory() as folder:
        segment = spool.Segment(folder)
        segment.begin({})
        _, old_numbers = write(older, segment)
        before = pathlib.Path(segment.path).read_bytes()
        segment.begin({})
        ends, numbers = write(newer, segment)
        after = pathlib.Path(segment.path).read_bytes()[: segment.size]
        segment.close(remove=True)
    cut = round(torn_at * len(after))
    data = bytearray(after[:cut] + before[cut:])
    whole = [n for n, end in zip(numbers, ends[1:], strict=True) if data[:end] == after[:end]]

    found = [payload[0] for payload in spool.frames(bytes(data))]
    # Where not even the head is whole, all is of before, and the store's position is beyond it.
    if data[: ends[0]] == after[: ends[0]]:
        assert found == [0, *whole]
    else:
        assert set(found) <= {0, *old_numbers}
    assert set(old_numbers).isdisjoint(numbers)

    data[flipped % len(data)] ^= 1
    again = [payload[0] for payload in spool.frames(bytes(data))]
    assert set(again) <= {0, *whole} or set(again) <= {0, *old_numbers}
    assert len(again) == len(set(again))


def test_a_file_that_is_just_begun_is_not_taken_for_one_that_is_done_with(
    tmp_path: pathlib.Path,
) -> None:
    """While threads begin files the writer settles, and closes the store's files when it has nothing to do."""
    recorder = Recorder(str(tmp_path / "traces.db"))
    committed: queue.SimpleQueue[spool.Kept] = queue.SimpleQueue()
    stop = threading.Event()

    def settle() -> None:
        while not (stop.is_set() and committed.empty()):
            recorder.settle([] if committed.empty() else [committed.get()])
            recorder.close()

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=settle)
    thread.start()
    try:
        for number in range(200):
            kept = recorder.keep(None, _draft(number), [_span(number)])
            assert kept is not None
            committed.put(kept)
            while kept.segment in recorder._segments:
                time.sleep(0)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval_s)
    recorder.close()
    assert not pathlib.Path(recorder.folder).exists()


def test_a_writer_that_is_held_up_leaves_files_of_a_size_to_read_at_once(
    tmp_path: pathlib.Path,
) -> None:
    recorder = Recorder(str(tmp_path / "deep" / "folder" / "traces.db"))
    for number in range(6_000):
        assert recorder.keep(None, _draft(number), [(*_span(number)[:14], "x" * 5_000)])
    files = list(pathlib.Path(recorder.folder).iterdir())
    sizes = [file.stat().st_size for file in files]
    assert sum(sizes) > 6_000 * 5_000
    assert max(sizes) < 3 * spool.SEGMENT_BYTES
    for folder in (tmp_path / "deep" / "folder", pathlib.Path(recorder.folder)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    recorder.discard()


def test_a_position_never_passes_a_frame_that_is_not_written(tmp_path: pathlib.Path) -> None:
    recorder = Recorder(str(tmp_path / "traces.db"))
    first, second, third = (recorder.keep(None, _draft(n), [_span(n)]) for n in range(3))
    assert first is not None
    assert second is not None
    assert third is not None

    assert recorder.positions([second]) == [(second.segment.name, 0)]
    recorder.settle([second])
    assert recorder.positions([first]) == [(second.segment.name, 2)]
    recorder.settle([first])
    assert recorder.positions([third]) == [(second.segment.name, 3)]
    recorder.settle([third])
    recorder.close()


def test_a_spool_that_cannot_be_written_is_counted_and_breaks_nothing(
    tmp_path: pathlib.Path,
) -> None:
    """The folder's name is taken by a file."""
    (tmp_path / "traces.db-spool").write_text("in the way")
    program = (
        "import sys, tracestore\ntracestore.set_tracking_uri(sys.argv[1])\n"
        "for _ in range(5):\n    with tracestore.start_span('t'): pass\n"
        "assert tracestore.flush()\nprint(tracestore.stats()['unkept'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "traces.db")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "5\n"
    assert done.stderr.count("may be lost") == 1
    assert len(_stored(tmp_path / "traces.db")) == 5


def test_a_span_that_ends_while_it_is_written_as_open_is_still_to_be_kept(
    recording: Store,
) -> None:
    with tracestore.start_span("root"):
        with tracestore.start_span("child") as child:
            trace = child.trace
            opened = trace.open_records(0.0)
        recording._forget_written(
            [record for record in opened if isinstance(record, tuple)], ended=False
        )
        assert [record[3] for record in trace._unkept.values()] == ["child"]


def test_a_burst_larger_than_the_queue_is_fed_from_the_spool(recording: Store) -> None:
    """The file is held by another program meanwhile. One call waits, as long as the queue alone would."""
    store, path = recording, pathlib.Path(recording.path)
    store.create_experiment("any")
    store.writer._queue_size = store.writer._room = 200
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        slowest_s = 0.0
        for number in range(1_000):
            started = time.monotonic()
            with tracestore.start_span(f"root {number}") as root:
                root.set_inputs({"number": number})
                for _ in range(3):
                    with tracestore.start_span("step") as step:
                        step.set_outputs("x" * 100)
            slowest_s = max(slowest_s, time.monotonic() - started)
        stats = store.writer.stats()
        assert len(store.writer._queue) < 1_000
        other.execute("ROLLBACK")
        assert store.flush(30.0)
        store.set_trace_tag(root.trace_id, "late", "yes")
        found = _stored(path)
        deferred = store.stats()
        tags = store.get_trace(root.trace_id).info.tags
    store.close()

    assert slowest_s < writer_module.ROOM_WAIT_S + 0.9
    assert stats["dropped"] == deferred["dropped"] == deferred["failed"] == 0
    assert deferred["deferred"] > 3_000
    assert deferred["written"] == 4_000
    assert len(found) == 1_000
    assert {(status, spans) for _, status, spans in found} == {("OK", 4)}
    assert tags["late"] == "yes"
    assert not pathlib.Path(f"{path}-spool").exists()
    print(
        f"figure: a queue of 200 spans, a burst of 4,000: {deferred['deferred']:,} deferred, 0 lost"
    )


def test_a_burst_larger_than_queue_and_spool_is_dropped_and_counted(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "LIMIT_BYTES", 150_000)
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 10_000)
    monkeypatch.setattr(writer_module, "ROOM_WAIT_S", 0.1)
    recording.create_experiment("any")
    recording.writer._queue_size = recording.writer._room = 50
    with contextlib.closing(sqlite3.connect(recording.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(500):
            with tracestore.start_span(f"root {number}") as root:
                root.set_inputs("x" * 1_000)
        other.execute("ROLLBACK")
    assert recording.flush(30.0)
    stats = recording.stats()

    assert stats["deferred"] > 10
    assert stats["dropped"] > 300
    assert stats["written"] == stats["spans"] == 500 - stats["dropped"]
    assert stats["failed"] == 0
    assert stats["traces"] == 500  # that they were is known


@pytest.mark.parametrize("rights", [0o700, 0o500])
def test_a_read_only_store_says_what_it_does_not_see_and_changes_nothing(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, rights: int
) -> None:
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.create_experiment("any")
        assert store.stats()["left_behind"] == 0
    file = _left_behind(path, range(1, 8))
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO state VALUES (?, '2')", (f"spool.{file.name}",))
    before = file.read_bytes(), path.read_bytes()
    file.chmod(rights & 0o600)
    file.parent.chmod(rights)

    with Store(path, read_only=True) as store:
        for _ in range(3):
            assert store.count_traces() == 0
            assert store.stats()["left_behind"] == 5
    assert caplog.text.count("read_only=True can't take over") == 1
    assert (file.read_bytes(), path.read_bytes()) == before

    file.parent.chmod(0o700)
    file.chmod(0o600)
    with Store(path) as store:
        assert store.count_traces() == 5
        assert store.stats()["left_behind"] == 0


def test_the_recorder_can_be_switched_off(tmp_path: pathlib.Path) -> None:
    assert load({"TRACESTORE_RECORDER": "off"}).recorder is False
    with Store(tmp_path / "traces.db", recorder=False) as store:
        assert store.writer.recorder is None


def test_spans_of_running_traces_are_in_the_file_soon_and_the_recorder_lets_them_go(
    recording: Store,
) -> None:
    with tracestore.start_span("root") as root:
        for _ in range(100):
            with tracestore.start_span("step"):
                pass
        recording.flush()
        assert root.trace._unkept == {}
    assert json.dumps(_stored(pathlib.Path(recording.path))) == '[["root", "IN_PROGRESS", 100]]'
    recording.flush()
    assert _stored(pathlib.Path(recording.path)) == [("root", "OK", 101)]


class _Slow:
    """A recorder, but the writer gets its turn before each frame, as where the machine has much to do."""

    def __init__(self, recorder: Recorder, writer_turn: Callable[[], None]) -> None:
        self._recorder, self._writer_turn = recorder, writer_turn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder, name)

    def keep(self, trace: Any, draft: TraceRecord, spans: Sequence[Any]) -> Any:
        self._writer_turn()
        return self._recorder.keep(trace, draft, spans)


def test_a_trace_looks_ended_in_the_file_only_once_its_frame_is_written(recording: Store) -> None:
    """Else a kill in between leaves one that looks whole and lacks its last spans."""
    seen = []

    def writer_turn() -> None:
        recording.flush()
        seen.append(_stored(pathlib.Path(recording.path)))

    writer: Any = recording.writer
    assert writer.recorder is not None
    writer.recorder = _Slow(writer.recorder, writer_turn)
    with tracestore.start_span("root"), tracestore.start_span("child"):
        pass
    recording.flush()

    assert seen == [[("root", "IN_PROGRESS", 2)]]
    assert _stored(pathlib.Path(recording.path)) == [("root", "OK", 2)]
