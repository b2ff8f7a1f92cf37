"""Figures: exact as pandas has them, by group and by time, and whatever way the rows were read."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import math
import pathlib
import sqlite3
import sys
import types
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracestore
from tests import filter_store
from tracestore import figures
from tracestore.answers import Answer
from tracestore.errors import FilterSyntaxError, InvalidArgumentError
from tracestore.figures import columns, groups, indexed, summaries
from tracestore.figures.calendar import Calendar
from tracestore.figures.summaries import agrees, numbers, percentile
from tracestore.search import Query, select
from tracestore.store import Store

START_MS = 1_790_000_000_000


def a_trace(at: int, **given: Any) -> filter_store.Trace:
    trace: dict[str, Any] = {
        "id": (START_MS + given.pop("after_ms", at) << 20) + at, "experiment": 0, "resource": {},
        "name": "t", "status": "OK", "duration_ms": 10, "client_request_id": None,
        "input_tokens": None, "total_cost": None, "request_preview": None,
        "tags": {}, "metadata": {}, "spans": [], "assessments": [],
    }  # fmt: skip
    return trace | given  # type: ignore[return-value]  # the keys of a Trace


def a_span(**given: Any) -> filter_store.Span:
    span: dict[str, Any] = {
        "span_id": "1" * 16, "parent_id": None, "name": "s", "type": None, "status": "OK",
        "start_time_ns": 0, "end_time_ns": 1_500_000, "error": None, "model": None,
        "attributes": {}, "events": [], "inputs": None, "outputs": None,
    }  # fmt: skip
    return span | given  # type: ignore[return-value]  # the keys of a Span


def said(name: str, value: Any, kind: str = "feedback", *, valid: bool = True) -> Any:
    return {"name": name, "kind": kind, "value": value, "valid": valid}


def measured(traces: list[filter_store.Trace], *texts: str, **asked: Any) -> Answer:
    with contextlib.closing(filter_store.open_memory()) as connection:
        filter_store.insert(connection, traces)
        return figures.measure(connection, figures.Request(metrics=texts or None, **asked))


TRACES: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        status=st.sampled_from(["OK", "ERROR", "IN_PROGRESS"]),
        duration_ms=st.none() | st.integers(0, 10**6),
        version=st.none() | st.sampled_from(["1.9", "1.10", "2"]),
        input_tokens=st.none() | st.integers(0, 10**9),
        total_cost=st.none() | st.floats(0, 10, allow_nan=False),
    ),
    max_size=30,
)


def approx_rows(answer: Answer, label: str) -> dict[Any, list[float]]:
    return {
        row[label]: [math.nan if v is None else v for k, v in row.items() if k != label]
        for row in answer
    }


@settings(max_examples=30)
@given(TRACES)
def test_figures_by_group_are_those_of_pandas(drawn: list[dict[str, Any]]) -> None:
    traces = [
        a_trace(
            at,
            tags={} if each["version"] is None else {"version": each["version"]},
            **{k: v for k, v in each.items() if k != "version"},
        )
        for at, each in enumerate(drawn)
    ]
    asked = ("count", "error_rate", "latency_mean", "latency_max", "p50", "p95", "p99.9",
             "tokens_input", "cost")  # fmt: skip

    found = approx_rows(measured(traces, *asked, group_by="tags.version"), "tags.version")

    columns = ["status", "duration_ms", "version", "input_tokens", "total_cost"]
    frame = pd.DataFrame(drawn, columns=columns).astype({c: float for c in columns if "_" in c})
    expected = {
        None if not isinstance(version, str) else version: [
            len(rows),
            (rows.status == "ERROR").mean(),
            rows.duration_ms.mean(),
            rows.duration_ms.max(),
            *(rows.duration_ms.quantile(q) for q in (0.5, 0.95, 0.999)),
            rows.input_tokens.sum(min_count=1),
            rows.total_cost.sum(min_count=1),
        ]
        for version, rows in frame.groupby("version", dropna=False)
    }
    assert found.keys() == expected.keys()
    for version, values in expected.items():
        assert found[version] == pytest.approx(values, rel=1e-9, nan_ok=True)


@given(st.lists(st.integers(0, 10**6), min_size=1), st.floats(0, 100))
def test_percentiles_are_those_of_pandas(values: list[int], percent: float) -> None:
    assert percentile(sorted(values), percent) == pytest.approx(
        pd.Series(values).quantile(percent / 100), rel=1e-9
    )


def test_without_a_group_there_is_one_row_also_of_nothing() -> None:
    asked = ("count", "error_rate", "p95", "tokens_total", "users", "counts(feedback.x)")
    assert list(measured([], *asked)) == [
        {"count": 0, "error_rate": None, "p95": None, "tokens_total": None, "users": 0,
         "counts(feedback.x)": {}}
    ]  # fmt: skip
    impossible = measured([a_trace(1)], "count", filter_string="timestamp < 5 AND timestamp > 9")
    assert impossible["count"] == [0]


def test_groups_are_in_the_order_people_count_and_absence_is_a_group() -> None:
    traces = [a_trace(at, tags={"v": v}) for at, v in enumerate(["2.10", "2.9", "10"])]
    found = measured([*traces, a_trace(9)], "count", group_by=["tags.v"])
    assert found["tags.v"] == ["2.9", "2.10", "10", None]


def test_rows_are_ordered_and_limited_on_demand() -> None:
    traces = [a_trace(at, metadata={"mlflow.trace.user": "u" + "0112"[at]}) for at in range(4)]
    found = measured(traces, "count", group_by="user", order_by="count DESC", max_results=1)
    assert found.tuples() == [("u1", 2)]
    assert found.notes == ("2 more groups are left out",)


def test_filters_groups_and_fields_are_those_of_the_filter_language() -> None:
    traces = [
        a_trace(1, name="a", experiment=3, metadata={"k": "x"}, resource={"mlflow.user": "ada"},
                assessments=[said("q", 4), said("q", 5)]),
        a_trace(2, name="b"),
    ]  # fmt: skip
    by = ["name", "experiment_id", "metadata.k", "metadata.mlflow.user", "feedback.q", "status"]
    found = measured(traces, "count", group_by=by, filter_string="tags.none IS NULL")
    assert found.tuples() == [("a", 3, "x", "ada", 5, "OK", 1), ("b", 0, None, None, None, "OK", 1)]


def test_a_metric_may_have_a_filter_of_its_own() -> None:
    traces = [
        a_trace(1, duration_ms=10, tags={"cache": "hit"}),
        a_trace(2, duration_ms=30, tags={"cache": "miss, 'no'"}),
        a_trace(3, duration_ms=99, status="ERROR"),
    ]
    found = measured(
        traces, "latency_ok_mean", "share(tags.cache = 'hit')", "count(duration > 20ms)",
        "mean(duration, tags.cache = 'miss, ''no''')", "share(tags.`a,b` IS NULL)",
    )  # fmt: skip
    assert found.tuples() == [(20.0, pytest.approx(1 / 3), 2, 30.0, 1.0)]


def test_feedback_is_averaged_shared_counted_and_compared() -> None:
    answer = a_span(outputs={"choices": [{"message": {"content": " Paris "}}]})
    traces = [
        a_trace(1, spans=[answer], assessments=[
            said("score", 4), said("score", 1), said("score", 99, valid=False), said("ok", True),
            said("tone", "warm"), said("city", "Paris", "expectation"), said("city", "Rome"),
        ]),
        a_trace(2, assessments=[said("ok", False), said("ok", True), said("score", "5"),
                                said("tone", "cold"), said("tone", "warm"), said("tone", 1)]),
        a_trace(3, spans=[a_span(outputs={"city": 1.0})],
                assessments=[said("city", 1, "expectation"), said("city", 1)]),
        a_trace(4, spans=[a_span(outputs=True)], assessments=[said("city", 1, "expectation")]),
    ]  # fmt: skip
    found = measured(
        traces, "mean(feedback.score)", "p50(feedback.score)", "share(feedback.ok)",
        "counts(feedback.tone)", "agreement(expectation.city)", "agreement(feedback.city)",
    )  # fmt: skip
    assert found.tuples() == [
        (2.5, 2.5, pytest.approx(2 / 3), {"warm": 2, "1": 1, "cold": 1}, pytest.approx(2 / 3), 0.5)
    ]


def test_a_dotted_name_of_feedback_reaches_into_objects() -> None:
    said_of = [{"size": 3, "ok": True, "deep": {"x": "a"}}, {"size": 5, "ok": False}, {"other": 1}]
    traces = [a_trace(at, assessments=[said("m", value)]) for at, value in enumerate(said_of)]
    traces += [a_trace(3, assessments=[said("m.size", 10), said("m", 4)]), a_trace(4)]
    found = measured(
        traces, "mean(feedback.m.size)", "share(feedback.m.ok)", "counts(feedback.m.deep.x)"
    )
    assert found.tuples() == [(6.0, 0.5, {"a": 1})]
    for field, keys in {
        "feedback.m.size": [3, 5, 10, None],
        "feedback.m.ok": ["false", "true", None],
        "feedback.m.deep.x": ["a", None],
    }.items():
        assert measured(traces, "count", group_by=field)[field] == keys
        wanted = f"{field} IS NOT NULL"
        assert sum(measured(traces, "count", filter_string=wanted)["count"]) == sum(
            row["count"]
            for row in measured(traces, "count", group_by=field)
            if row[field] is not None
        )


def test_no_more_rows_than_asked_for_also_where_that_is_none() -> None:
    traces = [a_trace(at, name=f"n{at}") for at in range(3)]
    for most in (0, -1):
        assert measured(traces, "count", group_by="name", max_results=most).tuples() == []


def test_numbers_that_are_none_are_left_out() -> None:
    wild = [float("inf"), float("nan"), 1e308, True, "7", None, [1], {"a": 1}]
    traces = [a_trace(n, assessments=[said("x", value)]) for n, value in enumerate([*wild, 3, 4.5])]
    asked = ("mean(feedback.x)", "sum(feedback.x)", "p50(feedback.x)", "max(feedback.x)")
    found = measured(traces, *asked, "counts(feedback.x)", "distinct(feedback.x)")
    assert found.tuples()[0][:4] == (3.75, 7.5, 3.75, 4.5)
    assert str(found)
    assert found.to_html()
    assert numbers([10**400, -(10**400), 2**70, True]) == [2**70]


def test_agreement_looks_for_the_answer_where_answers_are() -> None:
    assert agrees("x", {"answer": " x"})
    assert agrees("x", {"role": "assistant", "content": "x"})
    assert agrees("x", {"a": 1, "city": "x"}, "city")
    assert agrees(1, 1.0)
    assert not agrees(1, True)
    assert not agrees("x", {"a": "x", "b": 1})


def test_spans_are_measured_where_spans_are_grouped() -> None:
    usage = {"mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 4}}
    spans = [
        a_span(span_id="1" * 16, name="root"),
        a_span(span_id="2" * 16, name="call", attributes=usage, type="LLM"),
        a_span(span_id="3" * 16, name="call", status="ERROR", end_time_ns=500_000),
        a_span(span_id="4" * 16, name="call", end_time_ns=None, status="UNSET"),
    ]
    found = measured(
        [a_trace(1, spans=spans)], "count", "error_rate", "p50", "tokens_total", "latency_max",
        group_by="span.name",
    )  # fmt: skip
    assert found.tuples() == [
        ("call", 3, pytest.approx(1 / 3), 1.0, 7, 1.5),
        ("root", 1, 0.0, 1.5, None, 1.5),
    ]
    both = measured([a_trace(1, spans=spans)], "count", group_by=["span.type", "name"])
    assert both.tuples() == [("LLM", "t", 1), (None, "t", 3)]


def model_traces() -> list[filter_store.Trace]:
    def reports(span_id: str, parent: str | None, model: str | None, tokens: int) -> Any:
        attributes = {"mlflow.chat.tokenUsage": {"input_tokens": tokens}} if tokens else {}
        return a_span(span_id=span_id * 16, parent_id=parent and parent * 16, model=model,
                      attributes=attributes)  # fmt: skip

    one = [reports("1", None, None, 30), reports("2", "1", "small", 10), reports("3", "1", "small", 20)]  # fmt: skip
    two = [reports("1", None, None, 77), reports("2", "1", "small", 40), reports("3", "1", "large", 37),
           reports("4", "3", "large", 30)]  # fmt: skip
    return [
        a_trace(1, spans=one, input_tokens=30, tags={"env": "prod"}),
        a_trace(2, spans=two, input_tokens=77),
        a_trace(3, spans=[], input_tokens=5),
    ]


def test_tokens_by_model_count_once_however_sums_stand_on_parents() -> None:
    found = measured(model_traces(), "tokens_input", group_by="span.model")
    assert found.tuples() == [("large", 37), ("small", 70), (None, 5)]


def test_tokens_by_model_and_tag_stand_beside_figures_of_spans() -> None:
    asked = ("tokens_input", "count")
    found = measured(model_traces(), *asked, group_by=["tags.env", "span.model"])
    assert found.tuples() == [
        ("prod", "small", 30, 2), ("prod", None, None, 1), (None, "large", 37, 2),
        (None, "small", 40, 1), (None, None, 5, 1),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------ time


def test_buckets_are_there_also_where_nothing_happened() -> None:
    hour = 3_600_000
    traces = [a_trace(1, after_ms=0), a_trace(2, after_ms=3 * hour), a_trace(3, after_ms=3 * hour)]
    found = measured(traces, "count", "p95", "throughput", every="1h")
    assert found["count"] == [1, 0, 0, 2]
    assert found["p95"] == [10, None, None, 10]
    assert found["throughput"] == [1 / 60, 0, 0, 2 / 60]
    assert found["time"][0] == dt.datetime.fromtimestamp(
        START_MS // hour * hour / 1000, dt.timezone.utc
    )


def test_start_and_end_choose_traces_and_buckets() -> None:
    day = 86_400_000
    traces = [a_trace(at, after_ms=at * day) for at in range(5)]
    found = measured(
        traces, "count", every="1d", start=START_MS + day, end=START_MS + 4 * day,
        group_by="status", zone="America/New_York",
    )  # fmt: skip
    assert sum(found["count"]) == 3
    assert {moment.hour for moment in found["time"]} == {0}
    empty = measured([], "count", every="1h", start="2026-10-25T00:00:00Z", end="2026-10-25T03:00Z")
    assert empty["count"] == [0, 0, 0]


def test_a_day_on_which_the_clock_changes_has_25_hours() -> None:
    calendar = Calendar("1h", "Europe/Berlin")
    day = dt.datetime(2026, 10, 25, tzinfo=calendar.zone)
    first, last = (int(d.timestamp() * 1000) for d in (day, day + dt.timedelta(hours=23.5)))
    assert len(calendar.between(first, last)) == 25
    days = Calendar("1d", "Europe/Berlin")
    assert days.after(days.start_of(first)) - days.start_of(first) == 25 * 3_600_000


@given(
    st.integers(0, 4 * 10**12),
    st.sampled_from(["1s", "15m", "90m", "6h", "1d", "3d", "1w"]),
    st.sampled_from(
        ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Africa/Monrovia"]
    ),
)
def test_a_moment_is_in_its_bucket(time_ms: int, every: str, zone: str) -> None:
    calendar = Calendar(every, zone)
    start = calendar.start_of(time_ms)
    assert start <= time_ms < calendar.after(start)
    assert calendar.start_of(start) == start
    assert calendar.start_of(calendar.after(start)) == calendar.after(start)
    if every == "1w":
        assert calendar.moment(start).weekday() == 0


@pytest.mark.parametrize("every", ["15m", "1h", "1d"])
@pytest.mark.parametrize(
    ("zone", "clock_changes"),
    [
        ("America/St_Johns", "2010-11-07T02:31Z"),  # from 00:01 back to 23:01
        ("America/Toronto", "1919-03-31T04:30Z"),  # from 23:30 on to 00:30
        ("America/Sao_Paulo", "2018-11-04T03:00Z"),  # from 00:00 on to 01:00
        ("Pacific/Apia", "2011-12-30T10:00Z"),  # on by a whole day
    ],
)
def test_buckets_follow_each_other_where_the_clock_is_changed_about_midnight(
    zone: str, clock_changes: str, every: str
) -> None:
    calendar = Calendar(every, zone)
    changed_ms = int(pd.Timestamp(clock_changes).timestamp() * 1_000)
    moments_ms = range(changed_ms - 7_200_000, changed_ms + 7_200_000, 60_000)
    starts = calendar.between(moments_ms[0], moments_ms[-1])
    assert sorted(set(map(calendar.start_of, moments_ms))) == starts


def test_a_chart_says_no_figure_that_is_not_there() -> None:
    asked = ("error_rate", "cost", "throughput")
    found = measured([a_trace(1), a_trace(2, after_ms=120_000)], *asked, every="1m")
    html = found.to_html()
    assert "error_rate up to 0.0 %" in html
    assert "cost up to" not in html
    assert "throughput up to 1 / min" in html


# ------------------------------------------------------------------------------------------ reading


@given(
    st.lists(st.integers(-50, 50) | st.integers(-(2**63), 2**63 - 1), max_size=60), st.booleans()
)
def test_counted_numbers_are_in_the_order_of_compared_ones(
    values: list[float], has_fractions: bool
) -> None:
    given = [*values, 0.5] if has_fractions else values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "_MANY", 1)
        assert summaries.ascending(given) == sorted(given)


def test_indexes_alone_say_what_the_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = filter_store.open_memory()
    statuses, versions = ["OK", "ERROR", "OK", "IN_PROGRESS"], ["1", "2", None]
    filter_store.insert(
        connection,
        [
            a_trace(at, status=statuses[at % 4], duration_ms=None if at % 7 == 0 else at * 3,
                    name=None if at % 5 == 0 else f"n{at % 2}",
                    metadata={"m": str(at % 3)}, experiment=at % 2,
                    input_tokens=None if at % 4 == 0 else at * 10,
                    tags={} if versions[at % 3] is None else {"v": versions[at % 3]})
            for at in range(200)
        ],
    )  # fmt: skip
    asked = ("count", "error_rate", "p95", "latency_mean")
    requests = [
        figures.Request(asked, None, "tags.v"),
        figures.Request(asked, "tags.v = '1'", ["name", "metadata.m", "experiment_id"]),
        figures.Request(asked, "status = 'ERROR'", "status", every="1s"),
        figures.Request(asked, "tags.v = '1' OR metadata.m = '2'"),
        figures.Request(asked, None, "tags.v", end=START_MS + 100),
        figures.Request(asked, "tags.v = '1'", "status", start=START_MS + 50),
        figures.Request((*asked, "p50", "tokens_input", "mean(tokens.input)"), None, "metadata.m"),
        figures.Request("count", None, "tags.no_such_key"),
    ]
    by_rows = [figures.measure(connection, request).tuples() for request in requests]
    monkeypatch.setattr(indexed, "MANY_TRACES", 1)
    monkeypatch.setattr(indexed, "MANY_GROUPED_TRACES", 1)
    for request in requests:
        selection = select(connection, Query(request.filter_string))
        assert selection is not None
        indexes = indexed.read(selection, [])
        assert indexes is not None
    by_group = [
        indexed.read_groups(selection, [columns.of_group(group)], [])
        for selection in [select(connection, Query())]
        if selection is not None
        for group in groups.parse(["tags.v", "metadata.m", "tags.no_such_key", "name"])
    ]
    assert [found is not None and len(found) for found in by_group] == [3, 3, 1, False]
    assert [figures.measure(connection, request).tuples() for request in requests] == by_rows
    monkeypatch.setattr(indexed, "_MAX_VALUES", 1)
    assert [figures.measure(connection, request).tuples() for request in requests] == by_rows
    connection.close()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"metrics": "p59.(x"}, "no metric"),
        ({"metrics": "eror_rate"}, "did you mean 'error_rate'"),
        ({"metrics": "sum(name)"}, "sum takes a number"),
        ({"metrics": "share(tags.x)"}, "share takes feedback.N"),
        ({"metrics": "mean(feedback.x)", "group_by": "span.name"}, "feedback is of traces"),
        ({"metrics": "latency_ok_mean", "group_by": "span.name"}, "its filter is one of traces"),
        ({"metrics": [5]}, "metric is text"),
        ({"metrics": "count(", "group_by": None}, "no metric"),
        ({"group_by": "tags.x DESC"}, "without a direction"),
        ({"group_by": ["status", "status"]}, "twice"),
        ({"group_by": "span.inputs"}, "not grouped by"),
        ({"group_by": "timestamp_ms"}, "every='1h'"),
        ({"group_by": "nonsense"}, "unknown field"),
        ({"every": "7h"}, "divide a day"),
        ({"every": "1 fortnight"}, "every is"),
        ({"every": "1h", "zone": "Mars/Base"}, "no time zone"),
        ({"zone": "Mars/Base"}, "no time zone"),
        ({"start": dt.datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001 - that is the point
        ({"start": "yesterday-ish"}, "instant|time|date"),
        ({"order_by": "nothing"}, "no column"),
        ({"every": "1s", "start": 0, "end": 10**12}, "buckets"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_so(asked: dict[str, Any], message: str) -> None:
    with (
        contextlib.closing(filter_store.open_memory()) as connection,
        pytest.raises((InvalidArgumentError, FilterSyntaxError), match=message),
    ):
        figures.measure(connection, figures.Request(**asked))


# ------------------------------------------------------------------------------------------ answers


def answer() -> Answer:
    traces = [a_trace(1, tags={"v": "<b>"}), a_trace(2, tags={"v": "=1+1"}, status="ERROR")]
    return measured(traces, "count", "error_rate", "p95", group_by="tags.v", every="1d")


def test_an_answer_is_rows_columns_text_and_a_data_frame() -> None:
    found = answer()
    assert len(found) == 2
    assert found[1]["tags.v"] == "=1+1"
    assert found["error_rate"] == [0.0, 1.0]
    assert "100.0 %  10 ms" in str(found)
    assert list(pd.DataFrame(found)["p95"]) == [10, 10]
    assert list(found.frame()["count"]) == [1, 1]
    assert pl.DataFrame(found.frame("polars")).height == 2
    assert found.frame("arrow").num_rows == 2
    with pytest.raises(InvalidArgumentError, match="no column 'p96'"):
        found["p96"]


def test_an_answer_goes_out_as_csv_and_json() -> None:
    found = answer()
    rows = list(csv.reader(io.StringIO(found.to_csv())))
    assert rows[0] == ["time", "tags.v", "count", "error_rate", "p95"]
    assert rows[2][1] == "'=1+1"  # no formula
    assert json.loads(found.to_json())[0]["tags.v"] == "<b>"


def test_a_notebook_gets_a_chart_and_no_markup_of_others() -> None:
    page = answer().to_html()
    assert "<svg" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page


def test_matplotlib_draws_lines_over_time_and_bars_without(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Any, ...]] = []

    class Axes:
        """Takes what is drawn, as matplotlib's axes do."""

        def plot(self, x: list[Any], y: list[Any], marker: str, label: str | None) -> None:
            assert marker == "."
            drawn.append(("line", label, len(x), list(y)))

        def bar(self, label: str, height: float) -> None:
            drawn.append(("bar", label, height))

        def set_ylabel(self, label: str) -> None:
            drawn.append(("axis", label))

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", types.ModuleType("pyplot"))
    answer().plot(Axes())
    measured([a_trace(1)], "count", group_by="status").plot(Axes())
    assert drawn == [
        ("line", "<b>", 1, [1]), ("line", "=1+1", 1, [1]), ("axis", "count"),
        ("bar", "OK", 1), ("axis", "count"),
    ]  # fmt: skip
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(InvalidArgumentError, match="pip install matplotlib"):
        answer().plot()


def test_matplotlib_itself_draws_them() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    traces = [
        a_trace(
            at, after_ms=at * 60_000, duration_ms=at or None, tags={"v": "a" if at % 2 else "$b_$"}
        )
        for at in range(6)
    ]
    over_time = measured(traces, "p50", "count", group_by="tags.v", every="1m")
    bars = measured(traces, "count", group_by="tags.v")
    try:
        axes = over_time.plot()
        lines = {
            line.get_label(): [float(y) for y in line.get_ydata(orig=False)]
            for line in axes.get_lines()
        }
        given = pyplot.subplots()[1]
        assert bars.plot(given) is given
        axes.legend()
        for each in (axes, given):
            target = io.BytesIO()
            each.figure.savefig(target)
            assert target.getvalue().startswith(b"\x89PNG")
    finally:
        pyplot.close("all")
    nan = math.nan
    assert {label: list(map(str, ys)) for label, ys in lines.items()} == {
        r"\$b_\$": list(map(str, [nan, nan, 2.0, nan, 4.0, nan])),
        "a": list(map(str, [nan, 1.0, nan, 3.0, nan, 5.0])),
    }
    assert [bar.get_height() for bar in given.patches] == [3, 3]
    assert [tick.get_text() for tick in given.get_xticklabels()] == [r"\$b_\$", "a"]
    assert (axes.get_ylabel(), given.get_ylabel()) == ("p50", "count")


def test_the_verb_answers_for_the_active_experiment(recording: Store) -> None:
    with tracestore.start_span("a"):
        tracestore.update_current_trace(tags={"v": "1"})
    found = tracestore.metrics("count", group_by="tags.v")
    assert found.tuples() == [("1", 1)]
    assert tracestore.metrics("count", experiment_ids=["77"])["count"] == [0]
    assert recording.metrics("count")["count"] == [1]


def test_a_damaged_column_does_not_stop_the_rest(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.db"
    with Store(path) as store:
        store.search_traces()
    with sqlite3.connect(path) as connection:
        filter_store.insert(connection, [a_trace(1, assessments=[said("x", 3)])])
        connection.execute("UPDATE assessments SET value = '{no json'")
    connection.close()
    with Store(path) as store:
        assert store.metrics("mean(feedback.x)").tuples() == [(None,)]
