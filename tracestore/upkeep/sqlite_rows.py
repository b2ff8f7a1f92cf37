"""Rows out of the pages of a file whose trees may be broken.

After https://www.sqlite.org/fileformat2.html#b_tree_pages. A page belongs to the tree that leads to it; where that is
broken, the pointer map says which page pointed to it. Pages of the free list hold what was deleted and are never
read. Invariant: no bytes, however wild, raise anything but `BadCell`, and every walk ends.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

from tracestore.upkeep.sqlite_pages import BRANCH, Pages

_TABLE_LEAF, _TABLE_BRANCH, _INDEX_LEAF, _INDEX_BRANCH = 0x0D, 0x05, 0x0A, 0x02
_KINDS = frozenset({_TABLE_LEAF, _TABLE_BRANCH, _INDEX_LEAF, _INDEX_BRANCH})

#: Levels of a tree at most: a page has two cells at least.
_MOST_LEVELS = 64

Row = tuple[Any, ...]


class BadCell(Exception):  # noqa: N818 - it is no error of the program
    """Bytes that are no row."""


class Trees:
    """Which page belongs to which tree, by the tree's root page."""

    def __init__(self, pages: Pages, roots: dict[str, int], *, adopt: bool = True) -> None:
        self._pages = pages
        self._owners: dict[int, str] = {}
        #: Pages of each tree that can't be read.
        self.damaged: dict[str, list[int]] = {}
        for name, root in roots.items():
            self._walk(name, root)
        if adopt:
            self._adopt()
        self._of: dict[str, list[int]] = {}
        for number in sorted(self._owners):
            self._of.setdefault(self._owners[number], []).append(number)

    def _walk(self, name: str, root: int) -> None:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in self._owners or not 0 < number <= self._pages.count:
                continue
            self._owners[number] = name
            try:
                waiting += _children(self._pages[number], _start(number))
            except (BadCell, IndexError):
                self.damaged.setdefault(name, []).append(number)

    def _adopt(self) -> None:
        """Find the tree of pages that no tree leads to any more."""
        free = self._pages.free()
        for number in range(3, self._pages.count + 1):
            if number in self._owners or number in free or self._pages.is_pointer_map(number):
                continue
            with contextlib.suppress(IndexError, struct.error):
                owner = self._owner_of(number)
                if owner is not None and self._pages[number][0] in _KINDS:
                    self._owners[number] = owner

    def _owner_of(self, number: int) -> str | None:
        for _ in range(_MOST_LEVELS):
            kind, parent = self._pages.pointer(number)
            if kind != BRANCH:
                return None
            if parent in self._owners:
                return self._owners[parent]
            number = parent
        return None

    def rows(self, name: str, bad: list[int]) -> Iterator[tuple[int, Row]]:
        """Yield (rowid, values) of every row of a tree that can be read; of an index the rowid is 0.

        The number of a page is added to `bad` for each of its rows that can't be read.
        """
        for number in self._of.get(name, ()):
            try:
                page, start = self._pages[number], _start(number)
                offsets = _offsets(page, start)
            except (BadCell, IndexError):
                bad.append(number)
                continue
            kind = page[start]
            if kind == _TABLE_BRANCH:
                continue
            for offset in offsets:
                try:
                    yield self._row(page, offset, kind)
                except BadCell:
                    bad.append(number)

    def _row(self, page: bytes, offset: int, kind: int) -> tuple[int, Row]:
        rowid = 0
        if kind == _INDEX_BRANCH:
            offset += 4  # the page before this cell
        length, offset = _varint(page, offset)
        if kind == _TABLE_LEAF:
            rowid, offset = _varint(page, offset)
            rowid -= (rowid >> 63) << 64
        return rowid, _decode(self._payload(page, offset, length, is_table=kind == _TABLE_LEAF))

    def _payload(self, page: bytes, offset: int, length: int, *, is_table: bool) -> bytes:
        usable = self._pages.usable_bytes
        least = (usable - 12) * 32 // 255 - 23
        most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
        if length > self._pages.count * usable:
            raise BadCell
        local = length
        if length > most:
            local = least + (length - least) % (usable - 4)
            local = local if local <= most else least
        parts = [page[offset : offset + local]]
        left = length - local
        following = page[offset + local : offset + local + 4]
        while left > 0:
            try:
                over = self._pages[struct.unpack(">I", following)[0]]
            except (IndexError, struct.error):
                raise BadCell from None
            parts.append(over[4 : 4 + min(left, usable - 4)])
            left -= usable - 4
            following = over[:4]
        payload = b"".join(parts)
        if len(payload) != length:
            raise BadCell
        return payload


def _start(number: int) -> int:
    return 100 if number == 1 else 0  # the header of the file


def _offsets(page: bytes, start: int) -> tuple[int, ...]:
    """Return where the cells of a page are."""
    kind = page[start]
    if kind not in _KINDS:
        raise BadCell
    (cells,) = struct.unpack(">H", page[start + 3 : start + 5])
    first = start + (12 if kind in (_TABLE_BRANCH, _INDEX_BRANCH) else 8)
    if first + 2 * cells > len(page):
        raise BadCell
    return struct.unpack(f">{cells}H", page[first : first + 2 * cells])


def _children(page: bytes, start: int) -> list[int]:
    """Return the pages that a page leads to, none where it is a leaf."""
    offsets = _offsets(page, start)
    if page[start] not in (_TABLE_BRANCH, _INDEX_BRANCH):
        return []
    places = [start + 8, *offsets]
    return [struct.unpack(">I", page[at : at + 4])[0] for at in places if at + 4 <= len(page)]


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return a variable-length number and where it ends, section 1.6 of the format."""
    value = 0
    for place in range(9):
        if offset >= len(data):
            raise BadCell
        byte = data[offset]
        offset += 1
        if place == 8:
            return value << 8 | byte, offset
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset
    raise BadCell


_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _decode(payload: bytes) -> Row:
    """Return the values of a record, section 2.1 of the format."""
    header_end, offset = _varint(payload, 0)
    if header_end > len(payload):
        raise BadCell
    at = header_end
    values = []
    while offset < header_end:
        kind, offset = _varint(payload, offset)
        value, size = _value(payload, at, kind)
        values.append(value)
        at += size
    if at != len(payload):
        raise BadCell
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), 0
    size = _INTEGER_BYTES.get(kind, 8 if kind == 7 else (kind - 12) // 2)
    data = payload[at : at + size]
    if kind in (10, 11) or len(data) != size:
        raise BadCell
    if kind == 7:
        return struct.unpack(">d", data)[0], size
    if kind < 10:
        return int.from_bytes(data, "big", signed=True), size
    if kind % 2 == 0:
        return data, size
    try:
        return data.decode(), size
    except UnicodeDecodeError:
        raise BadCell from None
