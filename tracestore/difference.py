"""Two traces side by side: spans aligned by their path, and what differs between them.

A span's path is the names from its root down to it; where siblings share a name they are paired in the order
they started, the third with the third. Knows entities and order, not how a difference is drawn (see
display.difference). Invariant: every span of either trace is in exactly one pair, at its place in its tree.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tracestore import display
from tracestore.arguments import checked
from tracestore.entities import Span, Trace

#: What a span records, as far as it is compared.
_COMPARED = ("inputs", "outputs", "attributes")

#: Attributes that are different in every trace, or shown as other columns.
_UNCOMPARED = frozenset(
    {"mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.traceRequestId", "mlflow.chat.tokenUsage"}
    | {"mlflow.spanLogLevel"}  # follows from type and error
    | {"mlflow.llm.cost"}
)

Path = tuple[tuple[str, int], ...]
Kind = Literal["same", "changed", "only a", "only b"]


@dataclass(frozen=True)
class SpanPair:
    """A step of both traces, or of one of them.

    Attributes:
        path: Names from the root down, each with its number among siblings of that name, from 0.
        a: The first trace's span, None where it has none there.
        b: The second trace's.
    """

    path: Path
    a: Span | None
    b: Span | None

    @property
    def depth(self) -> int:
        """Levels below the root."""
        return len(self.path) - 1

    @property
    def name(self) -> str:
        """The name of the step."""
        return self.path[-1][0]

    @property
    def durations_ns(self) -> tuple[int | None, int | None]:
        """How long either took; None for one that is not there, or open."""
        return _duration_ns(self.a), _duration_ns(self.b)

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """How many tokens either used by itself; None where nobody said."""
        return _tokens(self.a), _tokens(self.b)

    @property
    def costs(self) -> tuple[float | None, float | None]:
        """What either cost by itself in US dollars; None where nobody said."""
        return _cost(self.a), _cost(self.b)

    @property
    def changes(self) -> list[str]:
        """What differs: "type", "status", "error", "inputs", "outputs", "attributes"; not times."""
        if self.a is None or self.b is None:
            return []
        first, second = self.a, self.b
        pairs = (
            ("type", first.span_type, second.span_type),
            ("status", first.status.status_code, second.status.status_code),
            ("error", first.status.description, second.status.description),
            *((name, _compared(first, name), _compared(second, name)) for name in _COMPARED),
        )
        return [name for name, left, right in pairs if left != right]

    @property
    def kind(self) -> Kind:
        """Whether the step is in both traces, and the same."""
        if self.b is None:
            return "only a"
        if self.a is None:
            return "only b"
        return "changed" if self.changes else "same"

    def text_difference(self, name: str) -> list[str]:
        """Return the lines of "inputs", "outputs" or "attributes" that differ, marked "- " and "+ "."""
        first, second = (
            _lines(_compared(span, name))[:_MAX_LINES] if span else [] for span in (self.a, self.b)
        )
        return [line for line in difflib.ndiff(first, second) if line[0] in "-+"]


_MAX_LINES = 400  # difflib takes quadratic time
_MAX_CHARACTERS = 400_000


@dataclass(frozen=True)
class TraceDiff:
    """Two traces and their steps in pairs. In a notebook it shows itself side by side.

    Attributes:
        a: The first trace.
        b: The second one.
        pairs: Every span of either, parents before their children.
    """

    a: Trace
    b: Trace
    pairs: list[SpanPair]

    @property
    def is_same(self) -> bool:
        """Whether both took the same steps with the same inputs, outputs and states."""
        return all(pair.kind == "same" for pair in self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON values: totals, then a dictionary for each pair."""
        return {
            "a": _totals(self.a),
            "b": _totals(self.b),
            "is_same": self.is_same,
            "pairs": [_pair_dict(pair) for pair in self.pairs],
        }

    @checked
    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return both traces side by side as HTML without script, and write it to `path` if one is given.

        Raises:
            StoreError: The file can't be written.
        """
        from tracestore import ui  # noqa: PLC0415 - only for who writes a file

        html = display.difference_html(self)
        if path is not None:
            ui.write_page(path, f"<!doctype html>\n<meta charset=utf-8>\n{html}\n")
        return html

    def __str__(self) -> str:
        return display.difference_text(self)

    def __repr__(self) -> str:
        return f"TraceDiff({self.a.trace_id!r}, {self.b.trace_id!r})"

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Show the difference in a notebook."""
        return display.bundle(
            text=lambda: display.difference_text(self),
            html=lambda: display.difference_html(self),
            include=include,
            exclude=exclude,
        )


def diff_traces(a: Trace, b: Trace) -> TraceDiff:
    """Return two traces aligned by the paths of their spans."""
    first, second = dict(_paths(a)), dict(_paths(b))
    order = _merge(list(first), list(second))
    return TraceDiff(a, b, [SpanPair(path, first.get(path), second.get(path)) for path in order])


def _paths(trace: Trace) -> Iterator[tuple[Path, Span]]:
    """Yield each span with its path, in tree order."""
    stem: list[tuple[str, int]] = []
    seen: Counter[Path] = Counter()
    for row in display.tree_rows(trace):
        del stem[row.depth :]
        key = (*stem, (row.span.name, -1))
        stem.append((row.span.name, seen[key]))
        seen[key] += 1
        yield tuple(stem), row.span


def _merge(first: Sequence[Path], second: Sequence[Path]) -> list[Path]:
    """Return the paths of both, each in its own order: what only the second has stands after what it follows."""
    known = set(first)
    after: dict[Path | None, list[Path]] = {}
    last: Path | None = None
    for path in second:
        if path in known:
            last = path
        else:
            after.setdefault(last if last and last[0] == path[0] else None, []).append(path)
    merged: list[Path] = []
    for path in first:
        merged += [path, *after.get(path, ())]
    return _below(merged + after.get(None, []))


def _below(paths: Sequence[Path]) -> list[Path]:
    """Return the paths with each one's children directly below it, else in the order given."""
    children: dict[Path, list[Path]] = {}
    for path in paths:
        children.setdefault(path[:-1], []).append(path)
    ordered: list[Path] = []
    waiting = list(reversed(children.get((), [])))
    while waiting:
        path = waiting.pop()
        ordered.append(path)
        waiting.extend(reversed(children.get(path, [])))
    return ordered


def _compared(span: Span, name: str) -> Any:
    value = getattr(span, name)
    if name != "attributes":
        return value
    return {key: each for key, each in value.items() if key not in _UNCOMPARED}


def _duration_ns(span: Span | None) -> int | None:
    if span is None or span.end_time_ns is None:
        return None
    return span.end_time_ns - span.start_time_ns


def _tokens(span: Span | None) -> int | None:
    usage = None if span is None else span.get_attribute("mlflow.chat.tokenUsage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else None


def _cost(span: Span | None) -> float | None:
    cost = None if span is None else span.llm_cost
    total = cost.get("total_cost") if cost else None
    return total if isinstance(total, (int, float)) else None


def _lines(value: Any) -> list[str]:
    """Return a value as lines; line breaks within its texts part lines too."""
    if value is None:
        return []
    return display.outline(value, _MAX_CHARACTERS, is_folded=False).splitlines()


def _totals(trace: Trace) -> dict[str, Any]:
    info = trace.info
    return {
        "trace_id": info.trace_id,
        "name": info.name,
        "state": str(info.state),
        "duration_ms": info.execution_duration,
        "spans": len(trace.data.spans),
        "total_tokens": (info.token_usage or {}).get("total_tokens"),
        "total_cost": (info.cost or {}).get("total_cost"),
    }


def _pair_dict(pair: SpanPair) -> dict[str, Any]:
    sides = {"a": pair.a, "b": pair.b}
    return {
        "path": [name for name, _ in pair.path],
        "kind": pair.kind,
        "changes": {name: pair.text_difference(name) for name in pair.changes if name in _COMPARED}
        | {name: True for name in pair.changes if name not in _COMPARED},
        **{
            side: None
            if span is None
            else {
                "span_id": span.span_id,
                "status": str(span.status.status_code),
                "duration_ns": _duration_ns(span),
                "total_tokens": _tokens(span),
                "total_cost": _cost(span),
            }
            for side, span in sides.items()
        },
    }
