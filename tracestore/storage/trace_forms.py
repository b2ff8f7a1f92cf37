"""Stored traces in MLflow's dictionary form, for data frames: rows in, dictionaries and their JSON out.

A frame of 10,000 traces makes no entity but the spans: TraceInfo objects and dictionaries of them took half of its
time. What the file holds arrives in few columns, most of it as one JSON array: Python's sqlite3 gives up the
interpreter's lock and takes it back for each column of each row, which were 27 a trace; now they are 6. Says
the same as `TraceInfo.to_dict` and `Assessment.to_dictionary`; the tests hold both together.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.entities import AssessmentError, AssessmentSource, Span, TraceLocation
from tracestore.entities.assessment import assessment_body, rfc3339
from tracestore.entities.trace import COST_KEY, NAME_KEY, TOKEN_USAGE_KEY
from tracestore.storage.record_rows import Cost, Usage
from tracestore.storage.schema import ID_BITS
from tracestore.storage.statements import chunks
from tracestore.storage.trace_rows import STATES, load_spans, resource_of


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


class TraceForms(NamedTuple):
    """Some traces as `Trace.to_dict` says them: the infos, and beside each its time as a number and its spans."""

    infos: list[InfoForm]
    times_ms: list[int]
    spans: list[list[Span]]


#: Traces read at a time: what is made of them on the way stays in the processor's cache. 500 took a sixth longer.
_TOGETHER = 100


def load_forms(
    connection: sqlite3.Connection, keys: Sequence[int], *, include_spans: bool = True
) -> Iterator[TraceForms]:
    """Yield the traces of the keys, some at a time, in order; keys that are gone are left out."""
    location = functools.cache(lambda key: TraceLocation.from_experiment_id(str(key)).to_dict())
    resource = functools.cache(functools.partial(resource_of, connection))
    for chunk in chunks(keys, _TOGETHER):
        rows = connection.execute(_TRACES, (msgspec.json.encode(chunk).decode(),)).fetchall()
        # One document of all of them is decoded in two thirds of the time of one by one.
        facts = _decode_facts(f"[{','.join([row[0] for row in rows])}]")
        infos = [
            InfoForm(
                fact.trace_id,
                location(fact.experiment),
                fact.client_request_id,
                row[1],
                row[2],
                rfc3339(fact.key >> ID_BITS),
                fact.duration_ms,
                fact.status if fact.status in STATES else "STATE_UNSPECIFIED",
                _metadata(fact, resource(fact.resource), row[3:]),
                _tags(fact),
                [_assessment_form(said, fact.trace_id) for said in fact.assessments],
            )
            for fact, row in zip(facts, rows, strict=True)
        ]
        times_ms = [fact.key >> ID_BITS for fact in facts]
        spans = load_spans(connection, chunk) if include_spans else {}
        yield TraceForms(infos, times_ms, [spans.get(info.trace_id, []) for info in infos])


#: In the order of the keys, see trace_rows. Previews are columns of their own because long text takes longer
#: through JSON, and costs because SQLite writes numbers as JSON with fifteen digits only.
_TRACES = """
    SELECT '[' || (SELECT json_group_object(key, value) FROM tags WHERE trace = t.id)
           || ',' || (SELECT json_group_object(key, value) FROM metadata WHERE trace = t.id)
           || ',[' || coalesce((
                  SELECT group_concat(
                      '[' || coalesce(value, 'null') || ',' || coalesce(metadata, 'null') || ','
                      || coalesce(error, 'null') || ',' || substr(json_array(
                          assessment_id, span_id, name, kind, source_type, source_id, rationale, create_time_ms,
                          last_update_time_ms, overrides, valid
                      ), 2)
                  ) FROM (SELECT * FROM assessments WHERE trace = t.id ORDER BY id)
              ), '') || '],' || substr(json_array(
                  t.id, t.trace_id, t.experiment, t.resource, t.name, t.status, t.duration_ms, t.client_request_id,
                  t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_tokens, t.cache_creation_tokens
              ), 2),
           t.request_preview, t.response_preview, t.input_cost, t.output_cost, t.total_cost
    FROM json_each(?) AS wanted CROSS JOIN traces AS t ON t.id = wanted.value"""


class _Said(msgspec.Struct, array_like=True, gc=False):
    """An assessment within the first column of `_TRACES`."""

    value: Any
    metadata: Any
    error: AssessmentError | None
    assessment_id: str
    span_id: str | None
    name: str
    kind: str
    source_type: str
    source_id: str
    rationale: str | None
    create_time_ms: int
    last_update_time_ms: int
    overrides: str | None
    valid: int


class _Facts(msgspec.Struct, array_like=True, gc=False):
    """The first column of `_TRACES`."""

    tags: dict[str, str]
    metadata: dict[str, str]
    assessments: list[_Said]
    key: int
    trace_id: str
    experiment: int
    resource: int
    name: str | None
    status: str
    duration_ms: int | None
    client_request_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None


_encode = msgspec.json.Encoder().encode
_decode_facts = msgspec.json.Decoder(list[_Facts]).decode
_NO_USAGE = Usage()
_NO_COST = (None,) * len(Cost.__struct_fields__)
_source_type = functools.cache(lambda name: AssessmentSource(name).source_type)


def _metadata(
    facts: _Facts, resource: dict[str, str], cost: Sequence[float | None]
) -> dict[str, str]:
    metadata = {**resource, **facts.metadata}
    usage = Usage(
        facts.input_tokens,
        facts.output_tokens,
        facts.total_tokens,
        facts.cache_read_tokens,
        facts.cache_creation_tokens,
    )
    if usage != _NO_USAGE and TOKEN_USAGE_KEY not in metadata:
        metadata[TOKEN_USAGE_KEY] = _encode(usage).decode()
    if cost != _NO_COST and COST_KEY not in metadata:
        metadata[COST_KEY] = _encode(Cost(*cost)).decode()
    return metadata


def _tags(facts: _Facts) -> dict[str, str]:
    if facts.name is not None:
        facts.tags[NAME_KEY] = facts.name
    return facts.tags


def _assessment_form(said: _Said, trace_id: str) -> dict[str, Any]:
    form: dict[str, Any] = {"assessment_id": said.assessment_id, "trace_id": trace_id}
    if said.span_id is not None:
        form["span_id"] = said.span_id
    if said.rationale is not None:
        form["rationale"] = said.rationale
    if said.metadata is not None:
        form["metadata"] = said.metadata
    if said.overrides is not None:
        form["overrides"] = said.overrides
    form["valid"] = bool(said.valid)
    form["assessment_name"] = said.name
    form["source"] = {"source_type": _source_type(said.source_type), "source_id": said.source_id}
    form["create_time"] = rfc3339(said.create_time_ms)
    form["last_update_time"] = rfc3339(said.last_update_time_ms)
    kind = "expectation" if said.kind == "expectation" else "feedback"
    form[kind] = assessment_body(kind, said.value, said.error if kind == "feedback" else None)
    return form
