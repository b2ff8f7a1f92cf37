"""The SQL functions in Python that a searching connection needs: folding, patterns, and JSON as what it says.

JSON is decoded here and not by SQLite's own functions, because those refuse NaN, can't name every key, and
don't tell 1 from true. Nothing here raises on what a file holds: text that is no JSON is plain text, and what
can't be compared does not match.

Invariant: a function returns 0 or 1, or NULL where a value is absent; none depends on anything but its
arguments, but for `tracestore_whole`, which reads what a large text is made of.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from tracestore.encoding import bindable, clean_text
from tracestore.filters.patterns import search_regex
from tracestore.filters.values import read_number
from tracestore.readable import decoded, readable
from tracestore.storage import payloads

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def register(connection: sqlite3.Connection) -> None:
    """Give `connection` the functions that compiled filters call; once for each connection."""
    functions: tuple[tuple[str, int, Callable[..., str | int | float | None]], ...] = (
        ("tracestore_casefold", 1, casefold),
        ("tracestore_number", 1, number),
        ("tracestore_rlike", 3, rlike),
        ("tracestore_text_at", 2, text_at),
        ("tracestore_number_at", 2, number_at),
        ("tracestore_matches", 5, matches),
        ("tracestore_prompt", 3, prompt_matches),
        ("tracestore_readable", 5, readable),
        ("tracestore_may_hold", 6, may_hold),
    )
    for name, arguments, function in functions:
        connection.create_function(name, arguments, function, deterministic=True)
    connection.create_function("tracestore_whole", 1, partial(payloads.whole_text, connection))


def whole(connection: sqlite3.Connection, column: str | None) -> str | None:
    """Return the text that a span's column stands for, with a statement of its own."""
    try:
        return payloads.whole_text(connection, column)
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return None  # so is the search, which says so
        raise


def casefold(text: str | None) -> str | None:
    """Return `text` folded so that texts that differ only by case are the same."""
    return None if text is None else text.casefold()


#: UTF-8 of what folds to ASCII, or what it begins with: sharp s, dotted I, n after an apostrophe, long s, j with
#: caron, Kelvin sign, h t w y with marks and capital sharp s, ligatures.
_FOLD_TO_ASCII = (
    b"\xc3\x9f",
    b"\xc4\xb0",
    b"\xc5\x89",
    b"\xc5\xbf",
    b"\xc7\xb0",
    b"\xe2\x84\xaa",
    b"\xe1\xba",
    b"\xef\xac",
)
_folds_to_ascii = re.compile(b"|".join(_FOLD_TO_ASCII)).search
_ASCII = bytes(range(128))


def may_hold(wanted: str, *documents: bytes | None) -> int:
    """Return 0 where no folded text of the JSON documents can hold `wanted`, without decoding them.

    Args:
        wanted: Lower case ASCII that JSON writes as it is, see `leaves._is_plain`.
        *documents: UTF-8.
    """
    document = b"\n".join(filter(None, documents))
    if wanted.encode() in document.lower():
        return 1
    if b"\\" in document and b"\\u" in document:  # one byte is found in a tenth of the time of two
        return 1
    return int(
        not document.isascii() and _folds_to_ascii(document.translate(None, _ASCII)) is not None
    )


def number(text: str | None) -> int | float | None:
    """Return the number that `text` is, else NULL."""
    return None if text is None else read_number(text)


def rlike(pattern: str, text: str | None, deadline_ns: int) -> int | None:
    """Return whether the regular expression is found in `text`; raise when the deadline has passed."""
    return None if text is None else int(search_regex(pattern, text, deadline_ns))


def text_at(document: str | None, path: str | None) -> str | None:
    """Return the value at `path` as the text that patterns see: a string as itself, anything else as JSON."""
    return _text_of(value_at(decoded(document), path))


def number_at(document: str | None, path: str | None) -> int | float | None:
    """Return the number at `path`; NULL where there is none, or another kind of value."""
    value = value_at(decoded(document), path)
    if not _is_number(value):
        return None
    fitting = bindable(value)
    return None if math.isnan(fitting) else fitting


def matches(
    document: str | None, path: str | None, operator: str, literal: str, lenient: int
) -> int:
    """Return whether the value at `path` meets the comparison.

    Args:
        document: JSON text.
        path: Key, or keys joined by dots; NULL is the document itself.
        operator: = != < <= > >= IN or NOT IN.
        literal: JSON of what to compare with; a list for IN.
        lenient: 1 where a text also equals the boolean or number that it spells.
    """
    value = value_at(decoded(document), path)
    if value is None:
        return 0
    if isinstance(value, str):
        value = clean_text(value)  # as patterns see it, and the indexes
    wanted = _literal(literal)
    if operator in _ORDER:
        comparable = (_is_number(value) and _is_number(wanted)) or (
            isinstance(value, str) and isinstance(wanted, str)
        )
        return int(comparable and _ORDER[operator](value, wanted))
    choices = wanted if operator.endswith("IN") else [wanted]
    equal = any(_equals(value, choice, lenient=bool(lenient)) for choice in choices)
    return int(equal if operator in {"=", "IN"} else not equal)


def prompt_matches(prompts: str | None, operator: str, literal: str) -> int:
    """Return whether one of the linked prompts, as 'name/version', meets the comparison; = != IN or NOT IN."""
    linked = decoded(prompts)
    wanted = _literal(literal)
    choices = wanted if operator.endswith("IN") else [wanted]
    names = [
        f"{prompt.get('name')}/{prompt.get('version')}"
        for prompt in (linked if isinstance(linked, list) else [])
        if isinstance(prompt, dict)
    ]
    within = operator in {"=", "IN"}
    return int(any((name in choices) is within for name in names))


@lru_cache(maxsize=64)
def _literal(literal: str) -> Any:
    """Return the value of a literal, which is the same for every row."""
    return json.loads(literal)


def value_at(value: Any, path: str | None) -> Any:
    """Return what is at `path`: the whole path as a key, else its longest beginning that leads on."""
    if path is None:
        return value
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    dot = path.rfind(".")
    while dot >= 0:
        if path[:dot] in value:
            found = value_at(value[path[:dot]], path[dot + 1 :])
            if found is not None:
                return found
        dot = path.rfind(".", 0, dot)
    return None


def _equals(value: Any, wanted: Any, *, lenient: bool) -> bool:
    """Return whether a stored value equals a literal; True is not 1, and 1 is 1.0."""
    if isinstance(wanted, bool):
        spelled = "true" if wanted else "false"
        return value is wanted or (lenient and bool(value == spelled))
    if _is_number(wanted):
        return _is_number(value) and bool(value == wanted)
    if isinstance(value, str) or not lenient:
        return bool(value == wanted)
    if _is_number(value):
        return bool(value == read_number(wanted))
    return bool(_text_of(value) == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text_of(value: Any) -> str | None:
    if value is None:
        return None
    return clean_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
