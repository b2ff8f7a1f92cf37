"""`tracestore search`, `count` and `explain`: which traces meet a filter."""

from __future__ import annotations

import shlex

import click

from tracestore.cli import options, streams, terminal
from tracestore.cli.terminal import dim, safe_block
from tracestore.cli.traces import traces_table
from tracestore.display.units import count_text

_FILTERS = (
    "tracestore search \"status = 'ERROR'\"",
    "tracestore search \"span.type = 'TOOL' AND span.error LIKE '%Timeout%'\"",
    "tracestore search \"duration > 2s AND tags.env = 'prod'\" --order-by 'duration DESC'",
    "tracestore search \"timestamp > now() - 1d\" --json | jq '.traces[].info.trace_id'",
)


@click.command(epilog=options.examples(*_FILTERS))
@click.argument("filter_string", metavar="[FILTER]", default="")
@click.option(
    "--order-by",
    metavar="FIELD [ASC|DESC]",
    multiple=True,
    help="May be given several times. Default: the newest first.",
)
@click.option("-n", "--max-results", type=click.IntRange(min=1), default=20, show_default=True)
@options.experiment_option
@click.option("--page-token", metavar="TOKEN", help="Go on where the page before ended.")
@options.json_option
@options.db_option
def search(
    filter_string: str,
    order_by: tuple[str, ...],
    max_results: int,
    experiment: str | None,
    page_token: str | None,
    as_json: bool,
    path: str,
) -> None:
    """List the traces that meet a filter, newest first.

    Without FILTER every trace is listed. The ids are shortened; `tracestore show` takes them so. With --json
    the traces come whole, with their spans: {"traces": [...], "next_page_token": ...}.
    """
    store = options.open_store(path)
    found = store.search_traces(
        filter_string,
        experiment_ids=options.experiment_ids(store, experiment),
        max_results=max_results,
        order_by=order_by,
        page_token=page_token,
        include_spans=as_json,
    )
    if as_json:
        traces = [trace.to_dict() for trace in found]
        streams.write_json({"traces": traces, "next_page_token": found.token})
        return
    console = terminal.console()
    if not found:
        console.print(dim("no traces match" if filter_string else "there are no traces"))
        return
    console.print(traces_table(found, console.width))
    if found.token is not None:
        note = f"{count_text(len(found), 'trace')}; there are more: the same with --page-token"
        console.print(dim(f"{note} {shlex.quote(found.token)}"), soft_wrap=True)


@click.command(epilog=options.examples("tracestore count", "tracestore count \"status = 'ERROR'\""))
@click.argument("filter_string", metavar="[FILTER]", default="")
@options.experiment_option
@options.json_option
@options.db_option
def count(filter_string: str, experiment: str | None, as_json: bool, path: str) -> None:
    """Count the traces that meet a filter.

    Writes nothing but the number.
    """
    store = options.open_store(path)
    number = store.count_traces(
        filter_string, experiment_ids=options.experiment_ids(store, experiment)
    )
    if as_json:
        streams.write_json({"count": number})
    else:
        click.echo(number)


@click.command(
    epilog=options.examples("tracestore explain \"tags.env = 'prod' AND status = 'ERROR'\"")
)
@click.argument("filter_string", metavar="[FILTER]", default="")
@click.option("--order-by", metavar="FIELD [ASC|DESC]", multiple=True)
@options.json_option
@options.db_option
def explain(filter_string: str, order_by: tuple[str, ...], as_json: bool, path: str) -> None:
    """Say how a search would run.

    Which condition drives it, the SQL, the values bound to it and SQLite's query plan.
    """
    text = options.open_store(path).explain(filter_string, order_by)
    if as_json:
        streams.write_json({"filter": filter_string, "order_by": list(order_by), "explain": text})
    else:
        terminal.console().print(safe_block(text.rstrip()), soft_wrap=True)
