"""`tracestore prune` and `retention`: what is deleted because it is old, too much or of no use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from tracestore.cli import options, progress, streams
from tracestore.display.escape import visible_line
from tracestore.display.units import count_text, duration_text, size_text
from tracestore.upkeep.limits import Limits

F = TypeVar("F", bound=Callable[..., Any])

_LIMITS = (
    click.option("--older-than", metavar="AGE", help="What started longer ago: 30d, 12h, 90m."),
    click.option("--max-traces", metavar="N", type=int, help="The oldest beyond so many."),
    click.option("--max-bytes", metavar="SIZE", help="The oldest beyond a size: 500MB, 2GiB."),
    click.option("--keep", metavar="FILTER", help="Never what meets this."),
    click.option("--filter", metavar="FILTER", help="Only what meets this."),
)


def _limit_options(function: F) -> F:
    for option in reversed(_LIMITS):
        function = option(function)
    return function


@click.command(
    epilog=options.examples(
        "tracestore prune --older-than 30d --dry-run",
        "tracestore prune --max-bytes 2GB --keep 'feedback.correct IS NOT NULL' --yes",
        "tracestore prune --filter \"tags.environment = 'test'\" --yes",
    )
)
@_limit_options
@click.option("-n", "--dry-run", is_flag=True, help="Change nothing, say what would go.")
@options.yes_option
@options.json_option
@options.db_option
def prune(dry_run: bool, yes: bool, as_json: bool, path: str, **limits: Any) -> None:
    """Delete traces that are old or too many, the oldest first.

    The space goes back to the disk. Programs go on recording meanwhile. Asks first, unless --yes.
    """
    if not any(
        limits[name] is not None for name in ("older_than", "max_traces", "max_bytes", "filter")
    ):
        raise click.UsageError(
            "nothing says which traces are to go: give --older-than, --max-traces, --max-bytes or --filter"
        )
    with options.open_store(path, for_writing=True) as store:
        if not dry_run and not yes:
            planned = store.prune(**limits, dry_run=True)
            options.ask(f"Delete {count_text(planned.traces, 'trace')} for good?")
        with progress.bar() as show:
            done = store.prune(**limits, dry_run=dry_run, progress=show)
    if as_json:
        streams.write_json(msgspec.to_builtins(done))
        return
    would = "would be deleted" if dry_run else "deleted"
    about = "about " if dry_run else ""
    click.echo(
        f"{count_text(done.traces, 'trace')} {would}, {about}{size_text(done.freed_bytes)};"
        f" the file has {about}{size_text(done.size_bytes)}"
    )


@click.command(
    epilog=options.examples(
        "tracestore retention",
        "tracestore retention --older-than 90d --max-bytes 5GB",
        "tracestore retention --off",
    )
)
@_limit_options
@click.option("--off", is_flag=True, help="Delete nothing by itself any more.")
@options.json_option
@options.db_option
def retention(off: bool, as_json: bool, path: str, **limits: Any) -> None:
    """Say or set what is deleted without being asked.

    Without options: what is set. Whoever records into the file applies it in idle time, as `tracestore prune`
    would.
    """
    given = any(value is not None for value in limits.values())
    if off and given:
        raise click.UsageError("--off goes with no other limit")
    with options.open_store(path, for_writing=off or given) as store:
        found = store.set_retention(**limits) if off or given else store.get_retention()
    if as_json:
        streams.write_json(msgspec.to_builtins(found))
    else:
        click.echo(visible_line(_described(found)))


def _described(limits: Limits | None) -> str:
    if limits is None:
        return "nothing is deleted by itself"
    rules = []
    if limits.older_than_s is not None:
        age = duration_text(round(limits.older_than_s * 1e9)).removesuffix(" 00 h")
        rules.append(f"what is older than {age}")
    if limits.max_traces is not None:
        rules.append(f"the oldest beyond {count_text(limits.max_traces, 'trace')}")
    if limits.max_bytes is not None:
        rules.append(f"the oldest beyond {size_text(limits.max_bytes)}")
    text = "deleted by itself: " + (" and ".join(rules) or "everything")
    text += f", if {limits.filter}" if limits.filter is not None else ""
    return text + (f", never if {limits.keep}" if limits.keep is not None else "")
