"""How long does looking after a file take, and how long does another process wait meanwhile?

    python -m benchmarks.upkeep [--traces 10000] [--data FOLDER] [--quick] [--json FILE]

Each on a fresh copy of the same file. The floor is the plain SQL for the same: DELETE of the same rows by key, SQLite's
backup, `integrity_check`. "others wait" is what a process that writes one small row after the other waits for one,
at worst, while the work is done; the first line is the same process with nothing else going on.

What would change our mind: 1,000 traces deleted in more than 50 ms on a quiet machine, or a wait of more than 100 ms.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pathlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import tracestore
from benchmarks.dataset import DATA, dataset
from benchmarks.report import Report, number, options_of, parser, percentiles
from tracestore import Store
from tracestore.storage import trace_rows

#: How long the other process writes with nothing else going on, in seconds.
QUIET_S = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print a table."""
    of = parser("upkeep", __doc__)
    of.add_argument("--traces", type=int, default=10_000)
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="where files are kept")
    options = options_of(of, arguments, traces=2_000)
    question = "How long does looking after a file take, and how long do others wait meanwhile?"
    with Report("upkeep", question, options) as report, tempfile.TemporaryDirectory() as folder:
        source = dataset(options.traces, options.data)
        rows = [_line(name, work, floor, source, folder) for name, work, floor in _WORK]
        megabytes = source.stat().st_size / 1e6
        head = (
            f"{options.traces:,} traces, {megabytes:,.0f} MB",
            "ms",
            "floor, ms",
            "others wait, ms",
        )
        report.table(head, rows)


def _line(
    name: str,
    work: Callable[[pathlib.Path], object],
    floor: Callable[[pathlib.Path], object] | None,
    source: pathlib.Path,
    folder: str,
) -> tuple[str, str, str, str]:
    floor_ms = _timed(floor, _copy(source, folder)) if floor is not None else None
    path = _copy(source, folder)
    alone_ms = _timed(work, path)
    path = _copy(source, folder)
    with _writing(path) as stop:
        work(path)
        waits_ms = stop()
    shown = "" if floor_ms is None else number(floor_ms)
    return name, number(alone_ms), shown, number(percentiles(waits_ms).max)


def _timed(work: Callable[[pathlib.Path], object], path: pathlib.Path) -> float:
    started = time.perf_counter()
    work(path)
    return 1000 * (time.perf_counter() - started)


def _copy(source: pathlib.Path, folder: str) -> pathlib.Path:
    for file in pathlib.Path(folder).iterdir():
        file.unlink()
    return pathlib.Path(shutil.copy(source, pathlib.Path(folder) / "t.db"))


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Any:
    """Let a process write while the block runs; lend what stops it and returns its waits in ms."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_write, args=(str(path), theirs))
    process.start()
    ours.recv()

    def stop() -> Any:
        ours.send(None)
        return ours.recv()

    try:
        yield stop
    finally:
        process.join(30)


def _write(path: str, pipe: Any) -> None:
    waits_ms = []
    with Store(path, index_text=False) as store:
        store.create_experiment("made by the benchmark")
        pipe.send(None)
        while not pipe.poll():
            started = time.perf_counter()
            store._write(_touch)  # noqa: SLF001 - the smallest write
            waits_ms.append(1000 * (time.perf_counter() - started))
            time.sleep(0.001)
    pipe.recv()
    pipe.send(waits_ms)


def _touch(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE experiments SET last_update_time_ms = last_update_time_ms + 1")


def _oldest(path: pathlib.Path, traces: int) -> list[int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        sql = "SELECT id FROM traces ORDER BY id LIMIT ?"
        return [row[0] for row in connection.execute(sql, (traces,))]


def _delete(path: pathlib.Path) -> None:
    keys = _oldest(path, 1_000)
    with Store(path) as store:
        store._write(lambda connection: trace_rows.delete_traces(connection, keys))  # noqa: SLF001


def _delete_floor(path: pathlib.Path) -> None:
    keys = _oldest(path, 1_000)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA secure_delete = FAST")
        for table, column in (
            ("spans", "trace"),
            ("tags", "trace"),
            ("metadata", "trace"),
            ("assessments", "trace"),
            ("traces", "id"),
        ):
            sql = f"DELETE FROM {table} WHERE {column} BETWEEN ? AND ?"
            connection.execute(sql, (keys[0], keys[-1]))


def _prune(path: pathlib.Path) -> None:
    with Store(path) as store:
        store.prune(max_traces=max(0, store.count_traces() - 1_000))


def _prune_half(path: pathlib.Path) -> None:
    with Store(path) as store:
        store.prune(max_traces=store.count_traces() // 2, keep="feedback.helpful = true")


def _beside(path: pathlib.Path) -> pathlib.Path:
    found = path.with_name("beside.db")
    found.unlink(missing_ok=True)
    return found


def _backup(path: pathlib.Path) -> None:
    with Store(path) as store:
        store.backup(_beside(path))


def _backup_floor(path: pathlib.Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(path)) as source,
        contextlib.closing(sqlite3.connect(_beside(path))) as copy,
    ):
        source.backup(copy)


def _extract(path: pathlib.Path) -> None:
    with Store(path) as store:
        store.extract("status = 'ERROR'", _beside(path))


def _merge(path: pathlib.Path) -> None:
    other = _beside(path)
    with Store(path) as store:
        store.extract("user LIKE 'u-00%'", other)
        store.prune(filter="user LIKE 'u-00%'")
        store.merge(other)


def _check(path: pathlib.Path) -> None:
    with Store(path) as store:
        store.check()


def _check_floor(path: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA integrity_check").fetchall()


def _vacuum(path: pathlib.Path) -> None:
    with Store(path) as store:
        store.vacuum()


def _repair(path: pathlib.Path) -> None:
    tracestore.repair(path, _beside(path))


_WORK: tuple[
    tuple[
        str,
        Callable[[pathlib.Path], object],
        Callable[[pathlib.Path], object] | None,
    ],
    ...,
] = (
    ("nothing", lambda _path: time.sleep(QUIET_S), None),
    ("delete 1,000 traces", _delete, _delete_floor),
    ("prune 1,000, space given back", _prune, None),
    ("prune half, keep a filter", _prune_half, None),
    ("backup", _backup, _backup_floor),
    ("extract 2 %", _extract, None),
    ("extract, prune and merge 10 %", _merge, None),
    ("check", _check, _check_floor),
    ("vacuum", _vacuum, None),
    ("repair", _repair, None),
)


if __name__ == "__main__":
    main()
