"""Records what a program sends over OTLP while it talks to tests/model_server.py: one line of JSON a request.

    python -m tests.foreign.otlp.record FILE COMMAND...

The command finds the models' address in MODEL_URL and the receiver's in OTEL_EXPORTER_OTLP_ENDPOINT. The head of
each script beside this file says which packages it needs; sources.json says which releases were recorded.
"""

from __future__ import annotations

import gzip
import http.server
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

from tests.model_server import API_KEY, model_server
from tracestore.otlp.messages import from_json, from_protobuf, to_json

#: How the attributes of a resource begin that say nothing of the machine.
KEPT = ("service.name", "telemetry.")


def without_machine(message: Any) -> Any:
    """Return a message without the paths, names and process of the machine that it was recorded on."""
    for resource in message["resourceSpans"]:
        described = resource.get("resource", {})
        described["attributes"] = [
            a for a in described.get("attributes", ()) if a["key"].startswith(KEPT)
        ]
        spans = [span for scope in resource["scopeSpans"] for span in scope["spans"]]
        for event in (event for span in spans for event in span.get("events", ())):
            event["attributes"] = [
                a for a in event.get("attributes", ()) if a["key"] != "exception.stacktrace"
            ]
    return message


def main() -> None:
    """Run the command and write what it sent."""
    path, *command = sys.argv[1:]
    lines: list[bytes] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                is_json = self.headers["Content-Type"] == "application/json"
                message = from_json(body) if is_json else from_protobuf(body, "TracesData")
                lines.append(to_json(without_machine(message)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"]))
            chunks = []
            while size_bytes := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size_bytes))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with (
        model_server() as url,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}"
        variables = {
            "MODEL_URL": url,
            "MODEL_KEY": API_KEY,
            "OTEL_EXPORTER_OTLP_ENDPOINT": where,
        }
        subprocess.run(command, check=True, env=os.environ | variables)
        server.shutdown()
    pathlib.Path(path).write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    main()
