"""Traces while they run: what their spans share, and when which record goes to the writer or the recorder.

No lock is taken here. What the writing thread calls says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tracestore import ids
from tracestore.capture import environment
from tracestore.capture.context import RemoteParent
from tracestore.capture.processing import PROCESSORS
from tracestore.capture.span import LiveSpan, clock
from tracestore.entities.trace import NAME_KEY, TraceState
from tracestore.redaction import policy
from tracestore.storage.record_rows import SpanRecord, TraceRecord, size_bytes
from tracestore.storage.spool import Kept
from tracestore.storage.writer import Writer
from tracestore.summary.preview import request_preview, response_preview
from tracestore.summary.usage import Usage


class LiveTrace:
    """A trace that is being recorded. Belongs to no thread: fields are set whole, never mended in place.

    Attributes:
        writer: Where its records go.
        offset_ns: What turns the monotonic clock into nanoseconds since 1970. Taken once a trace, so that
            no duration is wrong because the wall clock was set meanwhile.
        open_spans: Spans by id that have not ended.
        announced: Whether the writer has been told of it.
        looked_up: Models and costs of spans that have ended, by span id. The writing thread's.
        remote: The span of another process that the root is below; the trace as a whole is that process's.
        foreign: Ids of running spans with attributes of other libraries' conventions.
    """

    __slots__ = (
        "_clean",
        "_end_ns",
        "_is_queued",
        "_key",
        "_left_over",
        "_unkept",
        "_written_open",
        "announced",
        "client_request_id",
        "experiment",
        "foreign",
        "live",
        "looked_up",
        "metadata",
        "name",
        "offset_ns",
        "on_end",
        "open_spans",
        "remote",
        "reporting",
        "request_preview",
        "response_preview",
        "root",
        "state",
        "tags",
        "trace_id",
        "writer",
    )

    def __init__(
        self,
        writer: Writer,
        live: dict[str, Any],
        experiment: int | str,
        metadata: dict[str, str],
        tags: dict[str, str],
        remote: RemoteParent | None = None,
    ) -> None:
        self.writer = writer
        self.live = live
        self.experiment = experiment
        self.metadata = metadata
        self.tags = tags
        now_ns = time.time_ns()
        self.offset_ns = now_ns - clock()
        self.remote = remote
        self.trace_id = ids.new_trace_id(now_ns // 1_000_000) if remote is None else remote.trace_id
        self._key = self.trace_id
        self.name: str | None = None
        self.state: str | None = None
        self.client_request_id: str | None = None
        self.request_preview: str | None = None
        self.response_preview: str | None = None
        self.open_spans: dict[str, LiveSpan] = {}
        self.announced = False
        self.foreign: set[str] = set()
        self.root: LiveSpan  # set by `begin`, before anybody else knows the trace
        self.on_end: Any = None
        self._end_ns: int | None = None
        self.reporting: dict[str, Any] = {}
        self.looked_up: dict[str, dict[str, Any]] = {}
        self._left_over: Sequence[tuple[LiveSpan, BaseException | None, int]] = ()
        self._written_open: set[str] = set()
        self._is_queued = False
        self._unkept: dict[str, SpanRecord] = {}
        self._clean: tuple[Any, tuple[dict[str, str], dict[str, str]]] | None = None

    def adopt(self, trace_id: str) -> None:
        """Take over the id that another library gave the trace, before it begins."""
        self.trace_id = self._key = trace_id

    def begin(self, root: LiveSpan) -> None:
        """Take note of the root span, and let the writer watch over the trace from now on."""
        self.root = root
        self.name = root.name
        if self.remote is not None:
            root.parent_id = self.remote.span_id
            if self.trace_id in self.live:  # another part of the same trace runs here too
                self._key = f"{self.trace_id}/{root.span_id}"
        self.live[self._key] = self
        if self.writer.dormant:
            self.writer.rouse()
        root.start_time_ns = (
            clock() + self.offset_ns
        )  # starting the first thread is not the program's time

    @property
    def has_ended(self) -> bool:
        """Whether the root span has ended."""
        return self._end_ns is not None

    def announce(self) -> None:
        """Tell the writer that there is something new of this trace as a whole."""
        self.writer.put(self)
        self.announced = (
            True  # last: where the stack has no room for `put`, the next span tries again
        )

    def changed(self) -> None:
        """Write changes of tags, metadata or state that come after the trace was first written.

        What is queued already is written as it stands then: a million tags one by one are no million records.
        """
        if self.announced and not self._is_queued:
            self._is_queued = True
            self.writer.put(self)

    def span_ended(self, span: LiveSpan, record: SpanRecord, waiting_bytes: int) -> None:
        """Hand over a span that has ended; with the root the trace ends too."""
        span_id = span.span_id
        self.open_spans.pop(span_id, None)
        self._unkept[span_id] = record
        if self.announced and span is not self.root and self._end_ns is None:
            self.writer.put(record, waiting_bytes)  # the usual case first
            return
        if span is not self.root and self.has_ended:
            self.changed()
        try:
            if self.announced or not (self._must_defer() and self.writer.refuse(record)):
                if not self.announced:
                    self.announce()
                self.writer.put(record, waiting_bytes)
            if span is self.root:
                self._end_left_over()
                self._end(span.end_time_ns)
                if self.on_end is not None:
                    self.on_end(self)
        finally:
            if span is self.root:  # also where Ctrl-C came in between: then `close` writes the end
                self._end_ns = span.end_time_ns
        if self.has_ended and not self.open_spans:
            self.live.pop(self._key, None)

    def _must_defer(self) -> bool:
        """Whether the writer is not even to be told of the trace before it has ended, because it has too much to do."""
        return self._end_ns is None and self.writer.must_defer()

    def _end(self, end_ns: int | None) -> None:
        """Have the recorder keep what the file may not hold yet, and tell the writer of the end.

        Only what is kept has ended: were it the other way round, a writer that comes in between would write a trace
        that looks complete and, after a kill, would never get its last spans.
        """
        recorder = self.writer.recorder
        kept, spans = None, self._unkept
        records: tuple[SpanRecord, ...] = ()
        try:
            if recorder is not None:
                if recorder.resource is None:
                    recorder.resource = environment.metadata()  # 1 ms, once a process
                spans, self._unkept = self._unkept, {}
                records = tuple(spans.values())
                kept = recorder.keep(self, self._draft(end_ns), records)
        finally:
            self._end_ns = end_ns
        if not self.writer.refused or not self._deferred(kept, records, spans):
            self.writer.put(kept or self)

    def _deferred(
        self, kept: Kept | None, records: Sequence[SpanRecord], spans: Mapping[str, SpanRecord]
    ) -> bool:
        """Whether the writer gets the trace from the recorder's file, because its queue has not taken all spans.

        Those that are not in the file, as they ended just now or it can't be written, are handed over once more.
        """
        refused = self.writer.refused
        missed = [
            record
            for record in (*spans.values(), *self._unkept.values())
            if refused.pop(record[1], False)
        ]
        in_file = set() if kept is None else {record[1] for record in records}
        count = sum(record[1] in in_file for record in missed)
        if count < len(missed):
            self.announce()
            for record in missed:
                if record[1] not in in_file:
                    self.writer.put(record)
        if kept is None or not count:
            return False
        self.announced = True  # what changes from now on is to be written
        self.writer.defer(kept, count)
        return True

    def keeps(self, span_id: str) -> bool:
        """Whether the recorder will be given this span when the trace ends."""
        return self._end_ns is None and span_id in self._unkept

    def written(self, record: SpanRecord) -> None:
        """The file holds this record: the recorder need not. Called on the writing thread.

        It may be one of a span that was open then and has ended since: the end is not in the file.
        """
        if self._unkept.get(record[1]) is record:
            self._unkept.pop(record[1], None)

    def leave_over(self, span: LiveSpan, exception: BaseException | None) -> None:
        """Put off the end of a span, where the stack has no room for it, until the root span ends."""
        self._left_over = [*self._left_over, (span, exception, clock() + self.offset_ns)]

    def _end_left_over(self) -> None:
        left_over, self._left_over = self._left_over, ()
        for span, exception, end_time_ns in left_over:
            if span.end_time_ns is None:
                if exception is not None:
                    span.record_exception(exception)
                span.end(end_time_ns=end_time_ns)
            else:  # it had ended, but not got as far as the writer
                record = span.record()
                self.span_ended(span, record, size_bytes(record))

    def _used(self) -> Usage:
        """Return what the spans report of tokens and cost. Called on the writing thread."""
        usage = Usage(self.metadata)
        for span_id, span in list(self.reporting.items()):
            if type(span) is not LiveSpan:
                usage.add(span_id, *span)
                continue
            has_ended = span.end_time_ns is not None  # asked first: until then there may be more
            report = (span.ancestors(), *span.used())
            usage.add(span_id, *report)
            if has_ended:
                self.reporting[span_id] = report  # no circle: see `_EndedRoot`
        return usage

    def open_records(self, age_s: float) -> list[Any]:
        """Return records of spans that have been open for `age_s` and are not in the file yet."""
        before_ns = clock() + self.offset_ns - int(age_s * 1e9)
        records: list[Any] = []
        for span in list(self.open_spans.values()):
            if span.start_time_ns <= before_ns and span.span_id not in self._written_open:
                self._written_open.add(span.span_id)
                records.append(span.outline() if PROCESSORS else span.record())
        if records:  # they go first in line: the trace itself may wait further behind
            self.announced = True
            records.insert(0, self)
        return records

    def announce_open(self) -> None:
        """Have the trace and its open spans written as they stand."""
        for record in self.open_records(0.0) or [self]:
            self.writer.put(record, 0 if record is self else size_bytes(record))
        self.announced = True

    def set_tag(self, key: str, value: str) -> None:
        """Set a tag; `mlflow.traceName` renames the trace."""
        self.set_tags({key: value})
        self.changed()

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags of a copy that is the trace's from now on; tell the writer by `changed`."""
        name = tags.pop(NAME_KEY, None)
        if name is not None:
            self.name = name
        self.tags.update(tags)

    def delete_tag(self, key: str) -> bool:
        """Delete a tag; False where there is none of that name. One that is written stays in the file."""
        return self.tags.pop(key, None) is not None

    def snapshot(self) -> TraceRecord:
        """Return the trace as a whole as it stands. Called on the writing thread."""
        self._is_queued = False  # before anything is read: what changes from now on is queued again
        root = self.root
        usage = self._used()
        inputs, outputs = root.inputs_json, root.outputs_json
        if PROCESSORS and self._end_ns is None:
            inputs = outputs = None  # span processors have not seen it
        elif self._end_ns is None:  # else it is clean already
            inputs, outputs = policy.clean_payload(inputs), policy.clean_payload(outputs)
        draft = self._draft(self._end_ns)
        if self._end_ns is not None and type(root) is LiveSpan:
            self.root = _EndedRoot(root)  # type: ignore[assignment]  # what is asked of it from now on
        return draft._replace(
            usage=usage.tokens(),
            cost=usage.cost(),
            request_preview=self.request_preview or request_preview(inputs),
            response_preview=self.response_preview or response_preview(outputs),
            metadata={**environment.metadata(), **draft.metadata},
        )

    def _draft(self, end_ns: int | None) -> TraceRecord:
        """Return the trace as it stands, ended at `end_ns`, without what is derived or the same for all: 1 µs."""
        start_ns = self.root.start_time_ns
        return TraceRecord(
            self.trace_id,
            self.experiment,
            start_ns // 1_000_000,
            None if self.remote is not None and end_ns is None else self.name,
            self._status(end_ns),
            None if end_ns is None else (end_ns - start_ns) // 1_000_000,
            self.client_request_id,
            {},
            {},
            self.request_preview,
            self.response_preview,
            *self._texts(),
            self.remote is not None,
        )

    def _texts(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return tags and metadata with secrets replaced; they are looked through again where they changed."""
        said = dict(self.tags), dict(self.metadata), policy.is_on
        known = self._clean
        if known is None or known[0] != said:
            known = self._clean = said, policy.clean_both(said[0], said[1])
        return known[1]

    def _status(self, end_ns: int | None) -> str:
        if end_ns is None:
            return TraceState.IN_PROGRESS.value
        if self.state is not None:
            return self.state
        return "ERROR" if self.root.failed else "OK"


class _EndedRoot:
    """What a trace keeps of its root span once that has ended and is on its way to the file.

    Not the span: it knows its trace, and what goes in a circle stays in memory, payloads and all, until garbage
    collection looks for it: 22 MB of 66 while traces were recorded as fast as they could be.
    """

    __slots__ = ("failed", "inputs_json", "outputs_json", "start_time_ns")

    def __init__(self, span: LiveSpan) -> None:
        self.start_time_ns = span.start_time_ns
        self.failed = span.failed
        self.inputs_json = span.inputs_json
        self.outputs_json = span.outputs_json
