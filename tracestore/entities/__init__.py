"""What is read back from a store: traces, spans, assessments, experiments. Each noun has a module, as in MLflow.

`LiveSpan` and `NoOpSpan`, which programs get while they run, live where recording does and are loaded from
there when they are asked for: nothing here knows how to record.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tracestore.beyond import attribute_error
from tracestore.entities.assessment import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    AssessmentSourceType,
    Expectation,
    Feedback,
)
from tracestore.entities.document import Document
from tracestore.entities.experiment import Experiment
from tracestore.entities.experiment_tag import ExperimentTag
from tracestore.entities.lifecycle_stage import LifecycleStage
from tracestore.entities.link import Link
from tracestore.entities.paged_list import PagedList
from tracestore.entities.session import Session
from tracestore.entities.span import Span, SpanType
from tracestore.entities.span_event import SpanEvent
from tracestore.entities.span_log_level import SpanLogLevel
from tracestore.entities.span_status import SpanStatus, SpanStatusCode
from tracestore.entities.trace import Trace
from tracestore.entities.trace_data import TraceData
from tracestore.entities.trace_info import TraceInfo
from tracestore.entities.trace_location import (
    MlflowExperimentLocation,
    TraceLocation,
    TraceLocationType,
)
from tracestore.entities.trace_state import TraceState
from tracestore.entities.trace_status import TraceStatus
from tracestore.entities.view_type import ViewType

if TYPE_CHECKING:
    from tracestore.capture.no_op import NoOpSpan
    from tracestore.capture.span import LiveSpan

__all__ = [
    "Assessment",
    "AssessmentError",
    "AssessmentSource",
    "AssessmentSourceType",
    "Document",
    "Expectation",
    "Experiment",
    "ExperimentTag",
    "Feedback",
    "LifecycleStage",
    "Link",
    "LiveSpan",
    "MlflowExperimentLocation",
    "NoOpSpan",
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
    "TraceLocationType",
    "TraceState",
    "TraceStatus",
    "ViewType",
]


def __getattr__(name: str) -> Any:
    if name in ("LiveSpan", "NoOpSpan"):
        home = "span" if name == "LiveSpan" else "no_op"
        return getattr(importlib.import_module(f"tracestore.capture.{home}"), name)
    raise attribute_error("entities", "module 'tracestore.entities'", name)
