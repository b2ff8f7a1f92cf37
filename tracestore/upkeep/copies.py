"""Copies of a file: a backup, an extract of some of its traces, and the merge of another file into it.

Each reads one moment of its source. Knows files and rows; what is done with a trace that both files have is in
transfer.py.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import time
from collections.abc import Sequence

import msgspec

from tracestore import filters, search
from tracestore.errors import DamagedFileError, InvalidArgumentError
from tracestore.settings import path_of_file
from tracestore.storage import indexer, trace_rows
from tracestore.storage.connection import (
    identity,
    open_for_reading,
    open_for_writing,
    transaction,
    translated_errors,
)
from tracestore.storage.file import File
from tracestore.storage.interruption import heeding_signals
from tracestore.upkeep import transfer
from tracestore.upkeep.new_file import new_file
from tracestore.upkeep.pace import Pace
from tracestore.upkeep.progress import Progress

#: Pages copied between two reports of progress: 8 MB.
_PAGES = 1024

#: Traces of an extract in one transaction.
_BATCH_TRACES = 500


class Copied(msgspec.Struct, frozen=True):
    """A file that was made.

    Attributes:
        path: Where it is.
        traces: How many traces it has.
        size_bytes: How large it is.
    """

    path: str
    traces: int
    size_bytes: int


class Merged(msgspec.Struct, frozen=True):
    """What a merge did.

    Attributes:
        added: Traces that were not here.
        updated: Traces that were here unfinished, or had ended earlier, and are now as in the other file.
        unchanged: Traces that were here; tags, spans and assessments that they lacked were added.
        refused: Spans and assessments left out because their JSON can't be read.
    """

    added: int
    updated: int
    unchanged: int
    refused: int


def backup(file: File, path: str | os.PathLike[str], progress: Progress) -> Copied:
    """Copy the file as it is at this moment; see `Store.backup`."""
    with new_file(path) as partial:
        with (
            file.reading() as source,
            translated_errors(os.fspath(path)),
            contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy,
        ):
            # The first read fixes the moment: what is written meanwhile would make the copy start again.
            traces = trace_rows.counts(source)["traces"]
            copy.execute("PRAGMA synchronous = OFF")  # synchronised as a whole at the end
            source.backup(
                copy,
                pages=_PAGES,
                sleep=0.001,
                progress=lambda _status, left, total: progress("copy", total - left, total),
            )
        _verify(partial, file.path, traces, progress)
        size_bytes = os.stat(partial).st_size  # noqa: PTH116 - a path as text
    return Copied(os.path.abspath(os.fspath(path)), traces, size_bytes)  # noqa: PTH100 - no links followed


def _verify(partial: str, source: str, traces: int, progress: Progress) -> None:
    progress("verify", 0, 1)
    with (
        translated_errors(source),
        contextlib.closing(
            sqlite3.connect(partial, isolation_level=None, check_same_thread=False)
        ) as copy,
    ):
        [(message,)] = heeding_signals(
            copy, lambda: copy.execute("PRAGMA integrity_check(1)").fetchall()
        )
        found = trace_rows.counts(copy)["traces"] if message == "ok" else None
    if message != "ok" or found != traces:
        raise DamagedFileError(
            f"{source} is damaged, so no backup of it was made: {message}. "
            "`tracestore repair` saves what can be read"
        )
    progress("verify", 1, 1)


def extract(
    file: File, filter_string: str | None, path: str | os.PathLike[str], progress: Progress
) -> Copied:
    """Copy the traces that meet a filter into a new file; see `Store.extract`."""
    with new_file(path) as partial:
        with contextlib.closing(open_for_writing(partial)) as target:
            with file.reading() as source:
                keys, _ = search.search_ids(
                    source, search.Query(filter_string, "timestamp_ms ASC"), None
                )
                for start in range(0, len(keys), _BATCH_TRACES):
                    bundle = transfer.read(source, keys[start : start + _BATCH_TRACES])
                    with transaction(target):
                        transfer.write(target, bundle)
                    progress("copy", min(start + _BATCH_TRACES, len(keys)), len(keys))
            index_all(target, progress)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size_bytes = os.stat(partial).st_size  # noqa: PTH116 - a path as text
    return Copied(os.path.abspath(os.fspath(path)), len(keys), size_bytes)  # noqa: PTH100 - no links followed


def index_all(connection: sqlite3.Connection, progress: Progress) -> None:
    """Index all text of a file that nobody else has open."""
    last = connection.execute("SELECT ifnull(max(id), 0) FROM spans").fetchone()[0]
    more = True
    while more:
        with transaction(connection):
            more = indexer.index_some(connection)
        progress("index", min(last, indexer.indexed_to(connection)), last)


def merge(
    file: File, other: str | os.PathLike[str], filter_string: str | None, progress: Progress
) -> Merged:
    """Take the traces of another store into this one; see `Store.merge`."""
    path = path_of_file(other)
    with translated_errors(path):
        is_itself = identity(path) is not None and identity(path) == identity(file.path)
    if is_itself:
        raise InvalidArgumentError(f"{path} is the store itself; name another file")
    pace = Pace(50, 500)
    written = transfer.Written()
    with (
        contextlib.closing(open_for_reading(path)) as source,
        translated_errors(path),
    ):
        filters.register(source)
        source.execute("BEGIN")
        query = search.Query(filter_string, "timestamp_ms ASC")
        keys, _ = search.search_ids(source, query, None)
        done = 0
        while done < len(keys):
            part = keys[done : done + pace.size]
            written = written.plus(_take(file, source, part, pace))
            done += len(part)
            progress("merge", done, len(keys))
    return Merged(*written)


def _take(
    file: File, source: sqlite3.Connection, keys: Sequence[int], pace: Pace
) -> transfer.Written:
    bundle = transfer.read(source, keys)
    started = time.monotonic()
    written: transfer.Written = file.write(functools.partial(transfer.write, bundle=bundle))
    pace.learn(len(keys), time.monotonic() - started)
    return written
