"""The terminal: colours where there is one, and the only way for recorded text onto it.

Knows rich, not traces. Invariant: recorded text goes through `safe` or `safe_block`, so a terminal obeys
nothing of it and rich reads no markup in it.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from tracestore.display.escape import visible, visible_line

#: Characters of one recorded text that a single line can make use of.
_MAX_LINE = 2_000


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command line to end the program, with its exit code."""
        raise BrokenPipeError


def console() -> Console:
    """Return a console for standard output: nothing is coloured that was not asked for."""
    return _Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def safe(text: object, style: str = "") -> Text:
    """Return recorded text as one line that is cut where there is no room; "" for None."""
    line = "" if text is None else visible_line(str(text)[:_MAX_LINE])
    return Text(line, style=style, no_wrap=True, overflow="ellipsis", end="")


def safe_block(text: str, style: str = "") -> Text:
    """Return recorded text that keeps its line breaks and is folded at the edge."""
    return Text(visible(text), style=style, overflow="fold")


def dim(text: object) -> Text:
    """Return a remark of the program's own, or of recorded text, in the background."""
    return Text(visible("" if text is None else str(text)), style="dim")


def heading(text: str) -> Text:
    """Return the title of a section."""
    return Text(text, style="bold")
