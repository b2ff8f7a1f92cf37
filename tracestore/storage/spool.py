"""The recorder: what ended in this process, in an append-only file beside the store before the call returns.

A killed process leaves its spool behind, and the next one that opens the store takes it over (recovery.py).
While the process lives nothing reads it: the writer has the same records in memory and remembers in the table
`state`, in the transaction that writes them, how far it has come.

    <store>-spool/<process id>-<random>.spool      locked by its process as long as that lives
    MAGIC  length u32  crc32 u32  payload          a frame, written at once, little-endian
    payload = msgpack [number, trace or null, [span, ...]]; number 0: [0, field names, resource]

Knows files and frames, neither SQL nor threads: `keep` may be called by any, without a lock. Invariants: a frame is
in the file before its number may be passed; a frame that is torn is never believed; nothing in here raises.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pathlib
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.storage.record_rows import SPAN_FIELDS, TraceRecord
from tracestore.storage.ticket import try_lock

log = logging.getLogger("tracestore")

#: What is added to the store's name.
SUFFIX = "-spool"

#: How a frame begins. 0xC1 is the one byte that msgpack never writes as a type.
MAGIC = b"\xc1TR\x01"
_HEAD = struct.Struct("<4sII")

#: Size at which a process begins a new file; the old one goes when the store holds all of it.
SEGMENT_BYTES = 4 * 1024 * 1024

#: What a process may have in spools at most. Beyond that the queue in memory has to do.
LIMIT_BYTES = 512 * 1024 * 1024

#: How long after a failure, such as a full disk, the spool is left alone, in seconds.
_PAUSE_S = 1.0

_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)

_encoder = msgspec.msgpack.Encoder()


class Segment:
    """One spool file of this process.

    Attributes:
        outstanding: Numbers of frames that the store does not hold yet.
        busy: Those of them that a thread is about to write.
        passed: The highest number that the writer is about to declare written.
        retired: Whether new frames go into another file.
    """

    __slots__ = (
        "busy",
        "handle",
        "name",
        "numbers",
        "outstanding",
        "passed",
        "path",
        "retired",
        "size",
    )

    def __init__(self, folder: str) -> None:
        """Make the file and lock it; OSError where that can't be."""
        while True:
            self.name = f"{os.getpid()}-{secrets.token_hex(6)}.spool"
            self.path = os.path.join(folder, self.name)  # noqa: PTH118 - a path as text
            self.handle = _create(self.path)
            if try_lock(self.handle) and os.path.exists(self.path):  # noqa: PTH110
                break
            os.close(self.handle)  # another process took it for one that was left behind
        self.numbers = itertools.count(1)
        self.outstanding: dict[int, None] = {}
        self.busy: dict[int, None] = {}
        self.passed = 0
        self.retired = False
        self.size = 0

    def take_number(self) -> int | None:
        """Return the next frame's number, outstanding from now on; None where the file is retired.

        The writer sets `passed` before it looks at `outstanding`, and this the other way round: a number that
        the writer has not seen is above what it declares written.
        """
        while True:
            number = next(self.numbers)
            self.busy[number] = self.outstanding[number] = None
            if not self.retired and number > self.passed:
                return number
            self.give_up(number)
            if self.retired:
                return None

    def give_up(self, number: int) -> None:
        """There will be no frame of this number."""
        self.busy.pop(number, None)
        self.outstanding.pop(number, None)

    def write(self, number: int, draft: TraceRecord | None, spans: Sequence[Any]) -> None:
        """Write the frame of a number that was taken; OSError where that can't be."""
        try:
            self.append(_frame((number, draft, spans)))
        except BaseException:
            self.give_up(number)
            raise
        self.busy.pop(number, None)

    def append(self, frame: bytes | bytearray) -> None:
        """Write a frame at once; OSError where it was not written whole."""
        written = os.write(self.handle, frame)
        self.size += written
        if written != len(frame):
            raise OSError("the spool took only part of a frame")

    def position(self, done: Iterable[int]) -> int:
        """Return the number up to which all frames are written once those of `done` are."""
        done = set(done)
        self.passed = max(self.passed, *done)
        waiting = [number for number in self.outstanding.copy() if number not in done]
        return min(self.passed, min(waiting, default=self.passed + 1) - 1)

    def close(self, *, remove: bool) -> None:
        """Close the file, which unlocks it, and remove it unless it is still wanted."""
        with contextlib.suppress(OSError):
            if remove and os.name != "nt":
                os.unlink(self.path)  # noqa: PTH108 - a path as text
            os.close(self.handle)
            if remove and os.name == "nt":  # which removes no open file
                os.unlink(self.path)  # noqa: PTH108


class Kept:
    """A trace that has ended and whose records are in the spool: what the writer gets of it."""

    __slots__ = ("number", "segment", "trace")

    def __init__(self, trace: Any, segment: Segment, number: int) -> None:
        self.trace = trace
        self.segment = segment
        self.number = number


class Recorder:
    """The spool files of one store in this process. `keep` from any thread, the rest from the writer's."""

    def __init__(self, path: str) -> None:
        self.folder = path + SUFFIX
        #: Called on the first record after a fork by C code, which runs no hooks.
        self.on_foreign_process: Callable[[], None] = lambda: None
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._segment: Segment | None = None
        self._segments: list[Segment] = []
        #: What is the same for all traces of this process; given before the first is kept.
        self.resource: Mapping[str, str] | None = None
        self._paused_until = 0.0
        self._logged = False
        #: Traces that are not in the spool, because it could not be written or was full.
        self.unkept = 0

    def keep(self, trace: Any, draft: TraceRecord, spans: Sequence[Any]) -> Kept | None:
        """Write one trace's records; None where that can't be. About 12 µs for 4 spans with 6 KB.

        Args:
            trace: What the writer gets to see again.
            draft: The trace as a whole; what is derived from spans may be missing.
            spans: Those of its spans that the store may not hold yet.
        """
        if self._process != os.getpid():  # a fork that no hook told of: the files are the parent's
            self.on_foreign_process()
            self.forget()
        try:
            segment, number = self._next()
            if segment is None:
                self.unkept += 1
                return None
            segment.write(number, draft, spans)
        except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
            self._failed(error)
            return None
        return Kept(trace, segment, number)

    def _next(self) -> tuple[Segment | None, int]:
        """Return the file and the number of the next frame; None where there can be no file."""
        while True:
            segment = self._segment or self._begin()
            if segment is None:
                return None, 0
            if segment.size > 2 * SEGMENT_BYTES:  # the writer, which does this in time, is held up
                segment.retired = True
            number = segment.take_number()
            if number is not None:
                return segment, number
            if segment is self._segment:
                self._segment = None  # closed this very moment

    def _failed(self, error: Exception) -> None:
        """Count it, and begin a new file later: at the end of this one there may be a torn frame."""
        self.unkept += 1
        self._segment = None
        self._paused_until = time.monotonic() + _PAUSE_S
        if not self._logged:
            self._logged = True
            log.warning(
                "%s can't be written, so what ended in the last moments before a kill may be lost: %s",
                self.folder,
                error,
            )

    def _begin(self) -> Segment | None:
        """Begin a new file; None while it is paused or there is too much in the old ones.

        Two threads may do so at once: then there are two files, and both count.
        """
        if time.monotonic() < self._paused_until or self.size_bytes() > LIMIT_BYTES:
            return None
        segment = Segment(self.folder)
        self._segments.append(segment)
        fields = (TraceRecord._fields, SPAN_FIELDS)
        segment.append(_frame((0, fields, self.resource)))
        self._segment = segment
        return segment

    def size_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(segment.size for segment in self._segments)

    def positions(self, kept: Sequence[Kept]) -> list[tuple[str, int]]:
        """Return name and position of each file once the traces of `kept` are written."""
        done: dict[Segment, list[int]] = {}
        for one in kept:
            done.setdefault(one.segment, []).append(one.number)
        return [(segment.name, segment.position(numbers)) for segment, numbers in done.items()]

    def settle(self, kept: Sequence[Kept]) -> None:
        """The traces of `kept` are committed: give up files that are not needed, begin a new one in time."""
        for one in kept:
            one.segment.outstanding.pop(one.number, None)
        current = self._segment
        if current is not None and current.size > SEGMENT_BYTES:
            with contextlib.suppress(OSError):
                self._begin()
            current.retired = self._segment is not current
        for segment in list(self._segments):
            if segment is not self._segment and not segment.outstanding:
                segment.retired = True
                if not segment.outstanding:  # still: who took a number before saw no retirement
                    self._segments.remove(segment)
                    segment.close(remove=True)

    def set_aside(self, traces: Sequence[TraceRecord], spans: Sequence[Any]) -> bool:
        """Write records that the store can't take now, for the next start; False where that can't be."""
        frames: list[tuple[TraceRecord | None, Sequence[Any]]] = [(trace, ()) for trace in traces]
        try:
            for draft, own in (*frames, (None, spans)):
                segment, number = self._next()
                if segment is None:
                    return False
                segment.write(number, draft, own)
        except Exception as error:  # noqa: BLE001 - then they are lost, and counted so
            self._failed(error)
            return False
        return True

    def close(self, *, leave: bool = False) -> None:
        """Remove the files that the store holds whole; with `leave`, leave the others to the next start.

        Otherwise they stay this process's, which has their frames in its queue.
        """
        for segment in list(self._segments):
            if segment.outstanding and not leave:
                continue
            segment.retired = True
            if not segment.busy and (leave or not segment.outstanding):  # no thread writes just now
                segment.close(remove=not segment.outstanding)
                self._segments.remove(segment)
        if self._segment not in self._segments:
            self._segment = None
        with contextlib.suppress(OSError):  # others have files there
            os.rmdir(self.folder)  # noqa: PTH106 - a path as text

    def discard(self) -> None:
        """Remove the files whatever they hold: the store's name is another program's file."""
        for segment in self._segments:
            segment.outstanding.clear()
        self.close(leave=True)

    def forget(self) -> None:
        """In the child of a fork: close the handles, for as long as one is open the parent seems alive."""
        for segment in self._segments:
            with contextlib.suppress(OSError):
                os.close(segment.handle)
        self._reset()


def _create(path: str) -> int:
    while True:
        try:
            return os.open(path, _FLAGS, 0o600)
        except FileNotFoundError:
            folder = pathlib.Path(path).parent  # its last user may have removed it
            folder.parent.mkdir(0o700, parents=True, exist_ok=True)
            folder.mkdir(0o700, exist_ok=True)


def _frame(payload: object) -> bytearray:
    frame = bytearray(_HEAD.size)
    _encoder.encode_into(payload, frame, _HEAD.size)
    crc = zlib.crc32(memoryview(frame)[_HEAD.size :])
    _HEAD.pack_into(frame, 0, MAGIC, len(frame) - _HEAD.size, crc)
    return frame


def frames(data: bytes) -> Iterator[Any]:
    """Yield the decoded payload of each sound frame; go on after a torn one at the next that begins."""
    start = data.find(MAGIC)
    while start >= 0:
        payload = _payload(data, start)
        if payload is None:
            start = data.find(MAGIC, start + 1)
            continue
        yield msgspec.msgpack.decode(payload)
        start = data.find(MAGIC, start + _HEAD.size + len(payload))


def _payload(data: bytes, start: int) -> bytes | None:
    if start + _HEAD.size > len(data):
        return None
    _, length, crc = _HEAD.unpack_from(data, start)
    payload = data[start + _HEAD.size : start + _HEAD.size + length]
    return payload if len(payload) == length and zlib.crc32(payload) == crc else None
