"""Traces for the display tests: one as a real program records it, one that attacks its reader.

Built from the real entities, with fixed times, so that the same trace is drawn in the same way every time.
"""

from __future__ import annotations

import json
from typing import Any

from tracestore.entities import (
    AssessmentError,
    AssessmentSource,
    Expectation,
    Feedback,
    Span,
    Trace,
    TraceData,
    TraceInfo,
    TraceLocation,
    TraceState,
)

START_NS = 1_795_199_528_123_000_000
MS = 1_000_000

#: What attackers write, in every field of `hostile_trace`. `pwned` is what the page must not come to hold.
ATTACKS = (
    "<script>window.pwned=1</script>",
    "<img src=http://pwned.invalid/x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "' onmouseover='window.pwned=1' x='",
    '" style="position:fixed;inset:0" onfocus="window.pwned=1" autofocus="',
    "</style><style>body{background:url(http://pwned.invalid/css)}</style>",
    "</details></div></pre><h1>pwned</h1>",
    "<!-- --><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "javascript:window.pwned=1",
    "[link](javascript:window.pwned=1) http://pwned.invalid/",
    "&lt;b&gt; &#60;script&#62; &amp;lt;",
    "{{constructor.constructor('window.pwned=1')()}} ${window.pwned=1} <%= 7*7 %>",
    "<base href=http://pwned.invalid/><meta http-equiv=refresh content=0;url=http://pwned.invalid/>",
    "<template><form action=//pwned.invalid><button formaction=javascript:pwned=1>",
    "\x1b]8;;http://pwned.invalid\x07click\x1b]8;;\x07\x00\x08\x9b31m",
    "\u202egnp.exe\u2066\u200b\ufeff \U000e0069\U000e0067\U000e006e",
    "\ud800 lone \udfff",
    "\u2028window.pwned=1\u2029//</script\u2028><!--<script>]]>",
    "red;background:url(http://pwned.invalid/css)}*{display:none}/*",
    "constructor",
    "__proto__",
)


def span(
    name: str,
    span_id: str,
    parent_id: str | None = None,
    span_type: str | None = "CHAIN",
    at_ms: tuple[float, float | None] = (0, 1),
    **recorded: Any,
) -> Span:
    """Return a span; `at_ms` is its start and end after START_NS, None for the end leaves it open.

    `recorded` may hold status, message, attributes, events, inputs and outputs, as JSON values.
    """
    start_ms, end_ms = at_ms
    texts = {
        key: json.dumps(recorded[key]) if recorded.get(key) is not None else None
        for key in ("attributes", "events", "inputs", "outputs")
    }
    return Span(
        trace_id="tr-" + "0" * 32,
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        span_type=span_type,
        status_code=recorded.get("status", "UNSET" if end_ms is None else "OK"),
        status_message=recorded.get("message"),
        start_time_ns=START_NS + int(start_ms * MS),
        end_time_ns=None if end_ms is None else START_NS + int(end_ms * MS),
        links=None,
        **texts,
    )


def trace(*spans: Span, **info: Any) -> Trace:
    """Return a trace of `spans`; `info` may hold any field of TraceInfo."""
    fields: dict[str, Any] = {
        "trace_id": "tr-01947ad1c02b4f5e8d3c2b1a09f8e7d6",
        "trace_location": TraceLocation.from_experiment_id("0"),
        "request_time": START_NS // MS,
        "state": TraceState.OK,
        "execution_duration": 100,
        "tags": {"mlflow.traceName": spans[0].name} if spans else {},
    }
    return Trace(TraceInfo(**{**fields, **info}), TraceData(list(spans)))


def exception_event(at_ms: float, kind: str, message: str, stack: str) -> dict[str, Any]:
    """Return an exception event as a span's `events` hold it."""
    return {
        "name": "exception",
        "time_unix_nano": START_NS + int(at_ms * MS),
        "attributes": {
            "exception.type": kind,
            "exception.message": message,
            "exception.stacktrace": stack,
        },
    }


_STACK = """Traceback (most recent call last):
  File "agent.py", line 118, in call_tool
    return self.tools[name](**arguments)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "tools/shipping.py", line 42, in delivery_date
    response.raise_for_status()
  File "httpx/_models.py", line 829, in raise_for_status
    raise HTTPStatusError(message, request=request, response=self)
httpx.HTTPStatusError: Server error '503 Service Unavailable' for url 'https://shipping.example/v2/dates'
"""

_QUESTION = "My parcel 4711 was due on Tuesday. Where is it, and can I still change the address?"
_ANSWER = (
    "Parcel 4711 left our depot in Leipzig this morning. I could not reach the carrier for the exact date.\n\n"
    "The address can be changed until the parcel is out for delivery:\n"
    "1. open **My orders**\n2. choose *Change delivery*"
)


def real_trace() -> Trace:
    """Return a trace of a support agent: retrieval, two model calls, a failing tool, an open span, feedback."""
    return trace(*_real_spans(), **_real_info())


def _real_info() -> dict[str, Any]:
    judge, person = (
        AssessmentSource("LLM_JUDGE", "openai:/gpt-4o"),
        AssessmentSource("HUMAN", "kim@example.com"),
    )
    return {
        "state": TraceState.ERROR,
        "execution_duration": 2_914,
        "request_preview": _QUESTION,
        "response_preview": _ANSWER,
        "client_request_id": "req-88213",
        "tags": {
            "mlflow.traceName": "answer_customer",
            "environment": "staging",
            "release": "2026.11.3",
            "ab_test": "long-context",
        },
        "trace_metadata": {
            "mlflow.trace.session": "chat-5f2a",
            "mlflow.trace.user": "customer-1093",
            "mlflow.trace.tokenUsage": '{"input_tokens": 2893, "output_tokens": 184, "total_tokens": 3077}',
            "mlflow.trace.cost": '{"total_cost": 0.00907}',
            "mlflow.source.name": "support/agent.py",
            "mlflow.source.git.commit": "9b1c2f0e",
        },
        "assessments": [
            Feedback(
                name="groundedness",
                value=0.86,
                source=judge,
                rationale="Both claims are in document 1.",
            ),
            Feedback(
                name="correct",
                value=False,
                source=person,
                rationale="The parcel left on Monday evening, not this morning.",
            ),
            Feedback(name="polite", value=True, source=AssessmentSource("CODE", "tone_check")),
            Expectation(name="expected_topic", value="delivery", source=person),
            Feedback(
                name="relevance",
                value="high",
                source=judge,
                span_id="a2",
                rationale="All three match.",
            ),
        ],
    }


def _real_spans() -> list[Span]:
    documents = [
        {
            "page_content": "Parcels leave the depot within 24 hours. The address of a parcel can be changed until "
            "it is out for delivery, in *My orders*.",
            "metadata": {"doc_uri": "handbook/delivery.md", "score": 0.91, "chunk": 3},
        },
        {
            "page_content": "A carrier gives a new delivery date when the first attempt failed.",
            "metadata": {"doc_uri": "handbook/carriers.md", "score": 0.84, "chunk": 11},
        },
        {
            "page_content": "Refunds take up to five working days.",
            "metadata": {"doc_uri": "faq/refunds.md", "score": 0.52},
        },
    ]
    system = {
        "role": "system",
        "content": "You are the support agent of a shop. Answer from the documents only.\nBe brief.",
    }
    user = {"role": "user", "content": _QUESTION}
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {
                    "name": "delivery_date",
                    "arguments": '{"parcel": 4711, "locale": "en"}',
                },
            }
        ],
    }
    tool = {"role": "tool", "tool_call_id": "call_1", "content": "error: 503 Service Unavailable"}
    tokens = {"input_tokens": 1402, "output_tokens": 31, "total_tokens": 1433}
    return [
        span(
            "answer_customer",
            "a0",
            None,
            "AGENT",
            (0, 2914),
            inputs={"question": _QUESTION, "parcel": 4711},
            outputs=_ANSWER,
            attributes={"user.tier": "gold", "retries": 1},
        ),
        span(
            "find_documents",
            "a1",
            "a0",
            "CHAIN",
            (12, 431),
            inputs={"query": "change address parcel under way"},
            outputs={"found": 3},
        ),
        span(
            "embed_query",
            "a3",
            "a1",
            "EMBEDDING",
            (15, 102),
            inputs="change address parcel under way",
            outputs=[i / 1536 for i in range(1536)],
            attributes={"mlflow.llm.model": "text-embedding-3-small"},
        ),
        span(
            "search_handbook",
            "a2",
            "a1",
            "RETRIEVER",
            (105, 428),
            inputs={"query": "change address parcel", "k": 3},
            outputs=documents,
            attributes={"index": "handbook-2026-11", "distance": "cosine"},
        ),
        span(
            "chat gpt-4o",
            "a4",
            "a0",
            "CHAT_MODEL",
            (436, 1298),
            inputs={"model": "gpt-4o", "temperature": 0, "messages": [system, user]},
            outputs={"choices": [{"index": 0, "finish_reason": "tool_calls", "message": call}]},
            attributes={"mlflow.llm.model": "gpt-4o", "mlflow.chat.tokenUsage": tokens},
        ),
        span(
            "delivery_date",
            "a5",
            "a0",
            "TOOL",
            (1303, 1711),
            inputs={"parcel": 4711, "locale": "en"},
            status="ERROR",
            message="HTTPStatusError: Server error '503 Service Unavailable'",
            events=[
                exception_event(
                    1710,
                    "HTTPStatusError",
                    "Server error '503 Service Unavailable' for url 'https://shipping.example/v2/dates'",
                    _STACK,
                )
            ],
        ),
        span(
            "chat gpt-4o",
            "a6",
            "a0",
            "CHAT_MODEL",
            (1716, 2848),
            inputs={"model": "gpt-4o", "temperature": 0, "messages": [system, user, call, tool]},
            outputs={
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": _ANSWER},
                    }
                ]
            },
            attributes={"mlflow.llm.model": "gpt-4o", "mlflow.llm.cost": {"total_cost": 0.0052}},
            events=[
                {
                    "name": "first_token",
                    "time_unix_nano": START_NS + 2014 * MS,
                    "attributes": {"tokens": 1},
                }
            ],
        ),
        span(
            "parse_answer",
            "a7",
            "a0",
            "PARSER",
            (2850, 2862),
            inputs=_ANSWER,
            outputs={"language": "en", "safe": True},
        ),
        span(
            "check_policy",
            "a8",
            "a0",
            "GUARDRAIL",
            (2863, 2914),
            inputs={"text": _ANSWER},
            outputs={"violations": []},
        ),
        span(
            "write_audit_log",
            "a9",
            "a0",
            "TASK",
            (2880, None),
            inputs={"order": {"parcel": 4711, "lines": [{"sku": "B-12", "n": 2}]}},
        ),
        span("notify", "aa", "missing", None, (2890, 2901), outputs="queued"),
    ]


def hostile_trace(attack: str) -> Trace:
    """Return a trace with `attack` in every field that can hold text."""
    text = attack
    plain = text.encode(
        "utf-8", "replace"
    ).decode()  # JSON text, as it is stored, has no lone surrogate
    payload = _hostile_payload(plain)
    event = {"name": plain, "time_unix_nano": START_NS, "attributes": {plain: plain}}
    failure = exception_event(1, plain, plain, plain)
    failure["attributes"][plain] = plain
    common: dict[str, Any] = {
        "attributes": {plain: plain, "mlflow.llm.model": plain},
        "events": [event, failure],
        "inputs": payload,
        "outputs": plain,
    }
    spans = [
        span(text, text, None, text, (0, 50), status="ERROR", message=text, **common),
        span(text, text, text, text, (1, None), **common),
        span(
            text,
            "other",
            "missing " + text,
            text,
            (2, 3),
            outputs=payload["messages"],
            inputs=payload["documents"],
        ),
    ]
    return trace(
        *spans,
        trace_id=text,
        request_preview=text,
        response_preview=text,
        client_request_id=text,
        tags={"mlflow.traceName": text, text: text, "user_tag": text},
        trace_metadata={
            "mlflow.trace.session": text,
            "mlflow.trace.user": text,
            "mlflow.trace.tokenUsage": json.dumps({"total_tokens": plain, "input_tokens": 1}),
            text: text,
        },
        assessments=_hostile_assessments(text),
    )


def _hostile_assessments(text: str) -> list[Feedback | Expectation]:
    said_by = AssessmentSource("HUMAN", text)
    return [
        Feedback(name=text, value=text, source=said_by, rationale=text),
        Feedback(name=text, value={text: text}, source=said_by, rationale=text, span_id=text),
        Feedback(
            name=text, error=AssessmentError(text, text, text), source=said_by, rationale=text
        ),
        Expectation(name=text, value=[text], source=said_by),
    ]


def _hostile_payload(text: str) -> dict[str, Any]:
    return {
        text: text,
        "nested": {text: [text, {text: text}]},
        "messages": [
            {"role": text, "content": text, "name": text},
            {
                "role": "user",
                "content": [{"type": "text", "text": text}, {"type": text, text: text}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"name": text, "arguments": text}}],
            },
            {"type": "function_call", "name": text, "arguments": json.dumps({text: text})},
        ],
        "documents": [{"page_content": text, "metadata": {"source": text, text: text}}],
    }
