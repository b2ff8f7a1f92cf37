"""Whose tokens are whose: the usage of traces, by the model that was called.

A trace whose spans name one model gives its roll-up to it. Of a trace with several, each gets what its own spans
report, a span below one that reports already left out; so nothing counts twice, however frameworks put sums on
parents. A trace without a model gives its roll-up to None.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.figures.columns import COST, TOKENS, Column, reported, source_of
from tracestore.figures.tally import Tally
from tracestore.filters import sql
from tracestore.filters.sql import Fragment, build
from tracestore.search import Selection

#: Matching traces up to which their spans are read one by one, rather than all of the index of models.
FEW_TRACES = 20_000

# One step down the index for each model. In a single statement SQLite sorts all traces to group them.
_EACH_MODEL = Fragment("""
    WITH RECURSIVE each (model) AS (
        SELECT (SELECT min(model) FROM spans INDEXED BY spans_model WHERE model IS NOT NULL)
        UNION ALL
        SELECT (SELECT min(s.model) FROM spans AS s INDEXED BY spans_model WHERE s.model > each.model)
        FROM each WHERE each.model IS NOT NULL
    )
    SELECT model FROM each WHERE model IS NOT NULL""")

_OF_MODEL = """
    SELECT json_group_array({}) FROM (
        SELECT DISTINCT trace FROM spans INDEXED BY spans_model WHERE model = ? AND trace BETWEEN ? AND ?
    )"""

_FEW = """
    SELECT model, json_group_array({}) FROM (
        SELECT DISTINCT s.model, s.trace FROM {} CROSS JOIN spans AS s INDEXED BY spans_trace
        ON s.trace = t.id WHERE {} AND s.model IS NOT NULL
    ) GROUP BY model"""

_SPANS = """
    SELECT s.trace, s.span_id, s.parent_id, s.model,
           CASE WHEN instr(s.attributes, ?) > 0 OR instr(s.attributes, ?) > 0 THEN s.attributes END
    FROM json_each(?) AS wanted CROSS JOIN spans AS s INDEXED BY spans_trace ON s.trace = wanted.value"""


def rotated(column: str) -> Fragment:
    """Return a trace's id with its milliseconds last: as keys of a dictionary such numbers don't collide."""
    # All of SQLite's bit operators have the same precedence.
    return Fragment(f"((({column} & 1048575) << 43) | (({column} >> 20) & 8796093022207))")


def time_of(number: int) -> int:
    """Return the milliseconds of a rotated id; those before 1970 are negative."""
    return (number + (1 << 42) & (1 << 43) - 1) - (1 << 42)


def unrotated(number: int) -> int:
    """Return the id that was rotated."""
    return (time_of(number) << 20) + (number >> 43)


def read(
    selection: Selection,
    tally: Tally,
    keys: Sequence[Column],
    needed: Sequence[Column],
    progress: Callable[[int], None],
) -> None:
    """Read the usage of every matching trace into a tally, by its keys, one of which is `s0.model`.

    Args:
        selection: The traces.
        tally: Where to.
        keys: Columns of the groups; that of the model is replaced by whose the tokens are.
        needed: Columns of `traces` with its roll-up.
        progress: Called with the number of traces read.
    """
    place = next(at for at, column in enumerate(keys) if column.sql.text == "s0.model")
    of_trace = [column for at, column in enumerate(keys) if at != place]
    by_model = _by_model(selection)
    wanted = [rotated("t.id"), *(c.sql for c in (*of_trace, *needed))]
    source = source_of(selection, [c.sql for c in (*of_trace, *needed)])
    is_of_all = selection.driver is None and selection.is_indexed and selection.is_of_all_time
    if is_of_all and len(keys) == 1 and all(c.sql.text in _WHOLE_NUMBERS for c in needed):
        lists = sql.comma([build("json_group_array({})", column) for column in wanted])
        texts = selection.rows(build("SELECT {} FROM {}", lists, source))[0]
        if _take_lists(tally, needed, [_decode(text) for text in texts], by_model):
            return
    model_of = {trace: model for model, traces in by_model.items() for trace in traces}
    several = _several(by_model) if len(model_of) < sum(map(len, by_model.values())) else set()
    statement = build("SELECT {} FROM {} WHERE {}", sql.comma(wanted), source, selection.where)
    divided: list[tuple[Any, ...]] = []
    count = 0
    for rows in selection.chunks(statement):
        cells = list(zip(*rows, strict=True))
        if several:
            divided += [row for row in rows if row[0] in several]
            cells = list(zip(*(row for row in rows if row[0] not in several), strict=True))
        if cells:
            model = list(map(model_of.get, cells[0]))
            tally.take(keys, needed, [*cells[1 : place + 1], model, *cells[place + 1 :]])
        count += len(rows)
        progress(count)
    if divided:
        _divide(selection, tally, divided, of_trace, needed, place)


def _take_lists(
    tally: Tally,
    needed: Sequence[Column],
    lists: Sequence[list[Any]],
    by_model: Mapping[str, list[int]],
) -> bool:
    """Add all traces, given as lists of their ids and of each column; False where one of them has several models."""
    ids, *cells = lists
    place_of = dict(zip(ids, range(len(ids)), strict=True))
    groups: list[tuple[str | None, list[int]]] = []
    try:
        for model, traces in by_model.items():
            groups.append((model, list(map(place_of.pop, traces))))
    except KeyError:  # it was taken for another model
        return False
    if place_of:
        groups.append((None, list(place_of.values())))
    for key, places in groups:
        found = [list(map(column.__getitem__, places)) for column in cells]
        tally.extend((key,), len(places), needed, found)
    return True


_decode = msgspec.json.Decoder(list[Any]).decode


def _by_model(selection: Selection) -> dict[str, list[int]]:
    """Return the traces of each model by rotated id."""
    few = not selection.is_of_all_time and not _reaches_far(selection)
    few = few or (selection.driver is not None and selection.driver.measure.rows <= FEW_TRACES)
    if few:
        statement = build(_FEW, rotated("trace"), selection.source, selection.where)
        return {model: _decode(text) for model, text in selection.rows(statement)}
    limits = selection.low, selection.high
    return {
        model: _decode(selection.rows(build(_OF_MODEL, rotated("trace"), model, *limits))[0][0])
        for (model,) in selection.rows(_EACH_MODEL)
    }


def _several(by_model: Mapping[str, Sequence[int]]) -> set[int]:
    """Return the traces that have several models."""
    seen: set[int] = set()
    several: set[int] = set()
    for traces in by_model.values():
        several.update(seen.intersection(traces))
        seen.update(traces)
    return several


def _reaches_far(selection: Selection) -> bool:
    """Return whether there are many traces between the selection's limits."""
    probe = build(
        "SELECT count(*) FROM (SELECT 1 FROM traces WHERE id BETWEEN ? AND ? LIMIT ?)",
        selection.low,
        selection.high,
        FEW_TRACES,
    )
    return bool(selection.rows(probe)[0][0] == FEW_TRACES)


def _divide(
    selection: Selection,
    tally: Tally,
    rows: Sequence[tuple[Any, ...]],
    of_trace: Sequence[Column],
    needed: Sequence[Column],
    place: int,
) -> None:
    """Add the usage of traces with several models, each model's own."""
    keys = {unrotated(row[0]): row for row in rows}
    spans: dict[int, list[tuple[Any, ...]]] = {}
    statement = build(_SPANS, TOKENS, COST, json.dumps(list(keys)))
    for row in selection.rows(statement):
        spans.setdefault(row[0], []).append(row[1:])
    for trace, row in keys.items():
        made = [
            value if column.read is None else column.read(value)
            for column, value in zip(of_trace, row[1:], strict=False)
        ]
        for model, attributes in _reporters(spans.get(trace, ())):
            cells = [[value] for value in (*made[:place], model, *made[place:])]
            tally.take(
                [_KEY] * len(cells), needed, [*cells, *([_own(c, attributes)] for c in needed)]
            )


def _reporters(spans: Sequence[tuple[Any, ...]]) -> list[tuple[str, str]]:
    """Return model and attributes of the spans that name a model and report, but for those below such a one."""
    parents = {span_id: parent for span_id, parent, _, _ in spans}
    reporting = {span_id: (model, text) for span_id, _, model, text in spans if model and text}
    return [
        found for span_id, found in reporting.items() if not _is_below(span_id, parents, reporting)
    ]


def _is_below(span_id: str, parents: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    seen = {span_id}
    above = parents.get(span_id)
    while above is not None and above not in seen:
        if above in others:
            return True
        seen.add(above)
        above = parents.get(above)
    return False


#: A column whose value is made already.
_KEY = Column(Fragment("NULL"))

_ATTRIBUTE_OF = {
    "t.input_tokens": (TOKENS, "input_tokens"),
    "t.output_tokens": (TOKENS, "output_tokens"),
    "t.total_tokens": (TOKENS, "total_tokens"),
    "t.cache_read_tokens": (TOKENS, "cache_read_input_tokens"),
    "t.cache_creation_tokens": (TOKENS, "cache_creation_input_tokens"),
    "t.input_cost": (COST, "input_cost"),
    "t.output_cost": (COST, "output_cost"),
    "t.total_cost": (COST, "total_cost"),
}


#: Those of them that are INTEGER: JSON holds them exactly.
_WHOLE_NUMBERS = frozenset(name for name, (kind, _) in _ATTRIBUTE_OF.items() if kind == TOKENS)


def _own(column: Column, attributes: str) -> int | float | None:
    attribute, key = _ATTRIBUTE_OF[column.sql.text]
    return reported(attributes, attribute, key)
