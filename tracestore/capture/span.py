"""Spans while they run.

What a span holds is encoded on the thread that sets it, so later changes to an argument don't change the
record; when it ends it becomes a tuple of SQLite values and goes to the writer. No lock is taken here, and
nothing in here raises into the traced program because of what a user passed, except setters that are given a
status, event or link that can't be.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tracestore import ids
from tracestore.capture.events import error_of, event_json, events_json, moment_ns
from tracestore.capture.processing import PROCESSORS, process
from tracestore.conventions.rules import MARKERS
from tracestore.encoding import (
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
from tracestore.entities.trace import SESSION_KEY, USER_KEY
from tracestore.errors import InvalidArgumentError
from tracestore.redaction import policy
from tracestore.storage.record_rows import SpanRecord, size_bytes
from tracestore.summary.calls import what_was_called

if TYPE_CHECKING:
    from tracestore.capture.live_trace import LiveTrace
    from tracestore.capture.no_op import NoOpSpan

log = logging.getLogger("tracestore")

#: The monotonic clock of spans and their traces.
clock = time.perf_counter_ns

_new_span_id = ids.new_span_id


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
        self.start_time_ns = clock() + trace.offset_ns
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
            self._events.append(event_json(event))
            if event.name == "exception":
                self._error = error_of(event)

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
            end_time_ns = clock() + trace.offset_ns
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
            None if self._events is None else events_json(self._events),
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
