"""Traces from one file into another, as rows: read from one connection, written with another.

Columns go by name, as far as both files have them. Keys are given anew, experiments go by name, resources by their
text; ids that users see stay. A trace that both have is merged: one that has ended wins over one that has not,
of two that have ended the one that ended later; of the other is kept what the winner lacks. Invariant: writing the
same again changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.errors import StoreError
from tracestore.storage import payloads, record_rows
from tracestore.storage.schema import ID_BITS, SHARED_COLUMNS

Row = dict[str, Any]

#: Tables whose rows belong to a trace; span_attributes is made from the spans.
_OWNED = ("spans", "tags", "metadata", "assessments")

#: Columns that a file gives itself.
_OWN_KEYS = {"traces": {"id"}, "spans": {"id", "trace"}, "assessments": {"id", "trace"}}

#: Columns that hold JSON, with what it must be.
SPAN_JSON = {
    "attributes": dict[str, Any],
    "events": list[dict[str, Any]],
    "links": list[dict[str, Any]],
    "inputs": Any,
    "outputs": Any,
}
ASSESSMENT_JSON = {"value": Any, "metadata": dict[str, str], "error": dict[str, Any]}


class Bundle(NamedTuple):
    """Some traces with all that is theirs; rows by column."""

    traces: list[Row]
    owned: dict[str, list[Row]]
    experiments: dict[int, tuple[Row, dict[str, str]]]
    resources: dict[int, str]


class Written(NamedTuple):
    """How many traces were new, replaced, and left as they were; rows refused because they can't be read."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    def plus(self, other: Written) -> Written:
        """Return the sums."""
        return Written(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def read(connection: sqlite3.Connection, keys: Sequence[int]) -> Bundle:
    """Return the traces of these keys, the oldest first."""
    wanted = (msgspec.json.encode(sorted(keys)).decode(),)
    among = "IN (SELECT value FROM json_each(?))"
    traces = _rows(connection, f"SELECT * FROM traces WHERE id {among} ORDER BY id", wanted)
    owned = {
        table: _rows(connection, f"SELECT * FROM {table} WHERE trace {among}", wanted)
        for table in _OWNED
    }
    for row in owned["spans"]:
        row |= {name: payloads.whole_text(connection, row[name]) for name in SHARED_COLUMNS}
    for table in ("spans", "assessments"):
        owned[table].sort(key=lambda row: row["id"])
    return Bundle(
        traces,
        owned,
        {key: _experiment(connection, key) for key in {row["experiment"] for row in traces}},
        {key: _resource(connection, key) for key in {row["resource"] for row in traces}},
    )


def _rows(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _experiment(connection: sqlite3.Connection, key: int) -> tuple[Row, dict[str, str]]:
    found = _rows(connection, "SELECT * FROM experiments WHERE id = ?", (key,))
    tags = connection.execute("SELECT key, value FROM experiment_tags WHERE experiment = ?", (key,))
    return (found[0] if found else {"name": "Default"}), dict(tags.fetchall())


def _resource(connection: sqlite3.Connection, key: int) -> str:
    row = connection.execute("SELECT metadata FROM resources WHERE id = ?", (key,)).fetchone()
    return row[0] if row is not None and is_json(row[0], dict[str, str]) else "{}"


def is_json(text: object, kind: Any) -> bool:
    """Whether `text` is JSON of this type, such as what reads it expects."""
    try:
        msgspec.json.decode(text, type=kind)  # type: ignore[call-overload]  # whatever the file holds
    except (msgspec.DecodeError, RecursionError, UnicodeError, TypeError):
        return False
    return True


def write(connection: sqlite3.Connection, bundle: Bundle) -> Written:
    """Write a bundle in the transaction that the caller began.

    Raises:
        StoreError: A row has a type that the file does not take: it was not written by tracestore.
    """
    try:
        return _Target(connection, bundle).write()
    except (sqlite3.IntegrityError, OverflowError) as error:
        raise StoreError(
            f"a row of the other file is none that tracestore writes: {error}"
        ) from error


class _Target:
    """A bundle on its way into a file."""

    def __init__(self, connection: sqlite3.Connection, bundle: Bundle) -> None:
        self._connection = connection
        self._bundle = bundle
        self._refused = 0
        #: By the key in the bundle: the key here, and whether what the bundle says goes before what is here.
        self._keys: dict[int, int] = {}
        self._wins: dict[int, bool] = {}

    def write(self) -> Written:
        before = self._known()
        self._match(before)
        experiments = {
            key: self._find_experiment(*e) for key, e in self._bundle.experiments.items()
        }
        resources = {key: self._find_resource(text) for key, text in self._bundle.resources.items()}
        for trace in self._bundle.traces:
            key = trace["id"]
            if self._wins[key]:
                places = {
                    "id": self._keys[key],
                    "experiment": experiments[trace["experiment"]],
                    "resource": resources[trace["resource"]],
                }
                self._upsert("traces", [{**trace, **places}], ("id",), fixed=("trace_id",))
        self._write_spans()
        for table in ("tags", "metadata"):
            for wins in (True, False):
                rows = [self._placed(row) for row in self._owned(table, wins=wins)]
                self._insert(f"INSERT OR {'REPLACE' if wins else 'IGNORE'}", table, *rows)
        self._write_assessments()
        added = sum(trace["trace_id"] not in before for trace in self._bundle.traces)
        updated = sum(self._wins.values()) - added
        unchanged = len(self._bundle.traces) - added - updated
        return Written(added, updated, unchanged, self._refused)

    def _known(self) -> dict[str, tuple[int, str, int | None]]:
        """Return (key, status, end in ms) of those traces that are here, by trace_id."""
        ids = msgspec.json.encode([trace["trace_id"] for trace in self._bundle.traces]).decode()
        rows = self._connection.execute(
            f"""SELECT trace_id, id, status, (id >> {ID_BITS}) + duration_ms FROM traces
                WHERE trace_id IN (SELECT value FROM json_each(?))""",
            (ids,),
        )
        return {trace_id: (key, status, end) for trace_id, key, status, end in rows.fetchall()}

    def _match(self, known: Mapping[str, tuple[int, str, int | None]]) -> None:
        new = [trace for trace in self._bundle.traces if trace["trace_id"] not in known]
        free = record_rows.free_keys(self._connection, {t["id"] >> ID_BITS for t in new})
        for trace in self._bundle.traces:
            key, here = trace["id"], known.get(trace["trace_id"])
            if here is None:
                self._keys[key], self._wins[key] = free[key >> ID_BITS], True
                free[key >> ID_BITS] += 1
            else:
                self._keys[key], self._wins[key] = here[0], _is_newer(trace, *here[1:])

    def _find_experiment(self, row: Row, tags: Mapping[str, str]) -> int:
        sql = "SELECT id FROM experiments WHERE name = ?"
        found = self._connection.execute(sql, (row["name"],)).fetchone()
        if found is None:
            self._insert("INSERT", "experiments", {k: v for k, v in row.items() if k != "id"})
            found = self._connection.execute(sql, (row["name"],)).fetchone()
        for key, value in tags.items():
            self._connection.execute(
                "INSERT OR IGNORE INTO experiment_tags VALUES (?, ?, ?)", (found[0], key, value)
            )
        return int(found[0])

    def _find_resource(self, text: str) -> int:
        self._connection.execute("INSERT OR IGNORE INTO resources (metadata) VALUES (?)", (text,))
        found = self._connection.execute("SELECT id FROM resources WHERE metadata = ?", (text,))
        return int(found.fetchone()[0])

    def _write_spans(self) -> None:
        shared: set[int] = set()
        for wins in (True, False):
            rows = [
                {**self._placed(row), "id": None}
                for row in self._owned("spans", wins=wins)
                if self._is_readable(row, SPAN_JSON)
            ]
            shared |= self._share_texts(rows)
            if wins:
                condition = "excluded.end_time_ns IS NOT NULL OR spans.end_time_ns IS NULL"
                renewed = (
                    "id = (SELECT max(id) + 1 FROM spans)"  # the text index has seen the old one
                )
                self._upsert("spans", rows, ("trace", "span_id"), ("id",), renewed, condition)
            else:
                self._insert("INSERT OR IGNORE", "spans", *rows)
            self._connection.executemany(
                "INSERT OR IGNORE INTO span_attributes VALUES (?, ?, ?)", list(_indexed(rows))
            )
        for trace in shared:  # what of it belongs to spans that were not taken
            payloads.forget_unused(self._connection, trace)

    def _share_texts(self, rows: Sequence[Row]) -> set[int]:
        """Put references in the place of large texts, and return the keys of the traces that have any."""
        places = [
            (row, column)
            for row in rows
            for column in SHARED_COLUMNS
            if payloads.is_large(row[column])
        ]
        texts = [(row["trace"], row[column]) for row, column in places]
        for (row, column), text in zip(
            places, payloads.stored(self._connection, texts), strict=True
        ):
            row[column] = text
        return {trace for trace, _ in texts}

    def _write_assessments(self) -> None:
        rows = (*self._owned("assessments", wins=True), *self._owned("assessments", wins=False))
        for row in sorted(rows, key=lambda row: row["id"]):
            if not self._is_readable(row, ASSESSMENT_JSON):
                continue
            place = {**self._placed(row), "id": None}
            newer = (
                "excluded.last_update_time_ms > assessments.last_update_time_ms"
                " AND excluded.trace = assessments.trace"
            )
            self._upsert("assessments", [place], ("assessment_id",), ("id", "trace"), "", newer)
            if row["valid"] == 0:
                self._connection.execute(
                    "UPDATE assessments SET valid = 0 WHERE assessment_id = ? AND trace = ?",
                    (row["assessment_id"], place["trace"]),
                )

    def _owned(self, table: str, *, wins: bool) -> Iterator[Row]:
        return (row for row in self._bundle.owned[table] if self._wins.get(row["trace"]) is wins)

    def _placed(self, row: Row) -> Row:
        return {**row, "trace": self._keys[row["trace"]]}

    def _is_readable(self, row: Row, kinds: Mapping[str, Any]) -> bool:
        readable = all(
            row[column] is None or is_json(row[column], kind) for column, kind in kinds.items()
        )
        self._refused += not readable
        return readable

    def _upsert(
        self,
        table: str,
        rows: Sequence[Row],
        key: tuple[str, ...],
        fixed: tuple[str, ...] = (),
        renewed: str = "",
        condition: str = "1",
    ) -> None:
        if not rows:
            return
        shared = _shared_columns(self._connection, table, rows[0])
        changes = [
            f"{column} = excluded.{column}" for column in shared if column not in (*key, *fixed)
        ]
        if renewed:
            changes.append(renewed)
        tail = (
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)} WHERE {condition}"
        )
        self._insert("INSERT", table, *rows, tail=tail)

    def _insert(self, verb: str, table: str, *rows: Row, tail: str = "") -> None:
        """Insert rows, which have the same columns."""
        if rows:
            columns = _shared_columns(self._connection, table, rows[0])
            marks = ", ".join("?" * len(columns))
            sql = f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({marks}) {tail}"
            values = [[row[column] for column in columns] for row in rows]
            self._connection.executemany(sql, values)


def _indexed(spans: Sequence[Row]) -> Iterator[tuple[str, str | int | float, int]]:
    """Yield what the attribute index has of spans."""
    for span in spans:
        if span["attributes"] is not None:
            attributes = msgspec.json.decode(span["attributes"])
            for key, value in record_rows.indexed_attributes(attributes):
                yield key, value, span["trace"]


_COLUMNS: dict[str, tuple[str, ...]] = {}


def _shared_columns(connection: sqlite3.Connection, table: str, row: Row) -> list[str]:
    """Return the columns of our table that the row has. Every file that is open has the same tables."""
    if table not in _COLUMNS:
        found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        _COLUMNS[table] = tuple(name for (name,) in found)
    return [column for column in _COLUMNS[table] if column in row]


def _is_newer(trace: Row, status: str, end_ms: int | None) -> bool:
    """Whether a trace of the bundle goes before the same one here."""
    if trace["status"] == "IN_PROGRESS":
        return False
    if status == "IN_PROGRESS" or end_ms is None:
        return True
    return bool((trace["id"] >> ID_BITS) + (trace["duration_ms"] or 0) > end_ms)
