"""Token usage and cost: of a span, rolled up to its trace, computed where nobody said."""

from __future__ import annotations

import json
import logging
import pathlib
import subprocess
import sys
from typing import Any

import pytest

import tracestore
from tracestore.capture.span import LiveSpan
from tracestore.prices import cost_of, table
from tracestore.store import Store

USAGE_KEY, COST_KEY, MODEL_KEY = "mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.llm.model"
MOMENT_NS = 1_795_000_000_000_000_000
USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
GPT_4O = {"input_cost": 0.0025, "output_cost": 0.001, "total_cost": 0.0035}


@pytest.fixture(autouse=True)
def no_own_prices(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    table.forget()


def span_with(attributes: dict[str, Any], inputs: Any = None, outputs: Any = None) -> LiveSpan:
    with tracestore.start_span("call", span_type="CHAT_MODEL", attributes=attributes) as span:
        if inputs is not None:
            span.set_inputs(inputs)
        if outputs is not None:
            span.set_outputs(outputs)
    assert isinstance(span, LiveSpan)
    return span


# ------------------------------------------------------------------------------------------ computed


@pytest.mark.parametrize(
    ("attributes", "inputs", "outputs"),
    [
        ({MODEL_KEY: "gpt-4o"}, None, None),
        ({MODEL_KEY: "gpt-4o", "mlflow.llm.provider": "openai"}, None, None),
        ({"gen_ai.response.model": "gpt-4o", "gen_ai.system": "openai"}, None, None),
        ({}, {"model": "gpt-4o", "messages": []}, None),
        ({}, {"messages": []}, {"model": "gpt-4o", "choices": []}),
        ({}, [1], {"model": "gpt-4o"}),
    ],
)
def test_cost_is_that_of_the_model_wherever_it_is_named(
    recording: Store, attributes: dict[str, Any], inputs: Any, outputs: Any
) -> None:
    span = span_with({USAGE_KEY: USAGE, **attributes}, inputs, outputs)
    trace = recording.get_trace(span.trace_id)
    stored = trace.data.spans[0]
    assert stored.llm_cost == pytest.approx(GPT_4O)
    assert stored.model_name == "gpt-4o"
    assert trace.info.cost == pytest.approx(GPT_4O)
    assert trace.info.token_usage == USAGE
    assert tracestore.count_traces("cost.total BETWEEN 0.0034 AND 0.0036") == 1
    assert tracestore.count_traces("span.model = 'gpt-4o'") == 1
    assert stored.inputs == inputs


@pytest.mark.parametrize(
    "attributes",
    [
        {USAGE_KEY: USAGE},
        {USAGE_KEY: USAGE, MODEL_KEY: "nobody-knows"},
        {USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o", "mlflow.llm.provider": "somewhere"},
        {USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o", COST_KEY: None},
        {USAGE_KEY: {}, MODEL_KEY: "gpt-4o"},
        {USAGE_KEY: "many", MODEL_KEY: "gpt-4o"},
        {MODEL_KEY: "gpt-4o"},
    ],
)
def test_what_is_not_known_has_no_cost(recording: Store, attributes: dict[str, Any]) -> None:
    span = span_with(attributes)
    trace = recording.get_trace(span.trace_id)
    assert trace.info.cost is None
    assert trace.data.spans[0].llm_cost is None
    assert {key: trace.data.spans[0].attributes[key] for key in attributes} == attributes


def test_cost_that_the_program_sets_wins(recording: Store) -> None:
    own = {"input_cost": 1.0, "output_cost": 2.0, "total_cost": 3.0}
    span = span_with({USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o", COST_KEY: own})
    trace = recording.get_trace(span.trace_id)
    assert trace.data.spans[0].llm_cost == own
    assert trace.info.cost == own


def test_price_is_of_the_time_of_the_call_and_of_its_tier(recording: Store) -> None:
    span = tracestore.start_span_no_context("call", start_time_ns=MOMENT_NS)
    span.set_attributes({USAGE_KEY: USAGE, MODEL_KEY: "gpt-5"})
    span.set_outputs({"service_tier": "priority"})
    span.end()
    expected = cost_of("gpt-5", USAGE, time_ns=MOMENT_NS, tier="priority")
    assert expected != cost_of("gpt-5", USAGE, time_ns=MOMENT_NS)
    assert expected != cost_of("gpt-5", USAGE, tier="priority", time_ns=0)
    assert recording.get_trace(span.trace_id).info.cost == expected


def test_large_numbers_beside_the_usage_stay_as_they_are(recording: Store) -> None:
    given = {USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o", "big": 2**70, "text": '",}'}
    span = span_with(given)
    stored = recording.get_trace(span.trace_id).data.spans[0].attributes
    assert {key: stored[key] for key in given} == given
    assert stored[COST_KEY] == pytest.approx(GPT_4O)


def test_a_price_that_fails_costs_no_span(
    recording: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise RuntimeError("no table")

    monkeypatch.setattr(table, "snapshot", broken)
    with caplog.at_level(logging.WARNING, "tracestore"):
        for _ in range(3):
            span = span_with({USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o"})
        trace = recording.get_trace(span.trace_id)
    assert trace.info.token_usage == USAGE
    assert trace.info.cost is None
    assert caplog.text.count("costs are not computed") == 1


def test_prices_are_loaded_only_for_a_call_of_a_model(tmp_path: pathlib.Path) -> None:
    code = f"""
import sys, tracestore
tracestore.set_tracking_uri({str(tmp_path / "t.db")!r})
with tracestore.start_span("span") as span:
    span.set_inputs({{"model": "gpt-4o"}})
tracestore.flush()
print("tracestore.prices.table" in sys.modules)
with tracestore.start_span("span") as span:
    span.set_attribute({USAGE_KEY!r}, {USAGE!r})
    span.set_inputs({{"model": "gpt-4o"}})
tracestore.flush()
print("tracestore.prices.table" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "True"]


# ------------------------------------------------------------------------------------------ rolled up


def test_parent_that_reports_is_not_added_to_its_children(recording: Store) -> None:
    with tracestore.start_span("agent", attributes={USAGE_KEY: USAGE}) as root:
        span_with({USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o"})
        span_with({USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o"})
    info = recording.get_trace(root.trace_id).info
    assert info.token_usage == USAGE
    # usage and cost are told apart: the agent itself names no model
    assert info.cost == pytest.approx({key: 2 * value for key, value in GPT_4O.items()})


def test_empty_report_of_a_parent_hides_no_child(recording: Store) -> None:
    with tracestore.start_span("agent", attributes={USAGE_KEY: {}, COST_KEY: {}}) as root:
        span_with({USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o"})
    info = recording.get_trace(root.trace_id).info
    assert info.token_usage == USAGE
    assert info.cost == pytest.approx(GPT_4O)


def test_totals_are_derived_where_they_are_missing(recording: Store) -> None:
    span = span_with({USAGE_KEY: {"input_tokens": 3}, COST_KEY: {"input_cost": 0.5}})
    info = recording.get_trace(span.trace_id).info
    assert info.token_usage == {"input_tokens": 3, "output_tokens": 0, "total_tokens": 3}
    assert info.cost == {"input_cost": 0.5, "output_cost": 0, "total_cost": 0.5}


def test_what_the_program_says_of_the_whole_trace_counts(recording: Store) -> None:
    said = {"input_tokens": 7, "output_tokens": 1, "total_tokens": 8}
    cost = {"input_cost": 0.5, "output_cost": 0.5, "total_cost": 1.0}
    with tracestore.start_span("agent") as root:
        tracestore.update_current_trace(
            metadata={
                "mlflow.trace.tokenUsage": json.dumps(said),
                "mlflow.trace.cost": json.dumps(cost),
            }
        )
        span_with({USAGE_KEY: USAGE, MODEL_KEY: "gpt-4o"})
    info = recording.get_trace(root.trace_id).info
    assert (info.token_usage, info.cost) == (said, cost)
    assert tracestore.count_traces("tokens.total = 8 AND cost.total = 1") == 1


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "null"])
def test_nonsense_in_the_metadata_is_not_counted(recording: Store, text: str) -> None:
    with tracestore.start_span("agent", attributes={USAGE_KEY: USAGE}) as root:
        tracestore.update_current_trace(metadata={"mlflow.trace.tokenUsage": text})
    recording.flush()
    assert tracestore.count_traces("tokens.total = 1100") == 1
    assert recording.get_trace(root.trace_id).info.trace_metadata["mlflow.trace.tokenUsage"] == text


def test_tokens_of_long_cache_writes_are_kept(recording: Store) -> None:
    usage = USAGE | {
        "cache_creation_input_tokens": 10,
        "cache_creation_input_tokens_above_1hr": 4,
    }
    span = span_with({USAGE_KEY: usage})
    assert recording.get_trace(span.trace_id).info.token_usage == usage
    assert tracestore.count_traces("tokens.cache_creation = 10") == 1
