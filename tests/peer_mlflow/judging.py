"""A program about assessments, sessions, usage and cost, run under MLflow itself and under tracestore.

    python -m tests.peer_mlflow.judging [--record]

With MLflow installed: fails unless MLflow shows what judging.json says; `--record` writes it anew. What each observes is kept by name; tests/peer_mlflow/test_peer_judging.py compares, and lists what differs on
purpose. Nothing in here depends on either library.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

PAGE = pathlib.Path(__file__).parent / "judging.json"

USAGE_KEY, COST_KEY, MODEL_KEY = "mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.llm.model"
USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
VALUES = (True, 1, 1.5, "text", [1, "a"], {"a": 1}, None)


def attempt(action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Return what `action` returns, or the code of the error it raises."""
    try:
        return action(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - that it is one is the observation
        return f"raises {getattr(error, 'error_code', type(error).__name__)}"


class Program:
    """One run with one library, whose file is the current one."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.entities = importlib.import_module(f"{library.__name__}.entities")
        self.seen: dict[str, Any] = {}

    def trace(self, **attributes: Any) -> str:
        """Record a trace of one span and return its id."""
        with self.library.start_span("chat", attributes=attributes) as span:
            span.set_inputs({"question": "Why?"})
        self.library.flush_trace_async_logging()
        return str(span.trace_id)

    def info(self, trace_id: str) -> Any:
        """Return what is known of a trace."""
        return self.library.get_trace(trace_id).info

    def look(self, assessment: Any) -> Any:
        """Return what can be compared of an assessment."""
        if isinstance(assessment, str):
            return assessment
        return {
            "kind": type(assessment).__name__,
            "name": assessment.name,
            "value": assessment.value,
            "source": [assessment.source.source_type, assessment.source.source_id],
            "rationale": assessment.rationale,
            "metadata": assessment.metadata,
            "span_id": assessment.span_id,
            "valid": assessment.valid,
            "overrides": assessment.overrides is not None,
            "id": (assessment.assessment_id or "")[:2],
            "error": assessment.error
            and [assessment.error.error_code, assessment.error.error_message],
        }

    def stored(self, trace_id: str, assessment: Any) -> Any:
        """Return what can be compared of an assessment as it is read back."""
        found = attempt(lambda: self.library.get_assessment(trace_id, assessment.assessment_id))
        return self.look(found)

    def valid(self, trace_id: str, *assessments: Any) -> list[Any]:
        """Return of each whether it is in force."""
        found = [
            attempt(self.library.get_assessment, trace_id, each.assessment_id)
            for each in assessments
        ]
        return [each if isinstance(each, str) else each.valid for each in found]

    # ------------------------------------------------------------------------ assessments

    def log(self) -> None:
        """Log feedback and expectations of every kind."""
        source, trace_id = self.entities.AssessmentSource, self.trace()
        for value in VALUES:
            feedback = self.library.log_feedback(trace_id=trace_id, name="f", value=value)
            self.seen[f"feedback {value!r}"] = self.look(feedback)
            self.seen[f"feedback {value!r} stored"] = self.stored(trace_id, feedback)
            log = self.library.log_expectation
            expectation = attempt(log, trace_id=trace_id, name="e", value=value)
            self.seen[f"expectation {value!r}"] = self.look(expectation)
        whole = self.library.log_feedback(
            trace_id=trace_id,
            name="whole",
            value=0.5,
            source=source("human", "ada"),
            rationale="because",
            metadata={"k": "v"},
            span_id="00000000000000aa",
        )
        self.seen["feedback whole"] = self.look(whole)
        self.seen["feedback whole stored"] = self.stored(trace_id, whole)
        self.seen["feedback default"] = self.look(self.library.log_feedback(trace_id=trace_id))
        for name, error in (
            ("exception", ValueError("bad")),
            ("text", "bad"),
            ("error", self.entities.AssessmentError("CODE", "message")),
            ("number", 5),
        ):
            self.seen[f"error {name}"] = self.look(
                attempt(self.library.log_feedback, trace_id=trace_id, error=error)
            )
        self.seen["unknown trace"] = attempt(
            lambda: self.library.log_feedback(trace_id="tr-nope", value=1)
        )
        for missing in (None, "MLFLOW_NO_OP_SPAN_TRACE_ID"):
            unsaved = self.library.log_feedback(trace_id=missing, name="n", value=1)
            self.seen[f"trace id {missing}"] = [unsaved.value, unsaved.assessment_id]
        self.seen["source is a text"] = attempt(
            lambda: self.library.log_feedback(trace_id=trace_id, value=1, source="me")
        )
        self.seen["not an assessment"] = attempt(
            lambda: self.library.log_assessment(trace_id, "good")
        ).startswith("raises")
        given = self.entities.Feedback("again", 1)
        first = self.library.log_assessment(trace_id, given)
        self.seen["given object gets its trace"] = given.trace_id == trace_id == first.trace_id
        self.seen["same object twice"] = self.look(
            attempt(lambda: self.library.log_assessment(trace_id, given))
        )
        self.seen["override of nothing"] = attempt(
            lambda: self.library.log_assessment(
                trace_id, self.entities.Feedback("o", 1, overrides="a-nope")
            )
        )

    def sources(self) -> None:
        """Make sources of every type."""
        source = self.entities.AssessmentSource
        for kind in ("human", "Human", "LLM_JUDGE", "code", "AI_JUDGE", "ROBOT", ""):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made = attempt(source, kind, "x")
                made = made if isinstance(made, str) else made.source_type
            warned = [type(warning.message).__name__ for warning in caught]
            self.seen[f"source {kind!r}"] = [made, warned]

    def dictionaries(self) -> None:
        """Compare the dictionary forms."""
        trace_id = self.trace()
        for value in VALUES[:-1]:
            for kind in ("Feedback", "Expectation"):
                made = getattr(self.entities, kind)(name="n", value=value)
                made = self.library.log_assessment(trace_id, made)
                data = made.to_dictionary()
                self.seen[f"{kind} {value!r} as a dictionary"] = [
                    sorted(data),
                    data[kind.lower()],
                    data["source"],
                ]
                again = self.entities.Assessment.from_dictionary(json.loads(json.dumps(data)))
                self.seen[f"{kind} {value!r} from its dictionary"] = self.look(again)
        made = self.entities.Feedback(metadata={"mlflow.assessment.sourceRunId": "r"})
        self.seen["run of an assessment"] = made.run_id

    def update(self) -> None:
        """Update in place."""
        feedback, expectation = self.entities.Feedback, self.entities.Expectation
        trace_id = self.trace()
        first = self.library.log_assessment(
            trace_id,
            feedback(
                name="q",
                value=1,
                source=self.entities.AssessmentSource("HUMAN", "ada"),
                rationale="r",
                metadata={"a": "1", "b": "1"},
                span_id="00000000000000aa",
                create_time_ms=1_000,
                last_update_time_ms=1_000,
            ),
        )
        change = self.library.update_assessment
        updated = change(trace_id, first.assessment_id, feedback("p", 2, metadata={"b": "2"}))
        self.seen["updated"] = self.look(updated)
        self.seen["updated keeps id and creation"] = [
            updated.assessment_id == first.assessment_id,
            updated.create_time_ms,
            updated.last_update_time_ms > 1_000,
        ]
        failed = change(trace_id, first.assessment_id, feedback("p", error="no"))
        self.seen["updated to an error"] = self.look(failed)
        answer = self.library.log_expectation(trace_id=trace_id, name="e", value=1)
        self.seen["expectation updated"] = self.look(
            change(trace_id, answer.assessment_id, expectation("e", {"a": 2}))
        )
        for name, stored, given in (
            ("expectation onto feedback", first, expectation("p", 1)),
            ("feedback onto expectation", answer, feedback("e", 1)),
        ):
            self.seen[name] = attempt(change, trace_id, stored.assessment_id, given)
        self.seen["update of nothing"] = attempt(
            lambda: change(trace_id, "a-nope", feedback("p", 1))
        )

    def override(self) -> None:
        """Override, and delete along the chain."""
        library, trace_id = self.library, self.trace()

        def over(one: Any, value: Any, **more: Any) -> Any:
            return library.override_feedback(
                trace_id=trace_id, assessment_id=one.assessment_id, value=value, **more
            )

        judge = self.entities.AssessmentSource("LLM_JUDGE", "m")
        first = library.log_feedback(
            trace_id=trace_id, name="q", value=1, source=judge, span_id="00000000000000aa"
        )
        second = over(first, 2, rationale="r", metadata={"k": "v"})
        self.seen["override"] = self.look(second)
        self.seen["overrides the first"] = second.overrides == first.assessment_id
        self.seen["after an override"] = self.valid(trace_id, first, second)
        trace = library.get_trace(trace_id)
        self.seen["in force"] = [a.value for a in trace.search_assessments("q")]
        self.seen["all"] = sorted(a.value for a in trace.search_assessments("q", all=True))
        third = over(second, 3)
        self.seen["after two"] = self.valid(trace_id, first, second, third)
        library.delete_assessment(trace_id, third.assessment_id)
        self.seen["after the last was deleted"] = self.valid(trace_id, first, second, third)
        library.delete_assessment(trace_id, second.assessment_id)
        self.seen["after both were deleted"] = self.valid(trace_id, first, second, third)
        second = over(first, 2)
        third = over(second, 3)
        library.delete_assessment(trace_id, second.assessment_id)
        self.seen["after the middle one was deleted"] = self.valid(trace_id, first, third)
        first = library.log_feedback(trace_id=trace_id, name="p", value=1)
        second, third = over(first, 2), over(first, 3)
        library.delete_assessment(trace_id, third.assessment_id)
        self.seen["after one of two overrides was deleted"] = self.valid(trace_id, first, second)
        answer = library.log_expectation(trace_id=trace_id, name="e", value=1)
        self.seen["override of an expectation"] = attempt(lambda: over(answer, 2))
        self.seen["override of what is missing"] = attempt(
            lambda: library.override_feedback(trace_id=trace_id, assessment_id="a-nope", value=1)
        )
        self.seen["get what is missing"] = attempt(
            lambda: library.get_assessment(trace_id, "a-nope")
        )
        self.seen["get of an unknown trace"] = attempt(
            lambda: library.get_assessment("tr-nope", "a-nope")
        )
        self.seen["delete what is missing"] = [
            attempt(lambda: library.delete_assessment(trace_id, "a-nope")),
            attempt(lambda: library.delete_assessment("tr-nope", "a-nope")),
        ]

    # ------------------------------------------------------------------------ sessions

    def sessions(self) -> None:
        """Sessions, and feedback about them."""
        library = self.library
        library.set_experiment("sessions")
        names: dict[str, str] = {}
        for number, session in enumerate(("a", "b", "a", None, "c", "b")):
            with library.start_span("turn") as span:
                library.update_current_trace(session_id=session, user="ada")
            names[span.trace_id] = str(number)
            library.flush_trace_async_logging()
        found = library.search_sessions()
        self.seen["sessions"] = [[s.id, [names[t.info.trace_id] for t in s]] for s in found]
        self.seen["session"] = [len(found[0]), repr(found[0]), names[found[0][0].info.trace_id]]
        self.seen["two sessions"] = [s.id for s in library.search_sessions(max_results=2)]
        self.seen["no sessions"] = library.search_sessions(max_results=0)
        light = library.search_sessions(include_spans=False)
        self.seen["without spans"] = [len(t.data.spans) for s in light for t in s]
        self.seen["elsewhere"] = library.search_sessions(locations=["0"])
        self.seen["locations is a text"] = attempt(lambda: library.search_sessions(locations="0"))
        self.seen["empty session"] = self.entities.Session([]).id
        trace_id = found[0][0].info.trace_id
        library.log_feedback(
            trace_id=trace_id, name="goal", value=True, metadata={"mlflow.trace.session": "b"}
        )
        library.log_feedback(trace_id=trace_id, name="own", value=True)

        def matching(filter_string: str) -> list[str]:
            traces = library.search_traces(filter_string=filter_string, return_type="list")
            return sorted(names[trace.info.trace_id] for trace in traces)

        self.seen["feedback of a session"] = matching("feedback.goal = 'true'")
        self.seen["feedback of a trace"] = matching("feedback.own = 'true'")
        self.seen["without feedback of a session"] = matching("feedback.goal IS NULL")
        library.set_experiment("Default")

    # ------------------------------------------------------------------------ usage and cost

    def usage(self) -> None:
        """Roll up token usage and cost."""
        library = self.library
        cases: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
            "child only": ({}, {USAGE_KEY: USAGE}),
            "parent and child": ({USAGE_KEY: USAGE}, {USAGE_KEY: USAGE}),
            "empty parent": ({USAGE_KEY: {}}, {USAGE_KEY: USAGE}),
            "input only": ({}, {USAGE_KEY: {"input_tokens": 3}}),
            "a text": ({}, {USAGE_KEY: "many"}),
            "cache": ({}, {USAGE_KEY: USAGE | {"cache_read_input_tokens": 5}}),
            "cost set": (
                {},
                {COST_KEY: {"input_cost": 1.0, "output_cost": 2.0, "total_cost": 3.0}},
            ),
            "usage of the parent, model of the child": (
                {USAGE_KEY: USAGE},
                {USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o"},
            ),
            "own cost beside a model": (
                {},
                {
                    USAGE_KEY: USAGE,
                    MODEL_KEY: "gpt-4o",
                    COST_KEY: {"input_cost": 1.0, "output_cost": 2.0, "total_cost": 3.0},
                },
            ),
            "no model": ({}, {USAGE_KEY: USAGE}),
        }
        for model in (
            "gpt-4o",
            "gpt-4o-mini",
            "claude-3-5-sonnet-20241022",
            "gemini-2.0-flash",
            "x",
        ):
            cases[f"model {model}"] = ({}, {USAGE_KEY: USAGE, MODEL_KEY: model})
        for name, (above, below) in cases.items():
            with (
                library.start_span("root", attributes=above) as root,
                library.start_span("call", attributes=below),
            ):
                pass
            library.flush_trace_async_logging()
            info = self.info(root.trace_id)
            cost = info.cost and {key: round(value, 9) for key, value in info.cost.items()}
            self.seen[f"usage: {name}"] = [info.token_usage, cost]
        with library.start_span("call", attributes={USAGE_KEY: USAGE}) as span:
            span.set_inputs({"model": "gpt-4o"})
        library.flush_trace_async_logging()
        stored = library.get_trace(span.trace_id).data.spans[0]
        self.seen["usage: model of the inputs"] = [
            stored.model_name,
            stored.llm_cost and round(stored.llm_cost["total_cost"], 9),
        ]


def observe(library: Any) -> dict[str, Any]:
    """Run everything with `library`, which records into a file of its own, and return what was seen."""
    program = Program(library)
    for part in (
        program.log,
        program.sources,
        program.dictionaries,
        program.update,
        program.override,
        program.sessions,
        program.usage,
    ):
        part()
    return dict(json.loads(json.dumps(program.seen)))


def main() -> None:
    """Compare what MLflow shows with the page, or record it."""
    mlflow = importlib.import_module("mlflow")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        seen = observe(mlflow)
    page = {"mlflow": mlflow.__version__, "seen": seen}
    if "--record" not in sys.argv:
        recorded = json.loads(PAGE.read_text("utf-8"))
        sys.exit(None if page == recorded else f"{PAGE.name} is not what MLflow shows: --record")
    PAGE.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
