"""Sessions: found newest first, whole, in every way of looking, and what they add up to."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import tracestore
from tests.cli_program import run, run_json
from tracestore import sessions
from tracestore.entities import Feedback, Session
from tracestore.errors import FilterSyntaxError, InvalidArgumentError, NotFoundError
from tracestore.store import Store

USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
COST = {"input_cost": 0.5, "output_cost": 0.25, "total_cost": 0.75}


def turn(session: str | None, user: str | None = None, **more: Any) -> str:
    """Record one trace of a session and return its id."""
    with tracestore.start_span(more.get("name", "turn")) as span:
        span.set_inputs(more.get("inputs", "hello"))
        if session is not None or user is not None:
            tracestore.update_current_trace(session_id=session, user=user, tags=more.get("tags"))
        if "usage" in more:
            span.set_attributes({"mlflow.chat.tokenUsage": USAGE, "mlflow.llm.cost": COST})
    return span.trace_id


def ids(found: list[Session]) -> dict[str | None, list[str]]:
    return {session.id: [trace.trace_id for trace in session] for session in found}


def test_newest_session_comes_first_with_its_traces_in_order(recording: Store) -> None:
    first, other, third = turn("a"), turn("b"), turn("a")
    turn(None)
    turn("")  # no session has an empty name
    found = tracestore.search_sessions()
    assert list(ids(found)) == ["a", "b"]
    assert ids(found) == {"a": [first, third], "b": [other]}
    assert [trace.data.spans != [] for trace in found[0]] == [True, True]
    assert (len(found[0]), found[0][1].trace_id, repr(found[0])) == (2, third, "Session(id='a')")
    assert [t.trace_id for t in found[0][:1]] == [first]
    assert ids(recording.search_sessions()) == ids(found)


@pytest.mark.usefixtures("recording")
def test_at_most_as_many_as_asked_for() -> None:
    for number in range(5):
        turn(f"s-{number}")
    assert list(ids(tracestore.search_sessions(2))) == ["s-4", "s-3"]
    assert tracestore.search_sessions(0) == []
    assert len(tracestore.search_sessions(None)) == 5


@pytest.mark.usefixtures("recording")
def test_filter_chooses_sessions_that_come_whole() -> None:
    bad, good = turn("a", name="broken"), turn("a")
    turn("b")
    found = tracestore.search_sessions(filter_string="name = 'broken'")
    assert ids(found) == {"a": [bad, good]}
    with pytest.raises(FilterSyntaxError):
        tracestore.search_sessions(filter_string="nmae = 'x'")


@pytest.mark.usefixtures("recording")
def test_run_and_experiment_choose_traces() -> None:
    with tracestore.start_span("turn", run_id="r-1") as span:
        tracestore.update_current_trace(session_id="a")
    turn("a")
    assert ids(tracestore.search_sessions(run_id="r-1")) == {"a": [span.trace_id]}
    tracestore.set_experiment("other")
    there = turn("a")
    assert ids(tracestore.search_sessions()) == {"a": [there]}
    assert len(tracestore.search_sessions(locations=["0"])[0]) == 2
    assert len(tracestore.search_sessions(locations=["0", "1"])[0]) == 3
    assert tracestore.search_sessions(locations=["7"]) == []
    assert tracestore.search_sessions(locations=[]) == []
    with pytest.raises(InvalidArgumentError):
        tracestore.search_sessions(locations="0")
    assert len(tracestore.get_session("a")) == 3
    assert len(tracestore.MlflowClient().search_sessions()[0]) == 3


@pytest.mark.parametrize("walked", [0, 3, 10_000])
@pytest.mark.parametrize("locations", [None, ["0", "1"], ["1"]])
def test_every_way_of_looking_finds_the_same(
    recording: Store, monkeypatch: pytest.MonkeyPatch, walked: int, locations: list[str] | None
) -> None:
    monkeypatch.setattr(sessions, "WALKED_TRACES", walked)
    monkeypatch.setattr(sessions, "_FIRST_PAGE", 3)
    chosen = random.Random(5)
    recorded: list[tuple[str, str]] = []
    for number in range(30):
        experiment = ("Default", "other")[number % 7 == 0]
        tracestore.set_experiment(experiment)
        session = chosen.choice(["it's", "b%", "c", "d", "e", ""])
        turn(session or None)
        recorded.append((experiment, session))
    wanted = {None: ("Default", "other"), "0": ("Default", "other"), "1": ("other",)}
    where = wanted[locations[0] if locations else None]
    expected = list(dict.fromkeys(s for e, s in reversed(recorded) if s and e in where))
    search: dict[str, Any] = {"experiment_ids": locations, "max_results": 3}
    for filter_string in (None, "status = 'OK'"):
        found = recording.search_sessions(filter_string, **search)
        assert list(ids(found)) == expected[:3]
        assert [len(s) for s in found] == [
            sum(e in where and name == s.id for e, name in recorded) for s in found
        ]


def test_session_sums_up_its_traces(recording: Store) -> None:
    first, second = turn("a", "ada", usage=True), turn("a", "bob", usage=True)
    turn("a", "ada")
    recording.log_feedback(first, "good", value=True)
    old = recording.log_feedback(second, "good", value=False)
    new = recording.override_feedback(second, old.assessment_id or "", value=True)
    recording.log_expectation(first, "answer", "42")
    whole = recording.log_feedback(
        first, "goal_reached", value=True, metadata={"mlflow.trace.session": "a"}
    )
    session = tracestore.get_session("a")
    assert session.token_usage == {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30}
    assert session.cost == {"input_cost": 1.0, "output_cost": 0.5, "total_cost": 1.5}
    assert session.users == ["ada", "bob"]
    assert [(f.name, f.trace_id) for f in session.feedback] == [
        ("good", first),
        ("goal_reached", first),
        ("good", new.trace_id),
    ]
    assert len(session.assessments) == 4
    assert session.session_assessments == [whole]
    assert session.error_count == 0
    found = tracestore.search_sessions(filter_string="feedback.goal_reached = true")
    assert [len(each) for each in found] == [3]
    info = [trace.info for trace in session]
    end_ms = max(i.request_time + (i.execution_duration or 0) for i in info)
    assert (session.start_time_ms, session.end_time_ms) == (info[0].request_time, end_ms)
    assert session.duration_ms == end_ms - info[0].request_time


def test_session_without_traces_is_empty_and_not_an_error() -> None:
    session = Session([])
    assert (session.id, session.start_time_ms, session.end_time_ms) == (None, None, None)
    assert (session.duration_ms, session.users, session.feedback) == (None, [], [])
    assert (session.token_usage, session.cost, list(session)) == ({}, {}, [])


def test_error_ends_are_counted_and_a_running_trace_is_there(recording: Store) -> None:
    def fail() -> None:
        with tracestore.start_span("turn"):
            tracestore.update_current_trace(session_id="a")
            raise KeyError("k")

    with pytest.raises(KeyError):
        fail()
    with tracestore.start_span("turn") as span:
        tracestore.update_current_trace(session_id="a")
        recording.get_trace(span.trace_id)  # has it written as it stands
        session = tracestore.get_session("a")
        assert (len(session), session.error_count) == (2, 1)


def test_session_that_is_not_there_is_named(recording: Store) -> None:
    with pytest.raises(NotFoundError, match="session 'nope' is not in"):
        recording.get_session("nope")


def test_trace_says_its_session_and_user(recording: Store) -> None:
    trace_id = turn("a", "ada")
    info = recording.get_trace(trace_id).info
    assert (info.session_id, info.user) == ("a", "ada")
    late = turn(None)
    assert recording.get_trace(late).info.session_id is None
    recording.set_trace_tag(late, "mlflow.trace.session", "b")
    assert ids(recording.search_sessions()) == {"b": [late], "a": [trace_id]}


def test_session_shows_itself_as_text_and_html(recording: Store) -> None:
    trace_id = turn("<b>s</b>\x1b[31m", "ada", usage=True)
    session = recording.search_sessions()[0]
    shown = session._repr_mimebundle_()
    head, facts, *table = shown["text/plain"].splitlines()
    assert head == "session <b>s</b>␛[31m"
    assert "1 trace" in facts
    assert "15 tokens · $0.75 · ada" in facts
    assert trace_id in "\n".join(table)
    assert "<b>s</b>" not in shown["text/html"]
    assert "&lt;b&gt;s&lt;/b&gt;" in shown["text/html"]


def test_list_of_sessions_shows_itself_as_a_table(recording: Store) -> None:
    turn("<i>one</i>", "ada", usage=True, inputs="hello")
    turn("two")
    found = recording.search_sessions()
    shown = found._repr_mimebundle_()
    assert shown["text/plain"].splitlines()[0] == "session two"
    assert "15 tokens · $0.75 · ada" in shown["text/plain"]
    assert shown["text/html"].count("<tr>") == 3
    assert "&lt;i&gt;one&lt;/i&gt;" in shown["text/html"]
    assert "<i>one</i>" not in shown["text/html"]
    assert "no traces" in recording.search_sessions("name = 'x'")._repr_mimebundle_()["text/plain"]


def test_long_lists_of_sessions_are_cut(recording: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracestore.display.session.MAX_SESSIONS", 1)
    turn("one")
    turn("two")
    shown = recording.search_sessions()._repr_mimebundle_()
    assert "… 1 more session" in shown["text/plain"]
    assert "The first 1 of 2 sessions are shown." in shown["text/html"]


def test_command_lists_sessions(recording: Store) -> None:
    turn("older", "ada", usage=True, inputs="hello there")
    trace_id = turn("newer", "bob")
    recording.log_assessment(trace_id, Feedback("good", value=True))
    recording.flush()
    listed = run("sessions", "--db", recording.path)
    assert listed.code == 0
    assert listed.out.index("newer") < listed.out.index("older")
    data = run_json("sessions", "user = 'bob'", "--db", recording.path)
    [session] = data["sessions"]
    assert (session["id"], session["trace_ids"], session["users"]) == (
        "newer",
        [trace_id],
        ["bob"],
    )
    assert session["assessments"][0]["feedback"] == {"value": True}
    assert json.dumps(session["token_usage"]) == "{}"
    nothing = run("sessions", "user = 'nobody'", "--db", recording.path)
    assert "no sessions match" in nothing.out
