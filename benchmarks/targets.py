"""What performance has to be, and whether it is: a table made of the results of the programs.

Knows figures by their names, and no clock. Invariant: no figure is written here but the targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.report import Result, number


class Target(NamedTuple):
    """One thing that is asked of one figure of one program.

    Attributes:
        what: What is asked for.
        program: The program that measures it.
        figure: The name of its figure.
        limit: The figure must be at most this, or at least where `is_least`; None where nothing is asked.
        unit: What stands behind both.
        beside: Names of figures of the same run that stand beside it, with what they are called.
        limit_figure: The figure that is the limit, where it depends on what was recorded.
        gap: What was tried and what the profile shows, where the target is not met.
    """

    what: str
    program: str
    figure: str
    limit: float | None
    unit: str
    is_least: bool = False
    beside: tuple[tuple[str, str], ...] = ()
    limit_figure: str | None = None
    gap: str = ""


_SPAN_GAP = (
    "Entering and leaving a span in Python is the rest above the floor (`capture.scope`, `capture.span` in `hot_spots`):"
    " the object, two sets of a context variable, the record that is queued. The peers' figures of the same run say what"
    " others take for it."
)
_CALL_GAP = (
    "Argument and result are encoded and looked through for secrets on the calling thread, so that what is kept for the"
    " case of a kill holds none; the peer's decorator records neither."
)
_TRACE_GAP = (
    "Two promises that the target does not know of are kept on the recording thread: redaction looks through"
    " every text (`redaction` in `hot_spots`), and the recorder has all in a file before the call returns (`storage.spool`;"
    " the row shows it without). Encoding is the floor. Tried and kept: seven expressions that begin with one character,"
    " tags looked through once, spool files written over, then mapped; payloads UTF-8 to the end. The OpenTelemetry SDK's figure here includes encoding by msgspec."
)
_WRITER_GAP = (
    "One interpreter records and writes: the recording thread's own time a trace is in the table of `ingest`, the floor has"
    " no capture, no redaction, no recorder and no checksum. In `hot_spots` most of a batch is SQLite's own insertion;"
    " larger statements gained nothing. Alone, recording takes 100 µs a trace and writing 130; beside each other both take"
    " 330 to 400 of processor time: one waits for the other's interpreter lock."
)
_SIZE_GAP = (
    "The file keeps what was recorded as it was, as text that any SQLite tool reads. Of 9,110 bytes a trace 6,510 are the"
    " spans, 770 the trace with its previews, 740 tags and metadata with their indexes, 650 the indexes of spans; a text"
    " that is recorded again is stored again wherever it is not shared by content. Pages of 16 KB leave 7 % of the spans'"
    " empty, those of 8 KB left 26 %."
)

TARGETS = (
    Target("empty child span, the recording thread", "overhead", "span_us", 1.5, " µs",
           beside=(("floor", "span_floor_us"), ("OpenTelemetry SDK", "span_otel_us")), gap=_SPAN_GAP),
    Target("the same, times below the OpenTelemetry SDK", "overhead", "span_below_otel", 8, "x", is_least=True, gap=_SPAN_GAP),
    Target("decorated call with one argument", "overhead", "call_us", 2.5, " µs", gap=_CALL_GAP),
    Target("whole trace of the workload, the recording thread", "overhead", "trace_us", 30, " µs",
           beside=(("floor", "trace_floor_us"), ("recorder off", "trace_without_recorder_us"),
                   ("OpenTelemetry SDK", "trace_otel_us")), gap=_TRACE_GAP),
    Target("the same, times below the OpenTelemetry SDK", "overhead", "trace_below_otel", 5, "x", is_least=True, gap=_TRACE_GAP),
    Target("traces a second until durable", "ingest", "durable_per_s", 5_000, "/s", is_least=True,
           beside=(("floor", "durable_floor_per_s"), ("MLflow", "ingest_mlflow_per_s")), gap=_WRITER_GAP),
    Target("the same, share of the floor", "ingest", "durable_share", 60, " %", is_least=True, gap=_WRITER_GAP),
    Target("spans dropped in a burst of 100,000 traces", "ingest", "burst_100000_dropped_spans", 0, "",
           beside=(("traces/s", "burst_100000_per_s"),)),
    Target("memory over the bare program while recording", "memory", "memory_over_bare_mb", 60, " MB",
           gap="The queue takes up to 20,000 spans with their payload, and one thread that only records is ahead of the writer until the queue is full; `TRACESTORE_QUEUE_SIZE` makes it smaller."),
    Target("a loop that records a trace each millisecond, times slower", "contention", "loop_slower", 1.05, "x",
           gap="A trace each millisecond costs the loop what a whole trace costs the recording thread, see above, and the writer's share of the interpreter."),
    Target("an asyncio server's p99 with tracing", "contention", "server_p99_us", None, " µs",
           beside=(("bare", "server_bare_p99_us"),)),
    Target("worst pause, p99.9 of a span, the writer busy", "contention", "span_busy_writer_p999_us", 200, " µs",
           gap="CPython lets another thread keep the interpreter for up to 5 ms (`sys.getswitchinterval`); the writer gives it up around each statement of SQLite."),
    Target("first 100 of 1,000,000 traces, slowest indexed filter", "search", "search_indexed_most_1000000_ms", 5,
           " ms", beside=(("floor", "search_floor_1000000_ms"), ("10,000", "search_indexed_most_10000_ms"))),
    Target("the same with spans", "search", "search_with_spans_1000000_ms", 15, " ms"),
    Target("growth of an indexed filter's median from 10,000 to 1,000,000, most", "growth", "growth_search_1000000", 2,
           "x", beside=(("CPU", "growth_search_cpu_1000000"),)),
    Target("growth of a trace's write, the same", "growth", "growth_write_1000000", 2, "x", beside=(("CPU", "growth_write_cpu_1000000"),)),
    Target("data frame of 10,000 traces without spans", "search", "search_frame_10000_ms", 150, " ms",
           gap="139 to 160 ms in runs of the same evening: 118 ms are Python's on the caller's thread, forms, JSON documents and columns; SQLite's part is read ahead on a second one. Tried without gain: 100 or 250 traces at a time instead of 500, sparing the garbage collector's look at what was made."),
    Target("`get_trace` of 4 spans", "get", "get_trace_ms", 0.5, " ms"),
    Target("`get_trace` of 1,000 spans", "get", "get_large_trace_ms", 30, " ms"),
    Target("`set_trace_tag` until durable", "get", "set_tag_ms", 1, " ms"),
    Target("`log_feedback` until durable", "get", "log_feedback_ms", 1, " ms"),
    Target("deleting 1,000 traces by time", "get", "delete_ms", 50, " ms",
           gap="Rows and their entries in all indexes go; the floor of the same run deletes the same rows in SQL alone."),
    Target("file a trace of the workload, 1.25 x distinct payload + 600", "size", "workload_file_bytes", None, " bytes",
           limit_figure="workload_limit_bytes", beside=(("distinct", "workload_distinct_bytes"),), gap=_SIZE_GAP),
    Target("file an agent's trace of 30 turns, likewise", "size", "agent_file_bytes", None, " bytes",
           limit_figure="agent_limit_bytes", beside=(("distinct", "agent_distinct_bytes"),), gap=_SIZE_GAP),
    Target("import over bare Python", "import_time", "import_over_bare_ms", 50, " ms",
           beside=(("sqlite3 and msgspec", "sqlite3_and_msgspec_over_bare_ms"),)),
    Target("first trace in a new file, from process start", "import_time", "first_trace_ms", 120, " ms",
           gap="Most of it is the import with the first span, see the table of `import_time`; 101 ms on a quieter machine on 2026-11-21."),
)  # fmt: skip

#: Figures that are shares, shown as percent.
_SHARES = frozenset({"durable_share"})

HEAD = ("what", "target", "measured", "beside it, in the same run", "met", "command")


def table(results: Mapping[str, Result]) -> str:
    """Return all targets as a table in Markdown; what was not measured says so."""
    rows = [row(target, results.get(target.program)) for target in TARGETS]
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def row(target: Target, result: Result | None) -> tuple[str, str, str, str, str, str]:
    """Return the cells of one target."""
    figures = result.figures if result else {}
    limit = limit_of(target, figures)
    beside = "; ".join(
        f"{name} {number(figures[figure])}" for name, figure in target.beside if figure in figures
    )
    measured = shown(target, figures)
    if measured is None:
        text, met = "not measured", ""
    else:
        text = f"{number(measured)}{target.unit}"
        met = "" if limit is None else ("yes" if is_met(target, measured, limit) else "**no**")
    asked = "" if limit is None else f"{'≥' if target.is_least else '≤'} {limit:,g}{target.unit}"
    command = f"`{result.command if result else f'python -m benchmarks.{target.program}'}`"
    return target.what, asked, text, beside, met, command


def limit_of(target: Target, figures: Mapping[str, float]) -> float | None:
    """Return what the figure is compared with, None where there is nothing."""
    if target.limit_figure is not None:
        return figures.get(target.limit_figure)
    return target.limit


def is_met(target: Target, measured: float, limit: float) -> bool:
    """Return whether the figure, as it is shown, is what is asked for."""
    return measured >= limit if target.is_least else measured <= limit


def shown(target: Target, figures: Mapping[str, float]) -> float | None:
    """Return the figure in the target's unit, None where it was not measured."""
    value = figures.get(target.figure)
    return value if value is None or target.figure not in _SHARES else value * 100


def distance(target: Target, result: Result | None) -> float | None:
    """Return how many times the target the figure is: 1 is the target, less is better; None without a figure."""
    figures = result.figures if result else {}
    limit, measured = limit_of(target, figures), shown(target, figures)
    if not limit or not measured:
        return None
    return limit / measured if target.is_least else measured / limit
