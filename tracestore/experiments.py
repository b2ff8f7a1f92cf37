"""Searches of experiments: the filter language over names, tags and times of a few rows that are all read.

There are tens of experiments where there are millions of traces, so conditions are worked out here, value by
value, and not in SQL. What an experiment does not have is never equal and never different, as in searches of
traces.
"""

from __future__ import annotations

import fnmatch
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from tracestore.entities import Experiment, PagedList
from tracestore.errors import FilterSyntaxError, InvalidArgumentError, QueryTimeoutError
from tracestore.filters import ast, patterns
from tracestore.filters.parser import OrderItem, parse, parse_order

Value = str | int | float

_FIELDS: dict[str, Callable[[Experiment], Value | None]] = {
    "name": lambda experiment: experiment.name,
    "experiment_id": lambda experiment: experiment.experiment_id,
    "lifecycle_stage": lambda experiment: experiment.lifecycle_stage,
    "creation_time": lambda experiment: experiment.creation_time,
    "last_update_time": lambda experiment: experiment.last_update_time,
}

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

#: How long a regular expression may take on all experiments together.
_REGEX_S = 5.0


def search(
    experiments: Iterable[Experiment],
    filter_string: str | None,
    order_by: Sequence[str] | None,
    max_results: int | None,
    page_token: str | None,
) -> PagedList[Experiment]:
    """Return those of `experiments` that meet the filter, in order, one page of them.

    Args:
        experiments: In the order that counts where `order_by` says nothing.
        filter_string: About name, experiment_id, lifecycle_stage, creation_time, last_update_time, tags.K.
        order_by: Such as ["name DESC"].
        max_results: Of a page; None: all.
        page_token: `token` of the page before.

    Raises:
        FilterSyntaxError: The filter or the order can't be read, or names another field.
        InvalidArgumentError: The token or `max_results` is none.
    """
    if max_results is not None and (not isinstance(max_results, int) or max_results < 0):
        raise InvalidArgumentError(f"max_results is {max_results!r:.100}; it must be 0 or more")
    source = filter_string or ""
    meets = _condition(parse(source), source)
    try:
        found = [experiment for experiment in experiments if meets(experiment)]
    except TimeoutError:
        raise QueryTimeoutError(
            f"the regular expressions of the filter took longer than {_REGEX_S:g} s"
        ) from None
    if isinstance(order_by, str):
        raise InvalidArgumentError(f"order_by is the text {order_by!r:.100}; pass a list of texts")
    for item in reversed(order_by or ()):
        found = _ordered(found, parse_order(item), item)
    start = _offset(page_token)
    end = len(found) if max_results is None else start + max_results
    return PagedList(found[start:end], str(end) if start < end < len(found) else None)


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not isinstance(token, str) or not re.fullmatch(r"[0-9]{1,9}", token):
        raise InvalidArgumentError(f"page_token is {token!r:.100}; pass `token` of the page before")
    return int(token)


def _ordered(found: list[Experiment], item: OrderItem, source: str) -> list[Experiment]:
    """Return them by one field; those that don't have it last."""
    value = _value_of(item.field, source)
    known = [experiment for experiment in found if value(experiment) is not None]
    unknown = [experiment for experiment in found if value(experiment) is None]
    known.sort(key=value, reverse=item.descending)  # type: ignore[arg-type]  # of one type each
    return unknown + known if item.nulls_first else known + unknown


def _condition(node: ast.Node | None, source: str) -> Callable[[Experiment], bool]:
    """Return what a filter says as a function."""
    if node is None:
        return lambda _experiment: True
    if isinstance(node, (ast.And, ast.Or)):
        parts = [_condition(operand, source) for operand in node.operands]
        combine = all if isinstance(node, ast.And) else any
        return lambda experiment: bool(combine(part(experiment) for part in parts))
    if isinstance(node, ast.Not):
        inner = _condition(node.operand, source)
        return lambda experiment: not inner(experiment)
    return _comparison(node, source)


def _comparison(node: ast.Node, source: str) -> Callable[[Experiment], bool]:
    if not isinstance(node, (ast.Comparison, ast.Match, ast.Membership, ast.Between, ast.NullTest)):
        raise FilterSyntaxError("experiments have no spans and no assessments to ask about", source)
    value = _value_of(node.field, source)
    if isinstance(node, ast.NullTest):
        negated = node.negated
        return lambda experiment: (value(experiment) is None) != negated
    holds = _test(node, source)

    def meets(experiment: Experiment) -> bool:
        found = value(experiment)
        return found is not None and holds(found)

    return meets


def _test(
    node: ast.Comparison | ast.Match | ast.Membership | ast.Between, source: str
) -> Callable[[Value], bool]:
    """Return what is asked of a value that is there."""
    if isinstance(node, ast.Match):
        finds = _matcher(node, source)
        return lambda found: finds(str(found)) != node.negated
    if isinstance(node, ast.Membership):
        wanted = [_literal(each, node.field, source) for each in node.values]
        return lambda found: (found in wanted) != node.negated
    if isinstance(node, ast.Between):
        low, high = (_literal(each, node.field, source) for each in (node.low, node.high))
        return lambda found: (low <= found <= high) != node.negated  # type: ignore[operator]  # one type
    compare, right = _COMPARE[node.operator], _literal(node.value, node.field, source)
    return lambda found: compare(found, right)


def _matcher(node: ast.Match, source: str) -> Callable[[str], bool]:
    pattern = node.pattern.value
    if node.operator == "RLIKE":
        try:
            patterns.check_regex(pattern)
        except patterns.PatternError as error:
            raise FilterSyntaxError(str(error), source, *node.pattern.at) from error
        deadline_ns = time.monotonic_ns() + int(_REGEX_S * 1e9)
        return lambda text: patterns.search_regex(pattern, text, deadline_ns)
    fold = node.operator == "ILIKE"
    try:
        glob = patterns.to_glob(pattern, fold=fold)
    except patterns.PatternError as error:
        raise FilterSyntaxError(str(error), source, *node.pattern.at) from error
    if glob is None:
        return lambda _text: False
    matches = re.compile(fnmatch.translate(glob)).match
    return lambda text: matches(text.casefold() if fold else text) is not None


def _value_of(field: ast.Reference, source: str) -> Callable[[Experiment], Value | None]:
    if field.entity in ("tags", "tag"):
        return lambda experiment: experiment.tags.get(field.key)
    if field.entity in (None, "attribute", "attributes") and field.key in _FIELDS:
        return _FIELDS[field.key]
    return _unknown(field, source)


def _unknown(field: ast.Reference, source: str) -> NoReturn:
    known = ", ".join((*_FIELDS, "tags.…"))
    raise FilterSyntaxError(
        f"unknown field {str(field)!r}; experiments have {known}", source, *field.at
    )


def _literal(value: ast.Value, field: ast.Reference, source: str) -> Value:
    """Return what a literal is worth, of the type that its field has."""
    numeric = field.entity not in ("tags", "tag") and field.key.endswith("_time")
    if isinstance(value, ast.Now) and numeric:
        offset = value.offset
        moved_ns = 0 if offset is None else int(offset.amount * ast.UNITS_NS[offset.unit])
        return (time.time_ns() + moved_ns) // 1_000_000
    if isinstance(value, ast.Number) and numeric:
        return value.value
    if isinstance(value, ast.Text) and not numeric:
        return value.value
    kind = "a number of milliseconds since 1970" if numeric else "a text in quotes"
    raise FilterSyntaxError(f"{field} is compared with {kind}", source, *value.at)
