"""Taking over spools: what processes that died had recorded and not written, each frame once.

A spool is left behind if its lock is free. Its frames go into the store in order, together with the position,
so that a kill in the middle repeats nothing. What a frame does not say because it costs time (previews, sums of
tokens) is derived here. Files come from outside: only regular ones are read, and a frame that can't be stored
is counted and left out. Invariant: a spool that can't be read, or not be removed, holds up nobody; it stays where it
is, and `unreadable` names it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from tracestore.entities.span import COST_KEY, USAGE_KEY
from tracestore.storage import record_rows, spool
from tracestore.storage.record_rows import PAYLOADS_FROM, SPAN_FIELDS, SpanRecord, TraceRecord
from tracestore.storage.schema import whole
from tracestore.storage.statements import chunks
from tracestore.storage.ticket import try_lock
from tracestore.summary.preview import request_preview, response_preview
from tracestore.summary.usage import Usage

log = logging.getLogger("tracestore")

#: Frames in one transaction.
_FRAMES = 500

#: A file larger than all spools of a process may be together is none.
_MOST_BYTES = 2 * spool.LIMIT_BYTES

#: What reading a spool may raise that is the file's fault: an I/O error, a name that is no text, too large.
_FAULTS = (OSError, ValueError, MemoryError)

#: What the names in the table `state` begin with; a file's name follows.
STATE = "spool."

_SAVE_POSITION = "INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)"

_Transaction = Callable[[sqlite3.Connection], AbstractContextManager[None]]


def save_positions(connection: sqlite3.Connection, positions: Sequence[tuple[str, int]]) -> None:
    """Remember how far each spool is written, in the transaction that wrote it."""
    for name, position in positions:
        connection.execute(_SAVE_POSITION, (STATE + name, str(position)))


def left_behind(path: str) -> list[str]:
    """Return the spools beside the store whose process is gone. 2 µs where there is no spool."""
    found = []
    for file in _spools(path):
        with contextlib.suppress(*_FAULTS):  # named by `unreadable`
            if _with_lock(file, lambda _handle: True):
                found.append(file)
    return found


def traces_left_behind(connection: sqlite3.Connection, path: str) -> tuple[int, int]:
    """Return how many traces dead processes left that the store does not hold, and how many spools can't be read.

    Reads the spools, changes nothing.
    """

    def count(handle: int, file: str) -> int:
        return sum(trace is not None for _, trace, _ in _untaken(connection, file, handle))

    traces = 0
    for file in _spools(path):
        with contextlib.suppress(*_FAULTS):  # counted below
            traces += _with_lock(file, functools.partial(count, file=file)) or 0
    return traces, len(unreadable(path))


def unreadable(path: str) -> list[tuple[str, str]]:
    """Return name and reason of what lies in the place of spools and can't be read. Reads spools of dead processes."""
    folder = path + spool.SUFFIX
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.path for entry in entries if entry.name.endswith(".spool"))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [(os.path.basename(folder), error.strerror or str(error))]  # noqa: PTH119 - a path as text
    reasons = ((file, _fault(file)) for file in files)
    return [(_shown(file), reason) for file, reason in reasons if reason is not None]


def _fault(file: str) -> str | None:
    """Return why a spool can't be read, None where it can, or its process is alive, or it is gone."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return "no regular file"
        _name_of(file).encode()
        handle = os.open(file, _READ_FLAGS)
        try:
            if try_lock(handle):
                _read(handle)
        finally:
            os.close(handle)
    except FileNotFoundError:
        return None
    except _FAULTS as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _shown(file: str) -> str:
    return os.path.basename(file).encode("utf-8", "backslashreplace").decode()  # noqa: PTH119 - a path as text


def take_over(connection: sqlite3.Connection, path: str, transaction: _Transaction) -> int:
    """Write what dead processes left into the store, remove their spools; return how many traces.

    The caller holds the write ticket. Raises what the connection raises; the next call goes on from there.
    """
    taken = 0
    for file in _spools(path):

        def take(handle: int, file: str = file) -> int:
            return _take(connection, file, handle, transaction)

        try:
            taken += _with_lock(file, take, remove=True) or 0
        except _FAULTS as error:
            _say_once(file, error)
    with contextlib.suppress(OSError):
        os.rmdir(path + spool.SUFFIX)  # noqa: PTH106 - a path as text
    _forget_positions(connection, path, transaction)
    if taken:
        log.info("%s: took over %d traces of processes that were killed", path, taken)
    return taken


def _spools(path: str) -> list[str]:
    try:
        with os.scandir(path + spool.SUFFIX) as entries:
            return sorted(
                entry.path
                for entry in entries
                if entry.name.endswith(".spool") and entry.is_file(follow_symlinks=False)
            )
    except OSError:
        return []


def _say_once(file: str, error: BaseException) -> None:
    if file not in _said:
        _said.add(file)
        log.warning(
            "%s, left by a process that was killed, is left where it is: %s", _shown(file), error
        )


#: Spools that were reported.
_said: set[str] = set()

_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


def _with_lock(file: str, action: Callable[[int], Any], *, remove: bool = False) -> Any:
    """Return what `action` says of the open file, None where its process is alive or it is gone.

    With `remove` the file goes afterwards, unless the action raises.
    """
    try:
        writable = os.O_RDWR if os.access(file, os.W_OK) else os.O_RDONLY
        handle = os.open(file, _READ_FLAGS | writable)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode) or not try_lock(handle):
            return None
        result = action(handle)
        if remove and os.name != "nt":
            os.unlink(file)  # noqa: PTH108 - a path as text
    finally:
        os.close(handle)
    if remove and os.name == "nt":  # which removes no open file
        os.unlink(file)  # noqa: PTH108
    return result


def frames_of(data: bytes, numbers: Container[int]) -> list[Frame]:
    """Return those frames of a spool that bear these numbers; of those that are damaged, none."""
    return [frame for frame in _sound(data) if frame[0] in numbers]


def write_deferred(connection: sqlite3.Connection, found: Sequence[Frame]) -> None:
    """Write frames that this process has left to its spool.

    A trace that has ended in the store already is left as it is: tags may have been set since.
    """
    rows: Iterable[tuple[str]] = itertools.chain.from_iterable(
        connection.execute(_ENDED.format(",".join("?" * len(some))), some)
        for some in chunks([trace.trace_id for _, trace, _ in found if trace], 500)
    )
    ended = {trace_id for (trace_id,) in rows}
    _write(
        connection,
        [
            (number, None if trace is None or trace.trace_id in ended else trace, spans)
            for number, trace, spans in found
        ],
    )


_ENDED = "SELECT trace_id FROM traces WHERE status != 'IN_PROGRESS' AND trace_id IN ({})"


def _take(connection: sqlite3.Connection, file: str, handle: int, transaction: _Transaction) -> int:
    found = _untaken(connection, file, handle)
    for chunk in chunks(found, _FRAMES):
        with transaction(connection):
            _write(connection, chunk)
            last = max(number for number, _, _ in chunk)
            connection.execute(_SAVE_POSITION, (_name_of(file), str(last)))
    return sum(trace is not None for _, trace, _ in found)


def _untaken(connection: sqlite3.Connection, file: str, handle: int) -> list[Frame]:
    """Return the frames of an open spool that the store does not hold."""
    row = connection.execute("SELECT value FROM state WHERE name = ?", (_name_of(file),)).fetchone()
    position = int(row[0]) if row is not None else 0
    return [frame for frame in _sound(_read(handle)) if frame[0] > position]


def _read(handle: int) -> bytes:
    size = os.fstat(handle).st_size
    if size > _MOST_BYTES:
        raise ValueError(f"{size:,} bytes are more than a spool has")
    with open(handle, "rb", closefd=False) as stream:
        stream.seek(0)
        return stream.read(size)


def _name_of(file: str) -> str:
    return STATE + os.path.basename(file)  # noqa: PTH119 - a path as text


#: A frame as it is read: its number, the trace, its spans.
Frame = tuple[int, "TraceRecord | None", list[SpanRecord]]


def _sound(data: bytes) -> list[Frame]:
    """Return the frames of a spool by number, complete with what its head frames say."""
    frames: list[Frame] = []
    fields: Sequence[Sequence[str]] = (TraceRecord._fields, SPAN_FIELDS)
    resource: Mapping[str, str] = {}
    for payload in spool.frames(data):
        with _left_out_if_odd():
            if payload[0] == 0:
                _, fields, told = msgspec.convert(payload, _Head)
                resource = told or resource
                continue
            number, trace, spans = payload
            frames.append((int(number), _trace(trace, fields[0]), [_span(s, fields[1]) for s in spans]))  # fmt: skip
    complete = []
    for number, trace, spans in frames:
        with _left_out_if_odd():
            complete.append((number, _with_resource(trace, resource), spans))
    return sorted(complete, key=lambda frame: frame[0])


#: What a head frame says: the names of a trace's and of a span's fields, what is the same for all traces.
_Head = tuple[int, tuple[list[str], list[str]], dict[str, str] | None]


@contextlib.contextmanager
def _left_out_if_odd() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, LookupError, msgspec.MsgspecError) as error:
        log.warning("a frame of a spool is left out: %s", error)


def _trace(values: Sequence[Any] | None, fields: Sequence[str]) -> TraceRecord | None:
    if values is None:
        return None
    if tuple(fields) == TraceRecord._fields:
        return TraceRecord(*values)
    known = dict(zip(fields, values, strict=True))  # of another version of this package
    return TraceRecord(**{name: known[name] for name in TraceRecord._fields if name in known})


def _span(values: Sequence[Any], fields: Sequence[str]) -> SpanRecord:
    known = dict(zip(fields, values, strict=True))
    record = [known.get(name) for name in SPAN_FIELDS]
    # Payloads are UTF-8 in a spool; they were texts in those of earlier versions.
    return tuple(
        value.encode() if place >= PAYLOADS_FROM and isinstance(value, str) else value
        for place, value in enumerate(record)
    )


def _with_resource(trace: TraceRecord | None, resource: Mapping[str, str]) -> TraceRecord | None:
    if trace is None:
        return None
    tags, metadata = msgspec.convert((trace.tags, trace.metadata), _Texts)
    return trace._replace(tags=tags, metadata={**resource, **metadata})


_Texts = tuple[dict[str, str], dict[str, str]]


def _write(connection: sqlite3.Connection, chunk: Sequence[Frame]) -> None:
    """Write frames together; where one is at fault, one by one."""
    connection.execute("SAVEPOINT frames")
    try:
        _write_frames(connection, chunk)
    except sqlite3.OperationalError:  # the file's fault: a full disk, a lock
        raise
    except Exception as error:  # noqa: BLE001 - from outside: whatever it is, the others count
        connection.execute("ROLLBACK TO frames")
        if len(chunk) == 1:
            log.warning("a trace of a killed process is left out: %s", error)
        else:
            for frame in chunk:
                _write(connection, [frame])
    connection.execute("RELEASE frames")


def _write_frames(connection: sqlite3.Connection, chunk: Sequence[Frame]) -> None:
    traces = {trace.trace_id: trace for _, trace, _ in chunk if trace is not None}
    spans = [span for _, _, spans in chunk for span in spans]
    record_rows.write_records(connection, list(traces.values()), spans)
    for trace in traces.values():
        if not trace.is_part:
            _derive(connection, trace)


_SPANS = f"""
    SELECT span_id, parent_id, attributes, {whole("inputs")}, {whole("outputs")} FROM spans WHERE trace = ?
"""

_DERIVED = """
    UPDATE traces SET
        input_tokens = coalesce(input_tokens, ?), output_tokens = coalesce(output_tokens, ?),
        total_tokens = coalesce(total_tokens, ?),
        cache_read_tokens = coalesce(cache_read_tokens, ?),
        cache_creation_tokens = coalesce(cache_creation_tokens, ?),
        input_cost = coalesce(input_cost, ?), output_cost = coalesce(output_cost, ?),
        total_cost = coalesce(total_cost, ?),
        request_preview = coalesce(request_preview, ?),
        response_preview = coalesce(response_preview, ?)
    WHERE id = ?
"""


def _derive(connection: sqlite3.Connection, trace: TraceRecord) -> None:
    """Fill in what the living writer would have said of the trace's spans."""
    key = record_rows.key_of(connection, trace.trace_id)
    rows = connection.execute(_SPANS, (key,)).fetchall()
    root = next((row for row in rows if row[1] is None), None)
    usage = _usage(rows)
    tokens, cost = usage.tokens(), usage.cost()
    values = (
        *(tokens.get(name) for name in record_rows.Usage.__struct_fields__),
        *(cost.get(name) for name in record_rows.Cost.__struct_fields__),
        None if root is None else request_preview(root[3]),
        None if root is None else response_preview(root[4]),
    )
    connection.execute(_DERIVED, (*values, key))


def _usage(rows: Sequence[tuple[Any, ...]]) -> Usage:
    usage = Usage()
    parents = {row[0]: row[1] for row in rows}
    for span_id, _, attributes, *_ in rows:
        if attributes is not None and (USAGE_KEY in attributes or COST_KEY in attributes):
            values = msgspec.json.decode(attributes)
            above = frozenset(_ancestors(span_id, parents))
            usage.add(span_id, above, values.get(USAGE_KEY), values.get(COST_KEY))
    return usage


def _ancestors(span_id: str, parents: Mapping[str, str | None]) -> Iterator[str]:
    seen = {span_id}
    above = parents.get(span_id)
    while above is not None and above not in seen:
        seen.add(above)
        yield above
        above = parents.get(above)


def _forget_positions(connection: sqlite3.Connection, path: str, transaction: _Transaction) -> None:
    """Delete the positions of spools that are gone."""
    rows: Iterable[tuple[str]] = connection.execute(
        "SELECT name FROM state WHERE name >= ? AND name < ?", (STATE, STATE[:-1] + "/")
    ).fetchall()
    folder = path + spool.SUFFIX
    gone = [
        (name,)
        for (name,) in rows
        if not os.path.exists(os.path.join(folder, name.removeprefix(STATE)))  # noqa: PTH110, PTH118 - a path as text
    ]
    if gone:
        with transaction(connection):
            connection.executemany("DELETE FROM state WHERE name = ?", gone)
