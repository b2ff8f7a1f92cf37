"""Tables of traces: the values entity by entity, in pandas, polars and Arrow."""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracestore
from tracestore import frame
from tracestore.entities import AssessmentSource, Trace
from tracestore.errors import InvalidArgumentError
from tracestore.storage import record_rows, trace_forms, trace_rows
from tracestore.storage.record_rows import SpanRecord, TraceRecord
from tracestore.store import Store

MLFLOW_COLUMNS = [
    "trace_id",
    "trace",
    "client_request_id",
    "state",
    "request_time",
    "execution_duration",
    "request",
    "response",
    "trace_metadata",
    "tags",
    "spans",
    "assessments",
]
OLDER_COLUMNS = ["status", "execution_time_ms"]
NUMBERS = {"request_time", "execution_duration", "execution_time_ms"}
TEXTS = {"trace_id", "trace", "client_request_id", "state", "status"}
TRACES = 60

#: Texts that quoting, JSON or a wrong encoding would change.
ODD_TEXTS = [
    "",
    "plain",
    'a "quote"',
    "back\\slash",
    "line\nbreak\t",
    "\x01\x1f\x7f",
    "é ☃ 🐍",
    "{}",
]
PAYLOADS = [
    None,
    3,
    2.5,
    True,
    "text",
    ["a", None],
    {"answer": "yes", "a.b": [1], "nested": {"x": 1}},
]


def _texts(rng: random.Random, prefix: str) -> dict[str, str]:
    keys = rng.sample(
        [f"{prefix}.one", "two", "a b", 'q"uote', "schlüssel", "😀"], rng.randrange(5)
    )
    return {key: rng.choice(ODD_TEXTS) for key in keys}


def _trace(rng: random.Random, number: int, *, ended: bool) -> TraceRecord:
    resource = {"mlflow.user": rng.choice(("ada", "bob"))} if rng.random() < 0.8 else {}
    return TraceRecord(
        trace_id=f"tr-{number:032x}",
        experiment=0,
        start_time_ms=rng.randrange(1_700_000_000_000, 1_700_000_000_020),
        name=rng.choice((None, "", "chat", "näme")),
        status=rng.choice(("OK", "ERROR", "STATE_UNSPECIFIED")) if ended else "IN_PROGRESS",
        duration_ms=rng.randrange(10_000) if ended else None,
        client_request_id=rng.choice((None, "", "req-1")),
        usage=rng.choice(({}, {"input_tokens": 3, "total_tokens": 0})),
        cost=rng.choice(({}, {"total_cost": 0.1 + 0.2})),
        request_preview=rng.choice((None, *ODD_TEXTS)),
        response_preview=rng.choice((None, *ODD_TEXTS)),
        tags=_texts(rng, "tag"),
        metadata={**_texts(rng, "meta"), **resource},
    )


def _payload(rng: random.Random) -> str | None:
    return rng.choice((None, *map(json.dumps, PAYLOADS)))


def _spans(rng: random.Random, trace: TraceRecord) -> Iterator[SpanRecord]:
    for number in range(rng.randrange(5)):
        start_ns = trace.start_time_ms * 10**6 + rng.randrange(5)
        yield (
            trace.trace_id,
            f"{number:016x}",
            f"{0:016x}" if number else None,
            rng.choice(("root", "step", "dotted.name")),
            rng.choice((None, "LLM")),
            "OK",
            None,
            start_ns,
            rng.choice((None, start_ns + 7)),
            None,
            rng.choice((None, '{"temperature": 0.2, "n": [1, {"ü": null}]}')),
            None,
            None,
            _payload(rng),
            _payload(rng),
        )


def _fill(store: Store, seed: int, *, traces: int = TRACES, in_progress: bool = True) -> None:
    rng = random.Random(seed)
    records = [
        _trace(rng, number, ended=not in_progress or rng.random() < 0.8) for number in range(traces)
    ]
    spans = [span for record in records for span in _spans(rng, record)]
    store.writer.run(lambda connection: record_rows.write_records(connection, records, spans))
    for record in rng.sample(records, traces // 3):
        for value in rng.sample([True, 4, "good", {"score": 0.5}], rng.randrange(1, 4)):
            store.log_feedback(record.trace_id, "helpful", value, metadata={"by": "é"})
        source = AssessmentSource("HUMAN", "ada")
        store.log_expectation(record.trace_id, "answer", ["a", 1], source=source)


@pytest.fixture
def empty(tmp_path: pathlib.Path) -> Iterator[Store]:
    with Store(tmp_path / "traces.db") as store:
        yield store


@pytest.fixture
def store(empty: Store) -> Store:
    _fill(empty, seed=20_261_120)
    return empty


def _cells(table: Any) -> list[dict[str, Any]]:
    """Return a table's rows with Python values, whatever the package: JSON decoded, absent numbers None."""
    if isinstance(table, pd.DataFrame):
        return [
            {str(name): None if _is_nan(value) else value for name, value in row.items()}
            for row in table.to_dict("records")
        ]
    records = table.to_dicts() if isinstance(table, pl.DataFrame) else table.to_pylist()
    return [
        {
            name: value if value is None or name in TEXTS | NUMBERS else json.loads(value)
            for name, value in row.items()
        }
        for row in records
    ]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _expected(trace: Trace) -> dict[str, Any]:
    info = trace.info
    return {
        "trace_id": info.trace_id,
        "trace": trace.to_dict(),
        "client_request_id": info.client_request_id,
        "state": info.state.value,
        "request_time": info.request_time,
        "execution_duration": info.execution_duration,
        "request": _decoded(trace.data.request),
        "response": _decoded(trace.data.response),
        "trace_metadata": info.trace_metadata,
        "tags": info.tags,
        "spans": [span.to_dict() for span in trace.data.spans],
        "assessments": [assessment.to_dictionary() for assessment in info.assessments],
        "status": info.state.value,
        "execution_time_ms": info.execution_duration,
    }


@pytest.mark.parametrize("return_type", ["pandas", "polars", "arrow"])
@pytest.mark.parametrize("include_spans", [True, False])
def test_cells_are_the_values_of_the_entities(
    store: Store, return_type: str, include_spans: bool
) -> None:
    search: dict[str, Any] = {"max_results": None, "include_spans": include_spans}
    traces = store.search_traces(**search)
    cells = _cells(store.search_frame(return_type=return_type, **search))
    for row in cells:
        row["trace"] = json.loads(row["trace"])
    assert len(cells) == TRACES
    assert cells == [_expected(trace) for trace in traces]


_TEXTS = st.text(max_size=12)
_TOKENS = st.none() | st.integers(0, 2**62)
_COSTS = st.none() | st.floats(0, 1e6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=4,
)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@st.composite
def _records(draw: st.DrawFn) -> list[TraceRecord]:
    keys = _TEXTS | st.sampled_from(
        [
            "mlflow.trace_schema.version",
            "mlflow.trace.tokenUsage",
            "mlflow.trace.cost",
            "mlflow.user",
            "mlflow.traceName",
            "mlflow.trace.session",
        ]
    )
    texts = st.dictionaries(keys, _TEXTS, max_size=4)
    return [
        TraceRecord(
            trace_id="",
            experiment=0,
            start_time_ms=draw(st.integers(0, 2**42)),
            name=draw(st.none() | _TEXTS),
            status=draw(st.sampled_from(["OK", "ERROR", "IN_PROGRESS", "ODD"])),
            duration_ms=draw(st.none() | st.integers(0, 2**53)),  # beside None pandas has floats
            client_request_id=draw(st.none() | _TEXTS),
            usage=_known({name: draw(_TOKENS) for name in record_rows.Usage.__struct_fields__}),
            cost=_known({name: draw(_COSTS) for name in record_rows.Cost.__struct_fields__}),
            request_preview=draw(st.none() | _TEXTS),
            response_preview=draw(st.none() | _TEXTS),
            tags=draw(texts),
            metadata=draw(texts),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


_SAID = st.tuples(
    st.booleans(), _TEXTS, _VALUES, st.none() | _TEXTS, st.none() | st.dictionaries(_TEXTS, _TEXTS)
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_records(), said=st.lists(_SAID, max_size=4))
def test_the_trace_column_is_the_trace_as_json_byte_for_byte(
    empty: Store, records: list[TraceRecord], said: list[Any]
) -> None:
    records = [record._replace(trace_id=f"tr-{next(_NUMBERS):032x}") for record in records]
    spans = [span for record in records for span in _spans(random.Random(1), record)]
    empty.writer.run(lambda connection: record_rows.write_records(connection, records, spans))
    about = records[0].trace_id
    for is_feedback, name, value, rationale, metadata in said:
        if is_feedback:
            error = None if value is not None else ValueError(name)
            empty.log_feedback(about, name or "n", value, None, error, rationale, metadata)
        elif value is not None:
            empty.log_expectation(about, name or "n", value, metadata=metadata)
    only = f"trace_id IN ({', '.join(repr(record.trace_id) for record in records)})"
    for include_spans in (True, False):
        traces = empty.search_traces(only, include_spans=include_spans)
        found = empty.search_frame(only, include_spans=include_spans)
        assert found["trace"].tolist() == [_json(trace.to_dict()) for trace in traces]
        for row, trace in zip(_cells(found), traces, strict=True):
            expected = _expected(trace)
            assert {**row, "trace": expected["trace"]} == expected
            assert list(row["tags"]) == list(expected["tags"])
            assert list(row["trace_metadata"]) == list(expected["trace_metadata"])


_NUMBERS = itertools.count()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize("seed", range(4))
def test_one_trace_is_the_same_alone_and_among_others(empty: Store, seed: int) -> None:
    _fill(empty, seed)
    for trace in empty.search_traces(max_results=None):
        alone = empty.get_trace(trace.trace_id)
        assert alone.to_dict() == trace.to_dict()
        assert alone.info == trace.info


def test_what_was_written_is_what_is_read(empty: Store) -> None:
    rng = random.Random(7)
    records = [_trace(rng, number, ended=True) for number in range(TRACES)]
    empty.writer.run(lambda connection: record_rows.write_records(connection, records, ()))
    read = {trace.trace_id: trace.info for trace in empty.search_traces(max_results=None)}
    for record in records:
        info = read[record.trace_id]
        name = {} if record.name is None else {"mlflow.traceName": record.name}
        assert info.tags == {**record.tags, **name}
        assert record.metadata.items() <= info.trace_metadata.items()
        assert (info.token_usage or {}) == record.usage
        assert (info.cost or {}) == record.cost
        assert info.request_preview == record.request_preview


def test_assessments_are_the_oldest_first(store: Store) -> None:
    first, second = (
        trace.trace_id for trace in store.search_traces("status = 'OK'", max_results=2)
    )
    for number in range(5):
        store.log_feedback(first, "step", number)
        store.log_feedback(second, "step", -number)
    found = store.search_frame(f"trace_id IN ('{first}', '{second}')")
    for trace_id, sign in ((first, 1), (second, -1)):
        (assessments,) = found[found["trace_id"] == trace_id]["assessments"]
        steps = [a["feedback"]["value"] for a in assessments if a["assessment_name"] == "step"]
        assert steps == [sign * number for number in range(5)]


def test_the_trace_column_can_be_read_back(store: Store) -> None:
    found = store.search_frame(max_results=5)
    for text, trace in zip(found["trace"], store.search_traces(max_results=5), strict=True):
        assert Trace.from_json(text).data == trace.data


def test_columns_are_mlflows_then_the_older_ones_then_fields(store: Store) -> None:
    found = store.search_frame(extract_fields=["root.inputs"])
    assert list(found.columns) == [*MLFLOW_COLUMNS, *OLDER_COLUMNS, "root.inputs"]


@pytest.mark.parametrize("return_type", ["pandas", "polars", "arrow"])
def test_nothing_found_keeps_columns_and_types(store: Store, return_type: str) -> None:
    nothing = store.search_frame(
        "name = 'no such'", extract_fields=["a.outputs"], return_type=return_type
    )
    assert len(nothing) == 0
    names = nothing.column_names if return_type == "arrow" else list(nothing.columns)
    assert names == [*MLFLOW_COLUMNS, *OLDER_COLUMNS, "a.outputs"]
    if return_type != "pandas":
        something = store.search_frame(extract_fields=["a.outputs"], return_type=return_type)
        assert nothing.schema == something.schema


def test_pandas_has_whole_numbers_and_objects(empty: Store) -> None:
    _fill(empty, seed=1, in_progress=False)
    found = empty.search_frame()
    assert {name for name in found.columns if found[name].dtype == "int64"} == NUMBERS
    assert all(found[name].dtype == object for name in found.columns if name not in NUMBERS)
    assert found["execution_time_ms"].mean() == pytest.approx(
        sum(found["execution_duration"]) / TRACES
    )


def test_what_is_read_ahead_is_what_is_read_in_one_part(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one = store.search_frame(max_results=None, include_spans=False)
    monkeypatch.setattr(trace_forms, "_TOGETHER_AHEAD", 7)
    in_parts = store.search_frame(max_results=None, include_spans=False)
    assert len(in_parts) == TRACES > 3 * 7
    assert in_parts.equals(in_one)


def test_a_trace_in_progress_has_no_duration(store: Store) -> None:
    running = [t.info.execution_duration is None for t in store.search_traces(max_results=None)]
    assert any(running)
    found = store.search_frame(max_results=None)
    assert found["execution_duration"].dtype == "float64"
    assert found["execution_duration"].isna().tolist() == running
    assert (found["state"] == "IN_PROGRESS").tolist() == running
    for return_type in ("polars", "arrow"):
        table = store.search_frame(max_results=None, return_type=return_type)
        values = (
            table["execution_time_ms"].to_pylist()
            if return_type == "arrow"
            else table["execution_time_ms"].to_list()
        )
        assert [value is None for value in values] == running


def test_polars_and_arrow_have_text_and_whole_numbers(store: Store) -> None:
    polars = store.search_frame(return_type="polars")
    arrow = store.search_frame(return_type="arrow")
    assert isinstance(polars, pl.DataFrame)
    assert isinstance(arrow, pa.Table)
    for name in polars.columns:
        assert polars.schema[name] == (pl.Int64 if name in NUMBERS else pl.String)
        assert arrow.schema.field(name).type == (pa.int64() if name in NUMBERS else pa.string())


def test_polars_reads_a_tag_out_of_the_json(empty: Store) -> None:
    record = _trace(random.Random(3), 1, ended=True)._replace(tags={"region": "eu"})
    empty.writer.run(lambda connection: record_rows.write_records(connection, [record], ()))
    found = empty.search_frame(return_type="polars")
    assert found["tags"].str.json_path_match("$.region").to_list() == ["eu"]


@pytest.mark.parametrize("return_type", ["pandas", "polars", "arrow"])
@pytest.mark.parametrize(
    "order", ["duration DESC", "duration ASC", "timestamp_ms ASC", "name ASC", None]
)
def test_rows_are_in_the_order_of_the_search(
    store: Store, return_type: str, order: str | None
) -> None:
    search: dict[str, Any] = {"max_results": 50, "order_by": None if order is None else [order]}
    wanted = [trace.trace_id for trace in store.search_traces(**search)]
    table = store.search_frame(return_type=return_type, **search)
    assert [row["trace_id"] for row in _cells(table)] == wanted


def test_more_traces_than_are_loaded_at_a_time_keep_their_order(empty: Store) -> None:
    rng = random.Random(5)
    records = [
        _trace(rng, number, ended=True) for number in range(2 * trace_rows.LOADED_TRACES + 1)
    ]
    empty.writer.run(lambda connection: record_rows.write_records(connection, records, ()))
    found = empty.search_frame(max_results=None, order_by=["duration ASC"])
    assert len(found) == len(records)
    assert found["execution_duration"].is_monotonic_increasing


def test_traces_that_are_gone_are_left_out(store: Store) -> None:
    with store.reading() as connection:
        keys = [row[0] for row in connection.execute("SELECT id FROM traces").fetchall()]
        wanted = [keys[4], 1, -5, 2**63 - 1, keys[2], keys[4]]
        found = [trace.trace_id for trace in trace_rows.load_traces(connection, wanted)]
        expected = [next(trace_rows.load_traces(connection, [key])).trace_id for key in wanted[::4]]
    assert found == [expected[0], expected[1], expected[0]]


# ------------------------------------------------------------------------------------------ fields


def test_fields_are_extracted_as_mlflow_does(recording: Store) -> None:
    with tracestore.start_span("root.a") as root:
        root.set_outputs({"answer": "hi"})
        with tracestore.start_span("child") as span:
            span.set_inputs({"a.b": 1, "c": 2})
            span.set_outputs([1, 2])
        with tracestore.start_span("child") as span:
            span.set_inputs({"c": 3})
            span.set_outputs("text")
    fields = {
        "child.inputs": {"c": 3},
        "child.inputs.c": 3,
        "child.inputs.`a.b`": None,
        "`root.a`.outputs.answer": "hi",
        "child.outputs": "text",
        "child.outputs.answer": None,
        "nope.inputs": None,
        "child.inputs.": {"c": 3},
        "`child`.inputs.c": 3,
    }
    for field, value in fields.items():
        found = tracestore.search_traces(extract_fields=[field])
        label = field.replace("`", "").rstrip(".")
        assert found.columns[-1] == label
        assert found[label].tolist() == [value]
    for return_type in ("polars", "arrow"):
        table = recording.search_frame(extract_fields=list(fields), return_type=return_type)
        (row,) = _cells(table)
        assert row["child.inputs"] == {"c": 3}
        assert row["child.outputs"] == "text"
        assert row["nope.inputs"] is None


def test_a_key_with_dots_is_one_key(recording: Store) -> None:
    with tracestore.start_span("a.b") as span:
        span.set_inputs({"x.y": {"z": 1}, "q": 2})
    found = recording.search_frame(extract_fields=["`a.b`.inputs.`x.y`", "`a.b`.inputs.q"])
    assert found["a.b.inputs.x.y"].tolist() == [{"z": 1}]
    assert found["a.b.inputs.q"].tolist() == [2]


@pytest.mark.parametrize(
    "field",
    [
        "",
        "a",
        "a.input",
        "a.b.inputs",
        ".inputs",
        "``.inputs",
        "`a.inputs",
        "`a`inputs",
        "a.inputs.`b",
        "a.inputs.`b`c",
        "a.inputsx",
        None,
        3,
    ],
)
def test_a_field_of_another_form_is_refused(recording: Store, field: Any) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"extract_fields (has .*backticks|is .*list of texts)"
    ):
        recording.search_frame(extract_fields=[field])


def test_one_text_for_many_fields_is_refused(recording: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a list of texts"):
        recording.search_frame(extract_fields="a.inputs")


_NAMES = st.text(min_size=1).filter(lambda name: "`" not in name)


@given(name=_NAMES, part=st.sampled_from(["inputs", "outputs"]), key=_NAMES)
def test_any_name_and_key_can_be_written_in_backticks(name: str, part: str, key: str) -> None:
    (label,) = frame._field_columns([f"`{name}`.{part}.`{key}`"])
    assert label == f"{name}.{part}.{key}"


@given(st.text())
def test_any_text_is_a_field_or_refused(text: str) -> None:
    try:
        (label,) = frame._field_columns([text])
    except InvalidArgumentError:
        return
    assert ".inputs" in label or ".outputs" in label


# ------------------------------------------------------------------------------------------ packages


def test_the_default_is_pandas(recording: Store) -> None:
    with tracestore.start_span("chat"):
        pass
    assert isinstance(tracestore.search_traces(), pd.DataFrame)
    assert isinstance(tracestore.search_traces(return_type="polars"), pl.DataFrame)
    assert isinstance(tracestore.search_traces(return_type="arrow"), pa.Table)
    assert [type(trace) for trace in tracestore.search_traces(return_type="list")] == [Trace]
    assert recording.count_traces() == 1


def test_another_return_type_is_refused(recording: Store) -> None:
    searches: list[Any] = [tracestore.search_traces, recording.search_frame]
    for search in searches:
        with pytest.raises(InvalidArgumentError, match=r"return_type is 'spark'.*'polars'"):
            search(return_type="spark")


def test_a_list_has_no_columns_for_fields(recording: Store) -> None:
    assert recording.count_traces() == 0
    with pytest.raises(InvalidArgumentError, match="extract_fields makes columns"):
        tracestore.search_traces(extract_fields=["a.inputs"], return_type="list")


_WITHOUT = """
import sys
import tracestore
from tracestore.errors import InvalidArgumentError

package, return_type, path = sys.argv[1:]
sys.modules[package] = None  # importing it fails, and it is not found
tracestore.set_tracking_uri(path)
with tracestore.open(path) as store:
    try:
        store.search_frame("not even (a filter", return_type=return_type)
    except InvalidArgumentError as error:
        print(error)
print(type(tracestore.search_traces()).__name__)
"""


@pytest.mark.parametrize(
    ("package", "return_type", "default"),
    [
        ("pandas", "pandas", "PagedList"),
        ("pyarrow", "arrow", "DataFrame"),
        ("polars", "polars", "DataFrame"),
    ],
)
def test_a_missing_package_is_named_before_anything_is_searched(
    tmp_path: pathlib.Path, package: str, return_type: str, default: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, package, return_type, str(tmp_path / "traces.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    error, found = done.stdout.splitlines()
    assert f"needs {package}" in error
    assert f'pip install "tracestore[{return_type}]"' in error
    assert 'return_type="list"' in error
    assert found == default


def test_importing_tracestore_imports_no_table_package() -> None:
    program = "import sys, tracestore.store, tracestore.capture.stored as f; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"pandas", "polars", "pyarrow", "numpy"} & set(done.stdout.split())
