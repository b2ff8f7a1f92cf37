"""A file that appears under its name whole, or not at all.

It is made beside its place under a name of its own, for its owner only, synchronised, and then linked to its
name, which fails where anything has that name by then: nothing is overwritten, no symbolic link is followed.
Knows nothing of what is in it.

    <name>.<random>.partial           the file, with what SQLite has beside it
    <name>.<random>.partial-lock      locked by its process as long as that lives

What killed processes left is removed by the next one that makes a file in that folder. Invariant: nothing is removed
that a living process writes, also one on another machine, and nothing that has no such lock beside it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import secrets
import sys
from collections.abc import Iterator

from tracestore.errors import AlreadyExistsError, StoreError
from tracestore.settings import path_of_file
from tracestore.storage.filesystem import remote_kind
from tracestore.storage.ticket import try_lock

#: What is added to the name of the file that shows whether its process lives.
_LOCK = "-lock"

_LOCK_NAME = re.compile(rf"(.+\.[0-9a-f]{{8}}\.partial){_LOCK}", re.DOTALL)

#: What SQLite keeps beside a database. Beside a new file it would be taken for that file's own.
_SIDE_FILES = ("-wal", "-shm", "-journal")


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Lend the block the path of an empty file that becomes `path` when the block ends without an error.

    A new directory gets mode 0700, the file 0600. A block that is killed leaves a file that ends in `.partial`,
    until the next one begins a file there.

    Raises:
        AlreadyExistsError: Something is called that, a symbolic link too.
        StoreError: It can't be made there.
    """
    wanted = path_of_file(path)
    _refuse_taken(wanted)
    try:
        folder = pathlib.Path(wanted).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_unfinished(folder)
        partial, lock = _begin(wanted)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise StoreError(f"{wanted} can't be made: {error}") from error
    try:
        yield partial
        _publish(partial, wanted)
    finally:
        _remove(partial, lock)


def _begin(wanted: str) -> tuple[str, int]:
    """Make the lock, and then the file that it is of; return the file's path and the handle of the lock."""
    while True:
        partial = f"{wanted}.{secrets.token_hex(4)}.partial"
        lock = _create(partial + _LOCK)
        if try_lock(lock) and os.path.exists(partial + _LOCK):  # noqa: PTH110 - a path as text
            break
        os.close(lock)  # another process took it for one that was left behind
    try:
        os.close(_create(partial))
    except BaseException:
        _remove(partial, lock)
        raise
    return partial, lock


def _create(path: str) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags, 0o600)


def _remove(partial: str, lock: int) -> None:
    """Remove a file that has another name by now or is not wanted; the lock goes last, or nobody would do the rest."""
    for suffix in ("", *_SIDE_FILES):
        pathlib.Path(partial + suffix).unlink(missing_ok=True)
    if os.name == "nt":  # which removes no open file
        os.close(lock)
    pathlib.Path(partial + _LOCK).unlink(missing_ok=True)
    if os.name != "nt":
        os.close(lock)


def unfinished(folder: pathlib.Path) -> list[str]:
    """Return the names of files in there that processes began which have been killed since."""
    found = []
    for partial in _begun(folder):
        with contextlib.suppress(OSError):
            lock = _lock_of_the_dead(partial)
            if lock is not None:
                os.close(lock)
                found.append(os.path.basename(partial))  # noqa: PTH119 - a path as text
    return found


def remove_unfinished(folder: pathlib.Path) -> None:
    """Remove what `unfinished` names, as far as that can be done."""
    for partial in _begun(folder):
        with contextlib.suppress(OSError):
            lock = _lock_of_the_dead(partial)
            if lock is not None:
                _remove(partial, lock)


def _begun(folder: pathlib.Path) -> list[str]:
    """Return the paths of files that have a lock; none where it can't be told what other machines do there."""
    is_local = sys.platform in {"linux", "win32"} and remote_kind(str(folder / "any")) is None
    try:
        names = sorted(os.listdir(folder)) if is_local else []  # noqa: PTH208 - as text
    except OSError:
        return []
    return [str(folder / found[1]) for name in names if (found := _LOCK_NAME.fullmatch(name))]


def _lock_of_the_dead(partial: str) -> int | None:
    """Return a handle that holds the lock of a file; None where a living process does, or where locks do nothing."""
    lock, other = _open(partial + _LOCK), _open(partial + _LOCK)
    is_dead = try_lock(lock) and not try_lock(other)
    os.close(other)
    if is_dead:
        return lock
    os.close(lock)
    return None


def _open(path: str) -> int:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0))


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
