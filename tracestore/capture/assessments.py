"""Feedback and expectations on traces of the active store, as functions of the package.

Each is one verb of the store with MLflow's signature; what it means is said there.
"""

from __future__ import annotations

from typing import Any

from tracestore.assessments import A
from tracestore.capture.documentation import documented_as
from tracestore.entities import AssessmentError, AssessmentSource, Expectation, Feedback
from tracestore.runtime import runtime
from tracestore.store import Store


@documented_as(Store.log_feedback)
def log_feedback(
    *,
    trace_id: str,
    name: str = "feedback",
    value: Any = None,
    source: AssessmentSource | None = None,
    error: AssessmentError | BaseException | str | None = None,
    rationale: str | None = None,
    metadata: dict[str, Any] | None = None,
    span_id: str | None = None,
) -> Feedback:
    """Store feedback on a trace.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> log_feedback(trace_id=span.trace_id, name="helpful", value=True).value
        True
    """
    return runtime.store.log_feedback(
        trace_id, name, value, source, error, rationale, metadata, span_id
    )


@documented_as(Store.log_expectation)
def log_expectation(
    *,
    trace_id: str,
    name: str,
    value: Any,
    source: AssessmentSource | None = None,
    metadata: dict[str, Any] | None = None,
    span_id: str | None = None,
) -> Expectation:
    """Store what the right answer would have been.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> log_expectation(trace_id=span.trace_id, name="answer", value="42").value
        '42'
    """
    return runtime.store.log_expectation(trace_id, name, value, source, metadata, span_id)


@documented_as(Store.log_assessment)
def log_assessment(trace_id: str, assessment: A) -> A:
    """Store a Feedback or an Expectation.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> log_assessment(span.trace_id, Feedback(name="polite", value=True)).name
        'polite'
    """
    return runtime.store.log_assessment(trace_id, assessment)


@documented_as(Store.get_assessment)
def get_assessment(trace_id: str, assessment_id: str) -> Feedback | Expectation:
    """Return one assessment, also one that is overridden.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> stored = log_feedback(trace_id=span.trace_id, name="helpful", value=True)
        >>> get_assessment(span.trace_id, stored.assessment_id).value
        True
    """
    return runtime.store.get_assessment(trace_id, assessment_id)


@documented_as(Store.update_assessment)
def update_assessment(trace_id: str, assessment_id: str, assessment: A) -> A:
    """Change an assessment in place.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> stored = log_expectation(trace_id=span.trace_id, name="answer", value="42")
        >>> changed = Expectation(name="answer", value="43")
        >>> update_assessment(span.trace_id, stored.assessment_id, changed).value
        '43'
    """
    return runtime.store.update_assessment(trace_id, assessment_id, assessment)


@documented_as(Store.override_feedback)
def override_feedback(
    *,
    trace_id: str,
    assessment_id: str,
    value: Any,
    rationale: str | None = None,
    source: AssessmentSource | None = None,
    metadata: dict[str, Any] | None = None,
) -> Feedback:
    """Store feedback that takes the place of another, which is kept.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> judged = log_feedback(trace_id=span.trace_id, name="relevance", value=0.6)
        >>> better = override_feedback(
        ...     trace_id=span.trace_id, assessment_id=judged.assessment_id, value=0.9
        ... )
        >>> get_assessment(span.trace_id, judged.assessment_id).valid
        False
    """
    return runtime.store.override_feedback(
        trace_id, assessment_id, value, rationale, source, metadata
    )


def delete_assessment(trace_id: str, assessment_id: str) -> None:
    """Delete an assessment; what it overrode is valid again. See Store.delete_assessment.

    Example:
        >>> with tracestore.start_span("chat") as span:
        ...     pass
        >>> stored = log_feedback(trace_id=span.trace_id, name="helpful", value=True)
        >>> delete_assessment(span.trace_id, stored.assessment_id)
    """
    runtime.store.delete_assessment(trace_id, assessment_id)
