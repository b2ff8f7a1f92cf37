"""The public face: every name is there, documented, lazily loaded, and its example runs."""

from __future__ import annotations

import ast
import inspect
import json
import pathlib
import subprocess
import sys

import pytest

import tracestore
from tests.examples import MODULES, ROOT, Outcome
from tests.guides.running import environment

#: Functions that do something; each shows how.
VERBS = sorted(name for name in tracestore.__all__ if inspect.isfunction(getattr(tracestore, name)))


@pytest.mark.parametrize("name", tracestore.__all__)
def test_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(tracestore, name)
    if not isinstance(value, str):
        assert (inspect.getdoc(value) or "").strip()
    assert name in dir(tracestore)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        tracestore.nonsense  # noqa: B018


def test_type_checkers_and_programs_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    [block] = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen: dict[str, str] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module is not None
        for alias in node.names:
            seen[alias.asname or alias.name] = node.module
    homes = {name: module for module, names in tracestore._HOMES.items() for name in names}
    submodules = dict.fromkeys(tracestore._SUBMODULES, "tracestore")
    known = homes | submodules
    # client and errors are there as soon as anything of them is: `tracestore.client` needs no line of its own
    assert seen == {k: v for k, v in known.items() if k not in ("client", "errors", "exceptions")}
    assert set(tracestore.__all__) == set(known) | {"__version__"}


def test_names_of_mlflow_have_its_parameters() -> None:
    """Source: `inspect.signature` of MLflow 3.17.2."""
    expected = {
        "start_span": "name span_type attributes trace_destination log_level run_id links description",
        "start_span_no_context": "name span_type parent_span inputs attributes tags metadata "
        "experiment_id start_time_ns log_level links description",
        "update_current_trace": "tags metadata client_request_id request_preview response_preview "
        "state model_id session_id user",
        "trace": "func name span_type attributes output_reducer trace_destination "
        "sampling_ratio_override log_level links description",
        "get_last_active_trace_id": "thread_local",
        "log_feedback": "trace_id name value source error rationale metadata span_id",
        "log_expectation": "trace_id name value source metadata span_id",
    }
    for name, parameters in expected.items():
        assert list(inspect.signature(getattr(tracestore, name)).parameters) == parameters.split()


def _python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


HEAVY = ("pandas", "numpy", "sqlite_utils", "click", "rich", "platformdirs", "regex", "IPython")


def test_import_brings_in_nothing_heavy() -> None:
    left_out = {*HEAVY, "asyncio", "inspect", "sqlite3", "msgspec", "logging"}
    code = (
        "import sys; before = set(sys.modules); import tracestore; "
        f"print(sorted(({left_out!r} & set(sys.modules)) - before))"
    )
    assert _python(code) == "[]"


def test_recording_brings_in_nothing_heavy(tmp_path: pathlib.Path) -> None:
    code = f"""
import sys
import tracestore
tracestore.set_tracking_uri({str(tmp_path / "traces.db")!r})
with tracestore.start_span("span"):
    pass
tracestore.flush()
print(sorted({set(HEAVY) | {"asyncio", "tracestore.search", "tracestore.display"}!r} & set(sys.modules)))
"""
    heavy = _python(code)
    assert heavy in ("[]", "['sqlite_utils']")  # migrations make a new file


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_shows_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(getattr(tracestore, name)) or "")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What `python -m tests.examples` found."""
    printed = subprocess.run(
        [sys.executable, "-m", "tests.examples"],
        env=environment(tmp_path_factory.mktemp("examples") / "traces.db"),
        check=True,
        capture_output=True,
        text=True,
        timeout=110,
    ).stdout
    return {row["module"]: Outcome(**row) for row in map(json.loads, printed.splitlines())}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(outcomes: dict[str, Outcome], name: str) -> None:
    assert outcomes[name].wrong == []


def test_there_are_examples(outcomes: dict[str, Outcome]) -> None:
    assert sum(outcome.examples for outcome in outcomes.values()) >= 100


def test_package_is_typed_and_versioned() -> None:
    assert (ROOT / "py.typed").exists()
    assert tracestore.__version__.count(".") == 2
