"""MLflow's tracing surface, name by name: parameters, defaults, members of entities, and what is absent.

surface.json is MLflow's own account (`python -m tests.peer_mlflow.surface`, checked by `.ci/mlflow`).
"""

from __future__ import annotations

import contextvars
import importlib
import inspect
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

import tracestore
from tests.peer_mlflow.surface import PAGE, surface_of
from tracestore import beyond, entities, tracing
from tracestore.capture import documentation, experiments, stored
from tracestore.client import MlflowClient
from tracestore.errors import InvalidArgumentError, NotFoundError, TracestoreError
from tracestore.exceptions import MlflowException
from tracestore.store import Store
from tracestore.tracing import provider
from tracestore.tracing.attachments import Attachment

MLFLOW: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))
OURS = surface_of("tracestore")

#: Members that MLflow's entities have and ours do not, and why.
ABSENT_MEMBERS = {
    ("Experiment", "trace_location"): "a place in Databricks",
    ("Experiment", "workspace"): "of MLflow's server",
    ("Experiment", "effective_trace_archival_retention"): "of MLflow's server",
    ("NoOpSpan", "context"): "OpenTelemetry's",
    ("TraceLocation", "inference_table"): "a place in Databricks",
    ("TraceLocation", "uc_schema"): "a place in Databricks",
    ("TraceLocation", "uc_table_prefix"): "a place in Databricks",
    ("Feedback", "issue"): "there are no issues here",
    ("Expectation", "issue"): "there are no issues here",
}

#: Functions and members with more parameters than MLflow's, after them.
LONGER = {"search_sessions", ("Feedback", "__init__"), ("Expectation", "__init__")}


@pytest.mark.parametrize("name", MLFLOW["functions"])
def test_function_has_mlflows_parameters(name: str) -> None:
    ours, mlflows = OURS["functions"][name], MLFLOW["functions"][name]
    assert ours.startswith(f"{mlflows[:-1]}, ") if name in LONGER else ours == mlflows


@pytest.mark.parametrize("name", MLFLOW["tracing"])
def test_name_of_tracing_has_mlflows_parameters(name: str) -> None:
    assert OURS["tracing"][name] == MLFLOW["tracing"][name]


@pytest.mark.parametrize("name", MLFLOW["client"])
def test_method_of_the_client_has_mlflows_parameters(name: str) -> None:
    assert OURS["client"][name] == MLFLOW["client"][name]


@pytest.mark.parametrize(
    ("entity", "member"),
    [(entity, member) for entity, members in MLFLOW["entities"].items() for member in members],
)
def test_entity_has_mlflows_member(entity: str, member: str) -> None:
    ours, mlflows = OURS["entities"][entity], MLFLOW["entities"][entity]
    if (entity, member) in ABSENT_MEMBERS:
        assert member not in ours
    elif mlflows[member] is None:
        kind = getattr(entities, entity)
        assert member in ours or hasattr(kind, member) or member in (kind.__doc__ or "")
    elif (entity, member) in LONGER:
        assert ours[member].startswith(f"{mlflows[member][:-1]}, ")
    else:
        assert ours.get(member) == mlflows[member]


# ------------------------------------------------------------------------------------------ what is absent


def _absent(part: str, there: object) -> list[str]:
    return [name for name in beyond._NAMES[part].split() if name not in dir(there)]


@pytest.mark.parametrize("part", ["module", "client", "entities", "tracing"])
def test_what_is_absent_is_a_name_of_mlflow(part: str) -> None:
    assert set(beyond._NAMES[part].split()) <= set(MLFLOW["names"][part])


@pytest.mark.parametrize(
    ("part", "there"), [("module", tracestore), ("client", MlflowClient()), ("entities", entities)]
)
def test_whatever_mlflow_has_beyond_tracing_is_said_to_be_absent(part: str, there: object) -> None:
    names = _absent(part, there)
    assert len(names) > 40
    for name in names:
        with pytest.raises(AttributeError, match=f"'{name}': .*MLflow's tracing only"):
            getattr(there, name)
        assert not hasattr(there, name)


def test_what_mlflow_has_is_here_or_said_to_be_absent() -> None:
    """Flavours that are traced automatically are neither: they come one by one."""
    known = {
        "client": set(dir(MlflowClient)),
        "entities": set(entities.__all__),
        "tracing": set(tracing.__all__),
    }
    for part, names in known.items():
        assert set(MLFLOW["names"][part]) <= names | set(beyond._NAMES[part].split())


def test_import_of_what_is_absent_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from tracestore import log_metric"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ImportError: cannot import name 'log_metric' from 'tracestore'" in done.stderr


def test_what_is_not_auto_traced_here_is_said() -> None:
    with pytest.raises(AttributeError, match="'pydantic_ai': it is not auto-traced here"):
        tracestore.pydantic_ai  # noqa: B018


def test_what_tracing_has_for_databricks_is_said_to_be_absent() -> None:
    with pytest.raises(AttributeError, match="Databricks"):
        tracing.set_experiment_trace_location  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$"):
        tracing.nonsense  # noqa: B018


def test_nonsense_is_just_no_attribute() -> None:
    with pytest.raises(AttributeError) as caught:
        MlflowClient().nonsense  # noqa: B018
    assert str(caught.value) == "'MlflowClient' object has no attribute 'nonsense'"


# ------------------------------------------------------------------------------------------ older names

OLDER: list[tuple[str, dict[str, Any]]] = [
    ("get_trace", {}),
    ("set_trace_tag", {"key": "k", "value": "v"}),
    ("delete_trace_tag", {"key": "k"}),
]


@pytest.mark.parametrize(("name", "more"), OLDER, ids=str)
@pytest.mark.parametrize("of_client", [False, True])
def test_request_id_counts_as_trace_id_with_a_warning(
    recording: Store, name: str, more: dict[str, Any], of_client: bool
) -> None:
    with tracestore.start_span("span") as span:
        tracestore.update_current_trace(tags={"k": "v"})
    verb: Any = getattr(MlflowClient() if of_client else tracestore, name)
    with pytest.warns(FutureWarning, match="older name of trace_id"):
        verb(request_id=span.trace_id, **more)
    with pytest.raises(InvalidArgumentError, match="pass one"):
        verb(span.trace_id, request_id=span.trace_id, **more)
    with pytest.raises(ValueError, match="pass one"):
        verb(trace_id=span.trace_id, request_id=span.trace_id, **more)
    assert recording.path


def test_client_takes_request_ids(recording: Store) -> None:
    client: Any = MlflowClient()
    root = client.start_trace("root")
    with pytest.warns(FutureWarning, match="older"):
        step = client.start_span("step", request_id=root.trace_id, parent_id=root.span_id)
    with pytest.warns(FutureWarning, match="older"):
        client.end_span(request_id=root.trace_id, span_id=step.span_id)
    with pytest.warns(FutureWarning, match="older"):
        client.end_trace(request_id=root.trace_id)
    with pytest.warns(FutureWarning, match="older"):
        assert client.delete_traces("0", request_ids=[root.trace_id]) == 1
    assert recording.search_traces() == []


def test_last_trace_is_given_by_its_older_name(recording: Store) -> None:
    assert tracestore.get_last_active_trace() is None
    with tracestore.start_span("span") as span:
        pass
    last = tracestore.get_last_active_trace()
    assert last is not None
    assert last.trace_id == span.trace_id
    assert recording.path


# ------------------------------------------------------------------------------------------ exceptions, help


def test_a_span_is_made_current_by_hand(recording: Store) -> None:
    span = tracestore.start_span_no_context("callback")
    token = provider.set_span_in_context(span)
    with tracestore.start_span("child") as child:
        assert child.parent_id == span.span_id
    contextvars.Context().run(
        provider.detach_span_from_context, token
    )  # another context's: nothing
    assert tracestore.get_current_active_span() is span
    provider.detach_span_from_context(token)
    assert tracestore.get_current_active_span() is None
    span.end()
    tracing.disable()
    assert not provider.is_tracing_enabled()
    tracing.enable()
    assert recording.path


def test_a_file_is_an_input_with_its_type(recording: Store, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "plot.png"
    path.write_bytes(b"PNG")
    (tmp_path / "unknown").write_bytes(b"?")
    with tracestore.start_span("span") as span:
        span.set_inputs([Attachment.from_file(path), Attachment.from_file(tmp_path / "unknown")])
    assert recording.get_trace(span.trace_id).data.spans[0].inputs == [
        {"content_type": "image/png", "content_bytes": "UE5H"},
        {"content_type": "application/octet-stream", "content_bytes": "Pw=="},
    ]


def test_exceptions_are_those_of_mlflow() -> None:
    for module in ("tracestore", "tracestore.exceptions"):
        assert importlib.import_module(module).MlflowException is TracestoreError
    error = NotFoundError("gone")
    assert isinstance(error, MlflowException)
    assert (error.error_code, error.get_http_status_code()) == ("RESOURCE_DOES_NOT_EXIST", 404)
    own = MlflowException("mine", error_code="INVALID_PARAMETER_VALUE")
    assert (own.message, own.get_http_status_code()) == ("mine", 400)
    assert MlflowException("other").get_http_status_code() == 500


def test_modules_that_programs_import_from_are_there() -> None:
    for module in ("client", "tracking", "tracking.client"):
        assert importlib.import_module(f"tracestore.{module}").MlflowClient is MlflowClient
    assert tracestore.tracking.get_tracking_uri is tracestore.get_tracking_uri
    for module, home in (
        ("tracing.fluent", tracestore),
        ("tracing.assessment", tracestore),
        ("tracing.distributed", tracing),
    ):
        there = importlib.import_module(f"tracestore.{module}")
        assert all(getattr(there, name) is getattr(home, name) for name in there.__all__)
    assert importlib.import_module("tracestore.entities.span").LiveSpan is entities.LiveSpan
    for name in ("SpanAttributeKey", "TraceMetadataKey", "TraceTagKey", "TokenUsageKey"):
        assert inspect.getdoc(getattr(importlib.import_module("tracestore.tracing.constant"), name))


def test_help_of_a_function_says_what_the_stores_says() -> None:
    text = inspect.getdoc(experiments.search_experiments) or ""
    assert "filter_string: About name" in text
    assert "page_token" not in text  # which the function does not take
    assert text.index("Args:") < text.index("Raises:") < text.index("Example:")
    for verb in (stored.set_trace_tag, MlflowClient.delete_traces):
        assert "Raises:" in (inspect.getdoc(verb) or "")


def test_what_a_function_says_itself_goes_before() -> None:
    def source(a: int, b: int, c: int) -> None:
        """Do.

        Args:
            a: One
                of two.
            b: Other.
            c: Third.

        Returns:
            Nothing.

        Raises:
            ValueError: Always.
        """

    @documentation.documented_as(source)
    def function(c: int, b: int) -> None:
        """Do too.

        More.

        Args:
            b: Own.

        Returns:
            Less.

        Example:
            >>> 1
            1
        """

    assert inspect.getdoc(function) == (
        "Do too.\n\nMore.\n\nArgs:\n    c: Third.\n    b: Own.\n\nReturns:\n    Less.\n\n"
        "Raises:\n    ValueError: Always.\n\nExample:\n    >>> 1\n    1"
    )


def test_help_of_a_search_is_whole() -> None:
    text = inspect.getdoc(tracestore.search_traces) or ""
    for name in inspect.signature(tracestore.search_traces).parameters:
        assert f"    {name}: " in text
