"""Sending OTLP messages over HTTP: protobuf or JSON, gzip, retries with back-off, what was accepted.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (the OTEL_EXPORTER_OTLP_… variables)
"""

from __future__ import annotations

import base64
import email.utils
import gzip
import http.client
import logging
import os
import random
import re
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tracestore.errors import InvalidArgumentError, StoreError, TracestoreError
from tracestore.otlp.messages import from_json, from_protobuf, halves, to_json, to_protobuf
from tracestore.settings import masked

log = logging.getLogger("tracestore")

#: Statuses after which the same request may succeed. Source: the specification's list.
_RETRYABLE = frozenset({408, 429, 502, 503, 504})

#: First and longest pause between two tries, in seconds; tries in all.
FIRST_PAUSE_S, LONGEST_PAUSE_S, TRIES = 0.5, 30.0, 6

#: The longest pause that a receiver is granted when it asks for one (`Retry-After`), in seconds.
LONGEST_WAIT_S = 300.0

#: The status of a request that is too large: its halves may not be.
_TOO_LARGE = 413

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
        client_certificate: A file with the certificate of this side, None for none.
        client_key: A file with its key, None where it is in the same file.
    """

    url: str
    headers: Mapping[str, str]
    as_json: bool = False
    compress: bool = True
    timeout_s: float = 10.0
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


def target(
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    protocol: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Target:
    """Return where to send: what is given, else what the OTEL_EXPORTER_OTLP_… variables say.

    Raises:
        InvalidArgumentError: There is no URL, or it is none of HTTP, or the protocol or a header is none.
    """
    environment = os.environ if environment is None else environment

    def setting(name: str) -> str | None:
        return environment.get(f"{_PREFIX}TRACES_{name}") or environment.get(_PREFIX + name)

    exact = environment.get(f"{_PREFIX}TRACES_ENDPOINT") if url is None else None
    base = environment.get(f"{_PREFIX}ENDPOINT") if url is None else None
    if exact:
        url = exact
    elif base:
        url = base.rstrip("/") + "/v1/traces"
    parts = _parts(url)
    if parts.path in ("", "/"):  # the variable for traces alone says where exactly
        parts = parts._replace(path="/" if exact else "/v1/traces")
    given = setting("PROTOCOL")
    protocol = protocol or given or "http/protobuf"
    if protocol not in ("http/protobuf", "http/json"):
        raise InvalidArgumentError(
            f"protocol is {protocol!r}{f', from {_PREFIX}PROTOCOL' if protocol == given else ''}; "
            "it must be http/protobuf or http/json (gRPC is not spoken)"
        )
    return Target(
        parts.geturl(),
        _checked({**_headers(setting("HEADERS") or ""), **(headers or {})}),
        protocol == "http/json",
        (setting("COMPRESSION") or "gzip") != "none",
        _timeout_s(setting("TIMEOUT")),
        setting("CERTIFICATE"),
        setting("CLIENT_CERTIFICATE"),
        setting("CLIENT_KEY"),
    )


def _parts(url: str | None) -> urllib.parse.SplitResult:
    """Return the parts of a receiver's URL."""
    try:
        parts = urllib.parse.urlsplit(url or "")
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # of the host or the port
        pass
    named = "no receiver is named" if url is None else f"the receiver is {masked(url)!r}"
    raise InvalidArgumentError(
        f"{named}; pass a URL such as http://localhost:4318, or set {_PREFIX}ENDPOINT"
    )


def _headers(text: str) -> dict[str, str]:
    """Return `key=value,key=value` as a dictionary; values are percent-encoded."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {key.strip(): urllib.parse.unquote(value.strip()) for key, _, value in pairs}


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers as they are; raise where one can't be sent. Its value may be a key: it is not said."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidArgumentError(
                f"header {name!r} can't be sent; HTTP takes no spaces in names, no line ends and only Latin-1 in values"
            )
    return headers


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
        sleep: Callable[[float], object] = time.sleep,
        tries: int = TRIES,
        failed: Callable[[Failure], None] | None = None,
    ) -> None:
        self._to = to
        self._sleep = sleep
        self._tries = tries
        self._failed = failed
        self._connection: http.client.HTTPConnection | None = None
        #: How many requests were made, tries of one counted once.
        self.requests = 0

    def send(self, message: Mapping[str, Any]) -> int:
        """Send a TracesData; return how many of its spans the receiver says it rejected.

        What is too large for the receiver is sent in halves; a single span that is too large is rejected.

        Raises:
            RefusedError: The receiver refused it, or every try failed.
            InvalidArgumentError: A certificate can't be read.
        """
        self.requests += 1
        body = to_json(message) if self._to.as_json else to_protobuf(message)
        headers = self._headers()
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
                if status == _TOO_LARGE:
                    return self._send_halves(message)
                if status not in _RETRYABLE:
                    raise RefusedError(f"{url} refused the spans: {failure}")
            except ssl.SSLCertVerificationError as error:
                raise RefusedError(f"{url} is not trusted: {error}") from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                failure = str(error) or type(error).__name__
            if number < self._tries:
                spread = random.uniform(0.8, 1.2)  # noqa: S311 - spreads tries
                pause_s = min(wait_s or _pause_s(number) * spread, LONGEST_WAIT_S)
                if self._failed is not None:
                    later = sum(_pause_s(later) for later in range(number + 1, self._tries))
                    tries_s = (time.monotonic() - began_s) * (self._tries - number)
                    rest_s = pause_s + later + tries_s
                    self._failed(Failure(url, failure, number, self._tries, pause_s, rest_s))
                self._sleep(pause_s)
        raise RefusedError(
            f"{url} could not be reached in {self._tries} tries, the last: {failure}"
        )

    def _headers(self) -> dict[str, str]:
        kind = "application/json" if self._to.as_json else "application/x-protobuf"
        headers = {**self._to.headers, "Content-Type": kind}
        parts = urllib.parse.urlsplit(self._to.url)
        if parts.username is not None and "authorization" not in map(str.lower, headers):
            pair = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return headers

    def _send_halves(self, message: Mapping[str, Any]) -> int:
        parts = halves(message)
        if not parts:
            log.warning("%s has no room for one span; it is left out", masked(self._to.url))
        return sum(map(self.send, parts)) if parts else 1

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, float | None]:
        connection = self._connection = self._connection or self._connect()
        parts = urllib.parse.urlsplit(self._to.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        answer = response.read(_MAX_ANSWER_BYTES)
        if response.length and len(answer) < _MAX_ANSWER_BYTES:
            raise http.client.IncompleteRead(answer, response.length)
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, answer, _retry_after_s(response.headers.get("Retry-After"))

    def _connect(self) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self._to.url)
        host = str(parts.hostname)
        if parts.scheme == "https":
            context = self._trust()
            return http.client.HTTPSConnection(
                host, parts.port, timeout=self._to.timeout_s, context=context
            )
        return http.client.HTTPConnection(host, parts.port, timeout=self._to.timeout_s)

    def _trust(self) -> ssl.SSLContext:
        to = self._to
        try:
            context = ssl.create_default_context(cafile=to.certificate)
            if to.client_certificate:
                context.load_cert_chain(to.client_certificate, to.client_key)
        except OSError as error:  # also of what is no certificate
            files = ", ".join(filter(None, (to.certificate, to.client_certificate, to.client_key)))
            raise InvalidArgumentError(
                f"the certificates can't be read ({error}): {files}; they are named by "
                f"{_PREFIX}CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY"
            ) from error
        return context

    def _rejected(self, answer: bytes) -> int:
        """Return how many spans a success still rejects, and log what it says of them."""
        try:
            read = from_json if self._to.as_json else from_protobuf
            partial = (read(answer, "Response") if answer else {}).get("partialSuccess") or {}
        except StoreError:  # an answer of another kind says nothing
            return 0
        rejected = int(partial.get("rejectedSpans", 0))
        if rejected or partial.get("errorMessage"):
            log.warning(
                "%s rejected %d spans: %.300s",
                masked(self._to.url),
                rejected,
                partial.get("errorMessage", ""),
            )
        return rejected

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
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())
