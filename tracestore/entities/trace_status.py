"""The state of a trace by its MLflow 2 name."""

from __future__ import annotations

import enum

from tracestore.entities.trace_state import TraceState


class TraceStatus(str, enum.Enum):
    """TraceState by its MLflow 2 name; equal to it and to its text, but for the unspecified one."""

    UNSPECIFIED = "TRACE_STATUS_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"

    def to_state(self) -> TraceState:
        """Return the state of the same meaning."""
        return _STATES[self]

    @classmethod
    def from_state(cls, state: TraceState) -> TraceStatus:
        """Return the status of the same meaning."""
        return _STATUSES[TraceState(state)]

    @classmethod
    def pending_statuses(cls) -> set[TraceStatus]:
        """Return those that others may follow."""
        return {cls.IN_PROGRESS}

    @classmethod
    def end_statuses(cls) -> set[TraceStatus]:
        """Return those that are final."""
        return {cls.UNSPECIFIED, cls.OK, cls.ERROR}


_STATES = {
    TraceStatus.UNSPECIFIED: TraceState.STATE_UNSPECIFIED,
    TraceStatus.OK: TraceState.OK,
    TraceStatus.ERROR: TraceState.ERROR,
    TraceStatus.IN_PROGRESS: TraceState.IN_PROGRESS,
}
_STATUSES = {state: status for status, state in _STATES.items()}
