"""Where does the time go while traces are recorded, inserted and searched: the top entries of a flame graph?

    python -m benchmarks.hot_spots [--seconds 10] [--data FOLDER] [--quick] [--json FILE]

A timer of the processor's time interrupts the thread that works and counts the function it is in, and all that it was
called by. What C does, SQLite and msgspec among it, counts for the Python function that calls it. Recording and
inserting are sampled apart: no other thread gets the interpreter meanwhile.

What would change our mind: a function at the top that nobody expects there.
"""

from __future__ import annotations

import contextlib
import pathlib
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import tracestore
from benchmarks.dataset import DATA, START_NS, dataset
from benchmarks.report import Report, options_of, parser
from benchmarks.search import filters
from benchmarks.workload import record, records, trace_of
from tracestore import Store
from tracestore.storage import record_rows
from tracestore.storage.connection import open_for_writing, transaction

#: Functions shown of each kind of work.
SHOWN = 12

#: Traces in one block of recording, and in one batch of inserting.
BLOCK = 200

INTERVAL_S = 0.001


class Samples:
    """Counts functions that were running: as the innermost, and anywhere on the stack."""

    def __init__(self) -> None:
        self.total = 0
        self.itself: Counter[str] = Counter()
        self.within: Counter[str] = Counter()

    @contextlib.contextmanager
    def taking(self) -> Iterator[None]:
        """Take samples of the calling thread, the main one, while the block runs."""
        previous = signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, previous)

    def _take(self, _number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(_name(frame))
            frame = frame.f_back
        inner = stack[: stack.index(_OUTERMOST)] if _OUTERMOST in stack else stack
        if inner:
            self.total += 1
            self.itself[inner[0]] += 1
            self.within.update(set(inner))


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Sample each kind of work and print its table."""
    of = parser("hot_spots", __doc__)
    of.add_argument("--seconds", type=float, default=10.0, help="of each kind of work")
    of.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the files")
    options = options_of(of, arguments, seconds=3.0)
    if not hasattr(signal, "setitimer"):
        raise SystemExit("this system has no timer that interrupts a program (signal.setitimer)")
    sys.setswitchinterval(
        1_000
    )  # no thread is asked for the interpreter; one that waits gives it up
    with (
        Report("hot_spots", "Where does the time go?", options) as report,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Store(dataset(10_000, options.data), read_only=True) as store,
    ):
        tracestore.set_tracking_uri(str(pathlib.Path(folder, "recorded.db")))
        work = {
            "recording a trace of the workload": _recording(),
            "inserting a batch of 200 traces": _inserting(pathlib.Path(folder, "inserted.db")),
            "searches of 10,000 traces, one of each kind": _searching(store),
        }
        for name, block in work.items():
            _report(report, name, _sampled(block, options.seconds))


#: Does some work within `taking`, after what needs not be sampled; may be called again and again.
Block = Callable[[Samples], None]


def _sampled(block: Block, seconds: float) -> Samples:
    block(Samples())  # what is made for the first time does not count
    samples = Samples()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        block(samples)
    return samples


def _recording() -> Block:
    traces = [trace_of(number) for number in range(BLOCK)]

    def block(samples: Samples) -> None:
        with samples.taking():
            for trace in traces:
                record(trace)
        tracestore.flush()

    return block


def _inserting(path: pathlib.Path) -> Block:
    connection = open_for_writing(str(path))
    traces = [trace_of(number) for number in range(BLOCK)]
    starts = iter(range(START_NS, START_NS * 2, BLOCK * 1_000_000))

    def block(samples: Samples) -> None:
        first_ns = next(starts)
        made = [records(trace, first_ns + at * 1_000_000) for at, trace in enumerate(traces)]
        spans = [span for _, spans in made for span in spans]
        with samples.taking(), transaction(connection):
            record_rows.write_records(connection, [row for row, _ in made], spans)

    return block


def _searching(store: Store) -> Block:
    texts = list(filters(10_000).values())

    def block(samples: Samples) -> None:
        with samples.taking():
            for text in texts:
                store.search_traces(text, max_results=100, include_spans=False)

    return block


#: Where the stack of what is sampled ends.
_OUTERMOST = f"{__name__}.block"


def _report(report: Report, name: str, samples: Samples) -> None:
    rows = [
        (
            function.removeprefix("tracestore."),
            f"{count / samples.total:.0%}",
            f"{samples.within[function] / samples.total:.0%}",
        )
        for function, count in samples.itself.most_common(SHOWN)
    ]
    report.table((f"{name}: {samples.total:,} samples", "itself", "with what it calls"), rows)


if __name__ == "__main__":
    main()
