"""A session: the traces of one conversation, oldest first, and what they add up to.

A program says which session a trace belongs to (`update_current_trace(session_id=…)`, or the tag or metadata
`mlflow.trace.session`). Everything here is computed from the traces when it is asked for; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from tracestore.entities.assessment import Expectation, Feedback
from tracestore.entities.trace import Trace, TraceState


class Session:
    """The traces that share a session id.

    Args:
        traces: In the order in which they started.

    Example:
        >>> [len(session) for session in tracestore.search_sessions()]
        []
    """

    def __init__(self, traces: Iterable[Trace]) -> None:
        self.traces = list(traces)

    @property
    def id(self) -> str | None:
        """The session's id, None where there are no traces."""
        return self.traces[0].info.session_id if self.traces else None

    @property
    def start_time_ms(self) -> int | None:
        """When the first trace started, milliseconds since 1970; None without traces."""
        return min((trace.info.request_time for trace in self.traces), default=None)

    @property
    def end_time_ms(self) -> int | None:
        """When the last trace ended, or started where it runs, milliseconds since 1970; None without traces."""
        return max(
            (t.info.request_time + (t.info.execution_duration or 0) for t in self.traces),
            default=None,
        )

    @property
    def duration_ms(self) -> int | None:
        """From the first start to the last end, in milliseconds; None without traces."""
        start_ms, end_ms = self.start_time_ms, self.end_time_ms
        return None if start_ms is None or end_ms is None else end_ms - start_ms

    @property
    def token_usage(self) -> dict[str, int]:
        """Tokens by kind, summed over the traces; {} where none said any."""
        return _sums(trace.info.token_usage for trace in self.traces)

    @property
    def cost(self) -> dict[str, float]:
        """US dollars by kind, summed over the traces; {} where none is known."""
        return _sums(trace.info.cost for trace in self.traces)

    @property
    def users(self) -> list[str]:
        """The users of the traces, each once, in the order of their first trace."""
        return list(dict.fromkeys(t.info.user for t in self.traces if t.info.user is not None))

    @property
    def error_count(self) -> int:
        """How many of the traces ended with an error."""
        return sum(trace.info.state == TraceState.ERROR for trace in self.traces)

    @property
    def assessments(self) -> list[Feedback | Expectation]:
        """What is said about any of the traces and is in force, in the order of the traces."""
        return [
            assessment
            for trace in self.traces
            for assessment in trace.info.assessments
            if assessment.valid is not False
        ]

    @property
    def feedback(self) -> list[Feedback]:
        """The feedback among `assessments`."""
        return [each for each in self.assessments if isinstance(each, Feedback)]

    @property
    def session_assessments(self) -> list[Feedback | Expectation]:
        """Those of `assessments` that are about the session as a whole: metadata `mlflow.trace.session`."""
        return [each for each in self.assessments if each.is_of_session]

    def __iter__(self) -> Iterator[Trace]:
        return iter(self.traces)

    def __len__(self) -> int:
        return len(self.traces)

    @overload
    def __getitem__(self, index: int) -> Trace: ...

    @overload
    def __getitem__(self, index: slice) -> list[Trace]: ...

    def __getitem__(self, index: int | slice) -> Trace | Sequence[Trace]:
        return self.traces[index]

    def __repr__(self) -> str:
        return f"Session(id={self.id!r})"

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Show the session in a notebook."""
        from tracestore import display  # noqa: PLC0415 - 20 ms that only a notebook needs

        return display.bundle(
            text=lambda: display.session_text(self),
            html=lambda: display.session_html(self),
            include=include,
            exclude=exclude,
        )


def _sums(parts: Iterable[Mapping[str, Any] | None]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for part in parts:
        for key, value in (part or {}).items():
            if isinstance(value, (int, float)):
                total[key] = total.get(key, 0) + value
    return total
