"""The commands on real files: what they say, what they change, and how they end."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

if sys.platform == "win32":
    pytest.skip("runs in a pseudo-terminal", allow_module_level=True)

from tests.cli_program import Terminal, record_demo, run, run_json
from tracestore import Store, __version__
from tracestore.cli import COMMANDS, main


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return record_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def path(demo: str, tmp_path: Path) -> str:
    """A store of its own for a test that changes it."""
    return shutil.copy(demo, str(tmp_path / "t.db"))


def ids(path: str, filter_string: str = "") -> list[str]:
    """Return the ids of the traces that meet a filter, newest first."""
    with Store(path, read_only=True) as store:
        return [trace.trace_id for trace in store.search_traces(filter_string)]


# Help -----------------------------------------------------------------------------------------------------


def test_help_states_exit_codes_and_lists_every_command() -> None:
    ended = run("--help")

    assert (ended.code, ended.err) == (0, "")
    assert "3  the store can't be opened or read" in ended.out
    assert all(f"  {name} " in ended.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_the_summary_that_the_list_shows(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert f"tracestore {name}" in (command.epilog or "")
    assert (command.help or "").splitlines()[0] == COMMANDS[name].summary
    assert {"--db", "--json"} <= {option for p in command.params for option in p.opts}


def test_help_starts_without_the_store_and_rich() -> None:
    program = (
        "import sys; from tracestore.cli import main; main(['--help'], standalone_mode=False);"
        "print({'rich', 'sqlite3', 'msgspec', 'tracestore.store'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stdout.endswith(b"set()\n")


def test_version_is_the_package_s() -> None:
    assert run("--version").out == f"tracestore {__version__}\n"


# Looking --------------------------------------------------------------------------------------------------


def test_search_lists_newest_first_with_ids_that_show_takes(demo: str) -> None:
    lines = run("search", "--db", demo).out.splitlines()

    assert len(lines) == 7
    assert "frumious" in lines[1]
    assert (
        run("show", lines[1].split()[0], "--db", demo).out.splitlines()[0].split()[1]
        == ids(demo)[0]
    )


def test_search_shows_the_whole_id_where_there_is_room(demo: str) -> None:
    lines = run("search", "--db", demo, COLUMNS="200").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ids(demo)
    assert "start UTC " in lines[0]


def test_search_filters_orders_and_limits(demo: str) -> None:
    found = run_json(
        "search", "status = 'OK'", "--order-by", "timestamp ASC", "-n", "2", "--db", demo
    )
    assert [trace["info"]["trace_id"] for trace in found["traces"]] == ids(demo)[:-3:-1]
    assert found["traces"][0]["data"]["spans"]


def test_pages_put_together_are_the_whole_search(demo: str) -> None:
    found, token = [], ""
    while token is not None:
        going_on = ("--page-token", token) if token else ()
        page = run_json("search", "-n", "4", "--db", demo, *going_on)
        found += [trace["info"]["trace_id"] for trace in page["traces"]]
        token = page["next_page_token"]
    assert found == ids(demo)


def test_the_page_after_is_offered(demo: str) -> None:
    ended = run("search", "-n", "4", "--db", demo)
    note = ended.out.splitlines()[-1]

    assert note.startswith("4 traces; there are more")
    token = note.split()[-1].strip("'")
    assert len(run("search", "-n", "4", "--db", demo, "--page-token", token).out.splitlines()) == 3


@pytest.mark.parametrize(("experiment", "lines"), [("demo", 7), ("1", 7), ("Default", 1), ("0", 1)])
def test_search_takes_an_experiment_by_name_or_id(demo: str, experiment: str, lines: int) -> None:
    assert len(run("search", "--experiment", experiment, "--db", demo).out.splitlines()) == lines


def test_an_empty_search_is_no_failure(demo: str) -> None:
    ended = run("search", "name = 'nobody'", "--db", demo)
    assert (ended.code, ended.out) == (0, "no traces match\n")


@pytest.mark.parametrize("shorten", [str, lambda i: i[:30], lambda i: i[3:], lambda i: i[3:25]])
def test_show_takes_any_beginning_of_an_id(demo: str, shorten: object) -> None:
    assert callable(shorten)
    trace_id = ids(demo)[3]
    assert run_json("show", shorten(trace_id), "--db", demo)["info"]["trace_id"] == trace_id


def test_show_last_is_the_newest(demo: str) -> None:
    assert run_json("show", "last", "--db", demo)["info"]["trace_id"] == ids(demo)[0]


def test_show_says_what_a_person_wants_to_know(demo: str) -> None:
    (trace_id,) = ids(demo, "span.type = 'TOOL' AND span.status = 'ERROR'")
    out = run("show", trace_id, "--db", demo, COLUMNS="100").out

    for expected in (
        "state       ✓ OK",
        "experiment  demo",
        "session     demo-session",
        "request     And what is 7 / 0?",
        "✗ calculate: ZeroDivisionError: ",  # its words are the Python version's
        "├─ ✗ calculate TOOL",
        "└─ complete CHAT_MODEL",
        "calculate     in   7 / 0",
        "topic  arithmetic",
        "feedback  helpful  false · HUMAN ada · a trick question",
    ):
        assert expected in out
    assert "Traceback" not in out


def test_show_full_cuts_nothing(path: str) -> None:
    long = "word " * 2_000 + "the end"
    with Store(path) as store:
        store.set_trace_tag(ids(path)[0], "long", long)
    out = run("show", "last", "--full", "--db", path).out

    assert "Traceback (most recent call last):" in out
    assert "the end" in out
    assert "the end" not in run("show", "last", "--db", path).out
    assert '"top_k": 3' in out


@pytest.mark.parametrize("name", ["abcdef", "tr-abcdef", "01%", "'", "\\", "last ", "tr-"])
def test_a_trace_that_is_not_there_ends_with_1_or_says_which_are_meant(
    demo: str, name: str
) -> None:
    ended = run("show", name, "--db", demo)

    assert ended.out == ""
    assert ended.code == (2 if name == "tr-" else 1)
    assert "Traceback" not in ended.err


def test_an_ambiguous_id_lists_candidates(demo: str) -> None:
    ended = run("show", "0", "--db", demo)

    assert ended.code == 2
    assert ids(demo)[0] in ended.err
    assert ended.err.rstrip().endswith("…")


def test_count_writes_the_number(demo: str) -> None:
    assert run("count", "--db", demo).out == "6\n"
    assert run("count", "status = 'ERROR'", "--db", demo).out == "1\n"
    assert run_json("count", "--experiment", "Default", "--db", demo) == {"count": 0}


def test_explain_shows_sql_and_plan(demo: str) -> None:
    out = run("explain", "status = 'ERROR'", "--db", demo).out

    assert "SELECT" in out
    assert "traces_status" in out
    assert "SELECT" in run_json("explain", "status = 'ERROR'", "--db", demo)["explain"]


def test_stats_say_what_is_in_the_file(demo: str) -> None:
    out = run("stats", "--db", demo).out
    facts = run_json("stats", "--db", demo)

    assert f"file         {demo}" in out.replace("\n             ", "")
    assert "5 OK" in out
    assert "demo  id 1, 6 traces" in out
    assert facts["states"] == {"OK": 5, "ERROR": 1, "IN_PROGRESS": 0}
    assert {e["name"]: e["traces"] for e in facts["experiments"]} == {"demo": 6, "Default": 0}
    assert facts["first_request_time_ms"] <= facts["last_request_time_ms"]
    assert (facts["traces"], facts["assessments"]) == (6, 6)


def test_looking_leaves_the_file_as_it_is(demo: str) -> None:
    before = Path(demo).read_bytes()
    for arguments in (["search"], ["show", "last"], ["stats"], ["count"], ["explain"]):
        assert run(*arguments, "--db", demo).code == 0
    assert Path(demo).read_bytes() == before


# Changing -------------------------------------------------------------------------------------------------


def test_tag_is_stored(path: str) -> None:
    assert run("tag", "last", "reviewed", "yes", "--db", path).code == 0
    assert ids(path, "tags.reviewed = 'yes'") == ids(path)[:1]


@pytest.mark.parametrize(
    ("value", "stored"),
    [("true", True), ("0.5", 0.5), ('{"a": [1]}', {"a": [1]}), ("so so", "so so"), ("NaN", "NaN")],
)
def test_feedback_is_json_where_it_can_be(path: str, value: str, stored: object) -> None:
    arguments = ("last", "tone", value, "--source-id", "bob", "--rationale", "why not")
    said = run_json("feedback", *arguments, "--db", path)
    assert said["feedback"] == {"value": stored}

    with Store(path, read_only=True) as store:
        (feedback,) = store.get_trace(ids(path)[0]).search_assessments("tone")
    assert feedback.to_dictionary() == said
    assert said["source"] == {"source_type": "HUMAN", "source_id": "bob"}
    assert said["rationale"] == "why not"


def test_a_value_after_two_dashes_may_begin_with_one(path: str) -> None:
    assert run("feedback", "last", "mood", "--db", path, "--", "-1").code == 0
    assert ids(path, "feedback.mood = -1") == ids(path)[:1]


def test_delete_deletes_those_named(path: str) -> None:
    first, second, *rest = ids(path)

    assert (
        run("delete", first, second[3:25], second, "--yes", "--db", path).out
        == "2 traces deleted\n"
    )
    assert ids(path) == rest


def test_delete_deletes_none_where_one_is_not_there(path: str) -> None:
    assert run("delete", "last", "abcdef", "--yes", "--db", path).code == 1
    assert len(ids(path)) == 6


def test_delete_does_not_go_ahead_unasked(path: str) -> None:
    ended = run("delete", "last", "--db", path, stdin="y\n")

    assert ended.code == 2
    assert "--yes" in ended.err
    assert len(ids(path)) == 6


@pytest.mark.parametrize(("answer", "left"), [("y\n", 5), ("n\n", 6), ("\n", 6)])
def test_delete_asks_first(path: str, answer: str, left: int) -> None:
    with Terminal("delete", "last", "--db", path) as terminal:
        terminal.read_until("for good? [y/N]")
        terminal.type(answer)
        assert terminal.end().code == 0
    assert len(ids(path)) == left


# Failing --------------------------------------------------------------------------------------------------


def test_a_filter_that_can_t_be_read_is_pointed_at(demo: str) -> None:
    ended = run("search", "tags.env = 'prod' AND spna.name = 'llm'", "--db", demo)
    filter_line, caret_line = ended.err.splitlines()[2:4]

    assert (ended.code, ended.out) == (2, "")
    assert filter_line[caret_line.index("^") :].startswith("spna")
    assert "did you mean 'span'?" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--order-by", "nope"],
        ["search", "--page-token", "abc"],
        ["search", "--max-results", "0"],
        ["count", "status ="],
        ["explain", "("],
        ["tag", "last", "", "x"],
        ["nope"],
        ["show"],
        ["stats", "--nope"],
    ],
)
def test_what_can_t_be_read_ends_with_2(demo: str, arguments: list[str]) -> None:
    known = arguments[0] != "nope"
    ended = run(*arguments, *(["--db", demo] if known else []))

    assert ended.code == 2
    assert ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_experiment_ends_with_1(demo: str) -> None:
    for experiment in ("nobody's", "99"):
        ended = run("search", "--experiment", experiment, "--db", demo)
        assert (ended.code, ended.out) == (1, "")


@pytest.mark.parametrize(
    "arguments", [["search"], ["stats"], ["show", "last"], ["tag", "last", "a", "b"]]
)
def test_a_missing_file_is_named_and_not_made(tmp_path: Path, arguments: list[str]) -> None:
    missing = tmp_path / "folder" / "missing.db"
    ended = run(*arguments, TRACESTORE_DB=str(missing))

    assert (ended.code, ended.out) == (3, "")
    assert str(missing) in ended.err
    assert "tracestore demo" in ended.err
    assert not missing.parent.exists()


def test_a_file_of_another_kind_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello " * 500)
    (tmp_path / "empty.db").touch()
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    for name in ("text.db", "empty.db", "other.db", "."):
        ended = run("search", "--db", str(tmp_path / name))
        assert (ended.code, ended.out) == (3, "")
        assert "Traceback" not in ended.err


def test_a_path_may_be_a_sqlite_uri(demo: str) -> None:
    assert run("count", "--db", f"sqlite:///{demo}").out == "6\n"
    assert run("count", "--db", "http://localhost:5000").code == 2


def test_json_is_the_trace_s_own(demo: str) -> None:
    with Store(demo, read_only=True) as store:
        trace = store.search_traces(max_results=1)[0]
    assert run_json("show", "last", "--db", demo) == json.loads(trace.to_json())
