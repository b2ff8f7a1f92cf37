"""Scoring stored traces with Python functions: now, over all that a filter finds, or as they arrive.

    scorer     a function with a name and a version, and what it may return
    built_in   scorers that need no model
    workers    where they run: threads, and an event loop
    evaluate   over stored traces: concurrent, retried, resumable
    monitor    over new traces, a sample of them, on a thread in the background

Results are CODE feedback on the traces themselves, searched and measured as any other. What a scorer calls is
not traced: scores of scores would never end.
"""

from __future__ import annotations

from tracestore.evaluation.built_in import (
    contains,
    is_json,
    latency_below,
    matches_expectation,
    retrieval_hit,
    tokens_below,
)
from tracestore.evaluation.evaluate import evaluate
from tracestore.evaluation.monitor import Monitor, monitor
from tracestore.evaluation.scorer import Scorer, scorer

__all__ = [
    "Monitor",
    "Scorer",
    "contains",
    "evaluate",
    "is_json",
    "latency_below",
    "matches_expectation",
    "monitor",
    "retrieval_hit",
    "scorer",
    "tokens_below",
]
