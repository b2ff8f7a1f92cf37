"""Auto-tracing of the real `openai` package, against a local server that speaks its wire format."""

from __future__ import annotations

import asyncio
import functools
import gc
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions
from pydantic import BaseModel

import tracestore
from tests.guides.openai_server import API_KEY, openai_server
from tests.guides.running import recording_into
from tracestore.entities import Span, Trace
from tracestore.openai import assemble
from tracestore.store import Store

TOKENS = {
    "input_tokens": 11,
    "output_tokens": 3,
    "total_tokens": 14,
    "cache_read_input_tokens": 5,
}
TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with openai_server() as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key=API_KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Store]:
    with recording_into(tmp_path / "traces.db") as store:
        tracestore.openai.autolog()
        try:
            yield store
        finally:
            tracestore.openai.autolog(disable=True)


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


def only_trace(store: Store) -> Trace:
    (trace,) = store.search_traces()
    assert API_KEY not in trace.to_json()
    return trace


def only_span(store: Store) -> Span:
    (span,) = only_trace(store).data.spans
    return span


def test_a_completion_is_a_span(store: Store, client: openai.OpenAI) -> None:
    absent: Any = openai.NOT_GIVEN  # as programs for the package's version 1 give it
    completion = client.chat.completions.create(
        model="gpt-4",
        messages=ask("why sqlite?"),
        temperature=0.5,
        extra_headers={"X-Secret": API_KEY},
        timeout=20,
        user=absent,
    )

    assert completion.choices[0].message.content == "WHY SQLITE?"
    trace = only_trace(store)
    (span,) = trace.data.spans
    assert (span.name, span.span_type, str(trace.info.state)) == ("Completions", "CHAT_MODEL", "OK")
    assert span.inputs == {"model": "gpt-4", "messages": ask("why sqlite?"), "temperature": 0.5}
    assert span.outputs == completion.model_dump(mode="json")
    assert span.attributes["model"] == "gpt-4"
    assert span.attributes["temperature"] == 0.5
    assert span.attributes["mlflow.llm.model"] == "gpt-4-2025"
    assert span.attributes["mlflow.chat.tokenUsage"] == TOKENS
    assert span.attributes["mlflow.message.format"] == "openai"
    assert "messages" not in span.attributes
    assert trace.info.token_usage == TOKENS
    assert trace.info.request_preview == "why sqlite?"
    assert trace.info.response_preview == "WHY SQLITE?"


def test_a_completion_goes_under_the_current_span(store: Store, client: openai.OpenAI) -> None:
    with tracestore.start_span("outer") as outer:
        client.chat.completions.create(model="gpt-4", messages=ask("a"))
        client.chat.completions.create(model="gpt-4", messages=ask("b"))
        assert tracestore.get_current_active_span() is outer

    spans = only_trace(store).data.spans
    assert [(span.name, span.parent_id) for span in spans] == [
        ("outer", None),
        ("Completions", outer.span_id),
        ("Completions", outer.span_id),
    ]
    assert only_trace(store).info.token_usage == {key: 2 * count for key, count in TOKENS.items()}


def test_tool_calls_are_recorded(store: Store, client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4", messages=ask("use a tool"), tools=TOOLS)

    span = only_span(store)
    assert span.attributes["mlflow.chat.tools"] == TOOLS
    assert span.outputs["choices"][0]["message"]["tool_calls"] == [TOOL_CALL]


@pytest.mark.parametrize(
    ("status", "error"), [(429, openai.RateLimitError), (500, openai.InternalServerError)]
)
def test_an_error_is_recorded_and_raised(
    store: Store, client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error, match=f"refused with {status}"):
        client.chat.completions.create(model="gpt-4", messages=ask(f"fail {status}"))

    trace = only_trace(store)
    span = trace.data.spans[0]
    assert str(trace.info.state) == "ERROR"
    assert [event.name for event in span.events] == ["exception"]
    assert span.events[0].attributes["exception.type"] == error.__name__
    assert span.attributes["mlflow.llm.model"] == "gpt-4"
    assert span.outputs is None


def test_a_stream_is_assembled(store: Store, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4",
        messages=ask("one two"),
        stream=True,
        stream_options={"include_usage": True},
    )
    assert isinstance(stream, openai.Stream)
    (running,) = store.live
    assert str(store.get_trace(running).info.state) == "IN_PROGRESS"
    texts = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]

    assert "".join(texts) == "ONE TWO "
    span = only_span(store)
    assert span.outputs == {
        "object": "chat.completion",
        "id": "chatcmpl-2",
        "created": 1_750_000_000,
        "model": "gpt-4-2025",
        "usage": span.outputs["usage"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ONE TWO "},
                "finish_reason": "stop",
            }
        ],
    }
    assert span.attributes["mlflow.chat.tokenUsage"] == TOKENS
    assert span.attributes["stream"] is True
    assert [event.name for event in span.events] == [f"mlflow.chunk.item.{n}" for n in range(5)]
    assert only_trace(store).info.response_preview == "ONE TWO "


def test_streamed_tool_calls_are_assembled(store: Store, client: openai.OpenAI) -> None:
    list(client.chat.completions.create(model="gpt-4", messages=ask("use a tool"), stream=True))

    (choice,) = only_span(store).outputs["choices"]
    assert choice["message"]["tool_calls"] == [TOOL_CALL]
    assert choice["finish_reason"] == "tool_calls"


def test_a_closed_stream_ends_with_what_was_read(store: Store, client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="gpt-4", messages=ask("one two three"), stream=True
    ) as stream:
        next(stream)
        next(stream)

    trace = only_trace(store)
    assert str(trace.info.state) == "OK"
    assert trace.data.spans[0].outputs["choices"][0]["message"]["content"] == "ONE "


def test_a_closed_event_stream_ends_too(store: Store, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4", messages=ask("one two")) as stream:
        next(stream)

    assert str(only_trace(store).info.state) == "OK"


def test_an_event_stream_is_recorded_once(store: Store, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4", messages=ask("one two")) as stream:
        completion = stream.get_final_completion()

    assert completion.choices[0].message.content == "ONE TWO "
    assert only_span(store).outputs["choices"][0]["message"]["content"] == "ONE TWO "


@pytest.mark.parametrize("read", [0, 1])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_dropped_stream_ends(store: Store, client: openai.OpenAI, read: int) -> None:
    stream = client.chat.completions.create(model="gpt-4", messages=ask("one two"), stream=True)
    for _ in range(read):
        next(stream)
    del stream
    gc.collect()

    assert str(only_trace(store).info.state) == "OK"


def test_a_stream_that_breaks_off_is_an_error(store: Store, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="gpt-4", messages=ask("hang up"), stream=True)

    with pytest.raises(openai.APIError, match="the server is tired"):
        list(stream)

    trace = only_trace(store)
    assert str(trace.info.state) == "ERROR"
    assert trace.data.spans[0].outputs["choices"][0]["message"]["content"] == "HANG UP "
    assert trace.data.spans[0].events[-1].attributes["exception.message"] == "the server is tired"


def test_async_calls_and_streams_are_recorded(store: Store, url: str) -> None:
    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=url, api_key=API_KEY, max_retries=0) as client:
            create = client.chat.completions.create
            answers = await asyncio.gather(
                *(create(model="gpt-4", messages=ask(f"number {n}")) for n in range(10))
            )
            stream = await create(model="gpt-4", messages=ask("one two"), stream=True)
            texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            async with await create(
                model="gpt-4", messages=ask("three four"), stream=True
            ) as closed:
                async for _ in closed:
                    break
            with pytest.raises(openai.RateLimitError):
                await create(model="gpt-4", messages=ask("fail 429"))
        assert "".join(texts) == "ONE TWO "
        return [answer.choices[0].message.content or "" for answer in answers]

    with tracestore.start_span("outer") as outer:
        answers = asyncio.run(run())

    spans = only_trace(store).data.spans[1:]
    assert {(span.name, span.parent_id) for span in spans} == {("AsyncCompletions", outer.span_id)}
    found = {
        span.inputs["messages"][0]["content"]: (
            span.outputs and span.outputs["choices"][0]["message"]["content"]
        )
        for span in spans
    }
    assert found == {
        **{f"number {n}": answers[n] for n in range(10)},
        "one two": "ONE TWO ",
        "three four": "",
        "fail 429": None,
    }
    assert all(span.end_time_ns is not None for span in spans)


def test_raw_responses_are_recorded_and_left_alone(store: Store, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4", messages=ask("a b"))

    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().choices[0].message.content == "A B"
    span = only_span(store)
    assert span.outputs["choices"][0]["message"]["content"] == "A B"
    assert "extra_headers" not in span.inputs


def test_parsed_completions_are_recorded(store: Store, client: openai.OpenAI) -> None:
    class Answer(BaseModel):
        N: int

    completion = client.chat.completions.parse(
        model="gpt-4", messages=ask('{"n": 1}'), response_format=Answer
    )

    assert completion.choices[0].message.parsed == Answer(N=1)
    assert only_span(store).outputs["choices"][0]["message"]["content"] == '{"N": 1}'


def test_autolog_is_idempotent_and_can_be_undone(
    client: openai.OpenAI, tmp_path: pathlib.Path
) -> None:
    originals = (Completions.create, AsyncCompletions.create)
    with recording_into(tmp_path / "traces.db") as store:
        tracestore.openai.autolog()
        tracestore.openai.autolog(silent=True)
        assert Completions.create is not originals[0]
        client.chat.completions.create(model="gpt-4", messages=ask("a"))
        assert len(only_trace(store).data.spans) == 1

        tracestore.openai.autolog(disable=True)
        assert (Completions.create, AsyncCompletions.create) == originals
        tracestore.openai.autolog(log_traces=False)
        client.chat.completions.create(model="gpt-4", messages=ask("a"))
        assert store.count_traces() == 1


def test_another_librarys_wrapper_stays(
    client: openai.OpenAI, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording_into(tmp_path / "traces.db") as store, monkeypatch.context() as patches:
        tracestore.openai.autolog()
        ours = Completions.create

        @functools.wraps(ours)
        def theirs(*args: Any, **kwargs: Any) -> Any:
            return ours(*args, **kwargs)

        patches.setattr(Completions, "create", theirs)
        tracestore.openai.autolog()
        client.chat.completions.create(model="gpt-4", messages=ask("a"))
        tracestore.openai.autolog(disable=True)

        assert Completions.create is theirs
        assert len(only_trace(store).data.spans) == 1
    tracestore.openai.autolog(disable=True)


def test_the_signature_stays(store: Store) -> None:
    assert store.count_traces() == 0
    assert Completions.create.__name__ == "create"
    with pytest.raises(TypeError, match="messages"):
        openai.OpenAI(api_key=API_KEY).chat.completions.create(model="gpt-4")  # type: ignore[call-overload]
    assert str(only_trace(store).info.state) == "ERROR"


def test_nothing_is_recorded_while_tracing_is_off(store: Store, client: openai.OpenAI) -> None:
    with tracestore.tracing.context(enabled=False):
        completion = client.chat.completions.create(model="gpt-4", messages=ask("a"))
        chunks = list(client.chat.completions.create(model="gpt-4", messages=ask("a"), stream=True))

    assert completion.choices[0].message.content == "A"
    assert len(chunks) == 3
    assert store.count_traces() == 0


def test_a_failure_of_recording_leaves_the_call_alone(
    store: Store,
    client: openai.OpenAI,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of order")

    for name in ("_record_request", "_record_completion", "_watch"):
        monkeypatch.setattr(f"tracestore.openai.{name}", fail)

    completion = client.chat.completions.create(model="gpt-4", messages=ask("a"))
    chunks = list(client.chat.completions.create(model="gpt-4", messages=ask("a"), stream=True))

    assert completion.choices[0].message.content == "A"
    assert len(chunks) == 3
    assert "a response of OpenAI was not recorded: RuntimeError: out of order" in caplog.text
    assert store.count_traces("status = 'OK'") == 2


def test_without_the_package_the_error_says_what_to_install() -> None:
    child = """
import sys
sys.modules["openai"] = None
import tracestore
try:
    tracestore.openai.autolog()
except ImportError as error:
    assert isinstance(error, tracestore.TracestoreError)
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)

    assert (
        done.stdout == 'tracing OpenAI calls needs the openai package: pip install "openai>=1.50"\n'
    )


def test_parallel_choices_are_assembled_apart() -> None:
    def chunk(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": reason}]}

    chunks = [chunk(1, "b"), chunk(0, "a"), chunk(1, "B", "stop"), chunk(0, "A", "length")]

    assert [
        (choice["index"], choice["message"]["content"], choice["finish_reason"])
        for choice in assemble(chunks)["choices"]
    ] == [(0, "aA", "length"), (1, "bB", "stop")]
