"""Settings: where each may come from, what wins, and what a bad value does."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

import tracestore
from tests.capture_traces import only_trace
from tracestore import settings
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.settings import SPECIFICATIONS, Settings, load, path_of_uri, reference_table
from tracestore.store import Store

GOOD: dict[str, tuple[str, Any]] = {
    "path": ("sqlite:///some/traces.db", "some/traces.db"),
    "experiment_name": ("mine", "mine"),
    "destination": ("7", "7"),
    "experiment_id": ("7", "7"),
    "async_logging": ("False", False),
    "queue_size": ("5", 5),
    "retry_timeout_s": ("2.5", 2.5),
    "sampling_ratio": ("0.25", 0.25),
    "active_model_id": ("m-1", "m-1"),
    "index_text": ("false", False),
    "recorder": ("off", False),
    "durability": ("Power", "power"),
    "prices": ("p.json", "p.json"),
    "redact": ("off", False),
    "content": ("off", False),
}

BAD: dict[str, list[str]] = {
    "path": [
        "",
        "http://localhost:5000",
        "databricks",
        "a\0b",
        "file:./mlruns",
    ],
    "experiment_name": ["", "  "],
    "destination": ["", "catalog.schema", "-1"],
    "experiment_id": ["", "x", "-1", "1.5", str(2**63)],
    "async_logging": ["", "maybe", "2"],
    "queue_size": ["", "0", "-5", "many", "1.5"],
    "retry_timeout_s": ["", "-1", "nan", "inf", "soon"],
    "sampling_ratio": ["", "abc", "1.5", "-0.1", "nan"],
    "active_model_id": ["", " "],
    "index_text": ["", "no"],
    "recorder": ["", "none"],
    "durability": ["", "always"],
    "prices": ["", " "],
    "redact": ["", "some"],
    "content": ["", "some"],
}

_NAMES = [(s.field, variable) for s in SPECIFICATIONS for variable in s.variables]


def test_every_field_has_a_specification_and_its_names() -> None:
    assert [s.field for s in SPECIFICATIONS if s.field not in Settings.__struct_fields__] == []
    assert {s.field for s in SPECIFICATIONS} == set(Settings.__struct_fields__) == set(GOOD)
    for specification in SPECIFICATIONS:
        ours, *theirs = specification.variables
        assert ours.startswith("TRACESTORE_")
        assert all(name.startswith("MLFLOW_") for name in theirs)


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "/srv/traces.db", "http://mlflow:5000"])
def test_mlflows_tracking_uri_counts_only_where_it_is_a_sqlite_uri(uri: str) -> None:
    assert load({"MLFLOW_TRACKING_URI": uri}).path == ""
    assert load({"MLFLOW_TRACKING_URI": "sqlite:///traces.db"}).path == "traces.db"


def test_without_anything_the_defaults_count() -> None:
    assert load({}) == Settings()


@pytest.mark.parametrize(("field", "variable"), _NAMES)
def test_each_variable_sets_its_field(field: str, variable: str) -> None:
    text, value = GOOD[field]
    assert load({variable: text}) == Settings(**{field: value})


@pytest.mark.parametrize(
    ("field", "variable", "text"), [(f, v, text) for f, v in _NAMES for text in BAD[f]]
)
def test_bad_value_warns_and_the_default_counts(
    caplog: pytest.LogCaptureFixture, field: str, variable: str, text: str
) -> None:
    del field
    assert load({variable: text}) == Settings()
    [record] = caplog.records
    assert f"{variable}={text!r} is ignored" in record.getMessage()


@pytest.mark.parametrize(
    "specification", [s for s in SPECIFICATIONS if len(s.variables) == 2], ids=lambda s: s.field
)
def test_call_wins_over_our_variable_over_mlflows(specification: settings.Specification) -> None:
    field = specification.field
    ours, theirs = specification.variables
    text, value = GOOD[field]
    environment = {ours: text, theirs: BAD[field][0]}
    assert getattr(load(environment), field) == value
    assert getattr(load({ours: BAD[field][0], theirs: text}), field) == value
    assert getattr(load(environment, **{field: "given"}), field) == "given"
    assert getattr(load(environment, **{field: None}), field) == value


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///relative.db", "relative.db"),
        ("sqlite:////abs/olute.db", "/abs/olute.db"),
        ("sqlite:///with%20space.db?mode=ro", "with space.db"),
        ("plain/path.db", "plain/path.db"),
        ("databricks.db", "databricks.db"),
        ("~/x.db", str(pathlib.Path("~/x.db").expanduser())),
    ],
)
def test_uri_names_a_path(uri: str, path: str) -> None:
    assert path_of_uri(uri) == str(pathlib.Path(path))


@pytest.mark.parametrize(
    "uri", ["", "https://x/y", "databricks-uc", "file:///x", "~no-such-user/x.db"]
)
def test_uri_that_names_no_file_is_refused(uri: str) -> None:
    with pytest.raises(InvalidArgumentError, match="tracking URI"):
        path_of_uri(uri)


def test_tracking_uri_is_taken_as_text_path_and_bytes(recording: Store) -> None:
    folder = pathlib.Path(recording.path).parent
    for uri in (f"sqlite:///{folder}/1.db", folder / "2.db", str(folder / "3.db")):
        tracestore.set_tracking_uri(uri)
        assert tracestore.get_tracking_uri() in {f"sqlite:///{folder}/{i}.db" for i in (1, 2, 3)}
    with pytest.raises(InvalidArgumentError):
        tracestore.set_tracking_uri("http://localhost:5000")
    assert tracestore.get_tracking_uri() == f"sqlite:///{folder}/3.db"


def test_tracking_uri_of_a_server_warns_and_the_default_file_counts(
    recording: Store,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    del recording
    runtime.reset()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    monkeypatch.setattr(settings, "default_path", lambda: str(tmp_path / "default.db"))
    with tracestore.start_span("span"):
        pass
    assert runtime.store.path == str(tmp_path / "default.db")
    assert runtime.store.count_traces() == 1
    said = "MLFLOW_TRACKING_URI='http://localhost:5000' is ignored: it must be a sqlite:/// URI\n"
    assert said in caplog.text


def test_experiment_name_of_the_environment_is_made(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")
    runtime.configure(path=recording.path)
    with tracestore.start_span("span"):
        pass
    experiment = recording.get_experiment_by_name("from the environment")
    assert experiment is not None
    assert only_trace(recording).info.experiment_id == experiment.experiment_id


def test_experiment_id_that_is_not_there_warns_and_the_default_counts(
    recording: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "999")
    runtime.configure(path=recording.path)
    with tracestore.start_span("span"):
        pass
    assert only_trace(recording).info.experiment_id == "0"
    assert "999" in caplog.text


def test_reference_table_names_every_variable() -> None:
    table = reference_table()
    for specification in SPECIFICATIONS:
        for variable in specification.variables:
            assert f"`{variable}`" in table
    assert len(table.splitlines()) == 2 + len(SPECIFICATIONS)


def test_default_path_is_in_the_platforms_data_directory() -> None:
    path = pathlib.Path(settings.default_path())
    assert path.is_absolute()
    assert path.parts[-2:] == ("tracestore", "traces.db")
