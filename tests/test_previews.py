"""Previews: the message that a person looks for in whatever shape a chat has, bounded, and never an image."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracestore
from tracestore.encoding import encode_text
from tracestore.store import Store
from tracestore.summary.preview import MAX_CHARACTERS, request_preview, response_preview


class Case(NamedTuple):
    """Inputs or outputs, the preview of them, and whether MLflow 3.17.2 shows the same."""

    name: str
    role: str
    value: Any
    preview: str
    as_mlflow: bool = True


def said(*messages: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in messages]


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000}}
CLAUDE_IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "A" * 5_000},
}
TOOL_CALL = {"id": "c", "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}}
HUMAN = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "schema", "messages", "HumanMessage"],
    "kwargs": {"content": "Why?", "type": "human"},
}

CASES = (
    Case(
        "openai",
        "user",
        {"messages": said(("system", "s"), ("user", "a"), ("user", "Why?"))},
        "Why?",
    ),
    Case(
        "last user, not last",
        "user",
        {"messages": said(("user", "Why?"), ("assistant", "b"))},
        "Why?",
    ),
    Case("no user", "user", {"messages": said(("system", "s"), ("tool", "t"))}, "t"),
    Case(
        "parts",
        "user",
        {"messages": said(("user", [IMAGE, {"type": "text", "text": "Why?"}]))},
        "Why?",
    ),
    Case("texts as parts", "user", {"messages": said(("user", ["Why?", "b"]))}, "Why?"),
    Case("choice", "assistant", {"choices": [{"message": said(("assistant", "b"))[0]}]}, "b"),
    Case(
        "first of choices",
        "assistant",
        {"choices": [{"message": m} for m in said(("assistant", "b"), ("assistant", "c"))]},
        "b",
    ),
    Case("responses request", "user", {"model": "m", "input": said(("user", "Why?"))}, "Why?"),
    Case(
        "responses answer",
        "assistant",
        {
            "output": [
                {"type": "reasoning", "summary": []},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "b", "annotations": []}],
                },
            ]
        },
        "b",
    ),
    Case("agent request", "user", {"request": {"input": said(("user", "Why?"))}}, "Why?"),
    Case("anthropic request", "user", {"system": "s", "messages": said(("user", "Why?"))}, "Why?"),
    Case("no chat", "user", {"question": "Why?"}, '{"question":"Why?"}'),
    Case("a text", "user", "Why?", '"Why?"'),
    Case("nothing", "assistant", None, "null"),
    Case("no messages", "user", {"messages": []}, '{"messages":[]}'),
    Case("documents", "assistant", [{"content": "d"}], '[{"content":"d"}]'),
    Case(
        "an unknown role of its own",
        "user",
        {"role": "admin", "content": "c"},
        '{"role":"admin","content":"c"}',
    ),
    # Where MLflow shows JSON, or an image.
    Case("responses prompt", "user", {"model": "m", "input": "Why?"}, "Why?", False),
    Case(
        "anthropic answer",
        "assistant",
        {"type": "message", **said(("assistant", [{"type": "text", "text": "b"}]))[0]},
        "b",
        False,
    ),
    Case(
        "anthropic tool result last",
        "user",
        {
            "messages": said(
                ("user", "Why?"),
                ("assistant", [{"type": "tool_use", "id": "t", "name": "get", "input": {"a": 1}}]),
                ("user", [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]),
            )
        },
        "Why?",
        False,
    ),
    Case(
        "tool call only",
        "assistant",
        {
            "choices": [
                {"message": {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}}
            ]
        },
        'get({"a":1})',
        False,
    ),
    Case(
        "tool call without a name",
        "assistant",
        {"choices": [{"message": {"content": None, "tool_calls": [{"id": "c"}]}}]},
        '{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c"}]}}]}',
        True,
    ),
    Case(
        "tool use only",
        "assistant",
        {"role": "assistant", "content": [{"type": "tool_use", "name": "get", "input": {"a": 1}}]},
        'get({"a":1})',
        False,
    ),
    Case("image only", "user", {"messages": said(("user", [IMAGE]))}, "[image]", False),
    Case(
        "image only for Claude",
        "user",
        {"messages": said(("user", [CLAUDE_IMAGE]))},
        "[image]",
        False,
    ),
    Case("list of messages", "user", said(("user", "Why?"), ("assistant", "b")), "Why?", False),
    Case("gemini prompt", "user", {"model": "m", "contents": "Why?"}, "Why?", False),
    Case(
        "gemini contents",
        "user",
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [{"inline_data": {"mime_type": "image/png"}}, {"text": "Why?"}],
                },
                {"role": "model", "parts": [{"text": "b"}]},
            ]
        },
        "Why?",
        False,
    ),
    Case(
        "gemini answer",
        "assistant",
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "b"}]}}]},
        "b",
        False,
    ),
    Case(
        "gemini call",
        "assistant",
        {
            "candidates": [
                {
                    "content": {
                        "parts": [{"functionCall": {"name": "get", "args": {"a": 1}}}],
                        "role": "model",
                    }
                }
            ]
        },
        'get({"a":1})',
        False,
    ),
    Case(
        "bedrock converse",
        "assistant",
        {"output": {"message": said(("assistant", [{"text": "b"}]))[0]}},
        "b",
        False,
    ),
    Case("ollama", "assistant", {"model": "m", "message": said(("assistant", "b"))[0]}, "b", False),
    Case(
        "langchain types",
        "user",
        {"messages": [{"type": "human", "content": "Why?"}]},
        "Why?",
        False,
    ),
    Case("langchain batch", "user", [[{"type": "human", "content": "Why?"}]], "Why?", False),
    Case("langchain json", "user", [[HUMAN]], "Why?", False),
    Case(
        "langchain generations",
        "assistant",
        {
            "generations": [
                [{"text": "b", "generation_info": None, "message": {"type": "ai", "content": "b"}}]
            ]
        },
        "b",
        False,
    ),
    Case(
        "completion", "assistant", {"choices": [{"text": "b", "finish_reason": "stop"}]}, "b", False
    ),
    Case(
        "langgraph state",
        "assistant",
        {"messages": [{"type": "human", "content": "Why?"}, {"type": "ai", "content": "b"}]},
        "b",
        False,
    ),
)


def preview_of(value: Any, role: str) -> str | None:
    return (request_preview if role == "user" else response_preview)(encode_text(value))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_preview_is_the_message_a_person_looks_for(case: Case) -> None:
    assert preview_of(case.value, case.role) == case.preview


def test_base64_is_left_out_of_json() -> None:
    data = "iVBORw0KGgo" * 20_000
    for value in (
        {"image": f"data:image/png;base64,{data}", "question": "Why?"},
        {"source": {"type": "base64", "media_type": "image/png", "data": data}, "question": "Why?"},
        {"b64_json": data, "question": "Why?"},
    ):
        preview = preview_of(value, "user") or ""
        assert len(preview) < 150
        assert preview.endswith('"question":"Why?"}')
    plain = {"data": "a plain text", "letters": "x" * 500}
    assert preview_of(plain, "user") == encode_text(plain)


def test_preview_is_at_most_a_thousand_characters() -> None:
    long = {"messages": said(("user", "é" * 5_000))}
    assert preview_of(long, "user") == "é" * 997 + "..."
    assert preview_of({"a": "x" * 5_000}, "user") == encode_text({"a": "x" * 5_000})[:997] + "..."
    exact = {"messages": said(("user", "y" * 1_000))}
    assert preview_of(exact, "user") == "y" * 1_000


def test_previews_that_are_given_win_and_none_are_none(recording: Store) -> None:
    with tracestore.start_span("chat") as span:
        span.set_inputs({"messages": said(("user", "Why?"))})
        tracestore.update_current_trace(request_preview="mine")
    info = recording.get_trace(span.trace_id).info
    assert (info.request_preview, info.response_preview) == ("mine", None)


KEYS = [
    "messages",
    "role",
    "content",
    "parts",
    "type",
    "text",
    "choices",
    "message",
    "input",
    "output",
    "kwargs",
    "id",
    "tool_calls",
    "function",
    "candidates",
    "generations",
    "functionCall",
    "inline_data",
    "model",
    "finish_reason",
]
ROLES = ["user", "assistant", "human", "tool_use", "image"]

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(ROLES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(NESTED, st.sampled_from(["user", "assistant"]))
def test_any_json_has_a_bounded_preview(value: Any, role: str) -> None:
    preview = preview_of(value, role)
    assert preview is not None
    assert len(preview) <= MAX_CHARACTERS


@pytest.mark.parametrize("text", ["[" * 50_000 + '"content"', '{"content', '"content" \ud800', ""])
def test_text_that_is_no_json_is_its_own_preview(text: str) -> None:
    assert len(request_preview(text) or "") <= MAX_CHARACTERS


def test_cases_name_their_shapes_once() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert json.dumps([case.value for case in CASES])
