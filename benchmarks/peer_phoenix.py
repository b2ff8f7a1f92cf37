"""Phoenix's client as a peer: the same spans and traces, exported over HTTP to a process that drops them.

Runs in the client's environment, see peers.py. Payloads are encoded by msgspec, the fastest there is.
"""

from __future__ import annotations

import contextlib
import importlib
import pathlib
import subprocess
import sys
from typing import Any

import msgspec

from benchmarks.peers import Library, serve
from benchmarks.workload import ToolError, WorkloadTrace, use_tool

_encoder = msgspec.json.Encoder()

_SINK = """
import http.server

class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"""


def library(_folder: pathlib.Path) -> Library:
    """Return Phoenix's client, which exports in batches to a process that drops what it gets."""
    sink = subprocess.Popen((sys.executable, "-c", _SINK), stdout=subprocess.PIPE)
    assert sink.stdout is not None
    stack.callback(sink.kill)
    provider: Any = importlib.import_module("phoenix.otel").register(
        endpoint=f"http://127.0.0.1:{int(sink.stdout.readline())}/v1/traces",
        protocol="http/protobuf",
        batch=True,
        set_global_tracer_provider=False,
        verbose=False,
    )
    tracer = provider.get_tracer("benchmarks")

    def span() -> None:
        with tracer.start_as_current_span("step", openinference_span_kind="chain"):
            pass

    @tracer.chain  # type: ignore[untyped-decorator,unused-ignore]  # it is not in mypy's environment
    def decorated(question: str) -> str:
        return question

    return Library(
        span=span,
        call=lambda: decorated("why?"),
        trace=lambda trace: record(tracer, trace),
        parent=lambda: tracer.start_as_current_span("round", openinference_span_kind="chain"),
        flush=provider.force_flush,
        stored=lambda: 0,
    )


def _encode(payload: object) -> str:
    return _encoder.encode(payload).decode()


def record(tracer: Any, trace: WorkloadTrace) -> None:
    """Record one trace of the workload."""

    def start(name: str, kind: str) -> Any:
        return tracer.start_as_current_span(name, openinference_span_kind=kind)

    try:
        with start(trace.name, "chain") as root:
            root.set_input(_encode(trace.question))
            root.set_attributes({"session.id": trace.session, "user.id": trace.user})
            root.set_attributes({f"metadata.{key}": value for key, value in trace.tags.items()})
            with start("retrieve", "retriever") as span:
                span.set_input(_encode(trace.query))
                span.set_output(_encode(trace.documents))
            with start("generate", "llm") as span:
                span.set_input(_encode(trace.prompt))
                span.set_attributes(trace.model_attributes)
                span.set_attributes(trace.usage)
                span.set_output(_encode(trace.completion))
            with start(trace.tool, "tool") as span:
                span.set_input(_encode(trace.call))
                use_tool(trace)
                span.set_output(_encode(trace.result))
            root.set_output(_encode(trace.answer))
    except ToolError:
        return


stack = contextlib.ExitStack()

if __name__ == "__main__":
    with stack:
        serve(library)
