"""Hours of mixed load, compressed: what had ended is there, whatever was killed, pruned, copied and reopened.

100 seconds by default; TRACESTORE_SOAK_S says how long. The model is what the writers said: each trace that had ended,
its number of spans, and whether a prune may have taken it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tracestore import Store
from tracestore.upkeep.findings import LEFTOVER

if sys.platform != "linux":
    pytest.skip("memory and files are read from /proc", allow_module_level=True)

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent
SECONDS = float(os.environ.get("TRACESTORE_SOAK_S", "100"))
WRITERS = 3
#: The WAL may be this large at most, in bytes, however long it goes on.
MOST_WAL_BYTES = 96 * 1024 * 1024


class Writers:
    """Processes that record, and what they said has ended."""

    def __init__(self, path: pathlib.Path, folder: pathlib.Path) -> None:
        self._path = path
        self._folder = folder
        self._started = 0
        self._said: list[pathlib.Path] = []
        self.running: list[subprocess.Popen[bytes]] = []
        self.killed = 0

    def start(self) -> None:
        said = self._folder / f"said-{self._started}"
        with said.open("wb") as file:
            arguments = ("writer", str(self._path), f"w{self._started}", str(self._started))
            command = [sys.executable, "-m", "tests.soak", *arguments]
            self.running.append(subprocess.Popen(command, cwd=ROOT, stdout=file))
        self._said.append(said)
        self._started += 1

    def end(self, number: int, how: signal.Signals) -> None:
        process = self.running.pop(number)
        process.send_signal(how)
        process.wait(60)
        self.killed += how is signal.SIGKILL

    def model(self) -> dict[str, tuple[int, bool]]:
        """Return of each trace that had ended its spans, and whether it may be gone."""
        texts = (said.read_text() for said in self._said)
        # A line that the kill cut off says nothing.
        words = (line.split() for text in texts for line in text.split("\n")[:-1])
        return {name: (int(spans), may_go == "yes") for name, spans, may_go in words}


@contextlib.contextmanager
def reader(path: pathlib.Path, folder: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "read").open("wb") as out, (folder / "errors").open("wb") as errors:
        command = [sys.executable, "-m", "tests.soak", "reader", str(path), "0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=errors)
    try:
        yield process
        assert process.poll() is None, (folder / "errors").read_text()
    finally:
        process.kill()
        process.wait(60)


def memory_kb(pid: int) -> int:
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def files(pid: int) -> int:
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def assert_flat(name: str, samples: list[int], margin: float, slack: int) -> None:
    """The last third is not above the middle third by more than `margin` and `slack`."""
    third = len(samples) // 3
    before, after = (
        statistics.median(part) for part in (samples[third : 2 * third], samples[2 * third :])
    )
    assert after <= before * (1 + margin) + slack, (name, before, after)


@pytest.mark.timeout(SECONDS * 3 + 300)
def test_what_had_ended_is_there_after_kills_prunes_copies_and_reopenings(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "t.db"
    chance = random.Random(7)
    with Store(path) as store:
        store.set_retention(filter="tags.disposable = 'yes'", older_than="20s")
    writers = Writers(path, tmp_path)
    for _ in range(WRITERS):
        writers.start()
    samples: dict[str, list[int]] = {
        "memory": [], "files": [], "reader's memory": [], "reader's files": []
    }  # fmt: skip
    most_wal = copies = 0
    deadline = time.monotonic() + SECONDS
    with reader(path, tmp_path) as reading:
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                most_wal = max(most_wal, pathlib.Path(f"{path}-wal").stat().st_size)
            with Store(path) as store:  # opened, used and closed again each time
                action = chance.randrange(6)
                if action == 0:
                    store.prune(filter="tags.disposable = 'yes'", older_than="3s")
                elif action == 1:
                    store.vacuum()
                elif action == 2:
                    copy = tmp_path / f"copy-{copies}.db"
                    store.backup(copy)
                    copies += 1
                    with Store(copy, read_only=True) as made:
                        assert [f for f in made.check() if f.severity != LEFTOVER] == []
                    copy.unlink()
                else:
                    how = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
                    writers.end(chance.randrange(WRITERS), how)
                    writers.start()
                store.count_traces()
            for name, pid in (("", os.getpid()), ("reader's ", reading.pid)):
                samples[f"{name}memory"].append(memory_kb(pid))
                samples[f"{name}files"].append(files(pid))
            time.sleep(0.2)
    while writers.running:
        writers.end(0, signal.SIGKILL)

    model = writers.model()
    with Store(path) as store:
        store.create_experiment("takes over what the last ones had not written")
        store.flush()
        found = store.search_traces(max_results=None)
        names = [trace.info.tags["mlflow.traceName"] for trace in found]
        assert len(set(names)) == len(names)
        spans = {n: len(trace.data.spans) for n, trace in zip(names, found, strict=True)}
        assert [f for f in store.check() if f.severity != LEFTOVER] == []
    lost = [name for name, (_, may_go) in model.items() if not may_go and name not in spans]
    partly = [name for name, (count, _) in model.items() if spans.get(name, count) != count]
    print(
        f"{len(model)} traces ended, {len(found)} left, {writers.killed} kills, {copies} copies,"
        f" WAL at most {most_wal // 1024} kB, { ({k: (v[0], v[-1]) for k, v in samples.items()}) }"
    )
    assert (lost, partly) == ([], [])
    assert len(model) > 20 * SECONDS
    assert most_wal < MOST_WAL_BYTES
    if len(samples["memory"]) >= 30:
        # A page cache is 16 MB, and a check of a copy leaves the allocator larger; a leak goes on.
        assert_flat("memory", samples["memory"], 0.1, 20_000)
        assert_flat("reader's memory", samples["reader's memory"], 0.1, 20_000)
        assert_flat("files", samples["files"], 0.0, 2)
        assert_flat("reader's files", samples["reader's files"], 0.0, 2)
