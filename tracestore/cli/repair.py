"""`tracestore repair`: what a damaged file still holds, into a new one."""

from __future__ import annotations

import click
import msgspec

from tracestore import store
from tracestore.cli import options, progress, streams
from tracestore.display.escape import visible_line
from tracestore.display.units import count_text
from tracestore.upkeep.repair import Repaired


@click.command(epilog=options.examples("tracestore repair saved.db --db damaged.db"))
@click.argument("target", metavar="NEW_FILE")
@options.json_option
@options.db_option
def repair(target: str, as_json: bool, path: str) -> None:
    """Save what a damaged file still holds.

    The damaged file is only read; NEW_FILE must not be there. End the programs that use the file before.
    """
    with progress.bar() as show:
        done = store.repair(path, target, progress=show)
    if as_json:
        streams.write_json(msgspec.to_builtins(done))
    else:
        click.echo(visible_line(_sentence(done)))


#: Spans that are named; --json has all.
_MOST_NAMED = 5


def _changed(spans: list[str]) -> str:
    if not spans:
        return ""
    more = "; …" * (len(spans) > _MOST_NAMED)
    return f"; not as recorded: {count_text(len(spans), 'span')} ({'; '.join(spans[:_MOST_NAMED])}{more})"


def _sentence(done: Repaired) -> str:
    saved = ", ".join(
        count_text(number, noun)
        for number, noun in (
            (done.traces, "trace"),
            (done.spans, "span"),
            (done.assessments, "assessment"),
        )
    )
    lost = [count_text(count, table.removesuffix("s")) for table, count in done.lost.items()]
    lost += [count_text(done.lost_values, "value")] * bool(done.lost_values)
    pages = count_text(done.damaged_pages, "damaged page")
    restored = f"; {count_text(done.restored_traces, 'trace')} restored from indexes"
    return (
        f"{done.path}: {saved} saved; lost: {', '.join(lost) or 'nothing that is known of'}; {pages}"
        + restored * bool(done.restored_traces)
        + _changed(done.changed_spans)
    )
