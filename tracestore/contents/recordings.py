"""Traces that are being recorded in this process, as far as a store cares: by id, in a dictionary that is shared.

What the writing thread asks of them, and tells them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Recording(Protocol):
    """A trace that is being recorded in this process."""

    def set_tag(self, key: str, value: str) -> None:
        """Set a tag of the running trace."""

    def delete_tag(self, key: str) -> bool:
        """Delete a tag of the running trace; False where it has none of that name."""

    def announce_open(self) -> None:
        """Have the trace and its open spans written as they stand."""

    def open_records(self, age_s: float) -> list[Any]:
        """Return records of what is open and not in the file yet."""

    @property
    def has_ended(self) -> bool:
        """Whether its root has ended."""

    def written(self, record: Any) -> None:
        """Take note that a span's record is in the file."""

    def keeps(self, span_id: str) -> bool:
        """Whether the recorder will be given this span when the trace ends."""


def open_records(live: Mapping[str, Recording], age_s: float) -> list[Any]:
    """Return records of what is open and not in the file yet, of all of them."""
    return [record for trace in list(live.values()) for record in trace.open_records(age_s)]


def will_keep(live: Mapping[str, Recording], record: Any) -> bool:
    """Return whether the recorder will be given this span when its trace ends."""
    trace = live.get(record[0])
    return trace is not None and trace.keeps(record[1])


def tell_written(live: Mapping[str, Recording], spans: Sequence[Any]) -> None:
    """Tell each trace which of its spans are in the file."""
    for span in spans:
        trace = live.get(span[0])
        if trace is not None:
            trace.written(span)
