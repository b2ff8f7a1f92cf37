"""Figures over all traces that meet a filter: counts, rates, percentiles, tokens, cost, feedback; by group and time.

    quantities  what can be asked for: `error_rate`, `p95`, `mean(feedback.score)`, `sum(tokens.total, status = 'OK')`
    groups      what traces and spans are grouped by
    calendar    buckets of time in a time zone
    moments     moments as people give them
    columns     the SQL of what a quantity or a group needs of each row
    tally       rows by group
    models      whose tokens are whose
    indexed     columns from indexes alone
    summaries   lists of values to one figure
    aggregate   reading rows into groups, and groups into an answer
    conditions  "error_rate < 2%", for alerts
    overview    the operator's page

Knows the filter language and a connection; no threads, no store. What is lower in that list imports what is higher.
"""

from __future__ import annotations

from tracestore.figures.aggregate import Request, measure
from tracestore.figures.quantities import Quantity, parse, reference_table

__all__ = ["Quantity", "Request", "measure", "parse", "reference_table"]
