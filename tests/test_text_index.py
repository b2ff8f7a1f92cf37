"""The text index: exact at every moment, behind the writer, small, and of no harm when it is stale."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import sqlite3
import time
from collections.abc import Iterator

import pytest

import tracestore
from tracestore import Store
from tracestore.runtime import runtime


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Store]:
    """The active store; nothing is indexed but where a test asks for it."""
    runtime.configure(path=str(tmp_path / "traces.db"), index_text=False)
    yield runtime.store
    runtime.reset()


def record(text: str, name: str = "root") -> str:
    with tracestore.start_span(name) as span:
        span.set_inputs({"question": text})
        with tracestore.start_span("child") as child:
            child.set_outputs([text.upper()])
    return span.trace_id


def found(store: Store, filter_string: str) -> list[str]:
    return [trace.trace_id for trace in store.search_traces(filter_string, include_spans=False)]


def uses_index(store: Store, filter_string: str) -> bool:
    return "span_text" in store.explain(filter_string)


def indexed_to(store: Store) -> int:
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        return int(connection.execute("SELECT indexed_to FROM text_progress").fetchone()[0])


def test_a_rare_phrase_is_found_through_the_index(store: Store) -> None:
    wanted = record("the quick brown fox")
    for number in range(50):
        record(f"nothing {number}")
    assert found(store, "text LIKE '%brown fox%'") == [wanted]
    assert not uses_index(store, "text LIKE '%brown fox%'")

    assert store.index_text() > 80

    for condition in (
        "text LIKE '%brown fox%'",
        "text ILIKE '%BROWN Fox%'",
        "text LIKE '%quick%fox%'",
    ):
        assert found(store, condition) == [wanted], condition
        assert uses_index(store, condition), condition
    assert found(store, "text LIKE '%Brown fox%'") == []
    assert not uses_index(store, "text LIKE '%fo%'")
    assert found(store, "text LIKE '%wn%fo%'") == [wanted]


def test_json_texts_of_spans_are_found_through_the_index(store: Store) -> None:
    said = 'the "quick" brown\nfox, and Größe'
    with tracestore.start_span("root") as span:
        span.set_inputs({"question": said, 1: "hidden by the next", "1": "one"})
        span.set_outputs(["lazy dog", {"depth": None, "ratio": 1e-7}])
        span.set_attribute("note", "an attribute of some length " * 20)
        span.set_attribute("nested", {"path": "over/there"})
    for number in range(50):
        record(f"nothing {number}")
    conditions = (
        "request LIKE '%brown%'",
        r"request LIKE '%\\nfox, and%'",
        r"request ILIKE '%\\NFOX, AND GRÖSSE%'",
        'request LIKE \'{"question":"the%fox%\'',
        "request LIKE '%hidden by%'",
        "response LIKE '%lazy d_g%'",
        "span.outputs ILIKE '%LAZY%depth%'",
        "span.attributes.note LIKE '%of some length%'",
        "span.attributes.nested LIKE '%over/there%'",
        "span.attributes.mlflow.spanInputs.question LIKE '%quick%brown%'",
        "span.attributes.mlflow.spanInputs.question = '" + said + "'",
        "span.name = 'root' AND span.attributes.note ILIKE '%ATTRIBUTE OF%'",
    )
    before = {condition: found(store, condition) for condition in conditions}
    assert set(map(tuple, before.values())) == {(span.trace_id,)}, before

    store.index_text()

    for condition in conditions:
        assert found(store, condition) == [span.trace_id], condition
        assert uses_index(store, condition), condition
    (request,) = {trace.data.request for trace in store.search_traces("request LIKE '%brown%'")}
    equality = "request = '" + str(request).replace("'", "''") + "'"
    assert found(store, equality) == [span.trace_id]
    assert uses_index(store, equality)
    assert not uses_index(store, "response LIKE '%null%'")
    assert found(store, "response LIKE '%null%'") == [span.trace_id]
    assert found(store, "request NOT LIKE '%brown%'")
    assert not uses_index(store, "request NOT LIKE '%brown%'")


def test_what_is_newer_than_the_index_is_found_too(store: Store) -> None:
    old = record("needle in the index")
    for _ in range(10):
        record("hay")
    store.index_text()
    new = record("needle in the tail")

    assert uses_index(store, "text LIKE '%needle%'")
    assert found(store, "text LIKE '%needle%'") == [new, old]


def test_folding_beyond_ascii_and_what_json_escapes_are_matched_as_read(store: Store) -> None:
    wanted = record('Straße "quoted"\nnext line, 日本語テキスト \U0001f600\U0001f601\U0001f602')
    for _ in range(10):
        record("hay")
    store.index_text()

    for condition in (
        "text ILIKE '%STRASSE%'",
        "text LIKE '%\"quoted\"\nnext%'",
        "text LIKE '%日本語テ%'",
        "text LIKE '%\U0001f600\U0001f601\U0001f602%'",
    ):
        assert found(store, condition) == [wanted], condition
        assert uses_index(store, condition), condition


def test_a_span_that_was_open_when_it_was_indexed_is_found_by_its_end(store: Store) -> None:
    with tracestore.start_span("root") as span:
        span.set_inputs("beginning")
        store.get_trace(span.trace_id)  # writes it as open
        for _ in range(20):
            with tracestore.start_span("filler"):
                pass
        store.index_text()
        assert indexed_to(store) > 4
        span.set_outputs("conclusion")

    assert found(store, "text LIKE '%beginning%'") == [span.trace_id]
    assert found(store, "text LIKE '%conclusion%'") == [span.trace_id]
    assert uses_index(store, "text LIKE '%conclusion%'")


def test_deleted_traces_are_gone_and_what_comes_in_their_place_is_found(store: Store) -> None:
    ids = [record(f"needle {number}") for number in range(20)]
    store.index_text()

    assert store.delete_traces("0", trace_ids=ids[10:]) == 10
    assert found(store, "text LIKE '%needle%'") == ids[9::-1]
    fresh = [record(f"pin {number}") for number in range(20)]  # gets the deleted spans' ids

    assert found(store, "text LIKE '%pin %'") == fresh[::-1]
    assert found(store, "text LIKE '%needle%'") == ids[9::-1]
    store.index_text()
    assert found(store, "text LIKE '%pin %'") == fresh[::-1]
    assert found(store, "text LIKE '%needle%'") == ids[9::-1]


def test_the_index_survives_vacuum(store: Store) -> None:
    ids = [record(f"needle {number}") for number in range(20)]
    store.index_text()
    store.delete_traces("0", trace_ids=ids[:5])
    store.close()

    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute("VACUUM")

    with Store(store.path) as again:
        assert found(again, "text LIKE '%needle%'") == ids[:4:-1]
        assert uses_index(again, "text LIKE '%needle%'")


def test_the_writer_indexes_by_itself_when_it_has_nothing_else_to_do(
    tmp_path: pathlib.Path,
) -> None:
    runtime.configure(path=str(tmp_path / "traces.db"), index_text=True)
    try:
        for number in range(500):
            record(f"needle {number}")
        tracestore.flush()
        deadline = time.monotonic() + 20.0
        while indexed_to(runtime.store) < 1000 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert indexed_to(runtime.store) == 1000
        assert uses_index(runtime.store, "text LIKE '%needle 77%'")
    finally:
        runtime.reset()


def test_the_index_can_be_switched_off(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACESTORE_TEXT_INDEX", "false")
    runtime.reset()
    runtime.configure(path=str(tmp_path / "traces.db"))
    try:
        wanted = record("needle")
        for _ in range(20):
            record("hay")
        tracestore.flush()
        time.sleep(0.3)
        assert indexed_to(runtime.store) == 0
        assert found(runtime.store, "text LIKE '%needle%'") == [wanted]
    finally:
        runtime.reset()


def test_the_index_is_at_most_half_as_large_as_the_text(store: Store) -> None:
    """Real prose and code: Python's own library, in spans of 1.4 KB."""
    sources = sorted(pathlib.Path(os.__file__).parent.glob("*.py"))
    text = "".join(file.read_text("utf-8", "ignore") for file in sources)[:5_000_000]
    for start in range(0, len(text), 1400):
        with tracestore.start_span("read") as span:
            span.set_outputs(text[start : start + 1400])
    store.flush()
    before = _pages(store.path)
    store.index_text()

    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    index_bytes = (_pages(store.path) - before) * page_size
    assert 0 < index_bytes < len(text.encode()) / 2


def _pages(path: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])


@pytest.mark.parametrize("seed", range(3))
def test_searches_agree_with_reading_every_trace_while_recording_indexing_and_deleting(
    store: Store, seed: int
) -> None:
    chosen = random.Random(seed)
    kept: dict[str, str] = {}
    for _ in range(25):
        for _ in range(chosen.randrange(1, 12)):
            text = " ".join(chosen.choices(("alpha", "beta", "Gamma", "déjà", "vu", "x"), k=6))
            kept[record(text)] = text
        if chosen.random() < 0.4:
            store.index_text()
        if chosen.random() < 0.4:
            gone = chosen.sample(sorted(kept), k=min(len(kept), chosen.randrange(1, 9)))
            assert store.delete_traces("0", trace_ids=gone) == len(gone)
            for trace_id in gone:
                del kept[trace_id]
        phrase = " ".join(chosen.choices(("alpha", "beta", "gamma", "DÉJÀ"), k=2))
        wanted = {
            trace_id for trace_id, text in kept.items() if phrase.casefold() in text.casefold()
        }
        answer = store.search_traces(
            f"text ILIKE '%{phrase}%'", max_results=None, include_spans=False
        )
        assert {trace.trace_id for trace in answer} == wanted
