"""The README's migration page: its command turns a program for MLflow into one for tracestore, which runs."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

PROGRAM = """
import json
import mlflow
import mlflow_something_else_is_left = None
from mlflow import MlflowClient
from mlflow.entities import SpanType
def later():
    import mlflow
    from mlflow.entities.span import Span
import mlflow as ml
import mlflow.openai
import mlflow.tracing as tracing  # as it is
import mlflow.entities, os
import mlflow, os
"""

RUNS = """
import mlflow
from mlflow import MlflowClient
from mlflow.entities import SpanType, Feedback
from mlflow.entities.span import Span

@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question):
    with mlflow.start_span("step") as span:
        span.set_inputs(question)
    mlflow.update_current_trace(tags={"env": "test"}, session_id="s")
    return "answer"

answer("why?")
trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True)
mlflow.log_feedback(trace_id=trace.info.trace_id, name="good", value=True)
found = MlflowClient().search_traces(filter_string="tags.env = 'test' AND feedback.good = 'true'")
print(len(found), [type(span).__name__ for span in found[0].data.spans], isinstance(found[0].data.spans[0], Span))
"""


def migrate(folder: pathlib.Path) -> None:
    """Run the README's command in a folder."""
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"```sh\n(grep -rlE .*?)```", readme, re.DOTALL)
    assert found is not None
    subprocess.run(["bash", "-c", found[1]], cwd=folder, check=True)


needs_gnu = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("sed") is None, reason="the command is GNU sed's"
)


@needs_gnu
def test_the_command_changes_imports_and_nothing_else(tmp_path: pathlib.Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "notes.txt").write_text("import mlflow\n")
    migrate(tmp_path)

    assert (tmp_path / "notes.txt").read_text() == "import mlflow\n"
    assert (tmp_path / "program.py").read_text().splitlines()[1:] == [
        "import json",
        "import tracestore as mlflow",
        "import mlflow_something_else_is_left = None",
        "from tracestore import MlflowClient",
        "from tracestore.entities import SpanType",
        "def later():",
        "    import tracestore as mlflow",
        "    from tracestore.entities.span import Span",
        "import tracestore as ml",
        "import tracestore.openai, tracestore as mlflow",
        "import tracestore.tracing as tracing  # as it is",
        "import tracestore.entities, tracestore as mlflow, os",
        "import tracestore as mlflow, os",
    ]


@needs_gnu
def test_a_program_for_mlflow_runs_after_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "program.py").write_text(RUNS)
    migrate(tmp_path)
    environment = {**os.environ, "TRACESTORE_DB": str(tmp_path / "traces.db")}
    ended = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=60
    )  # fmt: skip
    assert ended.stdout == "1 ['Span', 'Span'] True\n"
