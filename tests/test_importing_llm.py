"""Import of the log of the `llm` tool: files made of dumps that llm 0.27.1 and 0.36 wrote with a model of a few lines.

The dumps are without the tables of the full-text search, which are not read.
"""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
from typing import Any

import pytest

from tracestore.entities import Trace
from tracestore.errors import StoreError
from tracestore.importing import import_into
from tracestore.store import Store

DUMPS = pathlib.Path(__file__).parent / "foreign"
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAA="


def log_of(tmp_path: pathlib.Path, version: str, then: str = "") -> str:
    path = tmp_path / f"logs-{version}.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((DUMPS / f"llm_{version}.sql").read_text("utf-8") + then)
    return str(path)


def calls(store: Store) -> list[Trace]:
    return list(store.search_traces(order_by=["timestamp_ms ASC"]))


def said(inputs: Any) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in inputs["messages"]]


@pytest.mark.parametrize("version", ["0_27", "0_36"])
def test_a_log_is_read(recording: Store, tmp_path: pathlib.Path, version: str) -> None:
    path = log_of(tmp_path, version)
    before = pathlib.Path(path).read_bytes()
    imported = import_into(recording, path)
    assert (imported.format, imported.seen, imported.traces) == ("llm", 6, 6)
    assert (imported.spans, imported.skipped) == (6, {})
    first, second, image, novel, asking, answering = calls(recording)

    (span,) = first.data.spans
    assert (span.name, span.span_type) == ("chat fake-1", "CHAT_MODEL")
    assert span.model_name == "gpt-4o-mini-2024-07-18"
    assert span.inputs == {
        "model": "fake-1",
        "temperature": 0.5,
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
    }
    answer = {"role": "assistant", "content": "It is cold."}
    assert span.outputs == {"choices": [{"index": 0, "message": answer}]}
    assert first.info.token_usage is not None
    assert (first.info.token_usage["input_tokens"], first.info.token_usage["output_tokens"]) == (
        12,
        3,
    )
    assert first.info.client_request_id == span.attributes["gen_ai.response.id"]
    assert (first.info.request_preview, first.info.response_preview) == (
        "Why is the sky blue?",
        "It is cold.",
    )

    assert said(second.data.spans[0].inputs) == [("system", "Be short."), ("user", "And at night?")]
    assert first.info.session_id == second.info.session_id != image.info.session_id
    ((_, parts),) = said(image.data.spans[0].inputs)
    assert parts == [
        {"type": "text", "text": "What is this? key [redacted]"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}},
    ]
    assert said(novel.data.spans[0].inputs) == [
        ("system", "In Norwegian."),
        ("user", "A long novel.\nSum up"),
    ]
    (call,) = asking.data.spans[0].outputs["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert asking.data.spans[0].inputs["tools"][0]["function"]["name"] == "weather"
    assert said(answering.data.spans[0].inputs) == [("tool", "-3 in Oslo")]

    assert import_into(recording, path).present == 6
    assert len(calls(recording)) == 6
    assert pathlib.Path(path).read_bytes() == before


def test_what_took_time_took_it(recording: Store, tmp_path: pathlib.Path) -> None:
    import_into(recording, log_of(tmp_path, "0_27", "UPDATE responses SET duration_ms = 1500;"))
    assert {found.info.execution_duration for found in calls(recording)} == {1500}


def test_a_response_in_both_forms_is_one(recording: Store, tmp_path: pathlib.Path) -> None:
    then = """
        INSERT INTO responses (id, model, prompt, response, datetime_utc)
        SELECT id, model, 'again', 'twice', datetime_utc FROM turns LIMIT 1;
        INSERT INTO responses (id, model, prompt, response, datetime_utc, duration_ms)
        VALUES ('older', 'm', 'hello', 'there', '2024-01-01T00:00:00', 5);"""
    imported = import_into(recording, log_of(tmp_path, "0_36", then))
    assert (imported.seen, imported.traces) == (7, 7)
    assert calls(recording)[0].info.request_preview == "hello"
    assert "twice" not in [found.info.response_preview for found in calls(recording)]


HOSTILE = """
UPDATE messages SET parent_hash = tip FROM (SELECT hash AS tip, role AS r FROM messages) WHERE role = r;
UPDATE turns SET datetime_utc = 'never', duration_ms = 9e300 WHERE rowid = 1;
UPDATE turns SET options_json = '[[' WHERE rowid = 2;
UPDATE turns SET input_tokens = 'many', model = x'ff00', token_details = '[]' WHERE rowid = 3;
UPDATE turns SET thread_id = NULL, parent_message_hash = tip_message_hash WHERE rowid = 4;
UPDATE parts SET payload = '{"text_ref": 7}', type = 'text' WHERE id > 12;
UPDATE attachments SET content = zeroblob(3000000), type = NULL;
"""


def test_a_hostile_log_costs_its_own_rows(recording: Store, tmp_path: pathlib.Path) -> None:
    imported = import_into(recording, log_of(tmp_path, "0_36", HOSTILE))
    assert imported.seen == 6
    assert imported.skipped["responses that can't be read"] >= 2
    assert imported.traces == 6 - imported.skipped["responses that can't be read"]
    assert len(calls(recording)) == imported.traces


def test_another_file_is_refused(recording: Store, tmp_path: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.executescript("CREATE TABLE responses (id); CREATE VIEW turns AS SELECT 1;")
    with pytest.raises(StoreError, match="no log of llm"):
        import_into(recording, str(tmp_path / "other.db"), "llm")
    views = "DROP TABLE responses; CREATE VIEW responses AS SELECT 1;"
    with pytest.raises(StoreError, match="no log of llm"):
        import_into(recording, log_of(tmp_path, "0_27", views), "llm")
