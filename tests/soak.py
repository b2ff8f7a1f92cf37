"""The programs of the soak test: writers that say what has ended, and a reader that says what went wrong.

`python -m tests.soak writer PATH PREFIX SEED` prints one line for each trace once it has ended: its name, its number of
spans, and whether it may be pruned. `python -m tests.soak reader PATH SEED` prints one line for each round of searches,
and ends with an error where an answer contradicts itself.
"""

from __future__ import annotations

import random
import sys
import time

import tracestore
from tracestore import Store

_FILTERS = (
    "status = 'ERROR'",
    "tags.disposable = 'yes' AND duration > 0ms",
    "text ILIKE '%number 7%'",
    "span.name = 'inner' AND span.status = 'OK'",
    "feedback.good = true OR status = 'IN_PROGRESS'",
    "span_count > 3",
)


def write(path: str, prefix: str, seed: str) -> None:
    """Record for ever."""
    chance = random.Random(seed)
    tracestore.set_tracking_uri(path)
    number = 0
    while True:
        spans = chance.randrange(1, 8)
        name, disposable = f"{prefix}-{number}", chance.random() < 0.7
        _record(name, spans, disposable=disposable, size=chance.randrange(10, 4_000))
        print(name, spans, "yes" if disposable else "no", flush=True)
        if chance.random() < 0.05:
            tracestore.flush()
        time.sleep(chance.random() * 0.004)
        number += 1


def _record(name: str, spans: int, *, disposable: bool, size: int) -> None:
    with tracestore.start_span(name) as root:
        tracestore.update_current_trace(tags={"disposable": "yes" if disposable else "no"})
        root.set_inputs({"text": f"number {len(name)} " + "x" * size})
        for _ in range(spans - 1):
            with tracestore.start_span("inner"):
                pass


def read(path: str, seed: str) -> None:
    """Search for ever."""
    chance = random.Random(seed)
    with Store(path, read_only=True) as store:
        while True:
            filter_string = chance.choice(_FILTERS)
            found = store.search_traces(filter_string, max_results=50)
            names = [trace.trace_id for trace in found]
            assert len(set(names)) == len(names), filter_string
            for trace in found:
                # A trace is deleted whole or not at all, and its spans are of the same moment.
                assert trace.data.spans or trace.info.state == "IN_PROGRESS", trace.trace_id
            store.count_traces(filter_string)
            print(len(found), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "writer":
        write(*sys.argv[2:5])
    else:
        read(*sys.argv[2:4])
