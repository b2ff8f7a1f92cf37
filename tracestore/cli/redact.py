"""`tracestore redact`: secrets out of what is stored."""

from __future__ import annotations

import click

from tracestore.cli import options, streams
from tracestore.display.units import count_text


@click.command(
    epilog=options.examples(
        "tracestore redact", "tracestore redact \"user = 'ada'\" --name email --pattern '[0-9]{16}'"
    )
)
@click.argument("filter_string", metavar="[FILTER]", required=False)
@click.option("--pattern", "patterns", metavar="REGEX", multiple=True, help="Also what matches.")
@click.option("--name", "names", metavar="KEY", multiple=True, help="Also values under this key.")
@options.yes_option
@options.json_option
@options.db_option
def redact(
    filter_string: str | None,
    patterns: tuple[str, ...],
    names: tuple[str, ...],
    yes: bool,
    as_json: bool,
    path: str,
) -> None:
    """Replace secrets in stored traces, and wipe them from the file.

    Keys, tokens and passwords, as in new traces, and what you name. Backups and exports are not touched.
    Asks first, unless --yes.
    """
    with options.open_store(path, for_writing=True) as store:
        if not yes:
            found = count_text(store.count_traces(filter_string), "trace")
            options.ask(f"Replace secrets in {found} for good?")
        done = store.redact(filter_string, patterns=patterns, names=names)
    if as_json:
        streams.write_json(done._asdict())
    else:
        looked_at = count_text(done.traces, "trace")
        click.echo(f"{looked_at} looked at, {count_text(done.changed, 'row')} changed")
