"""What a notebook's kernel answers to the front end: searches of the whole file, payloads, assessments."""

from __future__ import annotations

import contextlib
import gzip
import json
import pathlib
from typing import Any

import pytest

import tracestore
from tracestore import explorer, viewing
from tracestore.entities import SpanStatus, SpanStatusCode
from tracestore.errors import (
    FilterSyntaxError,
    InvalidArgumentError,
    NotFoundError,
    StoreError,
    TracestoreError,
)
from tracestore.explorer import Explorer
from tracestore.store import Store


def record(count: int, payload: str = "x") -> str:
    """Record `count` traces of two spans each and return the last one's id."""
    for number in range(count):
        with tracestore.start_span(f"call {number}", span_type="CHAIN") as root:
            tracestore.update_current_trace(
                session_id=f"s{number % 2}", tags={"n": str(number)}, response_preview=payload
            )
            with tracestore.start_span("step") as step:
                step.set_outputs({"text": payload})
    return root.trace_id


def search(shown: Explorer, typed: str = "", page: str | None = None, *order: str) -> Any:
    return shown.answer({"verb": "search", "filter": typed, "order_by": order, "page": page})


def test_pages_put_together_are_the_whole_file(recording: Store) -> None:
    record(230)
    shown = Explorer(recording)

    names, page = [], None
    while True:
        answer = search(shown, "", page, "name ASC")
        assert answer["total"] == 230
        names += [each["name"] for each in answer["records"]]
        page = answer["next"]
        if page is None:
            break

    assert names == sorted(f"call {number}" for number in range(230))
    assert {each["span_count"] for each in answer["records"]} == {2}


def test_a_filter_that_was_given_holds_besides_what_is_typed(recording: Store) -> None:
    record(10)
    shown = Explorer(recording, filter_string="tags.n = '1' OR tags.n = '2'")

    assert search(shown)["total"] == 2
    assert search(shown, "tags.n = '2' OR tags.n = '3'")["total"] == 1


def test_payloads_come_with_the_trace_as_far_as_there_is_room(recording: Store) -> None:
    trace_id = record(1, "y" * explorer.OPENED_CHARACTERS)
    opened = Explorer(recording).answer({"verb": "open", "id": trace_id})

    root, step = opened["spans"]
    assert (root["depth"], step["depth"]) == (0, 1)
    assert "outputs" not in step
    assert step["sizes"]["outputs"] > explorer.OPENED_CHARACTERS
    asked = {"verb": "payload", "id": trace_id, "span": step["id"], "name": "outputs"}
    assert len(Explorer(recording).answer(asked)) == step["sizes"]["outputs"]


def test_what_a_server_would_drop_is_not_sent(recording: Store) -> None:
    trace_id = record(1, "y" * explorer.MAX_PAYLOAD_CHARACTERS)
    shown = Explorer(recording)
    step = shown.answer({"verb": "open", "id": trace_id})["spans"][1]

    asked = {"verb": "payload", "id": trace_id, "span": step["id"], "name": "outputs"}
    assert shown.answer(asked) is None


def test_find_names_the_spans_by_their_place_in_the_tree(recording: Store) -> None:
    trace_id = record(1, "needle in the hay")

    found = Explorer(recording).answer({"verb": "find", "id": trace_id, "words": "HAY needle"})

    assert found == [1]


def test_the_list_says_what_failed(recording: Store) -> None:
    @tracestore.trace
    def outer() -> None:
        with contextlib.suppress(KeyError), tracestore.start_span("tried"):
            raise KeyError("first")
        with tracestore.start_span("inner"):
            raise ValueError("the reason")

    with contextlib.suppress(ValueError):
        outer()
    with tracestore.start_span("fine"), tracestore.start_span("step") as step:
        step.set_status("ERROR")
    with tracestore.start_span("said") as said:
        said.set_status(SpanStatus(SpanStatusCode.ERROR, "no key"))

    shown = Explorer(recording)
    records = search(shown)["records"]

    expected = {"outer": "ValueError: the reason", "fine": None, "said": "no key"}
    assert {each["name"]: each["error"] for each in records} == expected
    opened = [
        shown.answer({"verb": "open", "id": each["id"]})["record"]["error"] for each in records
    ]
    assert opened == [each["error"] for each in records]  # the page reads spans, the list the file


def test_a_session_is_in_the_order_of_time(recording: Store) -> None:
    record(5)

    found = Explorer(recording).answer({"verb": "session", "name": "s0"})

    assert [each["name"] for each in found] == ["call 0", "call 2", "call 4"]


def test_assessments_are_written_and_searchable_at_once(recording: Store) -> None:
    trace_id = record(1)
    shown = Explorer(recording, user="kim")
    span_id = shown.answer({"verb": "open", "id": trace_id})["spans"][1]["id"]

    given = {"verb": "assess", "id": trace_id, "kind": "feedback", "name": "good", "value": 4}
    shown.answer({**given, "rationale": "short", "span": span_id})
    answer = shown.answer(
        {**given, "kind": "expectation", "name": "answer", "value": "in one file"}
    )

    assert [each["name"] for each in answer["assessments"]] == ["good", "answer"]
    assert recording.count_traces("feedback.good = 4 AND expectation.answer = 'in one file'") == 1
    feedback = recording.get_trace(trace_id).info.assessments[0]
    assert (feedback.source.source_type, feedback.source.source_id) == ("HUMAN", "kim")
    assert (feedback.rationale, feedback.span_id) == ("short", span_id)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"verb": "drop"}, InvalidArgumentError),
        ({}, InvalidArgumentError),
        ({"verb": "search"}, InvalidArgumentError),
        ({"verb": "search", "filter": "nme = 1", "order_by": [], "page": None}, FilterSyntaxError),
        ({"verb": "search", "filter": "", "order_by": 7, "page": None}, InvalidArgumentError),
        ({"verb": "search", "filter": "", "order_by": [], "page": "?"}, InvalidArgumentError),
        ({"verb": "open", "id": "tr-0"}, NotFoundError),
        (
            {"verb": "assess", "id": "tr-0", "kind": "feedback", "name": " ", "value": 1},
            InvalidArgumentError,
        ),
    ],
)
def test_a_bad_request_is_an_error_of_ours(
    recording: Store, request_: dict[str, Any], error: type[TracestoreError]
) -> None:
    record(1)
    with pytest.raises(error):
        Explorer(recording).answer(request_)


def test_a_payload_of_another_name_is_not_read(recording: Store) -> None:
    trace_id = record(1)
    with pytest.raises(InvalidArgumentError, match="no payload"):
        Explorer(recording).answer(
            {"verb": "payload", "id": trace_id, "span": "x", "name": "__class__"}
        )


def test_the_widget_answers_with_messages_and_compresses_long_ones(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(100, "x" * 900)
    made = viewing.explore(store=recording, height_px=300)
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(made, "send", lambda content, buffers=None: sent.append((content, buffers)))

    for number, typed in enumerate(("tags.n = '1'", "", "tags.n =")):
        request: dict[str, Any] = {"verb": "search", "filter": typed, "order_by": [], "page": None}
        made._handle_custom_msg({"number": number, **request}, [])
    made._handle_custom_msg("no request", [])

    short, long, wrong, odd = sent
    assert (short[0]["number"], short[0]["answer"]["total"], short[1]) == (0, 1, None)
    assert long[0] == {"number": 1}
    assert json.loads(gzip.decompress(long[1][0]))["total"] == 100
    assert "expected" in wrong[0]["error"]
    assert odd[0]["number"] is None
    made.close()


def test_a_saved_notebook_keeps_a_table(recording: Store) -> None:
    record(3)
    made = viewing.explore(store=recording)
    bundle = made._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle

    assert "application/vnd.jupyter.widget-view+json" in data
    assert "call 2" in data["text/html"]
    assert "call 2" in data["text/plain"]
    made.close()


def test_explore_refuses_a_height_that_is_none(recording: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="height_px"):
        viewing.explore(store=recording, height_px=10)


def test_report_says_how_many_traces_are_not_in_it(
    recording: Store, tmp_path: pathlib.Path
) -> None:
    record(5)
    path = recording.report("tags.n > 0", tmp_path / "r.html", max_results=3)

    page = pathlib.Path(path).read_text("utf-8")
    index = json.loads(page.split('id="tracestore-index">')[1].split("</script>")[0])
    assert (index["total"], len(index["traces"]), index["filter"]) == (4, 3, "tags.n > 0")
    assert page.count('id="tracestore-') == 4


def test_a_page_that_cannot_be_written_is_an_error_of_this_package(
    recording: Store, tmp_path: pathlib.Path
) -> None:
    page = tmp_path / "missing" / "page.html"
    trace = recording.get_trace(record(1))
    with pytest.raises(StoreError, match="make its folder first"):
        recording.report("", page)
    with pytest.raises(StoreError, match="make its folder first"):
        trace.to_html(page)


def test_a_trace_is_written_as_a_page(recording: Store, tmp_path: pathlib.Path) -> None:
    trace = recording.get_trace(record(1, "<b>bold</b>"))

    page = trace.to_html(tmp_path / "trace.html")

    assert (tmp_path / "trace.html").read_text("utf-8") == page
    assert "<title>call 0</title>" in page
    assert "<b>" not in page
