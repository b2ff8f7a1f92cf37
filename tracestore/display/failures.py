"""Which failed span the others follow from, and what a span says about its failure.

Knows spans and rows, not how they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracestore.display.layout import Row

if TYPE_CHECKING:
    from tracestore.entities.span import Span

#: The name of the event that records an exception, as OpenTelemetry has it.
EXCEPTION = "exception"


def cause_row(rows: Sequence[Row]) -> Row | None:
    """Return the row that explains the first failure: from there down, always the last child that failed.

    Where one call was tried again, the last try is what its parent failed of. None where nothing failed.
    """
    failed = [row for row in rows if row.is_error]
    if not failed:
        return None
    cause = failed[0]
    for row in failed[1:]:
        if row.depth > cause.depth:
            cause = row if row.span.parent_id == cause.span.span_id else cause
        elif row.depth == cause.depth and row.depth and row.span.parent_id == cause.span.parent_id:
            cause = row
    return cause


def failure_of(span: Span) -> tuple[str, str]:
    """Return type and message of the span's last exception, else "" and its status' description."""
    for event in reversed(span.events):
        if event.name == EXCEPTION:
            attributes = event.attributes or {}
            kind, message = (attributes.get(f"exception.{key}") for key in ("type", "message"))
            return str(kind or ""), str(message or "")
    return "", span.status.description or ""
