"""The cheap test before a search of text decodes a payload never says no where the text is there."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tracestore.filters.functions import may_hold
from tracestore.readable import readable

_FOLDING_TO_ASCII = [
    character
    for character in map(chr, range(0x80, 0x110000))
    if any(folded.isascii() for folded in character.casefold())
]
_TEXTS = st.text(st.sampled_from([*"aAbBkKsSfFiI ._-", *_FOLDING_TO_ASCII, *'ïé☃"\\\n']))
_VALUES = st.recursive(
    _TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=6,
)


@given(
    _TEXTS,
    _VALUES,
    st.sampled_from([lambda value: msgspec.json.encode(value).decode(), json.dumps]),
    st.data(),
)
def test_any_part_of_the_folded_text_passes(name, value, encode, data) -> None:  # type: ignore[no-untyped-def]  # drawn
    document = encode(value)
    folded = readable(name, document, None, None, None).casefold()
    start = data.draw(st.integers(0, len(folded)))
    wanted = folded[start : data.draw(st.integers(start, len(folded)))]
    if all(character in "abkfis ._-" for character in wanted):
        assert may_hold(wanted, name.encode(), document.encode(), None, None, None)


def test_every_character_that_folds_to_ascii_is_known() -> None:
    assert len(_FOLDING_TO_ASCII) >= 19
    for character in _FOLDING_TO_ASCII:
        assert may_hold("absent", character.encode(), None)


def test_a_text_without_the_phrase_is_left_alone() -> None:
    assert not may_hold("absent", b'{"text": "na\xc3\xafve customer"}', None)
    assert may_hold("customer", b'{"text": "na\xc3\xafve CUSTOMER"}', None)
