"""The operator's page and its alerts: conditions with exit codes, questions on the command line, statistics."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests import filter_store
from tests.cli_program import record_demo, run, run_json
from tests.test_metrics import a_trace, measured
from tracestore.cli.stats import newest_start_ms
from tracestore.errors import FilterSyntaxError, InvalidArgumentError
from tracestore.figures.conditions import outcomes, parse
from tracestore.figures.overview import step_for
from tracestore.store import Store


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return record_demo(tmp_path_factory.mktemp("demo"))


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("error_rate < 0.02", 0.02),
        ("error_rate<2%", 0.02),
        ("p95 <= 1.5s", 1500),
        ("latency_max < 2m", 120_000),
        ("p99.9 < 20", 20),
        ("cost <= $0.5", 0.5),
        ("share(tags.cache = 'a < b') >= 50 %", 0.5),
        ("count(duration > 2s) == 0", 0),
        ("mean(feedback.score) > -1e1", -10),
    ],
)
def test_conditions_are_read_in_the_unit_of_their_figure(text: str, bound: float) -> None:
    assert parse(text).bound == pytest.approx(bound)


@pytest.mark.parametrize(
    "text", ["p95", "p95 < fast", "error_rate < 3s", "count < 5%", "p94x < 1", "p95 < 3 parsecs",
             "counts(feedback.x) > 1", "count > 1 AND p95 < 2", "share(tags.x =) > 1", "< 3", ""]
)  # fmt: skip
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises((InvalidArgumentError, FilterSyntaxError)):
        parse(text)


def test_each_group_must_meet_a_condition_and_no_data_breaks_none() -> None:
    traces = [
        a_trace(n, status="ERROR" if n == 3 else "OK", tags={"v": str(n % 2)}) for n in range(4)
    ]
    conditions = [parse("error_rate < 25%"), parse("mean(feedback.x) > 3")]
    labels = [condition.quantity.label for condition in conditions]
    found = outcomes(conditions, measured(traces, *labels, group_by="tags.v"))
    assert [each.holds for each in found] == [True, False, True, True]
    assert str(found[1]) == "error_rate < 25%: 50 % (tags.v 1)"
    assert "no data" in str(found[2])


def test_check_says_by_its_exit_code_whether_conditions_are_met(demo: str) -> None:
    good = run("check", "error_rate < 50%", "count > 0", "--last", "1h", "--db", demo)
    assert (good.code, good.err) == (0, "")
    assert "✓ count > 0: 6" in good.out
    bad = run("check", "p95 < 1us", "--filter", "status = 'OK'", "--by", "name", "--db", demo)
    assert bad.code == 1
    assert "✗ p95 < 1us" in bad.out
    unread = run("check", "p95 below 1", "--db", demo)
    assert unread.code == 2
    assert "write a metric" in unread.err
    assert run("check", "--last", "1h", "--db", demo).code == 2
    assert run("check", "count > 0", "--last", "soon", "--db", demo).code == 2
    assert run("check", "--db", demo).out.strip() == "nothing is wrong"


def test_check_writes_its_outcomes_as_json(demo: str) -> None:
    said = run_json("check", "error_rate < 50%", "--db", demo)
    assert said["ok"] is True
    assert said["conditions"][0]["value"] == pytest.approx(1 / 6)


def test_questions_are_answered_on_the_command_line(demo: str) -> None:
    table = run("metrics", "count", "p95", "--by", "name", "--every", "1d", "--db", demo).out
    assert table.split()[:4] == ["time", "name", "count", "p95"]
    csv = run("metrics", "count", "--by", "span.type", "--csv", "--db", demo).out
    assert csv.splitlines()[0] == "span.type,count"
    rows = run_json("metrics", "count", "--filter", "status = 'OK'", "--db", demo)["rows"]
    assert rows == [{"count": 5}]
    compared = run("compare", "status", "p95", "--baseline", "OK", "--db", demo)
    assert "too few to tell" in compared.out
    found = run("correlate", "status = 'ERROR'", "--db", demo)
    assert "1 traces match, 5 do not" in found.out
    assert run("metrics", "nonsense", "--db", demo).code == 2


def test_stats_are_a_page_of_sections_in_the_terminal_and_in_html(
    demo: str, tmp_path: Path
) -> None:
    out = run("stats", "--db", demo).out
    for title in ("All traces", "Over time", "Users", "Sessions", "Tokens by model",
                  "Slowest spans", "Failing spans"):  # fmt: skip
        assert title in out
    failing = out.partition("Failing spans")[2]
    assert "calculate" in failing
    assert "build_prompt" not in failing
    page = tmp_path / "stats.html"
    assert run("stats", "--html", str(page), "--last", "1h", "--db", demo).code == 0
    html = page.read_text("utf-8")
    assert html.count("<table") >= 6
    assert "Figures of the last 1h; times are UTC." in html
    assert "cost up to" not in html  # nothing of the demo has a cost, and no chart invents one
    assert "<script" not in html
    sections: dict[str, Any] = run_json("stats", "--filter", "status = 'ERROR'", "--db", demo)[
        "sections"
    ]
    assert sections["All traces"][0]["count"] == 1
    assert json.dumps(sections)
    nothing = run("stats", "--filter", "name = 'none'", "--db", demo)
    assert nothing.code == 0
    assert "All traces" not in nothing.out


def test_figures_of_a_large_file_are_of_its_newest_traces(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with Store(path) as store:
        store.count_traces()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        filter_store.insert(connection, [a_trace(n, after_ms=n * 1_000) for n in range(5)])
    with Store(path) as store:
        assert newest_start_ms(store, 5) is None
        assert store.metrics("count", start=newest_start_ms(store, 2))["count"] == [2]


def test_steps_make_about_thirty_buckets() -> None:
    assert [step_for((0, hours * 3_600_000)) for hours in (0, 1, 24, 24 * 30, 24 * 365, 24 * 36500)] == [
        "1m", "5m", "1h", "1d", "4w", "1216d",
    ]  # fmt: skip
