"""Groups side by side, and what distinguishes some traces: intervals that hold, sentences, ranks, no false alarms."""

from __future__ import annotations

import contextlib
import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracestore
from tests import filter_store
from tests.test_metrics import a_span, a_trace, said
from tracestore import comparison
from tracestore.answers import Answer, cells
from tracestore.comparison import features, intervals
from tracestore.comparison.correlate import log_likelihood
from tracestore.errors import FilterSyntaxError, InvalidArgumentError
from tracestore.figures import Request
from tracestore.figures.summaries import percentile
from tracestore.search import Query, count
from tracestore.store import Store


def compared(traces: list[filter_store.Trace], baseline: object = None, **asked: Any) -> Answer:
    with contextlib.closing(filter_store.open_memory()) as connection:
        filter_store.insert(connection, traces)
        return comparison.compare(connection, Request(**asked), baseline)


def correlated(traces: list[filter_store.Trace], *arguments: Any, **asked: Any) -> Answer:
    with contextlib.closing(filter_store.open_memory()) as connection:
        filter_store.insert(connection, traces)
        return comparison.correlate(connection, *arguments, **asked)


# ------------------------------------------------------------------------------------------ intervals


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share_and_stays_within_0_and_1(some: int, more: int) -> None:
    trials = max(some, more)
    interval = intervals.wilson(some, trials)
    assert interval is not None
    assert 0 <= interval.low <= some / trials <= interval.high <= 1


def test_newcombe_s_published_examples_come_out() -> None:
    """R. G. Newcombe 1998, table II, method 10: (a) 56/70 - 48/80 and (b) 9/10 - 3/10, (f) 0/20 - 0/10."""
    published = [
        ((48, 80), (56, 70), (0.0524, 0.3339)),
        ((3, 10), (9, 10), (0.1705, 0.8090)),
        ((0, 10), (10, 10), (0.6075, 1.0)),
    ]
    for first, second, expected in published:
        found = intervals.share_difference(first, second)
        assert found == pytest.approx(expected, abs=1e-4)
    assert intervals.share_difference((0, 0), (1, 2)) is None


def test_drawn_ranks_are_what_resampling_rows_gives() -> None:
    rng = random.Random(5)
    values = sorted(rng.lognormvariate(6, 1) for _ in range(60))
    for percent in (50, 90, 95):
        drawn = intervals.percentile_samples(values, percent, rng)
        resampled = [
            percentile(sorted(rng.choices(values, k=60)), percent) or 0 for _ in range(2_000)
        ]
        assert statistics.fmean(drawn) == pytest.approx(statistics.fmean(resampled), rel=0.05)
        for part in (10, 50, 90):
            assert percentile(sorted(drawn), part) == pytest.approx(
                percentile(sorted(resampled), part), rel=0.15
            )


def test_a_mean_s_interval_is_the_same_drawn_and_resampled() -> None:
    rng = random.Random(7)
    values = [rng.expovariate(0.01) for _ in range(intervals.MANY_VALUES)]
    normal = intervals.middle_of(intervals.mean_samples(values, rng))
    resampled = intervals.middle_of(intervals.mean_samples(values[:-1], rng))
    assert normal == pytest.approx(resampled, rel=0.03)


# ------------------------------------------------------------------------------------------ compare


def versions(errors: dict[str, int], of: int = 200) -> list[filter_store.Trace]:
    return [
        a_trace(
            10_000 * at + n, tags={"v": version}, status="ERROR" if n < failed else "OK",
            duration_ms=100 * (at + 1) + n % 50,
        )
        for at, (version, failed) in enumerate(errors.items())
        for n in range(of)
    ]  # fmt: skip


def test_a_clear_difference_is_told_and_a_small_one_is_said_to_be_too_small() -> None:
    found = compared(
        versions({"1.9": 10, "1.10": 12, "2": 60}), metrics=["error_rate"], group_by="tags.v"
    )
    assert found["tags.v"] == ["1.9", "1.10", "2"]
    assert found["difference"] == [None, pytest.approx(0.01), pytest.approx(0.25)]
    small, large = found.notes
    assert "too small to tell from chance" in small
    assert large.startswith(
        "error_rate is 5.0 % in 1.9 and 30.0 % in 2: 25.0 points more in 2 (95 %: "
    )
    assert found[2]["low"] < 0.25 < found[2]["high"]


def test_the_sign_of_an_amount_stands_before_the_dollars() -> None:
    assert [cells.cell_text(cost, "usd") for cost in (-0.5, 0.5, -1234.5)] == [
        "-$0.5000", "$0.5000", "-$1,234.50",
    ]  # fmt: skip


def test_means_and_percentiles_are_compared_and_counts_are_only_counted() -> None:
    asked = ["count", "latency_mean", "p95"]
    found = compared(versions({"1": 0, "2": 0}), metrics=asked, group_by="tags.v", baseline="2")
    of_second = {row["metric"]: row for row in found if row["tags.v"] == "1"}
    assert of_second["count"]["low"] is None
    assert of_second["latency_mean"]["difference"] == -100
    assert -105 < of_second["latency_mean"]["low"] < -100 < of_second["latency_mean"]["high"] < -95
    assert of_second["p95"]["high"] < 0
    assert "100 ms less in 1" in found.notes[0]
    assert "100 ms" in str(found)
    assert "100 ms" in found.to_html()


def test_too_few_are_too_few_to_tell() -> None:
    found = compared(versions({"1": 0, "2": 0}, of=3), metrics=["p95"], group_by="tags.v")
    assert "too few to tell" in found.notes[0]


def test_no_group_is_compared_that_is_not_there() -> None:
    with pytest.raises(InvalidArgumentError, match="no group 9 to compare with; 1, 2"):
        compared(versions({"1": 0, "2": 0}, 2), 9, group_by="tags.v")
    with pytest.raises(InvalidArgumentError, match="51 groups"):
        compared(versions({str(n): 0 for n in range(51)}, 1), group_by="tags.v")


# ------------------------------------------------------------------------------------------ correlate


def failing() -> list[filter_store.Trace]:
    """900 traces: half of the 100 of region y fail, and 2 % of the others; every one has a session of 3."""
    traces = []
    for n in range(900):
        region, fails = ("y", n % 18 == 0) if n % 9 == 0 else ("x", n % 50 == 1)
        spans = [
            a_span(name="call", model="small", type="LLM", attributes={"temperature": 0.5}),
            a_span(span_id="2" * 16, name="tool" if fails else "other", attributes={"tool": fails}),
        ]
        traces.append(
            a_trace(n, status="ERROR" if fails else "OK", tags={"region": region, "id": str(n)},
                    metadata={"mlflow.trace.session": str(n // 3)}, spans=spans, name="t",
                    assessments=[said("good", not fails), said("stars", 1.0 if fails else 4.0)])
        )  # fmt: skip
    return traces


@pytest.mark.parametrize("few", [20_000, 10])
def test_what_failing_traces_have_in_common_comes_first(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "FEW_TRACES", few)
    found = correlated(failing(), "status = 'ERROR'")
    assert set(found["condition"][:4]) == {
        "span.name = 'tool'",
        "span.attributes.tool IN (1, true)",
        "assessment.stars = 1.0",
        "assessment.good = 'false'",
    }
    assert found["condition"][4:] == ["tags.region = 'y'"]
    last = found[4]
    assert (last["matching"], last["others"]) == (50, 50)
    assert last["g2"] == round(log_likelihood(50, 50 + 16, 50, 834), 1)
    assert found["times"][0] is None  # no other has it


@pytest.mark.parametrize("few", [20_000, 10])
def test_only_traces_within_are_looked_at(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FEW_TRACES", few)
    found = correlated(failing(), "status = 'ERROR'", "tags.region = 'y'")
    assert "tags.region = 'y'" not in found["condition"]
    assert found[0]["matching"] == 50
    assert "50 traces match, 50 do not" in found.notes[0]


@pytest.mark.parametrize("few", [20_000, 10])
def test_each_condition_is_a_filter_that_finds_what_the_row_counts(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "FEW_TRACES", few)
    connection = filter_store.open_memory()
    odd = {"it's `odd`.key": 'a "quoted" value', "long": "100%_" * 60, "flag": True, "one": 1}
    traces = [
        a_trace(n, status="ERROR", tags=odd_texts(odd), metadata=odd_texts(odd),
                spans=[a_span(attributes=odd, error="E: x", model="m'1", type="T")],
                assessments=[said("note", "long " * 60), said("flag", True), said("n", 2)])
        if n < 40 else a_trace(n)
        for n in range(200)
    ]  # fmt: skip
    filter_store.insert(connection, traces)
    end_ms = (traces[150]["id"] >> 20) - 1
    within = f"timestamp <= {end_ms}"
    found = comparison.correlate(connection, "duration < 1s AND tags.long IS NOT NULL", within,
                                 max_results=None)  # fmt: skip
    assert len(found) >= 15
    assert "40 traces match, 110 do not" in found.notes[0]
    for row in found:
        assert count(connection, Query(row["condition"])) == row["matching"] + row["others"], row
    connection.close()


def odd_texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


def test_chance_is_not_news() -> None:
    rng = random.Random(3)
    traces = [
        a_trace(n, status=rng.choices(["OK", "ERROR"], [95, 5])[0],
                tags={f"t{k}": str(rng.randrange(9)) for k in range(5)},
                metadata={"mlflow.trace.session": str(n // 10)})
        for n in range(2_000)
    ]  # fmt: skip
    assert correlated(traces, "status = 'ERROR'")["condition"] == []


def test_log_likelihood_of_equal_shares_is_nothing() -> None:
    assert log_likelihood(1, 10, 10, 100) == pytest.approx(0, abs=1e-9)
    assert log_likelihood(0, 10, 0, 100) == 0
    assert log_likelihood(10, 10, 0, 100) > log_likelihood(5, 10, 0, 100)


def test_bad_questions_are_errors() -> None:
    with pytest.raises(FilterSyntaxError):
        correlated([], "status = ")
    with pytest.raises(InvalidArgumentError, match="min_count"):
        correlated([], "status = 'OK'", min_count=0)


def test_the_verbs_answer_for_the_active_experiment(recording: Store) -> None:
    for at in range(20):
        with tracestore.start_span("a"):
            tracestore.update_current_trace(
                tags={"v": str(at % 2), "odd": "yes" if at % 2 else "no"}
            )
    assert tracestore.compare("tags.v", "count")["value"] == [10, 10]
    found = tracestore.correlate("tags.v = '1'")
    assert found["condition"] == ["tags.odd = 'yes'"]
    assert recording.correlate("tags.v = '1'", experiment_ids=["9"])["condition"] == []
