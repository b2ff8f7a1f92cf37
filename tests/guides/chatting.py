"""What the chat and feedback services of three guides have in common, as seen by a client over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

JANE = {
    "X-Request-ID": "req-abc-123-xyz-789",
    "X-Session-ID": "session-def-456-uvw-012",
    "X-User-ID": "user-jane-doe-12345",
}


def chat(url: str, message: str, headers: dict[str, str] | None = None) -> Any:
    """Post a message to a chat service; return its answer."""
    answer = httpx.post(f"{url}/chat", json={"message": message}, headers=headers or {}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def chat_at_once(url: str, count: int) -> None:
    """Post messages number 0 to `count` - 1 from as many threads."""

    def send(number: int) -> None:
        said = chat(
            url,
            f"message {number}",
            {
                "X-Request-ID": f"req-{number}",
                "X-Session-ID": f"session-{number % 5}",
                "X-User-ID": f"user-{number % 10}",
            },
        )
        assert said == {"response": f"Processed message: 'message {number}'"}

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(send, range(count)))


def judge(
    url: str, request_id: str, is_correct: bool, comment: str | None = None, user: str = ""
) -> Any:
    """Post feedback on a request to a feedback service; return its answer."""
    answer = httpx.post(
        f"{url}/chat_feedback",
        params={"client_request_id": request_id},
        json={"is_correct": is_correct, "comment": comment},
        headers={"X-User-ID": user} if user else {},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()
