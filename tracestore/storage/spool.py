"""The recorder: what ended in this process, in an append-only file beside the store before the call returns.

A killed process leaves its spool behind, and the next one that opens the store takes it over (recovery.py).
While the process lives nothing reads it: the writer has the same records in memory and remembers in the table
`state`, in the transaction that writes them, how far it has come.

    <store>-spool/<process id>-<random>.spool                 locked by its process as long as that lives
    MAGIC  length u32  generation u32  crc32 u32  payload     a frame, written at once, little-endian
    payload = msgpack [number, trace or null, [span, ...]]; number 0: [0, field names, resource]

A file whose frames the store holds is written over from its beginning, as its next generation: a page that is in
memory already costs the recording thread 1.5 µs, a fresh one 5 to 25. What is left of older generations
behind the newest one is never believed: the checksum begins with the generation, and numbers go on.

Where the file system overwrites in place, the beginning of such a file is mapped into memory: the system keeps what is
copied there as it keeps what is written, and a copy neither enters the system nor gives the interpreter lock away, which
the writer then holds for a while: 17 µs less a trace.

Knows files and frames, neither SQL nor threads: `keep` may be called by any, without a lock. Invariants: a frame is
in the file before its number may be passed; a frame that is torn or stale is never believed; nothing in here raises.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import mmap
import os
import pathlib
import secrets
import struct
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.storage import filesystem
from tracestore.storage.record_rows import SPAN_FIELDS, TraceRecord, crc32_of
from tracestore.storage.ticket import try_lock

log = logging.getLogger("tracestore")

#: What is added to the store's name.
SUFFIX = "-spool"

#: How a frame begins. 0xC1 is the one byte that msgpack never writes as a type.
MAGIC = b"\xc1TR\x02"
_HEAD = struct.Struct("<4sIII")

#: Size at which the writer has frames go into the other file, so that this one can be used again.
SWITCH_BYTES = 256 * 1024

#: How much of a file is mapped: what is recorded at full speed until the writer's next batch is done.
MAPPED_BYTES = 2 * 1024 * 1024

#: A file that has grown beyond this is not used again. Without the writer's help a new one is begun at twice the size.
SEGMENT_BYTES = 4 * 1024 * 1024

#: What a process may have in spools at most. Beyond that the queue in memory has to do.
LIMIT_BYTES = 512 * 1024 * 1024

#: How long after a failure, such as a full disk, the spool is left alone, in seconds.
_PAUSE_S = 1.0

_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
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
        deferred: Those of them whose spans the writer has not got, with how many spans that are.
        busy: Those that a thread is about to write; 0 until the file is in use.
        passed: The highest number that the writer is about to declare written.
        position: The number up to which the writer has last declared all written.
        retired: Whether new frames go into another file.
        generation: How often it was begun.
    """

    __slots__ = (
        "_pages",
        "busy",
        "deferred",
        "generation",
        "handle",
        "name",
        "numbers",
        "outstanding",
        "passed",
        "path",
        "position",
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
        self._pages: mmap.mmap | None = None
        self.numbers = itertools.count(1)
        self.outstanding: dict[int, None] = {}
        self.deferred: dict[int, int] = {}
        self.busy: dict[int, None] = {0: None}
        self.passed = self.position = 0
        self.retired = False
        self.generation = 0
        self.size = 0

    def begin(
        self, resource: Mapping[str, str] | None, *, reserve: bool = False, mapped: bool = False
    ) -> None:
        """Begin the next generation, which may be the first; OSError where that can't be.

        Whoever looked at the file before it was retired may take a number only now: that is one of the new generation.

        Args:
            resource: See `Recorder.resource`.
            reserve: Have the pages that come next in memory, and on the disk what they need.
            mapped: Map them too.
        """
        self.generation += 1
        self.size = 0
        if reserve and self._pages is None:
            self._reserve(MAPPED_BYTES if mapped else SWITCH_BYTES)
            if mapped:
                self._pages = mmap.mmap(self.handle, MAPPED_BYTES)
        if self._pages is not None:
            self._pages.seek(0)
        os.lseek(self.handle, 0 if self._pages is None else MAPPED_BYTES, os.SEEK_SET)
        self.append(_frame((0, (TraceRecord._fields, SPAN_FIELDS), resource), self.generation))
        self.retired = False

    def _reserve(self, size_bytes: int) -> None:
        """Write zeros: a copy into a mapped page that the disk has no room for would end the process."""
        os.lseek(self.handle, 0, os.SEEK_SET)
        if os.write(self.handle, bytes(size_bytes)) != size_bytes:
            raise OSError("there is no room for a spool")

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
            self.append(_frame((number, draft, spans), self.generation))
        except BaseException:
            self.give_up(number)
            raise
        self.busy.pop(number, None)

    def append(self, frame: bytes | bytearray) -> None:
        """Write a frame at once, where the last one ended; OSError where it was not written whole.

        What is mapped has a position and so has the handle; each moves with the write, so two threads never write to
        one place.
        """
        if self._pages is not None:
            with contextlib.suppress(ValueError):  # no room: it goes behind what is mapped
                self.size += self._pages.write(frame)
                return
        written = os.write(self.handle, frame)
        self.size += written
        if written != len(frame):
            raise OSError("the spool took only part of a frame")

    def pass_by(self, done: Iterable[int]) -> int:
        """Return the number up to which all frames are written once those of `done` are."""
        done = set(done)
        self.passed = max(self.passed, *done)
        waiting = [number for number in self.outstanding.copy() if number not in done]
        self.position = min(self.passed, min(waiting, default=self.passed + 1) - 1)
        return self.position

    def can_begin_again(self) -> bool:
        """Whether the store holds all of it and says so, and it is not too large."""
        is_small = os.fstat(self.handle).st_size <= SEGMENT_BYTES
        return self.position == self.passed and is_small and not self.is_gone

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed the file: no other process would find it. 0.6 µs."""
        return os.fstat(self.handle).st_nlink == 0

    def read(self) -> bytes:
        """Return all of the file, also of one that was removed."""
        if sys.platform == "win32":  # which removes no open file
            return pathlib.Path(self.path).read_bytes()
        return os.pread(self.handle, os.fstat(self.handle).st_size, 0)

    def close(self, *, remove: bool) -> None:
        """Close the file, which unlocks it, and remove it unless it is still wanted."""
        if remove and os.name != "nt":
            self._remove()
        self.release()
        if remove and os.name == "nt":  # which removes no open file
            self._remove()

    def release(self) -> None:
        """Close the handle, and the one that the mapped pages have: while one of them is open the file is locked."""
        if self._pages is not None:
            self._pages.close()
        with contextlib.suppress(OSError):
            os.close(self.handle)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # somebody else has
            os.unlink(self.path)  # noqa: PTH108 - a path as text


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
        self._maps: bool | None = None
        self._segment: Segment | None = None
        self._segments: list[Segment] = []
        #: One of them that holds nothing and is next; only the writer's thread takes it.
        self._spare: Segment | None = None
        #: What is the same for all traces of this process; given before the first is kept.
        self.resource: Mapping[str, str] | None = None
        self._paused_until = 0.0
        self._logged = False
        #: Traces that are not in the spool, because it could not be written or was full.
        self.unkept = 0

    def keep(self, trace: Any, draft: TraceRecord, spans: Sequence[Any]) -> Kept | None:
        """Write one trace's records; None where that can't be. About 10 µs for 4 spans with 6 KB.

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
        segment = self._make()
        self._segment = segment
        segment.give_up(0)  # only now: the writer must not take it for one that is done with
        return segment

    def _make(self, *, reserve: bool = False) -> Segment:
        segment = Segment(self.folder)
        try:
            segment.begin(self.resource, reserve=reserve, mapped=reserve and self._may_map())
        except BaseException:
            segment.close(remove=True)
            raise
        self._segments.append(segment)
        return segment

    def _may_map(self) -> bool:
        """Whether files may be mapped: asked on the writer's thread only, once."""
        if self._maps is None:
            has_lock = getattr(
                sys, "_is_gil_enabled", lambda: True
            )  # without it a mapped file has no safe position
            self._maps = has_lock() and filesystem.overwrites_in_place(self.folder)
        return self._maps

    def size_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(segment.size for segment in self._segments)

    def positions(self, kept: Sequence[Kept]) -> list[tuple[str, int]]:
        """Return name and position of each file once the traces of `kept` are written."""
        done: dict[Segment, list[int]] = {}
        for one in kept:
            done.setdefault(one.segment, []).append(one.number)
        return [(segment.name, segment.pass_by(numbers)) for segment, numbers in done.items()]

    def settle(self, kept: Sequence[Kept]) -> None:
        """The traces of `kept` are committed: use files again, or give them up, and change them in time."""
        for one in kept:
            one.segment.deferred.pop(one.number, None)
            one.segment.outstanding.pop(one.number, None)
        with contextlib.suppress(OSError):
            self._leave_removed()
        for segment in list(self._segments):
            if segment not in (self._segment, self._spare) and _retire(segment):
                self._clear(segment)
        current = self._segment
        if current is not None and current.size > SWITCH_BYTES // 4:
            with contextlib.suppress(OSError):
                self._change(current)

    def _leave_removed(self) -> None:
        """Begin new files where somebody has removed those in use: what a kill leaves there nobody would find."""
        spare, current = self._spare, self._segment
        if spare is not None and spare.is_gone:
            self._spare = None
            spare.give_up(0)
        if current is not None and current.is_gone:
            log.warning("%s was removed; a new one is begun", self.folder)
            self._segment = None
            current.retired = True

    def _clear(self, segment: Segment) -> None:
        """Keep a file that holds nothing for the next use, or remove it."""
        with contextlib.suppress(OSError):
            if self._spare is None and segment.can_begin_again():
                segment.busy[0] = None
                segment.begin(self.resource, reserve=True, mapped=self._may_map())
                self._spare = segment
                return
        if self._give_up(segment):
            segment.close(remove=True)

    def _give_up(self, segment: Segment) -> bool:
        """Have a file be none of these any more; False where another thread has done so, and closes it.

        At the end of a process the writer's thread may still be at work. A handle that is closed twice is somebody
        else's the second time.
        """
        try:
            self._segments.remove(segment)
        except ValueError:
            return False
        return True

    def _change(self, current: Segment) -> None:
        """Have a spare file, and use it once the current one is full."""
        if self._spare is None and time.monotonic() >= self._paused_until:
            self._spare = self._make(reserve=True)
        if self._spare is not None and current.size > SWITCH_BYTES:
            self._segment, self._spare = self._spare, None
            self._segment.give_up(0)
            current.retired = True

    def defer(self, kept: Kept, spans: int) -> None:
        """The writer gets these spans of a frame from the file, for its queue is full. About 100 bytes of memory."""
        kept.segment.deferred[kept.number] = spans

    def deferred_frames(self) -> int:
        """Return how many frames the writer is to get from the files."""
        return sum(len(segment.deferred) for segment in self._segments.copy())

    def next_deferred(self, most: int) -> tuple[Segment, dict[int, int]] | None:
        """Return a file and at most so many of its deferred frames, by number; None where there are none."""
        for segment in self._segments.copy():
            if segment.deferred:
                return segment, dict(itertools.islice(segment.deferred.copy().items(), most))
        return None

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
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.give_up(0)
        for segment in list(self._segments):
            if segment.outstanding and not leave:
                continue
            segment.retired = True
            is_idle = not segment.busy and (
                leave or not segment.outstanding
            )  # no thread writes now
            if is_idle and self._give_up(segment):
                segment.close(remove=not segment.outstanding)
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
            segment.release()
        self._reset()


def _retire(segment: Segment) -> bool:
    """Have no more frames in a file that needs to hold none; False where it does."""
    if segment.outstanding or segment.busy:
        return False
    segment.retired = True
    # Still: who took a number before saw no retirement.
    return not (segment.outstanding or segment.busy)


def _create(path: str) -> int:
    while True:
        try:
            return os.open(path, _FLAGS, 0o600)
        except FileNotFoundError:
            folder = pathlib.Path(path).parent  # its last user may have removed it
            folder.parent.mkdir(0o700, parents=True, exist_ok=True)
            folder.mkdir(0o700, exist_ok=True)


def _frame(payload: object, generation: int = 1) -> bytearray:
    frame = bytearray(_HEAD.size)
    _encoder.encode_into(payload, frame, _HEAD.size)
    length = len(frame) - _HEAD.size
    checksum = crc32_of(memoryview(frame)[_HEAD.size :], generation)
    _HEAD.pack_into(frame, 0, MAGIC, length, generation, checksum)
    return frame


def frames(data: bytes) -> list[Any]:
    """Return the decoded payloads of the sound frames of the newest generation.

    After a torn frame it goes on at the next that begins.
    """
    found: list[tuple[int, Any]] = []
    start = data.find(MAGIC)
    while start >= 0:
        frame = _sound_frame(data, start)
        if frame is None:
            start = data.find(MAGIC, start + 1)
            continue
        generation, payload = frame
        try:
            found.append((generation, msgspec.msgpack.decode(payload)))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.warning("a frame of a spool is left out: %s", error)
        start = data.find(MAGIC, start + _HEAD.size + len(payload))
    newest = max((generation for generation, _ in found), default=0)
    return [payload for generation, payload in found if generation == newest]


def _sound_frame(data: bytes, start: int) -> tuple[int, memoryview] | None:
    if start + _HEAD.size > len(data):
        return None
    _, length, generation, checksum = _HEAD.unpack_from(data, start)
    payload = memoryview(data)[start + _HEAD.size : start + _HEAD.size + length]
    sound = len(payload) == length and crc32_of(payload, generation) == checksum
    return (generation, payload) if sound else None
