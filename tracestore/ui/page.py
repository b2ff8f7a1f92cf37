"""One self-contained HTML file with traces inside, and everything to look at them.

The file goes to colleagues and lives on, so it asks for nothing: its content security policy allows the one
script and the one style sheet in it, named by their hashes, and no other thing from anywhere. Traces are data
blocks, which no browser runs. Invariant: no `<` of a trace is in the page, so none can end its block.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tracestore.display.escape import visible_line
from tracestore.errors import StoreError
from tracestore.settings import path_of_file
from tracestore.ui.module import script, style
from tracestore.ui.records import json_text, span_records, trace_record

if TYPE_CHECKING:
    from tracestore.entities.trace import Trace

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="tu-page">
<main id="tracestore"></main>
<noscript>This page needs JavaScript, which is in it; nothing is loaded from elsewhere.</noscript>
{blocks}
<script type="module">{script}</script>
</body>
</html>
"""


def page_html(
    traces: Sequence[Trace],
    *,
    title: str = "Traces",
    filter_string: str = "",
    total: int | None = None,
) -> str:
    """Return a page that shows `traces`: a list to filter and to sort, each with its waterfall and spans.

    Works offline and sends nothing anywhere. Takes about the traces' size in the file, and 10 µs a span.

    Args:
        traces: With their spans, in the order they are to be shown. One alone is shown opened.
        title: Of the window.
        filter_string: The filter that found them, which the page states.
        total: How many traces met the filter, where not all are in `traces`.
    """
    index = {
        "title": title,
        "filter": filter_string,
        "total": len(traces) if total is None else total,
        "traces": [trace_record(trace) for trace in traces],
    }
    blocks = [_block("index", index)]
    blocks += [_block(str(place), span_records(trace)) for place, trace in enumerate(traces)]
    code, css = script("page"), style()
    return _PAGE.format(
        policy=_policy(code, css),
        title=html.escape(visible_line(title)),
        style=css,
        script=code,
        blocks="\n".join(blocks),
    )


def _block(name: str, value: dict[str, Any]) -> str:
    text = json_text(value).replace("<", "\\u003c")
    return f'<script type="application/json" id="tracestore-{name}">{text}</script>'


def _policy(code: str, css: str) -> str:
    """Return the content security policy: https://www.w3.org/TR/CSP3/, and trusted types."""
    rules = (
        "default-src 'none'",
        f"script-src '{_hash(code)}'",
        f"style-src '{_hash(css)}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def names_of(traces: Iterable[Trace]) -> str:
    """Return a title for a page of `traces`: the name of the only one, else how many they are."""
    found = list(traces)
    if len(found) == 1:
        return found[0].info.name or found[0].trace_id
    return f"{len(found):,} traces"


def write_page(path: str | os.PathLike[str], page: str) -> None:
    """Write `page` to a file, replaced where there is one.

    Raises:
        InvalidArgumentError: It is no path, or one that no file can have.
        StoreError: The file can't be written.
    """
    file = path_of_file(path)
    try:
        pathlib.Path(file).write_text(page, encoding="utf-8")
    except OSError as error:
        remedy = ": make its folder first" if isinstance(error, FileNotFoundError) else ""
        raise StoreError(f"{file} can't be written: {error.strerror or error}{remedy}") from error
