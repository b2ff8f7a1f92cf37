"""Guide 004: manual tracing on three levels, with auto-tracing, and previews of one's own."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator, Iterator

import openai
import pytest

import tracestore as mlflow
from tests.guides.openai_server import API_KEY, openai_server
from tests.guides.running import recording_into, run_here
from tracestore.entities import Trace
from tracestore.store import Store


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Store]:
    with recording_into(tmp_path / "traces.db") as store:
        yield store


def only_trace(store: Store) -> Trace:
    (trace,) = store.search_traces()
    return trace


def shape(trace: Trace) -> list[tuple[str, str | None]]:
    """Return each span's name and its parent's name."""
    names = {span.span_id: span.name for span in trace.data.spans}
    return [(span.name, names.get(span.parent_id or "")) for span in trace.data.spans]


def test_decorated_functions_nest(store: Store) -> None:
    names = run_here("guide_004_decorator")

    assert names["process_request"]("why?") == "an answer to why?"

    trace = only_trace(store)
    assert shape(trace) == [("process_request", None), ("generate_response", "process_request")]
    assert [span.span_type for span in trace.data.spans] == ["CHAIN", "LLM"]
    assert [span.inputs for span in trace.data.spans] == [{"query": "why?"}] * 2
    assert [span.outputs for span in trace.data.spans] == ["an answer to why?"] * 2


def test_exceptions_are_recorded_and_go_on(store: Store) -> None:
    names = run_here("guide_004_decorator")

    with pytest.raises(ConnectionError, match="the model is away"):
        names["process_request"]("fail")

    trace = only_trace(store)
    assert trace.info.status == "ERROR"
    for span in trace.data.spans:
        (event,) = span.events
        assert event.attributes["exception.type"] == "ConnectionError"
        assert event.attributes["exception.message"] == "the model is away"
    assert len(store.search_traces("error LIKE '%the model is away%'")) == 1


def test_decorators_work_on_async_functions_and_generators(store: Store) -> None:
    @mlflow.trace
    async def stream(count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    @mlflow.trace
    def words(text: str) -> Iterator[str]:
        yield from text.split()

    @mlflow.trace
    async def collect() -> list[int]:
        return [number async for number in stream(3)]

    assert asyncio.run(collect()) == [0, 1, 2]
    assert list(words("a b")) == ["a", "b"]

    found = {trace.info.name: trace for trace in store.search_traces()}
    assert found["words"].data.spans[0].outputs == ["a", "b"]
    assert shape(found["collect"]) == [("collect", None), ("stream", "collect")]
    assert found["collect"].data.spans[1].outputs == [0, 1, 2]


def test_a_block_is_a_span(store: Store) -> None:
    run_here("guide_004_context_manager")

    (span,) = only_trace(store).data.spans
    assert span.name == "data_processing"
    assert span.inputs == {"query": "sqlite", "filters": {"year": 2024}}
    assert span.outputs == {"count": 2, "status": "success"}


def test_the_client_takes_mlflow_2_names(store: Store) -> None:
    with pytest.warns(FutureWarning, match="request_id is the older name of trace_id") as warned:
        names = run_here("guide_004_client")

    assert len(warned) == 3
    assert {pathlib.Path(str(warning.filename)).name for warning in warned} == {
        "guide_004_client.py"
    }
    trace = only_trace(store)
    assert trace.info.request_id == names["root_span"].request_id
    assert shape(trace) == [("complex_workflow", None), ("data_retrieval", "complex_workflow")]
    assert trace.data.spans[1].inputs == {"query": "sqlite"}
    assert trace.data.spans[1].outputs == {"documents": ["page 1", "page 2"]}
    assert trace.info.status == "OK"


def test_automatic_spans_go_under_manual_ones(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with openai_server() as url:
        monkeypatch.setattr(openai, "base_url", url)
        monkeypatch.setattr(openai, "api_key", API_KEY)
        try:
            answer = run_here("guide_004_autolog")["rag_pipeline"]("why sqlite?")
        finally:
            mlflow.openai.autolog(disable=True)
            openai.chat.completions._client.close()
            openai._reset_client()  # as the package's own tests do

    said = "Answer based on: ['page 1', 'page 2']\n\nQuery: why sqlite?"
    assert answer == said.upper()
    trace = only_trace(store)
    assert shape(trace) == [
        ("rag_pipeline", None),
        ("retrieval", "rag_pipeline"),
        ("Completions", "rag_pipeline"),
    ]
    assert [span.span_type for span in trace.data.spans] == ["CHAIN", "UNKNOWN", "CHAT_MODEL"]
    assert trace.data.spans[1].outputs == {"doc_count": 2}
    messages = [{"role": "user", "content": said}]
    assert trace.data.spans[2].inputs == {"model": "gpt-4", "messages": messages}
    assert trace.info.token_usage is not None
    assert trace.info.token_usage["total_tokens"] == 14
    assert API_KEY not in trace.to_json()


def test_phases_are_spans_in_order(store: Store) -> None:
    assert run_here("guide_004_pipeline")["process_data_pipeline"]("shop") == 3

    trace = only_trace(store)
    phases = [(name, "data_pipeline") for name in ("extract", "transform", "load")]
    assert shape(trace) == [("data_pipeline", None), *phases]
    assert [span.outputs for span in trace.data.spans] == [
        3,
        {"record_count": 3},
        {"transformed_count": 3},
        {"status": "success"},
    ]
    times = [(span.start_time_ns, span.end_time_ns or 0) for span in trace.data.spans]
    assert times[0][0] <= times[1][0] <= times[1][1] <= times[2][0] <= times[2][1] <= times[3][0]
    assert times[3][1] <= times[0][1]


def test_a_failed_phase_is_seen(store: Store) -> None:
    with pytest.raises(ValueError, match="the source is broken"):
        run_here("guide_004_pipeline")["process_data_pipeline"]("broken")

    found = {span.name: span.status.status_code.value for span in only_trace(store).data.spans}
    assert found == {"data_pipeline": "ERROR", "extract": "OK", "transform": "ERROR"}
    assert len(store.search_traces("span.name = 'transform' AND span.status = 'ERROR'")) == 1
    assert store.search_traces("span.name = 'extract' AND span.status = 'ERROR'") == []


def test_the_request_preview_is_the_programs(store: Store) -> None:
    run_here("guide_004_preview")

    info = only_trace(store).info
    assert info.request_preview == "Hi, how ar ... Bye!"
    assert info.response_preview == '"Response based on 4 messages."'
    assert len(store.search_traces("request_preview LIKE 'Hi, how ar%'")) == 1
