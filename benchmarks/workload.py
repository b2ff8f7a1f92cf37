"""The workload of all benchmarks: one deterministic retrieval and answer trace for each number.

A trace has four spans (chain, retriever, chat model, tool), about 5.6 KB of payload, 6 tags, a session of 20
traces, one of 1,000 users; 2 % fail in the tool, 20 % get feedback. `trace_of(i)` depends on `i` alone, so any
number of traces can be made without holding them. `record` records one through the public API; `records` makes
the same rows at once, at a given time, for loading a million. Knows nothing of clocks or files.
"""

from __future__ import annotations

import functools
import random
from typing import Any, NamedTuple

import tracestore
from tracestore.encoding import encode
from tracestore.entities import AssessmentSource, SpanEvent
from tracestore.storage.record_rows import SpanRecord, TraceRecord
from tracestore.summary.preview import request_preview, response_preview

SEED = 20_261_120
USERS = 1_000
SESSION_TRACES = 20

#: One trace in so many has the rare tool, the rare model and the rare region; a prime, so that it lines up
#: with nothing else.
RARE_EVERY = 1_009
RARE_TOOL, RARE_MODEL, RARE_REGION = "restart_elevator", "canary-llm", "antarctica"

#: Of a hundred: failing in the tool, feedback.
ERROR_PERCENT, FEEDBACK_PERCENT = 2, 20

_WORDS = """the of and to a in that is was for it with as on be by at this which or from an are not have had
they you were their one all we can her has there been if more when will would who so no out up into them
customer order invoice warehouse delivery refund account password printer contract shipment supplier machine
elevator battery sensor firmware network router server database backup schedule engineer technician manual
warranty replacement temperature pressure voltage calibration maintenance inspection certificate regulation
deadline payment currency discount subscription upgrade licence agreement department manager colleague meeting
report summary analysis forecast budget quarter revenue margin inventory component assembly document paragraph
reference appendix procedure checklist requirement specification tolerance diameter material aluminium concrete
please check open close replace restart confirm contact describe measure compare install remove update read
write send receive approve reject cancel postpone continue explain within before after during between without
against usually rarely always never quickly carefully several another first second third last next previous
small large heavy narrow empty broken correct missing valid urgent annual local remote internal external blue
green north south morning evening Tuesday Friday January October Zürich café naïve coöperate résumé Łódź"""


class WorkloadTrace(NamedTuple):
    """What one trace of the workload is made of; payloads as a program would pass them."""

    number: int
    name: str
    tool: str
    tags: dict[str, str]
    session: str
    user: str
    client_request_id: str
    metadata: dict[str, str]
    question: dict[str, Any]
    answer: dict[str, Any]
    query: dict[str, Any]
    documents: list[dict[str, Any]]
    prompt: dict[str, Any]
    completion: dict[str, Any]
    model: str
    model_attributes: dict[str, Any]
    usage: dict[str, int]
    call: dict[str, Any]
    result: dict[str, Any]
    fails: bool
    feedback: dict[str, bool | int]


class ToolError(RuntimeError):
    """What the tool of the workload raises in 2 % of the traces."""


@functools.lru_cache(maxsize=1)
def _sentences() -> list[str]:
    """Return the sentences that all prose is put together from: words by rank, as languages use them."""
    rng = random.Random(SEED)
    vocabulary = _WORDS.split()
    weights = [1 / (rank + 8) for rank in range(len(vocabulary))]
    sentences = []
    for _ in range(6_000):
        words = rng.choices(vocabulary, weights, k=rng.randrange(6, 19))
        if rng.random() < 0.2:
            words.insert(rng.randrange(len(words)), str(rng.randrange(10_000)))
        text = " ".join(words)
        sentences.append(text[0].upper() + text[1:] + ("?" if rng.random() < 0.1 else "."))
    return sentences


def _prose(rng: random.Random, sentences: int) -> str:
    return " ".join(rng.choices(_sentences(), k=sentences))


def trace_of(number: int) -> WorkloadTrace:
    """Return the trace with this number, always the same one."""
    rng = random.Random(SEED << 32 | number)
    rare = number % RARE_EVERY == RARE_EVERY // 2
    question = f"{_prose(rng, 2)} Order {rng.randrange(10**7)}."
    answer = _prose(rng, 7)
    documents = [_document(rng) for _ in range(5)]
    model = (
        RARE_MODEL
        if rare
        else rng.choice(("gpt-5-mini", "gpt-5-mini", "claude-haiku", "llama-70b"))
    )
    tool = rng.choice(("look_up_order", "look_up_order", "convert_units", "read_sensor"))
    user_turn = {"role": "user", "content": question}
    return WorkloadTrace(
        number=number,
        name=rng.choices(("answer_question", "summarise_report", "triage_ticket"), (75, 20, 5))[0],
        tool=RARE_TOOL if rare else tool,
        tags=_tags(rng, number, rare=rare),
        session=f"s-{number // SESSION_TRACES:06}",
        user=f"u-{number // SESSION_TRACES * 7919 % USERS:04}",
        client_request_id=f"req-{number:08}",
        metadata={"pipeline": rng.choice(("rag-3", "rag-3", "rag-3", "rag-4"))},
        question={"messages": [{"role": "assistant", "content": _prose(rng, 5)}, user_turn]},
        answer={"role": "assistant", "content": answer},
        query={"query": question, "k": 5},
        documents=documents,
        prompt={
            "model": model,
            "messages": [
                {"role": "system", "content": f"Answer from the context.\n{_prose(rng, 3)}"},
                {"role": "user", "content": f"{documents[0]['page_content'][:300]}\n\n{question}"},
            ],
        },
        completion={"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]},
        model=model,
        model_attributes={
            "mlflow.llm.model": model,
            "temperature": rng.choice((0.0, 0.2, 0.2, 0.7)),
            "prompt_id": "p-rare" if rare else f"p-{rng.randrange(40)}",
            "stream": rng.random() < 0.5,
        },
        usage=_usage(rng),
        call={"order": rng.randrange(10**7), "unit": "mm"},
        result={"found": True, "note": _prose(rng, 2)},
        fails=rng.randrange(100) < ERROR_PERCENT,
        feedback=_feedback(rng),
    )


def _document(rng: random.Random) -> dict[str, Any]:
    source = f"https://docs.example.com/manual/{rng.randrange(5_000)}.md"
    return {
        "page_content": _prose(rng, 6),
        "metadata": {
            "doc_uri": source,
            "score": round(rng.random(), 4),
            "chunk": rng.randrange(40),
        },
    }


def _tags(rng: random.Random, number: int, *, rare: bool) -> dict[str, str]:
    environments = ("production", "staging", "development")
    regions = ("eu-central", "eu-west", "us-east", "us-west", "ap-south")
    return {
        "environment": rng.choices(environments, (80, 15, 5))[0],
        "app_version": f"2.{rng.randrange(12)}.0",
        "region": RARE_REGION if rare else rng.choice(regions),
        "customer_tier": rng.choices(("free", "team", "enterprise"), (60, 30, 10))[0],
        "feature_flag": rng.choice(("reranker", "short_answers", "none", "none")),
        "deployment_id": deployment_id(number),
    }


def deployment_id(number: int) -> str:
    """Return the tag that no other trace has."""
    return f"d-{number * 0x9E3779B97F4A7C15 % 2**48:012x}"


def _usage(rng: random.Random) -> dict[str, int]:
    given, made = rng.randrange(400, 2_400), rng.randrange(60, 600)
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


def _feedback(rng: random.Random) -> dict[str, bool | int]:
    if rng.randrange(100) >= FEEDBACK_PERCENT:
        return {}
    return {"helpful": rng.random() < 0.8, "score": rng.randrange(1, 6)}


# ------------------------------------------------------------------------------------------ recording


def record(trace: WorkloadTrace) -> str:
    """Record the trace as a program would, and return its id. Feedback comes later, see `give_feedback`."""
    trace_id = ""
    try:
        with tracestore.start_span(trace.name, span_type="CHAIN") as root:
            trace_id = root.trace_id
            root.set_inputs(trace.question)
            tracestore.update_current_trace(
                tags=trace.tags,
                metadata=trace.metadata,
                client_request_id=trace.client_request_id,
                session_id=trace.session,
                user=trace.user,
            )
            with tracestore.start_span("retrieve", span_type="RETRIEVER") as span:
                span.set_inputs(trace.query)
                span.set_outputs(trace.documents)
            with tracestore.start_span("generate", span_type="CHAT_MODEL") as span:
                span.set_inputs(trace.prompt)
                span.set_attributes(trace.model_attributes)
                span.set_attribute("mlflow.chat.tokenUsage", trace.usage)
                span.set_outputs(trace.completion)
            with tracestore.start_span(trace.tool, span_type="TOOL") as span:
                span.set_inputs(trace.call)
                use_tool(trace)
                span.set_outputs(trace.result)
            root.set_outputs(trace.answer)
    except ToolError:
        return trace_id
    return trace_id


def use_tool(trace: WorkloadTrace) -> None:
    """Do what the tool does: nothing, or raise ToolError."""
    if trace.fails:
        raise ToolError(f"no answer for order {trace.call['order']}")


def give_feedback(store: tracestore.Store, trace_id: str, trace: WorkloadTrace) -> int:
    """Log the trace's feedback, if it gets any, and return how many there were."""
    for name, value in trace.feedback.items():
        source = AssessmentSource("HUMAN", trace.user)
        store.log_feedback(trace_id, name, value, source, rationale="Seen in the weekly review.")
    return len(trace.feedback)


# ------------------------------------------------------------------------------------------ rows at once

_RESOURCE = {
    "mlflow.user": "benchmark",
    "mlflow.source.name": "workload.py",
    "mlflow.source.type": "LOCAL",
}


def records(trace: WorkloadTrace, start_ns: int) -> tuple[TraceRecord, list[SpanRecord]]:
    """Return the rows that recording the trace from `start_ns` would make, with made-up durations."""
    rng = random.Random(~trace.number)
    trace_id = f"tr-{start_ns // 1_000_000 << 80 | rng.getrandbits(80):032x}"
    spans = _SpanRecords(trace_id, trace, start_ns, rng)
    inputs, outputs = encode(trace.question), None if trace.fails else encode(trace.answer)
    total_ns = spans.end_ns - start_ns
    record = TraceRecord(
        trace_id=trace_id,
        experiment=0,
        start_time_ms=start_ns // 1_000_000,
        name=trace.name,
        status="ERROR" if trace.fails else "OK",
        duration_ms=total_ns // 1_000_000,
        client_request_id=trace.client_request_id,
        usage=trace.usage,
        cost={},
        request_preview=request_preview(inputs),
        response_preview=response_preview(outputs),
        tags=trace.tags,
        metadata={
            **_RESOURCE,
            **trace.metadata,
            "mlflow.trace.session": trace.session,
            "mlflow.trace.user": trace.user,
        },
    )
    return record, spans.all(inputs, outputs)


class _SpanRecords:
    """The four span rows of one trace, laid out in time one after the other."""

    def __init__(
        self, trace_id: str, trace: WorkloadTrace, start_ns: int, rng: random.Random
    ) -> None:
        self._trace_id, self._trace, self._start_ns, self._rng = trace_id, trace, start_ns, rng
        self._root_id = f"{rng.getrandbits(64):016x}"
        retrieve_ms, generate_ms, tool_ms = (
            int(rng.lognormvariate(mu, 0.6) * 1e6) for mu in (3.5, 6.5, 2.5)
        )
        self._ends = [start_ns + 10_000 + retrieve_ms]
        self._ends += [self._ends[0] + 5_000 + generate_ms]
        self._ends += [self._ends[1] + 5_000 + tool_ms]
        self.end_ns = self._ends[2] + 10_000

    def all(self, inputs: bytes, outputs: bytes | None) -> list[SpanRecord]:
        """Return the rows, children first, as spans end."""
        trace, ends = self._trace, self._ends
        error, events = self._error(ends[2]) if trace.fails else (None, None)
        usage = {"mlflow.chat.tokenUsage": trace.usage}
        return [
            self._row("retrieve", "RETRIEVER", self._start_ns, ends[0], trace.query, trace.documents),
            self._row("generate", "CHAT_MODEL", ends[0], ends[1], trace.prompt, trace.completion,
                      encode({**trace.model_attributes, **usage})),
            self._row(trace.tool, "TOOL", ends[1], ends[2], trace.call,
                      None if trace.fails else trace.result, None, error, events),
            (self._trace_id, self._root_id, None, trace.name, "CHAIN", "ERROR" if error else "OK", error,
             self._start_ns, self.end_ns, error, None, events, None, inputs, outputs),
        ]  # fmt: skip

    def _row(
        self,
        name: str,
        span_type: str,
        start_ns: int,
        end_ns: int,
        inputs: Any,
        outputs: Any,
        attributes: bytes | None = None,
        error: str | None = None,
        events: bytes | None = None,
    ) -> SpanRecord:
        return (
            self._trace_id, f"{self._rng.getrandbits(64):016x}", self._root_id, name, span_type,
            "ERROR" if error else "OK", error, start_ns + 5_000, end_ns, error, attributes, events, None,
            encode(inputs), None if outputs is None else encode(outputs),
        )  # fmt: skip

    def _error(self, time_ns: int) -> tuple[str, bytes]:
        try:
            use_tool(self._trace)
        except ToolError as exception:
            event = SpanEvent.from_exception(exception)
            attributes = event.attributes
            fields = {"name": event.name, "time_unix_nano": time_ns, "attributes": attributes}
            return f"ToolError: {exception}", encode([fields])
        raise AssertionError
