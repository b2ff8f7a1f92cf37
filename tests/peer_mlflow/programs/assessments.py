"""Programs: feedback and expectations: logged, read, changed, overridden, deleted."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, program


def _trace(mlflow: Any) -> str:
    with mlflow.start_span("s") as span:
        pass
    mlflow.flush_trace_async_logging()
    return str(span.trace_id)


def _facts(assessment: Any) -> list[Any]:
    return [
        type(assessment).__name__,
        assessment.name,
        assessment.value,
        assessment.source.source_type,
        assessment.source.source_id,
        assessment.rationale,
        assessment.metadata,
        assessment.valid,
        assessment.overrides is not None,
    ]


def _read(mlflow: Any, trace_id: str) -> list[Any]:
    trace = mlflow.get_trace(trace_id, flush=True)
    return [_facts(each) for each in trace.info.assessments]


@program()
def feedback(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    logged = mlflow.log_feedback(
        trace_id=trace_id, name="helpful", value=True, rationale="because", metadata={"k": "v"}
    )
    see("returned", _facts(logged))
    see(
        "ids",
        [
            logged.assessment_id[:2],
            len(logged.assessment_id),
            logged.trace_id == trace_id,
            logged.create_time_ms == logged.last_update_time_ms,
        ],
    )
    see("read", _read(mlflow, trace_id))


@program()
def values_of_feedback(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    for label, value in {
        "true": True,
        "number": 5,
        "float": 0.25,
        "text": "good",
        "list": [1, "a"],
        "object": {"a": {"b": 1}},
        "none": None,
        "zero": 0,
        "empty": "",
    }.items():
        see.result(
            label,
            lambda n=label, v=value: mlflow.log_feedback(trace_id=trace_id, name=n, value=v).value,
        )
    see("read", {a[1]: a[2] for a in _read(mlflow, trace_id)})


@program()
def values_of_expectations(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    for label, value in {
        "true": True,
        "number": 5,
        "text": "right",
        "list": [1, "a"],
        "object": {"a": 1},
        "none": None,
    }.items():
        see.result(
            label,
            lambda n=label, v=value: (
                mlflow.log_expectation(trace_id=trace_id, name=n, value=v).value
            ),
        )
    see("read", {a[1]: a[2] for a in _read(mlflow, trace_id)})
    see("sources", sorted({a[3] for a in _read(mlflow, trace_id)}))


@program()
def sources(mlflow: Any, see: See) -> None:
    entities = mlflow.entities
    for kind, who in (("HUMAN", "ada"), ("human", "bob"), ("LLM_JUDGE", "gpt"), ("CODE", None)):
        see.result(
            f"{kind} {who}",
            lambda k=kind, w=who: [
                entities.AssessmentSource(k, w).source_type,
                entities.AssessmentSource(k, w).source_id,
            ],
        )
    see.result("unknown", lambda: entities.AssessmentSource("ALIEN", "x"))
    see("default id", entities.AssessmentSource("HUMAN").source_id)
    see(
        "types",
        {
            k: v
            for k, v in vars(entities.AssessmentSourceType).items()
            if k.isupper() and isinstance(v, str)
        },
    )
    trace_id = _trace(mlflow)
    see.result(
        "a text as source", lambda: mlflow.log_feedback(trace_id=trace_id, value=1, source="ada")
    )
    mlflow.log_feedback(
        trace_id=trace_id, value=1, source=entities.AssessmentSource("HUMAN", "ada")
    )
    see("read", _read(mlflow, trace_id))


@program()
def old_source_type(mlflow: Any, see: See) -> None:
    source = see.warned("warning", lambda: mlflow.entities.AssessmentSource("AI_JUDGE", "x"))
    see("becomes", source.source_type)


@program()
def errors(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    entities = mlflow.entities
    for label, error in {
        "exception": ValueError("v"),
        "text": "just text",
        "entity": entities.AssessmentError("CODE", "message"),
        "number": 5,
    }.items():
        logged = None
        try:
            logged = mlflow.log_feedback(trace_id=trace_id, name=label, error=error)
        except Exception as failure:  # noqa: BLE001 - how it fails is the observation
            see(label, see.failure(failure))
        if logged is not None:
            see(
                label,
                [logged.value, logged.error_code, logged.error_message, logged.error.error_code],
            )
    both = mlflow.log_feedback(trace_id=trace_id, name="both", value=1, error="but")
    see("both", [both.value, both.error_message])


@program()
def on_a_span(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        pass
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=span.trace_id, name="f", value=1, span_id=span.span_id)
    mlflow.log_feedback(trace_id=span.trace_id, name="g", value=2)
    trace = mlflow.get_trace(span.trace_id, flush=True)
    see("of the span", [a.name for a in trace.search_assessments(span_id=span.span_id)])
    see("stored", [a.span_id == span.span_id for a in trace.info.assessments])


@program()
def logged_as_entities(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    entities = mlflow.entities
    given = entities.Feedback(name="f", value="v")
    stored = mlflow.log_assessment(trace_id, given)
    see("feedback", _facts(stored))
    see(
        "expectation",
        _facts(mlflow.log_assessment(trace_id, entities.Expectation(name="e", value=3))),
    )
    see.result("something else", lambda: mlflow.log_assessment(trace_id, "x"))


@program()
def got_by_id(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    logged = mlflow.log_feedback(trace_id=trace_id, name="f", value=1)
    see("got", _facts(mlflow.get_assessment(trace_id, logged.assessment_id)))
    see.result("missing", lambda: mlflow.get_assessment(trace_id, "a-missing"))
    see.result("missing trace", lambda: mlflow.get_assessment("tr-missing", logged.assessment_id))


@program()
def updated(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    entities = mlflow.entities
    logged = mlflow.log_feedback(
        trace_id=trace_id, name="f", value=1, rationale="first", metadata={"a": "1"}
    )
    changed = mlflow.update_assessment(
        trace_id, logged.assessment_id, entities.Feedback(name="g", value=2, metadata={"b": "2"})
    )
    see("returned", _facts(changed))
    see("the same id", changed.assessment_id == logged.assessment_id)
    see("create time is kept", changed.create_time_ms == logged.create_time_ms)
    see("read", _read(mlflow, trace_id))
    see.result(
        "another kind",
        lambda: mlflow.update_assessment(
            trace_id, logged.assessment_id, entities.Expectation(name="e", value=1)
        ),
    )
    see.result(
        "missing",
        lambda: mlflow.update_assessment(
            trace_id, "a-missing", entities.Feedback(name="g", value=2)
        ),
    )


@program()
def updated_expectation(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    logged = mlflow.log_expectation(trace_id=trace_id, name="e", value={"a": 1})
    mlflow.update_assessment(
        trace_id, logged.assessment_id, mlflow.entities.Expectation(name="e", value=[2])
    )
    see("read", _read(mlflow, trace_id))


@program()
def overridden(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    logged = mlflow.log_feedback(
        trace_id=trace_id,
        name="f",
        value=False,
        source=mlflow.entities.AssessmentSource("HUMAN", "ada"),
    )
    new = mlflow.override_feedback(
        trace_id=trace_id, assessment_id=logged.assessment_id, value=True, rationale="looked again"
    )
    see("returned", _facts(new))
    see("overrides", new.overrides == logged.assessment_id)
    see("read", sorted(_read(mlflow, trace_id), key=str))
    trace = mlflow.get_trace(trace_id, flush=True)
    see("valid ones", [a.value for a in trace.search_assessments("f")])
    see("all", sorted(str(a.value) for a in trace.search_assessments("f", all=True)))
    mlflow.delete_assessment(trace_id, new.assessment_id)
    see("brought back", _read(mlflow, trace_id))
    expectation = mlflow.log_expectation(trace_id=trace_id, name="e", value=1)
    see.result(
        "an expectation",
        lambda: mlflow.override_feedback(
            trace_id=trace_id, assessment_id=expectation.assessment_id, value=1
        ),
    )


@program()
def deleted(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    logged = mlflow.log_feedback(trace_id=trace_id, name="f", value=1)
    see.result("delete", lambda: mlflow.delete_assessment(trace_id, logged.assessment_id))
    see("left", _read(mlflow, trace_id))
    see.result("again", lambda: mlflow.delete_assessment(trace_id, logged.assessment_id))
    see.result("unknown", lambda: mlflow.delete_assessment(trace_id, "a-unknown"))


@program()
def duplicates(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    for value in (1, 2, 1):
        mlflow.log_feedback(trace_id=trace_id, name="same", value=value)
    see("read", [a[2] for a in _read(mlflow, trace_id)])


@program()
def names(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    see("default", mlflow.log_feedback(trace_id=trace_id, value=1).name)
    see.result("empty", lambda: mlflow.log_feedback(trace_id=trace_id, name="", value=1).name)
    see.result(
        "long", lambda: len(mlflow.log_feedback(trace_id=trace_id, name="n" * 300, value=1).name)
    )


@program()
def searched_on_the_trace(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    mlflow.log_feedback(trace_id=trace_id, name="a", value=1)
    mlflow.log_feedback(trace_id=trace_id, name="b", value=2)
    mlflow.log_expectation(trace_id=trace_id, name="a", value=3)
    trace = mlflow.get_trace(trace_id, flush=True)
    see("by name", [a.value for a in trace.search_assessments("a")])
    see("feedback", [a.value for a in trace.search_assessments(type="feedback")])
    see("expectation", [a.value for a in trace.search_assessments(type="expectation")])
    see("both", [a.value for a in trace.search_assessments("a", type="expectation")])
    see("none", trace.search_assessments("zzz"))


@program()
def entities_as_dictionaries(mlflow: Any, see: See) -> None:
    entities = mlflow.entities
    feedback_ = entities.Feedback(
        name="f",
        value=0.5,
        source=entities.AssessmentSource("HUMAN", "ada"),
        rationale="r",
        metadata={"k": "v"},
        create_time_ms=1_700_000_000_000,
        last_update_time_ms=1_700_000_000_001,
    )
    see("feedback", feedback_.to_dictionary())
    see("back", entities.Feedback.from_dictionary(feedback_.to_dictionary()).value)
    expectation = entities.Expectation(
        name="e", value="x", create_time_ms=1_700_000_000_000, last_update_time_ms=1_700_000_000_000
    )
    see("expectation", expectation.to_dictionary())
    see("expectation back", entities.Expectation.from_dictionary(expectation.to_dictionary()).value)
    failed = entities.Feedback(
        name="f", error=entities.AssessmentError("E", "m"), create_time_ms=1, last_update_time_ms=1
    )
    see("error", failed.to_dictionary())


@program()
def keyword_only(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    see.result("feedback by position", lambda: mlflow.log_feedback(trace_id, "f", 1))
    see.result("expectation by position", lambda: mlflow.log_expectation(trace_id, "f", 1))


@program()
def on_a_running_trace(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        mlflow.log_feedback(trace_id=span.trace_id, name="during", value=1)
    mlflow.flush_trace_async_logging()
    see("read", _read(mlflow, span.trace_id))


@program()
def times_given(mlflow: Any, see: See) -> None:
    trace_id = _trace(mlflow)
    given = mlflow.entities.Feedback(
        name="f", value=1, create_time_ms=1_600_000_000_000, last_update_time_ms=1_600_000_000_001
    )
    mlflow.log_assessment(trace_id, given)
    read = mlflow.get_trace(trace_id, flush=True).info.assessments[0]
    see("times", [read.create_time_ms, read.last_update_time_ms])
