"""A real Chromium for tests of what people look at: found on this machine, never downloaded.

`open_chromium` starts it, `open_page` shows HTML in it with the network cut off and every request that was
tried kept. Where there is no Chromium the tests that need one fail: a skip would hide that nobody looked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium_path() -> str:
    """Return the browser's path: TRACESTORE_CHROMIUM or the first known name on PATH; else fail the test."""
    named = os.environ.get("TRACESTORE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if not found:
        pytest.fail(
            "no Chromium: install one (`apt-get install chromium`), name it in TRACESTORE_CHROMIUM, "
            "or run the tests with .ci/run, which brings it"
        )
    return found


@contextlib.contextmanager
def open_chromium() -> Iterator[Browser]:
    """Yield a running browser; it ends with the context."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(
    browser: Browser,
    html: str,
    *,
    width: int = 1_000,
    scheme: Literal["light", "dark"] = "light",
    body: str = "",
) -> Iterator[tuple[Page, list[str]]]:
    """Yield a page that shows `html` as a notebook's cell does, and the URLs it tried to load.

    Args:
        browser: From `open_chromium`.
        html: What a cell would show.
        width: Of the window, in CSS pixels.
        scheme: What the system prefers.
        body: Attributes of the page's body, such as a notebook sets for its theme.
    """
    requests: list[str] = []

    def refuse(route: Route) -> None:
        requests.append(route.request.url)
        route.abort()

    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        page = context.new_page()
        page.route("**/*", refuse)
        page.set_content(
            f"<!doctype html><meta charset=utf-8><body {body} style='margin:0'><main>{html}</main>"
        )
        yield page, requests
    finally:
        context.close()
