"""`tracestore export`: traces to an OpenTelemetry receiver, or into a file that other programs read."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator

import click
import msgspec

from tracestore.cli import options, streams
from tracestore.display.units import count_text
from tracestore.entities import Trace
from tracestore.errors import StoreError
from tracestore.otlp import export as otlp
from tracestore.otlp.perfetto import trace_events
from tracestore.store import Store

#: Traces read at a time.
PAGE_TRACES = 100


@click.command(
    epilog=options.examples(
        "tracestore export --otlp http://localhost:4318",
        "tracestore export --otlp http://localhost:5000 --header x-mlflow-experiment-id=0",
        "tracestore export --otlp-file traces.jsonl \"status = 'ERROR'\"",
        "tracestore export --perfetto trace.json \"name = 'answer'\"",
    )
)
@click.argument("filter_string", metavar="[FILTER]", required=False)
@click.option(
    "--otlp",
    "url",
    metavar="URL",
    help="Send to this OTLP/HTTP receiver; goes on where it stopped.",
)
@click.option("--otlp-file", metavar="FILE", help="Write OTLP JSON lines, the collector's format.")
@click.option("--perfetto", metavar="FILE", help="Write JSON for ui.perfetto.dev.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Sent with --otlp.")
@click.option("--as-json", "http_json", is_flag=True, help="Send JSON instead of protobuf.")
@click.option("--again", is_flag=True, help="Send all, also what was sent before.")
@options.json_option
@options.db_option
def export(
    filter_string: str | None,
    url: str | None,
    otlp_file: str | None,
    perfetto: str | None,
    headers: tuple[str, ...],
    http_json: bool,
    again: bool,
    as_json: bool,
    path: str,
) -> None:
    """Send traces to an OpenTelemetry receiver, or into a file.

    Without any of the three options they are sent to where OTEL_EXPORTER_OTLP_ENDPOINT says.
    """
    if sum(choice is not None for choice in (url, otlp_file, perfetto)) > 1:
        raise click.UsageError("pass one of --otlp, --otlp-file and --perfetto")
    with options.open_store(path, for_writing=otlp_file is None and perfetto is None) as store:
        if otlp_file is not None:
            written = _write(otlp_file, otlp.lines(_traces(store, filter_string)), b"\n")
            facts = {"file": otlp_file, "lines": written}
            said = f"{count_text(written, 'trace')} written to {otlp_file}"
        elif perfetto is not None:
            events = (msgspec.json.encode(e) for e in trace_events(_traces(store, filter_string)))
            written = _write(perfetto, events, b",\n", b'{"traceEvents": [\n', b"\n]}\n")
            facts = {"file": perfetto, "events": written}
            said = f"{count_text(written, 'event')} written to {perfetto}"
        else:
            done = otlp.export(
                url,
                filter_string,
                store=store,
                headers=dict(_pair(header) for header in headers),
                protocol="http/json" if http_json else None,
                resume=not again,
                progress=_show if streams.is_terminal(sys.stderr) else None,
            )
            facts = done._asdict()
            said = (
                f"{count_text(done.traces, 'trace')}, {count_text(done.spans, 'span')} accepted"
                f"; {done.rejected} rejected, {done.waiting} still running"
            )
    if as_json:
        streams.write_json(facts)
    else:
        click.echo(said)


def _show(done: otlp.Exported) -> None:
    click.echo(f"\r{done.traces:,} traces, {done.spans:,} spans", err=True, nl=False)


def _pair(header: str) -> tuple[str, str]:
    name, equals, value = header.partition("=")
    if not equals or not name:
        raise click.UsageError(f"a header is NAME=VALUE, not {header!r}")
    return name, value


def _traces(store: Store, filter_string: str | None) -> Iterator[Trace]:
    token: str | None = None
    while True:
        page = store.search_traces(
            filter_string, order_by=["timestamp ASC"], max_results=PAGE_TRACES, page_token=token
        )
        yield from page
        token = page.token
        if token is None:
            return


def _write(
    path: str, parts: Iterator[bytes], between: bytes, before: bytes = b"", after: bytes = b"\n"
) -> int:
    """Write the parts; return how many there were."""
    count = 0
    try:
        with pathlib.Path(path).open("wb") as file:
            file.write(before)
            for count, part in enumerate(parts, 1):
                file.write((between if count > 1 else b"") + part)
            file.write(after if count or before else b"")
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error}") from error
    return count
