"""Traces as Chrome's trace event JSON, which Perfetto (https://ui.perfetto.dev) and chrome://tracing open.

A trace is a process, a line of spans that don't overlap is a thread.
Source: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tracestore.entities import Span, Trace


def trace_events(traces: Iterable[Trace]) -> Iterator[dict[str, Any]]:
    """Yield the events of traces: names of processes first, then one complete event a span, in microseconds."""
    for process, trace in enumerate(traces, 1):
        name = f"{trace.info.name or 'trace'} {trace.trace_id}"
        yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": name}}
        for span, line in _lines(trace.data.spans):
            end_ns = span.start_time_ns if span.end_time_ns is None else span.end_time_ns
            yield {
                "ph": "X",
                "name": span.name,
                "cat": span.span_type or "UNKNOWN",
                "ts": span.start_time_ns / 1000,
                "dur": max(0, end_ns - span.start_time_ns) / 1000,
                "pid": process,
                "tid": line,
                "args": _arguments(span),
            }


def _lines(spans: Iterable[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span with the first line where it is within what is open, or after what has ended."""
    lines: list[list[int]] = []  # the ends of what is open on each line, the outermost first
    for span in sorted(spans, key=lambda s: (s.start_time_ns, -(s.end_time_ns or 2**63))):
        end_ns = span.end_time_ns or span.start_time_ns
        for number, open_ends in enumerate(lines, 1):
            while open_ends and open_ends[-1] <= span.start_time_ns:
                open_ends.pop()
            if not open_ends or end_ns <= open_ends[-1]:
                open_ends.append(end_ns)
                yield span, number
                break
        else:
            lines.append([end_ns])
            yield span, len(lines)


def _arguments(span: Span) -> dict[str, Any]:
    found = {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "status": span.status.status_code.value,
        "model": span.model_name,
        "inputs": span.inputs,
        "outputs": span.outputs,
    }
    return {key: value for key, value in found.items() if value is not None}
