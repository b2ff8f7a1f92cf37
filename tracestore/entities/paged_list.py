"""A list of results that knows where the next page begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex, TypeVar, overload

from tracestore.entities.session import Session
from tracestore.entities.trace import Trace

T = TypeVar("T")


class PagedList(list[T]):
    """A list of results and the token of the page after it, None on the last page.

    In a notebook a list of traces or of sessions shows itself as a table.
    """

    def __init__(self, items: Iterable[T] = (), token: str | None = None) -> None:
        super().__init__(items)
        self.token = token

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: Any) -> Any:
        """Return an item or a slice; say what is missing where a data frame's column is asked for."""
        if isinstance(index, str):
            raise TypeError(
                f"a list has no column {index!r}: where pandas is installed, search_traces returns a data frame"
            )
        return super().__getitem__(index)

    def to_list(self) -> list[T]:
        """Return the items as a plain list."""
        return list(self)

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Show the list in a notebook: traces or sessions as a table, anything else as its text."""
        from tracestore import display  # noqa: PLC0415 - 20 ms that only a notebook needs

        sessions = [item for item in self if isinstance(item, Session)]
        if self and len(sessions) == len(self):
            return display.bundle(
                text=lambda: display.sessions_text(sessions),
                html=lambda: display.sessions_html(sessions),
                include=include,
                exclude=exclude,
            )
        traces = [item for item in self if isinstance(item, Trace)]
        if len(traces) < len(self):
            return {"text/plain": repr(self)}
        return display.bundle(
            text=lambda: display.traces_text(traces),
            html=lambda: display.traces_html(traces),
            include=include,
            exclude=exclude,
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the list as text in IPython, which asks no list for `text/plain` in another way."""
        text = repr(self) if cycle else self._repr_mimebundle_(include=["text/plain"])["text/plain"]
        printer.text(text)
