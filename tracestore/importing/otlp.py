"""OTLP files: JSON lines and sized protobuf messages (the collector's file formats), one JSON document, protobuf.

Knows no store. What is no span is left out and counted; a line that is no OTLP is an error that names it.
Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
"""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from tracestore.errors import StoreError
from tracestore.importing.batch import Batch
from tracestore.otlp.gathering import Gathering
from tracestore.otlp.incoming import ForeignSpan, understand
from tracestore.otlp.messages import from_json, from_protobuf, read_size
from tracestore.otlp.reading import foreign_spans
from tracestore.runtime import runtime

#: Spans of one transaction, about.
SPANS_PER_BATCH = 2_000

#: The longest message that is read, a line, a document or one resource's spans, in bytes.
MAX_MESSAGE_BYTES = 128 * 1024 * 1024


def recognises(path: str, beginning: bytes) -> bool:
    """Whether the file begins like OTLP."""
    del path
    start = beginning.lstrip()[:4096]
    if start.startswith(b"{"):
        return b'"resourceSpans"' in start or b'"resource_spans"' in start
    if beginning[:1] == b"\0":  # a size, big-endian, and then the message
        beginning = beginning[4:]
    # Field 1 of TracesData, and in it field 1 (resource) or 2 (scopeSpans) of ResourceSpans.
    return beginning[:1] == b"\x0a" and any(byte in beginning[2:7] for byte in (0x0A, 0x12))


def open_source(path: str) -> OtlpFile:
    """Return the file at `path`."""
    return OtlpFile(path)


class OtlpFile:
    """An OTLP file; see `batch.Source`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.total: int | None = None
        self._resources: dict[str, Mapping[str, Any]] = {}

    def batches(self, known: Callable[[Sequence[str]], set[str]]) -> Iterator[Batch]:
        """Yield the file in parts. A trace may be spread over it: its row is made again with each part."""
        gathering = Gathering(runtime.recording_experiment, {})
        present: set[str] = set()
        for spans in self._spans():
            found = [self._of_resource(span) for span in spans if span is not None]
            skipped = Counter({"spans without valid ids or times": len(spans) - len(found)})
            new = {f"tr-{span.trace_id}" for span in found} - present
            new = {trace_id for trace_id in new if trace_id not in gathering}
            there = known(sorted(new))
            present |= there
            understood = [understand(s) for s in found if f"tr-{s.trace_id}" not in present]
            changed = gathering.add(understood)
            yield Batch(
                seen=len(new),
                present=len(there),
                traces=[trace.snapshot() for trace in changed],
                spans=[span.record for span in understood],
                skipped={reason: count for reason, count in skipped.items() if count},
                rewritten=len(changed) - (len(new) - len(there)),
            )
        unfinished = gathering.unfinished()
        if unfinished:
            traces = [trace.snapshot() for trace in unfinished]
            yield Batch(0, 0, traces, [], rewritten=len(traces))

    def _of_resource(self, span: ForeignSpan) -> ForeignSpan:
        """Return a span that says what emitted it, where that is not what emitted its trace's first one."""
        first = self._resources.setdefault(span.trace_id, span.resource)
        if span.resource == first:
            return span
        return span._replace(details={**span.details, "resource": dict(span.resource)})

    def _spans(self) -> Iterator[list[ForeignSpan | None]]:
        """Yield the file's spans, those of many short messages together."""
        spans: list[ForeignSpan | None] = []
        for message in self._messages():
            spans += foreign_spans(message)
            if len(spans) >= SPANS_PER_BATCH:
                yield spans
                spans = []
        if spans:
            yield spans

    def _messages(self) -> Iterator[dict[str, Any]]:
        with pathlib.Path(self._path).open("rb") as file:
            first = file.peek(1)[:1]
            if first == b"\x0a":
                yield from self._protobuf(file)
            elif first == b"\0":
                yield from self._sized_protobuf(file)
            else:
                yield from self._json(file)

    def _protobuf(self, file: BinaryIO) -> Iterator[dict[str, Any]]:
        """Yield a TracesData in parts: the spans of one resource each."""
        while tag := file.read(1):
            if tag != b"\x0a":
                raise StoreError(
                    f"byte {file.tell() - 1:,} of {self._path} begins no spans of OTLP"
                )
            size_bytes = read_size(file)
            yield {"resourceSpans": [from_protobuf(self._take(file, size_bytes), "ResourceSpans")]}

    def _sized_protobuf(self, file: BinaryIO) -> Iterator[dict[str, Any]]:
        """Yield messages that have their size before them, in four bytes."""
        while head := file.read(4):
            yield from_protobuf(self._take(file, int.from_bytes(head, "big")))

    def _take(self, file: BinaryIO, size_bytes: int) -> bytes:
        self._check_size(file, size_bytes)
        data = file.read(size_bytes)
        if len(data) < size_bytes:
            raise StoreError(f"{self._path} ends within a message; it is not whole")
        return data

    def _check_size(self, file: BinaryIO, size_bytes: int) -> None:
        if size_bytes > MAX_MESSAGE_BYTES:
            raise StoreError(
                f"{self._path} has a message of more than {MAX_MESSAGE_BYTES:,} bytes before byte "
                f"{file.tell():,}; write it in parts, one message a line"
            )

    def _json(self, file: BinaryIO) -> Iterator[dict[str, Any]]:
        number = 0
        while line := file.readline(MAX_MESSAGE_BYTES + 1):
            number += 1
            self._check_size(file, len(line))
            if not line.strip():
                continue
            try:
                yield from_json(line)
            except StoreError as error:
                rest = file.read(MAX_MESSAGE_BYTES + 1 - len(line)) if number == 1 else b""
                if not rest:
                    raise StoreError(f"line {number} of {self._path}: {error}") from error
                self._check_size(file, len(line) + len(rest))
                yield from_json(line + rest)  # one document, spread out

    def close(self) -> None:
        """Nothing is open between two batches."""
