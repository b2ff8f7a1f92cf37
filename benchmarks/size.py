"""How large is the file, beside what was recorded?

    python -m benchmarks.size [--traces 2000] [--turns 30] [--quick] [--json FILE]

Two programs record into a file each: the workload, whose payload does not repeat itself, and an agent that resends its
whole history at each of its turns. Distinct payload is what is left if every text of 200 characters or more is counted
once. The peer is the same payload in an SQLite table of one column, zlib's is what a compressor makes of it.

What would change our mind: a file above 1.25 times the distinct payload + 600 bytes a trace.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tracestore
from benchmarks.report import Report, number, options_of, parser, ratio
from benchmarks.workload import record, trace_of

#: Texts of so many characters count once, however often they are recorded.
DISTINCT_CHARACTERS = 200


class Size(NamedTuple):
    """Bytes of one recorded file and of what is in it."""

    traces: int
    file_bytes: int
    indexed_bytes: int
    payload_bytes: int
    distinct_bytes: int
    zlib_bytes: int
    plain_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    of = parser("size", __doc__)
    of.add_argument("--traces", type=int, default=2_000)
    of.add_argument("--turns", type=int, default=30)
    options = options_of(of, arguments)
    with (
        Report("size", "How large is the file, beside what was recorded?", options) as report,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        workload, agent = pathlib.Path(folder, "workload.db"), pathlib.Path(folder, "agent.db")
        sizes = {
            f"workload, {options.traces:,} traces": _workload(workload, options.traces),
            f"agent, {options.turns} turns": _agent(agent, options.turns),
        }
        _report_sizes(report, sizes)


def _workload(path: pathlib.Path, traces: int) -> Size:
    tracestore.set_tracking_uri(str(path))
    for index in range(traces):
        record(trace_of(index))
    return _size(path)


def _agent(path: pathlib.Path, turns: int) -> Size:
    """Record agents that resend all messages at each turn, each conversation one trace."""
    tracestore.set_tracking_uri(str(path))
    for conversation in range(20):
        messages: list[dict[str, str]] = []
        with tracestore.start_span("agent", span_type="AGENT") as root:
            for turn in range(turns):
                source = trace_of(conversation * turns + turn)
                messages.append({"role": "user", "content": json.dumps(source.documents)})
                with tracestore.start_span("chat", span_type="CHAT_MODEL") as span:
                    span.set_inputs({"model": source.model, "messages": messages})
                    span.set_outputs(source.completion)
                messages.append({"role": "assistant", "content": json.dumps(source.answer)})
            root.set_outputs(messages[-1])
    return _size(path)


def _size(path: pathlib.Path) -> Size:
    tracestore.flush()
    plain = _file_bytes(path)
    with tracestore.open(path) as store:
        store.index_text()
    indexed = _file_bytes(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        traces = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
        payload = [text for row in connection.execute(_PAYLOAD) for text in row if text]
    return Size(
        traces,
        plain,
        indexed,
        sum(len(text.encode()) for text in payload),
        _distinct_bytes(payload),
        sum(len(zlib.compress(text.encode())) for text in payload),
        _plain_bytes(path.with_suffix(".plain"), payload),
    )


_PAYLOAD = "SELECT inputs, outputs, attributes, events FROM span_view"


def _file_bytes(path: pathlib.Path) -> int:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def _distinct_bytes(payload: Sequence[str]) -> int:
    """Return the bytes of the payload with every long text in it counted once."""
    seen: set[str] = set()
    total = 0
    for document in payload:
        repeated = 0
        for text in _texts(json.loads(document)):
            if len(text) >= DISTINCT_CHARACTERS:
                repeated += len(text.encode()) if text in seen else 0
                seen.add(text)
        total += max(0, len(document.encode()) - repeated)
    return total


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _plain_bytes(path: pathlib.Path, payload: Sequence[str]) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE payload (text)")
        connection.executemany("INSERT INTO payload VALUES (?)", [(text,) for text in payload])
        connection.commit()
    return path.stat().st_size


def _report_sizes(report: Report, sizes: dict[str, Size]) -> None:
    rows = [
        (
            name,
            number(size.file_bytes / size.traces),
            number(size.indexed_bytes / size.traces),
            number(size.payload_bytes / size.traces),
            number(size.distinct_bytes / size.traces),
            ratio(size.file_bytes, size.distinct_bytes),
            ratio(size.plain_bytes, size.distinct_bytes),
            ratio(size.zlib_bytes, size.distinct_bytes),
        )
        for name, size in sizes.items()
    ]
    head = (
        "bytes a trace",
        "file",
        "with text index",
        "payload",
        "distinct",
        "file/distinct",
        "one column/distinct",
        "zlib/distinct",
    )
    report.table(head, rows)
    for key, size in zip(("workload", "agent"), sizes.values(), strict=True):
        distinct = size.distinct_bytes / size.traces
        report.figures(
            **{
                f"{key}_file_bytes": size.file_bytes / size.traces,
                f"{key}_payload_bytes": size.payload_bytes / size.traces,
                f"{key}_distinct_bytes": distinct,
                f"{key}_limit_bytes": 1.25 * distinct + 600,
            }
        )


if __name__ == "__main__":
    main()
