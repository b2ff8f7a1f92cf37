"""`tracestore view`: traces as one self-contained page, opened in the browser."""

from __future__ import annotations

import os
import pathlib
import re
import tempfile
import webbrowser

import click

from tracestore.cli import options
from tracestore.display.units import count_text, size_text
from tracestore.store import Store

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
@options.db_option
def view(
    filter_string: str, output: str | None, max_results: int, experiment: str | None, path: str
) -> None:
    """Open the traces that meet a filter in the browser.

    The page is one file with everything in it: it needs no server and no network, and can be sent to somebody.
    In it traces are filtered and sorted, opened and searched. TRACE_ID is as for `tracestore show`.
    """
    store = options.open_store(path)
    page = output or _temporary_path()
    if filter_string == options.LAST or _TRACE_ID.fullmatch(filter_string):
        options.find_trace(store, filter_string).to_html(page)
        said = "1 trace"
    else:
        ids = options.experiment_ids(store, experiment)
        said = _write(store, page, filter_string, ids, max_results)
    size = size_text(os.path.getsize(page))  # noqa: PTH202 - a path as text
    click.echo(f"{said}, {size}: {page}")
    if output is None and not webbrowser.open(pathlib.Path(page).absolute().as_uri()):
        click.echo("no browser could be started; open the file in one", err=True)


def _write(
    store: Store, page: str, filter_string: str, ids: list[str] | None, max_results: int
) -> str:
    store.report(filter_string, page, experiment_ids=ids, max_results=max_results)
    total = store.count_traces(filter_string, experiment_ids=ids)
    if total > max_results:
        return f"{max_results:,} of {count_text(total, 'trace')}; --max-results takes more"
    return count_text(total, "trace")


def _temporary_path() -> str:
    """Return a new file for this user only; the browser reads it after this program has ended."""
    number, path = tempfile.mkstemp(prefix="tracestore-", suffix=".html")
    os.close(number)
    return path
