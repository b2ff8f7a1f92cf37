"""Large texts are kept once, come back character for character, and go with the last trace that has them."""

from __future__ import annotations

import contextlib
import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracestore
from tests.upkeep_store import MINUTE_MS, START_MS, one, query
from tracestore.encoding import encode, encode_text
from tracestore.storage import payloads, record_rows
from tracestore.storage.connection import open_for_writing, transaction
from tracestore.store import Store
from tracestore.upkeep import redact
from tracestore.upkeep.findings import LEFTOVER

SECRET = "swordfish-1234"


def text(number: int, characters: int = 900) -> str:
    """A text like no other, with what JSON escapes."""
    words = f'№{number} said "é\\n" {"" if number % 5 else SECRET} '
    return (words * (characters // len(words) + 1))[:characters]


def history(*numbers: int, role: str = "user") -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": role, "content": text(n)} for n in numbers]}


def record(trace: int, span: int, inputs: bytes | None, outputs: bytes | None) -> Any:
    start = (START_MS + trace * MINUTE_MS) * 10**6
    return (
        _id(trace), f"{span + 1:016x}", None if span == 0 else f"{1:016x}", f"span {span}", "LLM", "OK", None,
        start, start + 10**6, None, None, None, None, inputs, outputs,
    )  # fmt: skip


def _id(trace: int) -> str:
    return f"tr-{trace:032x}"


def write(path: pathlib.Path, spans: list[Any]) -> None:
    traces = [
        record_rows.TraceRecord(
            trace_id, 0, span[7] // 10**6, "t", "OK", 1, None, {}, {}, None, None, {}, {}
        )
        for trace_id, span in {span[0]: span for span in spans}.items()
    ]
    with contextlib.closing(open_for_writing(str(path))) as connection, transaction(connection):
        record_rows.write_records(connection, traces, spans)


def conversation(trace: int, turns: int) -> list[Any]:
    return [
        record(
            trace, turn, encode(history(*range(turn + 1))), encode({"role": "a", "content": "ok"})
        )
        for turn in range(turns)
    ]


def stored(path: pathlib.Path) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """What another SQLite program sees, which knows none of our functions."""
    rows = query(path, "SELECT trace_id, span_id, inputs, outputs FROM span_view")
    return {(trace, span): (inputs, outputs) for trace, span, inputs, outputs in rows}


def meant(spans: list[Any]) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    return {(span[0], span[1]): (as_text(span[-2]), as_text(span[-1])) for span in spans}


def as_text(payload: bytes | None) -> str | None:
    return None if payload is None else payload.decode()


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    payloads._seen.clear()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "traces.db"


def test_a_history_that_is_sent_again_is_in_the_file_once(path: pathlib.Path) -> None:
    spans = conversation(1, 30)
    write(path, spans)

    assert stored(path) == meant(spans)
    kept = one(path, "SELECT sum(length(inputs)) FROM spans")
    parts = one(path, "SELECT sum(length(text)) FROM payloads")
    whole = sum(len(span[-2]) for span in spans)
    assert (kept + parts) < whole / 8
    assert one(path, "SELECT count(*) FROM payloads") == 30
    with Store(path) as store:
        trace = store.get_trace(_id(1))
        assert trace is not None
        assert [span.inputs for span in trace.data.spans] == [json.loads(s[-2]) for s in spans]
        assert store.check() == []


def test_what_is_small_stays_in_its_column(path: pathlib.Path) -> None:
    write(path, [record(1, 0, encode(history(1, 2)), encode("x" * 4_000))])

    assert one(path, "SELECT count(*) FROM payloads") == 0
    assert one(path, "SELECT inputs FROM spans") == encode_text(history(1, 2))


def test_what_comes_once_stays_in_its_column(path: pathlib.Path) -> None:
    spans = [record(1, n, encode(history(*range(20 * n, 20 * n + 9))), None) for n in range(3)]
    write(path, spans)

    assert one(path, "SELECT count(*) FROM payloads") == 0
    assert query(path, "SELECT inputs FROM spans ORDER BY id") == [
        (as_text(span[-2]),) for span in spans
    ]


def test_a_span_that_is_written_open_and_ended_is_no_repetition(path: pathlib.Path) -> None:
    ended = record(1, 0, encode(history(*range(9))), None)
    write(path, [(*ended[:5], "UNSET", None, ended[7], None, *ended[9:])])
    write(path, [ended])

    assert one(path, "SELECT count(*) FROM payloads") == 0


def test_traces_share_and_the_last_one_takes_it_along(path: pathlib.Path) -> None:
    write(path, [*conversation(1, 6), *conversation(2, 8)])
    with Store(path) as store:
        store.delete_traces("0", trace_ids=[_id(1)])
        assert one(path, "SELECT count(*) FROM payloads") == 8
        assert stored(path) == meant(conversation(2, 8))
        store.delete_traces("0", trace_ids=[_id(2)])
        assert one(path, "SELECT count(*) FROM payloads") == 0
        assert one(path, "SELECT count(*) FROM payload_traces") == 0


@pytest.mark.parametrize(
    "value",
    [
        "x" * 5_000,
        [text(n) for n in range(9)],
        [{"a": n} for n in range(2_000)],
        [n / 7 for n in range(2_000)],
        [[{"a": text(1)}, text(2)], [{"a": text(1)}]] * 4,
        {"deep": {"deeper": {"deepest": history(*range(9))}}},
        {text(7, 5_000): {"k": [text(7, 5_000), {"again": text(7, 5_000)}]}},
        {"tool": {"content": text(3, 9_000)}, "s": [{"content": text(3, 9_000)}] * 3},
        {"small": [{"role": "user", "content": f"turn {n}"} for n in range(300)]},
        '\0\u2028é𝄞"\\' * 900,
        "@[1, 2]" * 900,
    ],
)  # fmt: skip
def test_any_value_comes_back_as_it_was(path: pathlib.Path, value: Any) -> None:
    spans = [record(1, n, encode(value), encode([value, n])) for n in range(3)]
    write(path, spans)

    assert stored(path) == meant(spans)
    with Store(path) as store:
        assert store.check() == []


@pytest.mark.parametrize(
    "document",
    [
        '{"messages" : [ {"a": "' + "x" * 3_000 + '"} , {"b": "' + "y" * 3_000 + '"} ] }',
        "@[1]",
        "@" + "no JSON at all " * 900,
        "no JSON at all " * 900,
        '{"a":"' + "x" * 5_000 + '","a":"' + "y" * 5_000 + '"}',
        "[" * 5_000 + "]" * 5_000,
        "{" * 5_000,
    ],
)
def test_text_from_elsewhere_comes_back_character_for_character(
    path: pathlib.Path, document: str
) -> None:
    """A text that looks like references is none: it can't fetch what another trace has."""
    write(path, [*conversation(1, 9), record(2, 0, document.encode(), None)])

    assert stored(path)[_id(2), f"{1:016x}"] == (document, None)


def test_conditions_and_the_text_index_see_the_whole_text(path: pathlib.Path) -> None:
    write(path, [*conversation(1, 9), record(2, 0, encode(history(50)), None)])
    found = {
        "text ILIKE '%№3 SAID%'": 1,
        "text LIKE '%№3 said%'": 1,
        "span.inputs LIKE '%№8%' AND span.name = 'span 8'": 1,
        "span.inputs LIKE '%payload%'": 0,
        "request LIKE '%№0%'": 1,
        "span.content ILIKE '%№8 said%'": 1,
        "text RLIKE '№8 said'": 1,
        "text ILIKE '%said%'": 2,
        "text ILIKE '%nobody said so%'": 0,
    }
    with Store(path) as store:
        for indexed in (False, True):
            if indexed:
                store.index_text()
            for condition, count in found.items():
                assert store.count_traces(condition) == count, (condition, indexed)
    tracestore.set_tracking_uri(str(path))
    frame = tracestore.search_traces(
        filter_string=f"trace_id = '{_id(1)}'",
        extract_fields=["span 8.inputs"],
        return_type="pandas",
    )
    assert frame["span 8.inputs"][0] == history(*range(9))


def test_redaction_takes_a_secret_out_of_what_is_shared_and_out_of_the_bytes(
    path: pathlib.Path,
) -> None:
    write(path, conversation(1, 9))
    assert SECRET.encode() in path.read_bytes()
    with Store(path) as store:
        assert store.redact("trace_id != ''", patterns=[SECRET]).changed > 0
        assert store.check() == []
    assert SECRET not in "".join(inputs or "" for inputs, _ in stored(path).values())
    files = [file for file in path.parent.iterdir() if file.is_file()]
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []


def test_a_redacted_text_is_gone_with_the_transaction_that_redacts_it(path: pathlib.Path) -> None:
    write(path, conversation(1, 9))
    with Store(path) as store:
        redact.redact(store._write, [_id(1)], redact.rules([SECRET], []))
    assert not any(SECRET in kept for (kept,) in query(path, "SELECT text FROM payloads"))


def test_redaction_leaves_what_another_trace_has(path: pathlib.Path) -> None:
    write(path, [*conversation(1, 9), *conversation(2, 9)])
    with Store(path) as store:
        store.redact(f"trace_id = '{_id(1)}'", patterns=[SECRET])
        assert store.check() == []
    seen = stored(path)
    assert {key: value for key, value in seen.items() if key[0] == _id(2)} == meant(
        conversation(2, 9)
    )
    assert not any(SECRET in (value[0] or "") for key, value in seen.items() if key[0] == _id(1))


def test_a_span_that_ends_with_other_inputs_leaves_nothing_after_a_vacuum(
    path: pathlib.Path,
) -> None:
    begun = record(1, 0, encode(history(*range(9))), None)
    before = record(
        2, 0, encode(history(*range(9))), None
    )  # the first time, it stays in its column
    write(path, [before])
    write(path, [(*begun[:5], "UNSET", None, begun[7], None, *begun[9:])])
    assert one(path, "SELECT count(*) FROM payloads") == 9
    ended = record(1, 0, encode(history(*range(20, 29))), encode(history(*range(20, 30))))
    write(path, [ended])
    assert one(path, "SELECT count(*) FROM payloads") == 19
    with Store(path) as store:
        assert store.check() == []
        store.vacuum()
        assert store.check() == []
    assert stored(path) == meant([before, ended])
    assert one(path, "SELECT count(*) FROM payloads") == 10


def test_a_merge_that_takes_nothing_leaves_nothing(path: pathlib.Path) -> None:
    other = path.with_name("other.db")
    here = record(1, 0, encode(history(*range(9))), None)
    write(path, [here])
    write(other, [record(1, 0, encode(history(*range(20, 29))), None)])
    with Store(path) as store:
        for _ in range(2):
            assert store.merge(other).unchanged == 1
        assert store.check() == []
    assert unreferenced(path) == 0
    assert stored(path) == meant([here])


def test_check_names_what_is_lost_and_repair_saves_the_rest(path: pathlib.Path) -> None:
    write(path, [*conversation(1, 9), *conversation(2, 3)])
    query(path, "DELETE FROM payloads WHERE text LIKE '%№2 %'")
    with Store(path) as store:
        messages = {finding.message for finding in store.check()}
        assert "spans.inputs that refer to a payload that is not there" in messages
        assert "spans that are not as they were recorded" in messages
        trace = store.get_trace(_id(1))
        assert trace is not None
        assert "lost" in json.dumps(trace.data.spans[8].inputs)
    new = path.with_name("new.db")
    repaired = tracestore.repair(path, new)
    assert (repaired.traces, repaired.spans) == (2, 12)
    assert repaired.changed_spans
    whole = {key: value for key, value in meant(conversation(2, 3)).items() if key in stored(new)}
    assert stored(new).items() >= whole.items()


def test_repair_of_a_sound_file_loses_nothing(path: pathlib.Path) -> None:
    spans = [*conversation(1, 9), *conversation(2, 12)]
    write(path, spans)
    new = path.with_name("new.db")
    repaired = tracestore.repair(path, new)

    assert (repaired.lost, repaired.lost_values, repaired.changed_spans) == ({}, 0, [])
    assert stored(new) == meant(spans)
    with Store(new) as store:
        assert store.check() == []


def test_what_an_older_file_holds_stays_whole_and_is_kept_once_in_an_extract(
    path: pathlib.Path,
) -> None:
    older = pathlib.Path(__file__).parent / "schemas" / "version_3.sql"
    spans = conversation(1, 9)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(older.read_text(encoding="utf-8"))
        key = connection.execute("SELECT id FROM traces").fetchone()[0]
        connection.executemany(
            "INSERT INTO spans (trace, span_id, name, status, start_time_ns, inputs) VALUES (?, ?, 's', 'OK', ?, ?)",
            [(key, f"a{span[1][1:]}", span[7], as_text(span[-2])) for span in spans],
        )
        connection.commit()
    new = path.with_name("new.db")
    with Store(path) as store:
        store.create_experiment("any")
        assert store.check() == []
        before = stored(path)
        assert one(path, "SELECT count(*) FROM payloads") == 0
        store.extract(None, new)
    assert stored(new) == before
    assert one(new, "SELECT count(*) FROM payloads") == 9


# ------------------------------------------------------------------------------------------ any order

_NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=9)
_STEPS = st.one_of(
    st.tuples(st.just("insert"), st.integers(1, 5), st.integers(0, 2), _NUMBERS),
    st.tuples(st.just("delete"), st.integers(1, 5)),
    st.tuples(st.just("prune"), st.integers(0, 4)),
    st.tuples(st.just("redact"), st.integers(1, 5)),
    st.tuples(st.just("merge"), st.integers(1, 5), st.integers(0, 2), _NUMBERS),
    st.tuples(st.just("extract"), st.integers(1, 5)),
    st.tuples(st.just("vacuum")),
    st.tuples(st.just("index")),
)


class _Model:
    """A file, and what is to be in it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "traces.db"
        self.folder = folder
        self.spans: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        self.files = 0

    def do(self, name: str, *values: Any) -> None:
        getattr(self, name)(*values)

    def insert(self, trace: int, span: int, numbers: list[int]) -> None:
        spans = [record(trace, span, encode(history(*numbers)), encode(history(*numbers[::-1])))]
        write(self.path, spans)
        self.spans |= meant(spans)

    def delete(self, trace: int) -> None:
        with Store(self.path) as store:
            store.delete_traces("0", trace_ids=[_id(trace)])
        self._forget({_id(trace)})

    def prune(self, left: int) -> None:
        with Store(self.path) as store:
            store.prune(max_traces=left)
        traces = sorted({trace for trace, _ in self.spans})
        self._forget(set(traces[: max(0, len(traces) - left)]))

    def redact(self, trace: int) -> None:
        with Store(self.path) as store:
            store.redact(f"trace_id = '{_id(trace)}'", patterns=[SECRET])
        for key, texts in self.spans.items():
            if key[0] == _id(trace):
                one_, two = (t and t.replace(SECRET, "[REDACTED]") for t in texts)
                self.spans[key] = (one_, two)

    def merge(self, trace: int, span: int, numbers: list[int]) -> None:
        other = self._new()
        spans = [record(trace, span, encode(history(*numbers)), None)]
        write(other, spans)
        with Store(self.path) as store:
            store.merge(other)
        self.spans = meant(spans) | self.spans

    def extract(self, trace: int) -> None:
        new = self._new()
        with Store(self.path) as store:
            store.extract(f"trace_id != '{_id(trace)}'", new)
        self.path = new
        self._forget({_id(trace)})

    def vacuum(self) -> None:
        with Store(self.path) as store:
            store.vacuum()

    def index(self) -> None:
        with Store(self.path) as store:
            store.index_text()

    def _forget(self, traces: set[str]) -> None:
        self.spans = {key: texts for key, texts in self.spans.items() if key[0] not in traces}

    def _new(self) -> pathlib.Path:
        self.files += 1
        return self.folder / f"{self.files}.db"


def unreferenced(path: pathlib.Path) -> int:
    """How many payloads no span refers to."""
    used = " UNION ".join(
        f"SELECT p.value FROM spans AS s, json_each(substr(s.{column}, 2)) AS p"
        f" WHERE substr(s.{column}, 1, 1) = '@' AND p.type = 'integer'"
        for column in ("inputs", "outputs")
    )
    count: int = one(path, f"SELECT count(*) FROM payloads WHERE id NOT IN ({used})")
    return count


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=st.lists(_STEPS, min_size=1, max_size=12))
def test_in_any_order_nothing_dangles_and_nothing_is_left(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        payloads._seen.clear()
        model = _Model(pathlib.Path(folder))
        with Store(model.path):
            pass
        for step in steps:
            model.do(*step)
            assert stored(model.path) == model.spans, step
        with Store(model.path) as store:
            assert [each for each in store.check() if each.severity != LEFTOVER] == []
            store.vacuum()
            assert store.check() == []
        assert unreferenced(model.path) == 0
        assert stored(model.path) == model.spans


# ------------------------------------------------------------------------------------------ killed

_CHILD = """
import itertools, pathlib, sys
import tests.test_payloads as t
from tracestore.storage import trace_rows
from tracestore.storage.connection import open_for_writing, transaction
path = pathlib.Path(sys.argv[1])
for trace in itertools.count(1):
    t.write(path, t.conversation(trace, 12))
    if trace % 3 == 0:
        connection = open_for_writing(str(path))
        with transaction(connection):
            keys = [key for key, in connection.execute("SELECT id FROM traces ORDER BY id LIMIT 2")]
            trace_rows.delete_traces(connection, keys)
        connection.close()
    print(trace, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
@pytest.mark.parametrize("traces", [1, 3, 4, 7])
def test_a_process_killed_while_it_writes_and_deletes_leaves_nothing_dangling(
    path: pathlib.Path, traces: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)],
        stdout=subprocess.PIPE,
        cwd=pathlib.Path(__file__).parents[1],
    ) as child:
        assert child.stdout is not None
        for _ in range(traces):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    with Store(path) as store:
        assert store.check() == []
    assert unreferenced(path) == 0
    seen = stored(path)
    traces_seen = {int(trace[3:], 16) for trace, _ in seen}
    assert seen == meant([span for trace in traces_seen for span in conversation(trace, 12)])


def test_a_text_is_one_row_however_many_processes_write_it(path: pathlib.Path) -> None:
    write(path, conversation(0, 2))
    program = "import sys, pathlib, tests.test_payloads as t\n"
    program += "t.write(pathlib.Path(sys.argv[1]), t.conversation(int(sys.argv[2]), 12))"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(number)],
            cwd=pathlib.Path(__file__).parents[1],
        )
        for number in (1, 2)
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    assert one(path, "SELECT count(*) FROM payloads") == 12
    assert one(path, "SELECT count(*) FROM payload_traces") == 24
