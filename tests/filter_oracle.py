"""Support: what a filter means, a second time, in plain Python over plain dicts.

Shares nothing with the compiler but the parser and the names of the AST's classes. Slow and obvious.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from tests.filter_store import Span, Trace, to_json, trace_id
from tracestore.filters import ast

_LEAVES = (ast.Comparison, ast.Match, ast.Membership, ast.Between, ast.NullTest)
_NUMERAL = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_UNIT_MS = {
    "ns": Fraction(1, 10**6),
    "us": Fraction(1, 1000),
    "ms": Fraction(1),
    "s": Fraction(1000),
    "m": Fraction(60_000),
    "h": Fraction(3_600_000),
    "d": Fraction(86_400_000),
}
_ALIASES = {
    "request_id": "trace_id",
    "state": "status",
    "timestamp": "timestamp_ms",
    "request_time": "timestamp_ms",
    "end_time": "end_time_ms",
    "execution_time": "execution_time_ms",
    "duration": "execution_time_ms",
}
_RESOURCE = ("mlflow.user", "mlflow.source.name")


class Instant(Fraction):
    """Milliseconds since 1970."""


class Length(Fraction):
    """Milliseconds."""


class Loose:
    """A JSON value of an assessment: a text also equals what it spells."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Strict:
    """A JSON value of an attribute: everything is only what it is."""

    def __init__(self, value: Any) -> None:
        self.value = value


def holds(node: ast.Node | None, trace: Trace) -> bool:
    """Return whether the trace meets the filter."""
    if node is None:
        return True
    if isinstance(node, ast.And):
        return _all_hold(node, trace)
    if isinstance(node, ast.Or):
        return any(holds(operand, trace) for operand in node.operands)
    if isinstance(node, ast.Not):
        return not holds(node.operand, trace)
    if isinstance(node, ast.SpanTest):
        results = [_span_holds(node.condition, span, trace) for span in trace["spans"]]
        return {"any_span": any(results), "all_spans": all(results), "no_span": not any(results)}[
            node.quantifier
        ]
    if isinstance(node, ast.Aggregate):
        return _aggregate_holds(node, trace)
    assert not isinstance(node, ast.Related)
    if node.field.entity == "span":
        return any(_span_holds(node, span, trace) for span in trace["spans"])
    if _name(node.field) == "text":
        assert isinstance(node, ast.Match)
        positive = ast.Match(node.field, node.operator, node.pattern)
        return node.negated is not any(
            _leaf(positive, [_readable(span)]) for span in trace["spans"]
        )
    return _leaf(node, list(_trace_values(node.field, trace)))


def sort_values(name: str, trace: Trace) -> list[Any]:
    """Return the values that an order by this field looks at."""
    entity, _, key = name.partition(".")
    reference = ast.Reference(entity, key) if key else ast.Reference(None, name)
    return list(_trace_values(reference, trace))


def _all_hold(node: ast.And, trace: Trace) -> bool:
    of_span = [
        part for part in node.operands if isinstance(part, _LEAVES) and part.field.entity == "span"
    ]
    rest = [part for part in node.operands if part not in of_span]
    if not all(holds(part, trace) for part in rest):
        return False
    return not of_span or any(
        all(_span_holds(part, span, trace) for part in of_span) for span in trace["spans"]
    )


def _span_holds(node: ast.Node, span: Span, trace: Trace) -> bool:
    if isinstance(node, ast.And):
        return all(_span_holds(operand, span, trace) for operand in node.operands)
    if isinstance(node, ast.Or):
        return any(_span_holds(operand, span, trace) for operand in node.operands)
    if isinstance(node, ast.Not):
        return not _span_holds(node.operand, span, trace)
    if isinstance(node, ast.Related):
        return any(
            _span_holds(node.condition, other, trace)
            for other in _related(node.relation, span, trace)
        )
    assert isinstance(node, _LEAVES)
    return _leaf(node, list(_span_values(node.field, span)))


def _related(relation: str, span: Span, trace: Trace) -> list[Span]:
    by_id = {other["span_id"]: other for other in trace["spans"]}
    parents = [by_id[span["parent_id"]]] if span["parent_id"] in by_id else []
    children = [other for other in trace["spans"] if other["parent_id"] == span["span_id"]]
    if relation == "parent":
        return parents
    if relation == "any_child":
        return children
    step = "parent" if relation == "any_ancestor" else "any_child"
    found: dict[str, Span] = {}
    waiting = parents if step == "parent" else children
    while waiting:
        other = waiting.pop()
        if other["span_id"] not in found:
            found[other["span_id"]] = other
            waiting += _related(step, other, trace)
    return list(found.values())


def _aggregate_holds(node: ast.Aggregate, trace: Trace) -> bool:
    spans = [
        s for s in trace["spans"] if node.condition is None or _span_holds(node.condition, s, trace)
    ]
    if node.field is None:
        return _compare(node.operator, len(spans), _number(node.value))
    numbers = []
    for span in spans:
        for value in _span_values(node.field, span):
            bare = value.value if isinstance(value, Strict) else value
            if isinstance(bare, (int, float, Fraction)) and not isinstance(bare, bool):
                numbers.append(bare)
    if not numbers:
        return False
    functions: dict[str, Callable[[list[Any]], Any]] = {
        "sum_spans": sum,
        "min_spans": min,
        "max_spans": max,
        "avg_spans": lambda them: sum(them) / len(them),
    }
    wanted = _milliseconds(node.value) if isinstance(numbers[0], Fraction) else _number(node.value)
    return _compare(node.operator, functions[node.function](numbers), wanted)


def _name(reference: ast.Reference) -> str:
    if reference.entity in {None, "attributes", "trace"}:
        return _ALIASES.get(reference.key, reference.key)
    return f"{reference.entity}.{reference.key}"


def _trace_values(reference: ast.Reference, trace: Trace) -> Iterator[Any]:
    """Yield the values of a field; none where the trace has none."""
    name = _name(reference)
    if reference.entity in {"feedback", "expectation", "assessment"}:
        yield from _assessment_values(reference, trace)
    elif reference.entity in {"tags", "tag", "metadata", "request_metadata"}:
        yield from _keyed_values(reference, trace)
    elif name in {"request", "response"}:
        roots = [span for span in trace["spans"] if span["parent_id"] is None]
        held = [span["inputs"] if name == "request" else span["outputs"] for span in roots]
        yield from (to_json(value) for value in held if value is not None)
    elif name == "error":
        yield from (span["error"] for span in trace["spans"] if span["error"] is not None)
    elif name == "prompt":
        for rows in (trace["metadata"], trace["tags"]):
            for prompt in json.loads(rows.get("mlflow.linkedPrompts", "[]")):
                yield f"{prompt['name']}/{prompt['version']}"
    else:
        value = _plain_value(name, trace)
        if value is not None:
            yield value


def _plain_value(name: str, trace: Trace) -> Any:
    start = trace["id"] >> 20
    values: dict[str, Any] = {
        "trace_id": trace_id(trace),
        "name": trace["name"],
        "status": trace["status"],
        "timestamp_ms": Instant(start),
        "end_time_ms": Instant(start + (trace["duration_ms"] or 0)),
        "execution_time_ms": None if trace["duration_ms"] is None else Length(trace["duration_ms"]),
        "client_request_id": trace["client_request_id"],
        "experiment_id": str(trace["experiment"]),
        "run_id": trace["metadata"].get("mlflow.sourceRun"),
        "session": trace["metadata"].get("mlflow.trace.session"),
        "user": trace["metadata"].get("mlflow.trace.user"),
        "request_preview": trace["request_preview"],
        "span_count": len(trace["spans"]),
        "tokens.input": trace["input_tokens"],
        "cost.total": trace["total_cost"],
    }
    return values[name]


def _keyed_values(reference: ast.Reference, trace: Trace) -> Iterator[str]:
    key = reference.key
    of_tags = reference.entity in {"tags", "tag"}
    if of_tags and key == "mlflow.traceName":
        found = trace["name"]
    elif key in {"mlflow.trace.session", "mlflow.trace.user"}:
        found = trace["metadata"].get(key)
    elif not of_tags and key in _RESOURCE:
        found = trace["resource"].get(key)
    else:
        found = (trace["tags"] if of_tags else trace["metadata"]).get(key)
    if found is not None:
        yield found


def _assessment_values(reference: ast.Reference, trace: Trace) -> Iterator[Loose]:
    for assessment in trace["assessments"]:
        if not assessment["valid"] or reference.entity not in {assessment["kind"], "assessment"}:
            continue
        name, key = assessment["name"], reference.key
        if name == key:
            yield Loose(assessment["value"])
        elif key.startswith(name + "."):
            found = _reach(assessment["value"], key[len(name) + 1 :])
            if found is not None:
                yield Loose(found)


def _span_values(reference: ast.Reference, span: Span) -> Iterator[Any]:
    key = reference.key
    if reference.entity in {"attributes", "attribute"}:
        key = f"attributes.{key}"
    value: Any
    if key == "attributes.mlflow.spanType":
        value = span["type"]
    elif key.startswith("attributes."):
        value = _reach(
            {
                "mlflow.spanInputs": span["inputs"],
                "mlflow.spanOutputs": span["outputs"],
                **span["attributes"],
            },
            key.removeprefix("attributes."),
        )
        value = None if value is None else Strict(value)
    elif key in {"inputs", "outputs"}:
        held = span["inputs"] if key == "inputs" else span["outputs"]
        value = None if held is None else to_json(held)
    elif key == "content":
        value = _readable(span)
    else:
        end = span["end_time_ns"]
        values: dict[str, Any] = {
            "name": span["name"],
            "type": span["type"],
            "status": span["status"],
            "id": span["span_id"],
            "parent_id": span["parent_id"],
            "error": span["error"],
            "model": span["model"],
            "start_time": Instant(span["start_time_ns"], 10**6),
            "end_time": None if end is None else Instant(end, 10**6),
            "duration": None if end is None else Length(end - span["start_time_ns"], 10**6),
        }
        value = values[key]
    if value is not None:
        yield value


def _reach(value: Any, path: str) -> Any:
    """Return the value at a path: the longest key that leads to something wins."""
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        key, rest = ".".join(parts[:length]), ".".join(parts[length:])
        found = _reach(value.get(key), rest)
        if found is not None:
            return found
    return None


def _readable(span: Span) -> str:
    lines = [span["name"]]
    for value in (span["inputs"], span["outputs"], span["attributes"]):
        lines += _lines(value)
    for event in span["events"]:
        lines += [event["name"], *_lines(event["attributes"])]
    return "\n".join(lines)


def _lines(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in (key, *_lines(item))]
    if isinstance(value, list):
        return [line for item in value for line in _lines(item)]
    return [json.dumps(value)]


def _leaf(node: ast.Leaf, values: list[Any]) -> bool:
    """Return whether any of a field's values passes."""
    if isinstance(node, ast.NullTest):
        return bool(values) is node.negated
    values = [v for v in values if not (isinstance(v, Loose) and v.value is None)]
    return any(_passes(node, value) for value in values)


def _passes(node: ast.Leaf, value: Any) -> bool:
    if isinstance(node, ast.Comparison):
        return _meets(value, node.operator, node.value)
    if isinstance(node, ast.Membership):
        if node.negated:
            return all(_meets(value, "!=", wanted) for wanted in node.values)
        return any(_meets(value, "=", wanted) for wanted in node.values)
    if isinstance(node, ast.Between):
        if node.negated:
            return _meets(value, "<", node.low) or _meets(value, ">", node.high)
        return _meets(value, ">=", node.low) and _meets(value, "<=", node.high)
    assert isinstance(node, ast.Match)
    return _matches(_text(value), node) is not node.negated


def _text(value: Any) -> str:
    if isinstance(value, (Loose, Strict)):
        value = value.value
    return value if isinstance(value, str) else to_json(value)


def _matches(text: str, node: ast.Match) -> bool:
    pattern = node.pattern.value
    if node.operator == "RLIKE":
        return re.search(pattern, text) is not None
    if node.operator == "ILIKE":
        text, pattern = text.casefold(), pattern.casefold()
    return _like(text, pattern)


def _like(text: str, pattern: str) -> bool:
    expression = ""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            expression += re.escape(pattern[position])
        else:
            expression += {"%": ".*", "_": "."}.get(character, re.escape(character))
        position += 1
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _meets(value: Any, operator: str, wanted: ast.Value) -> bool:
    if isinstance(value, (Instant, Length)):
        return _compare(operator, value, _milliseconds(wanted))
    if isinstance(value, (int, float)):
        return _compare(operator, value, _number(wanted))
    if isinstance(value, (Loose, Strict)):
        return _json_meets(value, operator, wanted)
    assert isinstance(value, str)
    if isinstance(wanted, ast.Number):
        spelled = _spelled(value)
        return spelled is not None and _compare(operator, spelled, _number(wanted))
    assert isinstance(wanted, ast.Text)
    return _compare(operator, value, wanted.value)


def _json_meets(value: Loose | Strict, operator: str, wanted: ast.Value) -> bool:
    assert isinstance(wanted, (ast.Text, ast.Number, ast.Truth))
    literal = _number(wanted) if isinstance(wanted, ast.Number) else wanted.value
    equal = _same(value.value, literal)
    if isinstance(value, Loose) and not equal:
        if isinstance(literal, bool):
            equal = value.value == str(wanted)
        elif isinstance(literal, str) and _kind(value.value) is float:
            equal = _spelled(literal) == value.value
        elif isinstance(literal, str) and not isinstance(value.value, str):
            equal = to_json(value.value) == literal
    if operator in {"=", "!="}:
        return equal is (operator == "=")
    if _kind(value.value) is not _kind(literal) or _kind(literal) not in {float, str}:
        return False
    return _compare(operator, value.value, literal)


def _same(value: Any, literal: Any) -> bool:
    return _kind(value) is _kind(literal) and bool(value == literal)


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _compare(operator: str, left: Any, right: Any) -> bool:
    results = {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    return bool(results[operator])


def _spelled(text: str) -> int | float | None:
    if not _NUMERAL.fullmatch(text):
        return None
    return _fit(int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text))


def _fit(number: float) -> int | float:
    """Return a number as 64 bits hold it."""
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        return (math.inf if number > 0 else -math.inf) if abs(number) > 10**308 else float(number)
    return number


def _number(value: ast.Value) -> int | float:
    if isinstance(value, ast.Number):
        return _fit(value.value)
    assert isinstance(value, ast.Text)
    spelled = _spelled(value.value)
    assert spelled is not None
    return spelled


def _milliseconds(value: ast.Value) -> Fraction:
    if isinstance(value, ast.Duration):
        return Fraction(str(value.amount)) * _UNIT_MS[value.unit]
    if isinstance(value, ast.Text) and _spelled(value.value) is None:
        decimals = re.sub(r"\.(\d{1,6})", lambda found: f".{found[1]:0<6}", value.value)  # for 3.10
        moment = dt.datetime.fromisoformat(decimals.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.timezone.utc)
        since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
        return Fraction(since // dt.timedelta(microseconds=1), 1000)
    number = _number(value)
    return (
        Fraction(10) ** 60 * (1 if number > 0 else -1)
        if math.isinf(number)
        else Fraction(str(number))
    )
