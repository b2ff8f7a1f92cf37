"""What always holds between the rows of a store, each as a query for the rows that break it.

Pure SQL. A query returns one column, the place of each row that breaks the rule.
"""

from __future__ import annotations

from typing import NamedTuple

from tracestore.storage.schema import (
    PAYLOAD_MARK,
    RESOURCE_KEYS,
    SESSION_KEY,
    SHARED_COLUMNS,
    USER_KEY,
)
from tracestore.upkeep.findings import ERROR, LEFTOVER


class Invariant(NamedTuple):
    """A rule: what is wrong where it is broken, how bad that is, and the rows that break it."""

    message: str
    severity: str
    sql: str


def _texts(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_STRAY = "SELECT '{table} of trace key ' || trace FROM {table} WHERE trace NOT IN (SELECT id FROM traces)"

#: Where a span's large text is made of something that is not in the table.
_REFERENCES = f"""
    SELECT 'spans ' || s.id FROM spans AS s, json_each(
        CASE WHEN json_valid(substr(s.{{column}}, 2)) THEN substr(s.{{column}}, 2) ELSE '[]' END) AS p
    WHERE substr(s.{{column}}, 1, 1) = '{PAYLOAD_MARK}' AND p.type = 'integer'
        AND NOT EXISTS (SELECT 1 FROM {{table}} AS x WHERE {{key}})"""

_STATES = ("IN_PROGRESS", "OK", "ERROR", "STATE_UNSPECIFIED")

INVARIANTS = (
    *(
        Invariant(f"{table} of no trace", severity, _STRAY.format(table=table))
        for table, severity in (
            ("spans", ERROR),
            ("assessments", ERROR),
            ("tags", ERROR),
            ("metadata", ERROR),
            # Of a span that was written while it was open, and with other attributes when it ended.
            ("span_attributes", LEFTOVER),
            ("payload_traces", LEFTOVER),
        )
    ),
    Invariant(
        "a trace of an experiment that is not there",
        ERROR,
        "SELECT trace_id FROM traces WHERE experiment NOT IN (SELECT id FROM experiments)",
    ),
    Invariant(
        "a trace of a resource that is not there",
        ERROR,
        "SELECT trace_id FROM traces WHERE resource NOT IN (SELECT id FROM resources)",
    ),
    Invariant(
        "tags of an experiment that is not there",
        LEFTOVER,
        """SELECT 'experiment ' || experiment FROM experiment_tags
           WHERE experiment NOT IN (SELECT id FROM experiments)""",
    ),
    Invariant(
        "resources of no trace",
        LEFTOVER,
        "SELECT 'resource ' || id FROM resources WHERE id NOT IN (SELECT resource FROM traces)",
    ),
    *(
        Invariant(
            f"spans.{column} that refer to a payload that is not there",
            ERROR,
            _REFERENCES.format(column=column, table="payloads", key="x.id = p.value"),
        )
        for column in SHARED_COLUMNS
    ),
    *(
        Invariant(
            f"spans.{column} that refer to a payload that does not know their trace",
            ERROR,
            _REFERENCES.format(
                column=column,
                table="payload_traces",
                key="(x.payload, x.trace) = (p.value, s.trace)",
            ),
        )
        for column in SHARED_COLUMNS
    ),
    Invariant(
        "payloads of no trace",
        LEFTOVER,
        "SELECT 'payload ' || id FROM payloads WHERE id NOT IN (SELECT payload FROM payload_traces)",
    ),
    Invariant(
        "a session or user that is a tag, and not in metadata too",
        ERROR,
        f"""SELECT 'tags of trace key ' || g.trace FROM tags AS g
            WHERE g.key IN ({_texts((SESSION_KEY, USER_KEY))}) AND NOT EXISTS (
                SELECT 1 FROM metadata AS m WHERE m.trace = g.trace AND m.key = g.key)""",
    ),
    Invariant(
        "metadata that belongs into resources",
        ERROR,
        f"""SELECT 'metadata of trace key ' || trace FROM metadata
            WHERE key IN ({_texts(tuple(sorted(RESOURCE_KEYS)))})""",
    ),
    Invariant(
        "a trace with a status that there is not",
        ERROR,
        f"SELECT trace_id FROM traces WHERE status NOT IN ({_texts(_STATES)})",
    ),
    Invariant(
        "a trace in progress that has a duration, or one that has ended without",
        ERROR,
        """SELECT trace_id FROM traces WHERE status IN ('IN_PROGRESS', 'OK', 'ERROR')
           AND (status = 'IN_PROGRESS') != (duration_ms IS NULL)""",
    ),
    Invariant(
        "a trace that ends before it starts",
        ERROR,
        "SELECT trace_id FROM traces WHERE duration_ms < 0",
    ),
    Invariant(
        "an assessment of a kind that there is not",
        ERROR,
        "SELECT assessment_id FROM assessments WHERE kind NOT IN ('feedback', 'expectation')",
    ),
    Invariant(
        "an assessment whose validity is neither 0 nor 1",
        ERROR,
        "SELECT assessment_id FROM assessments WHERE valid NOT IN (0, 1)",
    ),
    Invariant(
        "an experiment in a stage that there is not",
        ERROR,
        "SELECT 'experiment ' || id FROM experiments WHERE lifecycle_stage NOT IN ('active', 'deleted')",
    ),
    Invariant(
        "no experiment 0",
        ERROR,
        "SELECT 'experiments' WHERE NOT EXISTS (SELECT 1 FROM experiments WHERE id = 0)",
    ),
    Invariant(
        "a progress of the text index that is not one number",
        ERROR,
        """SELECT 'text_progress' WHERE (SELECT count(*) FROM text_progress) != 1
           OR (SELECT indexed_to FROM text_progress) NOT BETWEEN 0
               AND (SELECT ifnull(max(id), 0) + 8 FROM spans)""",
    ),
)

#: Columns that hold JSON, besides those of spans.
JSON_COLUMNS = (
    ("resources", "id", "metadata"),
    ("assessments", "id", "value"),
    ("assessments", "id", "metadata"),
    ("assessments", "id", "error"),
    ("state", "name", "value"),
)
