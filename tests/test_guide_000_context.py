"""Guide 000: environments and versions as tags, and the figures of versions compared."""

from __future__ import annotations

import pathlib
import platform
import subprocess
from collections.abc import Iterator

import pytest

import tracestore as mlflow
from tests.guides.running import environment, program, recording_into, run_apart, run_here
from tracestore import MlflowClient
from tracestore.store import Store

MS = 1_000_000


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Store]:
    with recording_into(tmp_path / "traces.db") as store:
        yield store


def record(version: str, latency_ms: int, status: str = "OK", **tags: str) -> None:
    client = MlflowClient()
    start_ns = 1_750_000_000_000 * MS
    root = client.start_trace(
        "answer",
        tags={"environment": "production", "app_version": version, **tags},
        start_time_ns=start_ns,
    )
    client.end_trace(root.trace_id, status=status, end_time_ns=start_ns + latency_ms * MS)


def test_context_becomes_tags(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "production")

    run_here("guide_000_context")

    said = "Processed 'Summarize this document...' in production with app 1.1.0"
    assert capsys.readouterr().out == f"{said}\n"
    (trace,) = store.search_traces()
    assert trace.info.tags == {
        "mlflow.traceName": "process_data_with_context",
        "environment": "production",
        "app_version": "1.1.0",
        "model_version": "claude-3-sonnet-20240229",
        "python_version": platform.python_version(),
        "operating_system": platform.system(),
        "data_source": "realtime_api",
        "processing_mode": "online",
    }
    assert trace.data.spans[0].inputs == {
        "data": {"input": "Summarize this document...", "source": "realtime_api"},
        "app_config": {"version": "1.1.0", "model_in_use": "claude-3-sonnet-20240229"},
    }
    assert trace.data.spans[0].outputs == said


def test_context_has_the_guides_defaults(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APP_ENVIRONMENT", raising=False)
    names = run_here("guide_000_context")

    names["process_data_with_context"]({"input": "x"}, {})

    trace = store.search_traces()[0]
    assert trace.info.tags["environment"] == "development"
    assert trace.info.tags["app_version"] == "unknown"
    assert trace.info.tags["model_version"] == "gpt-3.5-turbo"
    assert trace.info.tags["data_source"] == "batch"
    assert trace.info.tags["processing_mode"] == "offline"


def test_script_and_commit_are_recorded_by_themselves(tmp_path: pathlib.Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    path = tmp_path / "traces.db"

    run_apart("guide_000_context", variables=environment(path), directory=tmp_path)

    (trace,) = Store(path).search_traces()
    assert trace.info.trace_metadata["mlflow.source.name"] == str(program("guide_000_context"))
    assert trace.info.trace_metadata["mlflow.source.type"] == "LOCAL"
    assert trace.info.trace_metadata["mlflow.source.git.commit"] == commit


def test_outside_a_checkout_there_is_no_commit(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"

    run_apart("guide_000_context", variables=environment(path), directory=tmp_path)

    (trace,) = Store(path).search_traces()
    assert "mlflow.source.git.commit" not in trace.info.trace_metadata


def test_automatic_values_can_be_overridden(store: Store) -> None:
    with mlflow.start_span("work") as span:
        mlflow.update_current_trace(metadata={"mlflow.source.name": "custom_name"})
    mlflow.set_trace_tag(span.trace_id, "mlflow.source.type", "CRON")

    info = store.get_trace(span.trace_id).info
    assert info.trace_metadata["mlflow.source.name"] == "custom_name"
    assert info.tags["mlflow.source.type"] == "CRON"


@pytest.mark.parametrize(
    ("filter_string", "found"),
    [
        ("tags.environment = 'production'", 3),
        ("tags.app_version = '2.1.0'", 1),
        ("tags.model_used = 'advanced_model' AND tags.client_variant = 'treatment'", 1),
        ("tags.feature_flag_new_ui = 'true'", 2),
    ],
)
def test_the_guides_filters_find_by_tag(store: Store, filter_string: str, found: int) -> None:
    record("2.1.0", 1, feature_flag_new_ui="true")
    record("2.0.0", 1, model_used="advanced_model", client_variant="treatment")
    record(
        "2.0.0",
        1,
        model_used="advanced_model",
        client_variant="control",
        feature_flag_new_ui="true",
    )
    record("1.0.0", 1, environment="staging", feature_flag_new_ui="false")

    assert len(store.search_traces(filter_string)) == found


def test_versions_are_compared(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert mlflow.set_experiment("shop").experiment_id == "1"
    for latency_ms in (100, 200, 600):
        record("1.0.0", latency_ms)
    record("1.0.0", 9_000, "ERROR")
    for latency_ms in (10, 15):
        record("1.1.0", latency_ms)
    record("1.2.0", 5, "ERROR")
    record("1.1.0", 77_777, environment="staging")  # not counted
    assert mlflow.set_experiment("another").experiment_id == "2"
    record("1.0.0", 77_777, "ERROR")  # not counted

    names = run_here("guide_000_versions")

    assert names["metrics"] == {
        "1.0.0": {"error_rate": 25.0, "avg_latency": 300.0, "total_traces": 4},
        "1.1.0": {"error_rate": 0.0, "avg_latency": 12.5, "total_traces": 2},
        "1.2.0": {"error_rate": 100.0, "avg_latency": 0, "total_traces": 1},
    }
    assert capsys.readouterr().out.splitlines() == [
        "Version 1.0.0: 25.0% errors, 300.0ms avg latency",
        "Version 1.1.0: 0.0% errors, 12.5ms avg latency",
        "Version 1.2.0: 100.0% errors, 0.0ms avg latency",
    ]
    assert names["compare_version_metrics"]("1", ["9.9.9"]) == {
        "9.9.9": {"error_rate": None, "avg_latency": None, "total_traces": 0}
    }
    assert store.count_traces() == 9


def test_one_line_says_what_the_guide_s_loop_says(store: Store) -> None:
    mlflow.set_experiment("shop")
    for version, status, latency_ms in (
        ("1.0.0", "OK", 100), ("1.0.0", "OK", 201), ("1.0.0", "ERROR", 9_000), ("1.1.0", "OK", 10),
        ("1.2.0", "ERROR", 5),
    ):  # fmt: skip
        record(version, latency_ms, status)
    record("1.1.0", 77_777, environment="staging")
    by_loop = run_here("guide_000_versions")["metrics"]

    found = mlflow.metrics(
        ["count", "error_rate", "latency_ok_mean"],
        "tags.environment = 'production'",
        "tags.app_version",
    )

    by_line = {
        version: {"error_rate": rate * 100, "avg_latency": mean or 0, "total_traces": count}
        for version, count, rate, mean in found.tuples()
    }
    assert by_line == by_loop
    assert store.count_traces() == 6
