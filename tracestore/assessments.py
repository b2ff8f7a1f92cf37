"""What may be said about a trace, checked and made ready for its row: new, changed, overriding.

Pure functions of entities; they know no file. Invariant: what they return can be stored as it is, and what the
caller handed in is not kept.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from tracestore import ids
from tracestore.arguments import shown
from tracestore.encoding import clean_text, encode_text, text_of
from tracestore.entities import AssessmentSource, Expectation, Feedback
from tracestore.errors import InvalidArgumentError

A = TypeVar("A", Feedback, Expectation)


def prepared(assessment: A, trace_id: str) -> A:
    """Return a copy with a new id, its trace and its times.

    Raises:
        InvalidArgumentError: It is of another type, or its name is no text.
    """
    checked(assessment)
    now_ms = time.time_ns() // 1_000_000
    return dataclasses.replace(
        assessment,
        name=clean_text(assessment.name),
        assessment_id=ids.new_assessment_id(),
        trace_id=trace_id,
        metadata=_texts(assessment.metadata) if assessment.metadata else None,
        source=AssessmentSource(
            assessment.source.source_type, text_of(assessment.source.source_id)
        ),
        span_id=None if assessment.span_id is None else text_of(assessment.span_id),
        rationale=None if assessment.rationale is None else text_of(assessment.rationale),
        overrides=None if assessment.overrides is None else text_of(assessment.overrides),
        create_time_ms=assessment.create_time_ms or now_ms,
        last_update_time_ms=assessment.last_update_time_ms or now_ms,
        valid=True,
    )


def checked(assessment: A) -> A:
    """Return `assessment`; InvalidArgumentError where it is none, or its name is no text."""
    if not isinstance(assessment, (Feedback, Expectation)):
        raise InvalidArgumentError(
            f"assessment is a {type(assessment).__name__}; pass a Feedback or an Expectation"
        )
    if not isinstance(assessment.name, str):
        raise InvalidArgumentError(f"assessment name is {shown(assessment.name)}; it must be text")
    if assessment.metadata and not isinstance(assessment.metadata, Mapping):
        raise InvalidArgumentError(
            f"assessment metadata is {shown(assessment.metadata)}; it must be a dictionary"
        )
    return assessment


def encoded_value(assessment: Feedback | Expectation) -> str | None:
    """Return the value as JSON text, None where there is an error in its place."""
    if assessment.value is None and assessment.error is not None:
        return None
    return encode_text(assessment.value)


def changed(stored: Feedback | Expectation, given: A) -> A:
    """Return `stored` with name, value, error, rationale and metadata of `given`.

    Metadata is merged, a rationale of None leaves the old one; id, span, source, time of creation and place in a
    chain of overrides stay.

    Raises:
        InvalidArgumentError: One is feedback, the other an expectation.
    """
    if stored.kind != given.kind:
        raise InvalidArgumentError(
            f"assessment {stored.assessment_id!r} is of kind {stored.kind} and can't be updated with one of kind "
            f"{given.kind}; delete it and log another"
        )
    changes: dict[str, Any] = {"error": given.error} if isinstance(given, Feedback) else {}
    merged = {**(stored.metadata or {}), **_texts(given.metadata or {})}
    return dataclasses.replace(  # type: ignore[return-value]  # of the same kind
        stored,
        name=clean_text(given.name),
        value=given.value,
        rationale=stored.rationale if given.rationale is None else text_of(given.rationale),
        metadata=merged or None,
        last_update_time_ms=max(time.time_ns() // 1_000_000, stored.last_update_time_ms or 0),
        **changes,
    )


def overriding(
    stored: Feedback | Expectation,
    value: Any,
    rationale: str | None,
    source: AssessmentSource | None,
    metadata: dict[str, Any] | None,
) -> Feedback:
    """Return feedback of the same name and span that takes the place of `stored`.

    Raises:
        InvalidArgumentError: `stored` is no feedback, or `source` is of another type.
    """
    if not isinstance(stored, Feedback):
        raise InvalidArgumentError(
            f"assessment {stored.assessment_id!r} is an expectation; only feedback is overridden, "
            "update_assessment changes an expectation"
        )
    return Feedback(
        name=stored.name,
        value=value,
        source=source,  # type: ignore[arg-type]  # None becomes the default source
        span_id=stored.span_id,
        rationale=rationale,
        metadata=metadata,
        overrides=stored.assessment_id,
    )


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {text_of(key): text_of(value) for key, value in values.items()}
