"""Whose tokens are whose: the usage of traces, by the model that was called.

A trace whose spans name one model gives its roll-up to it. Of a trace with several, each gets what its own spans
report, a span below one that reports already left out; so nothing counts twice, however frameworks put sums on
parents. A trace without a model gives its roll-up to None.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec

from tracestore.figures.columns import COST, TOKENS, Column, reported
from tracestore.figures.tally import Tally
from tracestore.filters import sql
from tracestore.filters.sql import Fragment, build
from tracestore.search import Selection

#: Matching traces up to which their spans are read one by one, rather than all of the index of models.
FEW_TRACES = 20_000

_ALL = """
    SELECT model, json_group_array({}) FROM (
        SELECT DISTINCT model, trace FROM spans INDEXED BY spans_model
        WHERE model IS NOT NULL AND trace BETWEEN ? AND ?
    ) GROUP BY model"""

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
    model_of, several = _models(selection)
    wanted = [rotated("t.id"), *(c.sql for c in (*of_trace, *needed))]
    if len(keys) == 1 and not several and all(c.sql.text in _WHOLE_NUMBERS for c in needed):
        _read_whole_numbers(selection, tally, keys, needed, wanted, model_of)
        return
    statement = build(
        "SELECT {} FROM {} WHERE {}", sql.comma(wanted), selection.source, selection.where
    )
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


def _read_whole_numbers(
    selection: Selection,
    tally: Tally,
    keys: Sequence[Column],
    needed: Sequence[Column],
    wanted: Sequence[Fragment],
    model_of: Mapping[int, str],
) -> None:
    """Do the same where all that is read are whole numbers: as JSON lists, in two thirds of the time of rows."""
    lists = [build("json_group_array({})", column) for column in wanted]
    statement = build(
        "SELECT {} FROM {} WHERE {}", sql.comma(lists), selection.source, selection.where
    )
    listed, *texts = selection.rows(statement)[0]
    ids = msgspec.json.decode(listed, type=list[int])
    cells = [msgspec.json.decode(text, type=list[int | None]) for text in texts]
    tally.take(keys, needed, [list(map(model_of.get, ids)), *cells])


def _models(selection: Selection) -> tuple[dict[int, str], set[int]]:
    """Return the model of each trace, and the traces that have several, by rotated id."""
    few = not selection.is_of_all_time and not _reaches_far(selection)
    few = few or (selection.driver is not None and selection.driver.measure.rows <= FEW_TRACES)
    if few:
        statement = build(_FEW, rotated("trace"), selection.source, selection.where)
    else:
        statement = build(_ALL, rotated("trace"), selection.low, selection.high)
    model_of: dict[int, str] = {}
    expected = 0
    decode = msgspec.json.Decoder(list[int]).decode
    for model, text in selection.rows(statement):
        ids = decode(text)
        expected += len(ids)
        model_of.update(zip(ids, repeat(model)))
    several = _shared(selection, statement) if len(model_of) < expected else set()
    return model_of, several


def _shared(selection: Selection, statement: Fragment) -> set[int]:
    """Return the traces that have several models."""
    seen: set[int] = set()
    several: set[int] = set()
    for _, text in selection.rows(statement):
        found = set(msgspec.json.decode(text, type=list[int]))
        several |= seen & found
        seen |= found
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
