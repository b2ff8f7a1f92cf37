"""A local server that speaks the wire format of OpenAI's chat completions, in a thread.

The last user message says what to answer: `fail 429` and `fail 500` fail, `use a tool` calls one, `hang up`
breaks a stream off, anything else is answered by its capitals.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

#: What a client sends as its key; nothing of it may ever be recorded.
API_KEY = "sk-secret-0123456789"

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 3,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 5},
}
_TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = request["messages"][-1]["content"]
        if said.startswith("fail"):
            status = int(said.split()[1])
            self._answer(status, {"error": {"message": f"refused with {status}", "type": "test"}})
        elif request.get("stream"):
            self._stream(request, said)
        else:
            self._answer(200, _completion(request, said))

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, request: dict[str, Any], said: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(ConnectionError):  # the client may stop reading
            for chunk in _chunks(request, said):
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")


def _completion(request: dict[str, Any], said: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.upper()}
    if said == "use a tool":
        message = {"role": "assistant", "content": None, "tool_calls": [_TOOL_CALL]}
    reason = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": f"{request['model']}-2025",
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": USAGE,
    }


def _chunks(request: dict[str, Any], said: str) -> Iterator[dict[str, Any]]:
    head = {
        "id": "chatcmpl-2",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": f"{request['model']}-2025",
    }

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield chunk({"role": "assistant", "content": ""})
    if said == "use a tool":
        function = {"name": "weather", "arguments": ""}
        yield chunk(
            {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
        )
        for text in ('{"city":', ' "Paris"}'):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
    for word in [] if said == "use a tool" else said.upper().split(" "):
        yield chunk({"content": f"{word} "})
    if said == "hang up":
        yield {"error": {"message": "the server is tired"}}
    yield chunk({}, "tool_calls" if said == "use a tool" else "stop")
    if (request.get("stream_options") or {}).get("include_usage"):
        yield head | {"choices": [], "usage": USAGE}


@contextlib.contextmanager
def openai_server() -> Iterator[str]:
    """Yield the base URL of a running server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
