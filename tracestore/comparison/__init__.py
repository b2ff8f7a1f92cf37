"""What differs: between groups of traces, and between those that meet a filter and all others.

    intervals   confidence intervals of shares, means and percentiles
    sentences   a difference in words
    compare     groups side by side
    correlate   what distinguishes matching traces, ranked

Knows the figures and a connection; no threads, no store.
"""

from __future__ import annotations

from tracestore.comparison.compare import DEFAULT_METRICS, compare
from tracestore.comparison.correlate import TABLES, correlate

__all__ = ["DEFAULT_METRICS", "TABLES", "compare", "correlate"]
