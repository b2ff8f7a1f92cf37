"""What is asked before a payload is decoded, a cheap test or the text index, never says no where the text is there."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracestore.filters.functions import may_hold
from tracestore.filters.patterns import json_trigrams_of
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


_SPELLINGS = st.sampled_from(
    [
        lambda value: msgspec.json.encode(value).decode(),
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False, indent=1),
        lambda value: json.dumps(value).replace("/", "\\/").replace("a", "\\u0061"),
    ]
)
_JSON_TEXTS = st.text(st.sampled_from([*'abeflnrstuN0041/ :,.{}[]"\\\n\tßKé☃']), max_size=12)
_JSON_VALUES = st.recursive(
    _JSON_TEXTS | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(_JSON_TEXTS, inner),
    max_leaves=6,
)


@settings(max_examples=500)
@given(_JSON_VALUES, _SPELLINGS, st.data())
def test_runs_of_a_part_of_json_are_in_what_is_indexed(value, spell, data) -> None:  # type: ignore[no-untyped-def]  # drawn
    document = spell(value)
    indexed = readable("", document, None, None, None).casefold()
    start = data.draw(st.integers(0, len(document)))
    part = document[start : data.draw(st.integers(start, len(document)))].casefold()
    assert all(run in indexed for run in json_trigrams_of([part])), (document, part)


@pytest.mark.parametrize(
    ("literal", "runs"),
    [
        ("brown", ("row", "own")),  # `b` may be the end of a backspace
        ('"brown', ("bro", "row", "own")),
        ("order", ("ord", "rde", "der")),
        ("u00e9tat", ("tat",)),
        ("nabc", ("abc",)),
        ("u00", ()),
        ('{"user": "x", "ok": true, "n": null, "e": -1.5e10}', ("use", "ser")),
        (r"C:\\temp\newer", ("emp", "ewe", "wer")),
    ],
)
def test_runs_of_a_piece_of_json(literal: str, runs: tuple[str, ...]) -> None:
    assert json_trigrams_of([literal.casefold()]) == runs


def test_a_value_whose_key_comes_twice_is_read_too() -> None:
    document = '{"1":"first","1":{"a":"second","a":"third"}}'
    text = readable("name", document, None, None, None)
    assert text.split("\n") == ["name", "1", "first", "1", "a", "second", "a", "third"]
