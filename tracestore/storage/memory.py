"""A store for tests that leaves nothing behind: `:memory:`.

A file of its own in a folder of its own, in memory where the system has a file system there (/dev/shm), else
among the temporary files. A real SQLite memory database would not outlive the writer's pauses, and reading it
beside a commit would fail. The folder goes when the store is closed, at the end of the process at the latest;
only kill -9 leaves it.
"""

from __future__ import annotations

import os

from tracestore.settings import MEMORY

#: What stands for such a store where a path is expected.
NAME = MEMORY

#: Where Linux has a file system in memory.
_IN_MEMORY = "/dev/shm"  # noqa: S108 - the folder made in it has a random name and mode 0700


def new_path() -> str:
    """Return the path of a new store's file, in a new folder."""
    import tempfile  # noqa: PLC0415 - 5 ms, for tests only

    in_memory = os.path.isdir(_IN_MEMORY) and os.access(_IN_MEMORY, os.W_OK)  # noqa: PTH112 - as text
    folder = tempfile.mkdtemp(prefix="tracestore-", dir=_IN_MEMORY if in_memory else None)
    return os.path.join(folder, "memory.db")  # noqa: PTH118 - a path as text


def remove(path: str, process: int) -> None:
    """Remove the file with its folder, in the process that made it: a forked child has it from its parent."""
    if process == os.getpid():
        import shutil  # noqa: PLC0415 - likewise

        shutil.rmtree(os.path.dirname(path), ignore_errors=True)  # noqa: PTH120 - a path as text
