"""A notebook in a real Jupyter kernel: what its cells show, what its file holds after the kernel's end."""

from __future__ import annotations

import pathlib
import re
from typing import Any, NamedTuple

import nbformat.v4
import pytest
from nbclient import NotebookClient

from tests.browser_chromium import open_chromium, open_page
from tests.guides.running import environment
from tracestore.store import Store

CELLS = {
    "record": """\
import tracestore as mlflow

@mlflow.trace(span_type="CHAIN")
def answer(question):
    with mlflow.start_span("retrieve", span_type="RETRIEVER") as span:
        span.set_outputs(["a page on <b>SQLite</b>"])
    with mlflow.start_span("generate", span_type="LLM"):
        pass
    return question.upper()

answer("why?")""",
    "trace": "mlflow.get_trace(mlflow.get_last_active_trace_id())",
    "failing trace": """\
@mlflow.trace
def fail():
    raise ValueError("out of pages")

try:
    fail()
except ValueError:
    pass
mlflow.get_trace(mlflow.get_last_active_trace_id())""",
    "list": 'mlflow.search_traces(return_type="list")',
    "frame": 'mlflow.search_traces()[["state", "request", "response"]]',
    "autoreload": """\
%load_ext autoreload
%autoreload 2
import importlib
with mlflow.start_span("around a reload"):
    with mlflow.start_span("before"):
        importlib.reload(mlflow)
    with mlflow.start_span("after"):
        pass""",
    "after reload": """\
import tracestore as mlflow
answer("again?")
len(mlflow.search_traces(filter_string="name = 'answer'", return_type="list"))""",
    "display": """\
mlflow.tracing.enable_notebook_display()
with mlflow.start_span("shown by itself"):
    pass""",
    "last": """\
mlflow.tracing.disable_notebook_display()
for number in range(200):
    answer(f"last {number}")
left_open = mlflow.start_span_no_context("left open", inputs={"question": "why not?"})""",
}


class Executed(NamedTuple):
    """What the notebook showed, by cell, and the file that it recorded into."""

    shown: dict[str, dict[str, str]]
    path: pathlib.Path


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    folder = tmp_path_factory.mktemp("notebook")
    path = folder / "traces.db"
    make: Any = nbformat.v4  # it has no types
    cells = [make.new_code_cell(source) for source in CELLS.values()]
    client = NotebookClient(
        make.new_notebook(cells=cells),
        timeout=60,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    executed = client.execute(
        env=environment(path, JPY_SESSION_NAME=str(folder / "analysis.ipynb"))
    )
    return Executed(
        {name: _data(cell) for name, cell in zip(CELLS, executed.cells, strict=True)}, path
    )


def _data(cell: Any) -> dict[str, str]:
    """Return what a cell showed, by MIME type: its last value, or a trace; nothing else was said."""
    assert len(cell.outputs) <= 1
    kinds = {each.output_type for each in cell.outputs}
    assert kinds <= {
        "display_data" if "enable_notebook_display" in cell.source else "execute_result"
    }
    return {kind: text for each in cell.outputs for kind, text in each.data.items()}


def test_a_trace_shows_itself(notebook: Executed) -> None:
    shown = notebook.shown["trace"]

    assert set(shown) == {"text/plain", "text/html"}
    for name in ("answer", "retrieve", "generate"):
        assert name in shown["text/plain"]
        assert name in shown["text/html"]
    assert "<script" not in shown["text/html"]


def test_a_cell_shows_what_it_recorded_once_that_is_asked_for(notebook: Executed) -> None:
    shown = notebook.shown["display"]

    assert "shown by itself" in shown["text/html"]
    assert "shown by itself" in shown["text/plain"]
    assert notebook.shown["last"] == {}


def test_a_list_of_traces_shows_a_table(notebook: Executed) -> None:
    shown = notebook.shown["list"]

    assert set(shown) == {"text/plain", "text/html"}
    assert "<table" in shown["text/html"]
    assert "fail" in shown["text/plain"]
    assert "answer" in shown["text/plain"]


def test_a_search_shows_a_data_frame(notebook: Executed) -> None:
    shown = notebook.shown["frame"]

    assert 'class="dataframe"' in shown["text/html"]
    assert re.search(r"0\s+ERROR\s+{}\s+None", shown["text/plain"])
    assert re.search(r"1\s+OK\s+{'question': 'why\?'}\s+WHY\?", shown["text/plain"])


def test_reloading_does_no_harm(notebook: Executed) -> None:
    assert notebook.shown["after reload"] == {"text/plain": "2"}
    (trace,) = Store(notebook.path, read_only=True).search_traces("name = 'around a reload'")
    root = trace.data.spans[0]
    assert [(span.name, span.parent_id) for span in trace.data.spans[1:]] == [
        ("before", root.span_id),
        ("after", root.span_id),
    ]


def test_the_notebook_is_the_source(notebook: Executed) -> None:
    for trace in Store(notebook.path, read_only=True).search_traces():
        assert trace.info.trace_metadata["mlflow.source.type"] == "NOTEBOOK"
        assert trace.info.trace_metadata["mlflow.source.name"] == "analysis.ipynb"


def test_the_end_of_the_kernel_writes_everything(notebook: Executed) -> None:
    store = Store(notebook.path, read_only=True)

    assert store.count_traces("name = 'answer' AND status = 'OK'") == 202
    assert store.count_traces("request LIKE '%last 199%'") == 1
    (left_open,) = store.search_traces("name = 'left open'")
    assert str(left_open.info.state) == "IN_PROGRESS"
    assert left_open.data.spans[0].inputs == {"question": "why not?"}
    assert store.count_traces() == 206


def test_the_spans_are_seen_in_a_browser(notebook: Executed) -> None:
    with (
        open_chromium() as browser,
        open_page(browser, notebook.shown["trace"]["text/html"]) as (page, requests),
    ):
        for name in ("answer", "retrieve", "generate"):
            assert page.locator(".ts-row").get_by_text(name, exact=True).first.is_visible()
        assert page.locator(".ts-row").count() == 3
        assert requests == []


def test_the_table_is_seen_in_a_browser(notebook: Executed) -> None:
    with (
        open_chromium() as browser,
        open_page(browser, notebook.shown["list"]["text/html"]) as (page, requests),
    ):
        assert page.locator("tbody tr").count() == 2
        assert page.locator("tbody").get_by_text("WHY?").first.is_visible()
        assert requests == []
