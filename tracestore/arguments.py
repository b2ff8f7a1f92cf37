"""What public functions are called with, checked by their annotations before anything is done.

`checked` is for verbs that answer or change; what records takes any value and is not checked. An annotation is
read when its function is first called. What a rule can't tell (a range, a word, an id that isn't there) is checked
where it is known.
"""

from __future__ import annotations

import functools
import operator
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import (
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from tracestore.errors import InvalidArgumentError

F = TypeVar("F", bound=Callable[..., Any])

#: Parameters of which more is taken than their types say, by who knows best: the store reads numbers as ids of
#: experiments too, as MLflow's programs pass them, and an assessment makes its parts of other values.
_READ_LATER = frozenset(
    {"experiment_id", "experiment_ids", "locations", "source", "error", "rationale"}
)

#: Rules that are narrower than the type, by the parameter they always hold for.
_NARROWER = {"key": "text of 1 to 250 characters"}

#: Says of a value that it breaks a rule.
_NO = object()

#: More than any program runs; a lock's clock overflows at 300 times as much.
_FOREVER_S = 1e9

#: How much of a value an error shows, in characters.
_SHOWN = 100


class Rule(NamedTuple):
    """What a parameter takes.

    Attributes:
        words: As the end of "… must be".
        read: Returns what the function is given for a value, _NO where it does not fit.
    """

    words: str
    read: Callable[[Any], Any]


def shown(value: object) -> str:
    """Return a value's `repr` for an error: cut, and its type where it has none."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a value may be anything, an integer of 5,000 digits too
        text = f"of type {type(value).__name__} and can't be shown"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def checked(target: F) -> F:
    """Decorate a function, or a class with all its public methods: arguments of another type are refused.

    The decorated call raises InvalidArgumentError where an argument is of no type that its annotation names.
    Integers of NumPy and the like become integers, iterables lists where a list is asked for. About 0.5 µs an
    argument.
    """
    if not isinstance(target, type):
        return _checked_function(target)
    for name, member in list(vars(target).items()):
        if isinstance(member, types.FunctionType) and (name == "__init__" or name[0] != "_"):
            setattr(target, name, _checked_function(member))
    return target


def _checked_function(function: F) -> F:
    inner = _undecorated(function)
    code = inner.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not set(names) - {"self", "cls"}:
        return function
    known: dict[str, Rule] | None = None

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # of pytest, which shows the caller's line and the function's
        nonlocal known
        if known is None:
            known = _rules(inner, names)
        read = [_read(known, *given) for given in zip(names, args, strict=False)]
        for name, value in kwargs.items():
            kwargs[name] = _read(known, name, value)
        return function(*read, *args[len(read) :], **kwargs)

    return cast("F", wrapper)


def _undecorated(function: Callable[..., Any]) -> types.FunctionType:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return cast("types.FunctionType", function)


def _read(rules: Mapping[str, Rule], name: str, value: Any) -> Any:
    rule = rules.get(name)
    if rule is None:
        return value
    found = rule.read(value)
    if found is _NO:
        raise InvalidArgumentError(f"{name} is {shown(value)}; it must be {rule.words}")
    return found


def _rules(function: types.FunctionType, names: Iterable[str]) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for name in names:
        annotation = function.__annotations__.get(name)
        if annotation is None or name in _READ_LATER:
            continue
        if isinstance(annotation, str):
            annotation = _meant_by(annotation, function.__globals__)
        rule = rule_of(annotation)
        if annotation is float and name.endswith("_s"):
            rule = _SECONDS
        if rule is not None:
            found[name] = rule._replace(words=_NARROWER.get(name, rule.words))
    return found


def _meant_by(annotation: str, names: dict[str, Any]) -> Any:
    """Return what an annotation of our own source says."""
    only = types.SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(only, names)["it"]


def rule_of(annotation: Any) -> Rule | None:
    """Return the rule of an annotation; None where anything goes, or it can't be told."""
    if annotation is None or annotation is type(None):
        return Rule("None", lambda value: None if value is None else _NO)
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _any_of([rule_of(each) for each in get_args(annotation)])
    if origin is Literal:
        words = get_args(annotation)
        text = ", ".join(map(repr, words))
        return Rule(text, lambda value: value if type(value) is str and value in words else _NO)
    kind = origin or annotation
    if kind in _RULES:
        return _RULES[kind]
    if kind in (list, Sequence, Iterable):
        [of] = get_args(annotation) or (Any,)
        return _list_of(rule_of(of))
    if not isinstance(kind, type) or kind is object or getattr(kind, "_is_protocol", False):
        return None
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return _instance(kind, f"{article} {kind.__name__}")


def _any_of(rules: Sequence[Rule | None]) -> Rule | None:
    if None in rules:
        return None
    known = cast("Sequence[Rule]", rules)
    *others, last = dict.fromkeys(rule.words for rule in known)
    words = f"{', '.join(others)} or {last}" if others else last

    def read(value: Any) -> Any:
        fitting = (rule.read(value) for rule in known)
        return next((found for found in fitting if found is not _NO), _NO)

    return Rule(words, read)


def _list_of(element: Rule | None) -> Rule:
    words = f"a list of {_PLURALS.get(element.words, element.words)}" if element else "a list"

    def read(value: Any) -> Any:
        if isinstance(value, (str, bytes, Mapping)):
            return _NO
        try:
            given = value if isinstance(value, (list, tuple)) else list(value)
        except TypeError:
            return _NO
        if element is not None and any(element.read(each) is _NO for each in given):
            return _NO
        return given

    return Rule(words, read)


def _instance(kind: type, words: str) -> Rule:
    return Rule(words, lambda value: value if isinstance(value, kind) else _NO)


def _whole(value: Any) -> Any:
    """Return an integer that SQLite can hold."""
    try:
        found = operator.index(value)
    except TypeError:
        return _NO
    return found if -(2**63) <= found < 2**63 else _NO


def _number(value: Any) -> Any:
    """Return a number that a comparison or a clock can use: no NaN, nothing beyond floating point."""
    if isinstance(value, (str, bytes)):
        return _NO
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return _NO
    return _NO if found != found else value if isinstance(value, int) else found  # noqa: PLR0124 - NaN


def _seconds(value: Any) -> Any:
    """Return a time to wait that the clock can count, also where somebody means for ever."""
    found = _number(value)
    return found if found is _NO else min(found, _FOREVER_S)


def _flag(value: Any) -> Any:
    """Return a truth value: True, False, what equals them, as NumPy's do, and None, which stands for False."""
    try:
        return _NO if value is not None and value not in (True, False) else bool(value)
    except Exception:  # noqa: BLE001 - arrays and frames have no truth
        return _NO


_RULES: dict[Any, Rule | None] = {
    str: _instance(str, "text"),
    bytes: _instance(bytes, "bytes"),
    bool: Rule("True or False", _flag),
    int: Rule("a whole number of at most 64 bits", _whole),
    float: Rule("a number", _number),
    dict: _instance(Mapping, "a dictionary"),
    Mapping: _instance(Mapping, "a dictionary"),
    Callable: Rule("a function", lambda value: value if callable(value) else _NO),
    os.PathLike: None,  # settings.path_of_file says what is no path
    Iterator: _instance(Iterator, "an iterator"),
    Any: None,
}
_SECONDS = Rule("a number of seconds", _seconds)
_PLURALS = {"text": "texts", "a dictionary": "dictionaries", "a function": "functions"}
