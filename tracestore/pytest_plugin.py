"""The pytest plugin: a fixture that records a test's traces into a file of its own.

    def test_answer(tracestore):
        answer("Where does SQLite keep a database?")
        tracestore.assert_trace(name="answer", max_duration="2s", no_errors=True)

Loaded by pytest through its entry point; imports nothing heavy until a test asks for the fixture. With
`--tracestore-save FILE` the traces of all tests that passed go into one file, which `--tracestore-baseline FILE`
of a later run compares with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tracestore.testing import Recorded

_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("tracestore")
    group.addoption(
        "--tracestore-save", metavar="FILE", help="add the traces of tests that pass to FILE"
    )
    group.addoption(
        "--tracestore-baseline", metavar="FILE", help="what assert_no_worse compares with"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note whether a test passed."""
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed  # type: ignore[attr-defined]  # a TestReport
    return report


@pytest.fixture(name="tracestore")
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorded]:
    """Record the test's traces into a file of its own; what was active before is active again after it."""
    from tracestore.runtime import runtime  # noqa: PLC0415 - only where a test asks for it
    from tracestore.testing import Recorded  # noqa: PLC0415

    path = str(tmp_path / "traces.db")
    with runtime.elsewhere(path) as store:
        yield Recorded(
            store, request.node.nodeid, request.config.getoption("--tracestore-baseline")
        )
    target = request.config.getoption("--tracestore-save")
    if target is not None and request.node.stash.get(_PASSED, False):
        _save(path, target, request.node.nodeid)


def _save(path: str, target: str, test: str) -> None:
    """Add a test's traces to a file, in place of what the test left there before."""
    from tracestore.store import Store  # noqa: PLC0415 - only where it is asked for
    from tracestore.testing import TEST_TAG  # noqa: PLC0415

    quoted = test.replace("'", "''")
    with Store(path) as store, Store(target) as saved:
        for trace in store.search_traces(max_results=None, include_spans=False):
            store.set_trace_tag(trace.trace_id, TEST_TAG, test)
        before = saved.search_traces(
            f"tags.`{TEST_TAG}` = '{quoted}'", max_results=None, include_spans=False
        )
        for experiment in {trace.info.experiment_id for trace in before}:
            ids = [trace.trace_id for trace in before if trace.info.experiment_id == experiment]
            saved.delete_traces(experiment, trace_ids=ids)
        store.flush()
        saved.merge(path)
