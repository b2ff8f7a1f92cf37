"""What is wanted of a search, and its conditions in normal form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracestore.errors import InvalidArgumentError
from tracestore.filters import ast, meaning, parser


@dataclass(frozen=True)
class Query:
    """What is wanted; nothing is executed yet.

    Attributes:
        filter_string: Which traces; None, empty or blank: all.
        order_by: Items such as "duration DESC NULLS FIRST"; one text is one item. Default: newest first.
        experiments: Ids of the experiments to search; None: all, empty: none.
        also: Conditions made by code that hold too.
    """

    filter_string: str | None = None
    order_by: Sequence[str] | str | None = None
    experiments: tuple[int, ...] | None = None
    also: tuple[ast.Node, ...] = ()


def narrowed(filter_string: str | None, trace_ids: Sequence[str]) -> str:
    """Return a filter that those of some traces meet which meet `filter_string`.

    Example:
        >>> narrowed("name = 'a'", ["tr-1", "tr-2"])
        "(name = 'a') AND trace_id IN ('tr-1', 'tr-2')"
    """
    quoted = ", ".join("'" + trace_id.replace("'", "''") + "'" for trace_id in trace_ids)
    condition = f"trace_id IN ({quoted})"
    return f"({filter_string}) AND {condition}" if (filter_string or "").strip() else condition


def read_filter(query: Query) -> tuple[ast.Node, ...]:
    """Return the query's conditions in normal form, to be ANDed."""
    if not isinstance(query.filter_string, (str, type(None))):
        kind = type(query.filter_string).__name__
        raise InvalidArgumentError(f"filter_string is a {kind}; it must be text")
    parsed = parser.parse(query.filter_string)
    asked = [] if parsed is None else [meaning.normalise(parsed, query.filter_string or "")]
    made = [meaning.normalise(node) for node in query.also]
    terms: list[ast.Node] = []
    for node in (*asked, *made):
        terms.extend(node.operands if isinstance(node, ast.And) else (node,))
    return tuple(terms)
