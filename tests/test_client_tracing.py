"""Libraries that make OpenTelemetry's spans themselves: one span for each call, tokens counted once."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys

import pytest

from tests.instrumentations import (
    ANTHROPIC,
    ANTHROPIC_BY_OPENLLMETRY,
    ANTHROPIC_TOKENS,
    Expected,
    calls_in,
    problems,
)
from tests.model_server import API_KEY
from tracestore.entities import Trace
from tracestore.store import Store

#: Older Pythons get older releases, which trace nothing by themselves.
needs_anthropic = pytest.mark.skipif(
    importlib.util.find_spec("anthropic._tracing") is None, reason="anthropic is older than 2.11"
)
needs_fastapi = pytest.mark.skipif(
    importlib.util.find_spec("fastapi.telemetry") is None, reason="FastAPI is older than 0.165"
)


def recorded(way: str, folder: pathlib.Path) -> list[Trace]:
    """Return what `python -m tests.client_tracing` records in a way, the oldest first."""
    path = folder / "traces.db"
    command = [sys.executable, "-W", "ignore", "-m", "tests.client_tracing", way, str(path)]
    subprocess.run(command, check=True, timeout=60)
    with Store(path, read_only=True) as store:
        return list(reversed(store.search_traces()))


#: What the client says of a raw stream: everything but the text of the answer.
_BY_THE_CLIENT = tuple(
    expected._replace(answer=None) if expected.said == "stream this" else expected
    for expected in ANTHROPIC
)


@needs_anthropic
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("with_content", _BY_THE_CLIENT),
        ("openinference", ANTHROPIC),
        ("openllmetry", ANTHROPIC_BY_OPENLLMETRY),
        ("application", ANTHROPIC),
        ("alone", _BY_THE_CLIENT),
    ],
)
def test_a_call_is_one_span_with_its_content(
    tmp_path: pathlib.Path, way: str, expected: tuple[Expected, ...]
) -> None:
    (trace,) = recorded(way, tmp_path)
    root, *others = trace.data.spans
    calls = calls_in([trace])
    assert calls == others
    assert {span.parent_id for span in calls} == {root.span_id}
    found = zip(calls, expected, strict=True)
    assert [problem for span, one in found for problem in problems(span, one)] == []
    counted = [span.get_attribute("mlflow.chat.tokenUsage") for span in calls]
    usage = trace.info.token_usage
    assert usage is not None
    assert usage["total_tokens"] == sum(one["total_tokens"] for one in counted if one)
    assert {span.get_attribute("http.route") for span in calls} == {"/v1/messages"}
    assert API_KEY not in trace.to_json()


@needs_anthropic
@pytest.mark.parametrize("way", ["raw_stream", "raw_stream_in_application"])
def test_tokens_that_the_client_alone_counted_are_kept(tmp_path: pathlib.Path, way: str) -> None:
    (trace,) = recorded(way, tmp_path)
    root, child = trace.data.spans
    assert (root.name, child.name) == ("messages.create", "anthropic.messages.create")
    assert (child.parent_id, child.span_type) == (root.span_id, "CHAT_MODEL")
    assert root.start_time_ns <= child.start_time_ns <= root.end_time_ns <= child.end_time_ns  # type: ignore[operator]  # both have ended
    assert trace.info.token_usage == ANTHROPIC_TOKENS


@needs_anthropic
def test_everything_switched_on_includes_the_client(tmp_path: pathlib.Path) -> None:
    (trace,) = recorded("alone_by_all", tmp_path)
    assert len(calls_in([trace])) == len(ANTHROPIC)
    assert all(span.inputs["messages"] for span in calls_in([trace]))


@needs_anthropic
def test_the_application_keeps_its_provider_and_decides_about_content(
    tmp_path: pathlib.Path,
) -> None:
    first, second = recorded("alone_in_application", tmp_path)
    for trace in (first, second):
        calls = calls_in([trace])
        assert len(calls) == len(ANTHROPIC) == len(trace.data.spans) - 1
        assert {(span.inputs, span.outputs) for span in calls} == {(None, None)}


@needs_anthropic
def test_off_holds_for_clients_that_exist(tmp_path: pathlib.Path) -> None:
    (trace,) = recorded("switched_off", tmp_path)
    (span,) = trace.data.spans
    assert span.inputs == {"messages": [{"role": "user", "content": "on"}]}


@needs_anthropic
def test_the_clients_own_stream_has_its_text(tmp_path: pathlib.Path) -> None:
    (trace,) = recorded("streams", tmp_path)
    (span,) = trace.data.spans
    assert problems(span, ANTHROPIC[0]._replace(said="stream", answer="STREAM")) == []


@needs_fastapi
def test_functions_are_below_the_request_that_fastapi_records(tmp_path: pathlib.Path) -> None:
    plain, asynchronous, failed = recorded("fastapi", tmp_path)
    for trace, name, functions in (
        (plain, "GET /plain", ["work"]),
        (asynchronous, "GET /async/{number}", ["work_async", "work"]),
    ):
        assert (trace.info.name, trace.info.state.value) == (name, "OK")
        spans = {span.span_id: span for span in trace.data.spans}
        above = next(span for span in spans.values() if span.name == functions[-1])
        path = []
        while above.parent_id is not None:
            path.append(above.name)
            above = spans[above.parent_id]
        assert path == [*reversed(functions), "fastapi.endpoint"]
        assert (above.name, above.get_attribute("otel.span")["kind"]) == (name, "SERVER")
        assert above.get_attribute("http.response.status_code") == 200
    assert failed.info.state.value == "ERROR"
    assert failed.data.spans[0].status.status_code.value == "ERROR"
