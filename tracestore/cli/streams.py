"""Standard output and errors: what they can't encode is replaced, and JSON is safe to look at.

Knows bytes and encodings, not what is printed. Invariant: no text, however wild, makes writing fail with a
UnicodeEncodeError; branches and bars become ASCII of the same width where the terminal knows no better.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import sys
from typing import Any, TextIO

import click

#: What this package draws, by its stand-in.
_STAND_INS = {
    "#": "▏▎▍▌▋▊▉█",
    "~": "▒…",
    "|": "│├",
    "`": "└",
    "-": "─━",
    ":": "⋯",
    "+": "✓",
    "x": "✗",
    ">": "→",
    "u": "µ",
    ".": "·",
}
_STAND_IN_OF = {
    drawn: stand_in for stand_in, all_drawn in _STAND_INS.items() for drawn in all_drawn
}

_ERRORS = "tracestore.stand_in"
_BEYOND_ASCII = re.compile(r"[^\x20-\x7e\n]")


def prepare() -> None:
    """Make the standard streams take any text. To be called once, before the first output."""
    codecs.register_error(_ERRORS, _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person is at a standard stream; Python has None for one that was closed."""
    return stream is not None and stream.isatty()


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_STAND_IN_OF.get(character, "?") for character in wrong), error.end


def write_json_line(value: Any) -> None:
    """Write one JSON document on a line of its own, as `write_json` does."""
    click.echo(_BEYOND_ASCII.sub(_escaped, json.dumps(value, ensure_ascii=not _is_utf8())))


def _is_utf8() -> bool:
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name == "utf-8"


def write_json(value: Any) -> None:
    r"""Write one JSON document, indented.

    Characters that are not printable, which could hide or reorder text on a terminal, are written as
    `\u…` escapes; so is all but ASCII where the output is not UTF-8. Either way the values are the same.
    """
    text = json.dumps(value, ensure_ascii=not _is_utf8(), indent=2)
    click.echo(_BEYOND_ASCII.sub(_escaped, text))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]
