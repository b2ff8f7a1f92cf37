"""`tracestore top`: names ranked by how slow, failing, expensive or frequent they are."""

from __future__ import annotations

import click
from rich.text import Text

from tracestore.answers.answer import Answer
from tracestore.answers.cells import cell_text
from tracestore.cli import options, streams, terminal
from tracestore.cli.terminal import dim, safe
from tracestore.display.text import fit, pad

#: What ranks, by the column that it is.
_ORDERS = {
    "slow": "p95",
    "errors": "error_rate",
    "cost": "cost",
    "tokens": "tokens_total",
    "count": "count",
}
_OF_TRACES = ("count", "error_rate", "p50", "p95", "tokens_total", "cost")
_OF_SPANS = ("count", "error_rate", "p50", "p95")
_TITLES = {"tokens_total": "tokens", "error_rate": "failed"}
_NUMBER_CELLS = 11
_LEAST_NAME_CELLS = 16


@click.command(
    epilog=options.examples(
        "tracestore top",
        "tracestore top --by errors --spans",
        'tracestore top "timestamp > now() - 1d" --by cost --json',
    )
)
@click.argument("filter_string", metavar="[FILTER]", default="")
@click.option("--by", type=click.Choice(list(_ORDERS)), default="slow", show_default=True)
@click.option("--spans", is_flag=True, help="Names of spans, not of traces.")
@click.option("-n", "--max-results", type=click.IntRange(min=1), default=20, show_default=True)
@options.experiment_option
@options.json_option
@options.db_option
def top(
    filter_string: str,
    by: str,
    spans: bool,
    max_results: int,
    experiment: str | None,
    as_json: bool,
    path: str,
) -> None:
    """Rank names: slowest, most failing, most expensive.

    Of the traces that meet a filter, by default the slowest first, by the 95th percentile. For each name: how often, the share that failed, the 50th and the 95th percentile of its duration, and of
    traces tokens and cost.
    """
    columns = _OF_SPANS if spans else _OF_TRACES
    if _ORDERS[by] not in columns:
        raise click.UsageError(f"--by {by} is of traces, not of spans")
    store = options.open_store(path)
    answer = store.metrics(
        list(columns),
        filter_string,
        "span.name" if spans else "name",
        experiment_ids=options.experiment_ids(store, experiment),
        order_by=f"{_ORDERS[by]} DESC",
        max_results=max_results,
    )
    if as_json:
        streams.write_json({"names": list(answer)})
        return
    console = terminal.console()
    if not answer:
        console.print(dim("no traces match" if filter_string else "there are no traces"))
        return
    for number, line in enumerate(_lines(answer, columns, _ORDERS[by], console.width)):
        console.print(Text(line, "bold" if number == 0 else ""), soft_wrap=True)


def _lines(answer: Answer, columns: tuple[str, ...], order: str, width: int) -> list[str]:
    """Return the table; figures that find no room are left out, but for the one that ranks."""
    room = (width - _LEAST_NAME_CELLS) // _NUMBER_CELLS
    first = (order, *(name for name in columns if name != order))
    kept = [name for name in columns if name in first[: max(1, room)]]
    units = {column.name: column.unit for column in answer.columns}
    name_cells = min(max(_LEAST_NAME_CELLS, width - len(kept) * _NUMBER_CELLS), 60)
    lines = [
        pad("name", name_cells)
        + "".join(f"{_TITLES.get(name, name):>{_NUMBER_CELLS}}" for name in kept)
    ]
    for row in answer:
        name = safe(next(iter(row.values())) or "unnamed").plain
        cells = (fit(cell_text(row[each], units[each]), _NUMBER_CELLS - 1) for each in kept)
        lines.append(pad(name, name_cells) + "".join(f"{cell:>{_NUMBER_CELLS}}" for cell in cells))
    return lines
