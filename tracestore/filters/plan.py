"""Which index drives a search: candidates from the conditions, the rarest chosen by probing.

A *stream* hands out the ids of all traces that meet a condition, and maybe some that don't, in the order of
ids, which is the order of time. An index whose leading columns are given as equal is such a stream for free;
a range of an index is one after sorting, so only while it is small. Streams of OR are merged, of an AND one
suffices: the other conditions are checked on each trace it hands out; where that is common too, streams of others
as common are read side by side with it. So the first hundred results cost what the rarest condition costs, and
nothing is trusted to SQLite's guesses, which know no counts.

Knows the indexes of the file but neither SQL nor a connection: who calls `choose` measures.
Invariant: a stream misses no trace that meets its condition.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tracestore.filters import ast, fields, values
from tracestore.filters.ast import negation
from tracestore.filters.fields import Source
from tracestore.filters.indexes import (
    MAX_LEGS,
    NOTHING,
    Measure,
    Meet,
    Merge,
    Probe,
    Scan,
    Stream,
    can_meet,
)
from tracestore.filters.scans import is_of_whole_text, joint_scans, scan_of_all, scans_of

#: A condition is met with the rarest if it has at most so many times its entries: to read one in order takes a
#: tenth of the time of looking one up.
MEET_ROWS = 8


@dataclass(frozen=True)
class Choice:
    """A stream that can drive, and what it costs."""

    stream: Stream
    measure: Measure


@dataclass(frozen=True)
class Considered:
    """A condition, and the stream it could drive with."""

    condition: ast.Node
    choice: Choice | None

    @property
    def leg(self) -> Scan | None:
        """The scan that can meet others: the index has all of it in the order of ids."""
        scan = None if self.choice is None else self.choice.stream
        return scan if isinstance(scan, Scan) and can_meet(scan) else None

    @property
    def looked_up(self) -> Scan | None:
        """The scan that says of any trace whether the condition holds, without a look at its row."""
        return self.leg if self.leg is not None and self.leg.is_exact else None


@dataclass(frozen=True)
class Plan:
    """How a search goes.

    Attributes:
        driver: What hands out the traces to look at; None: all traces, in the order of ids.
        driving: The conditions that it is of; for `explain`.
        checks: What remains to be checked on each.
        low: Lowest id that can match.
        high: Highest id that can match.
        considered: For `explain`.
    """

    driver: Choice | None
    driving: tuple[Considered, ...]
    checks: tuple[Considered, ...]
    low: int
    high: int
    considered: tuple[Considered, ...]


def make(
    terms: tuple[ast.Node, ...], low: int, high: int, probe: Probe, *, in_id_order: bool
) -> Plan:
    """Return the plan for the AND of `terms`.

    Args:
        terms: Normalised conditions.
        low: Lowest id to look at.
        high: Highest id to look at.
        probe: Measures within `low` and `high`.
        in_id_order: Whether the first results by id are wanted, and not all of them.
    """
    considered = tuple(
        Considered(term, choose(term, probe, in_id_order=in_id_order))
        for term in _grouped(terms, probe)
    )
    driving = _driving([item for item in considered if item.choice is not None], probe)
    checks = tuple(item for item in considered if item not in driving.done)
    return Plan(driving.choice, driving.items, checks, low, high, considered)


@dataclass(frozen=True)
class _Driving:
    """What drives, the conditions it is of, and those of them that need no further look."""

    choice: Choice | None
    items: tuple[Considered, ...]
    done: tuple[Considered, ...]


def _driving(items: list[Considered], probe: Probe) -> _Driving:
    """Return the rarest condition, or where it is common what it and others that are not much more so have in common."""
    best = min(items, key=_rows_of, default=None)
    if best is None or best.choice is None:
        return _Driving(None, (), ())
    measure = best.choice.measure
    single = _Driving(best.choice, (best,), (best,) if best.choice.stream.is_exact else ())
    if measure.is_complete:
        return single
    within_spans = _meet_of_spans(best.condition, probe)
    if within_spans is not None:
        return replace(
            single,
            choice=Choice(within_spans, measure),
            done=(best,) if within_spans.is_exact else (),
        )
    most = MEET_ROWS * measure.rows
    legs = {item: scan for item in items if _rows_of(item) <= most and (scan := item.leg)}
    if best not in legs or len(legs) == 1:
        return single
    done = tuple(item for item, leg in legs.items() if leg.is_exact)
    meet = Meet(tuple(legs.values()), is_exact=len(done) == len(legs))
    return _Driving(Choice(meet, measure), tuple(legs), done)


def _meet_of_spans(node: ast.Node, probe: Probe) -> Meet | None:
    """Return what conditions on one span have in common; None where it takes less to look each of the rarest up."""
    if not isinstance(node, ast.SpanTest) or node.quantifier != "any_span":
        return None
    operands = node.condition.operands if isinstance(node.condition, ast.And) else ()
    leaves = [each for each in operands if isinstance(each, (ast.Comparison, ast.NullTest))]
    found = [scans_of(leaf, probe) for leaf in leaves]
    rows = {
        scans[0]: probe.measure(scans[0]).rows
        for scans in found
        if len(scans) == 1 and can_meet(scans[0], of_spans=True)
    }
    most = MEET_ROWS * min(rows.values(), default=0)
    legs = tuple(scan for scan in rows if rows[scan] <= most)
    is_exact = len(legs) == len(operands)
    return Meet(legs, of_spans=True, is_exact=is_exact) if len(legs) > 1 else None


def choose(node: ast.Node, probe: Probe, *, in_id_order: bool) -> Choice | None:
    """Return the cheapest stream of all traces that meet `node`, None where no index helps."""
    if isinstance(node, ast.And):
        return _choose_one(node, probe, in_id_order=in_id_order)
    if isinstance(node, ast.Or):
        return _merge(choose(operand, probe, in_id_order=in_id_order) for operand in node.operands)
    if isinstance(node, ast.SpanTest):
        some = node.quantifier == "any_span"
        return choose(node.condition, probe, in_id_order=in_id_order) if some else None
    if isinstance(node, ast.Related):
        inner = choose(node.condition, probe, in_id_order=in_id_order)
        return inner and _inexact(inner)
    if isinstance(node, ast.Aggregate):
        if node.condition is None or not _needs_span(node):
            return None
        inner = choose(node.condition, probe, in_id_order=in_id_order)
        return inner and _inexact(inner)
    if isinstance(node, ast.Not):
        return _choose_negated(node, probe, in_id_order=in_id_order)
    test = node if is_of_whole_text(node) else None
    return _merge(
        _measured(scan, test, probe, in_id_order=in_id_order) for scan in scans_of(node, probe)
    )


def _choose_one(node: ast.And, probe: Probe, *, in_id_order: bool) -> Choice | None:
    """Return the cheapest stream of one of the operands, or of ranges that several mean together."""
    whole: list[Choice | None] = []
    partial = [choose(each, probe, in_id_order=in_id_order) for each in node.operands]
    for scan, meant in joint_scans(node.operands, probe):
        says_all = len(meant) == len(node.operands)
        (whole if says_all else partial).append(
            _measured(scan, None, probe, in_id_order=in_id_order)
        )
    return _cheapest((*whole, *(choice and _inexact(choice) for choice in partial)))


def _cheapest(choices: Iterable[Choice | None]) -> Choice | None:
    return min((choice for choice in choices if choice is not None), key=_rows, default=None)


def _choose_negated(node: ast.Not, probe: Probe, *, in_id_order: bool) -> Choice | None:
    """Return the cheapest stream of what does not meet a condition: of a column's other values, say."""
    inner = node.operand
    if isinstance(inner, (ast.And, ast.Or)):
        each = tuple(map(negation, inner.operands))
        opposite = ast.Or(each) if isinstance(inner, ast.And) else ast.And(each)
        return choose(opposite, probe, in_id_order=in_id_order)
    if isinstance(inner, ast.SpanTest):
        return choose(_opposite(inner), probe, in_id_order=in_id_order)
    if isinstance(inner, ast.NullTest):
        opposite_test = ast.NullTest(inner.field, not inner.negated)
        return choose(opposite_test, probe, in_id_order=in_id_order)
    scan = None if isinstance(inner, (ast.Not, ast.Related, ast.Aggregate)) else scan_of_all(inner)
    return None if scan is None else _of_values(scan, node, probe)


def in_id_order(made: Plan) -> Plan:
    """Return the plan itself if it hands out traces in the order of ids, else one without its driver."""
    if made.driver is None or all(leg.is_ordered for leg in made.driver.stream.legs):
        return made
    return replace(made, driver=None, checks=made.considered)


def columns_read(node: ast.Node) -> frozenset[str]:
    """Return the columns of the trace's own row that checking `node` reads, besides its id."""
    if isinstance(node, (ast.And, ast.Or)):
        return frozenset[str]().union(*map(columns_read, node.operands))
    if isinstance(node, ast.Not):
        return columns_read(node.operand)
    if isinstance(node, (ast.SpanTest, ast.Related, ast.Aggregate)):
        return frozenset()
    return columns_of(node.field)


def columns_of(reference: ast.Reference) -> frozenset[str]:
    """Return the columns of the trace's own row that a field of traces is made of, besides its id."""
    found = fields.find(reference)
    if found.field.source is Source.RESOURCE:
        return frozenset({"resource"})
    if found.field.source is not Source.TRACE:
        return frozenset()
    return _COLUMNS_OF.get(found.column, frozenset({found.column}))


#: What computed quantities are made of.
_COLUMNS_OF = {
    "start": frozenset[str](),
    "span_count": frozenset[str](),
    "end": frozenset({"duration_ms"}),
}


def _rows(choice: Choice) -> float:
    return choice.measure.rows


def _rows_of(item: Considered) -> float:
    return item.choice.measure.rows if item.choice is not None else sys.float_info.max


def _grouped(terms: tuple[ast.Node, ...], probe: Probe) -> tuple[ast.Node, ...]:
    """Return the terms, those that limit one and the same value from both sides as one."""
    groups = [group for _, group in joint_scans(terms, probe)]
    grouped = [term for group in groups for term in group]
    rest = [term for term in terms if not any(term is other for other in grouped)]
    return (*rest, *map(ast.And, groups))


def _needs_span(node: ast.Aggregate) -> bool:
    """Return whether the aggregate is false for a trace without a span that meets its condition."""
    return node.field is not None or (
        (node.operator == ">" and values.number(node.value) >= 0)
        or (node.operator in {">=", "="} and values.number(node.value) > 0)
    )


def _opposite(test: ast.SpanTest) -> ast.SpanTest:
    """Return what holds where the test does not."""
    if test.quantifier == "all_spans":
        return ast.SpanTest("any_span", negation(test.condition))
    return ast.SpanTest("no_span" if test.quantifier == "any_span" else "any_span", test.condition)


def _of_values(scan: Scan, test: ast.Node | None, probe: Probe) -> Choice | None:
    """Return the union of the values in a range, each in the order of ids; None where there are too many.

    An index that has the values whole is asked which of them meet the test.
    """
    found = probe.values(scan, test)
    if found is None:
        return None
    is_exact = scan.is_exact or test is not None
    legs = [Scan(scan.index, (*scan.equal, value), is_exact=is_exact) for value in found]
    if not legs:
        return Choice(NOTHING, Measure(0, is_complete=True))
    return _merge(Choice(leg, probe.measure(leg, len(legs))) for leg in legs)


def _measured(
    scan: Scan, test: ast.Node | None, probe: Probe, *, in_id_order: bool
) -> Choice | None:
    if scan.has_values and (in_id_order or not scan.is_exact):
        choice = _of_values(scan, test, probe)
        if choice is not None:
            return choice
    if scan.is_whole:
        return None
    measure = probe.measure(scan)
    if scan.is_ordered or measure.is_complete:
        return Choice(replace(scan, found=measure.found), measure)
    # Too many to sort while only the first are wanted; if all are, still better than to look at every trace.
    return None if in_id_order else Choice(scan, Measure(sys.float_info.max, is_complete=False))


def _merge(choices: Iterable[Choice | None]) -> Choice | None:
    """Return the union of all choices; None if one is missing, or if there are none or too many."""
    legs: dict[Scan, None] = {}
    rows = 0.0
    is_complete = True
    for choice in choices:
        if choice is None:
            return None
        legs.update(dict.fromkeys(choice.stream.legs))
        rows += choice.measure.rows
        is_complete = is_complete and choice.measure.is_complete
    if not 0 < len(legs) <= MAX_LEGS:
        return None
    stream: Stream = next(iter(legs)) if len(legs) == 1 else Merge(tuple(legs))
    return Choice(stream, Measure(rows, is_complete))


def _inexact(choice: Choice) -> Choice:
    legs = tuple(replace(leg, is_exact=False) for leg in choice.stream.legs)
    return Choice(legs[0] if len(legs) == 1 else Merge(legs), choice.measure)
