"""Spans while they run: the context variable, live spans, live traces.

What a span holds is encoded on the thread that sets it, so later changes to an argument don't change the
record; when it ends it becomes a tuple of SQLite values and goes to the writer. No lock is taken here, and
nothing in here raises into the traced program because of what a user passed, except setters that are given a
status, event or link that can't be.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore import ids
from tracestore.arguments import shown
from tracestore.capture import environment
from tracestore.capture.processing import PROCESSORS, process
from tracestore.conventions.rules import MARKERS
from tracestore.encoding import (
    MAX_PAYLOAD_BYTES,
    attribute_value,
    clean_text,
    encode,
    encode_attributes,
    text_of,
)
from tracestore.entities.span import (
    COST_KEY,
    DESCRIPTION_KEY,
    FUNCTION_KEY,
    INPUTS_KEY,
    LOG_LEVEL_KEY,
    MODEL_KEY,
    OUTPUTS_KEY,
    TRACE_ID_KEY,
    TYPE_KEY,
    USAGE_KEY,
    Link,
    Span,
    SpanEvent,
    SpanLogLevel,
    SpanStatus,
    SpanStatusCode,
    exception_message,
    parse_status_code,
)
from tracestore.entities.trace import NAME_KEY, SESSION_KEY, USER_KEY, TraceState
from tracestore.errors import InvalidArgumentError
from tracestore.ids import NO_OP_TRACE_ID
from tracestore.redaction import policy
from tracestore.storage.record_rows import SpanRecord, TraceRecord, size_bytes
from tracestore.storage.spool import Kept
from tracestore.storage.writer import Writer
from tracestore.summary.calls import what_was_called
from tracestore.summary.preview import request_preview, response_preview
from tracestore.summary.usage import Usage

log = logging.getLogger("tracestore")

#: The innermost span that runs in this context: a LiveSpan, a NoOpSpan, or None.
current: contextvars.ContextVar[LiveSpan | NoOpSpan | None] = contextvars.ContextVar(
    "tracestore_current_span", default=None
)

#: The trace whose root ended last in this context.
last_trace_id: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "tracestore_last_trace_id", default=None
)

_clock = time.perf_counter_ns
_new_span_id = ids.new_span_id


class RemoteParent(NamedTuple):
    """A span of another process that spans of this one are recorded under."""

    trace_id: str
    span_id: str


class _Outside:
    """A library with a context of its own (OpenTelemetry), where it is in use.

    Attributes:
        find: Given what `current` holds, returns the innermost span of either context. None: there is none.
    """

    __slots__ = ("find",)

    def __init__(self) -> None:
        self.find: Callable[[LiveSpan | NoOpSpan | None], LiveSpan | NoOpSpan | None] | None = None


outside = _Outside()


def innermost() -> LiveSpan | NoOpSpan | None:
    """Return the innermost span that runs in this context, in whichever library it was started."""
    span = current.get()
    return span if outside.find is None else outside.find(span)


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
        self.offset_ns = now_ns - _clock()
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
            _clock() + self.offset_ns
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
        self._left_over = [*self._left_over, (span, exception, _clock() + self.offset_ns)]

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
        before_ns = _clock() + self.offset_ns - int(age_s * 1e9)
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


class FunctionName(dict[str, Any]):
    """The attributes of a span of which only the function's name is known; shared by its calls, never changed.

    Attributes:
        json: The same as JSON.
    """

    __slots__ = ("json",)

    def __init__(self, name: str) -> None:
        super().__init__({FUNCTION_KEY: clean_text(name)})
        self.json = encode_attributes(dict(self))


class LiveSpan(Span):
    """A span that runs. Made by `start_span`, `trace` and the client; ended by them or by `end`.

    Setters after the end change nothing. Values are encoded when they are set. May be used from any thread.
    """

    __slots__ = ("_error", "_parent", "_trace")

    def __init__(
        self,
        trace: LiveTrace,
        parent: LiveSpan | None,
        name: str,
        span_type: str | None,
        span_id: str | None = None,
    ) -> None:
        # Not Span.__init__: one call less on the hot path.
        self._trace = trace
        self._parent = parent
        self.trace_id = trace.trace_id
        self.span_id = span_id = span_id or _new_span_id()
        self.parent_id = None if parent is None else parent.span_id
        self.name = name
        self.span_type = span_type
        self.end_time_ns = None
        self._status_code = "UNSET"
        self._status_message: str | None = None
        self._error: str | None = None
        self._attributes: dict[str, Any] | None = None
        self._events: list[msgspec.Raw] | None = None
        self._links: list[msgspec.Raw] | None = None
        self._inputs = None
        self._outputs = None
        self.start_time_ns = _clock() + trace.offset_ns
        # Last: from here on the writer's thread may see the span.
        trace.open_spans[span_id] = self

    # ------------------------------------------------------------------------ setters

    def set_inputs(self, inputs: Any) -> None:
        """Record what goes in: any value, encoded at once."""
        if self.end_time_ns is None:
            self._inputs = encode(inputs)

    def set_outputs(self, outputs: Any) -> None:
        """Record what comes out: any value, encoded at once."""
        if self.end_time_ns is None:
            self._outputs = encode(outputs)

    def set_result(self, result: Any) -> None:
        """Record what a function returned, unless its body has set outputs of its own."""
        if self._outputs is None or self._outputs == b"null":
            self.set_outputs(result)

    def set_attribute(self, key: str, value: Any) -> None:
        """Record one attribute: any value, encoded at once. A key that is no text is refused in the log."""
        if self.end_time_ns is not None:
            return
        if type(key) is not str and not isinstance(key, str):
            log.warning("attribute key %r of span %r is ignored: it must be text", key, self.name)
        elif key in _SPECIAL_ATTRIBUTES:
            _SPECIAL_ATTRIBUTES[key](self, value)
        else:
            if self._attributes is None or type(self._attributes) is FunctionName:
                self._attributes = dict(self._attributes or ())
            clean = key if key.isascii() and "\0" not in key else clean_text(key)
            self._attributes[clean] = attribute_value(value)
            if key in _NOTED_ATTRIBUTES:
                _NOTED_ATTRIBUTES[key](self)

    def _reported(self, key: str) -> Any:
        """Return one attribute as it was encoded, None where there is none."""
        value = (self._attributes or {}).get(key)
        return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Record several attributes; anything but a mapping is refused in the log."""
        if type(attributes) is not dict and not isinstance(attributes, Mapping):
            log.warning("attributes of span %r are ignored: they must be a dictionary", self.name)
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_span_type(self, span_type: str | None) -> None:
        """Change the span's type."""
        if self.end_time_ns is None:
            self.span_type = None if span_type is None else text_of(span_type)

    def set_description(self, description: str) -> None:
        """Record free text about the span."""
        self.set_attribute(DESCRIPTION_KEY, description)

    def set_log_level(self, level: SpanLogLevel | str) -> None:
        """Record how loud the span is; InvalidArgumentError for an unknown level."""
        self.set_attribute(LOG_LEVEL_KEY, int(SpanLogLevel.from_value(level)))

    def set_status(self, status: SpanStatus | SpanStatusCode | str) -> None:
        """Set the status; UNSET changes nothing. The last one counts, an exception's too.

        Raises:
            InvalidArgumentError: `status` is neither a SpanStatus nor a code nor a code's upper-case name.
        """
        if not isinstance(status, SpanStatus):
            status = SpanStatus(parse_status_code(status))
        if self.end_time_ns is None and status.status_code is not SpanStatusCode.UNSET:
            self._status_code = status.status_code.value
            self._status_message = text_of(status.description) if status.description else None

    def add_event(self, event: SpanEvent) -> None:
        """Add something that happened.

        Raises:
            InvalidArgumentError: `event` is no SpanEvent.
        """
        if not isinstance(event, SpanEvent):
            raise InvalidArgumentError(f"event is a {type(event).__name__}; pass a SpanEvent")
        if self.end_time_ns is None:
            if self._events is None:
                self._events = []
            self._events.append(_event_json(event))
            if event.name == "exception":
                self._error = _error_of(event)

    def add_link(self, link: Link) -> None:
        """Add a reference to a span of another trace; InvalidArgumentError for anything but a Link."""
        if not isinstance(link, Link):
            raise InvalidArgumentError(f"link is a {type(link).__name__}; pass a Link")
        if self.end_time_ns is None:
            if self._links is None:
                self._links = []
            self._links.append(msgspec.Raw(encode(link)))

    def record_exception(self, exception: BaseException | str) -> None:
        """Add an `exception` event with type, message and stack trace, and set the status to ERROR.

        Raises:
            InvalidArgumentError: `exception` is neither an exception nor text.
        """
        if isinstance(exception, str):
            exception = Exception(exception)
        if not isinstance(exception, BaseException):
            raise InvalidArgumentError(
                f"exception is a {type(exception).__name__}; pass an exception or text"
            )
        if self.end_time_ns is not None:
            return
        description = clean_text(f"{type(exception).__name__}: {exception_message(exception)}")
        self.add_event(SpanEvent.from_exception(exception))
        self._status_code = "ERROR"
        self._status_message = description

    def note_function(self, name: FunctionName) -> None:
        """Record which function this is a call of."""
        if self._attributes is None:
            self._attributes = name
        else:
            self._attributes |= name

    def take_over(self, span: Span) -> None:
        """Hold what a recorded span holds, so that the end of this one records it anew."""
        self.start_time_ns = span.start_time_ns
        self._inputs, self._outputs = (
            None if text is None else text.encode()
            for text in (span._inputs, span._outputs)  # noqa: SLF001 - its base class
        )
        self.set_attributes(span._own_attributes())  # noqa: SLF001 - its base class
        for event in span.events:
            self.add_event(event)
        for link in span.links:
            self.add_link(link)
        self.set_status(span.status)

    # ------------------------------------------------------------------------ the end

    def end(
        self,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: SpanStatus | SpanStatusCode | str | None = None,
        end_time_ns: int | None = None,
    ) -> None:
        """End the span and hand it to the writer. A second end changes nothing.

        Args:
            outputs: As `set_outputs`, unless None.
            attributes: As `set_attributes`, unless None.
            status: As `set_status`; a bad one is refused in the log. Default OK, or ERROR if it is so.
            end_time_ns: Nanoseconds since 1970, default now; what is no such number is refused in the log.
        """
        if self.end_time_ns is not None:
            return
        if end_time_ns is not None:
            end_time_ns = moment_ns(end_time_ns, f"end_time_ns of span {self.name!r}")
        if outputs is not None:
            self.set_outputs(outputs)
        if attributes is not None:
            self.set_attributes(attributes)
        if status is not None:
            self._end_with(status)
        trace = self._trace
        if trace.foreign and self.span_id in trace.foreign:
            self._translate()
        if self._status_code == "UNSET":
            self._status_code = "OK"
        if end_time_ns is None:
            end_time_ns = _clock() + trace.offset_ns
        if PROCESSORS:
            process(self)
        self.end_time_ns = end_time_ns
        record = self.record()
        inputs = self._inputs = record[13]  # what was taken out of the record is gone
        outputs = self._outputs = record[14]
        bare = inputs is None and outputs is None and record[10] is None and record[11] is None
        trace.span_ended(self, record, 0 if bare else size_bytes(record))

    def used(self) -> tuple[Any, Any]:
        """Return token usage and cost as they were set; a cost that was not is looked up, on the writing thread."""
        attributes = self._attributes or {}
        tokens = self._reported(USAGE_KEY)
        if COST_KEY in attributes:
            return tokens, self._reported(COST_KEY)
        if not tokens:
            return tokens, None
        looked_up = self._trace.looked_up
        added = looked_up.get(self.span_id)
        if added is None:
            has_ended = self.end_time_ns is not None  # asked before: until then there may be more
            added = what_was_called(self._reported, self._inputs, self._outputs, self.start_time_ns)
            if has_ended:
                if MODEL_KEY in added:
                    added[MODEL_KEY] = policy.clean_text(added[MODEL_KEY])
                looked_up[self.span_id] = added
        return tokens, added.get(COST_KEY)

    def _report(self) -> None:
        self._trace.reporting[self.span_id] = self

    def _mark_foreign(self) -> None:
        self._trace.foreign.add(self.span_id)

    def _translate(self) -> None:
        """Add what attributes and events of other libraries' conventions say, where nothing says it yet."""
        from tracestore.conventions.translation import ABSENT, translate  # noqa: PLC0415 - foreign spans only

        trace = self._trace
        trace.foreign.discard(self.span_id)
        try:
            said = translate(self._own_attributes(), self._event_dicts())
        except Exception as error:  # noqa: BLE001 - the span is recorded as it came
            log.debug("conventions of span %r could not be read: %r", self.name, error)
            return
        if self.span_type in (None, "UNKNOWN") and said.span_type is not None:
            self.span_type = said.span_type
        if self._inputs is None and said.inputs is not ABSENT:
            self.set_inputs(said.inputs)
        if self._outputs is None and said.outputs is not ABSENT:
            self.set_outputs(said.outputs)
        for key, value in said.attributes.items():
            if key not in (self._attributes or ()):
                self.set_attribute(key, value)
        belongs = {SESSION_KEY: said.session, USER_KEY: said.user}
        new = {k: v for k, v in belongs.items() if v is not None and k not in trace.metadata}
        if new:
            trace.metadata = {**trace.metadata, **new}
            trace.changed()

    def _end_with(self, status: SpanStatus | SpanStatusCode | str) -> None:
        try:
            self.set_status(status)
        except InvalidArgumentError as error:
            log.warning("span %r ends without the status it was given: %s", self.name, error)

    def withhold(self, reason: str) -> None:
        """Take out all content: what is left are name, type, status, times, and why."""
        self._inputs = self._outputs = self._events = self._links = None
        self._status_message = self._error = None
        self._attributes = {"tracestore.withheld": reason}
        self._trace.reporting.pop(self.span_id, None)

    def outline(self) -> SpanRecord:
        """Return the span as `record` does, without content."""
        return (*self.record()[:6], None, self.start_time_ns, self.end_time_ns, *(None,) * 6)

    def record(self) -> SpanRecord:
        """Return the span as it stands, as a tuple in the order of `records.SPAN_FIELDS`."""
        attributes = self._attributes
        values = (
            self.trace_id,
            self.span_id,
            self.parent_id,
            self.name,
            self.span_type,
            self._status_code,
            self._status_message,
            self.start_time_ns,
            self.end_time_ns,
            self._error,
            None if attributes is None else _attributes_json(attributes),
            None if self._events is None else _events_json(self._events),
            None if self._links is None else encode(self._links),
            self._inputs,
            self._outputs,
        )
        if policy.clean is None or (values[9:] == _BARE and self._status_message is None):
            return values
        return policy.clean(values)

    # ------------------------------------------------------------------------ reading while it runs

    def _own_attributes(self) -> dict[str, Any]:
        if self._attributes is None:
            return {}
        return dict(msgspec.json.decode(encode_attributes(self._attributes)))

    def _event_dicts(self) -> list[dict[str, Any]]:
        return [] if self._events is None else [msgspec.json.decode(raw) for raw in self._events]

    def _link_dicts(self) -> list[dict[str, Any]]:
        return [] if self._links is None else [msgspec.json.decode(raw) for raw in self._links]

    @property
    def trace(self) -> LiveTrace:
        """The trace this span belongs to."""
        return self._trace

    @property
    def parent(self) -> LiveSpan | None:
        """The span above this one in this process."""
        return self._parent

    @property
    def failed(self) -> bool:
        """Whether the status is ERROR."""
        return self._status_code == "ERROR"

    @property
    def has_outputs(self) -> bool:
        """Whether outputs other than None were set."""
        return self._outputs is not None and self._outputs != b"null"

    @property
    def inputs_json(self) -> bytes | None:
        """The inputs as JSON, None without any."""
        found: bytes | None = self._inputs
        return found

    @property
    def outputs_json(self) -> bytes | None:
        """The outputs as JSON, None without any."""
        found: bytes | None = self._outputs
        return found

    def encloses(self, span: LiveSpan | NoOpSpan | None) -> bool:
        """Whether `span` is below this one."""
        while isinstance(span, LiveSpan):
            span = span._parent  # noqa: SLF001 - the same class
            if span is self:
                return True
        return False

    def ancestors(self) -> frozenset[str]:
        """Return the ids of the spans above this one."""
        found = set()
        span = self._parent
        while span is not None:
            found.add(span.span_id)
            span = span._parent  # noqa: SLF001 - the same class
        return frozenset(found)

    def to_immutable_span(self) -> Span:
        """Return a copy that no longer changes."""
        values = self.record()
        return Span(*values[:9], *(None if data is None else data.decode() for data in values[10:]))

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a live span can't be copied or pickled; use to_immutable_span()")


#: The end of the record of a span that says nothing but when it was: there is nothing to clean.
_BARE = (None,) * 6


def _attributes_json(attributes: dict[str, Any]) -> bytes:
    return attributes.json if type(attributes) is FunctionName else encode_attributes(attributes)


def moment_ns(value: Any, what: str, unit: str = "nanoseconds since 1970") -> int | None:
    """Return `value` as a whole number of `unit`; None, and a warning that names `what`, for anything else."""
    try:
        moment = int(value)
    except (TypeError, ValueError, OverflowError):
        moment = -1
    if 0 <= moment < 2**63:
        return moment
    log.warning("%s is %s and ignored: it must be %s", what, shown(value), unit)
    return None


def _event_json(event: SpanEvent) -> msgspec.Raw:
    attributes = encode(event.attributes)  # only these may be cut
    if not attributes.startswith(b"{"):
        attributes = b'{"tracestore.cut":%b}' % attributes
    moment = moment_ns(event.timestamp, f"timestamp of event {event.name!r:.100}")
    fields = {
        "name": text_of(event.name),
        "time_unix_nano": time.time_ns() if moment is None else moment,
        "attributes": msgspec.Raw(attributes),
    }
    return msgspec.Raw(msgspec.json.encode(fields))


def _events_json(events: list[msgspec.Raw]) -> bytes:
    """Return the events as a JSON array; of those that are too large together, the first ones."""
    data = msgspec.json.encode(events)
    if len(data) <= MAX_PAYLOAD_BYTES:
        return data
    kept, size_bytes = 0, 0
    while kept < len(events) and size_bytes <= MAX_PAYLOAD_BYTES // 2:
        size_bytes += len(bytes(events[kept]))
        kept += 1
    note = f"{len(events) - kept + 1} further events were cut"
    last = SpanEvent("tracestore.cut", attributes={"tracestore.cut": note})
    return msgspec.json.encode([*events[: kept - 1], _event_json(last)])


#: MLflow's attribute names for what this package keeps in columns, and what setting them does here.
_SPECIAL_ATTRIBUTES: dict[str, Any] = {
    INPUTS_KEY: LiveSpan.set_inputs,
    OUTPUTS_KEY: LiveSpan.set_outputs,
    TYPE_KEY: LiveSpan.set_span_type,
    TRACE_ID_KEY: lambda _span, _value: None,
}


#: Attributes that something is to be done about later.
_NOTED_ATTRIBUTES: dict[str, Callable[[LiveSpan], None]] = {
    **dict.fromkeys(MARKERS, LiveSpan._mark_foreign),  # noqa: SLF001 - of this module
    **dict.fromkeys((USAGE_KEY, COST_KEY), LiveSpan._report),  # noqa: SLF001 - of this module
}


def _error_of(event: SpanEvent) -> str:
    """Return `Type: message` of an `exception` event."""
    values = event.attributes
    return text_of(f"{values.get('exception.type')}: {values.get('exception.message')}")


class NoOpSpan(Span):
    """Stands for a span that is not recorded: tracing is off, or the trace was not sampled.

    Takes every call of LiveSpan and does nothing.
    """

    __slots__ = ()

    trace_id = NO_OP_TRACE_ID
    request_id = NO_OP_TRACE_ID
    span_id = None  # type: ignore[assignment]  # unlike a span
    parent_id = None
    parent = None
    name = None  # type: ignore[assignment]  # unlike a span
    span_type = None
    start_time_ns = None  # type: ignore[assignment]  # unlike a span
    end_time_ns = None
    status = None  # type: ignore[assignment]  # unlike a span
    inputs = None
    outputs = None
    has_outputs = False
    failed = False
    model_name = None
    llm_cost = None
    log_level = None
    description = None

    def __init__(self, otel_span: object = None) -> None:
        del otel_span

    @property
    def attributes(self) -> dict[str, Any]:
        """No attributes."""
        return {}

    @property
    def events(self) -> list[SpanEvent]:
        """No events."""
        return []

    @property
    def links(self) -> list[Link]:
        """No links."""
        return []

    def get_attribute(self, key: str) -> None:
        """Return None."""

    def set_inputs(self, inputs: Any) -> None:
        """Do nothing."""

    def set_outputs(self, outputs: Any) -> None:
        """Do nothing."""

    def set_result(self, result: Any) -> None:
        """Do nothing."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Do nothing."""

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Do nothing."""

    def set_span_type(self, span_type: str | None) -> None:
        """Do nothing."""

    def set_description(self, description: str) -> None:
        """Do nothing."""

    def set_log_level(self, level: SpanLogLevel | str) -> None:
        """Do nothing."""

    def set_status(self, status: SpanStatus | SpanStatusCode | str) -> None:
        """Do nothing."""

    def add_event(self, event: SpanEvent) -> None:
        """Do nothing."""

    def add_link(self, link: Link) -> None:
        """Do nothing."""

    def record_exception(self, exception: BaseException | str) -> None:
        """Do nothing."""

    def end(
        self,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: SpanStatus | SpanStatusCode | str | None = None,
        end_time_ns: int | None = None,
    ) -> None:
        """Do nothing."""

    def to_immutable_span(self) -> NoOpSpan:
        """Return itself: it never changes."""
        return self

    def encloses(self, span: LiveSpan | NoOpSpan | None) -> bool:
        """Return False: there is nothing below it but itself."""
        del span
        return False

    def to_dict(self) -> dict[str, Any]:
        """Return an empty dictionary."""
        return {}
