"""A scorer: a function with a name and a version, what it is given of a trace, and what it may return.

Knows traces and feedback, not where they are kept. Invariant: whatever a scorer returns or raises becomes
feedback that names the scorer and its version in its metadata.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from tracestore.arguments import checked
from tracestore.encoding import clean_text
from tracestore.entities import AssessmentSource, Expectation, Feedback, Trace
from tracestore.errors import InvalidArgumentError
from tracestore.readable import decoded

#: Metadata of a scorer's feedback.
NAME_KEY, VERSION_KEY = "scorer", "scorer_version"


def expectations_of(trace: Trace) -> dict[str, Any]:
    """Return the expectations in force, by name; the newest of each."""
    return {
        each.name: each.value
        for each in trace.info.assessments
        if isinstance(each, Expectation) and each.valid is not False
    }


#: What a scorer may take of a trace, by the names of its parameters.
PARTS: dict[str, Callable[[Trace], Any]] = {
    "trace": lambda trace: trace,
    "inputs": lambda trace: decoded(trace.data.request),
    "outputs": lambda trace: decoded(trace.data.response),
    "expectations": expectations_of,
}


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A function that scores a trace.

    Attributes:
        function: Takes `trace`, `inputs`, `outputs` and `expectations`, those that it names; one parameter of
            another name is the trace. May be a coroutine function. Returns a boolean, a number, a text, an
            object, a Feedback, a list of Feedback, or None for nothing to say.
        name: The name of its feedback.
        version: Traces that were scored by another version are scored again.
    """

    function: Callable[..., Any]
    name: str
    version: str

    def arguments(self, trace: Trace) -> dict[str, Any]:
        """Return what the function is to be called with."""
        return {name: PARTS.get(name, PARTS["trace"])(trace) for name in _parameters(self.function)}

    def feedback(self, returned: Any) -> list[Feedback]:
        """Return what the function returned as feedback.

        Raises:
            InvalidArgumentError: It is of no kind that a scorer may return.
        """
        if returned is None:
            return []
        if isinstance(returned, list) and all(isinstance(each, Feedback) for each in returned):
            return [self._signed(each) for each in returned]
        if isinstance(returned, Feedback):
            return [self._signed(returned)]
        if getattr(returned, "shape", None) == ():
            returned = returned.item()  # numpy's numbers and booleans are none of Python's
        if not isinstance(returned, (bool, int, float, str, dict)):
            raise InvalidArgumentError(
                f"scorer {self.name!r} returned a {type(returned).__name__}; it may return a boolean, a number,"
                " a text, an object, a Feedback or a list of Feedback"
            )
        return [self._signed(Feedback(name=self.name, value=returned))]

    def failure(self, error: BaseException) -> Feedback:
        """Return an exception as feedback without a value."""
        return self._signed(Feedback(name=self.name, error=error))  # type: ignore[arg-type]  # converted

    def _signed(self, feedback: Feedback) -> Feedback:
        named = feedback.name if feedback.name != "feedback" else self.name
        by_code = feedback.source == AssessmentSource("CODE")
        return dataclasses.replace(
            feedback,
            name=named,
            source=AssessmentSource("CODE", self.name) if by_code else feedback.source,
            metadata={**(feedback.metadata or {}), NAME_KEY: self.name, VERSION_KEY: self.version},
        )

    def earlier(self, trace: Trace) -> list[Feedback]:
        """Return the scorer's feedback that is in force on a trace, of any version."""
        return [
            each
            for each in trace.info.assessments
            if isinstance(each, Feedback)
            and each.valid
            and (each.metadata or {}).get(NAME_KEY) == self.name
        ]

    def has_scored(self, trace: Trace) -> bool:
        """Whether this version has scored a trace already, without an error."""
        found = self.earlier(trace)
        return bool(found) and all(
            each.error is None and (each.metadata or {}).get(VERSION_KEY) == self.version
            for each in found
        )


@checked
def scorer(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Make a function a scorer; to be used as a decorator, with or without parentheses.

    Args:
        function: See `Scorer`.
        name: Default: the function's.
        version: Default: a digest of the function's source, so that a changed function scores again.

    Raises:
        InvalidArgumentError: It is no function, or takes nothing.

    Example:
        >>> @scorer(version="2")
        ... def is_short(outputs):
        ...     return len(str(outputs)) < 100
        >>> is_short.name, is_short.version
        ('is_short', '2')
    """
    if function is None:
        return lambda given: scorer(given, name=name, version=version)
    if not callable(function) or isinstance(function, type):
        raise InvalidArgumentError(f"a scorer is a function, not {function!r:.200}")
    if not _parameters(function):
        raise InvalidArgumentError(
            f"scorer {function!r:.200} takes nothing; let it take trace, inputs, outputs or expectations"
        )
    named = name or str(getattr(function, "__name__", type(function).__name__))
    return Scorer(function, clean_text(named), clean_text(version or _digest(function)))


def scorers_of(given: Any) -> list[Scorer]:
    """Return scorers, made of functions where they are none yet.

    Raises:
        InvalidArgumentError: There is none, or two have the same name.
    """
    listed = [given] if callable(given) or isinstance(given, Scorer) else given
    if not isinstance(listed, Iterable):
        raise InvalidArgumentError(f"scorers is {given!r:.200}; pass functions")
    made = [each if isinstance(each, Scorer) else scorer(each) for each in listed]
    names = [each.name for each in made]
    if not made or len(set(names)) < len(names):
        raise InvalidArgumentError(f"scorers need different names, and one at least: {names}")
    return made


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Return the parameters that a function is to be called with."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"a scorer is a function with named parameters, which {function!r:.200} is not"
        ) from None
    taken = [each.name for each in parameters if each.kind in kinds]
    needed = [each.name for each in parameters if each.kind in kinds and each.default is each.empty]
    unknown = [name for name in needed if name not in PARTS]
    if len(unknown) > 1:
        raise InvalidArgumentError(
            f"scorer {function!r:.200} takes {', '.join(unknown)}; it may take {', '.join(PARTS)}"
        )
    return [name for name in taken if name in PARTS or name in unknown]


def _digest(function: Callable[..., Any]) -> str:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):  # made by exec, or an object
        code = getattr(function, "__code__", None)
        source = repr(type(function)) if code is None else f"{code.co_code!r}{code.co_consts!r}"
    return hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:12]
