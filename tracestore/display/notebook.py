"""Text and HTML at once, in the form that IPython asks for.

IPython's contract is `_repr_mimebundle_(include, exclude)`:
https://ipython.readthedocs.io/en/stable/config/integrating.html. It swallows what such a method raises, and
a cell that shows nothing looks like no data. Invariant: a failure is warned about and there is always text,
unless the caller excluded it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

_TEXT = "text/plain"
_HTML = "text/html"


def bundle(
    text: Callable[[], str],
    html: Callable[[], str],
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
) -> dict[str, str]:
    """Return what `text` and `html` draw by MIME type; only those asked for are called.

    One that fails is left out with a RuntimeWarning that names the reason; in place of a text that fails
    stands the reason.

    Args:
        text: Draws `text/plain`.
        html: Draws `text/html`.
        include: The MIME types wanted; None or none at all for every one.
        exclude: The MIME types not wanted.
    """
    wanted = set(include or (_TEXT, _HTML)) - set(exclude or ())
    drawn: dict[str, str] = {}
    for mime, draw in ((_TEXT, text), (_HTML, html)):
        if mime not in wanted:
            continue
        try:
            drawn[mime] = draw()
        except Exception as error:  # noqa: BLE001 - whatever it is, IPython would swallow it
            reason = f"could not draw {mime}: {type(error).__name__}: {error}"
            warnings.warn(f"tracestore {reason}", RuntimeWarning, stacklevel=2)
            drawn[_TEXT] = drawn.get(_TEXT, reason)
    return drawn
