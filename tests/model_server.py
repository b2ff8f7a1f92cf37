"""A local server that speaks the wire formats of OpenAI (chat, embeddings, responses) and Anthropic, in a thread.

The last user message says what to answer, as in tests/guides/openai_server.py: `fail 429` fails every time, `fail
once` the first time, `use a tool` calls one, anything else is answered by its capitals. What the server was sent
is kept, so that tests see that calls arrive unchanged.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

from tests.guides import openai_server

API_KEY = openai_server.API_KEY

#: What Anthropic's API counts: tokens read from the cache and written to it are not part of the input's.
ANTHROPIC_USAGE = {
    "input_tokens": 7,
    "output_tokens": 3,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 2,
}


class ModelHandler(openai_server._Handler):
    """Answers by the path of the request."""

    failed_once: set[str]
    received: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        if self.path.endswith("/chat/completions"):
            super().do_POST()
            return
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.path, request))
        path = self.path.split("?")[0]
        answers = {
            "/messages": self._messages,
            "/embeddings": self._embeddings,
            "/responses": self._responses,
        }
        answers[f"/{path.rpartition('/')[2]}"](request)

    def _embeddings(self, request: dict[str, Any]) -> None:
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        self._answer(
            200,
            {
                "object": "list",
                "model": request["model"],
                "data": [
                    {"object": "embedding", "index": index, "embedding": [0.5, 0.25]}
                    for index, _ in enumerate(texts)
                ],
                "usage": {"prompt_tokens": 4, "total_tokens": 4},
            },
        )

    def _responses(self, request: dict[str, Any]) -> None:
        text = str(request["input"]).upper()
        message = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
        whole = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_750_000_000,
            "model": request["model"],
            "status": "completed",
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 6,
                "output_tokens": 2,
                "total_tokens": 8,
                "input_tokens_details": {"cached_tokens": 1},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        if not request.get("stream"):
            self._answer(200, whole)
            return
        begun = whole | {"status": "in_progress", "output": [], "usage": None}
        delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0}
        self._send_events(
            [
                {"type": "response.created", "sequence_number": 0, "response": begun},
                delta | {"content_index": 0, "sequence_number": 1, "delta": text, "logprobs": []},
                {"type": "response.completed", "sequence_number": 2, "response": whole},
            ]
        )

    def _messages(self, request: dict[str, Any]) -> None:
        said = _text_of(request["messages"][-1]["content"])
        if said.startswith("fail") and not (said == "fail once" and said in self.failed_once):
            self.failed_once.add(said)
            status = 500 if said == "fail once" else int(said.split()[1])
            error = {"type": "api_error", "message": f"refused with {status}"}
            self._answer(status, {"type": "error", "error": error})
            return
        content: list[dict[str, Any]] = [{"type": "text", "text": said.upper()}]
        if said == "use a tool":
            use = {"type": "tool_use", "id": "toolu_1", "name": "weather"}
            content = [use | {"input": {"city": "Paris"}}]
        whole = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": content,
            "stop_reason": "tool_use" if said == "use a tool" else "end_turn",
            "stop_sequence": None,
            "usage": ANTHROPIC_USAGE,
        }
        if request.get("stream"):
            self._send_events(list(_anthropic_events(whole)))
        else:
            self._answer(200, whole)

    def _send_events(self, events: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(ConnectionError):
            for event in events:
                data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                self.wfile.write(data.encode())
                self.wfile.flush()


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return next((part["text"] for part in content if part.get("type") == "text"), "")


def _anthropic_events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of a streamed message. Source: https://docs.anthropic.com/en/api/messages-streaming"""
    usage = ANTHROPIC_USAGE | {"output_tokens": 1}
    begun = whole | {"content": [], "stop_reason": None, "usage": usage}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty, first = {"type": "text", "text": ""}, block["text"][:2]
            deltas = [{"type": "text_delta", "text": text} for text in (first, block["text"][2:])]
        else:
            empty = block | {"input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": part}
                for part in ('{"city":', ' "Paris"}')
            ]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 3}}
    yield {"type": "message_stop"}


@contextlib.contextmanager
def model_server() -> Iterator[str]:
    """Yield the address of a running server; OpenAI's interface is below `/v1`."""
    handler = type("Handler", (ModelHandler,), {"failed_once": set(), "received": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
