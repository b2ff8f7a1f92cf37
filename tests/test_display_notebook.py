"""What IPython is given: what it asked for, always something, and never a silent failure."""

from __future__ import annotations

import pytest

from tests.browser_traces import real_trace
from tracestore.display import bundle
from tracestore.entities import PagedList, Trace


def _fail() -> str:
    raise ValueError("broken payload")


def _text() -> str:
    return "text"


def test_bundle_draws_both_forms() -> None:
    assert bundle(_text, lambda: "<p>") == {"text/plain": "text", "text/html": "<p>"}


def test_bundle_draws_only_what_is_wanted() -> None:
    assert bundle(_text, _fail, include=["text/plain"]) == {"text/plain": "text"}
    assert bundle(_text, _fail, exclude=["text/html"]) == {"text/plain": "text"}
    assert bundle(_fail, lambda: "<p>", include={"text/html", "image/png"}) == {"text/html": "<p>"}
    assert bundle(_fail, _fail, include=["image/png"]) == {}


def test_html_that_fails_warns_and_leaves_text() -> None:
    with pytest.warns(RuntimeWarning, match="text/html: ValueError: broken payload"):
        assert bundle(_text, _fail) == {"text/plain": "text"}


def test_text_that_fails_warns_and_says_why() -> None:
    with pytest.warns(RuntimeWarning, match="text/plain: ValueError: broken payload"):
        drawn = bundle(_fail, lambda: "<p>")

    assert drawn["text/html"] == "<p>"
    assert "broken payload" in drawn["text/plain"]


def test_trace_and_list_show_themselves() -> None:
    trace: Trace = real_trace()

    for shown in (trace, PagedList([trace])):
        drawn = shown._repr_mimebundle_()
        assert "answer_customer" in drawn["text/plain"]
        assert drawn["text/html"].startswith('<div class="tracestore">')
