"""The command line as people run it: a process of its own, with pipes or in a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TIMEOUT_S = 60


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


def environment(**variables: str) -> dict[str, str]:
    """Return this process' environment without what would influence the command line."""
    ours = (
        "TRACESTORE_",
        "MLFLOW_",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
        "PYTHONIOENCODING",
        "PYTHONUNBUFFERED",
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**kept, "PYTHONUTF8": "1", "TERM": "xterm-256color", "TZ": "UTC", **variables}


def command(*arguments: str) -> list[str]:
    """Return the command line that runs `tracestore` with `arguments`."""
    return [sys.executable, "-m", "tracestore", *arguments]


def run(*arguments: str, stdin: str = "", **variables: str) -> Ended:
    """Run `tracestore` with pipes; what it writes may hold anything."""
    ended = subprocess.run(
        command(*arguments),
        input=stdin.encode(),
        capture_output=True,
        env=environment(**variables),
        check=False,
        timeout=_TIMEOUT_S,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def run_json(*arguments: str) -> Any:
    """Run `tracestore` with `--json` and return what it wrote, once it has ended well."""
    ended = run(*arguments, "--json")
    assert (ended.code, ended.err) == (0, "")
    return json.loads(ended.out)


@final
class Terminal:
    """`tracestore` in a pseudo-terminal of `columns`."""

    def __init__(
        self, *arguments: str, columns: int = 100, variables: Mapping[str, str] | None = None
    ) -> None:
        self._side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment(**(variables or {})),
            start_new_session=True,
        )
        os.close(other)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the program, if it goes on: a failing test leaves nothing behind."""
        self.process.kill()
        self.process.wait(_TIMEOUT_S)
        os.close(self._side)

    def read_until(self, text: str) -> None:
        """Read until `text` was written."""
        read = b""
        while text.encode() not in read:
            read += os.read(self._side, 1024)

    def type(self, text: str) -> None:
        """Type `text`."""
        os.write(self._side, text.encode())

    def interrupt(self) -> None:
        """Send SIGINT until the program has ended: one that comes just before a read starts is not seen."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2.0)

    def end(self) -> Ended:
        """Read to the end; what went to either stream is in `out`."""
        written = b""
        with contextlib.suppress(OSError):  # Linux: EIO once the other side is closed
            while chunk := os.read(self._side, 65536):
                written += chunk
        code = self.process.wait(_TIMEOUT_S)
        return Ended(code, written.decode().replace("\r\n", "\n"), "")


def show_in_terminal(*arguments: str, columns: int = 100, **variables: str) -> str:
    """Return what `tracestore` shows in a terminal, colours and all, once it has ended well."""
    with Terminal(*arguments, columns=columns, variables=variables) as terminal:
        ended = terminal.end()
    assert ended.code == 0, ended.out
    return ended.out


def without_colours(text: str) -> str:
    """Return `text` without the sequences that colour it."""
    return _COLOUR.sub("", text)


def record_demo(folder: Path) -> str:
    """Run the demo into a file in `folder` and return its path."""
    path = str(folder / "demo.db")
    assert run("demo", "--db", path).code == 0
    return path
