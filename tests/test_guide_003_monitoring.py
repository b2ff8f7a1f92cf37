"""Guide 003: production settings by environment variables, the service with context as tags, feedback."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Any

import pytest

import tracestore as mlflow
from tests.guides.chatting import JANE, chat, chat_at_once, judge
from tests.guides.running import (
    DEADLINE_S,
    environment,
    eventually,
    recording_into,
    run_apart,
    run_here,
    serving,
)
from tracestore.store import Store

EXPERIMENT = "production-genai-app"


def test_settings_come_from_variables(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    settings = environment(
        path,
        MLFLOW_EXPERIMENT_NAME=EXPERIMENT,
        MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="true",
        MLFLOW_ASYNC_TRACE_LOGGING_MAX_WORKERS="10",
        MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE="1000",
        MLFLOW_ASYNC_TRACE_LOGGING_RETRY_TIMEOUT="600",
        APP_VERSION="1.0.0",
    )

    done = run_apart("guide_003_app", "3", variables=settings)

    assert (done.stdout, done.stderr) == ("", "")
    store = Store(path)
    experiment = store.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    traces = store.search_traces(
        "tags.app_version = '1.0.0'", experiment_ids=[experiment.experiment_id]
    )
    assert [trace.data.response for trace in traces] == [f'"QUESTION {n}"' for n in (2, 1, 0)]


def test_blocking_logging_has_written_when_a_trace_ends(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    child = """
import os
import tracestore
with tracestore.start_span("work"):
    pass
os._exit(0)  # nothing more is written after this
"""
    settings = environment(path, MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="false")

    subprocess.run([sys.executable, "-c", child], env=settings, check=True, timeout=DEADLINE_S)

    assert Store(path).count_traces("name = 'work'") == 1


def test_a_small_queue_loses_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    settings = environment(path, MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE="1")

    run_apart("guide_003_app", "50", variables=settings)

    assert Store(path).count_traces() == 50


@pytest.mark.parametrize(
    ("ratio", "least", "most"), [("0.0", 0, 0), ("0.1", 50, 150), ("1.0", 1000, 1000)]
)
def test_sampling_keeps_its_share(
    tmp_path: pathlib.Path, ratio: str, least: int, most: int
) -> None:
    path = tmp_path / "traces.db"

    settings = environment(path, MLFLOW_TRACE_SAMPLING_RATIO=ratio)
    done = run_apart("guide_003_app", "1000", variables=settings)

    assert done.stderr == ""
    # a share of 0.1 is off by more than 5 standard deviations in one run of a million
    assert least <= Store(path).count_traces() <= most


def test_a_bad_value_is_named_and_nothing_is_lost(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    settings = environment(path, MLFLOW_TRACE_SAMPLING_RATIO="ten percent")

    done = run_apart("guide_003_app", variables=settings)

    assert "MLFLOW_TRACE_SAMPLING_RATIO='ten percent' is ignored" in done.stderr
    assert Store(path).count_traces() == 1


@pytest.mark.parametrize("uri", ["http://your-mlflow-server:5000", ""])
def test_a_server_or_no_uri_leaves_the_default_file(tmp_path: pathlib.Path, uri: str) -> None:
    """The guide's container sets an empty URI, and its command line one of a server."""
    path = tmp_path / "unused.db"
    settings = environment(
        path, MLFLOW_EXPERIMENT_NAME=EXPERIMENT, XDG_DATA_HOME=str(tmp_path / "data")
    )

    done = run_apart("guide_003_app", variables=settings | {"MLFLOW_TRACKING_URI": uri})

    assert f"MLFLOW_TRACKING_URI={uri!r} is ignored" in done.stderr
    assert not path.exists()
    assert Store(tmp_path / "data" / "tracestore" / "traces.db", read_only=True).count_traces() == 1


def variables(path: pathlib.Path) -> dict[str, str]:
    return environment(
        path, MLFLOW_EXPERIMENT_NAME=EXPERIMENT, MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="true"
    )


def test_requests_are_recorded_with_context_as_tags(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"

    with serving("guide_003_chat", variables(path)) as url:
        chat(url, "What is my account balance?", JANE)
        chat(url, "anonymous")
        chat_at_once(url, 50)

    store = Store(path)
    (trace,) = store.search_traces(f"attributes.client_request_id = '{JANE['X-Request-ID']}'")
    assert trace.info.tags == {
        "mlflow.traceName": "handle_chat",
        "mlflow.trace.session": JANE["X-Session-ID"],
        "mlflow.trace.user": JANE["X-User-ID"],
        "environment": "production",
        "app_version": "1.0.0",
        "deployment_id": "unknown",
        "region": "us-east-1",
    }
    (anonymous,) = store.search_traces("client_request_id IS NULL")
    assert "mlflow.trace.user" not in anonymous.info.tags
    assert store.count_traces() == 52
    for number in range(50):
        (trace,) = store.search_traces(f"client_request_id = 'req-{number}'")
        assert trace.info.tags["mlflow.trace.session"] == f"session-{number % 5}"
        assert trace.data.response == f'{{"response":"Processed message: \'message {number}\'"}}'
    assert store.count_traces("tags.`mlflow.trace.user` = 'user-7'") == 5


def test_feedback_is_recorded_and_traces_are_found(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.db"
    jane = JANE | {"X-Session-ID": "session-def-456"}

    with (
        serving("guide_003_chat", variables(path)) as chat_url,
        serving("guide_003_feedback", variables(path)) as feedback_url,
    ):
        chat(chat_url, "What is my account balance?", jane)
        chat(chat_url, "something else", {"X-Request-ID": "req-other"})

        def send() -> Any:
            return judge(feedback_url, jane["X-Request-ID"], True, user=jane["X-User-ID"])

        said = eventually(send, lambda answer: isinstance(answer, dict))
        assert judge(feedback_url, "no such request", True)[1] == 500
        other = eventually(
            lambda: judge(feedback_url, "req-other", False, "wrong"), lambda a: isinstance(a, dict)
        )

    with recording_into(path) as store:
        (right,) = store.search_traces("feedback.response_is_correct = 'true'")
        (wrong,) = store.search_traces("feedback.response_is_correct = 'false'")
        assert said["message"] == "Feedback recorded successfully"
        assert (said["trace_id"], other["trace_id"]) == (right.trace_id, wrong.trace_id)
        assert right.info.assessments[0].source is not None
        assert right.info.assessments[0].source.source_id == jane["X-User-ID"]
        assert wrong.info.assessments[0].rationale == "wrong"

        names = run_here("guide_003_query")
        assert names["user_traces"]["trace_id"].tolist() == [right.trace_id]
        assert names["session_traces"]["trace_id"].tolist() == [right.trace_id]
        assert set(names["production_traces"]["trace_id"]) == {right.trace_id, wrong.trace_id}
        assert mlflow.count_traces() == 0  # none in the experiment that is active here
