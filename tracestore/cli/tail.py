"""`tracestore tail`: traces and spans as they end, from whichever process."""

from __future__ import annotations

import sys
import time

import click
from rich.console import Console
from rich.text import Text

from tracestore.cli import options, streams, terminal
from tracestore.cli.terminal import safe
from tracestore.cli.traces import SHORT_ID_DIGITS, STATE_MARKS, STATE_STYLES, took_text
from tracestore.display.payload import preview_text
from tracestore.display.text import fit
from tracestore.display.units import NS_PER_MS, duration_text, time_text
from tracestore.entities import Trace
from tracestore.following import Follower, SpanNews


@click.command(
    epilog=options.examples(
        "tracestore tail",
        "tracestore tail \"status = 'ERROR'\" --spans",
        "tracestore tail --json | jq -c '.trace.info.trace_id'",
    )
)
@click.argument("filter_string", metavar="[FILTER]", default="")
@click.option("--spans", "with_spans", is_flag=True, help="Also each span that begins or ends.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0, max=10_000),
    default=10,
    show_default=True,
    help="Begin with the last traces.",
)
@click.option(
    "--for", "for_s", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so long."
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document a line.")
@options.db_option
def tail(
    filter_string: str,
    with_spans: bool,
    lines: int,
    for_s: float | None,
    as_json: bool,
    path: str,
) -> None:
    """Follow traces as they end, from any process.

    Until Ctrl-C each trace that meets the filter is shown when it has ended. A trace is shown once; with --spans also each of its spans, when it ends
    and, if it had been open for a while, when it began.
    """
    store = options.open_store(path)
    follower = Follower(store, filter_string, with_spans=with_spans)
    console = terminal.console()
    deadline = None if for_s is None else time.monotonic() + for_s
    for trace in follower.latest(lines):
        _write(console, trace, as_json=as_json)
    for news in follower.follow():
        for each in news:
            _write(console, each, as_json=as_json)
        if news:
            sys.stdout.flush()
        if deadline is not None and time.monotonic() > deadline:
            return


def _write(console: Console, news: Trace | SpanNews, *, as_json: bool) -> None:
    if as_json:
        kind = "trace" if isinstance(news, Trace) else "span"
        value = news.info.to_dict() if isinstance(news, Trace) else news.to_dict()
        streams.write_json_line({kind: {"info": value} if kind == "trace" else value})
        return
    text, style = _trace_line(news) if isinstance(news, Trace) else _span_line(news)
    if console.is_terminal:
        text = fit(text, console.width)
    console.print(Text(text, style), soft_wrap=True)


def _clock(time_ms: int) -> str:
    text = time_text(time_ms)
    return text[11:23] if text[:4].isdecimal() else text


def _trace_line(trace: Trace) -> tuple[str, str]:
    info = trace.info
    state = info.state.value
    parts = (
        _clock(info.request_time),
        STATE_MARKS.get(state, "·"),
        safe(trace.trace_id.removeprefix("tr-")[:SHORT_ID_DIGITS]).plain,
        f"{took_text(trace):>8}",
        safe(info.name or "unnamed trace").plain,
        safe(preview_text(info.request_preview)).plain,
    )
    return "  ".join(parts).rstrip(), STATE_STYLES.get(state, "") if state != "OK" else ""


def _span_line(span: SpanNews) -> tuple[str, str]:
    is_open = span.end_time_ns is None
    took = "began" if is_open else duration_text((span.end_time_ns or 0) - span.start_time_ns)
    parts = (
        _clock(span.start_time_ns // NS_PER_MS),
        "…" if is_open else "✗" if span.status == "ERROR" else "·",
        safe(span.trace_id.removeprefix("tr-")[:SHORT_ID_DIGITS]).plain,
        f"{took:>8}",
        f"· {safe(span.name).plain}",
        safe(span.span_type).plain,
        safe(span.error).plain,
    )
    return "  ".join(parts).rstrip(), "red" if span.status == "ERROR" else "dim"
