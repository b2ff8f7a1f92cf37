"""`tracestore diff`: two traces, step by step."""

from __future__ import annotations

import click
from rich.text import Text

from tracestore import display
from tracestore.cli import options, streams, terminal
from tracestore.difference import diff_traces

_STYLES = {"~": "yellow", "-": "red", "+": "green"}


@click.command(
    epilog=options.examples(
        "tracestore diff 01a1fa59729f07708b last", "tracestore diff 01a1fa 01a1fb --json"
    )
)
@click.argument("first")
@click.argument("second")
@options.json_option
@options.db_option
def diff(first: str, second: str, as_json: bool, path: str) -> None:
    """Say what differs between two traces.

    Steps are paired by the names from the root down: = is the same, ~ changed, - only in FIRST, + only in
    SECOND; then how long it took in either. Traces are named as for `tracestore show`.
    """
    store = options.open_store(path)
    found = diff_traces(options.find_trace(store, first), options.find_trace(store, second))
    if as_json:
        streams.write_json(found.to_dict())
        return
    console = terminal.console()
    for line in display.difference_text(found, console.width).splitlines():
        console.print(Text(line, _STYLES.get(line.lstrip()[:1], ""), no_wrap=True, overflow="crop"))
