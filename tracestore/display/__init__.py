"""What people look at: pure functions of entities that return text or HTML.

    layout.py    spans to rows: tree order, branches, places on the time axis
    payload.py   recorded values to chat messages, documents and bounded outlines
    units.py     durations, sizes, counts and times in words
    escape.py    the one way for user text into a page or a terminal
    markup.py    the one way to make an element
    html.py      notebook cells, with static/tracestore.css
    session.py   sessions, in both forms
    text.py      terminals and `text/plain`
    notebook.py  both at once, for `_repr_mimebundle_`

Nothing here opens a store or a socket, and the same entities always give the same output in one time zone.
"""

from tracestore.display.difference import difference_html, difference_text
from tracestore.display.escape import visible
from tracestore.display.html import trace_html, traces_html
from tracestore.display.layout import tree_rows
from tracestore.display.notebook import bundle
from tracestore.display.payload import outline
from tracestore.display.session import session_html, session_text, sessions_html, sessions_text
from tracestore.display.text import trace_text, traces_text

__all__ = [
    "bundle",
    "difference_html",
    "difference_text",
    "outline",
    "session_html",
    "session_text",
    "sessions_html",
    "sessions_text",
    "trace_html",
    "trace_text",
    "traces_html",
    "traces_text",
    "tree_rows",
    "visible",
]
