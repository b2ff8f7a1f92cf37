"""The one way for user text into a page or a terminal.

Recorded text is hostile: it may hold markup, terminal sequences, or characters that no eye can see (bidi
overrides, zero-width and tag characters, with which instructions are smuggled past a reader). It does not
know where the text goes. Invariant: what comes out of `visible` has no control character but newline and
tab, none that reorders or hides text, no lone surrogate; what comes out of `escape` has no markup either.
"""

from __future__ import annotations

import html
import re

# Zero-width joiner and non-joiner (U+200C, U+200D) stay: emoji, Persian and Indic scripts need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile(r"[\n\t]+")

_PICTURES = 0x2400  # the Unicode block that draws U+0000 to U+0020
_DELETE = "\x7f"


def visible(text: str) -> str:
    r"""Return `text` with control, bidi and invisible characters replaced by visible names.

    U+0000 to U+001F become their pictures (ESC is ␛), others their number (⟨U+202E⟩). Newlines and tabs
    stay; `\r\n` becomes `\n`.
    """
    return _UNSEEN.sub(_name, text.replace("\r\n", "\n"))


def visible_line(text: str) -> str:
    """Return `visible(text)` as one line: runs of newlines and tabs become one space."""
    return _BREAKS.sub(" ", visible(text)).strip()


def escape(text: object) -> str:
    """Return `str(text)` as HTML text that is safe between tags and within a quoted attribute."""
    return html.escape(visible(str(text)), quote=True)


def _name(match: re.Match[str]) -> str:
    character = match[0]
    if character < " ":
        return chr(_PICTURES + ord(character))
    return "␡" if character == _DELETE else f"⟨U+{ord(character):04X}⟩"
