"""`tracestore sessions`: conversations, what they cost and how they went."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from tracestore.cli import options, streams, terminal
from tracestore.cli.terminal import dim, safe
from tracestore.display.payload import preview_text
from tracestore.display.session import cost_text, users_text
from tracestore.display.units import NS_PER_MS, duration_text, short_time_text
from tracestore.entities import Session


@click.command(
    epilog=options.examples(
        "tracestore sessions",
        "tracestore sessions \"status = 'ERROR' AND user = 'ada'\"",
        "tracestore sessions --json | jq '.sessions[].id'",
    )
)
@click.argument("filter_string", metavar="[FILTER]", default="")
@click.option("-n", "--max-results", type=click.IntRange(min=1), default=20, show_default=True)
@options.experiment_option
@options.json_option
@options.db_option
def sessions(
    filter_string: str, max_results: int, experiment: str | None, as_json: bool, path: str
) -> None:
    """List sessions, the one with the newest trace first.

    A session is the traces of one conversation: those with the same session id. With FILTER those that have a
    trace that meets it.
    """
    store = options.open_store(path)
    found = store.search_sessions(
        filter_string,
        experiment_ids=options.experiment_ids(store, experiment),
        max_results=max_results,
        include_spans=False,
    )
    if as_json:
        streams.write_json({"sessions": [_record(session) for session in found]})
        return
    console = terminal.console()
    if not found:
        console.print(dim("no sessions match" if filter_string else "there are no sessions"))
        return
    console.print(_table(found, console.width))


def _record(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "trace_ids": [trace.trace_id for trace in session],
        "start_time_ms": session.start_time_ms,
        "end_time_ms": session.end_time_ms,
        "duration_ms": session.duration_ms,
        "error_count": session.error_count,
        "token_usage": session.token_usage,
        "cost": session.cost,
        "users": session.users,
        "assessments": [each.to_dictionary() for each in session.assessments],
    }


def _table(found: list[Session], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="bold")
    columns = [column for column in _COLUMNS if width >= column[1]]
    for title, _least_width, is_number, _cell in columns:
        table.add_column(
            title,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if is_number else "left",
            ratio=1 if title in ("session", "first request") else None,
        )
    for session in found:
        table.add_row(*(safe(cell(session)) for _title, _least, _is_number, cell in columns))
    return table


def _took(session: Session) -> str:
    if session.duration_ms == 0:  # it is kept in whole milliseconds
        return "< 1 ms"
    return "" if session.duration_ms is None else duration_text(session.duration_ms * NS_PER_MS)


def _tokens(session: Session) -> str:
    total = session.token_usage.get("total_tokens")
    return "" if total is None else f"{total:,}"


#: Title, least width of the terminal, whether it is a number, cell.
_COLUMNS: tuple[tuple[str, int, bool, Any], ...] = (
    ("session", 0, False, lambda s: s.id),
    ("traces", 0, True, lambda s: f"{len(s):,}"),
    ("errors", 72, True, lambda s: f"{s.error_count:,}" if s.error_count else ""),
    ("start", 90, False, lambda s: short_time_text(s.start_time_ms)),
    ("took", 50, True, _took),
    ("tokens", 80, True, _tokens),
    ("cost", 80, True, cost_text),
    ("users", 100, False, users_text),
    ("first request", 60, False, lambda s: preview_text(s.traces[0].info.request_preview)),
)
