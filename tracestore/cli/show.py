"""`tracestore show`: one trace, whole."""

from __future__ import annotations

import click

from tracestore.cli import options, streams, terminal
from tracestore.cli.trace import full_spans, trace_view


@click.command(
    epilog=options.examples(
        "tracestore show last",
        "tracestore show 01a1fa59729f07708b",
        "tracestore show last --full | less -R",
        "tracestore show last --json | jq '.data.spans[].name'",
    )
)
@click.argument("trace_id")
@click.option(
    "--full",
    is_flag=True,
    help="All inputs, outputs, attributes and events; of a list the first 100 items.",
)
@options.json_option
@options.db_option
def show(trace_id: str, full: bool, as_json: bool, path: str) -> None:
    """Show one trace: its spans, errors and assessments.

    TRACE_ID is `last` for the newest trace, an id, or as much of the beginning of an id as no other trace
    has; `tr-` may be left out.
    """
    store = options.open_store(path)
    trace = options.find_trace(store, trace_id)
    if as_json:
        streams.write_json(trace.to_dict())
        return
    experiment = options.experiment_name(store, trace)
    console = terminal.console()
    for part in trace_view(trace, console.width, experiment, is_full=full):
        console.print(part)
    for part in full_spans(trace) if full else ():
        console.print(part)
