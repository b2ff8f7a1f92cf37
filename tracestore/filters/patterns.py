r"""LIKE, ILIKE and RLIKE patterns as what executes them: SQLite's GLOB, and a regular expression with a time limit.

GLOB is LIKE with case, other wildcards and no escape: `%` is `*`, `_` is `?`, and what GLOB takes for a
wildcard is put in brackets. ILIKE folds both sides first (str.casefold, all of Unicode; `ß` is `ss`).
RLIKE is Python's `re.search` in syntax and meaning, but runs on the `regex` package, which can be stopped:
`re` holds the interpreter lock until it is done, and 30 characters can keep it busy for years.

Invariant: nothing here matches text with a NUL, because no text in the store has one.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Protocol

#: SQLite refuses longer GLOB patterns (SQLITE_MAX_LIKE_PATTERN_LENGTH).
MAX_GLOB_BYTES = 50_000

#: The longest regular expression, in characters.
MAX_REGEX_LENGTH = 1_000

#: Runs of three characters that the text index is asked for at most.
MAX_TRIGRAMS = 32

#: A match that takes longer is begun again with the interpreter lock released.
_LOCKED_S = 0.01

_LIKE_TOKEN = re.compile(r"\\(.)|([%_])|([^\\%_]+|\\)", re.DOTALL)
#: A quote or a backslash in JSON text, or what is between two of them.
_JSON_RUN = re.compile(r'(["\\])|([^"\\]+)')
#: What a run without its beginning may be the end of: a letter's escape, or that of a code unit.
_ESCAPE_END = re.compile(r"u(?:[0-9a-f]{4}|[0-9a-f]{0,3}$)|[0-9a-f]{1,4}|[nrt/]")
_NO_TEXT = re.compile(r"[\s\[\]{}:,0-9+.a-z-]+", re.ASCII)
_LETTERS = re.compile(r"[a-z]+")
#: What JSON text holds outside of quotes, folded; `e` is of numbers.
_JSON_NAMES = ("true", "false", "null", "nan", "infinity", "e")

_GLOB_WILDCARDS = re.compile(r"[*?\[]")
_BRACE = re.compile(r"\\N\{[^}]*\}|\\.|\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\}|\{", re.DOTALL)


class PatternError(Exception):
    """A pattern that can't be used; the text says why."""


class _Regex(Protocol):
    def search(self, string: str, *, timeout: float, concurrent: bool | None = None) -> object: ...


def to_glob(pattern: str, *, fold: bool = False) -> str | None:
    """Return the GLOB pattern of a LIKE (with `fold`, of an ILIKE) pattern; None where nothing can match.

    Raises:
        PatternError: If it is longer than SQLite takes.
    """
    if "\0" in pattern:
        return None
    glob = "".join(
        {"%": "*", "_": "?"}.get(wildcard) or _GLOB_WILDCARDS.sub(r"[\g<0>]", escaped or plain)
        for escaped, wildcard, plain in _LIKE_TOKEN.findall(pattern.casefold() if fold else pattern)
    )
    if len(glob.encode()) > MAX_GLOB_BYTES:
        raise PatternError(f"a pattern has at most {MAX_GLOB_BYTES:,} bytes")
    return glob


def literal_of(pattern: str) -> str | None:
    """Return the one text that a LIKE pattern matches, or None if it has a wildcard."""
    tokens = _LIKE_TOKEN.findall(pattern)
    if any(wildcard for _, wildcard, _ in tokens):
        return None
    return "".join(escaped or plain for escaped, _, plain in tokens)


def prefix_of(pattern: str) -> str:
    """Return the text with which everything begins that a LIKE pattern matches."""
    pieces = []
    for escaped, wildcard, plain in _LIKE_TOKEN.findall(pattern):
        if wildcard:
            break
        pieces.append(escaped or plain)
    return "".join(pieces)


def infix_of(pattern: str) -> str | None:
    """Return `plain` of a LIKE pattern of the form `%plain%`, else None."""
    tokens = _LIKE_TOKEN.findall(pattern)
    if len(tokens) < 3 or tokens[0][1] != "%" or tokens[-1][1] != "%":
        return None
    middle = tokens[1:-1]
    if any(wildcard for _, wildcard, _ in middle):
        return None
    return "".join(escaped or plain for escaped, _, plain in middle)


def literals_of(pattern: str) -> tuple[str, ...]:
    """Return the texts between the wildcards of a LIKE or ILIKE pattern, folded."""
    found = [""]
    for escaped, wildcard, plain in _LIKE_TOKEN.findall(pattern):
        if wildcard:
            found.append("")
        else:
            found[-1] += (escaped or plain).casefold()
    return tuple(filter(None, found))


def trigrams_of(literals: Iterable[str]) -> tuple[str, ...]:
    """Return the runs of three characters of texts: at most MAX_TRIGRAMS, more would leave hardly fewer texts."""
    return _first(_trigrams(literals))


def json_trigrams_of(literals: Iterable[str]) -> tuple[str, ...]:
    r"""Return runs of three characters that keys and texts of JSON hold, folded, if the JSON text holds the literals.

    Not those which may stand outside of keys and texts, and not what may be the end of an escape that began
    before the literal: of `%nabc%`, which the JSON text `"\nabc"` holds, only `abc` is sure.
    """
    runs = [run for text in literals for run in _sure_runs(text)]
    return _first(each for each in _trigrams(runs) if not _is_outside_texts(each))


def _trigrams(texts: Iterable[str]) -> Iterator[str]:
    """Yield the runs of three characters; none with a NUL, which no text of the store has."""
    for text in texts:
        for at in range(len(text) - 2):
            if "\0" not in text[at : at + 3]:
                yield text[at : at + 3]


def _first(trigrams: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(trigrams), MAX_TRIGRAMS))


def _sure_runs(text: str) -> Iterator[str]:
    """Yield the parts of a folded piece of JSON text that are in a key or a text as they are here."""
    before = ""
    for delimiter, run in _JSON_RUN.findall(text):
        before = delimiter or before
        if run:
            # What follows a quote begins no escape's end, whether that quote is one itself or not.
            tail = None if before == '"' else _ESCAPE_END.match(run)
            yield run[tail.end() :] if tail else run


def _is_outside_texts(trigram: str) -> bool:
    """Return whether it may be of JSON's punctuation, numbers and names."""
    if _NO_TEXT.fullmatch(trigram) is None:
        return False
    return all(any(run in name for name in _JSON_NAMES) for run in _LETTERS.findall(trigram))


def check_regex(pattern: str) -> None:
    """Refuse what Python's `re` refuses.

    Raises:
        PatternError: With the text of Python's error.
    """
    if len(pattern) > MAX_REGEX_LENGTH:
        raise PatternError(f"a regular expression has at most {MAX_REGEX_LENGTH:,} characters")
    try:
        with (
            warnings.catch_warnings()
        ):  # of sets that a later Python may read otherwise: not ours to print
            warnings.simplefilter("ignore")
            re.compile(pattern)
        _regex(pattern)
    except (re.error, RecursionError, OverflowError, MemoryError, ValueError) as error:
        raise PatternError(f"this is no regular expression: {error}") from error
    except Exception as error:  # `regex` has its own error class, known only once it is imported
        raise PatternError(f"this regular expression is not supported: {error}") from error


def search_regex(pattern: str, text: str, deadline_ns: int) -> bool:
    """Return whether `pattern` is found anywhere in `text`.

    Args:
        pattern: Has passed `check_regex`.
        text: Any text.
        deadline_ns: Of `time.monotonic_ns`.

    Raises:
        TimeoutError: When the deadline has passed.
    """
    regex = _regex(pattern)
    try:
        return regex.search(text, timeout=min(_LOCKED_S, _remaining_s(deadline_ns))) is not None
    except TimeoutError:
        return regex.search(text, timeout=_remaining_s(deadline_ns), concurrent=True) is not None


def _remaining_s(deadline_ns: int) -> float:
    remaining = (deadline_ns - time.monotonic_ns()) / 1e9
    if remaining <= 0:
        raise TimeoutError
    return remaining


@lru_cache(maxsize=32)
def _regex(pattern: str) -> _Regex:
    import regex  # noqa: PLC0415  5 ms, and most searches have no RLIKE

    compiled: _Regex = regex.compile(_BRACE.sub(_escape_brace, pattern), regex.VERSION0)
    return compiled


def _escape_brace(found: re.Match[str]) -> str:
    """Return a brace that `re` takes as itself so that `regex` does too: `a{e<=1}` is no fuzzy match here."""
    return r"\{" if found.group() == "{" else found.group()
