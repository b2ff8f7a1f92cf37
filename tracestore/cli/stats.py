"""`tracestore stats`: what is in the file, and how what it holds went: the page of an operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tracestore import ui
from tracestore.answers import Answer
from tracestore.cli import options, streams, terminal
from tracestore.cli.questions import filter_options, show, since
from tracestore.cli.terminal import dim, heading, safe
from tracestore.cli.traces import STATE_STYLES
from tracestore.display.escape import escape
from tracestore.display.markup import Markup, element, join
from tracestore.display.units import count_text, size_text, time_text
from tracestore.entities import ViewType
from tracestore.figures.moments import instant_ms
from tracestore.figures.overview import overview
from tracestore.store import Store

#: Traces that the figures are of where nothing else is asked for: a million take a minute.
MANY_TRACES = 100_000

_NTH_NEWEST = "SELECT id >> 20 FROM traces ORDER BY id DESC LIMIT 1 OFFSET ?"

#: States that a trace can have, in the order they are shown.
_STATES = ("OK", "ERROR", "IN_PROGRESS")


@click.command(
    epilog=options.examples(
        "tracestore stats",
        "tracestore stats --last 7d --filter \"tags.environment = 'production'\"",
        "tracestore stats --last 30d --html stats.html",
        "tracestore stats --json | jq .traces",
    )
)
@filter_options
@click.option(
    "--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page with charts."
)
@options.json_option
@options.db_option
def stats(
    filter_string: str | None,
    last: str | None,
    experiment: str | None,
    html: str | None,
    as_json: bool,
    path: str,
) -> None:
    """Say what is in the file, and how it went.

    How many traces, spans and assessments, in which states and experiments, and from when to when; then volume,
    errors, latency, tokens and cost, over time, by version, name, user, session and model; the slowest and the
    failing spans. Times are UTC. Where nothing is asked for, the figures are of the newest 100,000 traces.
    """
    store = options.open_store(path)
    facts = _facts(store)
    ids = options.experiment_ids(store, experiment)
    newest_ms = None if last or filter_string or ids else newest_start_ms(store)
    start_ms = instant_ms(since(last), "start") if last else newest_ms
    sections = _sections(store, filter_string, start_ms, ids)
    scope = _scope(filter_string, last, experiment, are_newest=newest_ms is not None)
    if html is not None:
        _write_page(html, path, scope, list(sections))
        return
    if as_json:
        rows = {answer.title: answer.to_dicts() for answer in sections}
        streams.write_json({**facts, "figures_of": scope, "sections": rows})
        return
    console = terminal.console()
    console.print(_table(facts))
    console.print()
    console.print(dim(f"figures of {scope}"), soft_wrap=True)
    for answer in sections:  # each as soon as it is there
        console.print()
        console.print(heading(answer.title))
        show(console, answer)


def _scope(
    filter_string: str | None, last: str | None, experiment: str | None, *, are_newest: bool
) -> str:
    """Return in words which traces the figures are of."""
    said = [f"the newest {MANY_TRACES:,} traces"] if are_newest else []
    said += [f"experiment {experiment}"] if experiment else []
    said += [f"the last {last.strip()}"] if last else []
    said += [filter_string.strip()] if filter_string else []
    return f"{', '.join(said) or 'all traces'}; times are UTC"


def _sections(
    store: Store, filter_string: str | None, start_ms: int | None, ids: list[str] | None
) -> Iterator[Answer]:
    asked = {"filter_string": filter_string, "start": start_ms, "experiment_ids": ids}
    extent = [_extreme(store, order, filter_string, ids) for order in ("ASC", "DESC")]
    if extent[0] is None or extent[1] is None:
        return iter(())
    first_ms = extent[0] if start_ms is None else max(start_ms, extent[0])
    return overview(store.metrics, asked, (first_ms, extent[1]))


def newest_start_ms(store: Store, traces: int = MANY_TRACES) -> int | None:
    """Return when the newest so many traces begin, None where there are no more than these."""
    with store.reading() as connection:
        row = connection.execute(_NTH_NEWEST, (traces,)).fetchone()
    return None if row is None else int(row[0]) + 1


def _write_page(file: str, path: str, scope: str, sections: Sequence[Answer]) -> None:
    title = f"Statistics of {path}"
    head = [element("h1", "", title), element("p", "", f"Figures of {scope}.")]
    body = join([*head, *(Markup(answer.to_html()) for answer in sections)])
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        "<style>body{color-scheme:light dark;background:light-dark(#fff,#14171c);"
        "color:light-dark(#1d2329,#e3e7ec);font:14px system-ui,sans-serif;margin:24px}</style>"
        f"</head><body>{body}</body></html>"
    )
    ui.write_page(file, page)
    click.echo(f"{len(sections)} sections: {file}")


def _facts(store: Store) -> dict[str, Any]:
    totals = store.stats()
    return {
        **{key: totals[key] for key in ("path", "size_bytes", "traces", "spans", "assessments")},
        "states": {state: store.count_traces(f"status = '{state}'") for state in _STATES},
        "experiments": [
            {
                "experiment_id": experiment.experiment_id,
                "name": experiment.name,
                "traces": store.count_traces(experiment_ids=[experiment.experiment_id]),
            }
            for experiment in store.search_experiments(ViewType.ALL)
        ],
        "first_request_time_ms": _extreme(store, "ASC"),
        "last_request_time_ms": _extreme(store, "DESC"),
    }


def _extreme(
    store: Store, direction: str, filter_string: str | None = None, ids: list[str] | None = None
) -> int | None:
    order = [f"timestamp_ms {direction}"]
    found = store.search_traces(
        filter_string, experiment_ids=ids, max_results=1, order_by=order, include_spans=False
    )
    return found[0].info.request_time if found else None


def _table(facts: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("file", Text(safe(facts["path"]).plain))
    grid.add_row("size", size_text(facts["size_bytes"]))
    grid.add_row("traces", f"{facts['traces']:,}")
    for state, number in facts["states"].items():
        if number:
            grid.add_row("", Text(f"{number:,} {state}", STATE_STYLES[state]))
    grid.add_row("spans", f"{facts['spans']:,}")
    grid.add_row("assessments", f"{facts['assessments']:,}")
    if facts["traces"]:
        grid.add_row("first", time_text(facts["first_request_time_ms"]))
        grid.add_row("last", time_text(facts["last_request_time_ms"]))
    label = "experiments"
    for experiment in facts["experiments"]:
        traces = count_text(experiment["traces"], "trace")
        number = f"  id {experiment['experiment_id']}, {traces}"
        grid.add_row(label, Text(safe(experiment["name"]).plain).append(number, "dim"))
        label = ""
    return grid
