"""`explore()` in JupyterLab itself: a kernel, a server and a browser; the file is looked at afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import nbformat
import nbformat.v4
from playwright.sync_api import Page, expect

from tests.browser_chromium import open_chromium
from tracestore.store import Store

_CELL = """\
import tracestore as mlflow

@mlflow.trace(span_type="CHAIN")
def answer(question):
    mlflow.update_current_trace(session_id="s1", user="ada")
    with mlflow.start_span("retrieve", span_type="RETRIEVER") as span:
        span.set_outputs([{"page_content": "a page", "metadata": {"source": "handbook"}}])
    return question.upper()

for number in range(150):
    answer(f"question {number}")
mlflow.explore(user="kim", height_px=600)"""


@contextlib.contextmanager
def running_lab(folder: pathlib.Path) -> Iterator[str]:
    """Run JupyterLab with its files in `folder` and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [f"JUPYTER_{place}_DIR" for place in ("CONFIG", "DATA", "RUNTIME")]
    places += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR"]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *(f"--ServerApp.port={port}", "--IdentityProvider.token="),
            *(f"--ServerApp.root_dir={folder}", "--LabApp.news_url="),
        ],
        env={
            **{
                key: value for key, value in os.environ.items() if not key.startswith("TRACESTORE_")
            },
            **{name: str(folder.parent / name.lower()) for name in places},
            "TRACESTORE_DB": str(folder / "traces.db"),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/api", server)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None
        with contextlib.suppress(OSError), urllib.request.urlopen(url):
            return
        time.sleep(0.1)  # the server says in no other way that it listens
    raise TimeoutError(url)


def write_notebook(path: pathlib.Path) -> None:
    make: Any = nbformat.v4  # it has no types
    write: Any = nbformat.writes
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = make.new_notebook(cells=[make.new_code_cell(_CELL)], metadata={"kernelspec": kernel})
    path.write_text(write(notebook), "utf-8")


def run_cell(page: Page, address: str) -> None:
    """Run the notebook's cell once its kernel is there: before that JupyterLab asks for one."""
    page.wait_for_selector(".jp-CodeCell .cm-content", timeout=60_000)
    while not _is_idle(address):
        page.wait_for_timeout(100)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".tracestore-ui .tu-row", timeout=60_000)


def _is_idle(address: str) -> bool:
    with urllib.request.urlopen(f"{address}/api/sessions") as answer:
        return any(each["kernel"]["execution_state"] == "idle" for each in json.load(answer))


def test_traces_are_filtered_opened_and_assessed_in_a_notebook(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    write_notebook(folder / "look.ipynb")
    with running_lab(folder) as address, open_chromium() as browser:
        page = browser.new_page(viewport={"width": 1_400, "height": 1_000})
        page.goto(f"{address}/lab/tree/look.ipynb")
        run_cell(page, address)
        widget = page.locator(".tracestore-ui")
        status = widget.get_by_role("status")

        expect(status).to_have_text("150 traces")
        widget.get_by_role("grid", name="Traces").focus()
        page.keyboard.press("End")  # of the first hundred, which brings the rest
        expect(widget.get_by_role("grid")).to_have_attribute("aria-rowcount", "150")
        page.keyboard.press("End")
        expect(widget.get_by_text("question 0", exact=True)).to_be_visible()

        widget.get_by_label("Filter: words, or a filter").fill("spna.type = 'X'")
        expect(widget.get_by_role("alert")).to_contain_text("did you mean 'span'")
        widget.get_by_label("Filter: words, or a filter").fill("request LIKE '%question 14_\"%'")
        expect(status).to_have_text("10 traces")

        widget.locator(".tu-row", has_text="question 147").click()
        expect(widget.locator("h1")).to_have_text("answer")
        widget.get_by_label("Why").fill("as asked")
        widget.get_by_role("button", name="Good: true").click()
        expect(widget.locator(".tu-detail .tu-mark.tu-is-ok")).to_have_text("correct true")
        widget.locator(".tu-span", has_text="retrieve").click()
        expect(widget.locator(".tu-document")).to_contain_text("handbook")
        widget.get_by_label("Name of the assessment").fill("relevance")
        widget.get_by_label("Score or text").fill("0.7")
        widget.get_by_role("button", name="Save feedback").click()
        expect(widget.locator(".tu-detail .tu-mark").first).to_have_text("relevance 0.7")

        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Control+s")
        expect(page.locator(".jp-mod-dirty")).to_have_count(0, timeout=15_000)

    store = Store(folder / "traces.db", read_only=True)
    (trace,) = store.search_traces("feedback.correct = true AND feedback.relevance > 0.5")
    assert trace.info.response_preview == '"QUESTION 147"'
    correct, relevance = trace.info.assessments
    assert (correct.source.source_id, correct.rationale) == ("kim", "as asked")
    assert relevance.span_id == trace.search_spans(name="retrieve")[0].span_id
    saved = json.loads((folder / "look.ipynb").read_text("utf-8"))
    output = saved["cells"][0]["outputs"][0]["data"]
    assert "QUESTION 149" in "".join(output["text/html"])
