"""Guide 002: metadata of one's own, the chat service, error rates and a feature flag's latencies."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import pytest

import tracestore as mlflow
from tests.guides.chatting import JANE, chat
from tests.guides.running import environment, recording_into, run_apart, run_here, serving
from tracestore import MlflowClient
from tracestore.store import Store

MS = 1_000_000


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Store]:
    with recording_into(tmp_path / "traces.db") as store:
        yield store


def test_source_type_is_what_the_program_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "staging")

    run_here("guide_002_override")

    (trace,) = store.search_traces("metadata.`mlflow.source.type` = 'staging'")
    assert trace.info.trace_metadata["mlflow.source.type"] == "staging"
    assert trace.data.response == '{"response":"test!!"}'


def test_custom_metadata_is_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_VERSION", "3.1.0")

    run_here("guide_002_custom")

    (trace,) = store.search_traces("metadata.app_version = '3.1.0'")
    assert trace.info.trace_metadata["mlflow.source.type"] == "LOCAL"


def test_checkout_and_model_are_recorded_by_themselves(tmp_path: pathlib.Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (
        ["init", "-q"],
        ["checkout", "-q", "-b", "feature/search"],
        ["commit", "-q", "--allow-empty", "-m", "first"],
        ["remote", "add", "origin", "https://user:secret@example.com/shop.git"],
    ):
        subprocess.run([*git, *words], check=True)
    inner = tmp_path / "inner"
    inner.mkdir()
    path = tmp_path / "traces.db"
    settings = environment(path, MLFLOW_ACTIVE_MODEL_ID="m-0123456789")

    run_apart("guide_002_custom", variables=settings, directory=inner)

    found = Store(path).search_traces()[0].info.trace_metadata
    assert found["mlflow.source.git.branch"] == "feature/search"
    assert found["mlflow.source.git.repoURL"] == "https://example.com/shop.git"
    assert len(found["mlflow.source.git.commit"]) == 40
    assert found["mlflow.modelId"] == "m-0123456789"


def test_the_service_records_its_deployment(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    settings = environment(path, APP_ENVIRONMENT="production", DEPLOYMENT_ID="deploy-abc-123")

    with serving("guide_002_chat", settings) as url:
        chat(url, "What is my account balance?", JANE)

    (trace,) = Store(path).search_traces(
        f"attributes.client_request_id = '{JANE['X-Request-ID']}' AND "
        f"tags.`mlflow.trace.user` = '{JANE['X-User-ID']}' AND "
        f"metadata.`mlflow.trace.session` = '{JANE['X-Session-ID']}' AND "
        "metadata.`mlflow.source.type` = 'production'"
    )
    assert trace.info.trace_metadata["deployment_id"] == "deploy-abc-123"
    assert trace.info.trace_metadata["region"] == "us-east-1"


def record(latency_ms: int, metadata: dict[str, str], status: str = "OK") -> None:
    start_ns = 1_750_000_000_000 * MS
    root = mlflow.start_span_no_context("answer", metadata=metadata, start_time_ns=start_ns)
    root.end(status=status, end_time_ns=start_ns + latency_ms * MS)


def test_error_rates_and_latencies_are_analysed(store: Store) -> None:
    mlflow.set_experiment("shop")
    production = {"mlflow.source.type": "production"}
    for status in ("OK", "OK", "ERROR", "OK", "OK", "OK", "OK", "ERROR"):
        record(1, production | {"app_version": "1.0.0"}, status)
    record(1, {"app_version": "1.0.0"}, "ERROR")  # not of production
    for latency_ms in (10, 20, 60):
        record(latency_ms, {"feature_flag_new_retriever": "false"})
    for latency_ms in (5, 10):
        record(latency_ms, {"feature_flag_new_retriever": "true"})

    names = run_here("guide_002_analysis")

    assert names["version_errors"] == {"1.0.0": 25.0, "1.1.0": None}
    assert names["perf_metrics"] == {
        "avg_latency_new_retriever_off": 30.0,
        "avg_latency_new_retriever_on": 7.5,
    }
    assert store.count_traces() == 14


def test_status_compares_with_text(store: Store) -> None:
    record(7, {}, "ERROR")

    (trace,) = MlflowClient().search_traces()

    assert trace.info.status == "ERROR"
    assert trace.info.execution_time_ms == 7
    assert store.count_traces("status = 'ERROR'") == 1
