"""The command line on terminals of all kinds, with recorded text that attacks them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("runs in a pseudo-terminal", allow_module_level=True)

from rich.cells import cell_len

from tests.browser_traces import ATTACKS
from tests.cli_program import (
    Terminal,
    command,
    environment,
    record_demo,
    run,
    show_in_terminal,
    without_colours,
)

#: Records a trace of which every text is an attack, a deep one, and a large one.
_HOSTILE = """
import sys
import tracestore as mlflow
from tracestore.entities import AssessmentError

mlflow.set_tracking_uri(sys.argv[1])
attack = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
clean = attack.encode("utf-8", "replace").decode()
mlflow.set_experiment(attack)
with mlflow.start_span(attack, span_type=clean, attributes={attack: attack}) as root:
    root.set_inputs({attack: attack})
    root.set_outputs(attack)
    mlflow.update_current_trace(
        tags={attack[:200]: attack}, session_id=attack, user=attack, client_request_id=attack
    )
    root.add_event(mlflow.entities.SpanEvent(attack, attributes={attack: attack}))
    with mlflow.start_span("wide " + "\\u4e00" * 200, span_type="TOOL"):
        pass
    root.record_exception(ValueError(attack))
mlflow.log_feedback(trace_id=root.trace_id, name=attack, value=attack, rationale=attack)
mlflow.log_feedback(trace_id=root.trace_id, error=AssessmentError(clean, clean))
mlflow.flush()
"""

_ATTACK = "\x1b[31mpwned [red]markup[/red] [/] :smile: \r\n" + "\n".join(ATTACKS) + "\u4e00" * 99

_LOOKS = (
    ("search",),
    ("show", "last"),
    ("show", "last", "--full"),
    ("stats",),
    ("search", "--json"),
    ("show", "last", "--json"),
    ("stats", "--json"),
    ("explain", "tags.x = '\x1b[31mpwned\u202e'"),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return record_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("hostile") / "t.db")
    subprocess.run(
        [sys.executable, "-c", _HOSTILE, path],
        input=_ATTACK.encode("utf-8", "surrogatepass"),
        env=environment(),
        check=True,
    )
    return path


@pytest.mark.parametrize("arguments", _LOOKS)
def test_a_terminal_obeys_nothing_that_was_recorded(
    hostile: str, arguments: tuple[str, ...]
) -> None:
    shown = without_colours(show_in_terminal(*arguments, "--db", hostile, columns=200))

    assert all(c == "\n" or (c.isprintable() and c not in "\u202e\u2066") for c in shown)


def test_recorded_escapes_and_markup_are_shown_as_they_are(hostile: str) -> None:
    shown = show_in_terminal("show", "last", "--full", "--db", hostile, columns=200)

    assert "␛[31mpwned [red]markup[/red] [/] :smile:" in shown


def test_json_of_hostile_text_says_the_same(hostile: str) -> None:
    shown = show_in_terminal("show", "last", "--json", "--db", hostile)
    outputs = [
        json.loads(span["attributes"]["mlflow.spanOutputs"])
        for span in json.loads(shown)["data"]["spans"]
        if "mlflow.spanOutputs" in span["attributes"]
    ]

    # Lone surrogates are no text; recording replaces them.
    assert outputs == [re.sub("[\ud800-\udfff]", "\ufffd", _ATTACK)]


@pytest.mark.parametrize("columns", [40, 60, 100, 200])
@pytest.mark.parametrize("arguments", _LOOKS[:4])
def test_no_line_is_wider_than_the_terminal(
    hostile: str, demo: str, arguments: tuple[str, ...], columns: int
) -> None:
    for path in (hostile, demo):
        shown = without_colours(show_in_terminal(*arguments, "--db", path, columns=columns))
        assert max(cell_len(line) for line in shown.splitlines()) <= columns


def test_a_long_name_leaves_the_figures_whole(hostile: str) -> None:
    asked = ("metrics", "count", "error_rate", "tokens_total", "--by", "name", "--db", hostile)
    heads, row = without_colours(show_in_terminal(*asked, columns=60)).splitlines()
    assert heads.split() == ["name", "count", "error_rate", "tokens_total"]
    assert re.search(r"… +1 +100\.0 % +-$", row.rstrip())


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_figures_that_find_no_room_stand_below_one_another(demo: str, columns: int) -> None:
    shown = without_colours(show_in_terminal("stats", "--db", demo, columns=columns))
    totals = shown.partition("All traces\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in totals.splitlines()[:3]] == ["count", "error_rate", "p50"]
    assert "…" not in totals


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_rows_stay_on_one_line(demo: str, columns: int) -> None:
    shown = show_in_terminal("search", "--db", demo, columns=columns)
    assert len(shown.splitlines()) == 7


def test_colours_are_for_terminals_only(demo: str) -> None:
    assert "\x1b[" in show_in_terminal("search", "--db", demo)
    assert "\x1b" not in run("search", "--db", demo).out


def test_no_color_is_honoured(demo: str) -> None:
    shown = show_in_terminal("show", "last", "--db", demo, NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", shown)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("arguments", _LOOKS)
def test_every_encoding_will_do(hostile: str, arguments: tuple[str, ...], encoding: str) -> None:
    variables = environment(PYTHONIOENCODING=encoding)
    ended = subprocess.run(
        command(*arguments, "--db", hostile), capture_output=True, env=variables, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    text = ended.stdout.decode(encoding)
    if "--json" in arguments:
        json.loads(text)


def test_branches_and_bars_have_stand_ins_in_ascii(demo: str) -> None:
    ended = run("show", "last", "--db", demo, PYTHONIOENCODING="ascii")

    assert "state       x ERROR" in ended.out
    assert "`- x retrieve RETRIEVER" in ended.out
    assert "?" not in ended.out.replace("bandersnatch?", "")


def test_errors_are_written_in_ascii_too(demo: str) -> None:
    ended = run(
        "search", "tags.ä = 'ö' AND", "--db", demo, PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    assert ended.code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("closed", "arguments", "code", "said"),
    [
        ("<&-", ("delete", "last"), 2, "there is nobody to ask"),
        ("<&-", ("prune", "--max-traces", "1"), 2, "there is nobody to ask"),
        ("2>&-", ("check",), 0, "nothing is wrong"),
        ("2>&-", ("export", "--otlp", "http://localhost:1", "name = 'none'"), 0, "0 traces"),
    ],
)
def test_a_stream_that_is_closed_is_no_terminal(
    demo: str, closed: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command(*arguments, "--db", demo)],
        capture_output=True,
        env=environment(),
        check=False,
        timeout=60,
    )
    assert (ended.returncode, said in (ended.stdout + ended.stderr).decode()) == (code, True)


def test_a_reader_that_has_enough_ends_the_program_quietly(tmp_path: Path) -> None:
    path = str(tmp_path / "t.db")
    program = "import sys, tracestore as m; m.set_tracking_uri(sys.argv[1])\n"
    program += "with m.start_span('large') as s: s.set_outputs('many words ' * 50_000)"
    subprocess.run([sys.executable, "-c", program, path], check=True, env=environment())
    for arguments in (("show", "last", "--full"), ("show", "last", "--json")):
        process = subprocess.Popen(
            command(*arguments, "--db", path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


def test_control_c_ends_the_program_quietly(demo: str) -> None:
    with Terminal("delete", "last", "--db", demo) as terminal:
        terminal.read_until("for good? [y/N]")
        terminal.interrupt()
        ended = terminal.end()

    assert ended.code == 130
    assert ended.out.strip() in ("", "^C")
    assert run("count", "--db", demo).out == "6\n"
