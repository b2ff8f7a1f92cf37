"""How much to do in one step, so that it holds the file for about LOCK_S whatever the machine.

Knows numbers only.
"""

from __future__ import annotations

from tracestore.upkeep import LOCK_S


class Pace:
    """The size of the next step, learnt from how long the last one took."""

    def __init__(self, first: int, most: int) -> None:
        self.size = first
        self._most = most

    def learn(self, size: int, took_s: float) -> None:
        """Note that a step of `size` took so long."""
        fitting = int(size * LOCK_S / max(took_s, 1e-4))
        self.size = max(1, min(self._most, 2 * self.size, fitting))
