"""The pages of a SQLite file as they are on the disk, with those of its WAL over them; nothing is trusted.

After https://www.sqlite.org/fileformat2.html. Reads bytes, knows no tables. Opening the file drops the locks that
SQLite holds for this process, so nothing else of this process may have it open.
"""

from __future__ import annotations

import contextlib
import mmap
import pathlib
import struct
from collections.abc import Iterator

from tracestore.storage import schema

_MAGIC = b"SQLite format 3\0"
_WAL_MAGICS = (0x377F0682, 0x377F0683)
_HEADER_BYTES, _WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 100, 32, 24

#: Kinds of pages in a pointer map, section 1.8 of the format.
FREE, OVERFLOW_KINDS, BRANCH = 2, (3, 4), 5


class Pages:
    """Pages by number, from 1."""

    def __init__(self, content: mmap.mmap | bytes, wal: bytes) -> None:
        self._content = content
        self._header = bytes(content[:_HEADER_BYTES])
        self.has_header = len(self._header) == _HEADER_BYTES and self._header[:16] == _MAGIC
        self.size_bytes = self._page_size()
        self._over = _wal_pages(wal, self.size_bytes)
        self.count = max([len(content) // self.size_bytes, *self._over])
        self.usable_bytes = self.size_bytes - (self._header[20] if self.has_header else 0)

    def _page_size(self) -> int:
        if not self.has_header:
            return schema.PAGE_SIZE_BYTES
        (size,) = struct.unpack(">H", self._header[16:18])
        size = 65536 if size == 1 else size
        return size if size >= 512 and size & (size - 1) == 0 else schema.PAGE_SIZE_BYTES

    def __getitem__(self, number: int) -> bytes:
        """Return a page; IndexError where there is none."""
        if number in self._over:
            return self._over[number]
        start = (number - 1) * self.size_bytes
        page = bytes(self._content[start : start + self.size_bytes]) if number > 0 else b""
        if len(page) < self.size_bytes:
            raise IndexError(number)
        return page

    def application_id(self) -> int | None:
        """Return what the header says, None where it is damaged."""
        if not self.has_header:
            return None
        header = self._over.get(1, self._header)
        return int(struct.unpack(">I", header[68:72])[0])

    def free(self) -> set[int]:
        """Return the pages of the free list, as far as it can be followed."""
        found: set[int] = set()
        with contextlib.suppress(IndexError, struct.error):
            trunk = struct.unpack(">I", self[1][32:36])[0]
            while trunk and trunk not in found:
                page = self[trunk]
                found.add(trunk)
                trunk, leaves = struct.unpack(">II", page[:8])
                leaves = min(leaves, self.usable_bytes // 4 - 2)
                found.update(struct.unpack(f">{leaves}I", page[8 : 8 + 4 * leaves]))
        return found

    def is_pointer_map(self, number: int) -> bool:
        """Whether a page is a pointer map."""
        return number >= 2 and (number - 2) % (self.usable_bytes // 5 + 1) == 0

    def pointer(self, number: int) -> tuple[int, int]:
        """Return what the pointer map says of a page: its kind and the page that points to it."""
        entries = self.usable_bytes // 5
        first = (number - 2) // (entries + 1) * (entries + 1) + 2
        start = 5 * (number - first - 1)
        kind, parent = struct.unpack(">BI", self[first][start : start + 5])
        return kind, parent


@contextlib.contextmanager
def open_pages(path: str) -> Iterator[Pages]:
    """Lend the pages of the file at `path`; ValueError where it is empty, or no file."""
    if pathlib.Path(path).exists() and not pathlib.Path(path).is_file():
        raise ValueError("a directory, a device or a pipe")  # of which reading may never end
    wal = pathlib.Path(f"{path}-wal")
    with (
        pathlib.Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        yield Pages(content, wal.read_bytes() if wal.exists() else b"")


def _wal_pages(wal: bytes, page_bytes: int) -> dict[int, bytes]:
    """Return the newest committed version of each page in a WAL; checksums tell where it ends."""
    if len(wal) < _WAL_HEADER_BYTES:
        return {}
    magic, _, size, _, *salts = struct.unpack(">6I", wal[:24])
    order = ">" if magic & 1 else "<"
    sums = _checksum(wal[:24], order, (0, 0))
    if magic not in _WAL_MAGICS or size != page_bytes or sums != struct.unpack(">2I", wal[24:32]):
        return {}
    committed: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    step = _FRAME_HEADER_BYTES + page_bytes
    for start in range(_WAL_HEADER_BYTES, len(wal) - step + 1, step):
        header = wal[start : start + _FRAME_HEADER_BYTES]
        page = wal[start + _FRAME_HEADER_BYTES : start + step]
        number, commits, *rest = struct.unpack(">6I", header)
        if rest[:2] != salts:
            break
        sums = _checksum(page, order, _checksum(header[:8], order, sums))
        if sums != tuple(rest[2:]):
            break
        pending[number] = page
        if commits:
            committed |= pending
            pending = {}
    return committed


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """Return the running checksum of a WAL, section 4.2 of the format."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
