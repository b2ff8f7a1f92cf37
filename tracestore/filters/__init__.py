"""The filter language: from a filter's text to the SQL that finds its traces.

    lexer      text to tokens
    ast        the nodes, and their canonical text
    parser     tokens to AST; the grammar is in its docstrings
    fields     the closed table of fields
    values     what literals are worth: numbers, instants, lengths
    patterns   LIKE, ILIKE, RLIKE as what executes them
    meaning    AST to normal form; all errors are found by then
    indexes    the indexes of the file, and what they hand out
    scans      which ranges of which index hold what meets a test
    plan       which index drives
    times      the start of a trace as a range of ids
    sql        SQL text and its bound values
    leaves     tests of one field as SQL
    conditions what is made of them: AND, OR, NOT, spans, aggregates
    streams    streams of ids, and probes
    orders     what traces are sorted by
    functions  what SQLite calls back

Imports go down that list only upwards. `tracestore.search` executes; nothing here holds a connection but
`functions.register`.
"""

from __future__ import annotations

from tracestore.filters import ast
from tracestore.filters.ast import Node
from tracestore.filters.fields import reference_table
from tracestore.filters.functions import register
from tracestore.filters.parser import parse

__all__ = ["Node", "equals", "parse", "reference_table", "register"]


def equals(entity: str | None, key: str, value: str) -> Node:
    """Return the condition that a field equals a text; for conditions that code makes.

    Args:
        entity: "tags", "metadata", …; None for a field of the trace itself.
        key: The key as it is, or the name of a field of the trace.
        value: What it equals. Half a character is replaced as the writer replaces it.
    """
    clean = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return ast.Comparison(ast.Reference(entity, key), "=", ast.Text(clean))
