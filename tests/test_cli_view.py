"""`tracestore view`: a page is written, and opened unless it goes to a file of the user's."""

from __future__ import annotations

import os
import pathlib
import shlex
import stat

import pytest

from tests.cli_program import record_demo, run, run_json


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return record_demo(tmp_path_factory.mktemp("demo"))


def traces_in(path: str) -> int:
    return pathlib.Path(path).read_text("utf-8").count('id="tracestore-') - 1  # without the index


def test_output_is_written_and_not_opened(demo: str, tmp_path: pathlib.Path) -> None:
    page = str(tmp_path / "failures.html")
    ended = run("view", "status = 'ERROR'", "--output", page, "--db", demo)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("1 trace, ")
    assert ended.out.endswith(f" kB: {page}\n")
    assert traces_in(page) == 1


@pytest.mark.skipif(os.name == "nt", reason="the browser is a shell script")
def test_a_page_is_opened_in_the_browser(demo: str, tmp_path: pathlib.Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shlex.quote(str(tmp_path / "opened"))}\n')
    browser.chmod(0o755)
    command = f"{shlex.quote(str(browser))} %s"
    ended = run("view", "-n", "4", "--db", demo, BROWSER=command, TMPDIR=str(tmp_path))

    assert (ended.code, ended.err) == (0, "")
    assert "4 of 6 traces; --max-results takes more" in ended.out
    page = ended.out.rpartition(": ")[2].strip()
    assert (tmp_path / "opened").read_text().strip() == pathlib.Path(page).as_uri()
    assert stat.S_IMODE(os.stat(page).st_mode) == 0o600  # noqa: PTH116
    assert traces_in(page) == 4


def test_one_trace_is_named_as_for_show(demo: str, tmp_path: pathlib.Path) -> None:
    page = str(tmp_path / "last.html")

    assert run("view", "last", "--output", page, "--db", demo).code == 0
    assert "frumious bandersnatch" in pathlib.Path(page).read_text("utf-8")
    assert traces_in(page) == 1
    facts = run_json("view", "last", "--output", page, "--db", demo)
    size_bytes = pathlib.Path(page).stat().st_size
    assert facts == {"path": page, "size_bytes": size_bytes, "traces": 1, "found": 1}
    assert run("view", "tr-0000", "--output", page, "--db", demo).code == 1
    assert run("view", "nme = 1", "--output", page, "--db", demo).code == 2
