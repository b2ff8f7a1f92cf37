"""Guide 001: a chat service with context as metadata, and a feedback service, over real HTTP."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI

import tracestore as mlflow
from tests.guides.chatting import JANE, chat, chat_at_once, judge
from tests.guides.running import environment, eventually, recording_into, run_here, serving
from tracestore import MlflowClient
from tracestore.store import Store


def variables(path: pathlib.Path, **more: str) -> dict[str, str]:
    return environment(path, MLFLOW_EXPERIMENT_NAME="/Shared/production-app", **more)


def test_a_request_is_recorded_with_its_context(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    settings = variables(
        path, APP_ENVIRONMENT="production", APP_VERSION="2.3.4", REGION="eu-west-1"
    )

    with serving("guide_001_chat", settings) as url:
        said = chat(url, "What is my account balance?", JANE)

    assert said == {"response": "Processed message: 'What is my account balance?'"}
    (trace,) = Store(path).search_traces()
    info = trace.info
    assert info.client_request_id == "req-abc-123-xyz-789"
    expected = {
        "mlflow.trace.session": "session-def-456-uvw-012",
        "mlflow.trace.user": "user-jane-doe-12345",
        "mlflow.source.type": "production",
        "environment": "production",
        "app_version": "2.3.4",
        "deployment_id": "unknown",
        "region": "eu-west-1",
        "my_custom_tag": "custom tag value",
    }
    assert expected.items() <= info.trace_metadata.items()
    assert [span.name for span in trace.data.spans] == ["handle_chat"]
    assert trace.data.spans[0].inputs["chat_request"] == {"message": "What is my account balance?"}
    assert trace.data.spans[0].outputs == said


def test_requests_without_headers_are_recorded_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"

    with serving("guide_001_chat", variables(path)) as url:
        chat(url, "anonymous")

    (info,) = [trace.info for trace in Store(path).search_traces()]
    assert info.client_request_id is None
    assert "mlflow.trace.session" not in info.trace_metadata
    assert "mlflow.trace.user" not in info.trace_metadata
    assert info.trace_metadata["mlflow.source.type"] == "development"
    assert info.trace_metadata["app_version"] == "1.0.0"


def test_requests_at_once_keep_their_own_context(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"

    with serving("guide_001_chat", variables(path)) as url:
        chat_at_once(url, 50)

    store = Store(path)
    assert store.count_traces() == 50
    for number in range(50):
        (trace,) = store.search_traces(f"attributes.client_request_id = 'req-{number}'")
        assert trace.info.trace_metadata["mlflow.trace.session"] == f"session-{number % 5}"
        assert trace.info.trace_metadata["mlflow.trace.user"] == f"user-{number % 10}"
        assert trace.data.spans[0].inputs["chat_request"] == {"message": f"message {number}"}
    assert store.count_traces("metadata.`mlflow.trace.session` = 'session-3'") == 10
    assert store.count_traces("tags.`mlflow.trace.session` = 'session-3'") == 10
    assert store.count_traces("metadata.`mlflow.trace.user` = 'user-7'") == 5
    assert store.count_traces("tags.`mlflow.trace.user` = 'user-7'") == 5


def test_feedback_reaches_the_trace_of_its_request(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    user = JANE["X-User-ID"]

    with (
        serving("guide_001_chat", variables(path)) as chat_url,
        serving("guide_001_feedback", variables(path)) as feedback_url,
    ):
        chat(chat_url, "What is my account balance?", JANE)
        chat(chat_url, "something else", {"X-Request-ID": "req-other"})

        def send() -> Any:
            return judge(feedback_url, JANE["X-Request-ID"], True, "accurate and helpful", user)

        said = eventually(send, lambda answer: isinstance(answer, dict))
        assert judge(feedback_url, "no such request", True)[1] == 500

    store = Store(path)
    (trace,) = store.search_traces("feedback.response_is_correct = 'true'")
    (feedback,) = trace.info.assessments
    assert trace.info.client_request_id == JANE["X-Request-ID"]
    assert feedback.name == "response_is_correct"
    assert feedback.value is True
    assert feedback.rationale == "accurate and helpful"
    assert feedback.source is not None
    assert (feedback.source.source_type, feedback.source.source_id) == ("HUMAN", user)
    assert said["assessment_id"] == feedback.assessment_id
    assert said["trace_id"] == trace.info.trace_id
    assert store.search_traces("feedback.response_is_correct = 'false'") == []


def test_traces_are_found_by_user_and_by_session(tmp_path: pathlib.Path) -> None:
    with recording_into(tmp_path / "traces.db"):
        client = MlflowClient()
        experiment_id = client.create_experiment("/Shared/production-app")
        for user, session in (("user-jane-doe-12345", "session-1"), ("another", "session-123")):
            root = client.start_trace(user, experiment_id=experiment_id)
            root.trace.metadata = {"mlflow.trace.user": user, "mlflow.trace.session": session}
            client.end_trace(root.trace_id)

        names = run_here("guide_001_query")

    assert [trace.info.name for trace in names["user_traces"]] == ["user-jane-doe-12345"]
    assert [trace.info.name for trace in names["session_traces"]] == ["another"]


def test_routes_are_traced_whatever_the_order_of_decorators(tmp_path: pathlib.Path) -> None:
    async def answers() -> list[Any]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            paths = ("/plain", "/asynchronous", "/routed/3", "/untraced")
            return [(await client.get(path)).json() for path in paths]

    app, router = FastAPI(), APIRouter()

    @mlflow.trace
    @app.get("/plain")
    def plain() -> str:
        return "plain"

    @mlflow.trace(name="renamed")
    @app.get("/asynchronous")
    async def asynchronous() -> str:
        return "asynchronous"

    @mlflow.trace
    @router.get("/routed/{number}")
    def routed(number: int) -> int:
        return number + 1

    @app.get("/untraced")
    def untraced() -> str:
        return "untraced"

    app.include_router(router)
    with recording_into(tmp_path / "traces.db") as store:
        assert asyncio.run(answers()) == ["plain", "asynchronous", 4, "untraced"]
        traces = store.search_traces()

    found = {trace.info.name: trace.data.response for trace in traces}
    assert found == {"plain": '"plain"', "renamed": '"asynchronous"', "routed": "4"}
