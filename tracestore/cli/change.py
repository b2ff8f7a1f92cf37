"""`tracestore tag`, `feedback` and `delete`: what a person says about traces, and getting rid of them."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from tracestore.cli import options, streams
from tracestore.display.escape import visible_line
from tracestore.display.units import count_text
from tracestore.entities import AssessmentSource, Trace
from tracestore.store import Store


@click.command(epilog=options.examples("tracestore tag last reviewed yes"))
@click.argument("trace_id")
@click.argument("key")
@click.argument("value")
@options.json_option
@options.db_option
def tag(trace_id: str, key: str, value: str, as_json: bool, path: str) -> None:
    """Set a tag of a trace.

    TRACE_ID as in `tracestore show`. A VALUE that begins with a dash goes after `--`.
    """
    with options.open_store(path, for_writing=True) as store:
        found = options.find_trace(store, trace_id).trace_id
        store.set_trace_tag(found, key, value)
    if as_json:
        streams.write_json({"trace_id": found, "key": key, "value": value})
    else:
        click.echo(visible_line(f"{found}: tag {key} is {value}"))


@click.command(
    epilog=options.examples(
        "tracestore feedback last helpful true",
        "tracestore feedback last tone 0.4 --source-id ada --rationale 'too formal'",
        "tracestore feedback last mood -- -1",
    )
)
@click.argument("trace_id")
@click.argument("name")
@click.argument("value")
@click.option("--source-id", metavar="WHO", help="Who says so, such as your name.")
@click.option("--rationale", metavar="TEXT", help="Why.")
@options.json_option
@options.db_option
def feedback(
    trace_id: str,
    name: str,
    value: str,
    source_id: str | None,
    rationale: str | None,
    as_json: bool,
    path: str,
) -> None:
    """Say how good a trace was.

    TRACE_ID as in `tracestore show`. VALUE is read as JSON (true, 0.5, {"a": 1}) and is text where it is
    none; one that begins with a dash goes after `--`.
    """
    with options.open_store(path, for_writing=True) as store:
        found = options.find_trace(store, trace_id).trace_id
        stored = store.log_feedback(
            found,
            name,
            _json_or_text(value),
            AssessmentSource("HUMAN", source_id),
            rationale=rationale,
        )
    if as_json:
        streams.write_json(stored.to_dictionary())
    else:
        click.echo(visible_line(f"{found}: feedback {name} is {value}"))


def _json_or_text(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


@click.command(
    epilog=options.examples("tracestore delete 01a1fa59729f07708b", "tracestore delete last --yes")
)
@click.argument("trace_ids", metavar="TRACE_ID...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@options.json_option
@options.db_option
def delete(trace_ids: tuple[str, ...], yes: bool, as_json: bool, path: str) -> None:
    """Delete traces for good.

    Each TRACE_ID as in `tracestore show`. Asks first, unless --yes. Where one of them is not there, none is
    deleted.
    """
    with options.open_store(path, for_writing=True) as store:
        found = {
            trace.trace_id: trace for trace in (options.find_trace(store, i) for i in trace_ids)
        }
        if not yes and not _is_confirmed(list(found.values())):
            click.echo("nothing was deleted")
            return
        deleted = _delete(store, list(found.values()))
    if as_json:
        streams.write_json({"deleted": deleted, "trace_ids": list(found)})
    else:
        click.echo(f"{count_text(deleted, 'trace')} deleted")


def _is_confirmed(traces: list[Trace]) -> bool:
    if not streams.is_terminal(sys.stdin):
        raise click.UsageError("there is nobody to ask: pass --yes to delete without being asked")
    for trace in traces:
        click.echo(
            visible_line(f"{trace.trace_id}  {trace.info.name or 'unnamed trace'}"), err=True
        )
    return click.confirm(f"Delete {count_text(len(traces), 'trace')} for good?", err=True)


def _delete(store: Store, traces: list[Trace]) -> int:
    by_experiment: dict[str, list[str]] = {}
    for trace in traces:
        by_experiment.setdefault(trace.info.experiment_id, []).append(trace.trace_id)
    return sum(
        store.delete_traces(experiment_id, trace_ids=trace_ids)
        for experiment_id, trace_ids in by_experiment.items()
    )
