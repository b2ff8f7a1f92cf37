"""Assessments as rows: written one at a time, read by trace, changed in place, deleted.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began. Invariant:
an assessment is valid exactly while no other one of its trace overrides it. Whoever says it, secrets in it are replaced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from tracestore.encoding import bindable, encode_text
from tracestore.entities import AssessmentError, AssessmentSource, Expectation, Feedback
from tracestore.redaction import policy
from tracestore.storage.record_rows import key_of
from tracestore.storage.schema import SCALAR_LENGTH

_INSERT = """
    INSERT INTO assessments (assessment_id, trace, span_id, name, kind, value, scalar,
           source_type, source_id, rationale, metadata, error, create_time_ms, last_update_time_ms,
           overrides, valid)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


_INVALIDATE = "UPDATE assessments SET valid = 0 WHERE trace = ? AND assessment_id = ?"


def insert_assessment(
    connection: sqlite3.Connection, assessment: Feedback | Expectation, value: str | None
) -> bool:
    """Store an assessment that has its id, trace and times; what it overrides is no longer valid.

    `value` is the encoded value, None where a feedback has an error only. False where there is no such trace.
    """
    key = key_of(connection, assessment.trace_id or "")
    if key is None:
        return False
    value = policy.clean_json(value)
    connection.execute(
        _INSERT,
        (
            assessment.assessment_id,
            key,
            assessment.span_id,
            assessment.name,
            assessment.kind,
            value,
            _scalar_of(value),
            assessment.source.source_type,
            assessment.source.source_id,
            policy.clean_text(assessment.rationale),
            _json_or_none(assessment.metadata),
            _json_or_none(assessment.error),
            assessment.create_time_ms,
            assessment.last_update_time_ms,
            assessment.overrides,
            int(assessment.valid is not False),
        ),
    )
    connection.execute(_INVALIDATE, (key, assessment.overrides))
    return True


_UPDATE = """
    UPDATE assessments
    SET name = ?, value = ?, scalar = ?, rationale = ?, metadata = ?, error = ?, last_update_time_ms = ?
    WHERE assessment_id = ?"""


def update_assessment(
    connection: sqlite3.Connection, assessment: Feedback | Expectation, value: str | None
) -> None:
    """Write what may change of a stored assessment; `value` as in `insert_assessment`."""
    value = policy.clean_json(value)
    connection.execute(
        _UPDATE,
        (
            assessment.name,
            value,
            _scalar_of(value),
            policy.clean_text(assessment.rationale),
            _json_or_none(assessment.metadata),
            _json_or_none(assessment.error),
            assessment.last_update_time_ms,
            assessment.assessment_id,
        ),
    )


#: Those that override the deleted one override what it overrode: the chain closes over the gap.
_CLOSE_GAP = "UPDATE assessments SET overrides = ? WHERE trace = ? AND overrides = ?"

_REVIVE = """
    UPDATE assessments SET valid = 1
    WHERE trace = :trace AND assessment_id = :overridden
      AND NOT EXISTS (SELECT 1 FROM assessments WHERE trace = :trace AND overrides = :overridden)"""


def delete_assessment(connection: sqlite3.Connection, trace_id: str, assessment_id: str) -> bool:
    """Delete one assessment; what only it overrode is valid again. False where there is none."""
    sql = """
        SELECT a.trace, a.overrides FROM traces AS t JOIN assessments AS a ON a.trace = t.id
        WHERE t.trace_id = ? AND a.assessment_id = ?"""
    row = connection.execute(sql, (trace_id, assessment_id)).fetchone()
    if row is None:
        return False
    trace, overridden = row
    connection.execute("DELETE FROM assessments WHERE assessment_id = ?", (assessment_id,))
    connection.execute(_CLOSE_GAP, (overridden, trace, assessment_id))
    connection.execute(_REVIVE, {"trace": trace, "overridden": overridden})
    return True


def _scalar_of(value: str | None) -> str | int | float | None:
    """Return the searchable twin of an encoded value, None for objects, lists and null."""
    if value is None:
        return None
    scalar = msgspec.json.decode(value)
    if isinstance(scalar, bool):
        return "true" if scalar else "false"
    if isinstance(scalar, str):
        return scalar[:SCALAR_LENGTH].replace("\0", "␀")
    return bindable(scalar) if isinstance(scalar, (int, float)) else None


def _json_or_none(value: object) -> str | None:
    return None if value is None else policy.clean_json(encode_text(value))


_COLUMNS = """
    a.trace, a.assessment_id, a.span_id, a.name, a.kind, a.value, a.source_type, a.source_id,
    a.rationale, a.metadata, a.error, a.create_time_ms, a.last_update_time_ms, a.overrides, a.valid"""

_OF_TRACES = f"""
    SELECT {_COLUMNS}
    FROM json_each(?) AS wanted CROSS JOIN assessments AS a ON a.trace = wanted.value
    ORDER BY a.id"""

_ONE = f"""
    SELECT {_COLUMNS}
    FROM traces AS t JOIN assessments AS a ON a.trace = t.id
    WHERE t.trace_id = ? AND a.assessment_id = ?"""


def assessments_by_trace(
    connection: sqlite3.Connection, wanted: tuple[str]
) -> dict[int, list[Sequence[Any]]]:
    """Return the rows of each trace by its key, the oldest first; `wanted` binds a JSON array of keys."""
    found: dict[int, list[Sequence[Any]]] = {}
    for row in connection.execute(_OF_TRACES, wanted):
        found.setdefault(row[0], []).append(row)
    return found


def find_assessment(
    connection: sqlite3.Connection, trace_id: str, assessment_id: str
) -> Feedback | Expectation | None:
    """Return one assessment of a trace, None where there is none."""
    row = connection.execute(_ONE, (trace_id, assessment_id)).fetchone()
    return None if row is None else assessment_of(row, trace_id)


def assessment_of(row: Sequence[Any], trace_id: str) -> Feedback | Expectation:
    """Return the assessment of one row of `assessments_by_trace`."""
    common: dict[str, Any] = {
        "trace_id": trace_id,
        "assessment_id": row[1],
        "span_id": row[2],
        "name": row[3],
        "value": None if row[5] is None else msgspec.json.decode(row[5]),
        "source": AssessmentSource(row[6], row[7]),
        "rationale": row[8],
        "metadata": None if row[9] is None else msgspec.json.decode(row[9]),
        "create_time_ms": row[11],
        "last_update_time_ms": row[12],
        "overrides": row[13],
        "valid": bool(row[14]),
    }
    if row[4] == "expectation":
        return Expectation(**common)
    error = None if row[10] is None else msgspec.json.decode(row[10], type=AssessmentError)
    return Feedback(error=error, **common)
