"""Spans that come one by one, in any order, gathered into traces.

A trace's row is made of all of its spans that have come so far, and made again when more come. It is in
progress until its root is there, or until nothing more can come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tracestore.encoding import text_of
from tracestore.entities.trace import NAME_KEY, SESSION_KEY, USER_KEY
from tracestore.otlp.incoming import RESOURCE_KEY, Understood
from tracestore.redaction import policy
from tracestore.storage.record_rows import TraceRecord
from tracestore.summary.preview import request_preview, response_preview
from tracestore.summary.usage import Usage


class GatheredTrace:
    """What is known of one trace. Also a source of records for the writer."""

    def __init__(self, trace_id: str, experiment: int | str, metadata: Mapping[str, str]) -> None:
        self.trace_id = trace_id
        self._experiment = experiment
        self._metadata = dict(metadata)
        self._spans: dict[str, Understood] = {}
        #: Whether nothing more can come.
        self.is_whole = False

    def add(self, span: Understood) -> None:
        """Take note of a span; what matters of it is kept, its payload is not, unless it is the root's."""
        kept = span if span.is_root or not self._spans else span._replace(inputs=None, outputs=None)
        self._spans[span.span_id] = kept._replace(record=(), resource=None)
        if span.trace.get("metadata"):
            self._metadata.update(_texts(span.trace["metadata"]))
        if span.resource is not None:
            self._metadata.setdefault(RESOURCE_KEY, span.resource)
        for key, value in ((SESSION_KEY, span.session), (USER_KEY, span.user)):
            if value is not None:
                self._metadata.setdefault(key, value)

    def _root(self) -> Understood:
        spans = self._spans.values()
        roots = [span for span in spans if span.parent_id is None] or [
            span for span in spans if span.is_root or span.parent_id not in self._spans
        ]
        return min(roots or spans, key=lambda span: span.start_time_ns)

    #: Nothing: what is imported has its costs among its attributes.
    looked_up: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - never changed

    def snapshot(self) -> TraceRecord:
        """Return the trace as a whole as it stands."""
        root = self._root()
        said = root.trace
        ended = root.end_time_ns is not None and (root.is_root or self.is_whole)
        start_ns = (
            root.start_time_ns if ended else min(s.start_time_ns for s in self._spans.values())
        )
        usage = self._usage()
        return TraceRecord(
            trace_id=self.trace_id,
            experiment=self._experiment,
            start_time_ms=start_ns // 1_000_000,
            name=text_of(said.get("name") or root.name),
            status=_status(said, root) if ended else "IN_PROGRESS",
            duration_ms=((root.end_time_ns or 0) - root.start_time_ns) // 1_000_000
            if ended
            else None,
            client_request_id=_optional(said.get("client_request_id")),
            usage=usage.tokens(),
            cost=usage.cost(),
            request_preview=policy.clean_preview(_optional(said.get("request_preview")))
            or request_preview(root.inputs),
            response_preview=policy.clean_preview(_optional(said.get("response_preview")))
            or response_preview(root.outputs),
            tags=policy.clean_texts(self._tags()),
            metadata=policy.clean_texts(self._metadata),
        )

    def _tags(self) -> dict[str, str]:
        tags: dict[str, str] = {}
        for span in self._spans.values():
            tags.update(span.tags)
            tags.update(_texts(span.trace.get("tags") or {}))
        tags.pop(NAME_KEY, None)
        return tags

    def _usage(self) -> Usage:
        usage = Usage(self._metadata)
        for span in self._spans.values():
            if span.usage is not None or span.cost is not None:
                usage.add(span.span_id, frozenset(self._ancestors(span)), span.usage, span.cost)
        return usage

    def _ancestors(self, span: Understood) -> Iterator[str]:
        seen: set[str] = set()
        above = self._spans.get(span.parent_id or "")
        while above is not None and above.span_id not in seen:  # hostile files have circles
            seen.add(above.span_id)
            yield above.span_id
            above = self._spans.get(above.parent_id or "")


class Gathering:
    """Traces by id, the ones that changed last kept, up to `limit`."""

    def __init__(
        self, experiment: int | str, metadata: Mapping[str, str], limit: int | None = None
    ) -> None:
        self._experiment = experiment
        self._metadata = metadata
        self._limit = limit
        self._traces: OrderedDict[str, GatheredTrace] = OrderedDict()

    def __contains__(self, trace_id: str) -> bool:
        return trace_id in self._traces

    def add(self, spans: Iterable[Understood]) -> list[GatheredTrace]:
        """Take note of spans; return the traces they belong to."""
        changed: dict[str, GatheredTrace] = {}
        for span in spans:
            trace_id = span.record[0]
            trace = self._traces.get(trace_id)
            if trace is None:
                trace = self._traces[trace_id] = GatheredTrace(
                    trace_id, self._experiment, self._metadata
                )
            self._traces.move_to_end(trace_id)
            trace.add(span)
            changed[trace_id] = trace
        while self._limit is not None and len(self._traces) > self._limit:
            self._traces.popitem(last=False)
        return list(changed.values())

    def unfinished(self) -> list[GatheredTrace]:
        """Return the traces that have no root, which they now do without."""
        found = [t for t in self._traces.values() if t.snapshot().status == "IN_PROGRESS"]
        for trace in found:
            trace.is_whole = True
        return found


def _status(said: Mapping[str, Any], root: Understood) -> str:
    given = said.get("status")
    if given in ("OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED"):
        return str(given)
    return "ERROR" if root.failed else "OK"


def _optional(value: Any) -> str | None:
    return None if value is None else text_of(value)


def _texts(values: Any) -> dict[str, str]:
    if not isinstance(values, Mapping):
        return {}
    return {text_of(key): text_of(value) for key, value in values.items()}


def decode_texts(text: str | None) -> dict[str, Any]:
    """Return a JSON object that is kept as text; {} where it is none."""
    try:
        value = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeError):
        return {}
    return value if isinstance(value, dict) else {}
