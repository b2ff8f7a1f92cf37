"""Opens the one-file page as people do: from a file, in a real Chromium, with everything else cut off."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from playwright.sync_api import Browser, Page

from tracestore.entities import Trace
from tracestore.ui import page_html


class Opened(NamedTuple):
    """A page, what it tried to load besides itself, and what the browser complained about."""

    page: Page
    requests: list[str]
    problems: list[str]


@contextlib.contextmanager
def open_traces(
    browser: Browser,
    folder: pathlib.Path,
    traces: Sequence[Trace],
    *,
    width: int = 1_200,
    scheme: Literal["light", "dark"] = "light",
    zone: str = "UTC",
    **page: Any,
) -> Iterator[Opened]:
    """Write a page of `traces` into `folder` and yield it, opened; `page` goes to `page_html`."""
    path = folder / "page.html"
    path.write_text(page_html(traces, **page), "utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        timezone_id=zone,
        accept_downloads=True,
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    try:
        shown = context.new_page()
        requests: list[str] = []
        problems: list[str] = []
        shown.on("request", lambda request: requests.append(request.url))
        shown.on("pageerror", lambda error: problems.append(str(error)))
        shown.on("console", lambda message: problems.append(message.text))
        shown.goto(path.as_uri())
        shown.wait_for_selector(".tu-row, .tu-trace, .tu-empty")
        requests.remove(path.as_uri())
        yield Opened(shown, requests, problems)
    finally:
        context.close()
