"""Support: the traces that both MLflow and tracestore are asked about, and how to record them with either.

`record` takes the library as a value: everything it calls is spelled the same in both. Some traces have fixed
times, in 2001, and are recorded with explicit starts and ends; the others run now, as a program's do.
Invariant: a trace's number is its place in `TRACES`, which only grows at its end.
"""

from __future__ import annotations

import random
from typing import Any

#: Start of the first trace with fixed times, epoch milliseconds; each starts a second after the one before.
START_MS = 1_000_000_000_000

_TEXTS = ("prod", "Prod", "dev", "it's", "100%", "", "1.0", "5", "x_y", "É")
_VALUES = (True, False, "true", "good", "5", 5, 0.5, 1)
_USERS = ("u1", "u2", "x_y")


def _span(rng: random.Random) -> dict[str, Any]:
    return {
        "name": rng.choice(("tool", "llm", "é")),
        "type": rng.choice(("LLM", "TOOL", "CHAIN")),
        "status": rng.choice(("OK", "ERROR")),
        "attributes": {"model": rng.choice(("gpt-4", "gpt-4o")), "t": rng.choice((0.5, 1))},
    }


def _some(rng: random.Random, keys: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
    return {key: rng.choice(values) for key in keys if rng.random() < 0.5}


def _trace(number: int, rng: random.Random) -> dict[str, Any]:
    return {
        "name": rng.choice(("a", "b", "agent", "É")),
        "status": rng.choice(("OK", "ERROR")),
        "inputs": {"q": f"hello {number}"},
        "outputs": rng.choice(("x", "it's")),
        "client_request_id": None if rng.random() < 0.3 else f"c{number}",
        "tags": _some(rng, ("env", "n", "a.b", "k k"), _TEXTS),
        "metadata": _some(rng, ("m", "user_id"), _USERS),
        "spans": [_span(rng) for _ in range(rng.randrange(3))],
        "feedback": [
            {"name": name, "value": rng.choice(_VALUES)}
            for name in ("q", "score")
            if rng.random() < 0.4
        ],
        "expectation": [
            {"name": "e", "value": rng.choice(("x", 3, True))} for _ in range(rng.randrange(2))
        ],
    }


def _timed(number: int, rng: random.Random) -> dict[str, Any]:
    """Return a trace with fixed times, which can't have a client request id."""
    return {
        **_trace(number, rng),
        "client_request_id": None,
        "start_ms": START_MS + 1000 * number,
        "duration_ms": 1_000_000 * (number % 4 + 1),
    }


def _plain(**changes: Any) -> dict[str, Any]:
    return {
        "name": "plain", "status": "OK", "inputs": None, "outputs": None, "client_request_id": None,
        "tags": {}, "metadata": {}, "spans": [], "feedback": [], "expectation": [], **changes,
    }  # fmt: skip


def _made() -> list[dict[str, Any]]:
    """Return a trace for each oddity that chance would miss."""
    session = {"mlflow.trace.session": "s1", "mlflow.trace.user": "ada"}
    spans = [
        {"name": name, "type": "TOOL", "status": "OK", "attributes": {"model": name}}
        for name in ("first", "second")
    ]
    return [
        _plain(metadata=session, feedback=[{"name": "shared", "value": True, "metadata": {"mlflow.trace.session": "s1"}}]),
        _plain(metadata=session),
        _plain(feedback=[{"name": "q", "value": 0.1}, {"name": "q", "value": 0.9}]),
        _plain(feedback=[{"name": "failed", "value": None, "error": "no judge"}]),
        _plain(feedback=[{"name": "listed", "value": ["good", 5]}, {"name": "kept", "value": {"a": 1}}]),
        _plain(feedback=[{"name": "replaced", "value": "bad"}], override={"name": "replaced", "value": "good"}),
        _plain(tags={"name": "tagged", "text": "tagged", "timestamp": "5", "run_id": "r", "Name": "tagged"}),
        _plain(tags={"$odd key.with": "v", "\\": "a\\b"}, metadata={"name": "meta"}),
        _plain(tags={"n": "100"}, inputs='say "hello"\nand go', outputs={"text": 'say "bye"\n'}),
        _plain(spans=spans, inputs={"q": "first"}),
        _plain(metadata={"mlflow.sourceRun": "run1"}, tags={"n": "99"}),
        _plain(name="tool", tags={"n": "1e2", "env": "PROD"}, expectation=[{"name": "e", "value": "it's"}]),
    ]  # fmt: skip


def _all() -> list[dict[str, Any]]:
    rng = random.Random(3)
    traces = [_trace(number, rng) for number in range(24)]
    traces += [_timed(number, rng) for number in range(24, 36)]
    return traces + _made()


TRACES = _all()


def record(library: Any) -> list[str]:
    """Record all traces with a library, MLflow or tracestore, and return their ids by number."""
    ids = [
        (_record_timed if "start_ms" in trace else _record_now)(library, trace) for trace in TRACES
    ]
    library.flush_trace_async_logging()
    for trace_id, trace in zip(ids, TRACES, strict=True):
        _assess(library, trace_id, trace)
    return ids


def _assess(library: Any, trace_id: str, trace: dict[str, Any]) -> None:
    """Log the assessments of one trace; `override` replaces the last feedback."""
    last = None
    for given in trace["feedback"]:
        last = library.log_feedback(trace_id=trace_id, **given).assessment_id
    for given in trace["expectation"]:
        library.log_expectation(trace_id=trace_id, **given)
    if "override" in trace:
        feedback = library.entities.Feedback(**trace["override"], overrides=last)
        library.log_assessment(trace_id, feedback)


def _record_now(library: Any, trace: dict[str, Any]) -> str:
    with library.start_span(trace["name"]) as root:
        root.set_inputs(trace["inputs"])
        root.set_outputs(trace["outputs"])
        for given in trace["spans"]:
            with library.start_span(
                given["name"], given["type"], attributes=given["attributes"]
            ) as span:
                span.set_status(given["status"])
        library.update_current_trace(
            tags=trace["tags"],
            metadata=trace["metadata"],
            client_request_id=trace["client_request_id"],
        )
        root.set_status(trace["status"])
    return str(root.trace_id)


def _record_timed(library: Any, trace: dict[str, Any]) -> str:
    start_ns = trace["start_ms"] * 1_000_000
    root = library.start_span_no_context(
        trace["name"],
        inputs=trace["inputs"],
        tags=trace["tags"],
        metadata=trace["metadata"],
        start_time_ns=start_ns,
    )
    for given in trace["spans"]:
        span = library.start_span_no_context(
            given["name"],
            given["type"],
            parent_span=root,
            attributes=given["attributes"],
            start_time_ns=start_ns,
        )
        span.end(status=given["status"], end_time_ns=start_ns + 1_000_000)
    end_ns = start_ns + trace["duration_ms"] * 1_000_000
    root.end(outputs=trace["outputs"], status=trace["status"], end_time_ns=end_ns)
    return str(root.trace_id)
