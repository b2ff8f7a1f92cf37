"""Scorers that need no model: exact, and the same whenever they are asked.

Each function returns a scorer. What a scorer has nothing to say about, such as a trace without the expectation,
it leaves alone.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from typing import Any

import msgspec

from tracestore.arguments import checked, shown
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError
from tracestore.evaluation.scorer import Scorer
from tracestore.figures.summaries import agrees, answers_in
from tracestore.readable import decoded

_VERSION = "1"

#: Members of a retrieved document, and of its metadata, that may name it.
_NAMES = ("id", "doc_uri", "source", "uri", "url", "title", "page_content", "content", "text")


@checked
def matches_expectation(name: str = "expected_response") -> Scorer:
    """Return a scorer of whether the response is what the expectation `name` says; see `agreement`.

    Example:
        >>> matches_expectation("city").name
        'matches_city'
    """

    def matches(outputs: Any, expectations: dict[str, Any]) -> bool | None:
        return agrees(expectations[name], outputs, name) if name in expectations else None

    return _built_in(matches, f"matches_{name}", name)


@checked
def contains(text: str, *, ignore_case: bool = False) -> Scorer:
    """Return a scorer of whether the response contains a text.

    Example:
        >>> contains("Paris").function(outputs={"answer": "It is Paris."})
        True
    """

    def holds(outputs: Any) -> bool:
        texts = [
            t if isinstance(t, str) else json.dumps(t, ensure_ascii=False)
            for t in answers_in(outputs)
        ]
        if ignore_case:
            return any(text.casefold() in each.casefold() for each in texts)
        return any(text in each for each in texts)

    return _built_in(holds, "contains", text, ignore_case)


def is_json(schema: Any = None) -> Scorer:
    """Return a scorer of whether the response is JSON, of a given form if one is given.

    Args:
        schema: A type that msgspec knows (a dataclass, a TypedDict, `list[int]`), or a JSON Schema as a
            dictionary, which needs the package jsonschema. None: any JSON object or list.

    Raises:
        InvalidArgumentError: The schema is neither, or jsonschema is not installed.

    Example:
        >>> is_json(dict[str, int]).function(outputs='{"a": 1}')
        True
    """
    validate = _validator(schema)

    def is_valid(outputs: Any) -> bool:
        return any(validate(each) for each in map(_parsed, answers_in(outputs)))

    return _built_in(is_valid, "is_json", repr(schema))


@checked
def latency_below(seconds: float) -> Scorer:
    """Return a scorer of whether the trace took less than so long.

    Example:
        >>> latency_below(2.5).name
        'latency_below'
    """

    def is_fast(trace: Trace) -> bool | None:
        taken_ms = trace.info.execution_duration
        return None if taken_ms is None else taken_ms < seconds * 1_000

    return _built_in(is_fast, "latency_below", seconds)


@checked
def tokens_below(tokens: int) -> Scorer:
    """Return a scorer of whether the trace used fewer tokens in total.

    Example:
        >>> tokens_below(4_000).name
        'tokens_below'
    """

    def is_frugal(trace: Trace) -> bool | None:
        usage = trace.info.token_usage
        return None if not usage else usage.get("total_tokens", 0) < tokens

    return _built_in(is_frugal, "tokens_below", tokens)


@checked
def retrieval_hit(name: str = "expected_documents") -> Scorer:
    """Return a scorer of whether a retriever found one of the expected documents.

    The expectation `name` is one document or a list; a document is named by its id, uri, source, title or text.
    Retrievers are the spans of type RETRIEVER.

    Example:
        >>> retrieval_hit().name
        'retrieval_hit'
    """

    def hits(trace: Trace, expectations: dict[str, Any]) -> bool | None:
        if name not in expectations:
            return None
        wished = expectations[name]
        wanted = [_names(each) for each in (wished if isinstance(wished, list) else [wished])]
        found: set[str] = set()
        for span in trace.search_spans(span_type="RETRIEVER"):
            documents = span.outputs if isinstance(span.outputs, list) else [span.outputs]
            found = found.union(*map(_names, documents))
        return any(names & found for names in wanted)

    return _built_in(hits, "retrieval_hit", name)


def _built_in(function: Callable[..., Any], name: str, *settings: Any) -> Scorer:
    """Return a scorer whose version changes with its settings."""
    return Scorer(function, name, "-".join([_VERSION, *map(str, settings)])[:200])


def _parsed(value: Any) -> Any:
    """Return what JSON text says; None where it is none, and where the text is a bare word or number."""
    if not isinstance(value, str):
        return value
    found = decoded(value)
    return found if isinstance(found, (dict, list)) else None


def _names(document: Any) -> set[str]:
    if not isinstance(document, dict):
        return {str(document).strip()}
    metadata = document.get("metadata")
    places = [document, metadata if isinstance(metadata, dict) else {}]
    return {str(place[key]).strip() for place in places for key in _NAMES if place.get(key)}


def _validator(schema: Any) -> Callable[[Any], bool]:
    if schema is None:
        return lambda value: isinstance(value, (dict, list))
    if isinstance(schema, dict):
        return _schema_validator(schema)
    try:
        msgspec.json.Decoder(schema)
    except (TypeError, ValueError):  # ValueError: an integer that can't be printed
        raise InvalidArgumentError(
            f"schema is {shown(schema)}, no type to check; it must be a JSON Schema or a type"
        ) from None
    return functools.partial(_is_of_type, schema)


def _is_of_type(kind: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _schema_validator(schema: dict[str, Any]) -> Callable[[Any], bool]:
    try:
        jsonschema = importlib.import_module("jsonschema")
    except ImportError:
        raise InvalidArgumentError(
            "a JSON Schema needs the package jsonschema (pip install jsonschema); a dataclass or TypedDict does not"
        ) from None
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema)
    return lambda value: value is not None and bool(validator.is_valid(value))
