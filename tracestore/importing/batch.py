"""What an importer yields, and how it is written: batches of rows, each in one transaction.

Knows the store's rows, no foreign format. Invariant: writing a batch twice changes nothing the second time.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from tracestore.entities import Expectation, Experiment, Feedback
from tracestore.storage import assessment_rows, experiment_rows, record_rows


class Batch(NamedTuple):
    """A part of a file, ready to be written.

    Attributes:
        seen: How many of the file's traces this part had.
        present: How many of them are left as they are in the store.
        traces: New ones, or ones that were still running when they were imported before.
        spans: Of any traces that are in the store or in this batch.
        assessments: Each with its value as JSON text, None where it has none.
        experiments: Those that the traces name; made where there is none of that name.
        skipped: What was left out: how often, by reason.
        rewritten: How many of `traces` an earlier part had already: they are spread over the file.
    """

    seen: int
    present: int
    traces: Sequence[record_rows.TraceRecord]
    spans: Sequence[record_rows.SpanRecord]
    assessments: Sequence[tuple[Feedback | Expectation, str | None]] = ()
    experiments: Sequence[Experiment] = ()
    skipped: Mapping[str, int] = {}
    rewritten: int = 0


class Written(NamedTuple):
    """How much of a batch was written."""

    spans: int
    assessments: int


class Imported(NamedTuple):
    """What an import has done so far.

    Attributes:
        format: The file's format.
        path: The file.
        seen: Traces of the file that were looked at.
        traces: Traces that were written.
        spans: Spans that were written.
        assessments: Assessments that were written.
        present: Traces that were in the store already and were left as they are.
        skipped: What was left out: how often, by reason.
    """

    format: str
    path: str
    seen: int = 0
    traces: int = 0
    spans: int = 0
    assessments: int = 0
    present: int = 0
    skipped: Mapping[str, int] = {}

    def plus(self, batch: Batch, written: Written) -> Imported:
        """Return the sum of this and one batch."""
        return self._replace(
            seen=self.seen + batch.seen,
            traces=self.traces + len(batch.traces) - batch.rewritten,
            spans=self.spans + written.spans,
            assessments=self.assessments + written.assessments,
            present=self.present + batch.present,
            skipped=dict(Counter(self.skipped) + Counter(batch.skipped)),
        )


class Progress(NamedTuple):
    """How far an import has come: `imported.seen` of `total` traces, None where that is not known."""

    imported: Imported
    total: int | None


class Source(Protocol):
    """An open file of another program.

    Attributes:
        total: How many traces it has, None where that is not known before it is read.
    """

    total: int | None

    def batches(self, known: Callable[[Sequence[str]], set[str]]) -> Iterator[Batch]:
        """Yield the file in parts; `known` returns those of some trace ids that are in the store, whole."""

    def close(self) -> None:
        """Close what is open."""


def write_batch(connection: sqlite3.Connection, batch: Batch) -> Written:
    """Write one batch within the transaction of `connection`."""
    for experiment in batch.experiments:
        _add_experiment(connection, experiment)
    spans = record_rows.write_records(connection, batch.traces, batch.spans)
    assessments = sum(
        _add_assessment(connection, assessment, value) for assessment, value in batch.assessments
    )
    return Written(spans, assessments)


def _add_experiment(connection: sqlite3.Connection, experiment: Experiment) -> None:
    if experiment_rows.find_experiments(connection, "name = ?", (experiment.name,)):
        return
    key = experiment_rows.insert_experiment(
        connection,
        experiment.name,
        experiment.artifact_location,
        experiment.creation_time or 0,
        experiment.tags,
    )
    connection.execute(
        "UPDATE experiments SET lifecycle_stage = ?, last_update_time_ms = ? WHERE id = ?",
        (experiment.lifecycle_stage, experiment.last_update_time or 0, key),
    )


def _add_assessment(
    connection: sqlite3.Connection, assessment: Feedback | Expectation, value: str | None
) -> bool:
    sql = "SELECT 1 FROM assessments WHERE assessment_id = ?"
    if connection.execute(sql, (assessment.assessment_id,)).fetchone():
        return False
    return assessment_rows.insert_assessment(connection, assessment, value)
