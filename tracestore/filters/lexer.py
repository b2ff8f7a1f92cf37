"""Text to tokens: the words, texts, numbers and signs of a filter, each with its place.

Knows nothing of grammar or fields. A field is one token, key included, because what may stand in a key
(`tags.user-id`, ``tags.`a b` ``) may not stand elsewhere. Keywords are plain names here; whether `and` is
a keyword is for the parser to say.

Invariant: the tokens cover the text, in order, up to white space; anything else is a FilterSyntaxError.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from tracestore.errors import FilterSyntaxError

#: The longest filter, in characters.
MAX_LENGTH = 65_536

#: The longest number, in characters. Python refuses to read integers of more than 4,300 digits.
MAX_NUMBER_LENGTH = 400

#: A key that needs no quotes. A dot is part of it: only the first dot of a field splits.
BARE_KEY = r"[\w.:/@$#-]+"

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\W\d]\w*")
_BARE_KEY = re.compile(BARE_KEY)
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SYMBOL = re.compile(r"==|!=|<>|<=|>=|[=<>(),+-]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTES = "'\"`"


class Kind(Enum):
    """What a token is; the value is how an error names it."""

    NAME = "a name"
    STRING = "a quoted text"
    NUMBER = "a number"
    SYMBOL = "a sign"
    END = "the end"


@dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
        kind: What it is.
        text: A name before its first dot, a text without its quotes, else the characters as given.
        start: Index of its first character.
        end: Index after its last character.
        key: What follows a name's first dot, without quotes; None where there is no dot.
        unit: The letters that follow a number, such as "ms"; else empty.
        quote: The quote of a text, or of a name before its dot; else empty.
    """

    kind: Kind
    text: str
    start: int
    end: int
    key: str | None = None
    unit: str = ""
    quote: str = ""

    @property
    def word(self) -> str:
        """The upper-case form of a name that may be a keyword, else the empty string."""
        plain = self.kind is Kind.NAME and self.key is None and not self.quote
        return self.text.upper() if plain else ""


class Tokens:
    """The tokens of one filter, read from left to right, never backwards.

    Attributes:
        source: The filter as given.
        current: The token that is next.
        previous: The token before it; None at the beginning.
    """

    def __init__(self, source: str) -> None:
        check_text(source)
        self.source = source
        self._following = _tokenize(source)
        self.current = next(self._following)
        self.previous: Token | None = None

    @property
    def at_end(self) -> bool:
        """Whether everything is read."""
        return self.current.kind is Kind.END

    def read(self) -> Token:
        """Return the current token and go on to the next."""
        token = self.current
        if not self.at_end:
            self.previous = token
            self.current = next(self._following)
        return token

    def check(self, *alternatives: str) -> bool:
        """Return whether the current token is one of these signs or upper-case keywords."""
        token = self.current
        return (token.text if token.kind is Kind.SYMBOL else token.word) in alternatives

    def accept(self, *alternatives: str) -> Token | None:
        """Read the current token if it is one of these signs or upper-case keywords."""
        return self.read() if self.check(*alternatives) else None

    def expect(self, symbol: str, reason: str) -> Token:
        """Read the sign or keyword that must stand here; else fail with `reason`."""
        return self.accept(symbol) or self.fail(reason)

    def fail(self, reason: str, token: Token | None = None) -> NoReturn:
        """Raise a FilterSyntaxError under `token`, by default the current one."""
        token = token or self.current
        raise FilterSyntaxError(reason, self.source, token.start, token.end - token.start)


def check_text(source: str) -> None:
    """Refuse a filter that is too long or that is not valid Unicode."""
    if len(source) > MAX_LENGTH:
        raise FilterSyntaxError(
            f"the filter has {len(source):,} characters: at most {MAX_LENGTH:,} are read",
            source,
            MAX_LENGTH,
        )
    if surrogate := _SURROGATE.search(source):
        raise FilterSyntaxError(
            "half a character (a lone surrogate): no text in the store has one",
            source,
            surrogate.start(),
        )


def _tokenize(source: str) -> Iterator[Token]:
    """Yield the tokens of `source`, the last of kind END."""
    position = 0
    while (position := _skip_space(source, position)) < len(source):
        token = _token_at(source, position)
        yield token
        position = token.end
    yield Token(Kind.END, "", len(source), len(source))


def _skip_space(source: str, position: int) -> int:
    """Return the index of the first character at or after `position` that is not white space."""
    space = _SPACE.match(source, position)
    return space.end() if space else position


def _token_at(source: str, start: int) -> Token:
    """Return the token that begins at `start`."""
    if source[start] in "'\"":
        text, end = _quoted(source, start)
        return Token(Kind.STRING, text, start, end, quote=source[start])
    if source[start] == "`" or _WORD.match(source, start):
        return _name(source, start)
    if _NUMBER.match(source, start):
        return _number(source, start)
    if symbol := _SYMBOL.match(source, start):
        return Token(Kind.SYMBOL, symbol.group(), start, symbol.end())
    raise FilterSyntaxError(_meaningless(source[start]), source, start)


#: What characters mean elsewhere, and how it is said here.
_OTHER_LANGUAGES = {
    "&": ": write AND",
    "|": ": write OR",
    "!": ": write NOT",
    "~": ": write RLIKE",
    ":": ": write =, or LIKE '%…%'",
    "[": ": write a key after a dot, as in tags.env, and a list as IN ('a', 'b')",
    "*": ": in LIKE % is any run of characters, and count_spans() counts all",
    ";": ": a filter ends without it",
    **dict.fromkeys("?$@{", ": write the value itself, a text in quotes"),
}


#: What Unicode calls the quotes that word processors and chats write, and what is typed for one.
_QUOTE_NAMES = ("QUOTATION MARK", "APOSTROPHE", "ACUTE ACCENT", "PRIME")


def _meaningless(character: str) -> str:
    """Return what is wrong with a character that no token begins with."""
    shown = "" if character.isprintable() else f" (U+{ord(character):04X}, which can't be seen)"
    meant = _OTHER_LANGUAGES.get(character, "")
    if any(name in unicodedata.name(character, "") for name in _QUOTE_NAMES):
        meant = ": a text stands in straight quotes, ' or \""
    return f"this character{shown} means nothing in a filter{meant}"


def _name(source: str, start: int) -> Token:
    """Return the name at `start`, with its key if a dot follows."""
    quote = ""
    if word := _WORD.match(source, start):
        text, end = word.group(), word.end()
    else:
        quote = source[start]
        text, end = _quoted(source, start)
    if not source.startswith(".", end):
        return Token(Kind.NAME, text, start, end, quote=quote)
    key, key_end = _key(source, end + 1)
    if not key:
        reason = f"a key is missing after {source[start : end + 1]!r}: write it as in tags.env, or in backticks"
        raise FilterSyntaxError(reason, source, start, end + 1 - start)
    return Token(Kind.NAME, text, start, key_end, key=key, quote=quote)


def _key(source: str, start: int) -> tuple[str, int]:
    """Return the key at `start` and where it ends: a bare part, a quoted part, or the one then the other."""
    bare = _BARE_KEY.match(source, start)
    key, end = (bare.group(), bare.end()) if bare else ("", start)
    if source[end : end + 1] in _QUOTES and source[end : end + 1] and (not key or key[-1] == "."):
        quoted, end = _quoted(source, end)
        key += quoted
    return key, end


def _quoted(source: str, start: int) -> tuple[str, int]:
    """Return the text in the quotes that open at `start`, and where it ends; a doubled quote stands for one."""
    quote = source[start]
    pieces = []
    position = start + 1
    while (end := source.find(quote, position)) >= 0:
        pieces.append(source[position:end])
        if not source.startswith(quote, end + 1):
            return "".join(pieces), end + 1
        pieces.append(quote)
        position = end + 2
    reason = f"this quote is never closed: a {quote} inside the text is written twice"
    raise FilterSyntaxError(reason, source, start, len(source) - start)


def _number(source: str, start: int) -> Token:
    """Return the number at `start`, with the unit that follows it directly."""
    number = _NUMBER.match(source, start)
    end = number.end() if number else start
    if end - start > MAX_NUMBER_LENGTH:
        reason = f"a number has at most {MAX_NUMBER_LENGTH} characters"
        raise FilterSyntaxError(reason, source, start, end - start)
    unit = _WORD.match(source, end)
    unit_end = unit.end() if unit else end
    return Token(Kind.NUMBER, source[start:end], start, unit_end, unit=source[end:unit_end])
