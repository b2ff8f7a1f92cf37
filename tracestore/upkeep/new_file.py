"""A file that appears under its name whole, or not at all.

It is made beside its place under a name of its own, for its owner only, synchronised, and then linked to its
name, which fails where anything has that name by then: nothing is overwritten, no symbolic link is followed.
Knows nothing of what is in it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator

from tracestore.errors import AlreadyExistsError, StoreError
from tracestore.settings import path_of_file

#: What SQLite keeps beside a database. Beside a new file it would be taken for that file's own.
_SIDE_FILES = ("-wal", "-shm", "-journal")


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Lend the block the path of an empty file that becomes `path` when the block ends without an error.

    A new directory gets mode 0700, the file 0600. A block that is killed leaves a file that ends in `.partial`.

    Raises:
        AlreadyExistsError: Something is called that, a symbolic link too.
        StoreError: It can't be made there.
    """
    wanted = path_of_file(path)
    _refuse_taken(wanted)
    partial = f"{wanted}.{secrets.token_hex(4)}.partial"
    try:
        pathlib.Path(wanted).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(partial, flags, 0o600))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise StoreError(f"{wanted} can't be made: {error}") from error
    try:
        yield partial
        _publish(partial, wanted)
    finally:
        for file in pathlib.Path(partial).parent.glob(f"{pathlib.Path(partial).name}*"):
            file.unlink(missing_ok=True)


def _refuse_taken(path: str) -> None:
    for suffix in ("", *_SIDE_FILES):
        if os.path.lexists(path + suffix):
            raise AlreadyExistsError(f"{path + suffix} is there already; name a new file")


def _publish(partial: str, path: str) -> None:
    try:
        _synchronise(partial)
        _refuse_taken(path)
        try:
            os.link(partial, path, follow_symlinks=False)
        except FileExistsError as error:
            raise AlreadyExistsError(f"{path} is there already; name a new file") from error
        except (NotImplementedError, OSError):
            pathlib.Path(partial).rename(path)  # a file system without hard links
        if os.name != "nt":
            _synchronise(str(pathlib.Path(path).parent))
    except OSError as error:
        raise StoreError(f"{path} can't be made: {error}") from error


def _synchronise(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
