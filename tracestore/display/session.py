"""Sessions for people: one with what it adds up to and its traces as a table, many as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from tracestore.display import units
from tracestore.display.blocks import chips, line
from tracestore.display.escape import visible_line
from tracestore.display.html import card, header_row, traces_html
from tracestore.display.markup import Markup, element
from tracestore.display.payload import preview_text
from tracestore.display.text import MIN_WIDTH, fit, traces_text
from tracestore.display.units import (
    NS_PER_MS,
    count_text,
    duration_text,
    time_text,
)

if TYPE_CHECKING:
    from tracestore.entities.session import Session

#: Sessions that one table shows, and characters of one cell.
MAX_SESSIONS = 1_000
_MAX_CELL = 200

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
    head = element(
        "div",
        "ts-head",
        element(
            "div",
            "ts-title",
            element("span", "ts-key", "Session"),
            " ",
            element("span", "ts-name", line(session.id)),
            " ",
            element("span", "ts-total", _duration(session)),
        ),
        chips([(label, value) for label, value in _facts(session, zone) if value]),
    )
    return traces_html(session.traces, zone, head=[head])


def _facts(session: Session, zone: tzinfo | None) -> list[tuple[str, str]]:
    return [
        ("traces", f"{len(session):,}"),
        ("errors", f"{session.error_count:,}" if session.error_count else ""),
        ("tokens", tokens_text(session).partition(" ")[0]),
        ("cost", cost_text(session)),
        ("users", users_text(session)),
        ("start", time_text(session.start_time_ms, zone)),
    ]


def sessions_text(
    sessions: Sequence[Session], width: int = 100, *, zone: tzinfo | None = None
) -> str:
    """Return `sessions` as text, two lines each, at most MAX_SESSIONS of them."""
    width = max(MIN_WIDTH, width)
    if not sessions:
        return "no sessions"
    lines = [line for session in sessions[:MAX_SESSIONS] for line in _head(session, zone)]
    if len(sessions) > MAX_SESSIONS:
        lines.append(f"… {count_text(len(sessions) - MAX_SESSIONS, 'more session')}")
    return "\n".join(fit(line, width) for line in lines)


def sessions_html(sessions: Sequence[Session], zone: tzinfo | None = None) -> str:
    """Return `sessions` as a table, a row each, at most MAX_SESSIONS of them."""
    if not sessions:
        return card(element("div", "ts-note", "No sessions."))
    rows = [_row(session, zone) for session in sessions[:MAX_SESSIONS]]
    table = element("table", "ts-table", header_row(_COLUMNS), element("tbody", "", *rows))
    note = f"The first {MAX_SESSIONS:,} of {count_text(len(sessions), 'session')} are shown."
    return card(table, element("div", "ts-note", note) if len(sessions) > MAX_SESSIONS else "")


_COLUMNS = (
    ("trace", "Session"),
    ("start", "Start"),
    ("time", "Duration"),
    ("traces", "Traces"),
    ("errors", "Errors"),
    ("tokens", "Tokens"),
    ("cost", "Cost"),
    ("users", "Users"),
    ("preview", "First request"),
)


def _row(session: Session, zone: tzinfo | None) -> Markup:
    first = session.traces[0].info.request_preview if session.traces else None
    cells = (
        element("span", "ts-name", line(session.id, _MAX_CELL)),
        time_text(session.start_time_ms, zone),
        _duration(session),
        f"{len(session):,}",
        f"{session.error_count:,}" if session.error_count else "",
        tokens_text(session).partition(" ")[0],
        cost_text(session),
        users_text(session),
        element("div", "ts-clamp", line(preview_text(first), _MAX_CELL)) if first else "",
    )
    kinds = (kind for kind, _ in _COLUMNS)
    return element(
        "tr",
        "",
        *(element("td", f"ts-cell-{kind}", cell) for kind, cell in zip(kinds, cells, strict=True)),
    )


def _duration(session: Session) -> str:
    duration_ms = session.duration_ms
    return "" if duration_ms is None else duration_text(duration_ms * NS_PER_MS)


def _head(session: Session, zone: tzinfo | None) -> list[str]:
    facts = [
        count_text(len(session), "trace"),
        count_text(session.error_count, "error") if session.error_count else "",
        _duration(session),
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
    return units.cost_text(session.cost)


def users_text(session: Session) -> str:
    """Return the names of the users, of many the first ones."""
    users = [visible_line(user[:100]) for user in session.users]
    more = f" and {len(users) - _MAX_USERS:,} more" if len(users) > _MAX_USERS else ""
    return ", ".join(users[:_MAX_USERS]) + more
