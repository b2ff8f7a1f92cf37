"""`tracestore view`: traces as one self-contained page, opened in the browser."""

from __future__ import annotations

import os
import pathlib
import re
import tempfile
import webbrowser

import click

from tracestore.cli import options, streams
from tracestore.display.units import count_text, size_text

_TRACE_ID = re.compile(r"tr-[0-9a-f]*|[0-9a-f]{6,32}")


@click.command(
    epilog=options.examples(
        "tracestore view",
        "tracestore view last",
        "tracestore view \"status = 'ERROR' AND timestamp > now() - 1d\"",
        "tracestore view \"session = 's-1'\" --output session.html",
    )
)
@click.argument("filter_string", metavar="[FILTER|TRACE_ID]", default="")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the page here and don't open it. Default: a temporary file, opened.",
)
@click.option("-n", "--max-results", type=click.IntRange(min=1), default=200, show_default=True)
@options.experiment_option
@options.json_option
@options.db_option
def view(
    filter_string: str,
    output: str | None,
    max_results: int,
    experiment: str | None,
    as_json: bool,
    path: str,
) -> None:
    """Open traces in the browser, as one file without a server.

    The page holds everything of the traces that meet the filter, needs no network, and can be sent to somebody.
    In it traces are filtered and sorted, opened and searched. TRACE_ID is as for `tracestore show`. With --json
    it says what was written: {"path": ..., "size_bytes": ..., "traces": ..., "found": ...}.
    """
    store = options.open_store(path)
    page = output or _temporary_path()
    found = 1
    if filter_string == options.LAST or _TRACE_ID.fullmatch(filter_string):
        options.find_trace(store, filter_string).to_html(page)
    else:
        ids = options.experiment_ids(store, experiment)
        store.report(filter_string, page, experiment_ids=ids, max_results=max_results)
        found = store.count_traces(filter_string, experiment_ids=ids)
    _say(page, min(found, max_results), found, as_json=as_json)
    if output is None and not webbrowser.open(pathlib.Path(page).absolute().as_uri()):
        click.echo("no browser could be started; open the file in one", err=True)


def _say(page: str, written: int, found: int, *, as_json: bool) -> None:
    size_bytes = os.path.getsize(page)  # noqa: PTH202 - a path as text
    if as_json:
        facts = {"path": page, "size_bytes": size_bytes, "traces": written, "found": found}
        streams.write_json(facts)
        return
    said = count_text(found, "trace")
    if found > written:
        said = f"{written:,} of {said}; --max-results takes more"
    click.echo(f"{said}, {size_text(size_bytes)}: {page}")


def _temporary_path() -> str:
    """Return a new file for this user only; the browser reads it after this program has ended."""
    number, path = tempfile.mkstemp(prefix="tracestore-", suffix=".html")
    os.close(number)
    return path
