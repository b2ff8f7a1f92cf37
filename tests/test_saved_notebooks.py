"""What a cell shows stays in the saved notebook: nbconvert's page, and what a sanitiser leaves of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import nbformat.v4
import pytest
from playwright.sync_api import Browser

import tracestore
from tests.browser_chromium import open_chromium
from tests.browser_traces import real_trace
from tracestore.difference import diff_traces
from tracestore.entities import PagedList
from tracestore.store import Store


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


def converted(value: Any, **options: Any) -> str:
    """Return the page that nbconvert makes of a notebook with one cell that shows `value`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nbconvert's own imports
        import nbconvert  # noqa: PLC0415

        make: Any = nbformat.v4  # it has no types
        bundle = value._repr_mimebundle_()
        output = make.new_output("execute_result", bundle, execution_count=1)
        cell = make.new_code_cell("shown", outputs=[output], execution_count=1)
        exporters: Any = nbconvert
        exporter = exporters.HTMLExporter(**options)
        page, _ = exporter.from_notebook_node(make.new_notebook(cells=[cell]))
    return str(page)


def session(store: Store) -> Any:
    """Return a session of two traces."""
    for _ in range(2):
        with tracestore.start_span("answer_customer"):
            tracestore.update_current_trace(session_id="chat-5f2a")
    return store.get_session("chat-5f2a")


@pytest.mark.parametrize("kind", ["trace", "list", "session", "diff"])
@pytest.mark.parametrize("sanitize", [False, True])
def test_the_picture_is_there_without_a_kernel(
    browser: Browser, recording: Store, kind: str, *, sanitize: bool
) -> None:
    made: dict[str, Callable[[], Any]] = {
        "trace": real_trace,
        "list": lambda: PagedList([real_trace()]),
        "session": lambda: session(recording),
        "diff": lambda: diff_traces(real_trace(), real_trace()),
    }
    html = converted(made[kind](), sanitize_html=sanitize)

    context = browser.new_context(offline=True)
    page = context.new_page()
    page.route("**/*", lambda route: route.abort())
    page.set_content(html, wait_until="commit")
    page.get_by_text("answer_customer").first.wait_for()
    shown = page.locator(".jp-OutputArea-output, .output, .jp-RenderedHTMLCommon").first
    if not sanitize:
        assert page.locator(".ts-card").first.bounding_box() is not None
    assert "answer_customer" in shown.inner_text()
    context.close()
