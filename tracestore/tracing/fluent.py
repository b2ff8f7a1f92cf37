"""MLflow's module path of the functions that record and read traces."""

from tracestore.capture.decorator import trace
from tracestore.capture.fluent import (
    get_active_trace_id,
    get_current_active_span,
    get_last_active_trace_id,
    start_span,
    start_span_no_context,
    update_current_trace,
)
from tracestore.capture.merging import add_trace, log_trace
from tracestore.capture.sessions import search_sessions
from tracestore.capture.stored import delete_trace_tag, get_trace, search_traces, set_trace_tag

__all__ = [
    "add_trace",
    "delete_trace_tag",
    "get_active_trace_id",
    "get_current_active_span",
    "get_last_active_trace_id",
    "get_trace",
    "log_trace",
    "search_sessions",
    "search_traces",
    "set_trace_tag",
    "start_span",
    "start_span_no_context",
    "trace",
    "update_current_trace",
]
