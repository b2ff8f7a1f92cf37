"""The traces of a cell are shown by themselves once that is asked for: in IPython's own shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import tracestore
from tracestore.store import Store


@pytest.fixture
def shell(recording: Store) -> Iterator[InteractiveShell]:
    made: Any = InteractiveShell.instance()
    made.user_ns["mlflow"] = tracestore
    assert recording.path
    tracestore.tracing.enable_notebook_display()
    yield made
    tracestore.tracing.disable_notebook_display()
    InteractiveShell.clear_instance()


def shown_by(shell: Any, cell: str) -> list[Any]:
    with capture_output() as captured:
        shell.run_cell(cell)
    return [each.data for each in captured.outputs if "Trace" not in each.data or each.data]


_ONE = "with mlflow.start_span('alone'):\n    pass\n"


def test_a_cell_shows_the_trace_that_it_made_once(shell: InteractiveShell) -> None:
    (shown,) = shown_by(shell, _ONE)

    assert "alone" in shown["text/html"]
    assert "alone" in shown["text/plain"]
    assert shown_by(shell, "1 + 1") == []


def test_many_traces_are_a_table_of_the_last_ten(shell: InteractiveShell) -> None:
    cell = "for i in range(12):\n    with mlflow.start_span(f'call {i}'):\n        pass\n"
    (shown,) = shown_by(shell, cell)

    assert shown["text/html"].count("<tr") == 11  # and the header
    assert "call 11" in shown["text/html"]
    assert "call 1<" not in shown["text/html"]


def test_a_trace_that_is_the_cells_value_is_not_shown_again(shell: InteractiveShell) -> None:
    last = "mlflow.get_trace(mlflow.get_last_active_trace_id())"

    assert len(shown_by(shell, f"{_ONE}shown = {last}")) == 1
    assert [each for each in shown_by(shell, _ONE + last) if "text/html" in each] == []


def test_a_failing_cell_shows_its_trace(shell: InteractiveShell) -> None:
    (shown,) = shown_by(shell, "with mlflow.start_span('failing'):\n    raise ValueError('out')")

    assert "ValueError" in shown["text/html"]


def test_it_is_off_by_default_and_can_be_switched_off(shell: InteractiveShell) -> None:
    tracestore.tracing.disable_notebook_display()
    assert shown_by(shell, _ONE) == []
    tracestore.tracing.enable_notebook_display()
    tracestore.tracing.reset()
    assert shown_by(shell, _ONE) == []


def test_what_goes_wrong_is_counted(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(Store, "get_trace", fail)

    assert shown_by(shell, _ONE) == []
    assert tracestore.stats()["failures"] == {"the display of a notebook's traces": 1}
