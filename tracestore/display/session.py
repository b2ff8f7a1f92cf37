"""A session for people: a line that says what it adds up to, and its traces as a table."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING

from tracestore.display.escape import visible_line
from tracestore.display.html import traces_html
from tracestore.display.markup import Markup, element, join
from tracestore.display.text import MIN_WIDTH, fit, traces_text
from tracestore.display.units import NS_PER_MS, count_text, duration_text, time_text

if TYPE_CHECKING:
    from tracestore.entities.session import Session

#: A sum beyond this is not shown; somebody recorded nonsense.
_MAX_COST = 1e15

#: Users that the line names.
_MAX_USERS = 3


def session_text(
    session: Session, width: int = 100, *, ascii_only: bool = False, zone: tzinfo | None = None
) -> str:
    """Return `session` as text: its head, then its traces as in `traces_text`."""
    width = max(MIN_WIDTH, width)
    head = [fit(line, width) for line in _head(session, zone)]
    if ascii_only:
        head = [line.encode("ascii", "backslashreplace").decode() for line in head]
    traces = traces_text(session.traces, width, ascii_only=ascii_only, zone=zone)
    return "\n".join([*head, traces])


def session_html(session: Session, zone: tzinfo | None = None) -> str:
    """Return `session` as HTML: its head, then its traces as in `traces_html`."""
    lines = [element("div", "ts-note", line) for line in _head(session, zone)]
    return join([element("div", "tracestore", *lines), Markup(traces_html(session.traces, zone))])


def _head(session: Session, zone: tzinfo | None) -> list[str]:
    duration_ms = session.duration_ms
    facts = [
        count_text(len(session), "trace"),
        count_text(session.error_count, "error") if session.error_count else "",
        "" if duration_ms is None else duration_text(duration_ms * NS_PER_MS),
        tokens_text(session),
        cost_text(session),
        users_text(session),
        time_text(session.start_time_ms, zone),
    ]
    return [
        f"session {visible_line(str(session.id)[:1_000])}",
        " · ".join(fact for fact in facts if fact),
    ]


def tokens_text(session: Session) -> str:
    """Return "1,204 tokens", "" where they are not known."""
    total = session.token_usage.get("total_tokens")
    return count_text(total, "token") if isinstance(total, int) else ""


def cost_text(session: Session) -> str:
    """Return "$0.0123", "" where it is not known."""
    total = session.cost.get("total_cost")
    return f"${total:,.4g}" if total is not None and abs(total) < _MAX_COST else ""


def users_text(session: Session) -> str:
    """Return the names of the users, of many the first ones."""
    users = [visible_line(user[:100]) for user in session.users]
    more = f" and {len(users) - _MAX_USERS:,} more" if len(users) > _MAX_USERS else ""
    return ", ".join(users[:_MAX_USERS]) + more
