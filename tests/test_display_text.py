"""Traces in a terminal: in the width asked for, without anything that a terminal would obey."""

from __future__ import annotations

from datetime import timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.browser_traces import ATTACKS, hostile_trace, real_trace, span, trace
from tracestore.display.layout import tree_rows
from tracestore.display.text import bar_text, fit, pad, trace_text, traces_text


def test_tree_shows_names_types_durations_and_bars() -> None:
    lines = trace_text(real_trace(), 80, zone=timezone.utc).splitlines()

    assert "✗ error · answer_customer · 2.91 s · 11 spans · 3,077 tokens" in lines[1]
    assert lines[2].startswith("✗ delivery_date: HTTPStatusError: Server error '503")
    assert lines[3].startswith("answer_customer · AGENT ")
    assert "├─ ✗ delivery_date · TOOL " in "\n".join(lines)
    assert " 323 ms " in next(line for line in lines if "search_handbook" in line)
    assert " open " in next(line for line in lines if "write_audit_log" in line)


@pytest.mark.parametrize("ascii_only", [False, True])
@given(width=st.integers(0, 200), attack=st.sampled_from(ATTACKS))
def test_no_line_is_wider_than_asked(width: int, attack: str, *, ascii_only: bool) -> None:
    hostile = hostile_trace(attack + "一二三" * 40)
    texts = (
        trace_text(hostile, width, ascii_only=ascii_only),
        traces_text([hostile, real_trace()], width, ascii_only=ascii_only),
    )

    for line in "\n".join(texts).split("\n"):
        assert fit(line, max(width, 40)) == line
        assert line.isprintable()
        assert line.isascii() or not ascii_only


def test_ascii_tree_keeps_its_shape() -> None:
    text = trace_text(real_trace(), 80, ascii_only=True)

    assert "|- find_documents - CHAIN" in text
    assert "|  `- search_handbook - RETRIEVER" in text
    assert "###" in text


def test_text_that_is_not_ascii_is_escaped_for_ascii_terminals() -> None:
    assert "caf\\xe9" in trace_text(trace(span("café", "a")), ascii_only=True)


def test_table_keeps_trace_ids_whole() -> None:
    lines = traces_text([real_trace()], 60, zone=timezone.utc).splitlines()

    assert lines[0].split() == ["trace", "name"]
    assert real_trace().info.trace_id in lines[1]


def test_wide_table_shows_start_and_request() -> None:
    table = traces_text([real_trace()], 160, zone=timezone.utc)

    assert "2026-11-20 18:32:08+00:00" in table
    assert "My parcel 4711" in table


def test_long_trace_says_how_many_spans_are_left_out() -> None:
    long = trace(*(span("s", f"{i}") for i in range(1_234)))

    assert trace_text(long).endswith("… 234 more spans")


def test_many_traces_say_how_many_are_left_out() -> None:
    assert traces_text([trace(span("s", "a"))] * 1_001).endswith("… 1 more trace")


def test_nothing_to_show_is_said() -> None:
    assert traces_text([]) == "no traces"
    assert "unnamed trace" in trace_text(trace())


def test_wide_characters_take_two_columns() -> None:
    assert fit("一二三", 5) == "一二…"
    assert fit("一二三", 4) == "一…"
    assert fit("一", 0) == ""
    assert pad("一", 4) == "一  "
    assert pad("e\u0301", 3) == "e\u0301  "


def test_bars_have_their_length_and_never_vanish() -> None:
    whole, half, none = tree_rows(
        trace(
            span("a", "a", None, "CHAIN", (0, 100)),
            span("b", "b", "a", "CHAIN", (0, 50)),
            span("c", "c", "a", "CHAIN", (100, 100)),
        )
    )

    assert bar_text(whole, 10) == "█" * 10
    assert bar_text(half, 9) == "████▌"
    assert bar_text(none, 10) == " " * 9 + "▏"
