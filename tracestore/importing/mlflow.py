"""MLflow's SQLite file (`mlflow.db`): traces, spans, tags, metadata, assessments, experiments.

Read with SQLite alone, no MLflow; files of MLflow 2.14 to 3.17 and later as long as the tables keep their
columns. Spans are in the table `spans` (since MLflow 3.6), before that in `traces.json` beside the trace's other
artifacts. Knows no store. Invariant: the file is opened read-only, in short reads, so that an MLflow that has it
open goes on writing; what is wrong in it is left out and counted, never guessed.

Source: the migrations in https://github.com/mlflow/mlflow/tree/master/mlflow/store/db_migrations
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
import stat
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracestore.encoding import clean_text, encode_text
from tracestore.entities import (
    AssessmentError,
    AssessmentSource,
    Expectation,
    Experiment,
    Feedback,
    TraceState,
)
from tracestore.entities.trace import NAME_KEY, SESSION_KEY
from tracestore.errors import ForeignFileError, InvalidArgumentError
from tracestore.importing.batch import Batch
from tracestore.importing.foreign_file import columns_of, has_tables, opened, tables_of
from tracestore.importing.mlflow_spans import span_record
from tracestore.redaction import policy
from tracestore.storage.record_rows import Cost, SpanRecord, TraceRecord, Usage
from tracestore.storage.schema import END_MS

#: Traces read, and written, at a time.
TRACES_PER_BATCH = 200

#: Largest `traces.json` that is read, in bytes.
MAX_ARTIFACT_BYTES = 1024**3

#: Columns that every version since 2.14 has, by table; a file without them is refused.
REQUIRED = {
    "alembic_version": {"version_num"},
    "experiments": {"experiment_id", "name", "lifecycle_stage"},
    "trace_info": {"request_id", "experiment_id", "timestamp_ms", "execution_time_ms", "status"},
    "trace_tags": {"request_id", "key", "value"},
    "trace_request_metadata": {"request_id", "key", "value"},
}

#: Columns and tables that came later; read where they are.
_SPANS = {"trace_id", "content"}
_ASSESSMENTS = (
    "assessment_id", "trace_id", "name", "assessment_type", "value", "error", "created_timestamp",
    "last_updated_timestamp", "source_type", "source_id", "run_id", "span_id", "rationale", "overrides", "valid",
    "assessment_metadata",
)  # fmt: skip
_LATER_TRACE_COLUMNS = (
    "client_request_id", "request_preview", "response_preview", "trace_name", "session_id", "input_tokens",
    "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "input_cost",
    "output_cost", "total_cost",
)  # fmt: skip

#: What MLflow notes about its own storage, and copies of what is recorded elsewhere.
_ARTIFACTS_KEY = "mlflow.artifactLocation"
_DROPPED_TAGS = frozenset({_ARTIFACTS_KEY, "mlflow.trace.spansLocation", NAME_KEY})
_USAGE_KEY, _COST_KEY = "mlflow.trace.tokenUsage", "mlflow.trace.cost"
_DROPPED_METADATA = frozenset(
    {
        "mlflow.traceInputs",
        "mlflow.traceOutputs",
        "mlflow.trace.sizeStats",
        "mlflow.trace.sizeBytes",
        "mlflow.trace_schema.version",
        "mlflow.trace.infoFinalized",
        _USAGE_KEY,
        _COST_KEY,
    }
)

#: What a payload has in place of a file that MLflow put beside the trace.
_ATTACHMENT = "mlflow-attachment://"

_STATES = {state.value for state in TraceState}


def recognises(path: str, beginning: bytes) -> bool:
    """Whether the file at `path` is MLflow's."""
    return has_tables(path, beginning, {"alembic_version", "trace_info"})


def open_source(path: str) -> MlflowFile:
    """Return the file at `path`, opened read-only.

    Raises:
        ForeignFileError: It is no MLflow file, or one from before MLflow had traces (2.14).
    """
    return opened(path, MlflowFile)


class MlflowFile:
    """An open MLflow file; see `batch.Source`.

    Attributes:
        total: How many traces it has.
    """

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self._folder = pathlib.Path(path).absolute().parent
        self._connection = connection
        tables = tables_of(connection)
        for table, columns in REQUIRED.items():
            missing = columns - columns_of(connection, table) if table in tables else columns
            if missing:
                raise ForeignFileError(
                    f"{path} can't be imported: an MLflow file since 2.14 has a table {table} with "
                    f"{', '.join(sorted(missing))}"
                )
        there = columns_of(connection, "trace_info")
        self._trace_columns = [name for name in _LATER_TRACE_COLUMNS if name in there]
        self._has_spans = "spans" in tables and columns_of(connection, "spans") >= _SPANS
        found = columns_of(connection, "assessments") if "assessments" in tables else set()
        self._has_assessments = found >= set(_ASSESSMENTS)
        self._experiments = self._read_experiments(tables)
        self._skipped: Counter[str] = Counter()
        self.total: int = connection.execute("SELECT count(*) FROM trace_info").fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def batches(self, known: Callable[[Sequence[str]], set[str]]) -> Iterator[Batch]:
        """Yield the traces in the order in which MLflow wrote them; see `batch.Source`."""
        names = (
            "rowid",
            "request_id",
            "experiment_id",
            "timestamp_ms",
            "execution_time_ms",
            "status",
        )
        columns = [*names, *self._trace_columns]
        sql = f"SELECT {', '.join(columns)} FROM trace_info WHERE rowid > ? ORDER BY rowid LIMIT ?"
        last = -(2**63)
        while rows := self._connection.execute(sql, (last, TRACES_PER_BATCH)).fetchall():
            last = rows[-1][0]
            infos = {str(row[1]): dict(zip(columns, row, strict=True)) for row in rows}
            present = known(list(infos))
            wanted = {key: info for key, info in infos.items() if key not in present}
            yield self._batch(wanted, seen=len(rows), present=len(present))

    def _batch(self, infos: Mapping[str, Mapping[str, Any]], *, seen: int, present: int) -> Batch:
        self._skipped = Counter()
        ids = json.dumps(list(infos))
        tags, metadata = self._texts("trace_tags", ids), self._texts("trace_request_metadata", ids)
        contents = self._span_contents(ids) if self._has_spans else {}
        traces: list[TraceRecord] = []
        spans: list[SpanRecord] = []
        for trace_id, info in infos.items():
            trace = self._trace(trace_id, info, tags.get(trace_id, {}), metadata.get(trace_id, {}))
            if trace is None:
                continue
            its_tags = tags.get(trace_id, {})
            given = contents.get(trace_id) or self._artifact_spans(trace_id, info, its_tags)
            if any(_ATTACHMENT in content for content in given if isinstance(content, str)):
                trace.tags[_ARTIFACTS_KEY] = its_tags.get(_ARTIFACTS_KEY, "")  # type: ignore[index]  # a dict of ours
            traces.append(trace)
            spans += self._spans(trace_id, given)
        read = {trace.trace_id for trace in traces}
        return Batch(
            seen=seen,
            present=present,
            traces=traces,
            spans=spans,
            assessments=list(self._assessments(ids, read)) if self._has_assessments else (),
            experiments=[
                self._experiments[i]
                for i in {info["experiment_id"] for info in infos.values()}
                if i in self._experiments
            ],
            skipped=self._skipped,
        )

    # ------------------------------------------------------------------------ traces

    def _texts(self, table: str, ids: str) -> dict[str, dict[str, str]]:
        """Return tags or metadata of the traces by trace id."""
        found: dict[str, dict[str, str]] = {}
        sql = f"""
            SELECT request_id, key, value FROM {table}
            WHERE request_id IN (SELECT value FROM json_each(?)) AND value IS NOT NULL"""
        for trace_id, key, value in self._connection.execute(sql, (ids,)).fetchall():
            found.setdefault(str(trace_id), {})[clean_text(str(key))] = clean_text(str(value))
        return found

    def _trace(
        self,
        trace_id: str,
        info: Mapping[str, Any],
        tags: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> TraceRecord | None:
        """Return one trace as it is to be written, None where its time is none."""
        start_ms, duration_ms = info["timestamp_ms"], info["execution_time_ms"]
        if not (isinstance(start_ms, int) and 0 <= start_ms < END_MS):
            self._skipped["traces without a time"] += 1
            return None
        status = info["status"] if info["status"] in _STATES else TraceState.STATE_UNSPECIFIED.value
        kept = {key: value for key, value in metadata.items() if key not in _DROPPED_METADATA}
        if info.get("session_id") is not None:
            kept.setdefault(SESSION_KEY, clean_text(str(info["session_id"])))
        name = info.get("trace_name")
        experiment = self._experiments.get(info["experiment_id"])
        return TraceRecord(
            trace_id=trace_id,
            experiment=0 if experiment is None else experiment.name,
            start_time_ms=start_ms,
            name=_text(tags.get(NAME_KEY) if name is None else name),
            status=status,
            duration_ms=duration_ms if isinstance(duration_ms, int) else None,
            client_request_id=_text(info.get("client_request_id")),
            usage=_numbers(info, Usage.__struct_fields__, metadata.get(_USAGE_KEY), int),
            cost=_numbers(info, Cost.__struct_fields__, metadata.get(_COST_KEY), float),
            request_preview=_preview(info, "request_preview", metadata.get("mlflow.traceInputs")),
            response_preview=_preview(
                info, "response_preview", metadata.get("mlflow.traceOutputs")
            ),
            tags=policy.clean_texts(
                {key: value for key, value in tags.items() if key not in _DROPPED_TAGS}
            ),
            metadata=policy.clean_texts(kept),
        )

    def _read_experiments(self, tables: set[str]) -> dict[Any, Experiment]:
        """Return the experiments by MLflow's id; one of another workspace is named `workspace/name`."""
        there = columns_of(self._connection, "experiments")
        later = ("artifact_location", "creation_time", "last_update_time", "workspace")
        columns = [name if name in there else f"NULL AS {name}" for name in later]
        sql = f"SELECT experiment_id, name, lifecycle_stage, {', '.join(columns)} FROM experiments"
        found: dict[Any, Experiment] = {}
        for key, name, stage, location, created, updated, workspace in self._connection.execute(
            sql
        ):
            prefix = "" if workspace in (None, "default") else f"{workspace}/"
            found[key] = Experiment(
                experiment_id=str(key),
                name=clean_text(f"{prefix}{name}"),
                artifact_location=_text(location),
                lifecycle_stage="deleted" if stage == "deleted" else "active",
                creation_time=created if isinstance(created, int) else 0,
                last_update_time=updated if isinstance(updated, int) else 0,
            )
        if "experiment_tags" in tables:
            sql = "SELECT experiment_id, key, value FROM experiment_tags WHERE value IS NOT NULL"
            for key, name, value in self._connection.execute(sql):
                if key in found:
                    found[key].tags[clean_text(str(name))] = clean_text(str(value))
        return found

    # ------------------------------------------------------------------------ spans

    def _span_contents(self, ids: str) -> dict[str, list[Any]]:
        sql = """
            SELECT trace_id, content FROM spans
            WHERE trace_id IN (SELECT value FROM json_each(?)) ORDER BY start_time_unix_nano"""
        found: dict[str, list[Any]] = {}
        for trace_id, content in self._connection.execute(sql, (ids,)).fetchall():
            found.setdefault(str(trace_id), []).append(content)
        return found

    def _spans(self, trace_id: str, contents: Sequence[Any]) -> Iterator[SpanRecord]:
        for content in contents:
            record = span_record(trace_id, content)
            if record is None:
                self._skipped["spans that can't be read"] += 1
            else:
                yield record if policy.clean is None else policy.clean(record)

    def _artifact_spans(
        self, trace_id: str, info: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Sequence[Any]:
        """Return the spans of a trace that MLflow before 3.6 recorded: from its `traces.json`."""
        inside = pathlib.PurePath(str(info["experiment_id"]), "traces", trace_id, "artifacts")
        places = (_local_path(tags.get(_ARTIFACTS_KEY, "")), self._folder / "mlruns" / inside)
        for place in places:
            data = None if place is None else _read_file(place / "traces.json")
            if data is not None:
                return self._spans_of_artifact(data)
        self._skipped["traces whose spans are not in the file"] += 1
        return ()

    def _spans_of_artifact(self, data: bytes) -> Sequence[Any]:
        with contextlib.suppress(ValueError, RecursionError):
            read = json.loads(data)
            if isinstance(read, dict) and isinstance(read.get("spans"), list):
                return list(read["spans"])
        self._skipped["traces.json that can't be read"] += 1
        return ()

    # ------------------------------------------------------------------------ assessments

    def _assessments(
        self, ids: str, read: set[str]
    ) -> Iterator[tuple[Feedback | Expectation, str | None]]:
        sql = f"""
            SELECT {", ".join(_ASSESSMENTS)} FROM assessments
            WHERE trace_id IN (SELECT value FROM json_each(?)) ORDER BY created_timestamp, rowid"""
        for row in self._connection.execute(sql, (ids,)).fetchall():
            values = dict(zip(_ASSESSMENTS, row, strict=True))
            if values["trace_id"] not in read:
                continue
            kind = values["assessment_type"]
            if kind not in ("feedback", "expectation"):
                self._skipped["issues" if kind == "issue" else "assessments of another kind"] += 1
                continue
            try:
                yield _assessment(values)
            except (ValueError, TypeError, RecursionError):
                self._skipped["assessments that can't be read"] += 1


def _text(value: Any) -> str | None:
    return None if value is None else clean_text(str(value))


def _preview(info: Mapping[str, Any], column: str, older: str | None) -> str | None:
    """Return a preview; `older` is where MLflow 2 had it."""
    return policy.clean_preview(_text(info.get(column, older)))


def _numbers(
    info: Mapping[str, Any], names: Sequence[str], text: str | None, kind: type[int | float]
) -> dict[str, Any]:
    """Return numbers by name: of the columns, else of the JSON object that older versions kept."""
    found: Mapping[str, Any] = {name: info.get(name) for name in names}
    if text is not None and all(value is None for value in found.values()):
        with contextlib.suppress(ValueError, RecursionError):
            given = json.loads(text)
            found = given if isinstance(given, dict) else {}
    kinds = (int,) if kind is int else (int, float)
    return {
        name: kind(found[name])
        for name in names
        if isinstance(found.get(name), kinds) and abs(found[name]) < 2**63
    }


def _assessment(values: Mapping[str, Any]) -> tuple[Feedback | Expectation, str | None]:
    """Return an assessment and its value as JSON text; ValueError where it is none."""
    value = _json(values["value"])
    error = _json(values["error"])
    metadata = _json(values["assessment_metadata"]) or {}
    if values["run_id"] is not None:
        metadata = {**metadata, "mlflow.assessment.sourceRunId": values["run_id"]}
    common: dict[str, Any] = {
        "name": clean_text(str(values["name"])),
        "value": value,
        "source": _source(values["source_type"], values["source_id"]),
        "trace_id": str(values["trace_id"]),
        "assessment_id": clean_text(str(values["assessment_id"])),
        "span_id": _text(values["span_id"]),
        "rationale": _text(values["rationale"]),
        "metadata": {clean_text(str(k)): clean_text(str(v)) for k, v in metadata.items()} or None,
        "create_time_ms": int(values["created_timestamp"]),
        "last_update_time_ms": int(values["last_updated_timestamp"]),
        "overrides": _text(values["overrides"]),
        "valid": bool(values["valid"]),
    }
    if values["assessment_type"] == "expectation":
        return Expectation(**common), encode_text(value)
    failure = msgspec.convert(error, AssessmentError) if isinstance(error, dict) else None
    feedback = Feedback(error=failure, **common)
    return feedback, None if value is None and failure is not None else encode_text(value)


def _source(source_type: Any, source_id: Any) -> AssessmentSource:
    try:
        return AssessmentSource(str(source_type), _text(source_id))
    except InvalidArgumentError:
        return AssessmentSource("SOURCE_TYPE_UNSPECIFIED", _text(source_id))


def _json(text: Any) -> Any:
    return None if text is None else json.loads(text)


def _local_path(location: str) -> pathlib.Path | None:
    """Return the directory that an artifact location names on this machine, None where it is elsewhere."""
    parts = urllib.parse.urlsplit(location)
    if parts.scheme == "file":
        return pathlib.Path(urllib.request.url2pathname(parts.path))
    if not location or len(parts.scheme) > 1:  # one letter is a Windows drive
        return None
    return pathlib.Path(location)


def _read_file(path: pathlib.Path) -> bytes | None:
    """Return what is in a regular file of at most MAX_ARTIFACT_BYTES, None where there is none."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_ARTIFACT_BYTES:
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        return None
