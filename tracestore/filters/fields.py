"""The closed table of fields: what a filter may speak of, its type, and where the file keeps it.

Only text from this table (and from `sql`) becomes part of an SQL statement. The table also makes the field
reference of the README (`reference_table`), so the two can't differ. It knows nothing of SQL syntax.

Invariant: every field has one canonical name; its aliases mean exactly the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from tracestore.filters import ast
from tracestore.storage.schema import RESOURCE_KEYS, SESSION_KEY, USER_KEY

RUN_KEY = "mlflow.sourceRun"
PROMPTS_KEY = "mlflow.linkedPrompts"
NAME_TAG = "mlflow.traceName"

_COMPARE = ("=", "!=", "<", "<=", ">", ">=")
_PATTERN = ("LIKE", "ILIKE", "RLIKE")
_LIST = ("IN", "BETWEEN")
_NULL = ("IS NULL",)


class Type(Enum):
    """What a field holds; the value is how the reference table names it."""

    STRING = "string"
    NUMBER = "number"
    LENGTH = "length of time"
    INSTANT = "instant"
    JSON = "any JSON scalar"
    TEXT = "text to search"
    PROMPT = "prompt version"


#: The operators each type takes. NOT LIKE, NOT IN, NOT BETWEEN and IS NOT NULL come with their positives.
OPERATORS = {
    Type.STRING: _COMPARE + _PATTERN + _LIST + _NULL,
    Type.NUMBER: _COMPARE + _LIST + _NULL,
    Type.LENGTH: _COMPARE + _LIST + _NULL,
    Type.INSTANT: _COMPARE + _LIST + _NULL,
    Type.JSON: _COMPARE + _PATTERN + _LIST + _NULL,
    Type.TEXT: _PATTERN,
    Type.PROMPT: ("=", "!=", "IN", *_NULL),
}


class Source(Enum):
    """Where the file keeps a field's value; the value is the table it is in."""

    TRACE = "traces"
    TAGS = "tags"
    METADATA = "metadata"
    RESOURCE = "resources"
    ASSESSMENT = "assessments"
    PROMPT = "metadata, tags"
    ROOT_SPAN = "spans of no parent"
    SPANS = "spans, all"
    SPAN = "spans"


@dataclass(frozen=True)
class Field:
    """One field, or one family of fields that differ by a key.

    Attributes:
        name: The canonical name; ends in ".K" or ".N" for a family.
        type: What it holds.
        source: Where it is kept.
        column: Name of the column, of the computed quantity, or of the fixed key in `source`.
        aliases: Other names that mean the same.
        notes: For the reference table.
        unit_ns: Nanoseconds that one unit of the stored number stands for; 0 where it is no time.
        sortable: Whether `order_by` takes it.
    """

    name: str
    type: Type
    source: Source
    column: str = ""
    aliases: tuple[str, ...] = ()
    notes: str = ""
    unit_ns: int = 0
    sortable: bool = True


_MS = 1_000_000

_TRACE_FIELDS = (
    Field("trace_id", Type.STRING, Source.TRACE, "trace_id", ("request_id",)),
    Field("name", Type.STRING, Source.TRACE, "name", notes="the root span's name unless renamed"),
    Field("status", Type.STRING, Source.TRACE, "status", ("state",), "`OK`, `ERROR`, `IN_PROGRESS`; case-sensitive"),
    Field(
        "timestamp_ms", Type.INSTANT, Source.TRACE, "start", ("timestamp", "request_time"),
        "start of the trace; a bare number is epoch milliseconds, a text ISO 8601 (UTC unless it says otherwise), also `now() - 1h`", _MS,
    ),
    Field("end_time_ms", Type.INSTANT, Source.TRACE, "end", ("end_time",), "start + duration; of a running trace its start", _MS),
    Field(
        "execution_time_ms", Type.LENGTH, Source.TRACE, "duration_ms", ("execution_time", "duration"),
        "a bare number is milliseconds; `1.5s` works; absent while the trace runs", _MS,
    ),
    Field("client_request_id", Type.STRING, Source.TRACE, "client_request_id"),
    Field("experiment_id", Type.STRING, Source.TRACE, "experiment"),
    Field("run_id", Type.STRING, Source.METADATA, RUN_KEY, notes=f"metadata `{RUN_KEY}`"),
    Field("request_preview", Type.STRING, Source.TRACE, "request_preview"),
    Field("response_preview", Type.STRING, Source.TRACE, "response_preview"),
    Field("session", Type.STRING, Source.METADATA, SESSION_KEY, notes=f"metadata or tag `{SESSION_KEY}`"),
    Field("user", Type.STRING, Source.METADATA, USER_KEY, notes=f"metadata or tag `{USER_KEY}`"),
    Field("request", Type.STRING, Source.ROOT_SPAN, "inputs", notes="the root span's inputs, as JSON text", sortable=False),
    Field("response", Type.STRING, Source.ROOT_SPAN, "outputs", notes="the root span's outputs, as JSON text", sortable=False),
    Field(
        "text", Type.TEXT, Source.SPANS, "content",
        notes="names, inputs, outputs, attributes and events of all spans, as a person reads them: a quote or a line break is matched as itself",
        sortable=False,
    ),
    Field("error", Type.STRING, Source.SPANS, "error", notes="`Type: message` of any span's exception", sortable=False),
    Field("span_count", Type.NUMBER, Source.TRACE, "span_count"),
    Field("tokens.input", Type.NUMBER, Source.TRACE, "input_tokens", notes="the trace's sum"),
    Field("tokens.output", Type.NUMBER, Source.TRACE, "output_tokens", notes="the trace's sum"),
    Field("tokens.total", Type.NUMBER, Source.TRACE, "total_tokens", notes="the trace's sum"),
    Field("tokens.cache_read", Type.NUMBER, Source.TRACE, "cache_read_tokens", notes="the trace's sum"),
    Field("tokens.cache_creation", Type.NUMBER, Source.TRACE, "cache_creation_tokens", notes="the trace's sum"),
    Field("cost.input", Type.NUMBER, Source.TRACE, "input_cost", notes="US dollars"),
    Field("cost.output", Type.NUMBER, Source.TRACE, "output_cost", notes="US dollars"),
    Field("cost.total", Type.NUMBER, Source.TRACE, "total_cost", notes="US dollars"),
    Field("prompt", Type.PROMPT, Source.PROMPT, PROMPTS_KEY, notes="`'name/version'` of any linked prompt", sortable=False),
)  # fmt: skip

_SPAN_FIELDS = (
    Field("span.name", Type.STRING, Source.SPAN, "name"),
    Field("span.type", Type.STRING, Source.SPAN, "type", notes="`LLM`, `CHAIN`, `TOOL`, … or any text"),
    Field("span.status", Type.STRING, Source.SPAN, "status", notes="`OK`, `ERROR`, `UNSET` (still open)"),
    Field("span.id", Type.STRING, Source.SPAN, "span_id"),
    Field("span.parent_id", Type.STRING, Source.SPAN, "parent_id", notes="absent for a root span"),
    Field("span.duration", Type.LENGTH, Source.SPAN, "duration", notes="a bare number is milliseconds; absent while the span is open", unit_ns=1),
    Field("span.start_time", Type.INSTANT, Source.SPAN, "start_time_ns", notes="as `timestamp_ms`", unit_ns=1),
    Field("span.end_time", Type.INSTANT, Source.SPAN, "end_time_ns", notes="as `timestamp_ms`; absent while the span is open", unit_ns=1),
    Field("span.inputs", Type.STRING, Source.SPAN, "inputs", notes="as JSON text"),
    Field("span.outputs", Type.STRING, Source.SPAN, "outputs", notes="as JSON text"),
    Field("span.content", Type.TEXT, Source.SPAN, "content", notes="as `text`, of one span"),
    Field("span.error", Type.STRING, Source.SPAN, "error", notes="`Type: message` of its exception"),
    Field("span.model", Type.STRING, Source.SPAN, "model", notes="the language model it called"),
)  # fmt: skip

_TAGS = Field(
    "tags.K",
    Type.STRING,
    Source.TAGS,
    aliases=("tag.K",),
    notes="any key, also `name`, `text`, `timestamp`",
)
_METADATA = Field("metadata.K", Type.STRING, Source.METADATA, aliases=("request_metadata.K",))
_RESOURCE = Field("metadata.K", Type.STRING, Source.RESOURCE)
_FEEDBACK = Field(
    "feedback.N", Type.JSON, Source.ASSESSMENT, "feedback",
    notes="any valid (not overridden) feedback of that name; a dotted path reaches into an object; `'5'` matches the number and the text, `true` and `'true'` the boolean and the text",
)  # fmt: skip
_EXPECTATION = Field(
    "expectation.N", Type.JSON, Source.ASSESSMENT, "expectation", notes="the same of expectations"
)
_ASSESSMENT = Field("assessment.N", Type.JSON, Source.ASSESSMENT, notes="the same of both")
_ATTRIBUTE = Field(
    "span.attributes.K", Type.JSON, Source.SPAN, "attributes",
    notes="the key as stored, else a dotted path into an object; a text, a number and a boolean compare as what they are",
)  # fmt: skip

#: Families of fields by entity.
_FAMILIES = {
    "tags": _TAGS,
    "tag": _TAGS,
    "metadata": _METADATA,
    "request_metadata": _METADATA,
    "feedback": _FEEDBACK,
    "expectation": _EXPECTATION,
    "assessment": _ASSESSMENT,
}

_TRACE_ALIASES = ("attribute", "attributes", "trace")
_ATTRIBUTES = "attributes."
_TRACE_BY_NAME = {name: field for field in _TRACE_FIELDS for name in (field.name, *field.aliases)}
_SPAN_BY_NAME = {field.name.removeprefix("span."): field for field in _SPAN_FIELDS}

#: Attributes that the file keeps in columns of their own.
_ATTRIBUTE_COLUMNS = {"mlflow.spanInputs": "inputs", "mlflow.spanOutputs": "outputs"}
_SPAN_TYPE_ATTRIBUTE = "mlflow.spanType"

_ENTITIES = (*_FAMILIES, "span", "tokens", "cost", *_TRACE_ALIASES)

#: How often a key of a JSON field may be divided by dots.
MAX_PATH_DOTS = 32


class UnknownFieldError(Exception):
    """No field has that name; the text says so and names a near miss.

    Attributes:
        is_entity: Whether it is the part before the dot that is unknown.
    """

    def __init__(self, reason: str, *, is_entity: bool = False) -> None:
        super().__init__(reason)
        self.is_entity = is_entity


@dataclass(frozen=True)
class Found:
    """A field that a reference means.

    Attributes:
        field: The field.
        key: The key of a family or of a fixed row; else None. Of a JSON field in a column of its own, such
            as `inputs`, the path within the whole value, None for the value itself.
        column: The column of `field.source`.
    """

    field: Field
    key: str | None = None
    column: str = ""


def find(reference: ast.Reference, *, in_span: bool = False) -> Found:
    """Return the field that `reference` means.

    Args:
        reference: As parsed.
        in_span: Whether it stands in a condition on one span, where `span.` may be left out.

    Raises:
        UnknownFieldError: If there is no such field here.
    """
    entity, key = reference.entity, reference.key
    if entity == "span":
        return _find_span(key)
    if in_span:
        return _find_in_span(entity, key)
    if entity in _FAMILIES:
        return _find_in_family(entity, key)
    if entity is None or entity in _TRACE_ALIASES:
        return _find_trace(key, reference)
    return _find_trace(f"{entity}.{key}", reference)


def canonical(reference: ast.Reference, *, in_span: bool = False) -> ast.Reference:
    """Return the one canonical reference to the field that `reference` means.

    Raises:
        UnknownFieldError: If there is no such field here.
    """
    field = find(reference, in_span=in_span).field
    if field is _ATTRIBUTE:
        spelled_out = reference.entity in {"span", None}
        key = reference.key if spelled_out else _ATTRIBUTES + reference.key
        return ast.Reference("span", key, reference.at)
    entity, _, key = field.name.rpartition(".")
    family = key in {"K", "N"}
    return ast.Reference(entity or None, reference.key if family else key, reference.at)


def reference_table() -> str:
    """Return all fields as a Markdown table: field, type, notes."""
    families = (_TAGS, _METADATA, _FEEDBACK, _EXPECTATION, _ASSESSMENT)
    rows = [_table_row(field) for field in (*_TRACE_FIELDS, *families, *_SPAN_FIELDS, _ATTRIBUTE)]
    aliases = ", ".join(f"`{alias}.X`" for alias in _TRACE_ALIASES)
    rows.append(f"| {aliases} | | the same as the bare trace field `X` |")
    return "\n".join(["| field | type | notes |", "|---|---|---|", *rows, ""])


def operator_table() -> str:
    """Return the operators that each type takes as a Markdown table."""
    rows = [f"| {kind.value} | `{' '.join(taken)}` |" for kind, taken in OPERATORS.items()]
    return "\n".join(["| type | operators |", "|---|---|", *rows, ""])


def _table_row(field: Field) -> str:
    names = ", ".join(f"`{name}`" for name in (field.name, *field.aliases))
    return f"| {names} | {field.type.value} | {field.notes} |"


def _find_trace(name: str, reference: ast.Reference) -> Found:
    field = _TRACE_BY_NAME.get(name)
    if field is None:
        raise _unknown(reference)
    fixed_key = field.column if field.source in {Source.METADATA, Source.PROMPT} else None
    return Found(field, fixed_key, field.column)


def _find_in_family(entity: str, key: str) -> Found:
    field = _FAMILIES[entity]
    if field is _TAGS and key == NAME_TAG:
        return Found(_TRACE_BY_NAME["name"], None, "name")
    if field in {_TAGS, _METADATA} and key in {SESSION_KEY, USER_KEY}:
        return Found(_METADATA, key)
    if field is _METADATA and key in RESOURCE_KEYS:
        return Found(_RESOURCE, key)
    if field.type is Type.JSON:
        _check_path(key)
    return Found(field, key, field.column)


def _find_span(key: str) -> Found:
    if key.startswith(_ATTRIBUTES) and key != _ATTRIBUTES:
        return _find_attribute(key[len(_ATTRIBUTES) :])
    field = _SPAN_BY_NAME.get(key)
    if field is None:
        hint = _near(key, (*_SPAN_BY_NAME, "attributes"))
        if key.rstrip(".") == "attributes":
            hint = ": which one? write it as in span.attributes.model"
        hint = hint or _one_of((*_SPAN_BY_NAME, "attributes.K"))
        raise UnknownFieldError(f"unknown span field {key!r}{hint}")
    return Found(field, None, field.column)


def _find_attribute(key: str) -> Found:
    if key == _SPAN_TYPE_ATTRIBUTE:
        return Found(_SPAN_BY_NAME["type"], None, "type")
    _check_path(key)
    for attribute, column in _ATTRIBUTE_COLUMNS.items():
        if key == attribute:
            return Found(_ATTRIBUTE, None, column)
        if key.startswith(attribute + "."):
            return Found(_ATTRIBUTE, key[len(attribute) + 1 :], column)
    return Found(_ATTRIBUTE, key, "attributes")


def _find_in_span(entity: str | None, key: str) -> Found:
    if entity is None and (key in _SPAN_BY_NAME or key not in _TRACE_BY_NAME):
        return _find_span(key)
    if entity in {"attribute", "attributes"}:
        return _find_attribute(key)
    if entity is not None and entity not in _ENTITIES:
        hint = _near(entity, ("span", "attributes"))
        raise UnknownFieldError(f"unknown entity {entity!r}{hint}", is_entity=True)
    name = key if entity is None else f"{entity}.{key}"
    raise UnknownFieldError(f"{name} is not a field of one span: move it out of the span condition")


def _check_path(key: str) -> None:
    if key.count(".") > MAX_PATH_DOTS:
        raise UnknownFieldError(f"a key here has at most {MAX_PATH_DOTS} dots")


def _unknown(reference: ast.Reference) -> UnknownFieldError:
    entity, key = reference.entity, reference.key
    if entity is not None and entity not in _ENTITIES:
        hint = _near(entity, _ENTITIES) or _one_of(_ENTITIES)
        return UnknownFieldError(f"unknown entity {entity!r}{hint}", is_entity=True)
    if entity in {"tokens", "cost"}:
        names = tuple(name for name in _TRACE_BY_NAME if name.startswith(f"{entity}."))
        name = f"{entity}.{key}"
        return UnknownFieldError(f"unknown field {name!r}{_near(name, names) or _one_of(names)}")
    if key in _FAMILIES:
        hint = f": which one? write it as in {key}.name_of_it"
    elif key in {"tokens", "cost"}:
        hint = f": which ones? write it as in {key}.total"
    elif key in _SPAN_BY_NAME:
        hint = f": did you mean 'span.{key}'?"
    else:
        hint = _near(key, tuple(_TRACE_BY_NAME)) or f", for a tag write tags.{key}"
    return UnknownFieldError(f"unknown field {key!r}{hint}")


def _near(name: str, names: Iterable[str]) -> str:
    """Return a hint at the name of the same words, as `tokens.total` is of `total_tokens`, or a similar one."""
    known = list(names)
    same = [each for each in known if _words(each) == _words(name)]
    near = same or get_close_matches(name[:64].lower(), known, 1)
    return f": did you mean {near[0]!r}?" if near else ""


def _words(name: str) -> list[str]:
    return sorted(re.split("[._]", name.lower()))


def _one_of(names: Iterable[str]) -> str:
    return f"; there are {', '.join(names)}"
