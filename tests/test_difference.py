"""Two traces aligned by the paths of their spans: what is paired, what differs, how it is shown."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracestore
from tests.browser_chromium import open_chromium, open_page
from tests.browser_traces import ATTACKS, hostile_trace, real_trace, span, trace
from tests.cli_program import run, run_json
from tracestore.difference import diff_traces
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError
from tracestore.store import Store


def steps(*names: str) -> Trace:
    """Return a trace of a root and children of these names, one after the other."""
    children = [span(name, f"{i}", "r", at_ms=(i, i + 1)) for i, name in enumerate(names)]
    return trace(span("root", "r", at_ms=(0, 99)), *children)


def kinds(a: Trace, b: Trace) -> list[tuple[str, str]]:
    return [(pair.name, pair.kind) for pair in diff_traces(a, b).pairs]


def test_a_trace_does_not_differ_from_itself() -> None:
    difference = diff_traces(real_trace(), real_trace())

    assert difference.is_same
    assert len(difference.pairs) == 11


def test_what_is_no_trace_is_refused() -> None:
    for wrong in (None, 5, b"tr-1"):
        with pytest.raises(InvalidArgumentError, match="is no trace"):
            tracestore.diff(wrong, "tr-1")  # type: ignore[arg-type]


def test_steps_of_one_trace_only_stand_where_they_happened() -> None:
    assert kinds(steps("plan", "search", "answer"), steps("plan", "fetch", "answer", "check")) == [
        ("root", "same"),
        ("plan", "same"),
        ("fetch", "only b"),
        ("search", "only a"),
        ("answer", "same"),
        ("check", "only b"),
    ]


def test_steps_of_one_name_are_paired_in_their_order() -> None:
    assert kinds(steps("call", "call"), steps("call", "call", "call"))[1:] == [
        ("call", "same"),
        ("call", "same"),
        ("call", "only b"),
    ]


def test_texts_states_types_and_times_differ() -> None:
    a = trace(span("a", "1", at_ms=(0, 10), inputs={"q": "one\ntwo"}, attributes={"k": 1}))
    b = trace(
        span("a", "2", None, "TOOL", (0, 15), inputs={"q": "one\n2"}, status="ERROR", message="no")
    )
    (pair,) = diff_traces(a, b).pairs

    assert pair.changes == ["type", "status", "error", "inputs", "attributes"]
    assert pair.durations_ns == (10_000_000, 15_000_000)
    assert pair.text_difference("inputs") == ['-   two"', '+   2"']


_NAMES = st.lists(st.sampled_from("abc"), max_size=6)


@given(_NAMES, _NAMES)
def test_every_span_is_in_exactly_one_pair(first: list[str], second: list[str]) -> None:
    a, b = steps(*first), steps(*second)
    pairs = diff_traces(a, b).pairs

    assert [pair.a for pair in pairs if pair.a] == a.data.spans
    assert sorted(pair.b.span_id for pair in pairs if pair.b) == sorted(
        each.span_id for each in b.data.spans
    )
    assert len({pair.path for pair in pairs}) == len(pairs)


def test_diff_is_shown_side_by_side(recording: Store) -> None:
    for answer in ("in one file", "in two files"):
        with tracestore.start_span("answer") as root:
            root.set_outputs(answer)
    newest, oldest = recording.search_traces()
    difference = tracestore.diff(oldest.trace_id, newest)

    assert "~ answer (outputs)" in str(difference)
    assert '- "in one file"' in str(difference)
    bundle = difference._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    with open_chromium() as browser, open_page(browser, bundle["text/html"]) as (page, requests):
        page.locator("summary").click()
        removed, added = page.locator(".ts-removed"), page.locator(".ts-added")
        assert (removed.inner_text(), added.inner_text()) == ('"in one file"', '"in two files"')
        left, right = removed.bounding_box(), added.bounding_box()
        assert left is not None
        assert right is not None
        assert left["y"] == right["y"]
        assert requests == []


def test_hostile_text_stays_text_in_a_diff() -> None:
    pages = "".join(
        diff_traces(hostile_trace(attack), real_trace()).to_html() for attack in ATTACKS
    )
    with open_chromium() as browser, open_page(browser, pages) as (page, requests):
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate("() => window.pwned") is None
        assert page.locator("script, img, iframe, svg, form, base").count() == 0
        assert requests == []


def test_width_is_kept_and_no_control_character_gets_out() -> None:
    for attack in ATTACKS:
        text = str(diff_traces(hostile_trace(attack), real_trace()))
        assert all(len(line) <= 100 for line in text.splitlines())
        assert all(each.isprintable() for each in text.replace("\n", ""))


def test_the_command_line_compares(recording: Store, tmp_path: pathlib.Path) -> None:
    for answer in ("yes", "no"):
        with tracestore.start_span("answer") as root:
            root.set_outputs(answer)
    newest, oldest = recording.search_traces()
    arguments = ("diff", oldest.trace_id, "last", "--db", recording.path)

    assert '- "yes"' in run(*arguments).out
    found = run_json(*arguments)
    assert found["pairs"][0]["changes"] == {"outputs": ['- "yes"', '+ "no"']}
    assert found["b"]["trace_id"] == newest.trace_id
    assert list(tmp_path.glob("*.html")) == []
