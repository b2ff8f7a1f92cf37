"""HTML as a type: text that has been escaped, and the one function that makes elements.

Invariant: `Markup` comes only from `element`, `join` and this package's own constants, and `element` escapes
every child that is not Markup. So user text can't become an element, an attribute name or a style, however
the pages are put together; it can be a `title`, escaped.
"""

from __future__ import annotations

from collections.abc import Iterable

from tracestore.display.escape import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(
    tag: str,
    classes: str,
    *children: str,
    title: str | None = None,
    style: str | None = None,
) -> Markup:
    """Return an element; children that are not Markup are escaped, so is `title`.

    Args:
        tag: Name of the element, a constant.
        classes: Space-separated class names, constants.
        children: What is in it; an empty one adds nothing.
        title: Text for the tooltip, whoever wrote it.
        style: Declarations made of constants and numbers, never of text that was recorded.
    """
    attributes = f' class="{classes}"' if classes else ""
    if title is not None:
        attributes += f' title="{escape(title)}"'
    if style is not None:
        attributes += f' style="{style}"'
    return Markup(f"<{tag}{attributes}>{join(children)}</{tag}>")


def join(pieces: Iterable[str]) -> Markup:
    """Return the pieces one after the other; those that are not Markup are escaped."""
    return Markup(
        "".join(piece if isinstance(piece, Markup) else escape(piece) for piece in pieces)
    )
