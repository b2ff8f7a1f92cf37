"""Stored traces in MLflow's dictionary form, for data frames: rows in, dictionaries and their JSON out.

A frame of 10,000 traces makes no entity but the spans: TraceInfo objects and dictionaries of them took half of its
time, the garbage collector's rounds over them another quarter. Says the same as `TraceInfo.to_dict`; the tests
hold both together.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.entities import Span, TraceLocation
from tracestore.entities.assessment import rfc3339
from tracestore.storage.assessment_rows import assessment_of
from tracestore.storage.record_rows import chunks
from tracestore.storage.schema import ID_BITS
from tracestore.storage.trace_rows import LOADED_TRACES, STATES, load_spans, read_infos, texts_of


class InfoForm(msgspec.Struct, omit_defaults=True, gc=False):
    """What `TraceInfo.to_dict` returns, in its order, as a struct that encodes itself."""

    trace_id: str
    trace_location: dict[str, Any]
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str = ""
    execution_duration_ms: int | None = None
    state: str = ""
    trace_metadata: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    assessments: list[dict[str, Any]] = msgspec.field(default_factory=list)


class TraceForm(NamedTuple):
    """A trace as `Trace.to_dict` says it, its time also as a number, and its spans."""

    info: InfoForm
    request_time_ms: int
    spans: list[Span]


def load_forms(
    connection: sqlite3.Connection, keys: Sequence[int], *, include_spans: bool = True
) -> Iterator[TraceForm]:
    """Yield the trace of each key, in the order of `keys`; keys that are gone are left out."""
    location = functools.cache(lambda key: TraceLocation.from_experiment_id(str(key)).to_dict())
    for chunk in chunks(keys, LOADED_TRACES):
        spans = load_spans(connection, chunk) if include_spans else {}
        for row, resource, assessments in read_infos(connection, chunk):
            time_ms = row[0] >> ID_BITS
            info = InfoForm(
                row[1],
                location(row[2]),
                row[7],
                row[16],
                row[17],
                rfc3339(time_ms),
                row[6],
                row[5] if row[5] in STATES else "STATE_UNSPECIFIED",
                *texts_of(row, resource),
                [assessment_of(assessment, row[1]).to_dictionary() for assessment in assessments],
            )
            yield TraceForm(info, time_ms, spans.get(row[1], []))
