"""Opening the file: what is checked, which pragmas, and how SQLite's errors become ours.

The only module that opens connections. It never reads the file other than through SQLite: closing any other
handle on it would drop the locks that SQLite holds for the whole process
(https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import sqlite3
import sys
import urllib.parse
from collections.abc import Iterator

from tracestore.arguments import shown
from tracestore.errors import (
    DamagedFileError,
    ForeignFileError,
    InvalidArgumentError,
    NewerFileError,
    ReadOnlyError,
    StoreError,
    TracestoreError,
)
from tracestore.storage import filesystem, planted, schema

log = logging.getLogger("tracestore")

_NULL = (type(None), sqlite3.PrepareProtocol)
if sys.version_info < (3, 12) and _NULL not in sqlite3.adapters:
    # For each NULL that is bound, Python asks for an adapter and makes an exception of the answer: 0.3 µs, 36 times a
    # trace. One that gives back what it gets takes 0.14 and changes nothing for others in the process.
    sqlite3.register_adapter(type(None), {None: None}.get)

#: How long a statement waits for a lock that another process holds, in seconds. Short, because nothing
#: interrupts SQLite's own waiting; the writer tries again for much longer.
BUSY_TIMEOUT_S = 1.0

#: Pragmas of every connection, each with its reason.
PRAGMAS = (
    "PRAGMA synchronous = NORMAL",  # in WAL mode: a killed process loses nothing that was committed
    "PRAGMA trusted_schema = OFF",  # a planted view or trigger may not call functions
    "PRAGMA cell_size_check = ON",  # damaged pages are noticed where they are read
    "PRAGMA secure_delete = FAST",  # Debian's SQLite also wipes free pages: deleting took twice as long
    "PRAGMA temp_store = MEMORY",  # no side files in other directories
    "PRAGMA cache_size = -16384",  # 16 MB: a batch and its indexes never spill to the WAL half done
    "PRAGMA journal_size_limit = 16777216",  # a WAL that grew once is cut back
)

#: Size of the WAL at which it is checkpointed and emptied, so that one checkpoint serves many batches.
WAL_BYTES = 32 * 1024 * 1024

#: How long a checkpoint waits for readers, and how long after one that waited in vain the next is tried.
CHECKPOINT_WAIT_S, CHECKPOINT_PAUSE_S = 0.2, 1.0


class Connection(sqlite3.Connection):
    """A connection to a store's file.

    Attributes:
        at_rest: How the file stood when it was connected without locks, because nobody else had it open; None: with
            locks.
    """

    at_rest: tuple[str, int, int] | None = None

    def is_up_to_date(self) -> bool:
        """Whether what it has read is of one moment: without locks, nobody may have written meanwhile."""
        return self.at_rest is None or self.at_rest == _stamp(self.at_rest[0])


def _stamp(path: str) -> tuple[str, int, int]:
    """Return what a write changes: the time of the last one, and the size."""
    found = os.stat(path)  # noqa: PTH116 - a path as text
    return path, found.st_mtime_ns, found.st_size


def open_for_writing(path: str) -> sqlite3.Connection:
    """Return the writing connection to the store at `path`, which is made or brought up to date first.

    A new directory gets mode 0700, a new file 0600.

    Raises:
        StoreError: The file is another program's, newer, damaged, or can't be opened.
    """
    with translated_errors(path):
        make_directory(path)
        _create_file(path)
        version = _checked_version(path)
        if version is not None and version < schema.VERSION:
            from tracestore.storage import migrations  # noqa: PLC0415 - needed once a year

            migrations.migrate(path, version)
            _checked_version(path)  # all of the schema is known only now
        connection = _connect(path, "rw")
        try:
            mode = _journal_mode(path)
            if version is None:
                _create_schema(connection, mode)
            else:
                connection.execute(f"PRAGMA journal_mode = {mode}")
            for pragma in PRAGMAS:
                connection.execute(pragma)
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # only with the ticket: ticket.py
            if mode != "WAL":
                connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


def wal_bytes(path: str) -> int:
    """Return the size of the WAL beside `path`, 0 where there is none. 2 µs."""
    try:
        return os.stat(path + "-wal").st_size  # noqa: PTH116 - a path as text
    except OSError:
        return 0


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Bring what the WAL holds into the file and empty it; False where readers were in the way for too long.

    The caller holds the write ticket. What readers allow is brought over in any case.
    """
    connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_S * 1000:.0f}")
    try:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    return not busy


def leave(connection: sqlite3.Connection, path: str, wal: tuple[int, int] | None) -> None:
    """Close the writing connection to a file that bears the name `path` no longer, and have its side files gone.

    Args:
        connection: The connection; SQLite leaves what bears the file's name alone when it is closed.
        path: Where the file was.
        wal: The identity of its WAL, which may lie beside another file of that name by now.
    """
    with contextlib.suppress(sqlite3.Error):  # a file that is deleted has no use for it
        checkpoint(connection)
    if wal is not None and identity(path + "-wal") == wal:
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + suffix)  # noqa: PTH108 - a path as text
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def sync_wal(path: str) -> None:
    """Have the WAL beside `path` on the disk: with it, all that was committed. No WAL, nothing to do.

    What `synchronous = FULL` does at each commit, but outside of the transaction, so that nobody waits for it.
    A handle of our own may be closed: SQLite's locks are on the other two files.
    """
    try:
        handle = os.open(path + "-wal", os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return
    try:
        getattr(os, "fdatasync", os.fsync)(handle)
    finally:
        os.close(handle)


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells the file at `path` from another of that name; None where there is none. 2 µs."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path as text
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def version_of(path: str) -> int | None:
    """Return the schema version of the store at `path`, None where there is none; StoreError as `open_for_writing`."""
    with translated_errors(path):
        return _checked_version(path) if pathlib.Path(path).exists() else None


def open_for_reading(path: str) -> Connection:
    """Return a connection that can't change what the store holds.

    Where the directory may be written to, SQLite still makes and removes the side files that readers of a WAL
    share; where it may not, the file is read as it is, see `Connection.at_rest`.

    Raises:
        StoreError: There is no such file, or see `open_for_writing`.
    """
    with translated_errors(path):
        if not pathlib.Path(path).exists():
            raise StoreError(f"no store at {path}: there is no such file")
        version = _checked_version(path)
        if version is None:
            raise ForeignFileError(f"{path} is empty and holds no traces")
        if version < schema.VERSION:
            raise StoreError(
                f"{path} has schema version {version}, this tracestore reads {schema.VERSION}; "
                "opening it without read_only=True, or any command of the shell, migrates it"
            )
        writable = os.access(path, os.W_OK) and os.access(pathlib.Path(path).parent, os.W_OK)
        connection = _connect(path, "rw") if writable else _connect_at_rest(path)
        for pragma in (*PRAGMAS, "PRAGMA query_only = ON"):
            connection.execute(pragma)
        return connection


def _connect_at_rest(path: str) -> Connection:
    """Connect without a trace: no locks and no side files where nobody else has the file open.

    SQLite's side files are there while somebody has. Beside a WAL the file is never read alone: what the WAL
    holds would be overlooked.
    """
    at_rest = _stamp(path)  # before the look: who writes after it has changed this
    side_files = (pathlib.Path(path + suffix) for suffix in ("-wal", "-journal"))
    is_alone = not any(file.exists() for file in side_files)
    connection = _connect(path, "ro", immutable=is_alone)
    connection.at_rest = at_rest if is_alone else None
    return connection


def _connect(path: str, mode: str, *, immutable: bool = False) -> Connection:
    quoted = urllib.parse.quote(os.path.abspath(path))  # noqa: PTH100 - no symlinks resolved
    uri = f"file:{quoted}?mode={mode}{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        factory=Connection,
        isolation_level=None,  # transactions are begun and ended by name
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,  # the pool hands a connection from thread to thread, one at a time
        cached_statements=256,
    )
    _restrict(connection)
    return connection


#: What a connection may not do, by the name of sqlite3's constant, and the value that forbids it
#: (https://www.sqlite.org/c3ref/c_dbconfig_defensive.html).
_RESTRICTIONS = {
    "SQLITE_DBCONFIG_DEFENSIVE": True,  # no statement can damage the file: writable_schema, shadow tables
    "SQLITE_DBCONFIG_ENABLE_TRIGGER": False,
    "SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION": False,
    "SQLITE_DBCONFIG_DQS_DML": False,  # "name" is never a text
    "SQLITE_DBCONFIG_DQS_DDL": False,
    "SQLITE_DBCONFIG_TRUSTED_SCHEMA": False,
}


def _restrict(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(AttributeError, sqlite3.Error):  # a Python built without extensions
        connection.enable_load_extension(False)  # Debian's SQLite has them on
    configure = getattr(connection, "setconfig", None)  # from Python 3.12 on
    if configure is not None:
        for name, value in _RESTRICTIONS.items():
            with contextlib.suppress(AttributeError, sqlite3.Error):  # an older SQLite knows fewer
                configure(getattr(sqlite3, name), value)


def make_directory(path: str) -> None:
    """Make the directory that `path` is to be in, mode 0700, where there is none. 2 µs where there is."""
    folder = os.path.dirname(path)  # noqa: PTH120 - a path as text
    if not os.path.isdir(folder):  # noqa: PTH112
        pathlib.Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)


def _create_file(path: str) -> None:
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114 - paths as text
        raise ForeignFileError(
            f"{path} is a link to a file that is not there; no store is made through it. Name the file itself"
        )
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, flags, 0o600))
        _sync_directory(path)


def _sync_directory(path: str) -> None:
    """Have the new file's name on the disk too. Windows has no such thing."""
    if os.name != "nt":
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)  # noqa: PTH120 - a path as text
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _checked_version(path: str) -> int | None:
    """Return the schema version of the store at `path`, None for an empty file; raise if not ours.

    Looks through a read-only connection, so that a refused file stays byte for byte as it was; only what a killed
    process left half written is rolled back first, as by any program that opens it.
    """
    if pathlib.Path(path).is_dir():
        raise ForeignFileError(f"{path} is a directory; name a file")
    if pathlib.Path(path).exists() and not pathlib.Path(path).is_file():
        raise ForeignFileError(
            f"{path} is a device or a pipe; name a file"
        )  # reading may never end
    try:
        return _version_at_rest(path)
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error) or not pathlib.Path(path + "-journal").exists():
            raise
    _roll_back(path)
    return _version_at_rest(path)


def _roll_back(path: str) -> None:
    """Have SQLite undo the transaction that a killed process left in the rollback journal.

    A read-only connection can't. A journal is there while a file is made, and on network file systems.
    """
    with contextlib.closing(_connect(path, "rw")) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _version_at_rest(path: str) -> int | None:
    while True:
        connection = _connect_at_rest(path)
        try:
            return _version(connection, path)
        except (sqlite3.DatabaseError, TracestoreError):
            # Another process may be making the file, or closing it, just now.
            if connection.is_up_to_date():
                raise
        finally:
            connection.close()


def _version(connection: sqlite3.Connection, path: str) -> int | None:
    connection.execute("BEGIN")  # all of it is of one moment
    application, version, objects = (
        connection.execute(query).fetchone()[0]
        for query in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if application == schema.APPLICATION_ID and version <= schema.VERSION:
        _refuse_planted(connection, path, version)
    if application == 0 and version == 0 and objects == 0:
        return None
    if application != schema.APPLICATION_ID:
        raise ForeignFileError(
            f"{path} is a SQLite file of another program (application_id {application:#x}); "
            "it was not touched. Name another file; `tracestore import` reads the traces in one of "
            "MLflow, Phoenix or llm"
        )
    if version > schema.VERSION:
        raise NewerFileError(
            f"{path} has schema version {version}, this tracestore knows {schema.VERSION}; "
            "it was not touched. Upgrade tracestore"
        )
    return int(version)


def _refuse_planted(connection: sqlite3.Connection, path: str, version: int) -> None:
    """Raise where the schema holds what nobody but its maker wants to run: a trigger, a changed view."""
    found = planted.planted(connection, is_current=version == schema.VERSION)
    if found:
        raise ForeignFileError(
            f"the schema of {path} was changed by another program: {found[0]}. It was not touched; "
            "`tracestore repair` copies its traces into a new file"
        )


def _journal_mode(path: str) -> str:
    """Return the journal that is safe where the file stands: on network file systems no WAL."""
    kind = filesystem.remote_kind(path)
    if kind is None:
        return "WAL"
    if path not in _remote:
        _remote.add(path)
        log.warning(
            "%s is on a network file system (%s): it is written without a write-ahead log and without a spool, "
            "which is slower and keeps less of a killed process. Record into a local file",
            path,
            kind,
        )
    return "TRUNCATE"


#: Stores on network file systems that were reported.
_remote: set[str] = set()


def _create_schema(connection: sqlite3.Connection, journal_mode: str) -> None:
    """Make an empty file a store; another process may do the same at the same moment."""
    connection.execute(f"PRAGMA page_size = {schema.PAGE_SIZE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute(f"PRAGMA journal_mode = {journal_mode}")
    with transaction(connection):
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            for statement in schema.statements():
                connection.execute(statement)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one write transaction: committed at its end, rolled back if it raises.

    IMMEDIATE, because a read that turns into a write fails at once where another process has written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # also Ctrl-C: an open transaction would block every other writer
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def translated_errors(path: str) -> Iterator[None]:
    """Turn what sqlite3 and the file system raise in the block into StoreErrors that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"{shown(error.object)} has a lone surrogate, which no file can hold; pass text of UTF-8"
        ) from error
    except UnicodeDecodeError as error:  # sqlite3 reading what SQLite says of a damaged schema
        raise DamagedFileError(f"{path} is damaged: text in it that is none") from error
    except OSError as error:
        raise StoreError(f"{path} can't be opened: {error.strerror or error}") from error


def _translated(error: sqlite3.Error, path: str) -> TracestoreError:
    text = str(error)
    if "not a database" in text:
        return ForeignFileError(f"{path} is no SQLite file; it was not touched. Name another file")
    if "malformed" in text:
        return DamagedFileError(f"{path} is damaged: {text}")
    if "readonly" in text:
        return ReadOnlyError(f"{path} can't be written: {text}")
    return StoreError(f"{path}: {text}")


#: Errors of the file system that pass: no space, an I/O error, too many open files.
_PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR, errno.EAGAIN, errno.EMFILE, errno.ENFILE}
)

#: Texts of SQLite's operational errors that do not pass.
_LASTING = ("readonly", "no such", "syntax", "too many", "has no column")


def is_transient(error: BaseException) -> bool:
    """Whether trying again later may help: a lock, a full disk, an I/O error, no memory."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    if isinstance(cause, OSError):
        return cause.errno in _PASSING
    if isinstance(cause, sqlite3.OperationalError):
        return not any(text in str(cause) for text in _LASTING)
    return isinstance(cause, MemoryError)


def is_lasting(error: BaseException) -> bool:
    """Whether the file itself is at fault, so that no other record can be written either."""
    if isinstance(error, (ForeignFileError, NewerFileError, DamagedFileError, ReadOnlyError)):
        return True
    return isinstance(error.__cause__, OSError) and not is_transient(error)
