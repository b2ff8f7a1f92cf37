"""What messages and documents tell people to install is there to be installed: `tracestore[EXTRA]`."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parent.parent

_TABLE = re.compile(r"^\[project\.optional-dependencies\]$(.*?)^\[", re.MULTILINE | re.DOTALL)
_EXTRA = re.compile(r"^(\w+) = \[(.*?)\]", re.MULTILINE | re.DOTALL)

#: By extra: what it brings, as written in pyproject.toml. No TOML reader is part of Python 3.10.
EXTRAS = {
    name: dependencies
    for table in _TABLE.findall((ROOT / "pyproject.toml").read_text("utf-8"))
    for name, dependencies in _EXTRA.findall(table)
}

#: What stands for the names of three extras in messages about data frames.
FRAMES = ("arrow", "pandas", "polars")


def named_extras() -> set[str]:
    """Return every extra that the package's source or the README names."""
    files = [*ROOT.glob("tracestore/**/*.py"), ROOT / "README.md"]
    found = {
        name
        for file in files
        for name in re.findall(r"(?:\btracestore|\"\.)\[([^\]\"]+)\]", file.read_text("utf-8"))
    }
    return (found - {"{return_type}"}) | set(FRAMES)


class Missing(NamedTuple):
    """A program that needs an extra, and the package without which it says so."""

    extra: str
    package: str
    program: str


MISSING = (
    Missing("otel", "opentelemetry", "tracestore.otel.tracer_provider()"),
    Missing("otel", "opentelemetry", "tracestore.otel.SpanProcessor()"),
    Missing("pandas", "pandas", "tracestore.search_traces(return_type='pandas')"),
    Missing("polars", "polars", "tracestore.search_traces(return_type='polars')"),
    Missing("arrow", "pyarrow", "tracestore.search_traces(return_type='arrow')"),
    Missing("pandas", "pandas", "tracestore.metrics('count()').frame()"),
    Missing("notebook", "anywidget", "tracestore.explore()"),
)


def test_every_extra_that_is_named_exists() -> None:
    named = named_extras()
    assert named >= {"otel", "notebook", *FRAMES}
    assert named <= EXTRAS.keys()


@pytest.mark.parametrize("missing", MISSING, ids=lambda missing: missing.program)
def test_the_message_names_the_extra_that_brings_the_package(
    missing: Missing, tmp_path: pathlib.Path
) -> None:
    program = (
        f"import sys; sys.modules[{missing.package!r}] = None; import tracestore.errors\n"
        f"tracestore.set_tracking_uri({str(tmp_path / 'traces.db')!r})\n"
        f"try: {missing.program}\n"
        "except tracestore.errors.TracestoreError as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert f'pip install "tracestore[{missing.extra}]"' in said
    assert missing.package in EXTRAS[missing.extra]
