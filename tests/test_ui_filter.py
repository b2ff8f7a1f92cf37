"""The filters that a page evaluates by itself give the same traces as the store: one language, not two."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

import tracestore
from tests.browser_chromium import open_chromium
from tracestore.entities import SpanEvent
from tracestore.runtime import runtime
from tracestore.store import Store
from tracestore.ui.module import script
from tracestore.ui.records import json_text, span_records, trace_record

#: What the page understands, in every form: each is asked of the store and of the page.
FILTERS = r"""
status = 'ERROR'
state != 'OK'
name = 'call 3'
name LIKE 'call 1_'
name LIKE '%L 1%'
name ILIKE '%CALL 1%'
name NOT LIKE 'call%'
name LIKE 'call\_3'
name LIKE 'odd 100\%'
name > 'call 3' AND name < 'call 6'
name IN ('call 1', 'call 2', 'nobody')
name NOT IN ('call 1', 'call 2')
name = 'it''s'
name = "it's"
duration >= 0
duration < 1h
duration > 1.5h
execution_time_ms BETWEEN 0 AND 100000
timestamp > now() - 1h
timestamp < now() -1d
timestamp > '2020-01-01'
timestamp > '2020-01-01T10:00:00'
timestamp_ms < 1500000000000
end_time > now() - 1h AND end_time_ms < now() + 1d
run_id = 'run-5'
run_id IS NULL
experiment_id = '0'
client_request_id IS NULL
tags.n = '3'
tags.n = 3
tags.n > 5
tags.n >= '5'
tags.n != '3'
tags.n != 3
tags.missing != 'x'
tags.missing IS NULL
tags.env IS NOT NULL
NOT tags.env = 'prod'
NOT (tags.env = 'prod' OR tags.n = '1')
tags.`a key` = 'x'
tags."a key" = 'x'
tag.env = 'prod' AND tags.n < 5
tags.env = 'prod' OR tags.n = '1' AND status = 'OK'
(tags.env = 'prod' OR tags.n = '1') AND status = 'OK'
session = 's1'
user = 'ada'
metadata.`mlflow.trace.session` = 's0'
attributes.name = 'call 3'
trace.status = 'OK'
span.name = 'step' AND span.status = 'ERROR'
span.name = 'call 2' AND span.type = 'TOOL'
span.type IN ('TOOL', 'LLM')
span.type != 'CHAIN'
NOT span.type = 'TOOL'
(span.name = 'step') AND (span.type = 'CHAIN')
(span.name = 'step' AND span.status = 'OK') AND span.type = 'TOOL'
NOT NOT (span.name = 'step' AND span.type = 'CHAIN')
(span.name = 'step' OR span.name = 'x') AND span.type = 'CHAIN'
span.parent_id IS NULL AND span.type = 'TOOL'
span.duration < 1h AND span.model = 'small'
span.attributes.temperature > 0.5
span.attributes.temperature = 0.7
span.attributes.temperature = '0.7'
span.attributes.temperature != 0.7
span.attributes.deep.er = true
span.attributes.text = '7'
span.attributes.text = 7
span.attributes.text LIKE '_'
span.attributes.missing IS NULL
span.outputs LIKE '%"found"%'
span.error ILIKE '%value%'
span.content LIKE '%two lines%'
error LIKE 'ValueError: %'
error IS NULL
request LIKE '%question 3%'
response = '"answer 3"'
response IS NULL
text LIKE '%answer 3%'
text ILIKE '%ÉTÉ%'
text LIKE '%two\nlines%'
text LIKE '%"quoted"%'
NOT text LIKE '%answer%'
text LIKE '%temperature%' AND text LIKE '%0.7%'
span_count > 1
span_count = 2 AND span_count != 3
tokens.total > 10
tokens.input IS NULL
feedback.good = true
feedback.good = 'true'
feedback.good != true
feedback.score > 3
feedback.score = '4'
feedback.score = 4
feedback.score BETWEEN 1 AND 4
feedback.word LIKE 'go%'
feedback.word IN ('good', 'fine')
feedback.deep.er = 1
feedback.good IS NULL
expectation.answer = 'yes'
assessment.score >= 4
""".strip().split("\n")

_ASK = """([filters, traces]) => {
    const subjects = traces.map(([record, spans]) => ({record, spans: () => spans}));
    return filters.map(filter => {
        try {
            const test = compile(asFilter(filter.replaceAll('\\\\n', '\\n')));
            return subjects.filter(test).map(each => each.record.name).sort();
        } catch (error) { return `${error.constructor.name}: ${error.message}`; }
    });
}"""


def record() -> None:
    """Record traces of all kinds."""
    for n in range(12):
        with tracestore.start_span(f"call {n}", span_type="CHAIN") as root:
            root.set_inputs({"question": f"question {n}"})
            tracestore.update_current_trace(
                tags={
                    "n": str(n),
                    **({"env": "prod"} if n % 3 == 0 else {}),
                    "a key": "x" * (n == 4),
                },
                session_id=f"s{n % 2}",
                user="ada" if n % 2 else "Ada",
                metadata={"mlflow.sourceRun": f"run-{n}"},
            )
            with tracestore.start_span("step", span_type="TOOL" if n % 2 else "LLM") as step:
                step.set_attributes({"temperature": n / 10, "deep": {"er": n == 5}, "text": str(n)})
                step.set_outputs({"found": ["a été", 'a "quoted" word', "two\nlines", n]})
                if n % 2 == 0:
                    usage = {"input_tokens": n, "output_tokens": n, "total_tokens": 2 * n}
                    step.set_attributes(
                        {"mlflow.chat.tokenUsage": usage, "mlflow.llm.model": "small"}
                    )
                if n == 6:
                    step.record_exception(ValueError("a value"))
                    step.set_status("ERROR")
            root.set_outputs(f"answer {n}")
        if n % 4 == 0:
            for name, value in (
                ("good", n > 4),
                ("score", n),
                ("word", "good"),
                ("deep", {"er": 1}),
            ):
                tracestore.log_feedback(trace_id=root.trace_id, name=name, value=value)
            tracestore.log_expectation(trace_id=root.trace_id, name="answer", value="yes")
    for name in ("it's", "odd 100%", "call_3"):
        with tracestore.start_span(name, span_type="TOOL") as root:
            root.add_event(SpanEvent("happened", attributes={"why": "two lines"}))
    with pytest.raises(ValueError, match="out"), tracestore.start_span("failing"):
        raise ValueError("out")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_chromium() as browser:
        page = browser.new_page()
        code, _, _ = script("page").partition("// Where the one-file page begins")
        page.evaluate(
            f"() => {{ {code}; Object.assign(window, {{asFilter, compile, KernelSource}}) }}"
        )
        yield page


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: pathlib.Path = tmp_path_factory.mktemp("filter") / "t.db"
    runtime.reset()
    runtime.configure(path=str(path))
    record()
    runtime.reset()
    with Store(path) as store:
        yield store


def ask(page: Page, store: Store, filters: list[str]) -> list[Any]:
    traces = [
        (trace_record(trace), span_records(trace)["spans"]) for trace in store.search_traces()
    ]
    text = json_text([filters, traces])
    answers: list[Any] = page.evaluate(f"() => ({_ASK})({text})")
    return answers


def test_the_page_finds_what_the_store_finds(page: Page, store: Store) -> None:
    wanted = [
        sorted(each.info.name or "" for each in store.search_traces(f.replace("\\n", "\n")))
        for f in FILTERS
    ]
    found = dict(zip(FILTERS, ask(page, store, FILTERS), strict=True))

    assert {f: (found[f], w) for f, w in zip(FILTERS, wanted, strict=True) if found[f] != w} == {}
    assert sum(0 < len(each) < 16 for each in wanted) > len(FILTERS) * 3 / 4  # they tell apart


def test_words_are_looked_for_everywhere(page: Page, store: Store) -> None:
    typed = ["answer 3", "été", "100%", "it's", "a_b", "in a word", "is null", ""]
    words, accent, percent, quote, underscore, plain, null, nothing = ask(page, store, typed)

    assert words == ["call 3"]
    assert len(accent) == 12
    assert (percent, quote, underscore, null) == (["odd 100%"], ["it's"], [], [])
    assert len(plain) == 12
    assert len(nothing) == 16


@pytest.mark.parametrize(
    "filter_string",
    [
        "nme = 'x'",
        "name = ",
        "name = 'x' AND",
        "name == 'a' 'b'",
        "name = 'unclosed",
        "duration > 'abc'",
        "timestamp > 'no day'",
        "(name = 'x'",
        "name = 'x')",
        "name RLIKE 'x'",
        "any_span(name = 'x')",
        "name IN ('x'",
        "prompt = 'a/1'",
        "constructor = 'x'",
        "span.toString = 'x'",
    ],
)
def test_what_the_page_does_not_understand_is_an_error(
    page: Page, store: Store, filter_string: str
) -> None:
    (answer,) = ask(page, store, [filter_string])

    assert str(answer).startswith("FilterError: ")


_BUSY = """async () => {
    const heard = [];
    const sent = [];
    const listeners = [];
    const model = {
        on: (_, listener) => listeners.push(listener), off: () => {}, get: () => '',
        send: message => sent.push(message),
    };
    const sources = [new KernelSource(model), new KernelSource(model)];
    sources[0].waits = isWaiting => heard.push(isWaiting);
    const asked = sources.map((source, place) => source.session(`s${place}`));
    await new Promise(done => setTimeout(done, 1500));
    const before = [...heard];
    for (const listener of listeners) {
        for (const message of sent) listener({number: message.number, answer: [message.name]});
    }
    return [await Promise.all(asked), before, heard.at(-1)];
}"""


def test_a_busy_kernel_is_waited_for_and_views_do_not_take_each_others_answers(page: Page) -> None:
    """The model is a stand-in: JupyterLab's kernels answer also while a cell runs."""
    assert page.evaluate(_BUSY) == [[["s0"], ["s1"]], [True], False]
