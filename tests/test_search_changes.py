"""A store that was changed in every way: its indexes find what its traces, read whole, say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracestore
from tests import filter_oracle, filter_store
from tests.filter_strategies import KEYS, START_MS, TEXTS, filters
from tests.test_search_pages import in_order, order_items, pages, write_order
from tracestore import search
from tracestore.capture.span import LiveSpan
from tracestore.entities import Span, Trace
from tracestore.filters import ast
from tracestore.search import Query
from tracestore.storage.schema import SCALAR_LENGTH
from tracestore.store import Store

CHANGES = 60
FILTERS = 50
ROUNDS_SLOW = 100

VALUES: tuple[Any, ...] = (
    *(text for text in TEXTS if len(text) < SCALAR_LENGTH),
    *(0, 1, 1.0, -5, 0.5, 2**53 + 1, True, False, [1, "a"], {"b": 1}, {"b": {"c": "x"}}, [], {}),
)
#: What a span's attributes have besides what was recorded of it.
_OWN_COLUMNS = ("traceRequestId", "spanType", "spanInputs", "spanOutputs", "spanLogLevel")
_OF_EVERY_TRACE = ("mlflow.trace_schema.version", "mlflow.trace.tokenUsage", "mlflow.trace.cost")


class Program:
    """A program that records, judges and deletes at random."""

    def __init__(self, store: Store, dice: random.Random) -> None:
        self.store = store
        self.dice = dice
        self.running: list[LiveSpan] = []

    def change(self) -> None:
        """Do one thing."""
        often = (self.record, self.record, self.judge, self.tag, self.end)
        seldom = (self.override, self.forget, self.untag, self.delete, self.keep_the_newest)
        upkeep = (self.store.vacuum, self.store.index_text, self.store.index_text)
        self.dice.choice(self.dice.choice((often, often, often, seldom, upkeep)))()

    def record(self) -> None:
        choice = self.dice.choice
        root = tracestore.start_span_no_context(
            choice(("root", "a", "É")),
            span_type=choice(("LLM", "CHAIN")),
            inputs=choice(VALUES),
            attributes={choice("kab"): choice(VALUES)},
            tags={choice(KEYS): choice(TEXTS)},
            metadata={"mlflow.trace.session": choice("ab")},
            experiment_id=choice(("0", "0", self.other_experiment())),
            start_time_ns=(START_MS + self.dice.randrange(4)) * 10**6,
        )
        for _ in range(self.dice.randrange(3)):
            child = tracestore.start_span_no_context("tool", parent_span=root)
            if choice((True, False)):
                child.record_exception(ValueError(choice("ab")))
            child.end(status=choice(("OK", "ERROR")), outputs=choice(VALUES))
        self.running.append(root)
        if choice((True, True, False)):
            self.end()

    def end(self) -> None:
        if self.running:
            root = self.running.pop(self.dice.randrange(len(self.running)))
            root.end(outputs=self.dice.choice(VALUES), end_time_ns=(START_MS + 1000) * 10**6)

    def tag(self) -> None:
        for trace_id in self.some():
            key = self.dice.choice((*KEYS, "mlflow.traceName"))
            self.store.set_trace_tag(trace_id, key, self.dice.choice(TEXTS))

    def untag(self) -> None:
        for trace in self.store.search_traces(max_results=3):
            for key in list(trace.info.tags)[:2]:
                self.store.delete_trace_tag(trace.trace_id, key)

    def judge(self) -> None:
        for trace_id in self.some():
            log = self.dice.choice((self.store.log_feedback, self.store.log_expectation))
            log(trace_id, self.dice.choice(("k", "a", "a.b")), self.dice.choice(VALUES))

    def override(self) -> None:
        for trace in self.store.search_traces("feedback.k IS NOT NULL", max_results=2):
            judged = next(a for a in trace.info.assessments if a.name == "k" and a.feedback)
            self.store.override_feedback(
                trace.trace_id, str(judged.assessment_id), self.dice.choice(VALUES)
            )

    def forget(self) -> None:
        for trace in self.store.search_traces("assessment.k IS NOT NULL", max_results=2):
            judged = self.dice.choice(trace.info.assessments)
            self.store.delete_assessment(trace.trace_id, str(judged.assessment_id))

    def delete(self) -> None:
        self.store.delete_traces("0", trace_ids=[*self.some(), "tr-none"])

    def keep_the_newest(self) -> None:
        self.store.prune(max_traces=20)

    def other_experiment(self) -> str:
        return str(self.store.get_or_create_experiment("other").experiment_id)

    def some(self) -> list[str]:
        """Return the ids of up to two traces that are there."""
        there = [trace.trace_id for trace in self.store.search_traces(max_results=None)]
        return self.dice.sample(there, min(2, len(there)))


def as_stored(store: Store) -> list[filter_store.Trace]:
    """Return all traces, read whole and without a filter, newest first."""
    traces = store.search_traces(max_results=None)
    with store.reading() as connection:
        keys = dict(connection.execute("SELECT trace_id, id FROM traces").fetchall())
    return [_of_trace(trace, keys[trace.trace_id]) for trace in traces]


def _of_trace(trace: Trace, key: int) -> filter_store.Trace:
    info = trace.info
    metadata = {k: v for k, v in info.trace_metadata.items() if k not in _OF_EVERY_TRACE}
    names = ("mlflow.user", "mlflow.source.name")
    return {
        "id": key,
        "trace_id": info.trace_id,
        "experiment": int(info.experiment_id),
        "resource": {name: metadata.pop(name) for name in names if name in metadata},
        "name": info.name,
        "status": info.state.value,
        "duration_ms": info.execution_duration,
        "client_request_id": info.client_request_id,
        "input_tokens": None,
        "total_cost": None,
        "request_preview": info.request_preview,
        "tags": {k: v for k, v in info.tags.items() if k != "mlflow.traceName"},
        "metadata": metadata,
        "spans": [_of_span(span) for span in trace.data.spans],
        "assessments": [
            {"name": each.name, "kind": each.kind, "value": each.value, "valid": bool(each.valid)}
            for each in info.assessments
        ],
    }


def _of_span(span: Span) -> filter_store.Span:
    hidden = {f"mlflow.{name}" for name in _OWN_COLUMNS}
    errors = [
        f"{event.attributes['exception.type']}: {event.attributes['exception.message']}"
        for event in span.events
        if event.name == "exception"
    ]
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": span.name,
        "type": span.span_type,
        "status": span.status.status_code.value,
        "start_time_ns": span.start_time_ns,
        "end_time_ns": span.end_time_ns,
        "error": errors[-1] if errors else None,
        "model": span.model_name,
        "attributes": {k: v for k, v in span.attributes.items() if k not in hidden},
        "events": [{"name": e.name, "attributes": dict(e.attributes)} for e in span.events],
        "inputs": span.inputs,
        "outputs": span.outputs,
    }


def check(recording: Store, dice: random.Random) -> None:
    program = Program(recording, dice)
    for _ in range(CHANGES):
        program.change()
    stored = as_stored(recording)
    assert stored

    try:
        _check_filters(recording, stored)
    finally:
        while program.running:
            program.end()


def _equalities(stored: list[filter_store.Trace]) -> Iterator[ast.Comparison]:
    """Yield the equality with each tag, attribute and judgement that there is."""
    for trace in stored:
        yield from (_equality("tags", key, value) for key, value in trace["tags"].items())
        for judged in trace["assessments"]:
            yield from _equal_scalars("assessment", judged["name"], judged["value"])
        for span in trace["spans"]:
            for key, value in span["attributes"].items():
                yield from _equal_scalars("span", f"attributes.{key}", value)


def _equal_scalars(entity: str, key: str, value: Any) -> Iterator[ast.Comparison]:
    """Yield the equality with a scalar, or with each one that is within an object."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _equal_scalars(entity, f"{key}.{name}", inner)
    elif isinstance(value, (str, int, float)):
        yield _equality(entity, key, value)


def _equality(entity: str, key: str, value: Any) -> ast.Comparison:
    kinds: dict[type, Any] = {bool: ast.Truth, str: ast.Text}
    literal = kinds.get(type(value), ast.Number)(value)
    return ast.Comparison(ast.Reference(entity, key), "=", literal)


def _check_filters(recording: Store, stored: list[filter_store.Trace]) -> None:
    with recording.reading() as connection:
        for node in {str(leaf): leaf for leaf in _equalities(stored)}.values():
            found, _ = search.search_ids(connection, Query(str(node)), 1000)
            assert found == [each["id"] for each in stored if filter_oracle.holds(node, each)]

        @settings(
            deadline=None,
            database=None,
            max_examples=FILTERS,
            suppress_health_check=list(HealthCheck),
        )
        @given(filters, order_items, st.integers(1, 7))
        def found_is_what_they_say(node: Any, items: Any, size: int) -> None:
            meeting = [trace for trace in stored if filter_oracle.holds(node, trace)]
            ordered = pages(connection, Query(str(node), write_order(items)), size)
            newest, _ = search.search_ids(connection, Query(str(node)), 1000)

            assert newest == [trace["id"] for trace in meeting]
            assert [key for page in ordered for key in page] == in_order(meeting, items)
            assert search.count(connection, Query(str(node))) == len(meeting)

        found_is_what_they_say()


def test_what_is_found_is_what_the_traces_say(recording: Store) -> None:
    check(recording, random.Random(1))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(ROUNDS_SLOW))
def test_what_is_found_is_what_the_traces_say_at_length(recording: Store, seed: int) -> None:
    check(recording, random.Random(seed))
