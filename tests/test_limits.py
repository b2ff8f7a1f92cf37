"""What is far too much: it is kept or cut by a stated limit, in bounded memory, and nothing fails.

Each in a process of its own, which reports its peak of memory above what an idle recording takes.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("memory is read from /proc", allow_module_level=True)

_HEAD = """
import json, sys, threading, time
import tracestore

def memory_mb(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) // 1024

def report(**values):
    stats = tracestore.stats()
    peak = memory_mb("VmHWM") - base_mb
    print(json.dumps({**values, **stats, "peak_mb": peak}, default=str))

tracestore.set_tracking_uri(sys.argv[1])
with tracestore.start_span("first"):
    pass
tracestore.flush()
"""


def run(path: pathlib.Path, program: str) -> dict[str, Any]:
    """Run the program after the head; what it reports, all of it recorded and nothing dropped."""
    text = f"{_HEAD}\nbase_mb = memory_mb('VmRSS')\n{program}"
    ended = subprocess.run(
        [sys.executable, "-c", text, str(path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    reported: dict[str, Any] = json.loads(ended.stdout)
    assert (reported["dropped"], reported["failed"], reported["failures"]) == (0, 0, {})
    return reported


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "t.db"


@pytest.mark.slow
def test_a_trace_of_100_000_spans_is_kept_read_searched_and_deleted(path: pathlib.Path) -> None:
    found = run(
        path,
        """
with tracestore.start_span("root") as root:
    for number in range(100_000):
        with tracestore.start_span("child") as span:
            span.set_inputs({"number": number})
tracestore.flush()
recording_mb = memory_mb("VmHWM") - base_mb
spans = len(tracestore.get_trace(root.trace_id).data.spans)
with tracestore.open(sys.argv[1]) as store:
    hits = store.count_traces("span.inputs LIKE '%99999%'")
    report(count=spans, hits=hits, recording_mb=recording_mb)
    store.prune(older_than=0)
    wrong = [finding for finding in store.check() if finding.severity != 'leftover']
    assert store.count_traces() == 0 and not wrong, wrong
""",
    )
    assert (found["count"], found["hits"]) == (100_001, 1)
    assert found["recording_mb"] < 150  # the queue holds 20,000 spans; 35 MB were measured
    assert found["peak_mb"] < 600  # 100,001 span objects; 190 MB were measured


def test_a_payload_of_100_mb_is_cut_and_says_so(path: pathlib.Path) -> None:
    found = run(
        path,
        """
payload = "x" * 100_000_000
base_mb = memory_mb("VmRSS")
with tracestore.start_span("root") as root:
    root.set_inputs({"payload": payload})
inputs = tracestore.get_trace(root.trace_id).data.spans[0].inputs
report(inputs=inputs)
""",
    )
    cut = found["inputs"]
    assert cut["tracestore.cut"].startswith("100000014 bytes of JSON were cut to the first 262144")
    assert len(cut["beginning"]) == 262_144
    assert path.stat().st_size < 2_000_000
    assert found["peak_mb"] < 250  # one encoded copy while it is cut


@pytest.mark.slow
def test_a_million_tags_one_by_one_are_kept(path: pathlib.Path) -> None:
    found = run(
        path,
        """
with tracestore.start_span("root") as root:
    for first in range(0, 1_000_000, 10_000):
        tags = {f"k{number}": str(number) for number in range(first, first + 10_000)}
        tracestore.update_current_trace(tags=tags)
flushed = tracestore.flush(300)
tags = tracestore.get_trace(root.trace_id).info.tags
report(pending=flushed.pending, count=len(tags), hits=tracestore.count_traces("tags.k999999 = '999999'"))
""",
    )
    assert (found["pending"], found["count"], found["hits"]) == (0, 1_000_001, 1)
    assert found["peak_mb"] < 1_000  # 2,000,000 texts; 430 MB were measured


def test_tags_set_one_by_one_queue_one_record_not_each_its_own(path: pathlib.Path) -> None:
    found = run(
        path,
        """
from tracestore.runtime import runtime
most = 0
with tracestore.start_span("root") as root:
    tracestore.get_trace(root.trace_id)  # written as it stands: from now on tags are changes
    for number in range(5_000):
        tracestore.set_trace_tag(root.trace_id, f"k{number}", "v")
        most = max(most, runtime.store.writer.pending())
tracestore.flush()
report(most=most, count=len(tracestore.get_trace(root.trace_id).info.tags))
""",
    )
    assert found["count"] == 5_001
    assert found["most"] < 10


def test_10_000_open_spans_are_written_as_open_and_then_ended(path: pathlib.Path) -> None:
    found = run(
        path,
        """
opened = [tracestore.start_span_no_context(f"s{number}") for number in range(10_000)]
deadline = time.monotonic() + 60
while tracestore.count_traces("status = 'IN_PROGRESS'") < 10_000 and time.monotonic() < deadline:
    tracestore.flush()
in_progress = tracestore.count_traces("status = 'IN_PROGRESS'")
for span in opened:
    span.end()
tracestore.flush()
report(in_progress=in_progress, ended=tracestore.count_traces("status = 'OK'"))
""",
    )
    assert (found["in_progress"], found["ended"]) == (10_000, 10_001)
    assert found["peak_mb"] < 150  # 31 MB were measured


def test_1_000_threads_record_at_once(path: pathlib.Path) -> None:
    found = run(
        path,
        """
import os
barrier = threading.Barrier(1_000)

def work():
    barrier.wait()
    for _ in range(5):
        with tracestore.start_span("outer"):
            with tracestore.start_span("inner"):
                pass

threads = [threading.Thread(target=work) for _ in range(1_000)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
tracestore.flush()
report(count=tracestore.count_traces(), files=len(os.listdir("/proc/self/fd")))
""",
    )
    assert (found["count"], found["spans"]) == (5_001, 10_001)
    assert found["files"] < 40
    assert found["peak_mb"] < 200
