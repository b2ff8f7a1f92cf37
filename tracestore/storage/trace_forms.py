"""Stored traces in MLflow's dictionary form, for data frames: rows in, dictionaries and their JSON out.

A frame of 10,000 traces makes no entity but the spans: TraceInfo objects and dictionaries of them took half of its
time. What the file holds arrives in few columns, most of it as one JSON document of many traces: Python's sqlite3 gives
up the interpreter's lock and takes it back for each column of each row, which were 27 a trace; now they are 6. Says
the same as `TraceInfo.to_dict` and `Assessment.to_dictionary`; the tests hold both together.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tracestore.entities import AssessmentError, AssessmentSource, Span, TraceLocation
from tracestore.entities.assessment import assessment_body, rfc3339
from tracestore.entities.trace import COST_KEY, NAME_KEY, TOKEN_USAGE_KEY
from tracestore.storage.ahead import one_ahead
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


#: Traces read at a time, one part after the other: what is made of them on the way stays in the processor's cache.
_TOGETHER = 100

#: The same where the next part is read meanwhile: fewer hand-overs between two threads.
_TOGETHER_AHEAD = 500


def load_forms(
    connection: sqlite3.Connection, keys: Sequence[int], *, include_spans: bool = True
) -> Iterator[TraceForms]:
    """Yield the traces of the keys, some at a time, in order; keys that are gone are left out.

    Without spans the next are read on a second thread meanwhile: of 171 ms for 10,000 traces it spares 31.
    """
    read = functools.partial(
        _read, connection, functools.cache(functools.partial(resource_of, connection))
    )
    if include_spans:
        for some in chunks(keys, _TOGETHER):
            yield _forms(read(some), load_spans(connection, some))
    else:
        read_all = one_ahead if len(keys) > _TOGETHER_AHEAD else map  # no thread for a single part
        for part in read_all(read, chunks(keys, _TOGETHER_AHEAD)):
            yield _forms(part, {})


class _Part(NamedTuple):
    """What the file holds of some traces: `_FACTS`, the rows of `_TEXTS` in order, and the programs' metadata by id."""

    facts: str
    texts: list[tuple[Any, ...]]
    resources: dict[int, dict[str, str]]


def _read(
    connection: sqlite3.Connection, resource: Callable[[int], dict[str, str]], keys: Sequence[int]
) -> _Part:
    """Read some traces; nothing else uses the connection meanwhile."""
    wanted = (msgspec.json.encode(keys).decode(),)
    facts = connection.execute(_FACTS, wanted).fetchone()[0]
    texts = connection.execute(_TEXTS, wanted).fetchall()
    return _Part(facts, texts, {key: resource(key) for key in {row[1] for row in texts}})


def _forms(part: _Part, spans: dict[str, list[Span]]) -> TraceForms:
    """Return the forms in order, with their spans by trace id."""
    facts = {fact.key: fact for fact in _decode_facts(part.facts)}
    infos = [
        _info(facts[key], part.resources[resource], *texts) for key, resource, *texts in part.texts
    ]
    times_ms = [key >> ID_BITS for key, *_ in part.texts]
    return TraceForms(infos, times_ms, [spans.get(info.trace_id, []) for info in infos])


def _info(
    fact: _Facts,
    resource: dict[str, str],
    request: str | None,
    response: str | None,
    *cost: float | None,
) -> InfoForm:
    return InfoForm(
        fact.trace_id,
        _location(fact.experiment),
        fact.client_request_id,
        request,
        response,
        rfc3339(fact.key >> ID_BITS),
        fact.duration_ms,
        fact.status if fact.status in STATES else "STATE_UNSPECIFIED",
        _metadata(fact, resource, cost),
        _tags(fact),
        [_assessment_form(said, fact.trace_id) for said in fact.assessments],
    )


_FROM = "FROM json_each(?) AS wanted CROSS JOIN traces AS t ON t.id = wanted.value"

#: Beside `_FACTS`, in the order of the keys: previews because long text takes longer through JSON, and costs because
#: SQLite writes numbers as JSON with fifteen digits only.
_TEXTS = f"SELECT t.id, t.resource, t.request_preview, t.response_preview, t.input_cost, t.output_cost, t.total_cost {_FROM}"

#: A JSON array of `_Facts`, in any order, in one row: SQLite needs no lock of the interpreter until it is whole.
_FACTS = f"""
    SELECT '[' || coalesce(group_concat(facts), '') || ']' FROM (SELECT
           '[' || (SELECT json_group_object(key, value) FROM tags WHERE trace = t.id)
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
                  t.id, t.trace_id, t.experiment, t.name, t.status, t.duration_ms, t.client_request_id,
                  t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_tokens, t.cache_creation_tokens
              ), 2) AS facts
           {_FROM})"""


class _Said(msgspec.Struct, array_like=True, gc=False):
    """An assessment within `_FACTS`."""

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
    """A trace within `_FACTS`."""

    tags: dict[str, str]
    metadata: dict[str, str]
    assessments: list[_Said]
    key: int
    trace_id: str
    experiment: int
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
_location = functools.lru_cache(lambda key: TraceLocation.from_experiment_id(str(key)).to_dict())
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
    created = form["create_time"] = rfc3339(said.create_time_ms)
    is_as_created = said.last_update_time_ms == said.create_time_ms
    form["last_update_time"] = created if is_as_created else rfc3339(said.last_update_time_ms)
    kind = "expectation" if said.kind == "expectation" else "feedback"
    form[kind] = assessment_body(kind, said.value, said.error if kind == "feedback" else None)
    return form
