"""What a person sees, in a real browser: nothing runs, nothing loads, everything is there and legible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser_chromium import chromium_path, open_chromium, open_page
from tests.browser_traces import ATTACKS, hostile_trace, real_trace, span, trace
from tracestore.display import trace_html, traces_html
from tracestore.display.escape import visible_line
from tracestore.entities import Trace

_OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
_SETTLE = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"

# Elements of <main> that trace_html may make, and what their attributes may say.
_ELEMENTS = re.compile(
    "DIV|STYLE|SPAN|STRONG|DETAILS|SUMMARY|DL|DT|DD|PRE|OL|LI|TABLE|THEAD|TBODY|TR|TH|TD"
)
_READ_MARKUP = """() => [...document.querySelectorAll('main *')].map(
    each => [each.tagName, [...each.attributes].map(a => [a.name, a.value])])"""
_OUTSIDE = "() => [document.querySelectorAll('body > *').length, document.head.children.length]"
_STYLES = r"((left|width|--ts-step):[\d.]+%|--ts-depth:\d+)"

# For every text that is drawn: its contrast with the backgrounds behind it, blended.
_READ_CONTRASTS = """() => {
    const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const draw = colors => {
        pen.clearRect(0, 0, 1, 1);
        for (const color of colors) { pen.fillStyle = color; pen.fillRect(0, 0, 1, 1); }
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = rgb => rgb
        .map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const found = {};
    const texts = document.createTreeWalker(document.querySelector('.ts-card'), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
        const behind = [];
        for (let each = element; each; each = each.parentElement)
            behind.unshift(getComputedStyle(each).backgroundColor);
        const back = draw(['white', ...behind]);
        const front = draw(['white', ...behind, getComputedStyle(element).color]);
        const [dark, light] = [luminance(back), luminance(front)].sort((a, b) => a - b);
        const name = element.className || element.tagName;
        found[name] = Math.min(found[name] ?? 99, (light + 0.05) / (dark + 0.05));
    }
    return found;
}"""

_JUPYTER_DARK = "style='--jp-layout-color0:#111;--jp-content-font-color0:#fff'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.mark.parametrize("attack", ATTACKS)
def test_recorded_text_stays_text(browser: Browser, attack: str) -> None:
    hostile = hostile_trace(attack)
    html = trace_html(hostile) + traces_html([hostile])

    with open_page(browser, html) as (page, requests):
        page.evaluate(_OPEN_ALL)
        for row in page.locator(".ts-row").all():
            row.hover()
        page.evaluate(_SETTLE)

        assert page.evaluate("() => window.pwned") is None
        assert requests == []
        assert page.url == "about:blank"
        assert page.evaluate(_OUTSIDE) == [1, 1]
        _assert_only_our_markup(page)
        assert visible_line(attack) in page.locator(".ts-title .ts-name").inner_text()


def test_attacks_do_harm_where_nothing_escapes_them(browser: Browser) -> None:
    """Without this the test above could pass because the attacks are harmless or nobody watches."""
    with open_page(browser, "<div>" + "".join(ATTACKS[:6]) + "</div>") as (page, requests):
        page.evaluate(_SETTLE)

        assert page.evaluate("() => window.pwned") == 1
        assert requests
        with pytest.raises(AssertionError):
            _assert_only_our_markup(page)


def _assert_only_our_markup(page: Page) -> None:
    for tag, attributes in page.evaluate(_READ_MARKUP):
        assert _ELEMENTS.fullmatch(tag)
        for name, value in attributes:
            if name == "class":
                assert re.fullmatch(r"(tracestore|ts-[a-z-]+)( ts-[a-z-]+)*", value)
            elif name == "style":
                assert all(re.fullmatch(_STYLES, each) for each in value.split(";"))
            else:
                assert (tag, name) == ("DETAILS", "open") or name == "title"


def test_opened_span_shows_what_went_in_and_out(browser: Browser) -> None:
    with open_page(browser, trace_html(real_trace())) as (page, _):
        details = page.locator("details.ts-span", has_text="search_handbook")
        inputs = details.get_by_text("change address parcel", exact=True)
        assert not inputs.is_visible()

        details.locator("summary").click()

        assert inputs.is_visible()
        assert details.locator(".ts-document").count() == 3
        assert details.get_by_text("handbook/carriers.md").is_visible()


def test_span_opens_by_keyboard(browser: Browser) -> None:
    with open_page(browser, trace_html(real_trace())) as (page, _):
        page.locator("summary.ts-row").first.focus()
        page.keyboard.press("Enter")

        assert page.locator("details.ts-span").first.get_attribute("open") is not None


def test_messages_read_as_a_conversation(browser: Browser) -> None:
    with open_page(browser, trace_html(real_trace())) as (page, _):
        chat = page.locator("details.ts-span", has_text="chat gpt-4o").last
        chat.locator("summary").click()
        roles = chat.locator(".ts-role").all_inner_texts()

        assert roles == ["system", "user", "assistant", "tool", "assistant"]
        assert "calls delivery_date" in chat.inner_text()


def test_failed_span_shows_its_stack_trace(browser: Browser) -> None:
    with open_page(browser, trace_html(real_trace())) as (page, _):
        page.locator("summary.ts-row", has_text="delivery_date").click()

        stack = page.locator(".ts-stack")
        assert stack.is_visible()
        assert "line 42, in delivery_date\n    response.raise_for_status()" in stack.inner_text()
        assert "503" in page.locator(".ts-head .ts-problem").inner_text()


@pytest.mark.parametrize("kind", ["real", "hostile", "deep", "wide words"])
def test_page_never_scrolls_sideways(browser: Browser, kind: str) -> None:
    shown = _awkward_trace(kind)

    with open_page(browser, trace_html(shown) + traces_html([shown] * 3)) as (page, _):
        page.evaluate(_OPEN_ALL)
        for width in (320, 400, 700, 1_000, 1_600):
            page.set_viewport_size({"width": width, "height": 900})

            assert page.evaluate("() => document.documentElement.scrollWidth") <= width
            assert page.evaluate(_CLIPPED) == []


# Blocks whose content the card cuts off on the right: there is no way to scroll to it.
_CLIPPED = """() => {
    const right = document.querySelector('.ts-card').getBoundingClientRect().right;
    return [...document.querySelectorAll('.ts-card :is(div, dl, td, .ts-duration, .ts-chip, .ts-bar)')]
        .filter(each => each.getBoundingClientRect().right > right + 1).map(each => each.className);
}"""


def _awkward_trace(kind: str) -> Trace:
    if kind == "deep":
        spans = [span(f"level {i}", f"s{i}", f"s{i - 1}" if i else None) for i in range(60)]
        return trace(*spans)
    if kind == "wide words":
        word = "w" * 400
        return trace(
            span(word, "a", inputs={word: word}, outputs=[word], attributes={word: {word: word}}),
            tags={word: word, "mlflow.traceName": word},
            request_preview=word,
        )
    return real_trace() if kind == "real" else hostile_trace(ATTACKS[1])


@pytest.mark.parametrize(
    ("scheme", "body", "is_dark"),
    [
        ("light", "", False),
        ("dark", "", True),
        ("light", f"data-jp-theme-light=false {_JUPYTER_DARK}", True),
        ("dark", "data-jp-theme-light=true", False),
        ("light", "class=vscode-dark", True),
        ("dark", "class=vscode-light", False),
    ],
)
def test_text_is_legible_in_every_theme(
    browser: Browser, scheme: Literal["light", "dark"], body: str, *, is_dark: bool
) -> None:
    """Contrast is at least 4.5, WCAG's level AA, for all that is drawn."""
    types = ["LLM", "CHAIN", "AGENT", "TOOL", "RETRIEVER", "EMBEDDING", "PARSER", "EVALUATOR", "?"]
    colours = trace(*(span(kind, kind, None, kind) for kind in types))
    html = trace_html(real_trace()) + trace_html(colours) + traces_html([real_trace(), colours])

    with open_page(browser, html, scheme=scheme, body=body) as (page, _):
        page.evaluate(_OPEN_ALL)
        contrasts = page.evaluate(_READ_CONTRASTS)
        back = page.evaluate(
            "() => getComputedStyle(document.querySelector('.ts-card')).backgroundColor"
        )

        assert len(contrasts) > 20
        assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
        assert (int(re.findall(r"\d+", back)[0]) < 100) is is_dark


def test_bars_lie_on_their_time(browser: Browser) -> None:
    spans = (span("a", "a", None, "CHAIN", (0, 100)), span("b", "b", "a", "TOOL", (25, 75)))

    with open_page(browser, trace_html(trace(*spans))) as (page, _):
        outer, inner = (page.locator(".ts-bar").nth(i).bounding_box() for i in (0, 1))

        assert outer is not None
        assert inner is not None
        assert inner["x"] - outer["x"] == pytest.approx(outer["width"] / 4, abs=1)
        assert inner["width"] == pytest.approx(outer["width"] / 2, abs=1)


def test_missing_browser_fails_and_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("TRACESTORE_CHROMIUM", raising=False)

    with pytest.raises(pytest.fail.Exception, match=r"\.ci/run"):
        chromium_path()


def test_page_without_styles_still_reads(browser: Browser) -> None:
    """GitHub and untrusted notebooks strip <style>; words must not run into each other."""
    html = re.sub(r"<style>.*?</style>", "", trace_html(real_trace()), flags=re.DOTALL)

    with open_page(browser, html) as (page, _):
        text = page.locator("main").inner_text()

        assert "answer_customer AGENT" in text
        assert "session chat-5f2a user customer-1093" in text
