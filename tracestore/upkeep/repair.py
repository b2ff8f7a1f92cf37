"""What a damaged file still holds, into a new one.

Every page is looked at, whether or not a tree still leads to it. What a table lost is taken from its indexes where
they have it: tags and metadata whole, of a trace all that is searched by. Invariant: the damaged file is only read;
the new one is sound, and what is in it stood in the old one, spans with their checksums.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore import ids
from tracestore.errors import ForeignFileError, StoreError
from tracestore.storage import payloads, record_rows, schema, trace_rows
from tracestore.storage.connection import open_for_writing, transaction
from tracestore.summary.preview import request_preview, response_preview
from tracestore.upkeep.copies import index_all
from tracestore.upkeep.new_file import new_file
from tracestore.upkeep.progress import Progress
from tracestore.upkeep.spans_check import changed_spans
from tracestore.upkeep.sqlite_pages import Pages, open_pages
from tracestore.upkeep.sqlite_rows import Trees
from tracestore.upkeep.transfer import ASSESSMENT_JSON, SPAN_JSON, is_json

#: Rows written in one transaction.
_BATCH_ROWS = 1_000

#: Tables in the order they are saved: what others refer to first.
_TABLES = (
    "experiments",
    "experiment_tags",
    "resources",
    "state",
    "traces",
    "tags",
    "metadata",
    "payloads",
    "spans",
    "assessments",
)

#: Indexes that hold all of a row: the table, and its columns in the order of the index, its rowid last.
_WHOLE_INDEXES = (
    ("tags_value", "tags", ("key", "value", "trace")),
    ("metadata_value", "metadata", ("key", "value", "trace")),
    ("sqlite_autoindex_resources_1", "resources", ("metadata", "id")),
)

#: Indexes of traces: the column each one holds, before the trace's key.
_TRACE_INDEXES = {
    "traces_experiment": "experiment",
    "traces_resource": "resource",
    "traces_name": "name",
    "traces_status": "status",
    "traces_duration": "duration_ms",
    "traces_client_request_id": "client_request_id",
}

#: Indexes that tell which rows a table had: an entry ends in the row's key.
_COUNTING_INDEXES = {
    "spans_trace": "spans",
    "sqlite_autoindex_assessments_1": "assessments",
    "sqlite_autoindex_payloads_1": "payloads",
}

_JSON: dict[str, dict[str, Any]] = {
    "spans": SPAN_JSON,
    "assessments": ASSESSMENT_JSON,
    "resources": {"metadata": dict[str, str]},
    "state": {"value": Any},
    "payloads": {"text": Any},
}

_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "TEXT": (str,),
    "REAL": (int, float),
    "ANY": (int, float, str),
    "BLOB": (bytes,),
}


class _Column(NamedTuple):
    name: str
    kind: str
    not_null: bool
    is_rowid: bool


class Repaired(msgspec.Struct, frozen=True):
    """What could be saved, and what was lost.

    Attributes:
        path: The new file.
        traces: Traces in it.
        spans: Spans in it.
        assessments: Assessments in it.
        restored_traces: Traces of these whose own row was lost: made from indexes and spans, without tokens and cost.
        lost: Rows that the damaged file must have had and that could not be read, by table; at least so many.
        lost_values: Payloads and the like that could not be read, in rows that could.
        damaged_pages: Pages that nothing, or not everything, could be read from.
        changed_spans: Spans of these that don't match their checksum, as "trace … span …": something in them, or the
            checksum, is not what was recorded. They keep it, so `check` of the new file names them too.
    """

    path: str
    traces: int
    spans: int
    assessments: int
    restored_traces: int
    lost: dict[str, int]
    lost_values: int
    damaged_pages: int
    changed_spans: list[str]


def repair(
    path: str | os.PathLike[str], new_path: str | os.PathLike[str], progress: Progress
) -> Repaired:
    """Save what the file at `path` holds into a new one; see `tracestore.repair`."""
    source = os.path.abspath(os.fspath(path))  # noqa: PTH100 - no links followed
    with new_file(new_path) as partial:
        try:
            with (
                open_pages(source) as pages,
                contextlib.closing(open_for_writing(partial)) as target,
            ):
                repaired = _Rescue(source, pages, target, progress).run()
        except (OSError, ValueError) as error:  # ValueError: an empty file can't be mapped
            raise StoreError(f"{source} can't be read: {error}") from error
    found = os.path.abspath(os.fspath(new_path))  # noqa: PTH100 - no links followed
    return msgspec.structs.replace(repaired, path=found)


class _Rescue:
    """One damaged file on its way into a new one."""

    def __init__(
        self, path: str, pages: Pages, target: sqlite3.Connection, progress: Progress
    ) -> None:
        application = pages.application_id()
        if application not in (None, schema.APPLICATION_ID):
            raise ForeignFileError(f"{path} is a SQLite file of another program")
        self._path = path
        self._has_header = pages.has_header
        self._target = target
        self._progress = progress
        roots = _roots(target)
        roots |= {name: root for name, root in _roots_of(pages).items() if name in roots}
        self._trees = Trees(pages, roots)
        self._columns = {table: _columns(target, table) for table in _TABLES}
        self._bad: dict[str, list[int]] = {}
        self._lost_values = 0
        self._restored = 0

    def run(self) -> Repaired:
        with transaction(self._target):
            self._target.execute("DELETE FROM experiments")  # the one that every new file has
        for number, table in enumerate(_TABLES):
            self._save(table, self._rows(table))
            for index, of, columns in _WHOLE_INDEXES:
                if of == table:
                    self._save(table, self._entries(index, columns))
            self._progress("read", number + 1, len(_TABLES))
        self._save("experiments", self._named_experiments())
        self._restore_traces()
        counts = self._counts()
        if not any(counts.values()) and not self._has_header:
            raise ForeignFileError(f"{self._path} holds nothing that tracestore has written")
        lost = self._lost()
        with transaction(self._target):
            self._make_consistent()
        index_all(self._target, self._progress)
        self._target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damaged = set(itertools.chain(*self._trees.damaged.values(), *self._bad.values()))
        return Repaired(
            path="",
            **self._counts(),
            restored_traces=self._restored,
            lost={table: count for table, count in lost.items() if count},
            lost_values=self._lost_values,
            damaged_pages=len(damaged),
            changed_spans=list(changed_spans(self._target)),
        )

    def _counts(self) -> dict[str, int]:
        return trace_rows.counts(self._target)

    # -------------------------------------------------------------------- rows of tables and indexes

    def _rows(self, table: str) -> Iterator[dict[str, Any]]:
        columns = self._columns[table]
        names = [column.name for column in columns]
        for rowid, values in self._trees.rows(table, self._bad.setdefault(table, [])):
            row = dict(zip(names, values))  # noqa: B905 - a row of an older version is shorter
            yield row | {column.name: rowid for column in columns if column.is_rowid}

    def _entries(self, index: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for _, values in self._trees.rows(index, self._bad.setdefault(index, [])):
            if len(values) == len(columns):
                yield dict(zip(columns, values, strict=True))

    def _named_experiments(self) -> Iterator[dict[str, Any]]:
        known = {"lifecycle_stage": "active", "creation_time_ms": 0, "last_update_time_ms": 0}
        for entry in self._entries("sqlite_autoindex_experiments_1", ("name", "id")):
            yield entry | known

    def _save(self, table: str, rows: Iterator[dict[str, Any]]) -> None:
        """Write the rows that are such as the table takes."""
        names = [column.name for column in self._columns[table]]
        marks = ", ".join("?" * len(names))
        sql = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"
        good = (found for row in rows if (found := self._checked(table, row)) is not None)
        while batch := list(itertools.islice(good, _BATCH_ROWS)):
            with transaction(self._target):
                self._target.executemany(sql, [[row[name] for name in names] for row in batch])
                if table == "spans":
                    self._index_attributes(batch)

    def _checked(self, table: str, row: dict[str, Any]) -> dict[str, Any] | None:
        """Return the row with every column, None where it is none of this table."""
        found: dict[str, Any] = {
            column.name: row.get(column.name) for column in self._columns[table]
        }
        for column in self._columns[table]:
            value = found[column.name]
            if value is None and not (column.not_null or column.is_rowid):
                continue
            if not isinstance(value, _TYPES[column.kind]):
                return None
        for name, kind in _JSON.get(table, {}).items():
            if found[name] is not None and not _is_stored(table, name, found[name], kind):
                self._lost_values += 1
                if table in ("resources", "state", "payloads"):
                    return None
                found[name] = None
        return found

    def _index_attributes(self, spans: Sequence[dict[str, Any]]) -> None:
        for span in spans:
            if span["attributes"] is not None:
                pairs = record_rows.indexed_attributes(msgspec.json.decode(span["attributes"]))
                self._target.executemany(
                    "INSERT OR IGNORE INTO span_attributes VALUES (?, ?, ?)",
                    [(key, value, span["trace"]) for key, value in pairs],
                )

    # -------------------------------------------------------------------- traces whose own row is lost

    def _restore_traces(self) -> None:
        missing = self._missing_traces()
        for index, column in _TRACE_INDEXES.items():
            for entry in self._entries(index, (column, "id")):
                if entry["id"] in missing:
                    missing[entry["id"]][column] = entry[column]
        rows = [self._completed(key, known) for key, known in missing.items()]
        before = self._counts()["traces"]
        self._save("traces", iter(rows))
        self._restored = self._counts()["traces"] - before

    def _missing_traces(self) -> dict[int, dict[str, Any]]:
        """Return what is known, by key, of traces that an index or a span speaks of."""
        missing: dict[int, dict[str, Any]] = {}
        for entry in self._entries("traces_trace_id", ("trace_id", "id")):
            if isinstance(entry["id"], int) and not self._is_saved("traces", entry["id"]):
                missing[entry["id"]] = entry
        for (key,) in self._target.execute(
            "SELECT DISTINCT trace FROM spans WHERE trace NOT IN (SELECT id FROM traces)"
        ).fetchall():
            if 0 <= key < 2**62 and key not in missing:
                missing[key] = {"trace_id": ids.new_trace_id(key >> schema.ID_BITS), "id": key}
        return missing

    def _is_saved(self, table: str, key: object) -> bool:
        sql = f"SELECT 1 FROM {table} WHERE id = ?"
        return isinstance(key, int) and self._target.execute(sql, (key,)).fetchone() is not None

    def _completed(self, key: int, known: dict[str, Any]) -> dict[str, Any]:
        """Return a trace's row: what indexes know, then what its root span says."""
        root = self._target.execute(
            f"""SELECT name, status, (end_time_ns - start_time_ns) / 1000000,
                      {schema.whole("inputs")}, {schema.whole("outputs")} FROM spans
               WHERE trace = ? ORDER BY parent_id IS NOT NULL, start_time_ns LIMIT 1""",
            (key,),
        ).fetchone()
        name, status, duration_ms, inputs, outputs = root or (None, "UNSET", None, None, None)
        guessed = {
            "experiment": 0,
            "resource": -1,
            "name": name,
            "status": status if status != "UNSET" else "STATE_UNSPECIFIED",
            "duration_ms": duration_ms,
            "request_preview": request_preview(inputs),
            "response_preview": response_preview(outputs),
        }
        row = guessed | {column: value for column, value in known.items() if value is not None}
        in_progress = row["status"] == "IN_PROGRESS"
        row["duration_ms"] = None if in_progress else max(0, row["duration_ms"] or 0)
        return row

    # -------------------------------------------------------------------- the end

    def _lost(self) -> dict[str, int]:
        """Return how many rows indexes speak of that were not saved."""
        lost = {}
        for index, table in _COUNTING_INDEXES.items():
            entries = self._trees.rows(index, self._bad.setdefault(index, []))
            lost[table] = sum(
                not self._is_saved(table, values[-1]) for _, values in entries if values
            )
        return lost

    def _make_consistent(self) -> None:
        """Complete what refers to something lost, and drop what belongs to nothing."""
        execute = self._target.execute
        execute(
            """INSERT OR IGNORE INTO experiments
               SELECT DISTINCT experiment, 'experiment ' || experiment || ' (repaired)', NULL, 'active',
                      id >> 20, id >> 20
               FROM traces WHERE experiment NOT IN (SELECT id FROM experiments) AND experiment != 0"""
        )
        execute(
            """INSERT OR IGNORE INTO experiments SELECT 0, 'Default', NULL, 'active',
                      CAST(strftime('%s', 'now') AS INTEGER) * 1000,
                      CAST(strftime('%s', 'now') AS INTEGER) * 1000"""
        )
        execute(
            """INSERT OR IGNORE INTO resources (metadata) SELECT '{}'
               WHERE EXISTS (SELECT 1 FROM traces WHERE resource NOT IN (SELECT id FROM resources))"""
        )
        execute(
            """UPDATE traces SET resource = (SELECT id FROM resources WHERE metadata = '{}')
               WHERE resource NOT IN (SELECT id FROM resources)"""
        )
        execute(
            "UPDATE traces SET experiment = 0 WHERE experiment NOT IN (SELECT id FROM experiments)"
        )
        for table in ("tags", "metadata", "assessments", "spans", "span_attributes"):
            execute(f"DELETE FROM {table} WHERE trace NOT IN (SELECT id FROM traces)")
        payloads.count_anew(self._target)
        execute(
            """INSERT OR IGNORE INTO metadata SELECT trace, key, value FROM tags WHERE key IN (?, ?)""",
            (schema.SESSION_KEY, schema.USER_KEY),
        )


def _is_stored(table: str, name: str, text: Any, kind: Any) -> bool:
    """Whether a column has JSON, or the form that stands for a large one, or a part of one."""
    if table == "spans" and name in schema.SHARED_COLUMNS and text[:1] == schema.PAYLOAD_MARK:
        return is_json(text[1:], list[str | int])
    return is_json(f"[{text}]" if table == "payloads" else text, kind)


def _roots(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the root pages of a new file: of the tables that are saved, and of their indexes."""
    sql = "SELECT name, tbl_name, rootpage FROM sqlite_master WHERE rootpage > 0"
    return {name: root for name, table, root in connection.execute(sql) if table in _TABLES}


def _roots_of(pages: Pages) -> dict[str, int]:
    """Return the root pages that the damaged file's own schema names."""
    rows = Trees(pages, {"sqlite_master": 1}, adopt=False).rows("sqlite_master", [])
    return {
        values[1]: values[3]
        for _, values in rows
        if len(values) == 5 and isinstance(values[1], str) and isinstance(values[3], int)
    }


def _columns(connection: sqlite3.Connection, table: str) -> list[_Column]:
    sql = 'SELECT name, type, "notnull", pk FROM pragma_table_info(?)'
    rows = connection.execute(sql, (table,)).fetchall()
    has_rowid = sum(pk > 0 for *_, pk in rows) == 1  # and that is an INTEGER; `state` has a text
    return [
        _Column(name, kind, bool(not_null), has_rowid and pk > 0 and kind == "INTEGER")
        for name, kind, not_null, pk in rows
    ]
