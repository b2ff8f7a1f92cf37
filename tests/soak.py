"""The programs of the soak test: writers that say what is recorded, and others that say what went wrong.

`python -m tests.soak writer PATH PREFIX SEED` prints "ended", name, number of spans and whether it may be pruned once a
trace has ended, and "rated", name and a growing number once that is in a tag and a feedback of a trace that had ended.
`python -m tests.soak reader PATH SEED` prints one line for each round of searches, `python -m tests.soak upkeep PATH SEED`
one for each thing that it did to the file; they end with an error where an answer contradicts itself.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import sys
import time
from collections import deque
from collections.abc import Callable

import tracestore
from tracestore import Store
from tracestore.errors import NotFoundError
from tracestore.upkeep.findings import LEFTOVER

_FILTERS = (
    "status = 'ERROR'",
    "tags.disposable = 'yes' AND duration > 0ms",
    "text ILIKE '%number 7%'",
    "span.name = 'inner' AND span.status = 'OK'",
    "feedback.good = true OR status = 'IN_PROGRESS'",
    "span_count > 3",
)


def write(path: str, prefix: str, seed: str) -> None:
    """Record for ever, and come back to what was recorded."""
    chance = random.Random(seed)
    tracestore.set_tracking_uri(path)
    recent: deque[tuple[str, str]] = deque(maxlen=300)
    number = 0
    while True:
        spans = chance.randrange(1, 8)
        name, disposable = f"{prefix}-{number}", chance.random() < 0.7
        trace_id = _record(name, spans, disposable=disposable, size=chance.randrange(10, 4_000))
        print("ended", name, spans, "yes" if disposable else "no", flush=True)
        recent.append((name, trace_id))
        if chance.random() < 0.05:
            tracestore.flush()
        if chance.random() < 0.05:
            rated, trace_id = chance.choice(recent)
            with contextlib.suppress(NotFoundError):  # pruned
                tracestore.set_trace_tag(trace_id, "rated", str(number))
                tracestore.log_feedback(trace_id=trace_id, name="good", value=number)
                print("rated", rated, number, flush=True)
        time.sleep(chance.random() * 0.004)
        number += 1


def _record(name: str, spans: int, *, disposable: bool, size: int) -> str:
    with tracestore.start_span(name) as root:
        tracestore.update_current_trace(tags={"disposable": "yes" if disposable else "no"})
        root.set_inputs({"text": f"number {len(name)} " + "x" * size})
        for _ in range(spans - 1):
            with tracestore.start_span("inner"):
                pass
    return root.trace_id


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


def keep_up(path: str, seed: str) -> None:
    """Prune, make small, copy, merge, index and check for ever."""
    chance = random.Random(seed)
    while True:
        action = chance.choice(("prune", "vacuum", "backup", "extract", "merge", "index", "check"))
        copy = f"{path}.{secrets.token_hex(4)}.copy"
        with Store(path) as store:  # opened, used and closed again each time
            if action == "prune":
                store.prune(filter="tags.disposable = 'yes'", older_than="3s")
            elif action == "vacuum":
                store.vacuum()
            elif action == "merge":
                store.merge(path + ".other")
            elif action == "index":
                store.index_text()
            elif action == "check":
                _assert_sound(store)
            elif action == "backup":
                store.backup(copy)
            else:
                store.extract("tags.disposable = 'no'", copy)
        if os.path.exists(copy):  # noqa: PTH110 - a path as text
            with Store(copy, read_only=True) as made:
                _assert_sound(made)
            os.unlink(copy)  # noqa: PTH108
        print(action, flush=True)


def _assert_sound(store: Store) -> None:
    found = [finding for finding in store.check() if finding.severity != LEFTOVER]
    assert found == [], found


if __name__ == "__main__":
    PROGRAMS: dict[str, Callable[..., None]] = {"writer": write, "reader": read, "upkeep": keep_up}
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
