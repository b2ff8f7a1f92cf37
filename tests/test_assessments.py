"""Assessments from the first word to the last: stored, updated, overridden, deleted, and what is in force."""

from __future__ import annotations

import json
import pathlib
import tempfile
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import tracestore
from tracestore import MlflowClient
from tracestore.entities import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    Expectation,
    Feedback,
)
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.runtime import runtime
from tracestore.store import Store


def a_trace() -> str:
    with tracestore.start_span("chat") as span:
        pass
    return span.trace_id


def id_of(assessment: Assessment) -> str:
    assessment_id: str | None = vars(assessment)["assessment_id"]
    assert assessment_id is not None
    return assessment_id


@pytest.mark.parametrize("value", [10**30, -(10**400), 10**400], ids=["large", "low", "high"])
def test_a_number_beyond_what_a_float_holds_is_kept_and_found(recording: Store, value: int) -> None:
    trace_id = a_trace()
    recording.log_assessment(trace_id, Feedback(name="size", value=value))
    assert recording.get_trace(trace_id).info.assessments[0].value == value
    assert recording.count_traces("feedback.size > 5") == int(value > 0)


# ------------------------------------------------------------------------------------------ update


def test_update_changes_value_and_name_and_keeps_id_span_source_and_creation(
    recording: Store,
) -> None:
    trace_id = a_trace()
    first = recording.log_assessment(
        trace_id,
        Feedback(
            name="tone",
            value=0.2,
            source=AssessmentSource("HUMAN", "ada"),
            rationale="flat",
            metadata={"a": "1", "b": "1"},
            span_id="00000000000000aa",
            create_time_ms=1_000,
            last_update_time_ms=1_000,
        ),
    )
    given = Feedback(name="style", value=0.9, metadata={"b": "2", "c": "2"})
    updated = tracestore.update_assessment(trace_id, id_of(first), given)

    assert (updated.name, updated.value, updated.rationale) == ("style", 0.9, "flat")
    assert updated.metadata == {"a": "1", "b": "2", "c": "2"}
    assert (updated.assessment_id, updated.span_id) == (first.assessment_id, "00000000000000aa")
    assert updated.source == AssessmentSource("HUMAN", "ada")
    assert updated.create_time_ms == 1_000
    assert updated.last_update_time_ms is not None
    assert updated.last_update_time_ms > 1_000
    assert recording.get_trace(trace_id).info.assessments == [updated]
    assert tracestore.count_traces("feedback.style > 0.8") == 1
    assert tracestore.count_traces("feedback.tone IS NOT NULL") == 0


def test_update_replaces_an_error_by_a_value_and_back(recording: Store) -> None:
    trace_id = a_trace()
    first = recording.log_feedback(trace_id, "judge", error=TimeoutError("slow"))
    mended = recording.update_assessment(trace_id, id_of(first), Feedback("judge", value=True))
    assert (mended.value, mended.error) == (True, None)
    failed = recording.update_assessment(
        trace_id,
        id_of(first),
        Feedback("judge", error="no answer"),  # type: ignore[arg-type]  # texts are converted
    )
    assert failed.error_code == "ASSESSMENT_ERROR"
    assert recording.get_assessment(trace_id, id_of(first)) == failed


def test_update_across_kinds_is_refused_and_changes_nothing(recording: Store) -> None:
    trace_id = a_trace()
    feedback = recording.log_feedback(trace_id, "good", True)
    expectation = recording.log_expectation(trace_id, "answer", "42")
    with pytest.raises(InvalidArgumentError, match="is of kind feedback"):
        recording.update_assessment(trace_id, id_of(feedback), Expectation("good", 1))
    with pytest.raises(InvalidArgumentError, match="is of kind expectation"):
        recording.update_assessment(trace_id, id_of(expectation), Feedback("answer", 1))
    assert recording.get_trace(trace_id).info.assessments == [feedback, expectation]


def test_updating_an_overridden_one_leaves_it_overridden(recording: Store) -> None:
    trace_id = a_trace()
    first = recording.log_feedback(trace_id, "good", value=False)
    recording.override_feedback(trace_id, id_of(first), value=True)
    assert recording.update_assessment(trace_id, id_of(first), Feedback("good", 0.1)).valid is False
    assert tracestore.count_traces("feedback.good = 0.1") == 0


# ------------------------------------------------------------------------------------------ override, delete


def test_override_hides_the_old_one_and_deleting_it_brings_it_back(recording: Store) -> None:
    trace_id = a_trace()
    judged = recording.log_feedback(
        trace_id, "good", 0.4, AssessmentSource("LLM_JUDGE", "m"), span_id="00000000000000aa"
    )
    better = tracestore.override_feedback(
        trace_id=trace_id,
        assessment_id=id_of(judged),
        value=0.9,
        rationale="it was right",
        source=AssessmentSource("HUMAN", "ada"),
        metadata={"round": 2},
    )
    assert (better.name, better.span_id, better.overrides) == (
        "good",
        "00000000000000aa",
        judged.assessment_id,
    )
    assert better.metadata == {"round": "2"}
    trace = recording.get_trace(trace_id)
    assert trace.search_assessments("good") == [better]
    assert [a.assessment_id for a in trace.info.assessments] == [
        judged.assessment_id,
        better.assessment_id,
    ]
    assert tracestore.count_traces("feedback.good < 0.5") == 0
    assert tracestore.count_traces("feedback.good > 0.5") == 1

    tracestore.delete_assessment(trace_id, id_of(better))
    assert recording.get_trace(trace_id).search_assessments("good") == [judged]
    assert tracestore.count_traces("feedback.good < 0.5") == 1


def test_source_of_an_override_is_code_unless_given(recording: Store) -> None:
    trace_id = a_trace()
    first = recording.log_feedback(trace_id, "good", 1, AssessmentSource("HUMAN", "ada"))
    assert recording.override_feedback(trace_id, id_of(first), 2).source.source_type == "CODE"


def test_expectation_is_not_overridden(recording: Store) -> None:
    trace_id = a_trace()
    expectation = recording.log_expectation(trace_id, "answer", "42")
    with pytest.raises(InvalidArgumentError, match="only feedback is overridden"):
        recording.override_feedback(trace_id, id_of(expectation), "43")


def test_deleting_from_the_middle_of_a_chain_closes_the_gap(recording: Store) -> None:
    trace_id = a_trace()
    first = recording.log_feedback(trace_id, "good", 1)
    second = recording.override_feedback(trace_id, id_of(first), 2)
    third = recording.override_feedback(trace_id, id_of(second), 3)
    recording.delete_assessment(trace_id, id_of(second))
    kept = recording.get_assessment(trace_id, id_of(third))
    assert (kept.overrides, kept.valid) == (first.assessment_id, True)
    assert recording.get_assessment(trace_id, id_of(first)).valid is False
    recording.delete_assessment(trace_id, id_of(third))
    assert recording.get_assessment(trace_id, id_of(first)).valid is True


def test_one_that_two_override_stays_hidden_until_both_are_gone(recording: Store) -> None:
    trace_id = a_trace()
    first = recording.log_feedback(trace_id, "good", 1)
    second = recording.override_feedback(trace_id, id_of(first), 2)
    third = recording.override_feedback(trace_id, id_of(first), 3)
    recording.delete_assessment(trace_id, id_of(third))
    assert recording.get_assessment(trace_id, id_of(first)).valid is False
    recording.delete_assessment(trace_id, id_of(second))
    assert recording.get_assessment(trace_id, id_of(first)).valid is True


def test_deleting_what_is_not_there_is_no_error_and_deletes_nothing(recording: Store) -> None:
    trace_id, other = a_trace(), a_trace()
    stored = recording.log_feedback(trace_id, "good", 1)
    recording.delete_assessment(trace_id, "a-nope")
    recording.delete_assessment("tr-nope", id_of(stored))
    recording.delete_assessment(other, id_of(stored))  # it is another trace's
    assert recording.get_trace(trace_id).info.assessments == [stored]


def test_what_is_missing_is_named(recording: Store) -> None:
    trace_id = a_trace()
    with pytest.raises(NotFoundError, match="assessment 'a-nope' of trace"):
        recording.get_assessment(trace_id, "a-nope")
    with pytest.raises(NotFoundError, match=r"^trace 'tr-nope' is not in"):
        recording.get_assessment("tr-nope", "a-nope")
    with pytest.raises(NotFoundError, match="a-nope"):
        recording.update_assessment(trace_id, "a-nope", Feedback(value=1))
    with pytest.raises(NotFoundError, match="a-nope"):
        recording.override_feedback(trace_id, "a-nope", 1)
    with pytest.raises(NotFoundError, match="a-nope"):
        recording.log_assessment(trace_id, Feedback(value=1, overrides="a-nope"))
    assert recording.get_trace(trace_id).info.assessments == []  # the last one was not half stored


# ------------------------------------------------------------------------------------------ where they go


def test_all_verbs_work_on_a_trace_that_still_runs(recording: Store) -> None:
    with tracestore.start_span("chat") as span:
        first = recording.log_feedback(span.trace_id, "good", value=False, span_id=span.span_id)
        second = recording.override_feedback(span.trace_id, id_of(first), value=True)
        recording.update_assessment(span.trace_id, id_of(second), Feedback("good", 0.5))
        assert recording.get_assessment(span.trace_id, id_of(second)).value == 0.5
        recording.delete_assessment(span.trace_id, id_of(second))
    (kept,) = recording.get_trace(span.trace_id).info.assessments
    assert (kept.assessment_id, kept.valid) == (first.assessment_id, True)


def test_client_has_the_verbs_of_the_store(recording: Store) -> None:
    client, trace_id = MlflowClient(), a_trace()
    first = client.log_assessment(trace_id, Feedback("good", 1))
    second = client.override_feedback(trace_id, id_of(first), 2)
    client.update_assessment(trace_id, id_of(second), Feedback("good", 3))
    assert client.get_assessment(trace_id, id_of(second)).value == 3
    client.delete_assessment(trace_id, id_of(second))
    assert recording.get_trace(trace_id).info.assessments == [first]


def test_same_object_stored_twice_is_two_assessments(recording: Store) -> None:
    given, trace_id = Feedback("good", 1), a_trace()
    first = recording.log_assessment(trace_id, given)
    assert (given.assessment_id, given.trace_id) == (first.assessment_id, trace_id)
    second = recording.log_assessment(trace_id, given)
    assert first.assessment_id != second.assessment_id
    assert len(recording.get_trace(trace_id).info.assessments) == 2


@pytest.mark.usefixtures("recording")
def test_feedback_on_a_trace_that_is_not_recorded_is_no_error() -> None:
    tracestore.tracing.disable()
    try:
        with tracestore.start_span("chat") as span:
            returned = tracestore.log_feedback(trace_id=span.trace_id, name="good", value=True)
    finally:
        tracestore.tracing.enable()
    assert (returned.value, returned.assessment_id) == (True, None)


# ------------------------------------------------------------------------------------------ the dictionary form

VALUES = (1, 1.5, True, "text", None, [1, "a"], {"a": {"b": [None]}})


@pytest.mark.parametrize("value", VALUES)
def test_feedback_comes_back_from_its_dictionary(recording: Store, value: Any) -> None:
    stored = recording.log_feedback(
        a_trace(), "good", value, rationale="r", metadata={"k": "v"}, span_id="00000000000000aa"
    )
    data = json.loads(json.dumps(stored.to_dictionary()))
    assert Assessment.from_dictionary(data) == stored


@pytest.mark.parametrize("value", [value for value in VALUES if value is not None])
def test_expectation_comes_back_from_its_dictionary(recording: Store, value: Any) -> None:
    stored = recording.log_expectation(a_trace(), "answer", value)
    data = json.loads(json.dumps(stored.to_dictionary()))
    assert Assessment.from_dictionary(data) == stored


def test_long_stack_trace_keeps_its_end() -> None:
    error = AssessmentError("E", "m", "x" * 20_000 + "end").to_dictionary()
    assert len(error["stack_trace"]) == 10_000
    assert error["stack_trace"].startswith("[Stack trace is truncated]\n...\n")
    assert error["stack_trace"].endswith("end")


_GOOD: dict[str, Any] = Feedback("good", 1).to_dictionary()


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {k: v for k, v in _GOOD.items() if k != "feedback"},
        _GOOD | {"source": None},
        _GOOD | {"source": {"source_type": "ROBOT"}},
        _GOOD | {"create_time": "yesterday"},
        _GOOD | {"create_time": 5},
        _GOOD | {"metadata": [1]},
        _GOOD | {"feedback": {"error": {"message": "no code"}}},
        _GOOD | {"feedback": [1]},
        _GOOD | {"expectation": {"neither": 1}},
        _GOOD | {"expectation": {"serialized_value": {"value": "{"}}},
        {k: v for k, v in _GOOD.items() if k != "feedback"} | {"issue": {"issue_name": "i"}},
    ],
)
def test_dictionary_of_something_else_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Assessment.from_dictionary(broken)


def test_times_of_protobuf_are_read() -> None:
    for text, time_ms in (
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T00:00:01.5Z", 1_500),
        ("1970-01-01T00:00:01.123456789Z", 1_123),
        ("1970-01-01T01:00:01.250+01:00", 1_250),
    ):
        found = Assessment.from_dictionary(_GOOD | {"create_time": text})
        assert found.create_time_ms == time_ms


def test_run_of_an_assessment_is_that_of_its_metadata() -> None:
    assert Feedback(metadata={"mlflow.assessment.sourceRunId": "r-1"}).run_id == "r-1"
    assert Expectation("answer", 1).run_id is None


# ------------------------------------------------------------------------------------------ the law of chains


class Chains(RuleBasedStateMachine):
    """Feedback logged, overridden, updated and deleted in any order, against a dictionary of what should be.

    The model: what overrides what. In force is what nobody overrides; a deleted one's place in the chain goes
    to those that overrode it.
    """

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.store = Store(pathlib.Path(self._directory.name) / "traces.db")
        runtime.reset()
        runtime.configure(path=self.store.path)
        self.trace_id = a_trace()
        self.overrides: dict[str, str | None] = {}
        self.values: dict[str, int] = {}

    def teardown(self) -> None:
        runtime.reset()
        self.store.close()
        self._directory.cleanup()

    @rule(target=known, value=st.integers(0, 9))
    def log(self, value: int) -> str:
        return self._remember(self.store.log_feedback(self.trace_id, "q", value), None, value)

    @rule(target=known, old=known, value=st.integers(0, 9))
    def override(self, old: str, value: int) -> str:
        stored = self.store.override_feedback(self.trace_id, old, value)
        return self._remember(stored, old, value)

    @rule(one=known, value=st.integers(0, 9))
    def update(self, one: str, value: int) -> None:
        updated = self.store.update_assessment(self.trace_id, one, Feedback("q", value))
        self.values[one] = value
        assert updated.overrides == self.overrides[one]

    @rule(one=consumes(known))
    def delete(self, one: str) -> None:
        self.store.delete_assessment(self.trace_id, one)
        above = self.overrides.pop(one)
        self.overrides = {k: above if v == one else v for k, v in self.overrides.items()}
        del self.values[one]

    def _remember(self, stored: Feedback, old: str | None, value: int) -> str:
        new = id_of(stored)
        self.overrides[new], self.values[new] = old, value
        return new

    @invariant()
    def file_says_what_the_model_says(self) -> None:
        stored = self.store.get_trace(self.trace_id).info.assessments
        assert {id_of(a): a.overrides for a in stored} == self.overrides
        assert {id_of(a): a.value for a in stored} == self.values
        in_force = set(self.overrides) - set(self.overrides.values())
        assert {id_of(a) for a in stored if a.valid} == in_force
        found = {n for n in range(10) if self.store.count_traces(f"feedback.q = {n}")}
        assert found == {self.values[one] for one in in_force}


Chains.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestChains = Chains.TestCase
