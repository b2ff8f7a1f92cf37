"""How much memory does recording take, and does it stay flat?

    python -m benchmarks.memory [--traces 20000] [--quick] [--json FILE]

Records the workload as fast as one thread can, in a process of its own, and asks the system for the resident size every
1,000 traces; the bare program makes the same traces and records none. Then the process waits for the writer and is
asked again.

What would change our mind: growth above 60 MB over the bare program, or a second half that needs more than the first.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.report import Report, number, options_of, parser

_PROGRAM = """
import json, pathlib, sys
from benchmarks.workload import record, trace_of
import tracestore

def resident_bytes():
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * 4096

path, traces, records = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "record"
tracestore.set_tracking_uri(path)
record(trace_of(0))
tracestore.flush()
samples = [resident_bytes()]
for index in range(traces):
    trace = trace_of(index)
    if records:
        record(trace)
    if index % 1_000 == 999:
        samples.append(resident_bytes())
tracestore.flush(timeout_s=600)
samples.append(resident_bytes())
json.dump(samples, sys.stdout)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    of = parser("memory", __doc__)
    of.add_argument("--traces", type=int, default=20_000)
    options = options_of(of, arguments, traces=6_000)
    question = f"How much memory does recording {options.traces:,} traces take?"
    with Report("memory", question, options) as report:
        found = {name: _samples(options.traces, name) for name in ("bare", "record")}
        peak = max(found["bare"])
        rows = [
            (
                name,
                number(samples[0] / 1e6),
                number(max(samples[: len(samples) // 2]) / 1e6),
                number(max(samples[len(samples) // 2 :]) / 1e6),
                number(samples[-1] / 1e6),
                number((max(samples) - peak) / 1e6),
            )
            for name, samples in found.items()
        ]
        head = ("MB resident", "after one", "first half", "second half", "after flush", "over bare")
        report.table(head, rows)
        report.figures(memory_over_bare_mb=(max(found["record"]) - peak) / 1e6)


def _samples(traces: int, name: str) -> list[int]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = (sys.executable, "-c", _PROGRAM, f"{folder}/memory.db", str(traces), name)
        root = pathlib.Path(__file__).parent.parent
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    samples: list[int] = json.loads(done.stdout)
    return samples


if __name__ == "__main__":
    main()
