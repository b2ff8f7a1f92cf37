"""OTLP files: JSON lines (the collector's file format), one JSON document, protobuf.

Knows no store. What is no span is left out and counted; a line that is no OTLP is an error that names it.
"""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tracestore.errors import StoreError
from tracestore.importing.batch import Batch
from tracestore.otlp.gathering import Gathering
from tracestore.otlp.incoming import understand
from tracestore.otlp.messages import from_json, from_protobuf
from tracestore.otlp.reading import foreign_spans
from tracestore.runtime import runtime

#: Spans of one batch, about, and the largest file that is read as one document, in bytes.
SPANS_PER_BATCH = 2_000
MAX_DOCUMENT_BYTES = 1024**3


def recognises(path: str, beginning: bytes) -> bool:
    """Whether the file begins like OTLP."""
    del path
    start = beginning.lstrip()[:4096]
    if start.startswith(b"{"):
        return b'"resourceSpans"' in start or b'"resource_spans"' in start
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

    def batches(self, known: Callable[[Sequence[str]], set[str]]) -> Iterator[Batch]:
        """Yield the file in parts. A trace may be spread over it: its row is made again with each part."""
        gathering = Gathering(runtime.recording_experiment, {})
        present: set[str] = set()
        for data in self._messages():
            spans = list(foreign_spans(data))
            found = [span for span in spans if span is not None]
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
            )
        unfinished = gathering.unfinished()
        if unfinished:
            yield Batch(0, 0, [trace.snapshot() for trace in unfinished], [])

    def _messages(self) -> Iterator[dict[str, Any]]:
        path = pathlib.Path(self._path)
        with path.open("rb") as file:
            if file.read(1) == b"\x0a":
                yield self._whole(path, from_protobuf)
                return
        with path.open("rb") as file:
            first = file.readline()
            try:
                yield from_json(first)
            except StoreError:
                if file.readline():  # more than one line: one document, spread out
                    yield self._whole(path, from_json)
                    return
                raise
            for number, line in enumerate(file, 2):
                if line.strip():
                    yield self._line(number, line)

    def _whole(self, path: pathlib.Path, read: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise StoreError(f"{path} is one document of more than {MAX_DOCUMENT_BYTES} bytes")
        return read(path.read_bytes())

    def _line(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            return from_json(line)
        except StoreError as error:
            raise StoreError(f"line {number} of {self._path}: {error}") from error

    def close(self) -> None:
        """Nothing is open between two batches."""
