"""The one-file page in a real browser: it shows everything, obeys nothing that was recorded, and loads nothing."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser_chromium import open_chromium
from tests.browser_page import open_traces
from tests.browser_traces import ATTACKS, MS, hostile_trace, real_trace, span, trace
from tracestore.display.escape import visible_line
from tracestore.entities import Trace
from tracestore.ui.module import script
from tracestore.ui.page import page_html


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


def several(count: int = 40) -> list[Trace]:
    """Return traces of which every third failed, a minute apart, the newest first, in two sessions."""
    made = []
    for number in range(count):
        one = real_trace()
        one.info.trace_id = f"tr-{number:032x}"
        one.info.request_time -= number * 60_000
        one.info.execution_duration = 100 * number
        one.info.state = type(one.info.state)("ERROR" if number % 3 == 0 else "OK")
        one.info.tags["mlflow.traceName"] = f"call {number}"
        one.info.trace_metadata["mlflow.trace.session"] = f"s{number % 2}"
        made.append(one)
    return made


def row(page: Page, text: str) -> Any:
    return page.locator(".tu-row, .tu-span", has_text=text).first


def rows_shown(page: Page) -> list[str]:
    return page.locator(".tu-row .tu-name").all_inner_texts()


# What it shows ---------------------------------------------------------------------------------------------


def test_one_trace_is_shown_opened_with_its_waterfall(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, [real_trace()]) as (page, requests, problems):
        assert page.locator("h1").inner_text() == "answer_customer"
        assert page.locator(".tu-span").count() == 12  # the whole trace, and 11 spans
        assert "503 Service Unavailable" in page.locator(".tu-problem").inner_text()
        assert page.get_by_role("button", name="← Traces").count() == 0
        assert requests == []
        assert problems == []


def test_bars_lie_on_their_time(browser: Browser, tmp_path: pathlib.Path) -> None:
    spans = (span("a", "a", None, "CHAIN", (0, 100)), span("b", "b", "a", "TOOL", (25, 75)))
    with open_traces(browser, tmp_path, [trace(*spans)]) as (page, *_):
        outer, inner = (page.locator(".tu-span-bar").nth(i).bounding_box() for i in (0, 1))
        assert outer is not None
        assert inner is not None
        assert inner["x"] - outer["x"] == pytest.approx(outer["width"] / 4, abs=1)
        assert inner["width"] == pytest.approx(outer["width"] / 2, abs=1)


def test_a_span_shows_conversation_tool_calls_documents_and_exception(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, [real_trace()]) as (page, *_):
        detail = page.get_by_role("region", name="Details")

        page.locator(".tu-span", has_text="chat gpt-4o").last.click()
        roles = detail.locator(".tu-role").all_inner_texts()
        assert roles == ["system", "user", "assistant", "tool", "assistant"]
        assert "calls delivery_date" in detail.inner_text()

        row(page, "search_handbook").click()
        assert detail.locator(".tu-document").count() == 3
        assert "handbook/carriers.md" in detail.inner_text()
        assert "relevance" in detail.get_by_role("region", name="Assessments").inner_text()

        page.locator(".tu-problem button").click()
        assert "    response.raise_for_status()" in detail.locator(".tu-exception").inner_text()
        assert "408 ms" in detail.inner_text()


def test_the_whole_trace_shows_tags_metadata_assessments_and_its_session(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, several(4)) as (page, *_):
        row(page, "call 2").click()
        detail = page.get_by_role("region", name="Details")

        for text in ("groundedness 0.86", "2026.11.3", "support/agent.py", "2,893 in, 184 out"):
            assert text in detail.inner_text()
        session = detail.get_by_role("region", name="Session s0")
        assert session.locator("li").count() == 2
        session.locator("button").click()
        expect(page.locator("h1")).to_have_text("call 0")


def test_raw_json_is_there_to_be_read_and_copied(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, [real_trace()]) as (page, *_):
        row(page, "find_documents").click()
        page.get_by_role("button", name="Copy Inputs").click()
        expect(page.get_by_text("Copied")).to_be_visible()
        copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
        assert copied == {"query": "change address parcel under way"}

        page.get_by_text("Raw JSON of the span").click()
        expect(page.locator(".tu-raw")).to_contain_text('"found": 3')


def test_search_within_a_trace_marks_what_it_finds(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, [real_trace()]) as (page, *_):
        page.get_by_label("Search within this trace").fill("carrier GIVES")
        expect(page.get_by_role("status")).to_have_text("1 match")
        assert page.locator(".tu-found .tu-name").all_inner_texts() == ["search_handbook"]
        page.keyboard.press("Enter")
        assert page.locator(".tu-detail h2").inner_text() == "search_handbook"


def test_tokens_stand_beside_the_spans_that_used_them(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, [real_trace()]) as (page, *_):
        assert page.locator(".tu-span .tu-tokens").all_inner_texts()[:7] == [
            *("3,077", "", "", "", "", "1,433", "")
        ]
        assert "total_tokens" in (
            page.locator(".tu-tokens", has_text="1,433").get_attribute("title") or ""
        )
        page.locator(".tu-span", has_text="chat gpt-4o").first.click()
        assert "1,402 in, 31 out, 1,433 in all" in page.locator(".tu-detail").inner_text()
        assert "mlflow.chat.tokenUsage" not in page.locator(".tu-detail").inner_text()  # said once


def test_tools_are_listed_and_what_they_answered_is_opened(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "where"}}}
    offered = {
        "type": "function",
        "function": {"name": "weather", "description": "Forecast", "parameters": schema},
    }
    answered = {"role": "tool", "content": json.dumps({"high": 24, "sky": "sunny"})}
    asked = {
        "model": "m",
        "messages": [{"role": "user", "content": "Sun?"}, answered],
        "tools": [offered],
    }
    with open_traces(browser, tmp_path, [trace(span("chat", "a", inputs=asked))]) as (page, *_):
        detail = page.locator(".tu-detail")
        assert detail.locator("dt").all_inner_texts()[:3] == ["messages", "model", "tools"]
        assert (
            detail.locator(".tu-role-tool .tu-outline").inner_text()
            == '{"high": 24, "sky": "sunny"}'
        )
        assert detail.locator(".tu-tool summary").inner_text() == "weather Forecast"
        detail.locator(".tu-tool summary").click()
        assert '"description": "where"' in detail.locator(".tu-tool").inner_text()


def test_text_from_right_to_left_keeps_its_direction(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    arabic, emoji = "ما هي العاصمة؟ (capital?)", "👩🏽\u200d🚀 ok"
    messages = [{"role": "user", "content": arabic}, {"role": "assistant", "content": emoji}]
    with open_traces(browser, tmp_path, [trace(span(arabic, "a", inputs=messages))]) as (page, *_):
        first, second = page.locator(".tu-message .tu-text").all()
        assert [first.inner_text(), second.inner_text()] == [arabic, emoji]
        assert first.evaluate("e => getComputedStyle(e).direction") == "rtl"
        assert second.evaluate("e => getComputedStyle(e).direction") == "ltr"


# The list --------------------------------------------------------------------------------------------------


def test_failures_are_seen_in_the_list(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, several(4)) as (page, *_):
        assert "503 Service Unavailable" in row(page, "call 3").locator(".tu-failure").inner_text()
        assert (
            row(page, "call 1").locator(".tu-failure").count() == 0
        )  # a tool failed, the trace did not


def test_what_is_bad_stands_first_among_the_assessments(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, several(2)) as (page, *_):
        labels = row(page, "call 1").locator(".tu-cell-labels")
        assert labels.locator(".tu-mark").first.inner_text() == "correct false"
        assert "groundedness: 0.86" in (labels.get_attribute("title") or "")


@pytest.mark.parametrize(
    ("length_ms", "ticks"),
    [
        (2_914, ["0", "1 s", "2 s"]),
        (600_000, ["0", "2 min 00 s", "4 min 00 s", "6 min 00 s", "8 min 00 s"]),
    ],
)
def test_ticks_are_round_times(
    browser: Browser, tmp_path: pathlib.Path, length_ms: int, ticks: list[str]
) -> None:
    shown = trace(span("a", "a", at_ms=(0, length_ms)))
    with open_traces(browser, tmp_path, [shown], width=1_600) as (page, *_):
        assert page.locator(".tu-tick").all_inner_texts() == ticks
        boxes = [tick.bounding_box() for tick in page.locator(".tu-tick").all()]
        places = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))


def test_state_and_time_are_chosen(browser: Browser, tmp_path: pathlib.Path) -> None:
    traces = several(6)
    now_ms = int(time.time() * 1000)
    for number, each in enumerate(traces):
        each.info.request_time = now_ms - number * 3_000_000
    with open_traces(browser, tmp_path, traces) as (page, *_):
        page.get_by_label("State").select_option("Error")
        expect(page.get_by_role("status")).to_have_text("2 traces")
        page.get_by_label("Time").select_option("Last hour")
        expect(page.get_by_role("status")).to_have_text("1 trace")
        page.get_by_label("Filter: words, or a filter").fill("name = 'call 3' OR name = 'call 1'")
        expect(page.get_by_role("status")).to_have_text("0 traces")
        assert page.get_by_role("grid", name="Traces").get_attribute("aria-description") == (
            "No trace meets the filter."
        )
        page.get_by_label("Time").select_option("Any time")
        expect(page.get_by_role("status")).to_have_text("1 trace")


def test_a_page_without_traces_says_so(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, []) as (page, *_):
        grid = page.get_by_role("grid", name="Traces")
        assert grid.get_attribute("aria-description") == "There are no traces yet."


def test_words_and_filters_are_both_understood(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, several(), filter_string="x = 1", total=99) as (page, *_):
        assert page.get_by_text("found by x = 1; 99 met it, this page has the first 40").count()
        box = page.get_by_label("Filter: words, or a filter")
        status = page.get_by_role("status")

        box.fill("status = 'ERROR' AND duration < 1s")
        expect(status).to_have_text("4 traces")
        assert rows_shown(page) == ["call 0", "call 3", "call 6", "call 9"]

        box.fill("leipzig carrier")
        expect(status).to_have_text("40 traces")

        box.fill("no such words")
        expect(status).to_have_text("0 traces")
        expect(page.locator(".tu-empty")).to_be_visible()

        box.fill("any_span(name = 'x')")
        expect(page.get_by_role("alert")).to_contain_text("this page can't evaluate it")


@pytest.mark.parametrize("width", [400, 1_200])
def test_columns_are_sorted_and_chosen(
    browser: Browser, tmp_path: pathlib.Path, width: int
) -> None:
    with open_traces(browser, tmp_path, several(), width=width) as (page, *_):
        page.get_by_role("button", name="Duration").click()
        assert rows_shown(page)[0] == "call 39"
        page.get_by_role("button", name="Duration").click()
        assert rows_shown(page)[0] == "call 0"
        assert page.locator("[aria-sort=ascending]").inner_text() == "Duration ▴"

        assert page.get_by_role("columnheader", name="User").count() == 0
        if width == 400:  # a trace is a card there, of the columns that matter most
            return
        page.get_by_text("Columns").click()
        page.get_by_label("User").check()
        assert page.get_by_role("columnheader", name="User").count() == 1
        assert "customer-1093" in row(page, "call 0").inner_text()


def test_everything_is_done_by_keyboard(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, several()) as (page, *_):
        page.keyboard.press("/")
        page.keyboard.type("duration > 3500")
        expect(page.get_by_role("status")).to_have_text("4 traces")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("call 37")

        for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
            page.keyboard.press(key)
        assert page.locator(".tu-detail h2").inner_text() == "embed_query"
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        assert page.locator(".tu-span", has_text="embed_query").count() == 0  # folded
        assert page.locator(".tu-active").get_attribute("aria-expanded") == "false"

        page.keyboard.press("]")
        expect(page.locator("h1")).to_have_text("call 38")
        page.keyboard.press("Escape")
        expect(page.locator(".tu-row.tu-active .tu-name")).to_have_text("call 38")


def test_the_address_names_the_trace_and_back_leads_to_the_list(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, several(4)) as (page, _, problems):
        row(page, "call 2").click()
        page.wait_for_url(f"**#tr-{2:032x}")
        page.keyboard.press("]")
        expect(page.locator("h1")).to_have_text("call 3")
        page.go_back()
        expect(page.locator("h1")).to_have_text("call 2")
        page.go_back()
        expect(page.locator(".tu-row.tu-active .tu-name")).to_have_text("call 2")

        page.goto(f"{page.url.partition('#')[0]}#tr-{1:032x}")
        expect(page.locator("h1")).to_have_text("call 1")
        page.reload()
        expect(page.locator("h1")).to_have_text("call 1")
        assert problems == []


def test_focus_goes_through_in_reading_order_and_everything_has_a_name(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    with open_traces(browser, tmp_path, several(3)) as (page, *_):
        row(page, "call 1").click()
        page.locator("h1").wait_for()
        found = page.evaluate(
            """() => [...document.querySelectorAll('button, input, [tabindex], summary')].map(each => [
                each.getAttribute('aria-label') || each.textContent || each.title,
                each.tabIndex, each.getAttribute('role') || each.tagName])"""
        )
        assert all(name.strip() for name, _, _ in found)
        assert {index for _, index, _ in found} == {0}  # the order of the document
        names = [name for name, _, _ in found]
        order = ("← Traces", "Search within this trace", "Spans", "Details")
        assert sorted(order, key=names.index) == list(order)


def test_titles_of_columns_are_in_the_grid(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, several(3)) as (page, *_):
        owned = page.get_by_role("grid", name="Traces").get_attribute("aria-owns")
        assert page.locator(f"#{owned}").get_by_role("columnheader").count() == 8


def test_nothing_moves_once_it_is_drawn(browser: Browser, tmp_path: pathlib.Path) -> None:
    """Source: https://web.dev/articles/cls; 0 is the best there is."""
    with open_traces(browser, tmp_path, several()) as (page, *_):
        page.get_by_label("Filter: words, or a filter").fill("status = 'OK'")
        expect(page.get_by_role("status")).to_have_text("26 traces")
        row(page, "call 1").click()
        page.get_by_label("Search within this trace").fill("parcel")
        expect(page.locator(".tu-waterfall").get_by_role("status")).to_contain_text("matches")
        shifts = page.evaluate(
            """() => new Promise(done => new PerformanceObserver(list => done(list.getEntries()
                .filter(e => !e.hadRecentInput).reduce((sum, e) => sum + e.value, 0)))
                .observe({type: 'layout-shift', buffered: true}) || setTimeout(() => done(0), 300))"""
        )
        assert shifts < 0.01


def test_times_are_local_and_say_their_zone(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, several(2), zone="Asia/Kolkata") as (page, *_):
        assert (
            page.get_by_role("columnheader", name="Start")
            .inner_text()
            .startswith("Start (UTC+05:30)")
        )
        start = row(page, "call 0").locator(".tu-cell-start")
        assert start.inner_text() == "2026-11-21 00:02:08"
        assert "2026-11-20T18:32:08.123Z" in (start.get_attribute("title") or "")


# Hostile and large -----------------------------------------------------------------------------------------

_ELEMENTS = re.compile(
    "MAIN|DIV|HEADER|SECTION|SPAN|STRONG|BUTTON|INPUT|LABEL|DETAILS|SUMMARY|DL|DT|DD|PRE|CODE|"
    "UL|OL|LI|H1|H2|H3|P|FORM|SELECT|OPTION"
)
# Clicks every span, opens what can be opened, and says which elements with which attributes there are.
_SHOW_EVERYTHING = """async () => {
    const found = new Map();
    for (let place = 0; ; place += 1) {
        const row = document.querySelector(`.tu-span[data-place='${place}']`);
        if (!row) return [...found.values()];
        row.click();
        for (const each of document.querySelectorAll('details')) each.open = true;
        await new Promise(requestAnimationFrame);
        for (const each of document.querySelectorAll('main, main *')) {
            const markup = [each.tagName, [...each.attributes].map(a => a.name)];
            found.set(JSON.stringify(markup), markup);
        }
    }
}"""
_ATTRIBUTES = re.compile(
    r"class|style|title|id|role|dir|type|tabindex|placeholder|spellcheck|autocomplete|maxlength|hidden|"
    r"open|disabled|value|aria-[a-z]+|data-(place|lm-suppress-shortcuts)"
)


def test_recorded_text_stays_text(browser: Browser, tmp_path: pathlib.Path) -> None:
    hostile = [hostile_trace(attack) for attack in ATTACKS]
    for number, each in enumerate(hostile):
        each.info.request_time -= number  # the list is in the order of ATTACKS
    with open_traces(browser, tmp_path, hostile, title=ATTACKS[0], filter_string=ATTACKS[2]) as (
        page,
        requests,
        problems,
    ):
        for place, attack in enumerate(ATTACKS):
            page.locator(f".tu-row[data-place='{place}']").click()
            page.locator(".tu-trace").wait_for()
            assert visible_line(attack) in page.locator("h1").inner_text()
            for tag, attributes in page.evaluate(_SHOW_EVERYTHING):
                assert _ELEMENTS.fullmatch(tag)
                assert all(map(_ATTRIBUTES.fullmatch, attributes))
            page.keyboard.press("Escape")

        assert page.evaluate("() => window.pwned") is None
        assert requests == []
        assert problems == []
        outside = page.evaluate("() => [...document.body.children].map(each => each.tagName)")
        assert outside == ["MAIN", "NOSCRIPT", *["SCRIPT"] * (len(ATTACKS) + 2)]


def test_attacks_do_harm_where_they_are_read_as_html(browser: Browser) -> None:
    """Without this the test above could pass because the attacks are harmless."""
    page = browser.new_page()
    page.set_content("".join(ATTACKS[:6]))
    page.wait_for_function("() => window.pwned === 1")
    page.close()


def test_the_policy_stops_what_is_put_into_the_page(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    """Were there a hole in the page's own code, the browser would still run and load nothing."""
    with open_traces(browser, tmp_path, [real_trace()]) as (page, requests, _):
        page.on("requestfailed", lambda request: requests.append(f"stopped by {request.failure}"))
        done = page.evaluate(
            """() => {
                const tried = [];
                try { document.body.innerHTML = '<img src=http://pwned.invalid/>'; tried.push('html') } catch {}
                const script = document.createElement('script');
                try { script.text = 'window.pwned = 1'; document.body.append(script) } catch {}
                const image = new Image();
                image.src = 'http://pwned.invalid/x';
                document.body.append(image);
                return fetch('http://pwned.invalid/').then(() => ['fetched'], () => tried);
            }"""
        )
        assert done == []
        assert page.evaluate("() => window.pwned") is None
        assert requests == ["http://pwned.invalid/x", "stopped by csp"]


def test_the_script_makes_no_html_of_text() -> None:
    for entry in ("page", "widget"):
        code = script(entry)
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "Function(",
            "</script",
        ):
            assert word not in code
        assert not re.search(r"^import ", code, re.MULTILINE)


def test_no_name_is_made_twice_in_the_joined_files() -> None:
    names = re.findall(
        r"^(?:async )?(?:const|let|function\*?|class) (\w+)", script("page"), re.MULTILINE
    )
    assert len(names) > 100
    assert len(names) == len(set(names))


def test_lone_surrogates_and_what_is_no_json_go_into_a_page() -> None:
    odd = trace(span("a", "a"), tags={"k": "\ud800"})
    odd.info.trace_metadata["mlflow.trace.cost"] = '{"total_cost": 1}'
    assert "\\ud800" in page_html([odd])
    page_html([odd]).encode()


@pytest.mark.parametrize("width", [400, 1_600])
def test_a_long_name_leaves_the_head_whole(
    browser: Browser, tmp_path: pathlib.Path, width: int
) -> None:
    named = trace(span("a." + "VeryLongName" * 30, "a"))
    with open_traces(browser, tmp_path, [named, named], width=width) as (page, *_):
        page.locator(".tu-row").first.click()
        for part in (".tu-total", ".tu-line button", ".tu-title button >> nth=0"):
            box = page.locator(part).bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width


def test_the_keyboard_is_at_a_row_not_at_a_list(browser: Browser, tmp_path: pathlib.Path) -> None:
    with open_traces(browser, tmp_path, several(3)) as (page, *_):
        page.keyboard.press("/")
        page.keyboard.press("ArrowDown")
        outlines = page.evaluate(
            "() => ['.tu-scroll', '.tu-active'].map("
            "each => getComputedStyle(document.querySelector(each)).outlineStyle)"
        )
        assert outlines == ["none", "solid"]


@pytest.mark.parametrize("width", [400, 1_600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_all_is_legible(
    browser: Browser, tmp_path: pathlib.Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Contrast is at least 4.5, WCAG's level AA, for all text that is drawn."""
    types = ["LLM", "CHAIN", "AGENT", "TOOL", "RETRIEVER", "EMBEDDING", "PARSER", "EVALUATOR", "?"]
    coloured = trace(*(span(kind, kind, None, kind) for kind in types), trace_id="tr-c")
    traces = [*several(3), coloured]
    with open_traces(browser, tmp_path, traces, width=width, scheme=scheme) as (page, *_):
        assert _least_contrast(page) >= 4.5
        for name in ("call 0", "LLM"):
            page.locator(".tu-row", has_text=name).first.click()
            page.locator(".tu-trace").wait_for()
            for place in range(page.locator(".tu-span").count() if name == "call 0" else 2):
                page.locator(".tu-span").nth(place).click()
                assert _least_contrast(page) >= 4.5
                assert page.evaluate("() => document.documentElement.scrollWidth") <= width
                assert (
                    page.evaluate(
                        "() => { const e = document.querySelector('.tu-detail'); return e.scrollWidth - e.clientWidth }"
                    )
                    <= 0
                )
            page.keyboard.press("Escape")


_READ_CONTRAST = """() => {
    const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const draw = colors => {
        pen.clearRect(0, 0, 1, 1);
        for (const color of colors) { pen.fillStyle = color; pen.fillRect(0, 0, 1, 1); }
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = rgb => rgb.map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    let least = [99, ''];
    const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
        const behind = [];
        for (let each = element; each; each = each.parentElement)
            behind.unshift(getComputedStyle(each).backgroundColor);
        const back = draw(['white', ...behind]);
        const front = draw(['white', ...behind, getComputedStyle(element).color]);
        const [dark, light] = [luminance(back), luminance(front)].sort((a, b) => a - b);
        const ratio = (light + 0.05) / (dark + 0.05);
        if (ratio < least[0]) least = [ratio, element.className + ': ' + element.textContent];
    }
    return least;
}"""


def _least_contrast(page: Page) -> float:
    ratio, where = page.evaluate(_READ_CONTRAST)
    assert ratio >= 4.5, where
    return float(ratio)


def test_thirty_thousand_spans_open_and_scroll(browser: Browser, tmp_path: pathlib.Path) -> None:
    spans = [span("root", "r", None, "AGENT", (0, 30_000))]
    spans += [
        span(
            f"step {i}",
            f"s{i}",
            "r" if i % 10 == 0 else f"s{i - i % 10}",
            "TOOL",
            (i, i + 0.9),
            inputs={"number": i, "text": "word " * 20},
            outputs=["x"] * 5,
        )
        for i in range(30_000)
    ]
    began = time.perf_counter()
    with open_traces(browser, tmp_path, [trace(*spans)]) as (page, *_):
        # from the program's spans to the drawn page; CI machines are slow, so the bound is loose
        assert time.perf_counter() - began < 60
        timing = page.evaluate("() => performance.now()")
        assert page.locator(".tu-span").count() < 100
        frames = page.evaluate(
            """async () => {
                const scroll = document.querySelector('.tu-waterfall .tu-scroll');
                const frame = () => new Promise(requestAnimationFrame);
                const times = [];
                for (let i = 0; i < 60; i += 1) {
                    const before = performance.now();
                    scroll.scrollTop += 9000;
                    await frame();
                    times.push(performance.now() - before);
                }
                return times.sort((a, b) => a - b)[30];
            }"""
        )
        print(
            f"30,001 spans: drawn {timing:.0f} ms after the start of loading; a frame {frames:.1f} ms"
        )
        assert frames < 250  # all rows drawn at once take seconds
        page.keyboard.press("Tab")
        page.locator(".tu-waterfall .tu-scroll").focus()
        page.keyboard.press("End")
        assert page.locator(".tu-detail h2").inner_text() == "step 29999"


def test_ten_megabytes_are_cut_and_can_be_saved_whole(
    browser: Browser, tmp_path: pathlib.Path
) -> None:
    text = "0123456789" * 1_000_000
    with open_traces(browser, tmp_path, [trace(span("big", "a", outputs=text))]) as (page, *_):
        row(page, "big").click()
        shown = page.locator(".tu-section .tu-long .tu-text").last
        assert len(shown.inner_text()) == 8_000
        assert "10.0 MB more" in page.locator(".tu-rest").last.inner_text()
        page.get_by_role("button", name="Show more").last.click()
        assert len(shown.inner_text()) == 64_000
        with page.expect_download() as download:
            page.get_by_role("button", name="Save the whole text as a file").last.click()
        assert pathlib.Path(download.value.path()).read_text() == text


def test_span_times_do_not_lose_digits() -> None:
    """Moments since 1970 in nanoseconds are beyond what JavaScript's numbers hold."""
    shown = trace(span("a", "a", at_ms=(0, 100)), span("b", "b", "a", at_ms=(1 / 8, 50)))
    assert f'"start_ns":{MS // 8}' in page_html([shown])
