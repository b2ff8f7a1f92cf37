"""What is grouped by: any field that a trace has one value of, and some that a span has.

Knows fields, not rows. A trace or span that lacks the field is in the group None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tracestore.errors import FilterSyntaxError, InvalidArgumentError
from tracestore.filters import ast, fields, meaning, parser
from tracestore.filters.fields import Found, Source, Type

#: The most fields of a grouping.
MAX_GROUPS = 64

#: Span fields that are one value and no payload.
_OF_SPANS = {"name", "type", "status", "model", "error", "attributes", "parent_id"}


@dataclass(frozen=True)
class Group:
    """One field of a grouping.

    Attributes:
        label: How it was asked for; the name of its column.
        reference: The field, in canonical form.
        found: What it is.
    """

    label: str
    reference: ast.Reference
    found: Found

    @property
    def is_of_span(self) -> bool:
        """Whether each span has its own value."""
        return self.found.field.source is Source.SPAN


def parse(group_by: Sequence[str] | str | None) -> tuple[Group, ...]:
    """Return the fields of a grouping; one text is one field.

    Raises:
        InvalidArgumentError: There are too many, one twice, or one is no text.
        FilterSyntaxError: There is no such field, or nothing can be grouped by it.
    """
    texts = [group_by] if isinstance(group_by, str) else list(group_by or ())
    groups = tuple(map(_parse, texts))
    if len(groups) > MAX_GROUPS:
        raise InvalidArgumentError(f"group_by has {len(groups)} fields: at most {MAX_GROUPS}")
    labels = [group.label for group in groups]
    if len(set(labels)) < len(labels):
        raise InvalidArgumentError(f"group_by names a field twice: {', '.join(labels)}")
    return groups


def _parse(text: object) -> Group:
    if not isinstance(text, str):
        raise InvalidArgumentError(f"group_by is a list of fields such as 'tags.env', not {text!r}")
    item = parser.parse_order(text)
    if item.descending or item.nulls_first:
        raise InvalidArgumentError(f"group_by has {text!r}: a field, without a direction")
    if item.field.entity != "span":
        reference = meaning.normalise_order(item, text).field
        found = fields.find(reference)
        if found.field.type is Type.INSTANT:
            raise InvalidArgumentError(f"group_by has {text!r}: for time pass every='1h'")
        return Group(text.strip(), reference, found)
    try:
        found = fields.find(item.field)
    except fields.UnknownFieldError as error:
        raise FilterSyntaxError(str(error), text, *item.field.at) from None
    if found.column not in _OF_SPANS:
        one_of = ", ".join(f"span.{name}" for name in sorted(_OF_SPANS))
        raise FilterSyntaxError(
            f"spans are not grouped by {found.field.name}; there are {one_of}", text, *item.field.at
        )
    return Group(text.strip(), fields.canonical(item.field), found)


_DIGITS = re.compile(r"(\d+)")


def natural(value: Any) -> tuple[Any, ...]:
    """Return a key that sorts values as people do: "2.9" before "2.10", numbers by size, None last."""
    if value is None:
        return (2,)
    if isinstance(value, (int, float)):
        return (0, value)
    pieces = _DIGITS.split(str(value))
    return (1, [(int(p), "") if p.isascii() and p.isdigit() and len(p) < 400 else (-1, p) for p in pieces])  # fmt: skip
