"""Scorers over stored traces: what they return is feedback, what they raise too, and nothing is scored twice."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import tracestore
from tracestore import evaluation
from tracestore.entities import AssessmentSource, Feedback, Trace
from tracestore.errors import FilterSyntaxError, InvalidArgumentError, NotFoundError
from tracestore.evaluation.monitor import in_sample
from tracestore.runtime import runtime
from tracestore.store import Store


def record(outputs: Any = "Paris", name: str = "answer", **expected: Any) -> str:
    """Record a trace, with expectations, and return its id."""
    with tracestore.start_span(name) as span:
        span.set_inputs({"question": "?"})
        span.set_outputs(outputs)
    for key, value in expected.items():
        tracestore.log_expectation(trace_id=span.trace_id, name=key, value=value)
    return span.trace_id


def feedback_of(trace_id: str) -> dict[str, Any]:
    """Return the values of a trace's feedback in force, an error's code where there is one."""
    return {
        each.name: each.value if each.error is None else each.error.error_code
        for each in runtime.store.get_trace(trace_id).info.assessments
        if isinstance(each, Feedback) and each.valid
    }


def test_whatever_a_scorer_returns_is_feedback_by_code(recording: Store) -> None:
    trace_id = record()

    def flag(outputs: str) -> bool:
        return outputs == "Paris"

    def number(trace: Trace) -> float:
        return len(trace.data.spans) + 0.5

    def text(inputs: Any) -> str:
        return str(inputs["question"])

    def mapping(outputs: str) -> dict[str, Any]:
        return {"length": len(outputs), "ok": True}

    def several(t: Trace) -> list[Feedback]:  # noqa: ARG001 - any name is the trace
        judge = AssessmentSource("LLM_JUDGE", "big-model")
        return [
            Feedback(name="tone", value="warm", rationale="thanks"),
            Feedback(value=3, source=judge, metadata={"prompt": "7"}),
        ]

    async def later(outputs: str) -> bool:
        await asyncio.sleep(0)
        return bool(outputs)

    def nothing(outputs: str) -> None:
        del outputs

    found = tracestore.evaluate("", [flag, number, text, mapping, several, later, nothing])

    assert feedback_of(trace_id) == {
        "flag": True, "number": 1.5, "text": "?", "mapping": {"length": 5, "ok": True},
        "tone": "warm", "several": 3, "later": True,
    }  # fmt: skip
    assert found["scored"] == [1, 1, 1, 1, 1, 1, 0]
    assert found["mean"][1] == 1.5
    assert found["share"][0] == 1.0
    assert found["counts"][2] == {"?": 1}
    assert recording.count_traces("feedback.mapping.length = 5") == 1
    said = {
        each.name: each.to_dictionary() for each in recording.get_trace(trace_id).info.assessments
    }
    assert said["flag"]["source"] == {"source_type": "CODE", "source_id": "flag"}
    assert said["several"]["source"]["source_type"] == "LLM_JUDGE"
    assert said["several"]["metadata"]["prompt"] == "7"
    assert said["several"]["metadata"]["scorer"] == "several"


def test_a_failing_scorer_is_an_error_on_the_trace_and_stops_nothing(recording: Store) -> None:
    ids = [record(str(n)) for n in range(12)]

    def picky(outputs: str) -> bool:
        if outputs == "3":
            raise LookupError("three")
        return True

    def odd(outputs: str) -> Any:
        return object() if outputs == "4" else 1

    found = tracestore.evaluate("name = 'answer'", [picky, odd], max_concurrency=3)

    assert found["scored"] == [11, 11]
    assert found["failed"] == [1, 1]
    assert feedback_of(ids[3])["picky"] == "LookupError"
    assert feedback_of(ids[4])["odd"] == "InvalidArgumentError"
    assert recording.count_traces("feedback.picky = true") == 11


def test_numbers_of_numpy_and_what_is_to_be_awaited_are_scores(recording: Store) -> None:
    trace_id = record()

    def is_high(trace: Trace) -> Any:
        return np.float64(len(trace.data.spans)) > 0.5

    def length(outputs: str) -> Any:
        return np.int64(len(outputs))

    def later(outputs: str) -> Any:
        return asyncio.sleep(0, result=outputs == "Paris")

    tracestore.evaluate("", [is_high, length, later])
    assert feedback_of(trace_id) == {"is_high": True, "length": 5, "later": True}
    assert recording.count_traces("feedback.is_high = true AND feedback.length = 5") == 1


def test_a_scorer_that_leaves_the_program_is_a_failing_one(recording: Store) -> None:
    first, second = record("1"), record("2")

    def leaves(outputs: str) -> bool:
        return bool(outputs) if outputs == "1" else sys.exit(3)

    async def leaves_later(outputs: str) -> bool:
        return leaves(outputs)

    found = tracestore.evaluate("", [leaves, leaves_later], max_concurrency=1)
    assert (found["scored"], found["failed"]) == ([1, 1], [1, 1])
    assert feedback_of(first) == {"leaves": True, "leaves_later": True}
    assert feedback_of(second) == {"leaves": "SystemExit", "leaves_later": "RuntimeError"}
    assert recording.count_traces() == 2


def test_a_trace_that_is_deleted_meanwhile_is_skipped(recording: Store) -> None:
    ids = [record(str(n)) for n in range(3)]

    def delete(trace: Trace) -> bool:
        if trace.trace_id == ids[1]:
            recording.delete_traces("0", trace_ids=[ids[1]])
        return True

    found = tracestore.evaluate(ids, delete, max_concurrency=1)
    assert (found["scored"], found["skipped"]) == ([2], [1])


def test_what_is_scored_is_left_alone_and_what_failed_is_tried_again(recording: Store) -> None:
    first, second = record("1"), record("2")
    calls: list[str] = []
    broken = {"2"}

    def score(outputs: str) -> int:
        calls.append(outputs)
        if outputs in broken:
            raise TimeoutError
        return int(outputs)

    made = evaluation.scorer(score, version="a")
    tracestore.evaluate("", made)
    broken.clear()
    found = tracestore.evaluate("", made)
    assert calls == ["2", "1", "2"]
    assert found["skipped"] == [1]
    assert feedback_of(second) == {"score": 2}
    tracestore.evaluate("", made, rescore=True)
    tracestore.evaluate("", dataclasses.replace(made, version="b"))
    assert len(calls) == 7
    in_force = [a for a in recording.get_trace(first).info.assessments if a.valid]
    assert len(in_force) == 1
    assert in_force[0].metadata == {"scorer": "score", "scorer_version": "b"}


def test_scorers_are_retried_and_never_more_at_a_time_than_allowed(recording: Store) -> None:
    for n in range(9):
        record(str(n))
    running, most, tries = [0], [0], {str(n): 0 for n in range(9)}
    lock = threading.Lock()

    def flaky(outputs: str) -> bool:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            tries[outputs] += 1
        try:
            if tries[outputs] < 3:
                raise ConnectionError
            return True
        finally:
            with lock:
                running[0] -= 1

    async def gather(outputs: str) -> bool:
        return bool(outputs)

    found = tracestore.evaluate("", [flaky, gather], retries=2, retry_wait_s=0, max_concurrency=2)
    assert found["failed"] == [0, 0]
    assert set(tries.values()) == {3}
    assert 1 <= most[0] <= 2
    assert recording.count_traces("feedback.flaky = true AND feedback.gather = true") == 9


def test_traces_are_given_by_filter_by_id_or_as_they_are(recording: Store) -> None:
    ids = [record(name=name) for name in ("a", "b", "c")]

    def always(trace: Trace) -> bool:
        return bool(trace)

    tracestore.evaluate("name = 'a'", always)
    tracestore.evaluate([ids[1]], always)
    tracestore.evaluate(
        tracestore.search_traces(filter_string="name = 'c'", return_type="list"), always
    )
    assert recording.count_traces("feedback.always = true") == 3
    with pytest.raises(NotFoundError):
        tracestore.evaluate(["tr-0"], always)
    with pytest.raises(InvalidArgumentError, match="traces is"):
        tracestore.evaluate([5], always)  # type: ignore[list-item]
    with tracestore.start_span("running") as span:
        assert tracestore.evaluate([span.trace_id], always)["skipped"] == [1]


def test_what_a_scorer_calls_is_not_traced(recording: Store) -> None:
    record()

    @tracestore.trace
    def judge(outputs: str) -> bool:
        return bool(outputs)

    async def later(outputs: str) -> bool:
        return judge(outputs)

    tracestore.evaluate("", [evaluation.scorer(judge, name="now"), later])
    assert recording.count_traces() == 1
    assert recording.count_traces("feedback.now = true AND feedback.later = true") == 1


def test_an_interrupted_run_keeps_its_scores_and_goes_on_later(recording: Store) -> None:
    for n in range(30):
        record(str(n))
    calls: list[str] = []

    def score(outputs: str) -> bool:
        calls.append(outputs)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return True

    made = evaluation.scorer(score, version="1")
    with pytest.raises(KeyboardInterrupt):
        tracestore.evaluate("", made, max_concurrency=1)
    done = recording.count_traces("feedback.score = true")
    assert 4 <= done < 30
    found = tracestore.evaluate("", made)
    assert (found["skipped"], found["scored"]) == ([done], [30 - done])


@pytest.mark.parametrize("bad", [[], [5], int, [lambda: 1], [lambda a, b: a + b], "text"])
def test_what_is_no_scorer_is_refused(recording: Store, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        tracestore.evaluate("", bad)
    assert recording.count_traces() == 0


def test_arguments_out_of_range_are_refused(recording: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="max_concurrency"):
        tracestore.evaluate("", evaluation.latency_below(1), max_concurrency=0, store=recording)
    with pytest.raises(InvalidArgumentError, match="different names"):
        tracestore.evaluate("", [evaluation.latency_below(1), evaluation.latency_below(2)])
    with pytest.raises(InvalidArgumentError, match="sample"):
        tracestore.monitor(evaluation.latency_below(1), sample=2)
    with pytest.raises(FilterSyntaxError):
        tracestore.monitor(evaluation.latency_below(1), "status =")


# ------------------------------------------------------------------------------------------ built in


def test_built_in_scorers_are_exact(recording: Store) -> None:
    good = record({"choices": [{"message": {"content": "Paris"}}]}, city="Paris")
    bad = record("It is Rome", city="Paris")
    made = [
        evaluation.matches_expectation("city"),
        evaluation.contains("paris", ignore_case=True),
        evaluation.latency_below(3600),
        evaluation.tokens_below(10),
    ]
    tracestore.evaluate("", made)
    assert feedback_of(good) == {"matches_city": True, "contains": True, "latency_below": True}
    assert feedback_of(bad) == {"matches_city": False, "contains": False, "latency_below": True}
    assert recording.count_traces("feedback.latency_below = true") == 2


@dataclasses.dataclass
class City:
    """What an answer is to be."""

    name: str
    people: int


@pytest.mark.parametrize(
    ("schema", "outputs", "expected"),
    [
        (None, '{"a": 1}', True),
        (None, "a word", False),
        (None, "17", False),
        (None, [1], True),
        (City, {"name": "Paris", "people": 2}, True),
        (City, {"message": '{"name": "Paris", "people": 2}'}, True),
        (City, {"name": "Paris"}, False),
        (list[int], "[1, 2]", True),
        (list[int], '["x"]', False),
    ],
)
def test_json_is_valid_or_of_the_form_wanted(schema: Any, outputs: Any, expected: bool) -> None:
    assert evaluation.is_json(schema).function(outputs=outputs) is expected


def test_json_schema_is_checked_by_the_package_that_knows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = {"type": "object", "required": ["name"]}
    made = evaluation.is_json(schema)
    assert made.function(outputs='{"name": "Paris"}') is True
    assert made.function(outputs="{}") is False
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(InvalidArgumentError, match="needs the package jsonschema"):
        evaluation.is_json(schema)
    with pytest.raises(InvalidArgumentError, match="no type to check"):
        evaluation.is_json(5)


def test_a_retriever_hits_by_any_name_of_a_document(recording: Store) -> None:
    def ask(documents: Any, expected: Any) -> str:
        with (
            tracestore.start_span("ask") as root,
            tracestore.start_span("find", span_type="RETRIEVER") as span,
        ):
            span.set_outputs(documents)
        if expected is not None:
            tracestore.log_expectation(
                trace_id=root.trace_id, name="expected_documents", value=expected
            )
        return root.trace_id

    found = [{"page_content": "x", "metadata": {"doc_uri": "a.md"}}, {"id": 7}]
    cases = {ask(found, "a.md"): True, ask(found, ["z", {"id": 7}]): True, ask(found, ["z"]): False,
             ask(["text"], "text"): True, ask([], "a.md"): False, ask(found, None): None}  # fmt: skip
    tracestore.evaluate("", evaluation.retrieval_hit())
    assert {key: feedback_of(key).get("retrieval_hit") for key in cases} == cases
    assert recording.count_traces("feedback.retrieval_hit = true") == 3


def test_settings_are_part_of_the_version() -> None:
    assert evaluation.contains("a").version != evaluation.contains("b").version
    first = evaluation.scorer(lambda outputs: outputs == 1, name="x")
    second = evaluation.scorer(lambda outputs: outputs == 2, name="x")
    assert first.version != second.version


# ------------------------------------------------------------------------------------------ monitor


def test_new_traces_are_scored_in_the_background(recording: Store) -> None:
    record("old")
    seen = threading.Event()

    def watched(outputs: str) -> bool:
        seen.set()
        return outputs == "new"

    with tracestore.monitor(watched, "name = 'answer'", interval_s=0.02) as watching:
        record("new")
        record("other", name="left alone")
        assert seen.wait(20)
        watching.flush()
    assert not watching.failures
    assert watching.answer()["scored"][0] >= 1
    assert recording.count_traces("feedback.watched = true") == 1
    assert recording.count_traces("name = 'left alone' AND feedback.watched IS NULL") == 1


def test_a_trace_is_scored_once_when_it_has_ended(recording: Store) -> None:
    scored: list[str] = []

    def note(trace: Trace) -> bool:
        scored.append(trace.trace_id)
        return True

    watching = tracestore.monitor(note, interval_s=3600)
    span = tracestore.start_span_no_context("long")
    recording.flush()
    quick = record()
    assert watching.flush() == 1
    assert watching.flush() == 0
    span.end()
    assert watching.flush() == 1
    assert scored == [quick, span.trace_id]
    assert watching.stop()


def test_what_began_before_the_monitor_and_what_is_deleted_holds_up_nothing(
    recording: Store,
) -> None:
    early = tracestore.start_span_no_context("early")
    recording.flush()
    with tracestore.monitor(is_a_trace, interval_s=3600) as watching:
        tracestore.set_experiment("another")
        record("of another experiment")
        tracestore.set_experiment(experiment_id="0")
        ids = [record(str(n)) for n in range(5)]
        early.end()
        recording.flush()
        watching._look()
        recording.delete_traces("0", trace_ids=ids[:2])
        assert watching.flush() == 6
        assert watching.answer()["scored"] == [4]
    assert feedback_of(early.trace_id) == {"is_a_trace": True}


def is_a_trace(trace: Trace) -> bool:
    return isinstance(trace, Trace)


def test_a_sample_is_the_share_it_says_and_always_the_same() -> None:
    ids = [f"tr-{n * 2654435761 % 2**128:032x}" for n in range(4_000)]
    chosen = [trace_id for trace_id in ids if in_sample(trace_id, 0.25)]
    assert 900 < len(chosen) < 1_100
    assert all(in_sample(trace_id, 0.5) for trace_id in chosen)
    assert not any(in_sample(trace_id, 0) for trace_id in ids)
    assert all(in_sample(trace_id, 1) for trace_id in ids)
    assert in_sample("of another form", 1)


def test_trouble_in_the_background_is_counted_and_does_not_end_it(
    recording: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Event()

    def bool_of(trace: Trace) -> bool:
        return bool(trace)

    def broken(*_arguments: Any, **_named: Any) -> Any:
        if watching.failures:
            tried.set()
        raise OSError("no disk")

    watching = tracestore.monitor(bool_of, interval_s=0.01)
    monkeypatch.setattr(recording, "reading", broken)
    assert tried.wait(20)
    assert watching.stop()
    assert watching.failures["OSError"] >= 1
    assert caplog.text.count("were not scored") == 1


@pytest.mark.parametrize("hangs", [False, True])
def test_the_process_ends_while_a_monitor_runs(hangs: bool) -> None:
    code = (
        "import os, sys, tempfile, threading, time, tracestore\n"
        "begun = threading.Event()\n"
        "def score(trace):\n"
        "    begun.set()\n"
        "    time.sleep(3600 if sys.argv[1] == 'True' else 0)\n"
        "tracestore.set_tracking_uri(os.path.join(tempfile.mkdtemp(), 't.db'))\n"
        "tracestore.monitor(score, interval_s=0.01)\n"
        "with tracestore.start_span('x'): pass\n"
        "assert begun.wait(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(hangs)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
