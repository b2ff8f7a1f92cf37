"""What a reader can't see becomes visible; what a browser would obey becomes text."""

from __future__ import annotations

import html
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tracestore.display.escape import escape, visible, visible_line

_ANY_TEXT = st.text(st.characters(codec=None, categories=None))


def test_control_characters_become_pictures() -> None:
    assert visible("\x1b[31m\x00\x7f\r") == "␛[31m␀␡␍"


def test_bidi_and_invisible_characters_become_numbers() -> None:
    assert visible("a\u202eb\u2066\u200b\ufeff\U000e0041") == (
        "a⟨U+202E⟩b⟨U+2066⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+E0041⟩"
    )


def test_lone_surrogate_becomes_its_number() -> None:
    assert visible("\ud800") == "⟨U+D800⟩"


def test_joiners_of_emoji_stay() -> None:
    assert visible("👩‍🚀 नमस्ते می‌خواهم") == "👩‍🚀 नमस्ते می‌خواهم"


def test_windows_line_ends_become_line_ends() -> None:
    assert visible("a\r\nb\tc") == "a\nb\tc"
    assert visible_line("a\r\n\n\tb ") == "a b"


@given(_ANY_TEXT)
def test_visible_text_holds_nothing_that_hides(text: str) -> None:
    left = {
        unicodedata.category(character) for character in visible(text) if character not in "\n\t"
    }

    assert left.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert visible(text).encode().decode() == visible(text)


@given(_ANY_TEXT)
def test_escaped_text_has_no_markup_and_reads_back(text: str) -> None:
    escaped = escape(text)

    assert not set("<>\"'") & set(escaped)
    assert html.unescape(escaped) == visible(text)
