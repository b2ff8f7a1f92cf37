"""Searches with filters that nobody would write: mutated, spliced and random text, from lexer to rows.

    python -m tests.fuzz_filters [--seconds 60] [--seed N]

Each case goes through `search.search_ids` and `search.count` on a small store in memory. Nothing but a
FilterSyntaxError may come out, no case may take more than two seconds, and the file must be as it was. Prints what
it did; exits with 1 and the filter at the first case that breaks a rule. The seed of each run is printed, and repeats
it.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence

from tests import filter_store
from tests.peer_mlflow.filters import filters as peer_filters
from tests.test_filters_parser import PIECES
from tests.test_search_pages import trace
from tracestore import search
from tracestore.errors import FilterSyntaxError

#: What a single case may take, in seconds. RLIKE has a deadline of its own below it.
MAX_SECONDS = 2.0

#: Filters to begin with: one of each kind, and what is valid grows from them.
SEEDS = (
    "name = 'a' AND tags.env != 'prod' OR NOT status IN ('OK', 'ERROR')",
    "span.name LIKE '%x%' AND any_span(type = 'LLM' AND duration > 2s)",
    "count_spans(type = 'TOOL') >= 3 AND sum_spans(duration) < 1.5h",
    "parent(name = 'a') OR ancestor(name ILIKE '%b%') AND child(status = 'ERROR')",
    "timestamp BETWEEN '2026-01-01' AND NOW - 3d AND metadata.`a.b` IS NOT NULL",
    "feedback.score >= 4 AND expectation.answer = 'x' AND text RLIKE '^a+$'",
    'span.attributes.usage.total > 1e9 AND tags."odd key" = "it\'\'s"',
    "trace.timestamp_ms > 1700000000000 AND execution_time_ms <= 5",
)

#: Characters that have broken parsers of other programs.
ODD = (
    "'",
    '"',
    "`",
    "\\",
    "%",
    "_",
    "\0",
    "\ud800",
    "\u2028",
    "\ufeff",
    "İ",
    "ß",
    "🐍",
    "--",
    "/*",
    ";",
    "(" * 70,
    ")" * 70,
    "NOT " * 60,
    "9" * 400,
    "1e999",
    "-0",
    "NaN",
    "?1",
    ":name",
    "0x7f",
    "9223372036854775808",
    "a" * 5_000,
)


class BrokenError(Exception):
    """A case that broke a rule."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run for a time; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_filters", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}")
    try:
        counts = fuzz(random.Random(options.seed), options.seconds)
    except BrokenError as broken:
        print(f"broken: {broken}")
        return 1
    print(", ".join(f"{number:,} {what}" for what, number in counts.items()))
    return 0


def fuzz(rng: random.Random, seconds: float) -> collections.Counter[str]:
    """Run cases for so many seconds; return how many were read, refused, and how many traces were found."""
    with contextlib.closing(filter_store.open_memory()) as connection:
        filter_store.insert(connection, [_trace(number) for number in range(40)])
        before = connection.total_changes
        corpus = [*SEEDS, *(text for text in peer_filters() if len(text) < 400)]
        counts: collections.Counter[str] = collections.Counter()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = rng.choice(MUTATIONS)(rng, corpus)
            outcome = _case(connection, text)
            counts[outcome] += 1
            if outcome != "refused" and len(text) < 600 and rng.random() < 0.05:
                corpus[rng.randrange(len(SEEDS), len(corpus))] = text
        if connection.total_changes != before:
            raise BrokenError("a search has changed the file")
        return counts


def _case(connection: sqlite3.Connection, text: str) -> str:
    """Run one case; return how it ended."""
    started = time.thread_time()  # of the processor: the machine may be busy with something else
    try:
        query = search.Query(text)
        found, _ = search.search_ids(connection, query, None)
        counted = search.count(connection, query)
    except FilterSyntaxError:
        return "refused"
    except BaseException as error:
        raise BrokenError(f"{type(error).__name__}: {error}: {text!r}") from error
    took_s = time.thread_time() - started
    if took_s > MAX_SECONDS:
        raise BrokenError(f"took {took_s:.1f} s: {text!r}")
    if counted != len(found):
        raise BrokenError(f"found {len(found)}, counted {counted}: {text!r}")
    return "found some" if found else "found none"


def _trace(number: int) -> filter_store.Trace:
    return trace(
        number << 20,
        name=f"name {number} {'ß' * (number % 3)}",
        tags={"env": "prod" if number % 2 else "dev", "odd key": "it's"},
        metadata={"a.b": str(number)},
    )


# ------------------------------------------------------------------------------------------ mutations


def _pieces(rng: random.Random, _corpus: list[str]) -> str:
    return rng.choice((" ", "")).join(rng.choices(PIECES, k=rng.randrange(1, 25)))


def _joined(rng: random.Random, corpus: list[str]) -> str:
    parts = rng.choices(corpus, k=rng.randrange(1, 5))
    return rng.choice((" AND ", " OR ", " and not ", ") OR (", ", ")).join(parts)


def _spliced(rng: random.Random, corpus: list[str]) -> str:
    first, second = rng.choice(corpus), rng.choice(corpus)
    return first[: rng.randrange(len(first) + 1)] + second[rng.randrange(len(second) + 1) :]


def _edited(rng: random.Random, corpus: list[str]) -> str:
    text = rng.choice(corpus)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice((0, 0, 1, 1, 5)))
        text = text[:at] + _fragment(rng, text) + text[end:]
    return text


def _fragment(rng: random.Random, text: str) -> str:
    choice = rng.randrange(4)
    if choice == 0:
        return rng.choice(ODD)
    if choice == 1:
        return f" {rng.choice(PIECES)} "
    if choice == 2:
        return chr(rng.choice((rng.randrange(128), rng.randrange(0x110000))))
    start = rng.randrange(len(text) + 1)
    return text[start : start + rng.randrange(12)]


def _tokens(rng: random.Random, corpus: list[str]) -> str:
    words = rng.choice(corpus).split(" ")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(words))
        words[at] = rng.choice((rng.choice(words), rng.choice(PIECES), rng.choice(ODD), ""))
    return " ".join(words)


def _nested(rng: random.Random, corpus: list[str]) -> str:
    depth = rng.randrange(1, 120)
    opening = rng.choice(("(", "NOT (", "any_span(", "parent(", "NOT "))
    return opening * depth + rng.choice(corpus) + ")" * rng.choice((depth, depth - 1))


MUTATIONS: tuple[Callable[[random.Random, list[str]], str], ...] = (
    _pieces,
    _joined,
    _spliced,
    _edited,
    _edited,
    _tokens,
    _tokens,
    _nested,
)

if __name__ == "__main__":
    sys.exit(main())
