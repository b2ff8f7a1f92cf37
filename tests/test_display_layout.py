"""Rows of spans: every span once, parents first, everything on the time axis, whatever was recorded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.browser_traces import exception_event, span, trace
from tracestore.display.failures import cause_row, failure_of
from tracestore.display.layout import MAX_BRANCH_LEVELS, Axis, time_axis, tree_rows
from tracestore.entities import Span, Trace

_IDS = st.sampled_from("abcdefgh")
_TIMES = st.integers(-50, 50)


@st.composite
def _any_trace(draw: st.DrawFn) -> Trace:
    """Draw spans whose ids repeat and whose parents miss, loop or end before they start."""
    count = draw(st.integers(0, 14))
    spans = [
        span(
            f"span {i}",
            draw(_IDS),
            draw(st.none() | _IDS | st.just("missing")),
            "CHAIN",
            (draw(_TIMES), draw(st.none() | _TIMES)),
        )
        for i in range(count)
    ]
    return trace(*spans)


@given(_any_trace())
def test_every_span_has_one_row(recorded: Trace) -> None:
    names = [row.span.name for row in tree_rows(recorded)]

    assert sorted(names) == sorted(each.name for each in recorded.data.spans)


@given(_any_trace())
def test_rows_form_a_tree(recorded: Trace) -> None:
    """A row is at most one level below the row before it, and below a span that is its parent."""
    path: list[Span] = []
    for row in tree_rows(recorded):
        assert row.depth <= len(path)
        del path[row.depth :]
        if row.depth:
            assert row.span.parent_id == path[-1].span_id
        path.append(row.span)


@given(_any_trace())
def test_bars_stay_on_the_axis(recorded: Trace) -> None:
    for row in tree_rows(recorded):
        assert 0 <= row.offset <= 1
        assert 0 <= row.fraction <= 1 - row.offset + 1e-9


@given(_any_trace())
def test_siblings_are_in_order_of_start(recorded: Trace) -> None:
    last_start: dict[int, int] = {}
    for row in tree_rows(recorded):
        last_start = {depth: start for depth, start in last_start.items() if depth <= row.depth}
        assert row.span.start_time_ns >= last_start.get(row.depth, row.span.start_time_ns)
        last_start[row.depth] = row.span.start_time_ns


def test_branches_draw_the_tree() -> None:
    recorded = trace(
        span("root", "r"),
        span("first", "f", "r", at_ms=(1, 2)),
        span("inner", "i", "f", at_ms=(1, 2)),
        span("last", "l", "r", at_ms=(3, 4)),
    )

    assert [row.branch for row in tree_rows(recorded)] == ["", "├─ ", "│  └─ ", "└─ "]


def test_ring_of_parents_opens_at_its_first_span() -> None:
    recorded = trace(
        span("late", "a", "b", at_ms=(5, 6)),
        span("early", "b", "a", at_ms=(1, 9)),
        span("self", "c", "c", at_ms=(7, 8)),
    )

    rows = [(row.span.name, row.depth) for row in tree_rows(recorded)]
    assert rows == [("early", 0), ("late", 1), ("self", 0)]


def test_missing_parent_is_marked() -> None:
    rows = tree_rows(trace(span("root", "r"), span("lost", "l", "gone")))

    assert [row.is_orphan for row in rows] == [False, True]


def test_branch_of_a_deep_span_is_short() -> None:
    deep = trace(*(span("s", f"{i}", f"{i - 1}" if i else None) for i in range(20_000)))

    rows = tree_rows(deep)

    assert rows[-1].depth == 19_999
    assert max(len(row.branch) for row in rows) <= 3 * (MAX_BRANCH_LEVELS + 1)
    assert rows[-1].branch.startswith("⋯")


def test_open_span_reaches_to_the_end_of_what_is_known() -> None:
    recorded = trace(span("root", "r", at_ms=(0, None)), span("done", "d", "r", at_ms=(10, 40)))

    root = tree_rows(recorded)[0]

    assert root.is_open
    assert (root.offset, root.fraction) == (0, 1)
    assert time_axis(recorded).length_ns == 40_000_000


def test_event_of_an_open_span_lengthens_the_axis() -> None:
    event = {"name": "chunk", "time_unix_nano": span("", "").start_time_ns + 90_000_000}

    assert time_axis(trace(span("a", "a", at_ms=(0, None), events=[event]))).length_ns == 90_000_000


def test_trace_without_spans_has_an_empty_axis() -> None:
    assert tree_rows(trace()) == []
    assert time_axis(trace()).length_ns == 0


@given(st.integers(0, 10**20))
def test_ticks_are_few_round_and_on_the_axis(length_ns: int) -> None:
    ticks = Axis(0, length_ns).ticks_ns()

    assert ticks[0] == 0
    assert ticks[-1] <= length_ns
    assert len(ticks) <= 6


def test_cause_is_the_last_try_of_the_deepest_failure() -> None:
    recorded = trace(
        span("root", "r", status="ERROR"),
        span("first try", "a", "r", at_ms=(1, 2), status="ERROR"),
        span("second try", "b", "r", at_ms=(3, 4), status="ERROR"),
        span("inside", "c", "b", at_ms=(3, 4), status="ERROR", message="out of memory"),
        span("passed", "d", "r", at_ms=(5, 6)),
        span("later, on its own", "e", at_ms=(7, 8), status="ERROR"),
        span("under what passed", "f", "d", at_ms=(5, 6), status="ERROR"),
    )

    cause = cause_row(tree_rows(recorded))

    assert cause is not None
    assert cause.span.name == "inside"
    assert failure_of(cause.span) == ("", "out of memory")


def test_nothing_failed_has_no_cause() -> None:
    assert cause_row(tree_rows(trace(span("root", "r")))) is None


def test_failure_is_the_last_exception() -> None:
    events = [
        exception_event(1, "TimeoutError", "first try", ""),
        exception_event(2, "KeyError", "second try", ""),
        {"name": "gave up", "time_unix_nano": 3},
    ]
    failed = span("s", "a", status="ERROR", message="status", events=events)

    assert failure_of(failed) == ("KeyError", "second try")
