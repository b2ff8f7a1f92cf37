"""Which ranges of which index hold every trace that meets one test of one field.

Invariant: the scans of a leaf together miss no trace that meets it; `is_exact` says that they hold no other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tracestore.encoding import bindable
from tracestore.filters import ast, fields, patterns, values
from tracestore.filters.fields import Source
from tracestore.filters.indexes import (
    COLUMN_INDEXES,
    INDEXES,
    KEYED_INDEXES,
    MAX_LEGS,
    NOTHING,
    Bound,
    Probe,
    Scan,
)
from tracestore.storage.indexer import question
from tracestore.storage.schema import SCALAR_LENGTH, UNINDEXED_ATTRIBUTES

#: What JSON begins with that is no string: numbers, NaN, Infinity, true, false, null, lists and objects.
_BEGINS_JSON = frozenset("-0123456789NItfn[{") | {""}

#: Columns of spans whose keys and texts are in the text index.
_INDEXED_JSON = frozenset({"inputs", "outputs", "attributes"})


def scans_of(leaf: ast.Leaf, probe: Probe) -> tuple[Scan, ...]:
    """Return the index ranges that together hold every trace that meets `leaf`; none where no index helps."""
    found = fields.find(leaf.field)
    source, column, key = found.field.source, found.column, found.key
    if source is Source.RESOURCE:
        found_ids = probe.resources(leaf)
        some = (Scan("traces_resource", (resource,), is_exact=True) for resource in found_ids)
        return tuple(some) or (NOTHING,)
    if isinstance(leaf, ast.NullTest) and not leaf.negated:
        return _absence_scans(source, column)
    if source is Source.TRACE and column in _TRACE_SCANS:
        return _TRACE_SCANS[column](leaf, probe)
    if (source, column) in COLUMN_INDEXES:
        return _text_scans(COLUMN_INDEXES[source, column], (), leaf)
    if source in KEYED_INDEXES and key is not None:
        return _text_scans(KEYED_INDEXES[source], (key,), leaf)
    if source is Source.ASSESSMENT and key is not None:
        return _assessment_scans(leaf, key)
    if source is Source.PROMPT and key is not None:
        return tuple(Scan(index, (key,)) for index in KEYED_INDEXES.values())
    if source is Source.SPAN:
        return _span_scans(leaf, column, key) or _content_scans(leaf, column, probe)
    return ()


def is_of_whole_text(leaf: ast.Leaf) -> bool:
    """Return whether the index of the leaf's field has its texts whole, so that they can be tested there."""
    found = fields.find(leaf.field)
    source = found.field.source
    return (source, found.column) in COLUMN_INDEXES or source in KEYED_INDEXES


def scan_of_all(leaf: ast.Leaf) -> Scan | None:
    """Return the whole of the index that every trace, or every span, has the leaf's field in; None if none has."""
    found = fields.find(leaf.field)
    index = COLUMN_INDEXES.get((found.field.source, found.column))
    return None if index is None or INDEXES[index].where else Scan(index)


def joint_scans(nodes: Iterable[ast.Node], probe: Probe) -> list[tuple[Scan, tuple[ast.Node, ...]]]:
    """Return the ranges that several of the conditions, which limit the same value, mean together, with those."""
    ranges: dict[tuple[str, tuple[object, ...]], list[tuple[Scan, ast.Node]]] = {}
    for node in nodes:
        if not isinstance(node, (ast.Comparison, ast.Between, ast.Match)):
            continue
        scans = scans_of(node, probe)
        if len(scans) == 1 and _can_join(scans[0]):
            ranges.setdefault((scans[0].index, scans[0].equal), []).append((scans[0], node))
    return [
        (_joint([scan for scan, _ in found]), tuple(node for _, node in found))
        for found in ranges.values()
        if len(found) > 1
    ]


def _can_join(scan: Scan) -> bool:
    """Return whether it is a range of an index that has one value of a trace, and no list of values."""
    is_range = bool(scan.bounds) and scan.has_values
    return is_range and INDEXES[scan.index].is_unique


def _joint(scans: Sequence[Scan]) -> Scan:
    """Return the range that is within all of these ranges of one index."""
    bounds = [bound for scan in scans for bound in scan.bounds]
    low = max((b for b in bounds if b[0][0] == ">"), key=_strictness, default=None)
    high = min((b for b in bounds if b[0][0] == "<"), key=_strictness, default=None)
    limits = tuple(bound for bound in (low, high) if bound is not None)
    is_exact = all(scan.is_exact for scan in scans)
    return Scan(scans[0].index, scans[0].equal, limits, is_exact=is_exact)


def _strictness(bound: Bound) -> tuple[Any, bool]:
    comparator, value = bound
    return value, comparator in {">", "<="}


def is_experiment_id(text: str) -> bool:
    """Return whether an experiment can have this id: a number as SQLite writes it."""
    return text.isascii() and text.isdigit() and len(text) <= 18 and str(int(text)) == text


def assessment_names(key: str) -> tuple[tuple[str, str | None], ...]:
    """Return what `feedback.<key>` may mean: each name, and the path into its value (None: the value itself)."""
    dots = [position for position, character in enumerate(key) if character == "."]
    return ((key, None), *((key[:dot], key[dot + 1 :]) for dot in dots))


def _text_scans(index: str, equal: tuple[object, ...], leaf: ast.Leaf) -> tuple[Scan, ...]:
    """Return ranges of an index on text, the whole of it for what is no range."""
    bounds = _text_bounds(leaf)
    if bounds is not None:
        return tuple(_scan_of_bound(index, equal, bound) for bound in bounds)
    if isinstance(leaf, ast.Match) and leaf.operator == "LIKE" and not leaf.negated:
        prefix = patterns.prefix_of(leaf.pattern.value)
        if prefix and "\0" not in prefix:
            return (Scan(index, equal, _prefix_bounds(prefix)),)
    is_present = isinstance(leaf, ast.NullTest) and bool(equal)
    return (Scan(index, equal, is_exact=is_present),)


def _scan_of_bound(index: str, equal: tuple[object, ...], bound: Bound) -> Scan:
    comparator, value = bound
    if comparator == "=":
        return Scan(index, (*equal, value), is_exact=True)
    return Scan(index, equal, (bound,), is_exact=True)


def _text_bounds(leaf: ast.Leaf) -> tuple[Bound, ...] | None:
    """Return the bounds, one range for each, of a comparison with texts; None if it is none."""
    if isinstance(leaf, ast.Comparison) and isinstance(leaf.value, ast.Text):
        if leaf.operator == "!=":
            return (("<", leaf.value.value), (">", leaf.value.value))
        return ((leaf.operator, leaf.value.value),)
    if isinstance(leaf, ast.Membership) and not leaf.negated:
        texts = tuple(value.value for value in leaf.values if isinstance(value, ast.Text))
        if len(texts) == len(leaf.values):
            return (
                tuple(("=", text) for text in texts) if len(texts) <= MAX_LEGS else (("IN", texts),)
            )
    return None


def _prefix_bounds(prefix: str) -> tuple[Bound, ...]:
    """Return the range of texts that begin with `prefix`, or a little more."""
    last = ord(prefix[-1])
    if last + 1 > sys.maxunicode or 0xD7FF <= last <= 0xDFFF:
        return ((">=", prefix),)
    return ((">=", prefix), ("<", prefix[:-1] + chr(last + 1)))


def _absence_scans(source: Source, column: str) -> tuple[Scan, ...]:
    """Return the NULLs of an index that has them."""
    index = COLUMN_INDEXES.get((source, column))
    if (source, column) == (Source.TRACE, "duration_ms"):
        index = "traces_duration"
    if index is None or INDEXES[index].where:
        return ()
    return (Scan(index, (None,), is_exact=True) if INDEXES[index].has_nulls else NOTHING,)


def _time_scans(leaf: ast.Leaf, probe: Probe) -> tuple[Scan, ...]:
    ids = probe.ids(leaf)
    if ids is None:
        return ()
    return (Scan("traces_time", (), ((">=", ids[0]), ("<=", ids[1])), is_exact=True),)


def _experiment_scans(leaf: ast.Leaf, _probe: Probe) -> tuple[Scan, ...]:
    """Return ranges of `traces_experiment`, whose ids are numbers though the field is a text."""
    scans = []
    for comparator, value in _text_bounds(leaf) or (("", ""),):
        if comparator != "=" or not isinstance(value, str) or not is_experiment_id(value):
            return ()
        scans.append(Scan("traces_experiment", (int(value),), is_exact=True))
    return tuple(scans)


def _duration_scans(leaf: ast.Leaf, _probe: Probe) -> tuple[Scan, ...]:
    if not isinstance(leaf, ast.Comparison):
        parts = _between_parts(leaf)
        if len(parts) != 2:
            return ()
    else:
        parts = (leaf,)
    low, high = values.MIN_INTEGER, values.MAX_INTEGER
    field = fields.find(leaf.field).field
    for part in parts:
        intervals = values.intervals(field, part.operator, part.value, 0)
        if len(intervals) != 1:
            return ()
        clamped = values.clamp(intervals[0], low, high)
        if clamped is None:
            return (NOTHING,)
        low, high = clamped
    if low == high:
        return (Scan("traces_duration", (low,), is_exact=True),)
    return (Scan("traces_duration", (), ((">=", low), ("<=", high)), is_exact=True),)


def _between_parts(leaf: ast.Leaf) -> tuple[ast.Comparison, ...]:
    if not isinstance(leaf, ast.Between) or leaf.negated:
        return ()
    return (ast.Comparison(leaf.field, ">=", leaf.low), ast.Comparison(leaf.field, "<=", leaf.high))


def _span_scans(leaf: ast.Leaf, column: str, key: str | None) -> tuple[Scan, ...]:
    if column == "error":
        return (Scan("spans_error", is_exact=isinstance(leaf, ast.NullTest)),)
    if column != "attributes" or key is None or key.startswith(UNINDEXED_ATTRIBUTES):
        return ()
    return _scalar_scans("span_attributes", key, leaf, _attribute_scalars)


def _content_scans(leaf: ast.Leaf, column: str, probe: Probe) -> tuple[Scan, ...]:
    """Return the text index for what three characters in a row are known of, and all that is newer than it."""
    trigrams = _trigrams(leaf, column)
    indexed_to = probe.indexed_to() if trigrams else 0
    if not indexed_to:
        return ()
    return Scan("span_text", (question(trigrams),)), Scan(
        "spans_written", (), ((">=", indexed_to),)
    )


def _trigrams(leaf: ast.Leaf, column: str) -> tuple[str, ...]:
    """Return runs of three characters that the text index has of every span that meets a condition on a column."""
    if isinstance(leaf, ast.Match) and not leaf.negated and leaf.operator != "RLIKE":
        literals = patterns.literals_of(leaf.pattern.value)
    elif (
        isinstance(leaf, ast.Comparison)
        and leaf.operator == "="
        and isinstance(leaf.value, ast.Text)
    ):
        literals = (leaf.value.value.casefold(),)
    else:
        return ()
    if column == "content":
        return patterns.trigrams_of(literals)
    return patterns.json_trigrams_of(literals) if column in _INDEXED_JSON else ()


def _assessment_scans(leaf: ast.Leaf, name: str) -> tuple[Scan, ...]:
    if (
        "." in name
    ):  # the beginning may be the name of an object; scalars within it are not in the index
        return tuple(Scan("assessments_scalar", (part,)) for part, _ in assessment_names(name))
    any_value = (Scan("assessments_scalar", (name,)),)
    if _may_equal_json(leaf):  # lists and objects are no scalars, and not in the index
        return any_value
    return _scalar_scans("assessments_scalar", name, leaf, _assessment_scalars) or any_value


def _may_equal_json(leaf: ast.Leaf) -> bool:
    """Return whether a text that the field is compared with may be the JSON of a list or an object."""
    wanted = leaf.values if isinstance(leaf, ast.Membership) else ()
    wanted = (leaf.value,) if isinstance(leaf, ast.Comparison) else wanted
    return any(isinstance(value, ast.Text) and value.value[:1] in {"[", "{"} for value in wanted)


def _scalar_scans(
    index: str, key: str, leaf: ast.Leaf, scalars: Callable[[ast.Value], tuple[object, ...]]
) -> tuple[Scan, ...]:
    """Return ranges of an index of (key, scalar)."""
    if isinstance(leaf, ast.Membership) and not leaf.negated:
        wanted = {scalar for value in leaf.values for scalar in scalars(value)}
        if len(wanted) > MAX_LEGS:
            return (Scan(index, (key,), (("IN", tuple(wanted)),)),)
        return tuple(Scan(index, (key, scalar)) for scalar in wanted)
    if isinstance(leaf, ast.Comparison) and leaf.operator == "=":
        return tuple(Scan(index, (key, scalar)) for scalar in scalars(leaf.value))
    if isinstance(leaf, ast.Match):
        prefix = _string_prefix(leaf)
        return (Scan(index, (key,), _prefix_bounds(prefix)),) if prefix else ()
    parts = (leaf,) if isinstance(leaf, ast.Comparison) else _between_parts(leaf)
    if not parts or any(part.operator == "!=" for part in parts):
        return ()
    bounds = tuple(bound for part in parts for bound in _number_bounds(part))
    if bounds and not any(comparator[0] == "<" for comparator, _ in bounds):
        bounds = (*bounds, ("<", ""))  # texts come after numbers
    return (Scan(index, (key,), bounds),)


def _string_prefix(leaf: ast.Match) -> str:
    """Return the beginning that only strings have among what the pattern matches, as far as an index has it."""
    if leaf.operator != "LIKE" or leaf.negated:
        return ""
    prefix = patterns.prefix_of(leaf.pattern.value)
    # Not what a number, a flag, a list or an object begins with, as JSON.
    return "" if prefix[:1] in _BEGINS_JSON or "\0" in prefix else prefix[:SCALAR_LENGTH]


def _number_bounds(part: ast.Comparison) -> tuple[Bound, ...]:
    """Return bounds among the numbers of an index; none for other values."""
    if not isinstance(part.value, ast.Number):
        return ()
    return ((part.operator, bindable(part.value.value)),)


def _attribute_scalars(value: ast.Value) -> tuple[object, ...]:
    if isinstance(value, ast.Text):
        return (value.value[:SCALAR_LENGTH],)
    if isinstance(value, ast.Truth):
        return (int(value.value),)
    return (bindable(value.value),) if isinstance(value, ast.Number) else ()


def _assessment_scalars(value: ast.Value) -> tuple[object, ...]:
    if isinstance(value, ast.Truth):
        return (str(value),)
    if not isinstance(value, ast.Text):
        return _attribute_scalars(value)
    spelled = values.read_number(value.value)
    text = value.value[:SCALAR_LENGTH]
    return (text,) if spelled is None else (text, spelled)


#: Columns of traces that hold no text.
_TRACE_SCANS = {
    "start": _time_scans,
    "experiment": _experiment_scans,
    "duration_ms": _duration_scans,
}
