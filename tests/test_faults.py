"""Faults injected for real: full disks, I/O errors, limits, read-only folders, stopped readers, wrong clocks.

Each child program records, breaks something, records on, mends it, and everything it recorded must be there. The
full disk is a file system of 8 MB, mounted in a namespace of its own (`unshare -m`, as root or with user
namespaces); I/O errors come from a library that is compiled here and preloaded (`cc`).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import pytest

import tracestore
from tracestore.errors import StoreError
from tracestore.runtime import runtime
from tracestore.storage import connection as connections
from tracestore.storage import database, filesystem, schema
from tracestore.store import Store

linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and preloading are Linux's")

#: Fails calls on files of the store while a control file exists that says which.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int handle, const char *call) {
    char link[64], name[4096], wanted[64] = "";
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    ssize_t (*real_read)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    if (!strstr(name, "traces.db")) return 0;
    int control = real_open(getenv("FAULT_CONTROL"), O_RDONLY);
    if (control < 0) return 0;
    length = real_read(control, wanted, sizeof wanted - 1);
    close(control);
    if (length <= 0 || !strstr(wanted, call)) return 0;
    errno = strstr(wanted, "ENOSPC") ? ENOSPC : EIO;
    return 1;
}
#define FAULT(call, type, parameters, arguments) \
    type call parameters { \
        static type (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #call); \
        return fails(handle, " " #call " ") ? -1 : real arguments; }
FAULT(pwrite, ssize_t, (int handle, const void *data, size_t n, off_t at), (handle, data, n, at))
FAULT(pwrite64, ssize_t, (int handle, const void *data, size_t n, off64_t at), (handle, data, n, at))
FAULT(write, ssize_t, (int handle, const void *data, size_t n), (handle, data, n))
FAULT(read, ssize_t, (int handle, void *data, size_t n), (handle, data, n))
FAULT(fdatasync, int, (int handle), (handle))
FAULT(fsync, int, (int handle), (handle))
FAULT(ftruncate64, int, (int handle, off64_t size), (handle, size))
FAULT(ftruncate, int, (int handle, off_t size), (handle, size))
"""

PROGRAM = """
import os, resource, sys, time
import tracestore

def record(count):
    for _ in range(count):
        with tracestore.start_span("t") as span:
            span.set_inputs("x" * 2000)

path = sys.argv[1]
tracestore.set_tracking_uri(path)
record(50)
assert tracestore.flush(20)
{broken}
start = time.monotonic()
record(300)
took = time.monotonic() - start
assert took < 2.0, took
flushed = tracestore.flush(1.0)
assert bool(flushed) == {works}, flushed
{mended}
start = time.monotonic()
flushed = tracestore.flush(30)
assert flushed, flushed
assert flushed.dropped == 0, flushed
print("recovered within", round(time.monotonic() - start, 2))
record(50)
assert tracestore.flush(20)
assert tracestore.stats()["traces"] == 400, tracestore.stats()
"""


def _run(
    tmp_path: pathlib.Path,
    broken: str,
    mended: str,
    *,
    works: bool = False,
    before: tuple[str, ...] = (),
    preloaded: pathlib.Path | None = None,
    **environment: str,
) -> str:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(broken=broken, mended=mended, works=works))
    done = subprocess.run(
        [*before, sys.executable, str(program), str(tmp_path / "store" / "traces.db")],
        env={**os.environ, **(_preloading(preloaded) if preloaded else {}), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recovered = done.stdout.split()[-1]
    print(
        f"figure: 300 of 300 traces recorded meanwhile, all written {recovered} s after the end of it"
    )
    return done.stderr


def _preloading(library: pathlib.Path) -> dict[str, str]:
    """The environment that loads `library` first: LD_PRELOAD is split at spaces, LD_LIBRARY_PATH is not."""
    folders = [str(library.parent), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_PRELOAD": library.name, "LD_LIBRARY_PATH": ":".join(filter(None, folders))}


def _assert_sound(path: pathlib.Path, traces: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM traces").fetchone() == (traces,)


def _namespace() -> tuple[str, ...]:
    """The command that may mount a file system of its own; empty where the machine allows none."""
    command = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")
    allowed = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if allowed else ()


@linux
def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room(
    tmp_path: pathlib.Path,
) -> None:
    """A file system of 8 MB is filled to the last byte, and freed."""
    namespace = _namespace()
    if not namespace:
        pytest.skip("this user may not mount; ENOSPC from a library is tested below")
    folder = tmp_path / "store"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=8m tmpfs "{folder}" && exec "$@"'
    fill = """
    filler = open(os.path.dirname(path) + "/filler", "wb", buffering=0)
    try:
        while True:
            filler.write(b"x" * 4096)
    except OSError:
        pass
    """
    stderr = _run(
        tmp_path,
        textwrap.dedent(fill),
        "os.unlink(filler.name); filler.close()",
        before=(*namespace, "sh", "-c", mount, "sh"),
    )

    assert "writing is retried" in stderr
    assert stderr.count("\n") < 5


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("shim")
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@linux
@pytest.mark.parametrize(
    ("calls", "works"),
    [
        (" pwrite pwrite64 ", False),
        (" pwrite pwrite64 write ENOSPC ", False),
        (" pwrite pwrite64 write fdatasync fsync ftruncate ftruncate64 ", False),
        (" fdatasync fsync ", True),  # a commit is acknowledged: the promise is of processes
        (" write ", True),  # the spool alone
        (" ftruncate ftruncate64 ", True),
    ],
)
def test_io_errors_lose_nothing_and_writing_goes_on_when_they_end(
    tmp_path: pathlib.Path, shim: pathlib.Path, calls: str, works: bool
) -> None:
    control = tmp_path / "control"
    _run(
        tmp_path,
        f"open({str(control)!r}, 'w').write({calls!r})",
        f"os.unlink({str(control)!r})",
        works=works,
        preloaded=shim,
        FAULT_CONTROL=str(control),
    )

    _assert_sound(tmp_path / "store" / "traces.db", 400)


@linux
def test_a_spool_that_gives_an_i_o_error_holds_up_no_writing(
    tmp_path: pathlib.Path, shim: pathlib.Path
) -> None:
    control, path = tmp_path / "control", tmp_path / "traces.db"
    killed = (
        "import os, sys, tracestore\ntracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('t'): pass\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=True)
    control.write_text(" read ")
    program = (
        "import sys\nfrom tracestore import Store\n"
        "with Store(sys.argv[1]) as store:\n"
        "    store.create_experiment('is written')\n"
        "    print(store.stats()['unreadable_spools'], [f.places for f in store.check()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, **_preloading(shim), "FAULT_CONTROL": str(control)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 [(")
    assert "Input/output error" in done.stdout
    assert done.stderr.count("is left where it is") == 1
    with Store(path) as store:  # the disk is well again
        assert store.count_traces() == 1
        assert len(store.search_experiments()) == 2


#: Kills the process before a certain one of its calls that order what is written.
KILLER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int calls;
#define KILLED(call, parameters, arguments) \
    int call parameters { \
        static int (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #call); \
        if (++calls == atoi(getenv("KILL_AT"))) kill(getpid(), SIGKILL); \
        return real arguments; }
KILLED(fdatasync, (int handle), (handle))
KILLED(fsync, (int handle), (handle))
KILLED(ftruncate64, (int handle, off64_t size), (handle, size))
KILLED(ftruncate, (int handle, off_t size), (handle, size))
KILLED(unlink, (const char *path), (path))
"""


@linux
def test_a_process_that_is_killed_while_it_makes_the_file_locks_nobody_out(
    tmp_path: pathlib.Path,
) -> None:
    """What SQLite had begun by its rollback journal then is undone by the next one that opens the store."""
    program = (
        "import os, sys, tracestore\ntracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('t'): pass\nos.write(1, b'.')\nassert tracestore.flush()"
    )
    (tmp_path / "killer.c").write_text(KILLER)
    library = tmp_path / "killer.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "killer.c"), "-ldl"]
    subprocess.run(command, check=True)
    killed = journals = 0
    for at in range(1, 100):
        path = tmp_path / f"{at}.db"
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, **_preloading(library), "KILL_AT": str(at)},
            stdout=subprocess.PIPE,
            check=False,
        )
        journals += pathlib.Path(f"{path}-journal").exists()
        with Store(path) as store:
            assert store.count_traces() == len(done.stdout)
        _assert_sound(path, len(done.stdout))
        if done.returncode == 0:
            break
        killed += 1
    assert killed > 5
    assert journals > 0
    print(
        f"figure: killed at each of {killed} calls while the file was made: it was opened by the next"
    )


@pytest.mark.parametrize("read_only", [False, True])
def test_a_transaction_that_was_cut_off_in_a_rollback_journal_is_undone(
    tmp_path: pathlib.Path, read_only: bool
) -> None:
    """As on a network file system, which has no WAL."""
    original, path = tmp_path / "original.db", tmp_path / "traces.db"
    with Store(original) as store:
        store.create_experiment("mine")
    with contextlib.closing(sqlite3.connect(original, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_size = 2")  # pages are written before the commit
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE any (x)")
        connection.executemany("INSERT INTO any VALUES (?)", [("x" * 5_000,)] * 200)
        for suffix in ("", "-journal"):
            shutil.copy(f"{original}{suffix}", f"{path}{suffix}")

    with Store(path, read_only=read_only) as store:
        names = [experiment.name for experiment in store.search_experiments()]
        assert sorted(names) == ["Default", "mine"]
    assert not pathlib.Path(f"{path}-journal").exists()


@linux
def test_what_outlives_power_cuts_is_not_acknowledged_before_it_is_on_the_disk(
    tmp_path: pathlib.Path, shim: pathlib.Path
) -> None:
    control = tmp_path / "control"
    _run(
        tmp_path,
        f"open({str(control)!r}, 'w').write(' fdatasync fsync ')",
        f"os.unlink({str(control)!r})",
        works=False,
        preloaded=shim,
        FAULT_CONTROL=str(control),
        TRACESTORE_DURABILITY="power",
    )

    _assert_sound(tmp_path / "store" / "traces.db", 400)


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
@pytest.mark.parametrize("limit", ["RLIMIT_FSIZE", "RLIMIT_NOFILE"])
def test_limits_of_the_process_lose_nothing(tmp_path: pathlib.Path, limit: str) -> None:
    low = "200_000" if limit == "RLIMIT_FSIZE" else "3"
    _run(
        tmp_path,
        f"before = resource.getrlimit(resource.{limit})\n"
        f"resource.setrlimit(resource.{limit}, ({low}, before[1]))",
        f"resource.setrlimit(resource.{limit}, before)",
        works=limit == "RLIMIT_NOFILE",
    )

    _assert_sound(tmp_path / "store" / "traces.db", 400)


@linux
def test_what_a_broken_disk_kept_from_the_file_is_written_by_the_next_start(
    tmp_path: pathlib.Path, shim: pathlib.Path
) -> None:
    """The file can't be written until the process has ended; the spool can."""
    control = tmp_path / "control"
    program = (
        "import sys, tracestore\ntracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('before'): pass\nassert tracestore.flush()\n"
        f"open({str(control)!r}, 'w').write(' pwrite pwrite64 ')\n"
        "with tracestore.start_span('ended'): pass\n"
        "span = tracestore.start_span_no_context('open'); span.set_inputs('why?')\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "traces.db")],
        env={**os.environ, **_preloading(shim), "FAULT_CONTROL": str(control)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    took = time.monotonic() - start

    assert done.returncode == 0, done.stderr
    assert took < 12
    with Store(tmp_path / "traces.db") as store:
        found = {trace.info.tags["mlflow.traceName"]: trace for trace in store.search_traces()}
    assert set(found) == {"before", "ended", "open"}
    assert found["ended"].info.status.value == "OK"
    assert found["open"].data.spans[0].inputs == "why?"
    assert [file.name for file in tmp_path.iterdir() if file.name != "control"] == ["traces.db"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="drops the rights of root")
def test_a_folder_that_may_not_be_written_is_read_and_recording_says_so(
    tmp_path: pathlib.Path,
) -> None:
    """As another user, because root may write anywhere."""
    folder = tmp_path / "store"
    with Store(folder / "traces.db") as store:
        store.create_experiment("any")
    for path in (tmp_path, *tmp_path.parents[:3], folder):  # three: a worker of xdist has a folder
        path.chmod(path.stat().st_mode | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    (folder / "traces.db").chmod(0o644)
    program = (
        "import os, sys, tracestore\nimport tracestore.store, tracestore.cli, tracestore.search\n"
        "import tracestore.capture.fluent\nos.setuid(65534)\n"
        "tracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('t'): pass\n"
        "flushed = tracestore.flush(5)\nassert flushed.dropped == 1, flushed\n"
        "with tracestore.open(sys.argv[1], read_only=True) as store:\n"
        "    print([e.name for e in store.search_experiments()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder / "traces.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "['any', 'Default']\n", done.stderr
    assert "Permission denied" in done.stderr
    assert [file.name for file in folder.iterdir()] == ["traces.db"]


#: Makes a file, leaves it, and makes the next one.
MAKER = """
import sys, tracestore
from tracestore.runtime import runtime
for number in range(int(sys.argv[2])):
    tracestore.set_tracking_uri(f"{sys.argv[1]}/{number}.db")
    with tracestore.start_span("t"):
        pass
    runtime.reset()
"""


def test_a_file_that_is_being_made_is_no_other_programs(tmp_path: pathlib.Path) -> None:
    """Whoever looks while another process makes the file finds it empty or made, never half."""
    files = 15
    with subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path), str(files)]) as maker:
        number = looks = 0
        while number < files:
            path = str(tmp_path / f"{number}.db")
            assert connections.version_of(path) in (None, schema.VERSION)
            looks += 1
            number += pathlib.Path(path).exists() and not pathlib.Path(path + "-spool").exists()
        assert maker.wait(20) == 0
    assert looks > files


#: Becomes another user, and answers each line with how many traces it finds.
READER = """
import os, sys
from tracestore import Store
with Store(":memory:") as store:
    store.count_traces()  # Python itself may be in a folder that only root reads
os.setgid(65534)
os.setuid(65534)
store = Store(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(store.count_traces(), flush=True)
"""


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_only_read_sees_what_is_recorded_later() -> None:
    """Without a right to write there are no locks: the file is read as it lies, but anew each time."""
    folder = pathlib.Path(tempfile.mkdtemp())  # pytest's own are for their owner only
    folder.chmod(0o755)
    path = folder / "traces.db"

    def record(count: int) -> None:
        tracestore.set_tracking_uri(str(path))
        for _ in range(count):
            with tracestore.start_span("t"):
                pass
        tracestore.flush()

    def ask() -> int:
        reader.stdin.write("\n")  # type: ignore[union-attr]  # piped
        reader.stdin.flush()  # type: ignore[union-attr]
        return int(reader.stdout.readline())  # type: ignore[union-attr]

    record(3)
    runtime.reset()
    path.chmod(0o644)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        counts = [ask()]
        record(3)
        counts.append(ask())  # the file is open
        runtime.reset()
        counts.append(ask())  # and closed
        record(3)
        runtime.reset()
        counts.append(ask())
        reader.stdin.close()  # type: ignore[union-attr]

    shutil.rmtree(folder)
    assert counts == [3, 6, 6, 9]


def test_a_reader_that_holds_an_old_snapshot_costs_wal_only_while_it_does(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WAL_BYTES", 1_000_000)
    monkeypatch.setattr(connections, "CHECKPOINT_PAUSE_S", 0.1)
    recording.create_experiment("any")
    wal = pathlib.Path(recording.path + "-wal")

    def record(count: int) -> None:
        for _ in range(count):
            with tracestore.start_span("t") as span:
                span.set_inputs(secrets.token_hex(5_000))  # the same text would be kept once
        assert recording.flush(20)

    with contextlib.closing(sqlite3.connect(recording.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM traces").fetchone()
        record(600)
        grown = wal.stat().st_size
        assert reader.execute("SELECT count(*) FROM traces").fetchone() == (0,)
        reader.execute("ROLLBACK")
    time.sleep(0.15)  # the next try is due
    for _ in range(3):
        record(1)
    shrunk = wal.stat().st_size
    record(600)

    print(f"figure: a WAL of {grown / 1e6:.0f} MB while it is held, {shrunk / 1e6:.1f} MB after")
    assert grown > 6_000_000
    assert shrunk < 1_500_000
    assert wal.stat().st_size < 8_000_000


def test_a_clock_that_jumps_makes_no_duration_wrong_and_stops_no_writer(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_ns = time.time_ns
    jump_ns = 0
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump_ns)
    for jump_ns in (0, 3_600 * 10**9, -7_200 * 10**9, -(10**18)):
        with tracestore.start_span("t"):
            jump_ns += 1_800 * 10**9  # noqa: PLW2901
            with tracestore.start_span("child"):
                pass
        assert recording.flush(5)

    traces = recording.search_traces()
    assert len(traces) == 4
    assert all((trace.info.execution_duration or 0) < 1_000 for trace in traces)


def test_close_keeps_its_deadline_while_another_process_holds_the_file(
    tmp_path: pathlib.Path,
) -> None:
    """What was not written in time is beside the file, and in it after the next start."""
    path = tmp_path / "traces.db"
    program = (
        "import sys, time, tracestore\ntracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('t'): pass\n"
        "start = time.monotonic()\nflushed = tracestore.flush(0.3)\n"
        "assert not flushed and time.monotonic() - start < 2\n"
    )
    with Store(path) as store:
        store.create_experiment("any")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)
        took = time.monotonic() - start
        connection.execute("ROLLBACK")

    assert took < 12
    with Store(path) as store:
        assert store.count_traces() == 1


def test_on_a_network_file_system_there_is_no_wal_and_it_is_said_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mounts = tmp_path / "mounts"
    far = str(tmp_path / "far away").replace(" ", "\\040")
    mounts.write_text(
        "22 1 0:20 / / rw - ext4 /dev/root rw\n"
        f"30 22 0:42 / {far} rw shared:1 - nfs4 server:/ rw\n"
        f"31 30 0:43 / {far}/local rw - ext4 /dev/sdb rw\n"
    )
    monkeypatch.setattr(filesystem, "MOUNTS", str(mounts))
    path = tmp_path / "far away" / "traces.db"
    for _ in range(2):
        with Store(path) as store:
            store.create_experiment(f"any {len(store.search_experiments())}")
            assert store.writer.recorder is None
            assert sorted(file.name for file in path.parent.iterdir()) in (
                ["traces.db", "traces.db-ticket"],
                ["traces.db", "traces.db-journal", "traces.db-ticket"],
            )
    assert caplog.text.count("network file system (nfs4)") == 1
    assert filesystem.remote_kind(str(tmp_path / "far away" / "local" / "x.db")) is None
    assert filesystem.remote_kind(str(tmp_path / "far awayer" / "x.db")) is None

    monkeypatch.undo()  # carried to a local disk
    with Store(path) as store:
        store.create_experiment("local")
        with store.reading() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert len(store.search_experiments()) == 4


def test_a_memory_store_takes_every_verb_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/")
    with tracestore.open(":memory:") as store, tracestore.open(":memory:") as other:
        folder = pathlib.Path(store.path).parent
        experiment = store.create_experiment("mine")
        assert [e.name for e in other.search_experiments()] == ["Default"]
        store.flush()
        assert store.get_experiment(experiment).name == "mine"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    assert not pathlib.Path("/:memory:").exists()


@pytest.mark.parametrize("uri", [":memory:", "sqlite://", "sqlite:///:memory:"])
def test_recording_into_memory_works_and_is_gone_after_the_process(uri: str) -> None:
    program = (
        "import sys, tracestore\ntracestore.set_tracking_uri(sys.argv[1])\n"
        "with tracestore.start_span('t') as span: span.set_inputs('why?')\n"
        "(trace,) = tracestore.search_traces(return_type='list')\n"
        "tracestore.log_feedback(trace_id=trace.info.trace_id, name='good', value=True)\n"
        "(trace,) = tracestore.search_traces(filter_string='feedback.good = true', return_type='list')\n"
        "print(tracestore.stats()['path'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, uri], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert not pathlib.Path(done.stdout.strip()).parent.exists()


def test_one_commit_in_a_while_is_synchronised_and_the_last_one_soon(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts real fdatasync calls by the clock: each commit is on the disk 100 ms later."""
    synced: list[float] = []
    fdatasync = os.fdatasync

    def counted(handle: int) -> None:
        fdatasync(handle)
        synced.append(time.monotonic())

    recording.create_experiment("any")
    monkeypatch.setattr(os, "fdatasync", counted)
    begun: list[float] = []  # before the commit, which may be the one that is synchronised
    for _ in range(12):
        begun.append(time.monotonic())
        with tracestore.start_span("t"):
            pass
        recording.flush()
        time.sleep(0.02)
    deadline = time.monotonic() + 20.0
    while not synced or synced[-1] < begun[-1]:
        assert time.monotonic() < deadline
        time.sleep(0.005)

    assert len(synced) <= 2 + (synced[-1] - begun[0]) / database.SYNC_S  # not each commit
    waits = [min(moment for moment in synced if moment >= when) - when for when in begun]
    latest_ms = max(waits) * 1000
    print(
        f"figure: {len(synced)} synchronisations of {len(begun)} commits, each within {latest_ms:.0f} ms"
    )
    assert max(waits) < 2.0, waits  # 0.1 on a machine that is not busy


def test_migrations_that_are_interrupted_at_any_statement_leave_the_old_file_or_the_new(
    tmp_path: pathlib.Path,
) -> None:
    """The process is killed within the n-th statement, for every n, until one run is not killed."""
    schemas = sorted((pathlib.Path(__file__).parent / "schemas").glob("version_*.sql"))
    program = """
import os, sqlite3, sys
from tracestore.storage import migrations
left = int(sys.argv[2])
connect = sqlite3.connect
def counting(*arguments, **keywords):
    connection = connect(*arguments, **keywords)
    def one_less(_statement):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
    connection.set_trace_callback(one_less)
    return connection
sqlite3.connect = counting
migrations.migrate(sys.argv[1], int(sys.argv[3]))
"""
    version = int(schemas[0].stem.removeprefix("version_"))
    template = tmp_path / "template.db"
    with contextlib.closing(sqlite3.connect(template)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(schemas[0].read_text("utf-8"))
    kills = 0
    for statements in range(100):
        path = tmp_path / f"{statements}.db"
        shutil.copy(template, path)
        code = subprocess.run(
            [sys.executable, "-c", program, str(path), str(statements), str(version)], check=False
        ).returncode
        with Store(path) as store:
            store.create_experiment("migrates it")
            assert len(store.search_traces()) == 1
        backup = pathlib.Path(f"{path}.v{version}.bak")
        _assert_sound(backup, 1)
        if code == 0:
            break
        kills += 1
    print(f"figure: {kills} kills, one in each statement: the old file or the new")
    assert kills > 5


def test_recording_in_many_threads_while_the_store_closes_and_opens_again(
    recording: Store,
) -> None:
    """Idle ends, closes and starts come between any two records; nothing is lost or stuck."""
    stop = threading.Event()
    counts = [0] * 4

    def record(number: int) -> None:
        while not stop.is_set():
            with tracestore.start_span(f"thread {number}"):
                pass
            counts[number] += 1
            time.sleep(0.0005)

    threads = [threading.Thread(target=record, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        recording.writer.stop(5.0)
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert recording.flush(10)

    assert recording.count_traces() == sum(counts)
    with contextlib.suppress(StoreError):
        recording.close()
    assert not pathlib.Path(recording.path + "-spool").exists()
