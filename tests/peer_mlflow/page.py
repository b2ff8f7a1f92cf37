"""Support: what MLflow and tracestore answer to each filter, in `answers.json`, and how to ask either.

One line a filter: the numbers of the traces that both find (`"0-3 7"`); null where MLflow refuses the filter;
where the two differ on purpose, `[MLflow's answer, tracestore's, id of the difference]`, null for a refusal.
"""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

from tests.peer_mlflow.differences import difference_of
from tests.peer_mlflow.filters import filters

PAGE = pathlib.Path(__file__).parent / "answers.json"

#: The numbers of the traces found, or None for a filter that is refused.
Answer = str | None


def ask(library: Any, ids: list[str]) -> dict[str, Answer]:
    """Ask a library, MLflow or tracestore, every filter about the traces with these ids."""
    client = library.MlflowClient()
    numbers = {trace_id: number for number, trace_id in enumerate(ids)}
    return {source: _ask(library, client, source, numbers) for source in filters()}


def _ask(library: Any, client: Any, source: str, numbers: dict[str, int]) -> Answer:
    ids = list(numbers)
    text = re.sub(r"\{(\d+)\}", lambda match: ids[int(match[1])], source)
    try:
        found = client.search_traces(
            locations=["0"], filter_string=text, max_results=1000, include_spans=False
        )
    except library.MlflowException:
        return None
    return ranges(sorted(numbers[trace.info.trace_id] for trace in found))


def ranges(numbers: list[int]) -> str:
    """Return ascending numbers as text: "0-3 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def unexplained(mlflow: dict[str, Answer], ours: dict[str, Answer]) -> list[str]:
    """Return what differs and is not in the list of differences, as text for a person."""
    return [
        f"{source}\n  MLflow: {answer!r}\n  tracestore: {ours[source]!r}"
        for source, answer in mlflow.items()
        if answer not in {None, ours[source]} and difference_of(source) is None
    ]


def page_of(mlflow: dict[str, Answer], ours: dict[str, Answer]) -> dict[str, Any]:
    """Return the page for two sets of answers; what differs without a reason has MLflow's answer."""
    return {source: _entry(source, answer, ours[source]) for source, answer in mlflow.items()}


def _entry(source: str, mlflow: Answer, ours: Answer) -> Any:
    difference = difference_of(source)
    if mlflow is None or mlflow == ours or difference is None:
        return mlflow
    return [mlflow, ours, difference.id]


def our_answers(page: dict[str, Any]) -> dict[str, Answer]:
    """Return what tracestore must answer, to the filters that MLflow takes."""
    return {
        source: entry[1] if isinstance(entry, list) else entry
        for source, entry in page.items()
        if entry is not None
    }


def differences_in(page: dict[str, Any]) -> set[str]:
    """Return the ids of the differences that occur."""
    return {entry[2] for entry in page.values() if isinstance(entry, list)}


def read_page() -> dict[str, Any]:
    """Return the page: an entry by filter."""
    page: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))
    return page


def write_page(page: dict[str, Any]) -> None:
    """Write the page, one entry a line."""
    lines = (
        f"{json.dumps(source, ensure_ascii=False)}: {json.dumps(entry)}"
        for source, entry in page.items()
    )
    PAGE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
