"""Rows by group: how many there are, and each column's values.

The inner loop of `metrics`: a million rows pass here, so it works on columns. Invariant: a column without `only`
has as many values of a group as the group has rows, in the same order as the group's other columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from tracestore.figures.columns import Column

Key = tuple[Any, ...]


@dataclass
class Tally:
    """What was read so far.

    Attributes:
        codes: The number of each group, by its key.
        counted: Rows by group number.
        values: By column, by group number.
    """

    codes: dict[Key, int] = field(default_factory=dict)
    counted: Counter[int] = field(default_factory=Counter)
    values: list[list[list[Any]]] = field(default_factory=list)

    def code(self, key: Key) -> int:
        """Return the number of a group, a new one where it is new."""
        code = self.codes.get(key)
        if code is None:
            code = self.codes[key] = len(self.codes)
            for column in self.values:
                column.append([])
        return code

    def take(
        self, keys: Sequence[Column], needed: Sequence[Column], cells: Sequence[Sequence[Any]]
    ) -> None:
        """Add rows, given by column: first those of the keys, then those of the values."""
        read = [
            cell if column.read is None else list(map(column.read, cell))
            for column, cell in zip((*keys, *needed), cells, strict=False)
        ]
        rows = len(cells[0])
        if not keys:
            self.extend((), rows, needed, read)
            return
        if len(keys) == 1:  # without a tuple for each row
            code_of = {value: self.code((value,)) for value in set(read[0])}
            codes = list(map(code_of.__getitem__, read[0]))
        else:
            codes_of = {key: self.code(key) for key in set(zip(*read[: len(keys)], strict=True))}
            codes = list(map(codes_of.__getitem__, zip(*read[: len(keys)], strict=True)))
        self._add(codes, needed, read[len(keys) :])

    def extend(
        self, key: Key, rows: int, needed: Sequence[Column], read: Sequence[Sequence[Any]]
    ) -> None:
        """Add rows of one group, given by column, values made already."""
        code = self.code(key)
        self.counted[code] += rows
        for target, column, cells in zip(self.values, needed, read, strict=False):
            kept = cells if column.only is None else [c for c in cells if c == column.only]
            target[code].extend(kept)

    def _add(
        self, codes: list[int], needed: Sequence[Column], read: Sequence[Sequence[Any]]
    ) -> None:
        self.counted.update(codes)
        for target, column, cells in zip(self.values, needed, read, strict=True):
            of_group, kept = codes, cells
            if column.only is not None:
                mask = list(map(column.only.__eq__, cells))
                of_group, kept = list(compress(codes, mask)), list(compress(cells, mask))
            append = [values.append for values in target]
            for code, value in zip(of_group, kept):  # noqa: B905 - a third faster, and equally long
                append[code](value)
