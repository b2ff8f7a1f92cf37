"""Assessments as rows: written one at a time, read by trace.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from tracestore.encoding import encode
from tracestore.entities import AssessmentError, AssessmentSource, Expectation, Feedback
from tracestore.storage.record_rows import key_of
from tracestore.storage.schema import SCALAR_LENGTH


def insert_assessment(
    connection: sqlite3.Connection, assessment: Feedback | Expectation, value: str | None
) -> bool:
    """Store an assessment that has its id, trace and times; False where there is no such trace.

    `value` is the encoded value, None where a feedback has an error only.
    """
    key = key_of(connection, assessment.trace_id or "")
    if key is None:
        return False
    error = getattr(assessment, "error", None)
    connection.execute(
        "INSERT INTO assessments (assessment_id, trace, span_id, name, kind, value, scalar,"
        " source_type, source_id, rationale, metadata, error, create_time_ms, last_update_time_ms,"
        " overrides, valid) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            assessment.assessment_id,
            key,
            assessment.span_id,
            assessment.name,
            "feedback" if isinstance(assessment, Feedback) else "expectation",
            value,
            None if value is None else _scalar(msgspec.json.decode(value)),
            assessment.source.source_type,
            assessment.source.source_id,
            assessment.rationale,
            _json_or_none(assessment.metadata),
            _json_or_none(error),
            assessment.create_time_ms,
            assessment.last_update_time_ms,
            assessment.overrides,
            int(assessment.valid is not False),
        ),
    )
    connection.execute(
        "UPDATE assessments SET valid = 0 WHERE trace = ? AND assessment_id = ?",
        (key, assessment.overrides),
    )
    return True


def _scalar(value: Any) -> str | int | float | None:
    """Return the searchable twin of an assessment's value, None for objects, lists and null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:SCALAR_LENGTH].replace("\0", "␀")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value if isinstance(value, (int, float)) else None


def _json_or_none(value: object) -> str | None:
    return None if value is None else encode(value)


_ASSESSMENTS = """
    SELECT a.trace, a.assessment_id, a.span_id, a.name, a.kind, a.value, a.source_type, a.source_id,
           a.rationale, a.metadata, a.error, a.create_time_ms, a.last_update_time_ms, a.overrides, a.valid
    FROM json_each(?) AS wanted CROSS JOIN assessments AS a ON a.trace = wanted.value
    ORDER BY a.id"""


def assessments_by_trace(
    connection: sqlite3.Connection, wanted: tuple[str]
) -> dict[int, list[Sequence[Any]]]:
    """Return the rows of each trace by its key, the oldest first; `wanted` binds a JSON array of keys."""
    found: dict[int, list[Sequence[Any]]] = {}
    for row in connection.execute(_ASSESSMENTS, wanted):
        found.setdefault(row[0], []).append(row)
    return found


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
