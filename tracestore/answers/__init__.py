"""Answers: small tables that print, draw themselves in a notebook, and go out as CSV, JSON or a data frame.

    answer  the table as an object
    cells   a value as a person reads it, by its unit
    chart   lines over time, as SVG
    page    a table and its charts as HTML

Knows values, units and labels; not what was asked, nor any file.
"""

from __future__ import annotations

from tracestore.answers.answer import Answer, Column

__all__ = ["Answer", "Column"]
