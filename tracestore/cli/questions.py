"""`tracestore metrics`, `compare` and `correlate`: questions about many traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from tracestore.answers import Answer
from tracestore.answers.answer import MAX_SHOWN_ROWS
from tracestore.cli import options, streams, terminal
from tracestore.cli.terminal import dim, safe, safe_block
from tracestore.errors import InvalidArgumentError

F = TypeVar("F", bound=Callable[..., Any])

_FILTER = click.option("--filter", "filter_string", metavar="FILTER", help="Only these traces.")
_LAST = click.option("--last", metavar="LENGTH", help="Only traces of the last 30m, 1h, 7d, …")
_CSV = click.option("--csv", "as_csv", is_flag=True, help="Write CSV.")


def filter_options(function: F) -> F:
    """Give a command `--filter`, `--last` and `--experiment`."""
    return _FILTER(_LAST(options.experiment_option(function)))


def answer_options(function: F) -> F:
    """Give a command `--csv`, `--json` and `--db`."""
    return _CSV(options.json_option(options.db_option(function)))


def since(last: str | None) -> str | None:
    """Return when the last so long began, as a moment of the filter language.

    Raises:
        InvalidArgumentError: It is no length of time.
    """
    if last is None:
        return None
    number = last.strip().rstrip("smhdu")
    if not number.replace(".", "", 1).isdigit() or number == last.strip():
        raise InvalidArgumentError(
            f"--last is {last!r}; write a length of time such as 30m, 1h, 7d"
        )
    return f"now() - {last.strip()}"


#: Cells that a name needs; where there are fewer, values stand below one another.
_LEAST_KEY = 8


def write(answer: Answer, *, as_json: bool, as_csv: bool = False) -> None:
    """Write an answer as JSON, CSV or a table."""
    if as_json and as_csv:
        raise click.UsageError("--csv and --json can't be had at once: leave one out")
    if as_json:
        streams.write_json({"rows": answer.to_dicts(), "notes": list(answer.notes)})
    elif as_csv:
        click.echo(answer.to_csv(), nl=False)
    else:
        show(terminal.console(), answer)


def show(console: Console, answer: Answer) -> None:
    """Print an answer: in a terminal as wide as that, else with its lines whole."""
    if not console.is_terminal:
        console.print(safe_block(answer.to_text()), soft_wrap=True)
        return
    rows = [answer.shown(row) for row in answer.tuples()[:MAX_SHOWN_ROWS]]
    widest = _widest_key(answer, rows, console.width)
    if widest < (_LEAST_KEY if any(column.is_key for column in answer.columns) else 0):
        console.print(_upright(answer, rows))
    else:
        console.print(_table(answer, rows, widest))
    if len(answer) > MAX_SHOWN_ROWS:
        console.print(dim(f"… and {len(answer) - MAX_SHOWN_ROWS:,} more rows"))
    for note in answer.notes:
        console.print(dim(note))


def _table(answer: Answer, rows: Sequence[Sequence[str]], widest: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in answer.columns:
        justify: Literal["left", "right"] = "left" if column.is_key else "right"
        table.add_column(
            safe(column.name),
            no_wrap=True,
            overflow="ellipsis",
            justify=justify,
            max_width=widest if column.is_key else None,
        )
    for row in rows:
        table.add_row(*map(safe, row))
    return table


def _upright(answer: Answer, rows: Sequence[Sequence[str]]) -> Table:
    """Return a line for each value: what a narrow terminal has room for."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for place, row in enumerate(rows):
        if place:
            table.add_row()
        for name, text in zip(answer.names, row, strict=True):
            table.add_row(safe(name), safe(text))
    return table


def _widest_key(answer: Answer, rows: Sequence[Sequence[str]], width: int) -> int:
    """Return how wide a name may be so that every figure is whole: a figure cut short is another figure."""
    keys = [column.is_key for column in answer.columns]
    texts = zip([column.name for column in answer.columns], *rows, strict=True)
    figures = sum(
        max(map(cell_len, cells)) for cells, is_key in zip(texts, keys, strict=True) if not is_key
    )
    return (width - figures - len(keys)) // max(1, sum(keys))


@click.command(
    epilog=options.examples(
        "tracestore metrics",
        "tracestore metrics count error_rate p95 --by tags.app_version",
        "tracestore metrics count 'mean(feedback.score)' --every 1d --zone Europe/Berlin --csv",
        "tracestore metrics tokens_total cost --by span.model --last 7d",
    )
)
@click.argument("names", metavar="[METRIC]...", nargs=-1)
@click.option("--by", metavar="FIELD", multiple=True, help="Group by; may be given several times.")
@click.option("--every", metavar="LENGTH", help="A row for each 15m, 1h, 1d, 1w.")
@click.option("--zone", metavar="NAME", help="Time zone of days and times. Default: UTC.")
@click.option("--order-by", metavar="COLUMN [ASC|DESC]")
@click.option("-n", "--max-results", type=click.IntRange(min=1))
@filter_options
@answer_options
def metrics(
    names: tuple[str, ...],
    by: tuple[str, ...],
    every: str | None,
    zone: str | None,
    order_by: str | None,
    max_results: int | None,
    filter_string: str | None,
    last: str | None,
    experiment: str | None,
    as_csv: bool,
    as_json: bool,
    path: str,
) -> None:
    """Compute figures over all traces, by group and by time.

    METRIC is count, error_rate, p95, tokens_total, cost, 'mean(feedback.score)', …: the README lists them.
    """
    store = options.open_store(path)
    answer = store.metrics(
        names,
        filter_string,
        by,
        every,
        zone=zone,
        start=since(last),
        experiment_ids=options.experiment_ids(store, experiment),
        order_by=order_by,
        max_results=max_results,
    )
    write(answer, as_json=as_json, as_csv=as_csv)


@click.command(
    epilog=options.examples(
        "tracestore compare tags.app_version",
        "tracestore compare tags.environment error_rate p95 --baseline production --last 7d",
    )
)
@click.argument("field")
@click.argument("names", metavar="[METRIC]...", nargs=-1)
@click.option("--baseline", metavar="VALUE", help="Compare with this group. Default: the first.")
@filter_options
@answer_options
def compare(
    field: str,
    names: tuple[str, ...],
    baseline: str | None,
    filter_string: str | None,
    last: str | None,
    experiment: str | None,
    as_csv: bool,
    as_json: bool,
    path: str,
) -> None:
    """Compare versions, environments or flags side by side.

    Each difference comes with its 95 % interval, and a sentence that says whether it can be told from chance.
    """
    store = options.open_store(path)
    answer = store.compare(
        field,
        names,
        filter_string,
        baseline=baseline,
        start=since(last),
        experiment_ids=options.experiment_ids(store, experiment),
    )
    write(answer, as_json=as_json, as_csv=as_csv)


@click.command(
    epilog=options.examples(
        "tracestore correlate \"status = 'ERROR'\"",
        'tracestore correlate "duration > 5s" --within "tags.environment = \'production\'"',
    )
)
@click.argument("filter_string", metavar="FILTER")
@click.option("--within", metavar="FILTER", help="Only look at traces that meet this filter too.")
@click.option("-n", "--max-results", type=click.IntRange(min=1), default=20, show_default=True)
@options.experiment_option
@answer_options
def correlate(
    filter_string: str,
    within: str | None,
    max_results: int,
    experiment: str | None,
    as_csv: bool,
    as_json: bool,
    path: str,
) -> None:
    """Say what distinguishes the traces that meet a filter.

    Tags, metadata, names, spans, attributes and assessments that they have more often than all others.
    """
    store = options.open_store(path)
    answer = store.correlate(
        filter_string,
        within=within,
        max_results=max_results,
        experiment_ids=options.experiment_ids(store, experiment),
    )
    write(answer, as_json=as_json, as_csv=as_csv)
