"""Sending OTLP messages over HTTP: protobuf or JSON, gzip, retries with back-off, what was accepted.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (the OTEL_EXPORTER_OTLP_… variables)
"""

from __future__ import annotations

import email.utils
import gzip
import http.client
import os
import random
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tracestore.errors import InvalidArgumentError, StoreError, TracestoreError
from tracestore.otlp.messages import from_protobuf, to_json, to_protobuf
from tracestore.settings import masked

#: Statuses after which the same request may succeed. Source: the specification's list.
_RETRYABLE = frozenset({408, 429, 502, 503, 504})

#: First and longest pause between two tries, in seconds; tries in all.
FIRST_PAUSE_S, LONGEST_PAUSE_S, TRIES = 0.5, 30.0, 6

#: How much of an answer is read, in bytes.
_MAX_ANSWER_BYTES = 1024 * 1024

_PREFIX = "OTEL_EXPORTER_OTLP_"


class RefusedError(TracestoreError):
    """The receiver refused what was sent, or could not be reached in time."""


class Target(NamedTuple):
    """Where messages go.

    Attributes:
        url: Of the receiver, with its path.
        headers: Sent with each request.
        as_json: JSON instead of protobuf.
        compress: With gzip.
        timeout_s: Of one request.
        certificate: A file of certificates to trust, None for the system's.
    """

    url: str
    headers: Mapping[str, str]
    as_json: bool = False
    compress: bool = True
    timeout_s: float = 10.0
    certificate: str | None = None


def target(
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    protocol: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Target:
    """Return where to send: what is given, else what the OTEL_EXPORTER_OTLP_… variables say.

    Raises:
        InvalidArgumentError: There is no URL, or it is none of HTTP, or the protocol is another.
    """
    environment = os.environ if environment is None else environment

    def setting(name: str) -> str | None:
        return environment.get(f"{_PREFIX}TRACES_{name}") or environment.get(_PREFIX + name)

    if url is None:
        url = environment.get(f"{_PREFIX}TRACES_ENDPOINT")
        base = environment.get(f"{_PREFIX}ENDPOINT")
        if not url and base:
            url = base.rstrip("/") + "/v1/traces"
    parts = urllib.parse.urlsplit(url or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        named = "no receiver is named" if url is None else f"the receiver is {masked(url)!r}"
        raise InvalidArgumentError(
            f"{named}; pass a URL such as http://localhost:4318, or set {_PREFIX}ENDPOINT"
        )
    if parts.path in ("", "/"):
        parts = parts._replace(path="/v1/traces")
    protocol = protocol or setting("PROTOCOL") or "http/protobuf"
    if protocol not in ("http/protobuf", "http/json"):
        raise InvalidArgumentError(
            f"protocol is {protocol!r}; it must be http/protobuf or http/json"
        )
    return Target(
        parts.geturl(),
        {**_headers(setting("HEADERS") or ""), **(headers or {})},
        protocol == "http/json",
        (setting("COMPRESSION") or "gzip") != "none",
        _timeout_s(setting("TIMEOUT")),
        setting("CERTIFICATE"),
    )


def _headers(text: str) -> dict[str, str]:
    """Return `key=value,key=value` as a dictionary; values are percent-encoded."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {key.strip(): urllib.parse.unquote(value.strip()) for key, _, value in pairs}


def _timeout_s(text: str | None) -> float:
    """Return the specification's milliseconds as seconds; 10 where there is no such number."""
    try:
        return max(0.001, float(text or "10000") / 1000)
    except ValueError:
        return 10.0


class Failure(NamedTuple):
    """One try that failed, after which there is another.

    Attributes:
        url: Where to, without credentials.
        reason: What went wrong.
        number: Which try it was, from 1 on.
        tries: How many there are at most.
        pause_s: Until the next one, in seconds.
        rest_s: Until the last one has failed, about, in seconds.
    """

    url: str
    reason: str
    number: int
    tries: int
    pause_s: float
    rest_s: float


class Sender:
    """A connection to one receiver. Belongs to one thread; use it in a `with` block.

    Args:
        to: The receiver.
        sleep: Waits for so many seconds.
        tries: How often a request is tried.
        failed: Told of each try that failed, but the last.
    """

    def __init__(
        self,
        to: Target,
        sleep: Callable[[float], None] = time.sleep,
        tries: int = TRIES,
        failed: Callable[[Failure], None] | None = None,
    ) -> None:
        self._to = to
        self._sleep = sleep
        self._tries = tries
        self._failed = failed
        self._connection: http.client.HTTPConnection | None = None

    def send(self, message: Mapping[str, Any]) -> int:
        """Send a TracesData; return how many of its spans the receiver says it rejected.

        Raises:
            RefusedError: The receiver refused it, or every try failed.
        """
        body = to_json(message) if self._to.as_json else to_protobuf(message)
        headers = {
            **self._to.headers,
            "Content-Type": "application/json" if self._to.as_json else "application/x-protobuf",
        }
        if self._to.compress:
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        url = masked(self._to.url)
        for number in range(1, self._tries + 1):
            failure, wait_s = "", None
            began_s = time.monotonic()
            try:
                status, answer, wait_s = self._post(body, headers)
                if 200 <= status < 300:
                    return self._rejected(answer)
                failure = f"HTTP {status}: {answer[:300].decode('utf-8', 'replace')}"
                if status not in _RETRYABLE:
                    raise RefusedError(f"{url} refused the spans: {failure}")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                failure = str(error) or type(error).__name__
            if number < self._tries:
                spread = random.uniform(0.8, 1.2)  # noqa: S311 - spreads tries
                pause_s = min(wait_s or _pause_s(number) * spread, LONGEST_PAUSE_S)
                if self._failed is not None:
                    later = sum(_pause_s(later) for later in range(number + 1, self._tries))
                    tries_s = (time.monotonic() - began_s) * (self._tries - number)
                    rest_s = pause_s + later + tries_s
                    self._failed(Failure(url, failure, number, self._tries, pause_s, rest_s))
                self._sleep(pause_s)
        raise RefusedError(
            f"{url} could not be reached in {self._tries} tries, the last: {failure}"
        )

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, float | None]:
        connection = self._connection = self._connection or self._connect()
        parts = urllib.parse.urlsplit(self._to.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        answer = response.read(_MAX_ANSWER_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, answer, _retry_after_s(response.headers.get("Retry-After"))

    def _connect(self) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self._to.url)
        host = str(parts.hostname)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self._to.certificate)
            return http.client.HTTPSConnection(
                host, parts.port, timeout=self._to.timeout_s, context=context
            )
        return http.client.HTTPConnection(host, parts.port, timeout=self._to.timeout_s)

    def _rejected(self, answer: bytes) -> int:
        """Return how many spans a success still rejects."""
        if not answer or self._to.as_json:
            return 0
        try:
            partial = from_protobuf(answer, "Response").get("partialSuccess") or {}
        except StoreError:  # an answer that is no protobuf says nothing
            return 0
        return int(partial.get("rejectedSpans", 0))

    def close(self) -> None:
        """Close the connection; the next `send` opens one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Sender:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pause_s(number: int) -> float:
    """Return the pause after a try, from 1 on."""
    return float(min(FIRST_PAUSE_S * 2 ** (number - 1), LONGEST_PAUSE_S))


def _retry_after_s(text: str | None) -> float | None:
    """Return the header's seconds, or seconds until its date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())
