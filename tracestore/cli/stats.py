"""`tracestore stats`: what is in the file."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tracestore.cli import options, streams, terminal
from tracestore.cli.terminal import safe
from tracestore.cli.traces import STATE_STYLES
from tracestore.display.units import count_text, size_text, time_text
from tracestore.entities import ViewType
from tracestore.store import Store

#: States that a trace can have, in the order they are shown.
_STATES = ("OK", "ERROR", "IN_PROGRESS")


@click.command(epilog=options.examples("tracestore stats", "tracestore stats --json | jq .traces"))
@options.json_option
@options.db_option
def stats(as_json: bool, path: str) -> None:
    """Say what is in the file.

    How many traces, spans and assessments, in which states and experiments, and from when to when.
    """
    facts = _facts(options.open_store(path))
    if as_json:
        streams.write_json(facts)
    else:
        terminal.console().print(_table(facts))


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


def _extreme(store: Store, direction: str) -> int | None:
    order = [f"timestamp_ms {direction}"]
    found = store.search_traces(max_results=1, order_by=order, include_spans=False)
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
