"""What is read back from a store: traces, spans, assessments, experiments."""

from tracestore.entities.assessment import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    AssessmentSourceType,
    Expectation,
    Feedback,
)
from tracestore.entities.experiment import Experiment, ViewType
from tracestore.entities.session import Session
from tracestore.entities.span import (
    Link,
    Span,
    SpanEvent,
    SpanLogLevel,
    SpanStatus,
    SpanStatusCode,
    SpanType,
)
from tracestore.entities.trace import (
    PagedList,
    Trace,
    TraceData,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from tracestore.entities.trace_location import MlflowExperimentLocation

__all__ = [
    "Assessment",
    "AssessmentError",
    "AssessmentSource",
    "AssessmentSourceType",
    "Expectation",
    "Experiment",
    "Feedback",
    "Link",
    "MlflowExperimentLocation",
    "PagedList",
    "Session",
    "Span",
    "SpanEvent",
    "SpanLogLevel",
    "SpanStatus",
    "SpanStatusCode",
    "SpanType",
    "Trace",
    "TraceData",
    "TraceInfo",
    "TraceLocation",
    "TraceState",
    "ViewType",
]
