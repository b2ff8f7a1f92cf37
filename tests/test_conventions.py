"""Conventions of packages that were recorded: what their spans say, and that nothing of the machine is kept."""

from __future__ import annotations

import json
import pathlib
import re

import pytest

from tests.instrumentations import (
    FOREIGN,
    RECORDED,
    Recorded,
    outcome_of_recorded,
    recorded_traces,
    written_outcomes,
)
from tests.model_server import API_KEY
from tracestore.conventions import translation
from tracestore.conventions.translation import ABSENT, translate
from tracestore.entities import Span


def spans_of(file: str, folder: pathlib.Path) -> list[Span]:
    recorded = Recorded("", file, ())
    return [s for trace in recorded_traces(recorded, folder) for s in trace.data.spans]


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.file)
def test_recorded_spans_are_understood(recorded: Recorded) -> None:
    outcome = outcome_of_recorded(recorded)
    assert outcome.failed == []
    assert outcome in written_outcomes()  # the README's table


def test_every_file_is_described_and_keeps_no_secret_and_no_path() -> None:
    sources = json.loads((FOREIGN / "sources.json").read_text("utf-8"))
    assert {path.name for path in FOREIGN.glob("*.jsonl")} == set(sources)
    assert {recorded.file for recorded in RECORDED} == set(sources)
    for name, source in sources.items():
        text = (FOREIGN / name).read_text("utf-8")
        assert API_KEY not in text
        assert not re.search(r"/(root|home|tmp|Users)/|stacktrace|host\.name", text)
        assert (FOREIGN / source["script"]).is_file()


def test_vercel_says_session_user_tools_and_embeddings(tmp_path: pathlib.Path) -> None:
    traces = recorded_traces(RECORDED[0], tmp_path)
    assert {(trace.info.session_id, trace.info.user) for trace in traces} == {("session-7", "ada")}
    tools = traces[1].data.spans[1].get_attribute("mlflow.chat.tools")
    assert tools[0]["function"]["parameters"]["required"] == ["city"]
    assert [span.span_type for span in traces[1].data.spans] == ["LLM", "CHAT_MODEL", "TOOL"]
    embed, embed_many = (trace.data.spans[0] for trace in traces[-2:])
    assert (embed.span_type, embed.inputs, embed.outputs) == ("EMBEDDING", "one", [0.5, 0.25])
    assert (embed_many.inputs, embed_many.outputs) == (["one", "two"], [[0.5, 0.25], [0.5, 0.25]])


@pytest.mark.parametrize("file", ["pydantic_ai.jsonl", "pydantic_ai_0_4.jsonl"])
def test_an_agent_is_given_what_a_person_said(file: str, tmp_path: pathlib.Path) -> None:
    spans = spans_of(file, tmp_path)
    agents = [span for span in spans if span.span_type == "AGENT"]
    assert [span.inputs["messages"][-1] for span in agents] == [
        {"role": "user", "content": "why"},
        {"role": "user", "content": "use a tool"},
    ]
    assert [span.outputs for span in agents] == ["WHY", "SUNNY IN PARIS"]
    (tool,) = (span for span in spans if span.span_type == "TOOL")
    assert (tool.inputs, tool.outputs) == ({"city": "Paris"}, "sunny in Paris")
    answered = spans[-1].inputs["messages"][-1]
    assert answered == {
        "role": "tool",
        "content": "sunny in Paris",
        "tool_call_id": "call_1",
    } | ({"name": "weather"} if "name" in answered else {})


@pytest.mark.parametrize(
    "attributes",
    [
        {"events": '[1, {}, {"event.name": 1}, "x"]'},
        {"events": "no list"},
        {"events": 7},
        {"gen_ai.usage.raw": "[]"},
        {"gen_ai.usage.raw": '{"prompt_tokens_details": 3, "cache_read_input_tokens": "x"}'},
        {"pydantic_ai.all_messages": "{"},
        {"pydantic_ai.all_messages": "[[], 3]"},
    ],
)
def test_values_of_the_wrong_form_are_passed_over(attributes: dict[str, object]) -> None:
    said = translate(attributes)
    assert (said.inputs, said.outputs, said.attributes) == (ABSENT, ABSENT, {})


def test_json_texts_that_are_none_stay_texts() -> None:
    assert translation._each_decoded(['"a"', '"a" b', "[", '"a", "b"', 3]) == [
        "a",
        '"a" b',
        "[",
        '"a", "b"',
        3,
    ]
