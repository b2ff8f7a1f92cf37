"""Recorded values as people read them: conversations, documents, outlines that say what they leave out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracestore.display.payload import (
    Allowance,
    cut,
    documents_in,
    messages_in,
    outline,
    preview_text,
    tools_in,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def _said(value: Any) -> list[tuple[str, list[tuple[str, Any]]]]:
    messages = messages_in(value)
    assert messages is not None
    return [(m.role, [(part.title, part.value) for part in m.parts]) for m in messages]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param([{"role": "user", "content": "hi"}], [("user", [("", "hi")])], id="openai"),
        pytest.param({"role": "user", "content": "hi"}, [("user", [("", "hi")])], id="one message"),
        pytest.param(
            [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "audio", "n": 1}]}],
            [("user", [("", "hi"), ("audio", {"type": "audio", "n": 1})])],
            id="parts",
        ),
        pytest.param(
            [{"role": "user", "content": ["hi", 7]}], [("user", [("", "hi"), ("", 7)])], id="bare parts"
        ),
        pytest.param(
            [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]}],
            [("assistant", [("calls f", {"a": 1})])],
            id="tool calls",
        ),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]},
             {"role": "user", "content": [{"type": "tool_result", "content": "1"}]}],
            [("assistant", [("calls f", {"a": 1})]), ("user", [("result", "1")])],
            id="anthropic",
        ),
        pytest.param(
            [{"type": "function_call", "name": "f", "arguments": "{no json"},
             {"type": "function_call_output", "output": "1"},
             {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
            [("assistant", [("calls f", "{no json")]), ("tool", [("result", "1")]), ("assistant", [("", "hi")])],
            id="responses",
        ),
        pytest.param(
            [{"role": "model", "parts": [{"text": "hi"}]}], [("model", [("", "hi")])], id="gemini"
        ),
        pytest.param(
            [[{"type": "human", "content": "hi"}, {"type": "ai", "content": "ho"}]],
            [("user", [("", "hi")]), ("assistant", [("", "ho")])],
            id="langchain",
        ),
        pytest.param(
            [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
            [("assistant", [("", "hi")])],
            id="choices",
        ),
        pytest.param(
            [{"role": "tool", "content": '{"high":24}'}, {"role": "tool", "content": "[1]"},
             {"role": "user", "content": '{"high":24}'}, {"role": "tool", "content": "24"}],
            [("tool", [("", {"high": 24})]), ("tool", [("", [1])]), ("user", [("", '{"high":24}')]), ("tool", [("", "24")])],
            id="what tools answered",
        ),
    ],
)  # fmt: skip
def test_messages_of_providers_are_read(value: Any, expected: Any) -> None:
    assert _said(value) == expected


@pytest.mark.parametrize(
    "value",
    [None, "hi", [], {}, {"role": "user"}, [{"role": 1, "content": ""}], [{"role": "a", "content": 1}, 2], [[]]],
)  # fmt: skip
def test_other_values_are_no_conversation(value: Any) -> None:
    assert messages_in(value) is None


def test_message_keeps_what_it_does_not_know() -> None:
    messages = messages_in([{"role": "user", "content": "hi", "name": "kim", "refusal": None}])

    assert messages is not None
    assert messages[0].extra == {"name": "kim"}


def test_documents_keep_text_source_and_the_rest() -> None:
    documents = documents_in(
        [
            {"page_content": "a", "metadata": {"source": "a.md", "score": 0.5}},
            {"page_content": "b", "metadata": "odd", "id": "7"},
        ]
    )

    assert documents is not None
    assert [(d.source, d.text, d.extra) for d in documents] == [
        ("a.md", "a", {"score": 0.5}),
        ("7", "b", {"metadata": "odd"}),
    ]


@pytest.mark.parametrize("value", [None, [], ["a"], [{"page_content": 1}], [{"text": "a"}]])
def test_other_values_are_no_documents(value: Any) -> None:
    assert documents_in(value) is None


def test_tools_of_providers_are_read() -> None:
    schema = {"type": "object"}
    offered = [
        {"type": "function", "function": {"name": "a", "description": "A.", "parameters": schema}},
        {"name": "b", "input_schema": schema},
    ]

    tools = tools_in(offered)

    assert tools is not None
    assert [(t.name, t.description, t.schema) for t in tools] == [
        ("a", "A.", schema),
        ("b", "", schema),
    ]


@pytest.mark.parametrize(
    "value", [None, [], ["a"], [{"name": "a"}], [{"name": 1, "parameters": {}}]]
)
def test_other_values_are_no_tools(value: Any) -> None:
    assert tools_in(value) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ""),
        ("null", ""),
        ("no JSON {", "no JSON {"),
        ('"a \\"text\\""', 'a "text"'),
        ('{"question":"Why?"}', "Why?"),
        ('{"question":"Why?","k":3,"user":{"id":1}}', 'question: Why?, k: 3, user: {"id":1}'),
        ("[1,2]", "[1,2]"),
        ("\ud800", "\ud800"),
    ],
)
def test_previews_read_as_people_write(text: str | None, expected: str) -> None:
    assert preview_text(text) == expected


def test_a_few_scalars_are_one_line() -> None:
    value = {"price": {"amount": 1.5, "currency": "EUR"}, "seats": ["1a", "1b"], "note": "a\nb"}

    assert outline(value).splitlines() == [
        "{",
        '  "price": {"amount": 1.5, "currency": "EUR"},',
        '  "seats": ["1a", "1b"],',
        '  "note": "a',
        '  b"',
        "}",
    ]
    assert len(outline({"a": {"b": "c"}}, is_folded=False).splitlines()) == 5


@given(_JSON)
def test_outline_of_a_small_value_is_its_json(value: Any) -> None:
    written = outline(value, 100_000)

    # Line breaks in texts are the one thing that an outline writes otherwise; none is drawn here by chance
    # without its escape being what tells them apart.
    if "\n" not in json.dumps(value, ensure_ascii=False).replace("\\n", "\n"):
        assert json.loads(written) == value


@given(_JSON, st.integers(0, 200))
def test_outline_keeps_its_limit(value: Any, most: int) -> None:
    assert len(outline(value, most)) <= most + 60


def test_outline_shows_what_follows_a_long_text() -> None:
    written = outline({"image": "A" * 3_000_000, "caption": "a cat"})

    assert '"caption": "a cat"' in written
    assert "3.0 MB more" in written


def test_outline_says_what_it_left_out() -> None:
    assert "… 900 more items" in outline([{}] * 1_000, 100_000)
    assert "… 1 more key" in outline(dict.fromkeys(map(str, range(101))), 100_000)
    assert outline([0.5] * 1_536).endswith("… 1,504 more]")
    assert outline(["a" * 50] * 90, 1_000).endswith("… cut; 4.8 kB in all")


def test_outline_keeps_line_breaks() -> None:
    assert outline({"a": "one\ntwo"}) == '{\n  "a": "one\n  two"\n}'


def test_outline_survives_what_is_no_json() -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = {"in": deep}

    assert outline({1: {1, 2}, "b": b"x", "n": 10**5_000}, 1_000).count("<") == 3
    assert "…" in outline(ring)
    assert "…" in outline(deep)
    assert outline([object()] * 20, 40).endswith("… cut")  # its size in JSON is not known


def test_cut_names_the_size_of_the_rest() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcé", 3) == "abc… 2 B more"
    assert cut("x" * 1_200_100, 100).endswith("… 1.2 MB more")
    assert cut("a\ud800", 1) == "a… 3 B more"


def test_allowance_runs_out() -> None:
    allowance = Allowance(10)

    assert allowance.cut("12345678") == "12345678"
    assert allowance.cut("abcd") == "ab… 2 B more"
    assert allowance.outline({"a": 1}) == "… cut; 7 B in all"
