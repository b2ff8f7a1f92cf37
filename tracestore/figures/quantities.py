"""What can be asked for, as text: short names, and `function(field)` or `function(field, filter)`.

    p95                              the short name of p95(duration)
    mean(feedback.score)             over every valid feedback of that name
    sum(tokens.total, status = 'OK') of the traces that meet a filter too
    share(tags.cache = 'hit')        the share of traces that meet a filter

Knows names and fields, not how values are found. Invariant: a quantity that parses can be computed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from tracestore.errors import FilterSyntaxError, InvalidArgumentError
from tracestore.filters import ast, fields, meaning, parser
from tracestore.filters.fields import Found, Source, Type

#: Short names: the text they stand for, the unit of the figure, and what it is.
SHORT_NAMES = {
    "count": ("count()", "", "traces; spans where spans are grouped"),
    "errors": ("errors()", "", "those with status `ERROR`"),
    "error_rate": ("error_rate()", "share", "errors / count"),
    "latency_mean": ("mean(duration)", "ms", "milliseconds, of what has ended; a trace's are whole, rounded down, so 0 below one; a span's have all digits"),
    "latency_ok_mean": ("mean(duration, status = 'OK')", "ms", "of those with status `OK`"),
    "latency_min": ("min(duration)", "ms", ""),
    "latency_max": ("max(duration)", "ms", ""),
    "tokens_input": ("sum(tokens.input)", "", "sum"),
    "tokens_output": ("sum(tokens.output)", "", "sum"),
    "tokens_total": ("sum(tokens.total)", "", "sum"),
    "tokens_mean": ("mean(tokens.total)", "", "a trace, of those that report any"),
    "cost": ("sum(cost.total)", "usd", "US dollars, sum"),
    "cost_mean": ("mean(cost.total)", "usd", "a trace, of those that report any"),
    "throughput": ("throughput()", "per_min", "traces a minute, from the first to the last or `end`"),
    "span_count": ("sum(span_count)", "", "spans of the traces"),
    "users": ("distinct(user)", "", "different users"),
    "sessions": ("distinct(session)", "", "different sessions"),
}  # fmt: skip

#: Functions of a field, by what field they take.
NUMERIC = ("sum", "mean", "min", "max", "median")
_PLAIN = ("count", "errors", "error_rate", "throughput")
_FUNCTIONS = (*_PLAIN, *NUMERIC, "distinct", "share", "counts", "agreement")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,6})?)", re.ASCII)
_CALL = re.compile(r"\s*([a-z][a-z0-9_.]*)\s*\((.*)\)\s*", re.DOTALL)
_NUMBERS = {Type.NUMBER, Type.LENGTH}


@dataclass(frozen=True)
class Quantity:
    """One figure to compute.

    Attributes:
        label: How it was asked for; the name of its column.
        function: "count", "errors", "error_rate", "throughput", "sum", "mean", "min", "max", "percentile",
            "distinct", "share", "counts" or "agreement".
        field: The field it is of; None for those of rows as such.
        condition: A filter that rows meet too, in normal form.
        percent: Of a percentile, 0 to 100.
        unit: See `answers.Column`.
    """

    label: str
    function: str
    field: ast.Reference | None = None
    condition: ast.Node | None = None
    percent: float = 0.0
    unit: str = ""

    @property
    def is_of_assessments(self) -> bool:
        """Whether it is of what was said about traces."""
        return self.field is not None and fields.find(self.field).field.source is Source.ASSESSMENT

    @property
    def is_of_usage(self) -> bool:
        """Whether it is of tokens or cost."""
        if self.field is None:
            return False
        return fields.find(self.field).field.name.startswith(("tokens.", "cost."))


def parse(text: object) -> Quantity:
    """Return the quantity that `text` asks for.

    Raises:
        InvalidArgumentError: There is none of that name or form.
        FilterSyntaxError: Its field or its filter can't be read.
    """
    if not isinstance(text, str) or not text.strip():
        raise InvalidArgumentError(f"a metric is text such as 'error_rate', not {text!r:.200}")
    label = text.strip()
    expression, unit = label, ""
    if label in SHORT_NAMES:
        expression, unit, _ = SHORT_NAMES[label]
    elif _PERCENTILE.fullmatch(label):
        expression = f"{label}(duration)"
    call = _CALL.fullmatch(expression)
    if call is None:
        raise InvalidArgumentError(f"there is no metric {label!r:.200}{_hint(label)}")
    return _call(label, call[1], call[2], unit)


def reference_table() -> str:
    """Return all metrics as a Markdown table: metric, what it is."""
    rows = [
        f"| `{name}` | {notes or 'of durations, milliseconds'}"
        f"{'' if name in _PLAIN else f' (`{text}`)'} |"
        for name, (text, _, notes) in SHORT_NAMES.items()
    ]
    more = {
        "p50, p95, p99.9, …": "exact percentile of durations, interpolated as pandas and numpy do",
        "sum, mean, min, max, median, p95 (field)": "of `duration`, `tokens.…`, `cost.…`, `span_count`, or the numbers of a `feedback.N`",
        "distinct(field)": "different values of any field that traces can be ordered by",
        "share(feedback.N)": "share of true among the booleans",
        "counts(feedback.N)": "how often each value was given",
        "agreement(expectation.N)": "share of expectations that the response equals; `agreement(feedback.N)`: that the feedback of the same name equals",
        "count(filter), share(filter)": "traces that meet a filter, and their share",
        "function(field, filter)": "the same of the traces that meet a filter, such as `mean(duration, status = 'OK')`",
    }
    rows += [f"| `{name}` | {notes} |" for name, notes in more.items()]
    return "\n".join(["| metric | what it is |", "|---|---|", *rows, ""])


def _call(label: str, function: str, inner: str, unit: str) -> Quantity:
    percentile = _PERCENTILE.fullmatch(function)
    if percentile is None and function not in _FUNCTIONS:
        raise InvalidArgumentError(
            f"metric {label!r:.200}: there is no function {function!r}{_hint(function)}"
        )
    first, rest = _split(inner)
    if function in _PLAIN and not first:
        return Quantity(label, function, unit=unit)
    if function == "count" or (function == "share" and not _is_field(first)):
        return Quantity(label, function, None, _condition(inner), unit=_unit(function, None, unit))
    if function in _PLAIN:
        raise InvalidArgumentError(
            f"metric {label!r:.200}: {function} takes nothing in parentheses"
        )
    reference = _field(first, label)
    found = fields.find(reference)
    _check(function if percentile is None else "mean", found, label)
    condition = _condition(rest) if rest else None
    unit = unit or _unit(function, found, unit)
    if percentile is not None:
        return Quantity(label, "percentile", reference, condition, float(percentile[1]), unit)
    if function == "median":
        return Quantity(label, "percentile", reference, condition, 50.0, unit)
    return Quantity(label, function, reference, condition, unit=unit)


def _split(inner: str) -> tuple[str, str]:
    """Return what stands before the first comma that no quote holds, and what after it."""
    quote = ""
    for at, character in enumerate(inner):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character == ",":
            return inner[:at].strip(), inner[at + 1 :].strip()
    return inner.strip(), ""


def _field(text: str, label: str) -> ast.Reference:
    if not text:
        raise InvalidArgumentError(f"metric {label!r:.200}: name a field, as in mean(duration)")
    item = parser.parse_order(text)
    try:
        return meaning.normalise_order(item, text).field
    except FilterSyntaxError as error:
        raise FilterSyntaxError(
            error.reason.replace("traces can't be ordered by", "no metric is of"),
            text,
            error.position,
            error.length,
        ) from None


def _is_field(text: str) -> bool:
    """Return whether `text` is a field by itself, and no filter."""
    try:
        parser.parse_order(text)
    except FilterSyntaxError:
        return False
    return True


def _condition(text: str) -> ast.Node:
    parsed = parser.parse(text)
    if parsed is None:
        raise InvalidArgumentError("a filter in a metric can't be empty")
    return meaning.normalise(parsed, text)


def _check(function: str, found: Found, label: str) -> None:
    """Raise InvalidArgumentError where a function does not take a field."""
    is_assessment = found.field.source is Source.ASSESSMENT
    if function in {"share", "counts", "agreement"}:
        fits = is_assessment
    elif function == "distinct":
        fits = True
    else:
        fits = is_assessment or found.field.type in _NUMBERS
    if not fits:
        takes = "feedback.N" if function in {"share", "counts", "agreement"} else "a number"
        raise InvalidArgumentError(
            f"metric {label!r:.200}: {function} takes {takes}, and {found.field.name} is none"
        )


def _unit(function: str, found: Found | None, unit: str) -> str:
    if function in {"share", "agreement"}:
        return "share"
    if unit or found is None or function in {"distinct", "counts"}:
        return unit
    if found.field.type is Type.LENGTH:
        return "ms"
    return "usd" if found.field.name.startswith("cost.") else ""


def _hint(name: str) -> str:
    known = [*SHORT_NAMES, "p50", "p90", "p95", "p99", *_FUNCTIONS]
    near = get_close_matches(name[:64], known, 1)
    if near:
        return f": did you mean {near[0]!r}?"
    return f"; there are {', '.join(SHORT_NAMES)}, p95 and the like, and mean(feedback.N)"
