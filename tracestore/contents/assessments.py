"""Assessments of traces: logged, found, changed, overridden and deleted. What may be said is `tracestore.assessments`'."""

from __future__ import annotations

import sqlite3
from typing import Any

from tracestore import ids
from tracestore.assessments import A, changed, checked, encoded_value, prepared
from tracestore.contents.recordings import Recording
from tracestore.entities import Expectation, Feedback
from tracestore.errors import NotFoundError
from tracestore.storage import assessment_rows, record_rows
from tracestore.storage.file import File


def log(file: File, running: Recording | None, trace_id: str | None, assessment: A) -> A:
    """Store an assessment of a trace, which may be running; return the copy that has its id and trace."""
    if trace_id is None or trace_id == ids.NO_OP_TRACE_ID:
        return checked(assessment)
    stored = prepared(assessment, trace_id)
    value = encoded_value(stored)
    if running is not None:
        running.announce_open()

    def insert(connection: sqlite3.Connection) -> bool:
        if stored.overrides is not None:
            _stored(file, connection, trace_id, stored.overrides)
        return assessment_rows.insert_assessment(connection, stored, value)

    if not file.write(insert):
        raise NotFoundError(f"trace {trace_id!r} is not in {file.path}")
    assessment.trace_id, assessment.assessment_id = trace_id, stored.assessment_id
    return stored


def get(file: File, trace_id: str, assessment_id: str) -> Feedback | Expectation:
    """Return one assessment, also one that is overridden."""
    with file.reading() as connection:
        return _stored(file, connection, trace_id, assessment_id)


def update(file: File, trace_id: str, assessment_id: str, assessment: A) -> A:
    """Change an assessment in place; return it as it is stored now."""
    value = encoded_value(checked(assessment))

    def change(connection: sqlite3.Connection) -> Any:
        stored = _stored(file, connection, trace_id, assessment_id)
        new = changed(stored, assessment)
        assessment_rows.update_assessment(connection, new, value)
        return new

    return file.write(change)  # type: ignore[no-any-return]  # of the type of `assessment`


def delete(file: File, trace_id: str, assessment_id: str) -> None:
    """Delete an assessment, where there is one."""
    file.write(
        lambda connection: assessment_rows.delete_assessment(connection, trace_id, assessment_id)
    )


def _stored(
    file: File, connection: sqlite3.Connection, trace_id: str, assessment_id: str
) -> Feedback | Expectation:
    found = assessment_rows.find_assessment(connection, trace_id, assessment_id)
    if found is None:
        known = record_rows.key_of(connection, trace_id) is not None
        missing = f"assessment {assessment_id!r} of trace {trace_id!r}"
        raise NotFoundError(f"{missing if known else f'trace {trace_id!r}'} is not in {file.path}")
    return found
