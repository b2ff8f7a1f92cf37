"""OTLP: the codec against OpenTelemetry's own, files there and back, sending, hostile input."""

from __future__ import annotations

import gzip
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

import tracestore
from tests.cli_program import run
from tests.upkeep_store import one
from tracestore.capture.live_trace import LiveTrace
from tracestore.entities import Link, Trace
from tracestore.errors import InvalidArgumentError, StoreError, TracestoreError
from tracestore.importing import import_into
from tracestore.otlp.export import export, forward, lines
from tracestore.otlp.messages import from_json, from_protobuf, to_json, to_protobuf
from tracestore.otlp.outgoing import traces_data
from tracestore.otlp.reading import foreign_spans
from tracestore.otlp.sending import Failure, RefusedError, Sender, target
from tracestore.otlp.values import any_value, plain
from tracestore.storage.schema import END_NS
from tracestore.store import Store


def record_one(number: int = 1) -> str:
    with tracestore.start_span(f"answer {number}", span_type="CHAIN") as root:
        tracestore.update_current_trace(
            tags={"env": "test"}, metadata={"m": "é"}, session_id="s-1", user="ada"
        )
        root.set_inputs({"question": "why?"})
        with tracestore.start_span("call", span_type="CHAT_MODEL") as span:
            span.set_attributes({"temperature": 0.5, "list": [1, 2.0, "x", None, {"a": True}]})
            span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4})
            span.set_attribute("mlflow.llm.model", "m-1")
            span.record_exception(ValueError("no"))
            span.set_outputs({"choices": [{"message": {"role": "assistant", "content": "x"}}]})
        root.set_outputs("because")
    return root.trace_id


# ------------------------------------------------------------------------------------------ the codec


def test_protobuf_is_what_opentelemetry_reads_and_writes(recording: Store) -> None:
    record_one()
    message = traces_data(recording.search_traces())
    theirs = trace_pb2.TracesData.FromString(to_protobuf(message))
    [resource] = theirs.resource_spans
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["answer 1", "call"]
    assert spans[1].parent_span_id == spans[0].span_id
    again = from_protobuf(theirs.SerializeToString(deterministic=True))
    assert trace_pb2.TracesData.FromString(to_protobuf(again)) == theirs
    assert to_protobuf(from_json(to_json(message))) == to_protobuf(message)


PLAIN = st.recursive(
    st.text()
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@hypothesis.given(PLAIN)
def test_values_go_there_and_back_in_both_forms(value: Any) -> None:
    message = any_value(value)
    assert plain(from_protobuf(to_protobuf(message, "AnyValue"), "AnyValue")) == value
    data = {"resourceSpans": [{"resource": {"attributes": [{"key": "k", "value": message}]}}]}
    [resource_spans] = from_json(to_json(data))["resourceSpans"]
    assert plain(resource_spans["resource"]["attributes"][0]["value"]) == value


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_form_for_is_kept(text: str) -> None:
    for value in ({"otel.double": text}, {"otel.bytes": "AP8="}):
        assert plain(from_protobuf(to_protobuf(any_value(value), "AnyValue"), "AnyValue")) == value


@pytest.mark.parametrize("text", ["-_8=", "+/8=", "-_8", "+/8"])
def test_bytes_come_in_either_alphabet_with_or_without_padding(text: str) -> None:
    value = {"resource": {"attributes": [{"key": "k", "value": {"bytesValue": text}}]}}
    [resource_spans] = from_json(json.dumps({"resourceSpans": [value]}))["resourceSpans"]
    assert plain(resource_spans["resource"]["attributes"][0]["value"]) == {"otel.bytes": "+/8="}


@hypothesis.given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (from_protobuf, from_json):
        try:
            message = read(data)
        except StoreError:
            continue
        list(foreign_spans(message))


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a" * 5_000,
        b'{"resourceSpans": [[]]}',
        b'{"resourceSpans": {"a": 1}}',
        b"[" * 100_000,
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":1e999}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":1.5}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":-100}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"status":{"code":-7}}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"status":{"code":"STATUS_CODE_X"}}]}]}]}',
    ],
)
def test_hostile_messages_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        (from_json if data[:1] in b"{[" else from_protobuf)(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\x12" * 99, "in parts"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "size is too long"),
        (b"\x0a\xe0\x07" + b"\x12\x00" * 99, "it is not whole"),
        (b"\x0a\x02\x12\x00\x12\x00", "byte 4"),
        (b"\x0a\x14" + b"\x12\x00" * 10, "more than 5 values"),
        (b"\x00\x00\x03\xe8\x0a\x02\x12\x00", "it is not whole"),
        (b'{"resourceSpans":[{},{},{},{},{},{}]}', "more than 5 values"),
        (b'{"resourceSpans":[' + b" " * 2_000 + b"]}", "in parts"),
        (b'{"resourceSpans":[\n' + b" \n" * 900 + b"]}", "in parts"),
        (b'{"resourceSpans":[]}\n{"resourceSpans":', "line 2"),
    ],
)
def test_hostile_files_are_refused_before_they_fill_the_memory(
    recording: Store,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    said: str,
) -> None:
    monkeypatch.setattr("tracestore.importing.otlp.MAX_MESSAGE_BYTES", 1_000)
    for name, value in {"MAX_MESSAGES": 5, "_TOO_MANY": "more than 5 values"}.items():
        monkeypatch.setattr(f"tracestore.otlp.messages.{name}", value)
    path = tmp_path / "hostile.otlp"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=said):
        import_into(recording, str(path), "otlp")


# ------------------------------------------------------------------------------------------ files


def canonical(found: Trace) -> dict[str, Any]:
    """Return a trace as a dictionary without what is not the trace's: its experiment."""
    values = found.to_dict()
    del values["info"]["trace_location"]
    return values


@pytest.mark.parametrize("form", ["lines", "protobuf", "sized protobuf", "document"])
def test_files_go_there_and_back_without_loss(
    recording: Store, tmp_path: pathlib.Path, form: str
) -> None:
    for number in range(3):
        record_one(number)
    traces = recording.search_traces()
    path = tmp_path / "traces.otlp"
    if form == "lines":
        path.write_bytes(b"\n".join(lines(iter(traces))) + b"\n")
    elif form == "protobuf":
        path.write_bytes(to_protobuf(traces_data(traces)))
    elif form == "sized protobuf":  # as the collector's file exporter writes it
        parts = [to_protobuf(traces_data([found])) for found in traces]
        path.write_bytes(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
    else:
        path.write_text(json.dumps(json.loads(to_json(traces_data(traces))), indent=1))
    with Store(tmp_path / "other.db") as other:
        imported = import_into(other, str(path))
        assert (imported.format, imported.traces, imported.spans) == ("otlp", 3, 6)
        back = {found.trace_id: canonical(found) for found in other.search_traces()}
        assert back == {found.trace_id: canonical(found) for found in traces}
        assert import_into(other, str(path)).traces == 0
        again = traces_data(other.search_traces())
    assert sorted(map(str, foreign_spans(again))) == sorted(
        map(str, foreign_spans(traces_data(traces)))
    )


def test_all_that_a_message_can_say_goes_there_and_back(
    recording: Store, tmp_path: pathlib.Path
) -> None:
    values = [
        {"stringValue": ""},
        {"intValue": 2**63 - 1},
        {"intValue": -(2**63)},
        {"doubleValue": 1.0},
        {"doubleValue": float("-inf")},
        {"bytesValue": b"\x00\xff"},
        {"boolValue": False},
        {},
        {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}},
    ]
    listed = {"arrayValue": {"values": [*values, {"arrayValue": {"values": values}}]}}
    attributes = [{"key": f"k{n}", "value": value} for n, value in enumerate([*values, listed])]

    def spans(service: str, span_id: str, parent: str) -> dict[str, Any]:
        link = {"traceId": "c" * 32, "spanId": "d" * 16, "traceState": "a=b", "flags": 257}
        event = {"timeUnixNano": 1_700_000_000_000_000_001, "name": "e", "attributes": attributes}
        span = {
            "traceId": "a" * 32,
            "spanId": span_id,
            "parentSpanId": parent,
            "traceState": "x=y",
            "name": service,
            "kind": 4,
            "startTimeUnixNano": 1_700_000_000_000_000_001,
            "endTimeUnixNano": 1_700_000_000_000_000_009,
            "attributes": attributes,
            "droppedAttributesCount": 1,
            "events": [event, event | {"droppedAttributesCount": 2}],
            "droppedEventsCount": 3,
            "links": [link | {"attributes": attributes, "droppedAttributesCount": 4}, link],
            "droppedLinksCount": 5,
            "status": {"code": 2, "message": "bad"},
            "flags": 256,
        }
        named = [{"key": "service.name", "value": {"stringValue": service}}, *attributes]
        scope = {"name": "s", "version": "1", "attributes": attributes, "droppedAttributesCount": 6}
        return {
            "resource": {"attributes": named, "droppedAttributesCount": 7},
            "scopeSpans": [{"scope": scope, "spans": [span], "schemaUrl": "https://s"}],
            "schemaUrl": "https://r",
        }

    # Two services in one trace.
    data = {"resourceSpans": [spans("web", "a" * 16, ""), spans("worker", "b" * 16, "a" * 16)]}
    path = tmp_path / "all.jsonl"
    path.write_bytes(to_json(data))
    import_into(recording, str(path))
    again = from_json(next(lines(iter(recording.search_traces()))))
    for span in (s for r in again["resourceSpans"] for p in r["scopeSpans"] for s in p["spans"]):
        span["attributes"] = [a for a in span["attributes"] if re.fullmatch(r"k\d", a["key"])]
    wanted, got = (
        trace_pb2.TracesData.FromString(to_protobuf(message)) for message in (data, again)
    )
    assert str(got) == str(wanted)


def test_a_span_that_ended_before_it_began_is_sound_and_leaves_as_it_came(
    recording: Store, tmp_path: pathlib.Path
) -> None:
    times = {"startTimeUnixNano": 1_700_000_000_000_000_009, "endTimeUnixNano": 5}
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "n", **times}
    path = tmp_path / "traces.jsonl"
    path.write_bytes(to_json({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    import_into(recording, str(path))
    assert recording.check() == []
    again = traces_data(recording.search_traces())["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert times.items() <= again.items()


def test_links_that_otlp_has_no_room_for_are_left_out(recording: Store) -> None:
    with tracestore.start_span("root") as span:
        for trace_id in ("an id", "tr-" + "c" * 32):
            span.add_link(Link(trace_id, "d" * 16))
    message = from_protobuf(to_protobuf(traces_data(recording.search_traces())))
    [link] = message["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"]
    assert link["traceId"] == "c" * 32


def test_a_trace_that_is_spread_over_lines_is_one(
    recording: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracestore.importing.otlp.SPANS_PER_BATCH", 1)
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    def line(span_id: str, parent: str, **more: Any) -> str:
        span = {"traceId": trace_id, "spanId": span_id, "parentSpanId": parent, "name": span_id}
        times = {
            "startTimeUnixNano": "1700000000000000000",
            "endTimeUnixNano": "1700000001000000000",
        }
        spans = [span | times | more]
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})

    usage = {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}}
    path = tmp_path / "traces.jsonl"
    path.write_text(
        "\n".join(
            (
                line("b" * 16, "a" * 16, attributes=[usage], kind=3),
                line("c" * 16, "b" * 16, status={"code": "STATUS_CODE_ERROR", "message": "bad"}),
                line("a" * 16, "", kind="SPAN_KIND_SERVER"),
                line("", ""),
                line("d" * 16, "a" * 16, startTimeUnixNano=str(END_NS)),
            )
        )
    )
    imported = import_into(recording, str(path))
    assert imported.skipped == {"spans without valid ids or times": 2}
    assert (imported.seen, imported.traces, imported.spans) == (1, 1, 3)
    (found,) = recording.search_traces()
    assert found.trace_id == f"tr-{trace_id}"
    assert (found.info.name, found.info.state, found.info.execution_duration) == (
        "a" * 16,
        "OK",
        1000,
    )
    assert found.info.token_usage is not None
    assert found.info.token_usage["input_tokens"] == 7
    assert found.data.spans[0].attributes["otel.span"]["kind"] == "SERVER"


# ------------------------------------------------------------------------------------------ sending


class Receiver:
    """An OTLP receiver that answers as it is told, then accepts; decodes with OpenTelemetry's own classes."""

    def __init__(self) -> None:
        #: Statuses of the next answers; 0 closes the connection within an answer.
        self.answers: list[int] = []
        #: What a 429 asks to wait, what a success says, and what is too large, in spans.
        self.retry_after = "0"
        self.rejects = (0, "")
        self.most_spans = 1_000_000
        self.spans: list[Any] = []
        self.headers: list[dict[str, str]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                status = receiver.answers.pop(0) if receiver.answers else 200
                answer = b"no"
                if status == 200:
                    status, answer = receiver.take(body, self.headers["Content-Type"])
                self.send_response(status or 200)
                if status == 429:
                    self.send_header("Retry-After", receiver.retry_after)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if status == 0:
                    self.close_connection = True
                    return
                self.wfile.write(answer)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def take(self, body: bytes, content_type: str) -> tuple[int, bytes]:
        request = trace_service_pb2.ExportTraceServiceRequest()
        if content_type == "application/json":
            request.ParseFromString(to_protobuf(from_json(body)))
        else:
            request.ParseFromString(body)
        spans = [
            span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans
        ]
        if len(spans) > self.most_spans:
            return 413, b"too large"
        self.spans += spans
        rejected, said = self.rejects
        if content_type == "application/json":
            partial = {"rejectedSpans": str(rejected), "errorMessage": said}
            return 200, json.dumps({"partialSuccess": partial} if said else {}).encode()
        answer = trace_service_pb2.ExportTraceServiceResponse()
        if said:
            answer.partial_success.rejected_spans = rejected
            answer.partial_success.error_message = said
        return 200, answer.SerializeToString()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_what_comes_later_is_sent_whenever_it_began(
    recording: Store, receiver: Receiver, tmp_path: pathlib.Path
) -> None:
    old = tmp_path / "old.jsonl"
    with Store(tmp_path / "older.db") as older:
        tracestore.set_tracking_uri(older.path)
        record_one(1)
        old.write_bytes(b"\n".join(lines(iter(older.search_traces()))))
    tracestore.set_tracking_uri(recording.path)
    record_one(2)
    assert export(receiver.url).traces == 1
    import_into(recording, str(old))  # began before what was sent
    assert export(receiver.url).traces == 1
    assert {span.name for span in receiver.spans} == {"answer 1", "answer 2", "call"}
    assert export(receiver.url).traces == 0


def test_what_never_ends_costs_nothing_and_holds_nothing_up(
    recording: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracestore.otlp.export.PAGE_TRACES", 2)
    orphans = [tracestore.start_span_no_context(f"orphan {number}") for number in range(3)]
    for orphan in orphans:
        recording.get_trace(orphan.trace_id)
    for number in range(5):
        record_one(number)
        assert export(receiver.url)[::3] == (1, 3)  # traces, waiting
    assert [name.name for name in receiver.spans].count("call") == 5
    state = one(recording.path, "SELECT value FROM state WHERE name LIKE 'otlp.%'")
    assert json.loads(state)["running"] == [orphan.trace_id for orphan in orphans]
    orphans[1].end()
    recording.delete_traces("0", trace_ids=[orphans[2].trace_id])
    assert export(receiver.url, "name LIKE 'orphan%'")[::3] == (1, 1)
    assert export(receiver.url)[::3] == (1, 1)
    orphans[0].end()
    assert export(receiver.url)[::3] == (1, 0)
    orphans[2].end()  # deleted


def test_numbers_that_are_given_again_hide_nothing(recording: Store, receiver: Receiver) -> None:
    for number in range(4):
        last = record_one(number)
        assert export(receiver.url).traces == 1
    recording.delete_traces("0", trace_ids=[last])
    record_one(5)  # gets the rows of the deleted one
    assert export(receiver.url).traces == 1
    assert [span.name for span in receiver.spans if span.name == "answer 5"] == ["answer 5"]
    assert export(receiver.url).traces == 0


def test_a_span_that_comes_after_its_trace_was_sent_arrives(
    recording: Store, receiver: Receiver
) -> None:
    root = tracestore.start_span_no_context("root")
    late = tracestore.start_span_no_context("late", parent_span=root)
    root.end()
    assert export(receiver.url).traces == 1
    late.end()
    assert recording.get_trace(root.trace_id).data.spans[1].end_time_ns is not None
    export(receiver.url)
    assert receiver.spans[-1].name == "late"
    assert receiver.spans[-1].end_time_unix_nano > 0


def test_an_export_that_is_killed_goes_on(recording: Store, tmp_path: pathlib.Path) -> None:
    for number in range(12):
        record_one(number)
    recording.flush()
    received = tmp_path / "received.txt"
    received.touch()
    program = f"""
import tracestore.otlp.export as otlp
from tracestore.otlp import sending
from tracestore.store import Store
otlp.BATCH_SPANS = 2
def send(self, message):
    if open({str(received)!r}).read().count("\\n") == 5:
        import os; os.kill(os.getpid(), 9)
    [resource] = message["resourceSpans"]
    with open({str(received)!r}, "a") as file:
        file.write(resource["scopeSpans"][0]["spans"][0]["name"] + "\\n")
    return 0
sending.Sender.send = send
with Store({recording.path!r}) as store:
    otlp.export("http://localhost:1", store=store)
"""
    for code in (-9, 0):
        ran = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
        assert ran.returncode == code
        with received.open("a") as file:
            file.write("killed\n" if code else "")
    names = [name for name in received.read_text().split("\n") if name[:1] == "a"]
    assert names == [f"answer {number}" for number in range(12)]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_an_export_sends_everything_once(
    recording: Store, receiver: Receiver, protocol: str
) -> None:
    for number in range(5):
        record_one(number)
    done = export(receiver.url, protocol=protocol, headers={"X-Team": "a"})
    assert (done.traces, done.spans, done.rejected, done.waiting) == (5, 10, 0, 0)
    assert len({(span.trace_id, span.span_id) for span in receiver.spans}) == 10
    assert receiver.headers[0]["x-team"] == "a"
    assert receiver.headers[0]["content-encoding"] == "gzip"
    assert export(receiver.url, protocol=protocol).traces == 0
    record_one(6)
    assert export(receiver.url, protocol=protocol).traces == 1
    assert export(receiver.url, protocol=protocol, resume=False).traces == 6
    assert export(receiver.url, "name = 'answer 6'", protocol=protocol).traces == 1
    assert recording.path


def test_a_trace_that_runs_is_sent_when_it_has_ended(recording: Store, receiver: Receiver) -> None:
    slow = tracestore.start_span_no_context("slow")
    recording.get_trace(slow.trace_id)
    record_one()
    done = export(receiver.url)
    assert (done.traces, done.waiting) == (1, 1)
    slow.end()
    assert export(receiver.url).traces == 1
    assert sorted(span.name for span in receiver.spans) == ["answer 1", "call", "slow"]


def test_what_was_accepted_is_not_sent_again_after_a_failure(
    recording: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracestore.otlp.export.BATCH_SPANS", 2)
    for number in range(3):
        record_one(number)
    receiver.answers = [200, 400]
    with pytest.raises(RefusedError, match="400"):
        export(receiver.url)
    assert len(receiver.spans) == 2
    assert export(receiver.url).traces == 2
    assert len(receiver.spans) == 6
    assert recording.path


def test_failures_that_pass_are_retried_with_growing_pauses(
    recording: Store, receiver: Receiver
) -> None:
    record_one()
    message = traces_data(recording.search_traces())
    pauses: list[float] = []
    receiver.answers = [503, 502, 429]
    with Sender(target(receiver.url), pauses.append) as sender:
        assert sender.send(message) == 0
    assert len(receiver.spans) == 2
    assert pauses[0] < pauses[1]
    pauses.clear()
    with pytest.raises(RefusedError, match="3 tries"):
        Sender(target("http://127.0.0.1:9"), pauses.append, tries=3).send(message)
    assert len(pauses) == 2


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_what_a_receiver_rejects_of_a_success_is_counted_and_said(
    recording: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    record_one()
    receiver.rejects = (1, "span 2 is too old")
    assert export(receiver.url, protocol=protocol)[:3] == (1, 1, 1)
    assert "rejected 1 spans: span 2 is too old" in caplog.text
    assert recording.path


def test_what_is_too_large_is_sent_in_halves(
    recording: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        record_one(number)
    receiver.most_spans = 3
    done = export(receiver.url)
    assert (done.traces, done.spans, done.rejected) == (5, 10, 0)
    assert len({(span.trace_id, span.span_id) for span in receiver.spans}) == 10
    assert done.requests == len(receiver.headers)
    receiver.most_spans = 0
    assert export(receiver.url, resume=False)[1:3] == (0, 10)
    assert "no room for one span" in caplog.text
    assert recording.path


def test_a_connection_that_breaks_within_an_answer_is_tried_again(
    recording: Store, receiver: Receiver
) -> None:
    record_one()
    pauses: list[float] = []
    receiver.answers = [0]
    with Sender(target(receiver.url), pauses.append) as sender:
        assert sender.send(traces_data(recording.search_traces())) == 0
    assert (len(pauses), len(receiver.spans)) == (1, 2)


@pytest.mark.parametrize(
    ("asked", "least_s", "most_s"),
    [("45", 45, 45), ("9" * 9, 300, 300), ("-5", 0.4, 0.7), ("soon", 0.4, 0.7), ("nan", 0.4, 0.7)],
)
def test_a_receiver_may_ask_for_a_pause(
    receiver: Receiver, asked: str, least_s: float, most_s: float
) -> None:
    pauses: list[float] = []
    receiver.answers, receiver.retry_after = [429], asked
    with Sender(target(receiver.url), pauses.append) as sender:
        sender.send({})
    assert least_s <= pauses[0] <= most_s


def test_a_url_may_have_a_user_and_headers_are_checked(receiver: Receiver) -> None:
    with Sender(target(receiver.url.replace("//", "//ada:l%40ve@"))) as sender:
        sender.send({})
    assert receiver.headers[0]["authorization"] == "Basic YWRhOmxAdmU="
    for headers in ({"a b": "x"}, {"": "x"}, {"a": "x\r\nb: c"}, {"a": "\u20ac"}):
        with pytest.raises(InvalidArgumentError, match="can't be sent"):
            target(receiver.url, headers)
    for url in ("http://[x", "http://h:99999", "http://h:x", "http://:1"):
        with pytest.raises(InvalidArgumentError, match="the receiver is"):
            target(url, environment={})


@pytest.mark.parametrize("variable", ["CERTIFICATE", "CLIENT_CERTIFICATE"])
def test_a_certificate_that_is_none_is_said_at_once(tmp_path: pathlib.Path, variable: str) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for path in (tmp_path / "no.pem", tmp_path / "missing.pem"):
        to = target(
            "https://localhost:1", environment={f"OTEL_EXPORTER_OTLP_{variable}": str(path)}
        )
        with pytest.raises(InvalidArgumentError, match=f"{path}.*OTEL_EXPORTER_OTLP_CERTIFICATE"):
            Sender(to).send({})


def test_standard_variables_count() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/base/",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20x,team=a",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500",
    }
    to = target(environment=environment)
    assert to.url == "http://collector:4318/base/v1/traces"
    assert to.headers == {"authorization": "Basic x", "team": "a"}
    assert (to.as_json, to.compress, to.timeout_s) == (True, False, 2.5)
    exact = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/exact"}
    assert target(environment=environment | exact).url == "http://collector:4318/exact"
    # Where the variable for traces alone has no path, there is none.
    root = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318"}
    assert target(environment=root).url == "http://collector:4318/"
    assert target("http://other", environment=root).url == "http://other/v1/traces"
    with pytest.raises(InvalidArgumentError, match="from OTEL_EXPORTER_OTLP_PROTOCOL"):
        target("http://x", environment={"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    for url, said in (
        (None, "no receiver is named"),
        ("collector:4317", "'coll"),
        ("ftp://x", "'ftp"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            target(url, environment={})


def test_traces_are_forwarded_as_they_end(recording: Store, receiver: Receiver) -> None:
    forwarding = forward(receiver.url, interval_s=0.01)
    for number in range(4):
        record_one(number)
    done = forwarding.stop()
    assert (done.traces, done.spans) == (4, 8)
    assert len(receiver.spans) == 8
    assert recording.path


def test_what_ends_here_is_forwarded_without_waiting_for_the_interval(
    recording: Store, receiver: Receiver
) -> None:
    forwarding = forward(receiver.url, interval_s=3600)
    for number in range(2):  # the second while it waits again
        record_one(number)
        deadline = time.monotonic() + 20
        while len(receiver.spans) < 2 * (number + 1):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    done = forwarding.stop()
    assert (done.traces, recording.on_ended) == (2, [])
    forwarding.stop()


def test_the_end_of_a_trace_is_told_though_its_spans_were_written_before(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LiveTrace._end

    def end(trace: LiveTrace, end_ns: int | None) -> None:
        recording.flush()
        original(trace, end_ns)

    monkeypatch.setattr(LiveTrace, "_end", end)
    told: list[int] = []
    recording.on_ended.append(lambda: told.append(1))
    with tracestore.start_span("root"):
        assert told == []
    assert recording.flush()
    assert told[-1:] == [1]


def test_the_receivers_own_span_has_what_other_receivers_show(
    recording: Store, receiver: Receiver
) -> None:
    record_one()
    export(receiver.url)
    root, call = receiver.spans
    values = {pair.key: pair.value.string_value for pair in root.attributes}
    assert (values["session.id"], values["user.id"]) == ("s-1", "ada")
    assert values["mlflow.traceTag.env"] == "test"
    assert values["mlflow.spanType"] == '"CHAIN"'
    kinds = {pair.key: pair.value for pair in call.attributes}
    assert kinds["openinference.span.kind"].string_value == "LLM"
    assert kinds["llm.token_count.prompt"].int_value == 3
    assert call.status.code == 2
    assert call.events[0].name == "exception"
    assert recording.path


# ------------------------------------------------------------------------------------------ the command


def test_the_command_writes_files_and_sends(
    recording: Store, tmp_path: pathlib.Path, receiver: Receiver
) -> None:
    record_one()
    recording.flush()
    jsonl, perfetto = tmp_path / "t.jsonl", tmp_path / "p.json"
    at = ("--db", recording.path)
    assert "1 trace written" in run("export", "--otlp-file", str(jsonl), *at).out
    assert "3 events" in run("export", "--perfetto", str(perfetto), *at).out
    sent = run("export", "--otlp", receiver.url, "--header", "a=b", *at)
    assert "1 trace, 2 spans accepted" in sent.out
    events = json.loads(perfetto.read_text())["traceEvents"]
    assert [event["name"] for event in events if event["ph"] == "X"] == ["answer 1", "call"]
    other = str(tmp_path / "other.db")
    assert "1 trace, 2 spans" in run("import", str(jsonl), "--db", other).out
    assert run("export", "--otlp", receiver.url, "--perfetto", "x", *at).code == 2


def test_an_export_says_what_it_tries_and_when_it_gives_up(
    recording: Store, caplog: pytest.LogCaptureFixture, receiver: Receiver
) -> None:
    record_one()
    receiver.answers = [503, 429]
    assert export(receiver.url).traces == 1
    assert recording.path
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"{receiver.url}/v1/traces: HTTP 503")
    assert re.search(r"\(try 1 of 6\); the next in 0\.[4-6] s, gives up in about 1[5-7] s$", first)
    assert "(try 2 of 6); the next in" in second


def test_the_end_of_the_tries_is_where_it_was_said() -> None:
    slept: list[float] = []
    failures: list[Failure] = []
    with pytest.raises(RefusedError, match="could not be reached in 6 tries"):
        Sender(target("http://127.0.0.1:1"), slept.append, failed=failures.append).send({})
    assert [failure.number for failure in failures] == [1, 2, 3, 4, 5]
    assert [failure.pause_s for failure in failures] == slept
    assert failures[0].rest_s == pytest.approx(sum(slept), rel=0.25)
    assert failures[-1].rest_s == pytest.approx(slept[-1], abs=0.2)


def test_errors_of_the_exporter_are_of_our_tree() -> None:
    assert issubclass(RefusedError, TracestoreError)
