"""The front end's files put together to one ES module.

Each file in static/ is a module by itself that a browser can load. Inline scripts can't import one another,
so for a page, and for a widget's single module, their `import` lines and the word `export` are taken out and
the texts are joined: names are unique among all files, which a test holds. Nothing is translated.
"""

from __future__ import annotations

import functools
import importlib.resources
import re

#: In the order in which each knows only those before it.
_PARTS = (
    "words",
    "elements",
    "payload",
    "filter",
    "sources",
    "virtual",
    "list",
    "content",
    "detail",
    "trace",
    "application",
)
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./\w+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async |const |function|class ))", re.MULTILINE)


@functools.cache
def script(entry: str) -> str:
    """Return the module that begins at `entry`: "page" for the one-file page, "widget" for a notebook."""
    texts = [static(f"{part}.js") for part in (*_PARTS, entry)]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


@functools.cache
def style() -> str:
    """Return the style sheet."""
    return static("interface.css")


def static(name: str) -> str:
    """Return a file of static/ as text."""
    resource = importlib.resources.files("tracestore.ui") / "static" / name
    return resource.read_text(encoding="utf-8")
