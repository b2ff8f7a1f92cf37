"""The command line given odd options, files and texts: one error, an exit code that says so, no traceback."""

from __future__ import annotations

import os
import pathlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner

import tracestore
from tests.cli_program import command, environment, run
from tracestore.cli import COMMANDS, main
from tracestore.runtime import runtime
from tracestore.store import Store

#: What each command is given so that only one thing is wrong; `{0}` and `{1}` are ids of traces.
RIGHT = {
    "show": ["{0}"],
    "tag": ["{0}", "k", "v"],
    "feedback": ["{0}", "good", "yes"],
    "delete": ["{0}", "--yes"],
    "diff": ["{0}", "{1}"],
    "backup": ["backup.db"],
    "extract": ["", "part.db"],
    "merge": ["other.db"],
    "repair": ["repaired.db"],
    "import": ["text.db"],
    "export": ["--otlp-file", "traces.jsonl"],
    "compare": ["tags.k"],
    "correlate": ["name = 'first'"],
    "prune": ["--older-than", "1d", "--yes"],
    "redact": ["--yes"],
    "view": ["--output", "page.html"],
}

#: Where to export to: one of them at a time.
DESTINATIONS = {"--otlp", "--otlp-file", "--perfetto"}

#: Waits for traces, so it ends for other reasons than its arguments; see test_tail.
COMMANDS_THAT_END = [name for name in COMMANDS if name not in ("tail", "demo")]

#: What names no store, and the exit code of a command that only reads.
NO_STORES = {
    "missing.db": 3,
    "text.db": 3,
    "foreign.db": 3,
    "directory": 3,
    "dangling.db": 3,
    "damaged.db": 3,
    "pipe": 3,
    "/dev/null": 3,
    "text.db/traces.db": 3,
    "a" * 5_000: 3,
    "http://localhost/traces.db": 2,
    "~nobody.of.that.name/traces.db": 2,
}

ODD = [
    *("-1", "0", "5", "xyz", "", " ", "nan", "inf", "1e999", "9" * 30, "1h", "-5h", "2024-99-99"),
    *("\udcff", "é\u202e", "[", "'", "--", "a" * 3_000),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[pathlib.Path, list[str]]]:
    """A folder with a store and with files that are none, and the ids of the store's traces."""
    made = tmp_path_factory.mktemp("command-line")
    runtime.reset()
    runtime.configure(path=str(made / "traces.db"))
    ids = []
    for name in ("first", "second"):
        with tracestore.start_span(name) as span:
            tracestore.update_current_trace(tags={"k": "v"}, session_id="s")
        ids.append(span.trace_id)
    runtime.store.backup(made / "other.db")
    runtime.reset()
    (made / "text.db").write_text("only text\n" * 100)
    (made / "directory").mkdir()
    (made / "dangling.db").symlink_to(made / "no such folder" / "traces.db")
    (made / "damaged.db").write_bytes((made / "other.db").read_bytes()[:5_000])
    os.mkfifo(made / "pipe")
    with sqlite3.connect(made / "foreign.db") as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    yield made, ids
    runtime.reset()


@pytest.fixture
def here(
    folder: tuple[pathlib.Path, list[str]], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Make a copy of the folder the current one; return the ids of the traces."""
    made, ids = folder
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in made.iterdir():
        if file.name == "pipe":
            os.mkfifo(copy / "pipe")
        elif file.name == "directory":
            (copy / "directory").mkdir()
        else:
            shutil.copy(file, copy / file.name, follow_symlinks=False)
    monkeypatch.chdir(copy)
    return ids


def parameters_of(name: str) -> list[click.Parameter]:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found.params


def right(name: str, ids: list[str]) -> list[str]:
    return [text.format(*ids) for text in RIGHT.get(name, [])]


def ended(*arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it wrote to stderr."""
    result = CliRunner().invoke(main, arguments, input="")
    runtime.reset()
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    assert "Traceback" not in result.output
    return result.exit_code, result.stderr


def complaint(code: int, error: str, name: str) -> str | None:
    """Return what is wrong with how a command ended, None where nothing is."""
    if code not in (0, 1, 2, 3):
        return f"exit code {code}"
    answers = name == "check" and code == 1  # what it found is on stdout
    lines = error.strip().splitlines()
    if code and not answers and sum(line.startswith("Error: ") for line in lines) != 1:
        return f"exit code {code} with {error!r:.200}"
    return None


@pytest.mark.parametrize("name", COMMANDS_THAT_END)
def test_a_file_that_is_no_store_is_one_error(here: list[str], name: str) -> None:
    if "--db" not in [option for each in parameters_of(name) for option in each.opts]:
        pytest.skip("takes no store")
    wrong: dict[str, Any] = {}
    for path, code in NO_STORES.items():
        found, error = ended(name, *right(name, here), "--db", path)
        pathlib.Path("repaired.db").unlink(missing_ok=True)
        answers = name in ("import", "retention", "check", "repair") and found in (0, 1)
        if complaint(found, error, name) or (found != code and not answers):
            wrong[path[:40]] = (found, error[:200])
    assert wrong == {}


@pytest.mark.parametrize("name", COMMANDS_THAT_END)
def test_an_odd_value_is_one_error_or_an_answer(here: list[str], name: str) -> None:
    wrong: dict[str, Any] = {}
    has_db = "--db" in [option for each in parameters_of(name) for option in each.opts]
    store = ["--db", "traces.db"] if has_db else []
    given = [each for each in parameters_of(name) if isinstance(each, click.Argument)]
    for each in parameters_of(name):
        for value in ODD:
            arguments = right(name, here)
            if each in given:
                at = given.index(each)
                arguments[at : at + 1] = [value]
            elif isinstance(each, click.Option) and not each.is_flag and "--db" not in each.opts:
                arguments = [] if each.opts[-1] in DESTINATIONS else arguments
                arguments += [each.opts[-1], value]
            else:
                continue
            code, error = ended(name, *store, *arguments)
            found = complaint(code, error, name)
            if found:
                wrong[f"{each.name} {value[:20]!r}"] = found
    assert wrong == {}


@pytest.mark.parametrize("path", ["text.db", "foreign.db", "directory", "pipe", "/dev/null"])
def test_demo_and_tail_refuse_what_is_no_store(here: list[str], path: str) -> None:
    assert here
    for name in ("demo", "tail"):
        found = run(name, "--db", path)
        assert (name, found.code, found.err.count("Error: ")) == (name, 3, 1)
        assert "Traceback" not in found.err


@pytest.mark.parametrize(
    "arguments",
    [
        [b"search", b"\xff"],
        [b"search", b"--db", b"\xff.db"],
        [b"show", b"\xff"],
        [b"tag", b"\xff", b"\xff", b"\xff"],
        [b"\xff"],
        [b"search", b"--\xff"],
    ],
)
def test_arguments_that_are_no_utf_8_are_one_error(here: list[str], arguments: list[bytes]) -> None:
    assert here
    done = subprocess.run(
        [*(part.encode() for part in command()), *arguments],
        env=environment(TRACESTORE_DB="traces.db"),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (1, 2, 3)
    assert done.stderr.count(b"Error: ") == 1
    assert b"Traceback" not in done.stderr


def test_two_forms_at_once_are_refused(here: list[str]) -> None:
    assert here
    found = run("metrics", "count", "--csv", "--json", "--db", "traces.db")
    assert (found.code, found.out) == (2, "")
    assert "--csv and --json" in found.err


@pytest.mark.parametrize("arguments", [["search"], ["search", "--json"], ["stats"], ["--help"]])
def test_a_closed_pipe_is_no_error(here: list[str], arguments: list[str]) -> None:
    assert here
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(*arguments),
        env=environment(TRACESTORE_DB="traces.db"),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (0, 1, 141)


def test_a_store_that_may_not_be_read_is_one_error(here: list[str]) -> None:
    assert here
    pathlib.Path("traces.db").chmod(0)
    if os.access("traces.db", os.R_OK):
        pytest.skip("this user may read everything")
    for name in ("search", "count", "stats"):
        assert complaint(*ended(name, "--db", "traces.db"), name) is None


def test_what_is_neither_file_nor_folder_is_refused_by_a_store_too(here: list[str]) -> None:
    assert here
    with Store("pipe") as store, pytest.raises(tracestore.TracestoreError, match="a pipe"):
        store.create_experiment("none")
