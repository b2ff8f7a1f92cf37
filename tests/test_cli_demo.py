"""`tracestore demo`: what it records, what it finds, and what it tells a newcomer."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("runs in a pseudo-terminal", allow_module_level=True)

from tests.cli_program import record_demo, run, run_json
from tracestore import Store
from tracestore.cli.demo import SEARCHES
from tracestore.entities import Expectation, Feedback, Trace


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return record_demo(tmp_path_factory.mktemp("demo"))


def traces_of(path: str, filter_string: str = "") -> list[Trace]:
    with Store(path, read_only=True) as store:
        return store.search_traces(filter_string, order_by=["timestamp_ms ASC"])


def test_six_questions_are_recorded_and_one_of_them_failed(path: str) -> None:
    assert [str(trace.info.state) for trace in traces_of(path)] == [*["OK"] * 5, "ERROR"]


@pytest.mark.parametrize(("number", "count"), [(0, 1), (1, 1), (2, 4)])
def test_each_search_of_the_demo_finds_what_it_asks_for(path: str, number: int, count: int) -> None:
    assert len(traces_of(path, SEARCHES[number].filter_string)) == count


def test_a_document_question_has_a_nested_chain_retriever_and_streaming_model(path: str) -> None:
    trace = traces_of(path)[0]
    root = trace.data.root
    assert root is not None

    assert [(span.name, span.span_type) for span in trace.data.spans] == [
        ("answer", "CHAIN"),
        ("retrieve", "RETRIEVER"),
        ("build_prompt", "PARSER"),
        ("complete", "CHAT_MODEL"),
    ]
    assert {span.parent_id for span in trace.data.spans[1:]} == {root.span_id}
    retriever, model = trace.data.spans[1], trace.data.spans[3]
    assert 1 <= len(retriever.outputs) <= 3
    assert [message["role"] for message in model.inputs["messages"]] == ["system", "user"]
    assert model.outputs["content"] == root.outputs
    assert len(model.events) == len(root.outputs.split())
    usage = trace.info.token_usage
    assert usage is not None
    assert usage["output_tokens"] == len(root.outputs.split())


def test_the_answer_is_a_sentence_of_the_documents(path: str) -> None:
    trace = traces_of(path)[0]
    passages = " ".join(d["page_content"] for d in trace.data.spans[1].outputs)
    assert trace.data.spans[0].outputs in passages


def test_a_failed_tool_call_is_recovered_from(path: str) -> None:
    (trace,) = traces_of(path, SEARCHES[1].filter_string)
    (tool,) = trace.search_spans(name="calculate")

    assert trace.info.request_preview == '{"question":"And what is 7 / 0?"}'
    assert tool.status.status_code.value == "ERROR"
    assert trace.data.spans[0].outputs.startswith("7 / 0 has no result")


def test_sums_are_worked_out_and_judged(path: str) -> None:
    (trace,) = traces_of(path, "tags.topic = 'arithmetic' AND expectation.answer = '1.5'")
    feedback, expectation = trace.info.assessments

    assert trace.data.spans[0].outputs == "90 / 60 is 1.5."
    assert isinstance(feedback, Feedback)
    assert (feedback.name, feedback.value, feedback.source.source_id) == ("helpful", True, "ada")
    assert isinstance(expectation, Expectation)


def test_session_and_user_find_the_conversation(path: str) -> None:
    assert len(traces_of(path, "session = 'demo-session' AND user = 'ada'")) == 6


def test_a_second_run_adds_to_the_first(tmp_path: Path) -> None:
    path = record_demo(tmp_path)
    second = run_json("demo", "--db", path)

    assert len(traces_of(path)) == 12
    assert [len(ids) for ids in second["found"].values()] == [2, 2, 8]
    assert len(set(second["recorded"])) == 6


def test_it_shows_filters_tables_a_tree_and_what_to_type_next(tmp_path: Path) -> None:
    path = str(tmp_path / "a file.db")
    ended = run("demo", "--db", path, COLUMNS="100")

    assert (ended.code, ended.err) == (0, "")
    assert "asked 6 questions of 10 documents" in ended.out
    for search in SEARCHES:
        assert f"tracestore search \"{search.filter_string}\" --db '{path}'\n" in ended.out
    assert "├─ ✗ calculate TOOL" in ended.out
    assert f"traces    {path}" in ended.out
    shown = re.search(r"tracestore show ([0-9a-f]+) --db", ended.out)
    assert shown is not None
    assert run("show", shown[1], "--db", path).code == 0


def test_without_a_path_it_records_into_the_default_store(tmp_path: Path) -> None:
    variables = {"TRACESTORE_DB": str(tmp_path / "default.db")}
    ended = run("demo", **variables)

    assert ended.code == 0
    assert "--db" not in ended.out
    assert run("count", **variables).out == "6\n"


def test_it_is_recorded_whole_whatever_the_sampling_ratio(tmp_path: Path) -> None:
    path = str(tmp_path / "t.db")
    assert run("demo", "--db", path, TRACESTORE_SAMPLING_RATIO="0.0").code == 0
    assert len(traces_of(path)) == 6


def test_it_answers_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "zebra.txt").write_text("Elephants sleep. Zebras gallop because zebras are zebras.")
    (tmp_path / "sea.md").write_text("The harbour is deep.\n\nThe harbour freezes in winter.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "broken.rst").write_bytes(b"\xff\xfe \x1b[31m lighthouse\x00")
    path = str(tmp_path / "t.db")

    assert run("demo", "--docs", str(tmp_path), "--db", path).code == 0
    first = traces_of(path)[0]
    assert first.info.request_preview == '{"question":"What is said about zebras?"}'
    assert first.info.response_preview == '"Zebras gallop because zebras are zebras."'


@pytest.mark.parametrize("text", [None, "... --- ..."])
def test_a_folder_without_words_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "empty.txt").write_text(text)
    ended = run("demo", "--docs", str(tmp_path), "--db", str(tmp_path / "t.db"))

    assert ended.code == 2
    assert "has no text file (.md, .rst, .txt) with words in it" in ended.err
    assert not (tmp_path / "t.db").exists()
