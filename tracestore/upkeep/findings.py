"""What a check found: one entry for each kind of thing that is wrong, with how often and where.

Pure data. Invariant: an entry names places by ids, never by recorded text, so findings can be passed on.
"""

from __future__ import annotations

import msgspec

#: Places that an entry names.
_MOST_PLACES = 5

#: The file is malformed, or an index of SQLite disagrees with its table: `repair` makes a sound file.
DAMAGE = "damage"
#: Something that always holds in a store does not: a search may answer wrongly.
ERROR = "error"
#: Rows, or files beside it, that belong to nothing and change no answer: `vacuum` removes them.
LEFTOVER = "leftover"


class Finding(msgspec.Struct, frozen=True):
    """One kind of thing that is wrong.

    Attributes:
        severity: "damage", "error" or "leftover".
        message: What is wrong.
        count: How often.
        places: Some of where: `table id`, or what SQLite says.
    """

    severity: str
    message: str
    count: int
    places: tuple[str, ...] = ()


class Findings:
    """Collects findings of the same kind into one."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._places: dict[tuple[str, str], list[str]] = {}

    def add(self, severity: str, message: str, place: str = "", count: int = 1) -> None:
        """Count something that is wrong, and remember the place if it is one of the first."""
        kind = severity, message
        self._counts[kind] = self._counts.get(kind, 0) + count
        places = self._places.setdefault(kind, [])
        if place and len(places) < _MOST_PLACES:
            places.append(place)

    def all(self) -> list[Finding]:
        """Return the findings, the worst first."""
        order = (DAMAGE, ERROR, LEFTOVER)
        found = [
            Finding(severity, message, count, tuple(self._places[severity, message]))
            for (severity, message), count in self._counts.items()
        ]
        return sorted(found, key=lambda finding: order.index(finding.severity))
