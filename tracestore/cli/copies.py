"""`tracestore backup`, `extract`, `merge` and `vacuum`: the file as a whole."""

from __future__ import annotations

import click
import msgspec

from tracestore.cli import options, progress, streams
from tracestore.display.escape import visible_line
from tracestore.display.units import count_text, size_text
from tracestore.upkeep.copies import Copied


@click.command(epilog=options.examples("tracestore backup monday.db"))
@click.argument("target", metavar="NEW_FILE")
@options.json_option
@options.db_option
def backup(target: str, as_json: bool, path: str) -> None:
    """Copy the file while it is in use.

    NEW_FILE must not be there; it appears once it is whole and verified.
    """
    with options.open_store(path) as store, progress.bar() as show:
        copied = store.backup(target, progress=show)
    _report(copied, as_json=as_json)


@click.command(epilog=options.examples("tracestore extract \"status = 'ERROR'\" errors.db"))
@click.argument("filter_string", metavar="FILTER")
@click.argument("target", metavar="NEW_FILE")
@options.json_option
@options.db_option
def extract(filter_string: str, target: str, as_json: bool, path: str) -> None:
    """Copy traces that meet a filter into a new file.

    With spans, assessments and experiments. An empty FILTER means all. NEW_FILE must not be there.
    """
    with options.open_store(path) as store, progress.bar() as show:
        copied = store.extract(filter_string, target, progress=show)
    _report(copied, as_json=as_json)


def _report(copied: Copied, *, as_json: bool) -> None:
    if as_json:
        streams.write_json(msgspec.to_builtins(copied))
    else:
        traces, size = count_text(copied.traces, "trace"), size_text(copied.size_bytes)
        click.echo(visible_line(f"{copied.path}: {traces}, {size}"))


@click.command(
    epilog=options.examples(
        "tracestore merge laptop.db", "tracestore merge laptop.db --filter \"user = 'ada'\""
    )
)
@click.argument("other", metavar="FILE")
@click.option("--filter", "filter_string", metavar="FILTER", help="Only what meets this.")
@options.json_option
@options.db_option
def merge(other: str, filter_string: str | None, as_json: bool, path: str) -> None:
    """Take the traces of another store into this one.

    FILE is only read. Doing it again changes nothing.
    """
    with options.open_store(path, for_writing=True) as store, progress.bar() as show:
        merged = store.merge(other, filter_string, progress=show)
    if as_json:
        streams.write_json(msgspec.to_builtins(merged))
        return
    text = f"{count_text(merged.added, 'trace')} added, {merged.updated:,} updated"
    text += f", {merged.unchanged:,} already here"
    if merged.refused:
        text += f", {count_text(merged.refused, 'row')} refused: not readable"
    click.echo(text)


@click.command(epilog=options.examples("tracestore vacuum"))
@options.json_option
@options.db_option
def vacuum(as_json: bool, path: str) -> None:
    """Give back what the file does not need.

    Rows that belong to nothing, gaps of the text index, free pages. Programs go on recording.
    """
    with options.open_store(path, for_writing=True) as store, progress.bar() as show:
        done = store.vacuum(progress=show)
    if as_json:
        streams.write_json(msgspec.to_builtins(done))
        return
    removed = count_text(done.removed_rows, "leftover row")
    freed, size = size_text(done.freed_bytes), size_text(done.size_bytes)
    click.echo(f"{removed} removed, {freed} given back; the file has {size}")
