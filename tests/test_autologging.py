"""Auto-tracing with the real packages: each instrumentation in its scenario, and the switches."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import tracestore
from tests.instrumentations import SCENARIOS, written_outcomes
from tests.model_server import API_KEY, model_server
from tracestore import autologging
from tracestore.autologging import LIBRARIES, Library
from tracestore.capture.context import outside
from tracestore.errors import MissingPackageError
from tracestore.otel import tracer_provider
from tracestore.store import Store


@pytest.fixture
def url(recording: Store) -> Iterator[str]:
    assert recording.path
    with model_server() as url:
        yield url
    tracestore.autolog(disable=True)
    assert autologging._active == {}
    outside.find = None
    tracer_provider.cache_clear()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What `python -m tests.instrumentations` found: a process of its own, for one package leaves its wrappers."""
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.instrumentations", "--json"],
        check=True,
        capture_output=True,
        text=True,
        timeout=110,
    ).stdout
    return {row["package"]: row for row in map(json.loads, printed.splitlines())}


@pytest.mark.parametrize("package", [scenario.package for scenario in SCENARIOS])
def test_spans_of_real_packages_are_understood(
    outcomes: dict[str, dict[str, Any]], package: str
) -> None:
    outcome = outcomes[package]
    assert outcome["failed"] == []
    assert outcome["checks"] >= 35
    [written] = [row for row in written_outcomes() if row.package == package]
    if written.version == outcome["version"]:  # else the README's table is of another release
        assert written._asdict() == outcome


def test_everything_at_once_is_one_trace_with_tokens_counted_once(
    recording: Store, url: str
) -> None:
    tracestore.autolog()
    tracestore.autolog()
    model: Any = importlib.import_module("langchain_openai").ChatOpenAI(
        base_url=f"{url}/v1", api_key=API_KEY, model="gpt-4", max_retries=0
    )
    runnables: Any = importlib.import_module("langchain_core.runnables")

    @tracestore.trace
    def shorten(message: Any) -> str:
        return str(message.content)[:1]

    chain = model | runnables.RunnableLambda(shorten)
    with tracestore.start_span("request"):
        assert chain.invoke("why") == "W"
    (found,) = recording.search_traces()
    names = {span.span_id: span.name for span in found.data.spans}
    tree = [(span.name, names.get(span.parent_id or "")) for span in found.data.spans]
    assert tree == [
        ("request", None),
        ("RunnableSequence", "request"),
        ("ChatOpenAI", "RunnableSequence"),
        ("Completions", "ChatOpenAI"),
        ("shorten", "RunnableSequence"),  # LangChain's run of the function
        ("shorten", "shorten"),  # the function
    ]
    assert found.info.token_usage is not None
    assert found.info.token_usage["total_tokens"] == 14
    assert API_KEY not in found.to_json()


def test_a_stream_that_is_left_leaves_nothing_current(recording: Store, url: str) -> None:
    tracestore.langchain.autolog()
    model: Any = importlib.import_module("langchain_openai").ChatOpenAI(
        base_url=f"{url}/v1", api_key=API_KEY, model="gpt-4", max_retries=0
    )
    stream = model.stream("one two three")
    next(stream)
    stream.close()
    with tracestore.start_span("later"):
        pass
    (later,) = recording.search_traces("name = 'later'")
    assert [span.name for span in later.data.spans] == ["later"]
    tracestore.langchain.autolog(disable=True)


def test_off_means_off(recording: Store, url: str) -> None:
    anthropic: Any = importlib.import_module("anthropic")
    messages = anthropic.resources.messages
    kinds = (messages.Messages, messages.AsyncMessages)
    before = [vars(kind)[name] for kind in kinds for name in ("create", "stream")]
    assert {type(function) for function in before} == {types.FunctionType}  # nobody left a wrapper
    tracestore.anthropic.autolog()
    assert messages.Messages.create is not before[0]
    tracestore.anthropic.autolog(disable=True)
    after = [vars(kind)[name] for kind in kinds for name in ("create", "stream")]
    assert all(one is other for one, other in zip(after, before, strict=True))
    with anthropic.Anthropic(base_url=url, api_key=API_KEY) as client:
        client.messages.create(
            model="c", max_tokens=1, messages=[{"role": "user", "content": "why"}]
        )
    assert [
        (t.info.name, t.data.spans[0].attributes.get("otel.span"))
        for t in recording.search_traces()
    ] == []


@pytest.mark.usefixtures("url")
def test_what_the_application_instrumented_is_left_alone() -> None:
    module: Any = importlib.import_module("openinference.instrumentation.anthropic")
    instrumentor = module.AnthropicInstrumentor()
    instrumentor.instrument()
    try:
        tracestore.anthropic.autolog()
        tracestore.autolog()
        tracestore.autolog(disable=True)
        assert instrumentor.is_instrumented_by_opentelemetry
    finally:
        instrumentor.uninstrument()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPackageError, match="pip install llama-index-core"):
        tracestore.llama_index.autolog()
    known = Library("json", "json", (("some-instrumentor", "no_such_module:Instrumentor"),))
    monkeypatch.setitem(LIBRARIES, "groq", known)
    with pytest.raises(MissingPackageError, match="pip install some-instrumentor"):
        tracestore.groq.autolog()
    tracestore.groq.autolog(disable=True)


def test_openai_embeddings_and_responses_are_spans(recording: Store, url: str) -> None:
    tracestore.openai.autolog()
    try:
        with openai.OpenAI(base_url=f"{url}/v1", api_key=API_KEY) as client:
            client.embeddings.create(model="embed", input=["a", "b"])
            client.responses.create(model="gpt-5", input="hi")
            stream = client.responses.create(model="gpt-5", input="stream", stream=True)
            assert len(list(stream)) == 3
    finally:
        tracestore.openai.autolog(disable=True)
    embedding, response, streamed = reversed(recording.search_traces())
    (span,) = embedding.data.spans
    assert (span.name, span.span_type, span.model_name) == ("Embeddings", "EMBEDDING", "embed")
    assert span.inputs == {"model": "embed", "input": ["a", "b"]}
    assert span.outputs["data"][1]["embedding"] == [0.5, 0.25]
    assert embedding.info.token_usage is not None
    assert embedding.info.token_usage["input_tokens"] == 4
    for found, text in ((response, "HI"), (streamed, "STREAM")):
        (span,) = found.data.spans
        assert (span.name, span.span_type) == ("Responses", "CHAT_MODEL")
        assert span.outputs["output"][0]["content"][0]["text"] == text
        assert found.info.token_usage == {
            "input_tokens": 6,
            "output_tokens": 2,
            "total_tokens": 8,
            "cache_read_input_tokens": 1,
        }
        assert API_KEY not in found.to_json()
