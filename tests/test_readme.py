"""The README is true: its Python runs, its tables are those of the code, its commands exist."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.documents import generated_blocks, with_blocks

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_python_of_the_readme_runs_as_one_program(tmp_path: pathlib.Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    code += "\nassert tracestore.count_traces('feedback.correct = true AND duration < 5s') == 1\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "TRACESTORE_DB": str(tmp_path / "traces.db")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_what_is_generated_is_what_the_code_says() -> None:
    assert with_blocks(README, generated_blocks()) == README, "run python -m tests.documents"


@pytest.mark.parametrize("command", re.findall(r"`tracestore (\w+)", README))
def test_every_command_that_the_readme_names_exists(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tracestore", command, "--help"], capture_output=True, check=False
    )
    assert done.returncode == 0


def test_links_within_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        if target.startswith("#"):
            headings = {
                h.lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
            }
            assert target[1:] in headings
        else:
            assert (ROOT / target).exists(), target
