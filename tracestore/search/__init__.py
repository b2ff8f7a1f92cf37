"""Searches that answer with ids: filter, order, pages, counts, and how they were found.

    query       what is wanted
    reading     statements executed at one moment, and what SQLite raises as errors of this package
    order       what is sorted by, and where a page of that order ended
    pages       a page's end as a token
    statements  the SELECTs
    probes      how much an index holds
    walks       traces in the order that an index has
    explained   plans as text
    searching   a search: its plan, its statements, its rows
    selection   all traces of a query, for an aggregating statement

Knows a connection and the filter language; no threads, no entities, no default limits. Every statement is
read to its end before anything is returned, so no cursor is left open. What is lower in that list imports what is
higher.

Invariant: orders are total (the id is the last tie-break), so the pages of a search put together are the whole
search, also while other traces arrive.
"""

from __future__ import annotations

from tracestore.search.query import Query, narrowed
from tracestore.search.searching import count, explain, search_ids
from tracestore.search.selection import Selection, select

__all__ = ["Query", "Selection", "count", "explain", "narrowed", "search_ids", "select"]
