"""The interactive front end: one set of ES modules, shown in a page of its own or in a notebook.

    static/*.js   the interface: list.js and trace.js what is seen, source.js where traces come from
    records.py    entities to the JSON that it reads
    module.py     its files put together to one module; there is no build step
    page.py       one self-contained HTML file with traces inside

Knows entities, opens no store. What a notebook's kernel answers is in tracestore/explorer.py.
"""

from tracestore.ui.page import names_of, page_html, write_page

__all__ = ["names_of", "page_html", "write_page"]
