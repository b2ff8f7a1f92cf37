"""The table as an object: rows of plain values, columns with units, and every form it goes out in.

Knows nothing of traces. Invariant: rows are in the order they were given, each as long as there are columns.
"""

from __future__ import annotations

import csv
import datetime as dt
import importlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from tracestore.answers.cells import cell_text
from tracestore.arguments import checked
from tracestore.errors import InvalidArgumentError

#: Rows that printing and drawing show.
MAX_SHOWN_ROWS = 200

_PACKAGES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}


@dataclass(frozen=True)
class Column:
    """A column of an answer.

    Attributes:
        name: Its name, unique in the answer.
        unit: "ms", "share", "usd", "points", "time", "per_min" or "", see `cells`.
        is_key: Whether it says what the row is about, such as a group; the others are figures.
    """

    name: str
    unit: str = ""
    is_key: bool = False


class Answer(Sequence[dict[str, Any]]):
    """A small table: a sequence of rows, each a dictionary by column.

    `answer["p95"]` is a column as a list, `answer[0]` a row, `str(answer)` a text table; in a notebook it draws
    itself. `pandas.DataFrame(answer)` and `answer.frame()` make data frames.

    Args:
        columns: The columns, keys first.
        rows: A tuple of values for each row.
        title: What was asked.
        notes: Sentences that belong to it, shown below the table.

    Example:
        >>> answer = Answer([Column("model", is_key=True), Column("p95", "ms")], [("small", 1250)])
        >>> answer[0]
        {'model': 'small', 'p95': 1250}
        >>> print(answer)
        model  p95
        -----  ------
        small  1.25 s
    """

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Sequence[tuple[Any, ...]],
        title: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self.columns = tuple(columns)
        self.names = [column.name for column in self.columns]
        self.title = title
        self.notes = tuple(notes)
        self._rows = list(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> list[dict[str, Any]]: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    @checked
    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, slice):
            return [dict(zip(self.names, row, strict=True)) for row in self._rows[key]]
        return dict(zip(self.names, self._rows[key], strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.names, row, strict=True)) for row in self._rows)

    def _column(self, name: str) -> list[Any]:
        place = self._place(name)
        return [row[place] for row in self._rows]

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise InvalidArgumentError(
                f"the answer has no column {name!r}; it has {', '.join(self.names)}"
            )
        return self.names.index(name)

    def tuples(self) -> list[tuple[Any, ...]]:
        """Return the rows as tuples, in the order of `columns`."""
        return list(self._rows)

    def shown(self, row: tuple[Any, ...]) -> list[str]:
        """Return a row's values as texts, each in the unit of its column."""
        return [cell_text(value, c.unit) for value, c in zip(row, self.columns, strict=True)]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Return a text table: figures to the right, at most 200 rows, notes below."""
        cells = [self.shown(row) for row in self._rows[:MAX_SHOWN_ROWS]]
        widths = [max(map(len, column)) for column in zip(self.names, *cells, strict=True)]
        lines = [self._line(row, widths) for row in (self.names, ["-" * w for w in widths], *cells)]
        if len(self) > MAX_SHOWN_ROWS:
            lines.append(f"… and {len(self) - MAX_SHOWN_ROWS:,} more rows")
        return "\n".join([*lines, *(["", *self.notes] if self.notes else [])])

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            text.ljust(width) if column.is_key or len(self) < 2 else text.rjust(width)
            for text, width, column in zip(row, widths, self.columns, strict=True)
        )
        return "  ".join(cells).rstrip()

    def to_csv(self) -> str:
        """Return CSV with a line of names: moments as ISO 8601, absent values empty, objects as JSON.

        Text that a spreadsheet would take for a formula gets an apostrophe before it.
        """
        target = io.StringIO()
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow([_csv_text(name) for name in self.names])
        writer.writerows([[_csv_value(value) for value in row] for row in self._rows])
        return target.getvalue()

    def to_json(self) -> str:
        """Return a JSON list of objects by column; moments as ISO 8601, absent values null."""
        return json.dumps(self.to_dicts(), ensure_ascii=False, allow_nan=False)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries of JSON values."""
        return [{name: _plain(value) for name, value in row.items()} for row in self]

    @checked
    def frame(self, return_type: str = "pandas") -> Any:
        """Return a data frame.

        Args:
            return_type: "pandas", "polars" or "arrow".

        Raises:
            InvalidArgumentError: The package is not installed, or there is no such return type.
        """
        if return_type not in _PACKAGES:
            raise InvalidArgumentError(
                f"return_type is {return_type!r}; it must be one of {', '.join(_PACKAGES)}"
            )
        try:
            package = importlib.import_module(_PACKAGES[return_type])
        except ImportError:
            raise InvalidArgumentError(
                f'{return_type} is not installed: pip install "tracestore[{return_type}]"'
            ) from None
        columns = {name: self[name] for name in self.names}
        if return_type == "pandas":
            return package.DataFrame(columns)
        flat = {
            name: [json.dumps(v) if isinstance(v, dict) else v for v in values]
            for name, values in columns.items()
        }
        return package.table(flat) if return_type == "arrow" else package.DataFrame(flat)

    def to_html(self) -> str:
        """Return the table, with a chart of each figure where there is time, as HTML without script."""
        from tracestore.answers import page  # noqa: PLC0415 - where there is a notebook only

        return page.answer_html(self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.to_html()}

    def plot(self, ax: Any = None) -> Any:
        """Draw the first figure with matplotlib and return its axes: lines over time, else bars.

        Args:
            ax: Axes to draw on; None makes new ones.

        Raises:
            InvalidArgumentError: matplotlib is not installed.
        """
        try:
            pyplot = importlib.import_module("matplotlib.pyplot")
        except ImportError:
            raise InvalidArgumentError(
                "plot needs matplotlib, which is not installed: pip install matplotlib"
            ) from None
        axes = ax or pyplot.subplots()[1]
        for label, points in self.series(self.figures()[0].name).items():
            text = _no_formula(label)
            if self.has_time():
                times, values = zip(*points, strict=True)
                # With points, because one between two gaps has no line.
                axes.plot(times, values, marker=".", label=text or None)
            else:
                axes.bar(text, points[0][1] or 0)
        axes.set_ylabel(_no_formula(self.figures()[0].name))
        return axes

    def figures(self) -> list[Column]:
        """Return the columns that are no keys."""
        return [column for column in self.columns if not column.is_key]

    def has_time(self) -> bool:
        """Whether the first column is time."""
        return bool(self.columns) and self.columns[0].unit == "time"

    @checked
    def series(self, name: str) -> dict[str, list[tuple[Any, Any]]]:
        """Return the points of a figure by label: (time, value); without time (None, value)."""
        value_at = self._place(name)
        first = 1 if self.has_time() else 0
        keys = [at for at, column in enumerate(self.columns) if column.is_key and at >= first]
        found: dict[str, list[tuple[Any, Any]]] = {}
        for row in self._rows:
            label = ", ".join(cell_text(row[at]) for at in keys)
            found.setdefault(label, []).append((row[0] if first else None, row[value_at]))
        return found


def _no_formula(text: str) -> str:
    """Return text for matplotlib, to which what stands between two dollar signs is TeX, and an error where it is none."""
    return text.replace("$", r"\$")


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return None if isinstance(value, float) and value - value != 0 else value  # no NaN in JSON


def _csv_value(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    value = _plain(value)
    return _csv_text(value) if isinstance(value, str) else value


def _csv_text(text: str) -> str:
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
