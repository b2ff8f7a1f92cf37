"""`tracestore import`: traces of another program's file into the store."""

from __future__ import annotations

from typing import Any

import click

from tracestore.cli import options, progress, streams
from tracestore.display.escape import visible_line
from tracestore.display.units import count_text
from tracestore.importing import FORMATS, import_into
from tracestore.importing.batch import Imported
from tracestore.store import Store


@click.command(
    "import",
    epilog=options.examples(
        "tracestore import mlflow.db", "tracestore import mlflow.db --db team.db --json"
    ),
)
@click.argument("file")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="What the file is. Default: found out from the file.",
)
@options.json_option
@options.db_option
def import_(file: str, format_name: str | None, as_json: bool, path: str) -> None:
    """Read another program's traces into the store.

    FILE is only read. Traces that are in the store already are left as they are, so an import that was broken
    off goes on where it was.
    """
    with Store(path) as store, progress.bar() as show:
        imported = import_into(
            store,
            file,
            format_name,
            lambda now: show("import", now.imported.seen, now.total or now.imported.seen),
        )
    if as_json:
        streams.write_json(_facts(imported))
    else:
        click.echo(visible_line(_sentence(imported, path)))


def _facts(imported: Imported) -> dict[str, Any]:
    return imported._asdict()


def _sentence(imported: Imported, path: str) -> str:
    counts = (
        count_text(imported.traces, "trace"),
        count_text(imported.spans, "span"),
        count_text(imported.assessments, "assessment"),
    )
    parts = ["{}, {} and {} imported into {}".format(*counts, path)]
    if imported.present:
        parts.append(f"{count_text(imported.present, 'trace')} already there")
    parts += [f"left out: {count:,} {reason}" for reason, count in imported.skipped.items()]
    return "; ".join(parts)
