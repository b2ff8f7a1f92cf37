"""HTML of traces, without a browser: bounded, made of our own markup only, and complete."""

from __future__ import annotations

import re
from datetime import timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.browser_traces import hostile_trace, real_trace, span, trace
from tracestore.display.html import MAX_HTML_BYTES, MAX_SPANS, trace_html, traces_html
from tracestore.display.markup import Markup, element, join
from tracestore.entities import AssessmentSource, Feedback

_ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
_MARKUP_TEXT = st.text("<>\"'=/&;!- abc\\`\x00\n", max_size=40)


class _Shape(HTMLParser):
    """Elements in order with the names of their attributes; fails on one that is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)


@given(_ANY_TEXT | _MARKUP_TEXT)
def test_recorded_text_makes_no_markup(text: str) -> None:
    hostile = hostile_trace(text)
    shape = _Shape(trace_html(hostile) + traces_html([hostile]))

    for tag, *attributes in shape.elements:
        assert re.fullmatch(
            r"div|style|span|strong|details|summary|d[ldt]|pre|ol|li|t[rhd]|t(able|head|body)", tag
        )
        assert set(attributes) <= {"class", "title", "style"}
    assert trace_html(hostile).encode()


def test_page_asks_for_nothing() -> None:
    html = trace_html(real_trace()) + traces_html([real_trace()])
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)

    assert "<script" not in html
    assert not re.search(r"<[^>]+\b(src|href|srcset|action|id)=", html)
    assert not re.search(r"url\(|@import|@font-face|expression", "".join(style))


def test_styles_stay_within_their_class() -> None:
    """Every rule outside a block is for .tracestore, so the notebook around it keeps its looks."""
    style = re.findall(r"<style>(.*?)</style>", trace_html(real_trace()), re.DOTALL)[0]
    outer, depth = [""], 0
    for character in style:
        depth += (character == "{") - (character == "}")
        if depth == 0:
            outer[-1] += character
            if character == "}":
                outer.append("")
    selectors = [each for rule in outer for each in rule.strip(" }").split(", ") if each]

    assert len(selectors) > 3
    assert all(".tracestore.tracestore" in each for each in selectors)


@pytest.mark.parametrize("payload", ["x" * 30_000, {"k": ['<"&>' * 500] * 50}, None])
def test_page_keeps_its_size_and_says_what_is_missing(payload: object) -> None:
    spans = [span("s", f"{i}", "0" if i else None, inputs=payload) for i in range(3_000)]
    spans[-1] = span("failed", "last", "0", "TOOL", (9, 10), status="ERROR")

    html = trace_html(trace(*spans))

    assert len(html.encode()) <= MAX_HTML_BYTES
    shown = html.count('<details class="ts-span')
    assert 200 < shown <= MAX_SPANS
    assert (
        f"The first {shown:,} of 3,000 spans are shown, in tree order; 1 of the others failed."
        in html
    )


def test_one_enormous_text_is_cut_with_its_size() -> None:
    html = trace_html(trace(span("s", "a", inputs={"text": "x" * 1_208_000})))

    assert "… 1.2 MB more" in html
    assert len(html) < 60_000


def test_many_of_everything_stay_bounded() -> None:
    wide = {f"key {i}": "v" * 300 for i in range(1_000)}
    events = [{"name": "e", "time_unix_nano": 1, "attributes": wide} for _ in range(300)]
    source = AssessmentSource("HUMAN", "kim")
    full = trace(
        span("s", "a", inputs=wide, attributes=wide, events=events),
        tags={f"tag {i}": "v" * 300 for i in range(1_000)},
        trace_metadata=wide,
        assessments=[Feedback(name=f"f{i}", value=i, source=source) for i in range(3_000)],
    )

    assert len(trace_html(full).encode()) <= MAX_HTML_BYTES
    assert len(traces_html([full] * 300).encode()) <= MAX_HTML_BYTES


def test_header_names_what_identifies_a_trace() -> None:
    text = " ".join(_Shape(trace_html(real_trace(), timezone.utc)).text)

    for shown in (
        "answer_customer",
        "2026-11-20 18:32:08.123 UTC",
        "tr-01947ad1c02b4f5e8d3c2b1a09f8e7d6",
        "2.91 s",
        "chat-5f2a",
        "customer-1093",
        "3,077 (2,893 in, 184 out)",
        "$0.00907",
        "2026.11.3",
        "The parcel left on Monday evening",
    ):
        assert shown in text


def test_own_attributes_are_shown_once() -> None:
    text = " ".join(
        _Shape(trace_html(trace(span("s", "a", attributes={"mine": 1}, inputs=2)))).text
    )

    assert "mine" in text
    assert "mlflow.span" not in text
    assert "mlflow.traceRequestId" not in text


def test_failure_without_exception_shows_its_status() -> None:
    named = span("s", "a", status="ERROR", message="quota used up")
    silent = span("t", "b", status="ERROR")

    html = trace_html(trace(named, silent))

    assert "quota used up</div>" in html
    assert "The span failed and did not say why." in html


def test_absurd_usage_is_no_failure() -> None:
    metadata = {
        "mlflow.trace.cost": '{"total_cost": ' + "9" * 400 + "}",
        "mlflow.trace.tokenUsage": '{"total_tokens": ' + "9" * 400 + ', "input_tokens": null}',
    }

    html = trace_html(trace(span("s", "a"), trace_metadata=metadata))

    assert "999,999" in html
    assert "$" not in html


def test_overridden_feedback_is_marked() -> None:
    source = AssessmentSource("HUMAN", "kim")
    old = Feedback(name="correct", value=True, source=source, valid=False)
    html = trace_html(trace(span("s", "a"), assessments=[old]))

    assert "ts-is-overridden" in html
    assert "· overridden" in html


def test_assessment_of_an_unknown_span_is_shown_in_the_head() -> None:
    stray = Feedback(name="stray", value=1, source=AssessmentSource("CODE"), span_id="gone")

    assert "stray" in trace_html(trace(span("s", "a"), assessments=[stray]))


def test_table_has_a_row_for_each_trace() -> None:
    html = traces_html([real_trace(), trace(span("other", "o"))])

    assert html.count("<tr") == 3
    assert 'title="tr-01947ad1c02b4f5e8d3c2b1a09f8e7d6"' in html


def test_many_tags_leave_the_spans_in_view() -> None:
    tagged = trace(span("a", "a"), tags={f"key {number}": "x" * 50 for number in range(60)})

    table = traces_html([tagged])

    assert table.count('class="ts-chip"') == 7
    assert "… 54 more" in table
    assert "… 48 more" in trace_html(tagged)
    assert trace_html(tagged).count("key 59") == 1  # in the folded table


def test_a_table_says_what_a_trace_failed_of() -> None:
    assert "ts-failure" in traces_html([real_trace()])
    assert "503 Service Unavailable" in traces_html([real_trace()])


def test_long_table_says_how_many_it_shows() -> None:
    assert "The first 200 of 250 traces are shown." in traces_html([trace(span("s", "a"))] * 250)


def test_nothing_to_show_is_said() -> None:
    assert "No traces." in traces_html([])
    assert "No span of this trace has been recorded." in trace_html(trace())


def test_only_markup_passes_unescaped() -> None:
    assert element("b", "", "<i>", Markup("<i>"), title='"') == '<b title="&quot;">&lt;i&gt;<i></b>'
    assert join(["<", Markup("<")]) == "&lt;<"
