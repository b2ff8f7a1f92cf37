"""Redaction: secrets by name and by shape, on the way in; nothing ordinary is touched; linear in time."""

from __future__ import annotations

import itertools
import json
import pathlib
import sys
import threading
import time
from typing import Any

import click.testing
import hypothesis
import hypothesis.strategies as st
import msgspec
import pytest

import tracestore
from tests.guides.running import recording_into
from tests.upkeep_store import one, query
from tracestore import cli, redaction
from tracestore.entities import Feedback
from tracestore.redaction import clean_json_text, clean_plain, is_secret_name
from tracestore.runtime import runtime
from tracestore.store import Store
from tracestore.upkeep.spans_check import CHANGED

#: Made up, in the shapes of the real ones.
SECRETS = {
    "openai": "sk-proj-Abc123Def456Ghi789Jkl012",
    "anthropic": "sk-ant-api03-Abc123Def456Ghi789",
    "stripe": "sk_live_Abc123Def456Ghi789",
    "github": "ghp_Abc123Def456Ghi789Jkl012Mno345",
    "github fine": "github_pat_Abc123Def456Ghi789Jkl012Mno345",
    "gitlab": "glpat-Abc123Def456Ghi789",
    "aws": "AKIAABCDEFGHIJKLMNOP",
    "google": "AIzaSyAbc123Def456Ghi789Jkl012Mno345Pqr",
    "slack": "xoxb-123456789012-abcdef",
    "hugging face": "hf_Abc123Def456Ghi789Jkl012",
    "signed web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "bearer": "Bearer Abc123Def456Ghi789",
    "bearer in capitals": "BEARER Abc123Def456Ghi789",
    "basic": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "groq": "gsk_Abc123Def456Ghi789Jkl012Mno345",
    "xai": "xai-Abc123Def456Ghi789Jkl012Mno345",
    "perplexity": "pplx-Abc123Def456Ghi789Jkl012Mno345",
    "nvidia": "nvapi-Abc123Def456Ghi789Jkl012Mno345",
    "tavily": "tvly-dev-Abc123Def456Ghi789Jkl012",
    "replicate": "r8_Abc123Def456Ghi789Jkl012Mno345",
    "langsmith": "lsv2_pt_Abc123Def456Ghi789Jkl012_Mno345",
    "pinecone": "pcsk_Abc123_Def456Ghi789Jkl012Mno345",
    "npm": "npm_Abc123Def456Ghi789Jkl012Mno345",
    "pypi": "pypi-AgEIcHlwaS5vcmcAbc123Def456Ghi789",
    "webhook": "whsec_Abc123Def456Ghi789Jkl012",
    "google client": "GOCSPX-Abc123Def456Ghi789Jkl012",
    "slack application": "xapp-1-Abc123Def456-Ghi789",
    "environment": "COHERE_API_KEY=Abc123Def456Ghi789",
    "header": "x-api-key: Abc123Def456Ghi789",
    "header with a scheme": "Authorization: token Abc123Def456Ghi789",
    "header alone": "authorization: Abc123Def456Ghi789",
    "aws secret": "AWS_SECRET_ACCESS_KEY=Abc123Def456Ghi789/Jkl012",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
}
LOGINS = (
    "postgresql+psycopg://app:s3cr%23t!@db.example.com:5432/main",
    "https://user:hunter2@example.com/path?q=1",
    "redis://:hunter2@localhost:6379/0",
    "mongodb+srv://root:p4ss@cluster0.example.net",
)
NAMES = (
    *("api_key", "X-API-Key", "Authorization", "password", "client_secret", "OPENAI_API_KEY"),
    *("GITHUB_TOKEN", "hf_token", "id_token", "X-Amz-Security-Token", "Ocp-Apim-Subscription-Key"),
)


def may_hold_secret(text: str) -> bool:
    return redaction.may_hold_secret(text.encode())


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_known_shapes_are_replaced_wherever_they_are(secret: str) -> None:
    for text in (secret, f"use {secret} for it", f"({secret})"):
        assert may_hold_secret(json.dumps(text))
        cleaned = clean_plain(text)
        assert "Abc123" not in cleaned
        assert redaction.REDACTED in cleaned
        assert (
            secret not in json.loads(clean_json_text(json.dumps({"a": [{"b": text}]})))["a"][0]["b"]
        )


@pytest.mark.parametrize("address", LOGINS)
def test_the_password_in_an_address_is_replaced_and_the_rest_stays(address: str) -> None:
    before, _, rest = address.rpartition("@")
    wanted = f"{before.rpartition(':')[0]}:{redaction.REDACTED}@{rest}"
    for template in ("{}", "connect to {} now", "DSN={};", '["{}"]'):
        text = template.format(address)
        assert may_hold_secret(json.dumps({"text": text}))
        assert clean_plain(text) == template.format(wanted)
        assert (
            clean_json_text(json.dumps({"text": text}))
            == msgspec.json.encode({"text": template.format(wanted)}).decode()
        )


@pytest.mark.parametrize("name", NAMES)
def test_values_of_telling_names_are_replaced(name: str) -> None:
    text = json.dumps({"headers": {name: "hunter2"}, "nested": [{name: {"a": "hunter2"}}]})
    cleaned = clean_json_text(text)
    assert is_secret_name(name)
    assert may_hold_secret(text)
    assert "hunter2" not in cleaned
    assert json.loads(cleaned)["headers"] == {name: "[redacted]"}


@pytest.mark.parametrize("name", ["api_key", "api-key", "apikey", "access_token", "passwd"])
def test_telling_names_in_prose_are_noticed(name: str) -> None:
    for text in (
        f"with {name}: hunter2-hunter2",
        f"with {name.upper()} = hunter2-hunter2",
        f"with {name}=hunter2-hunter2",
    ):
        assert may_hold_secret(json.dumps({"text": text}))
        assert "hunter2" not in clean_json_text(json.dumps({"text": text}))


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("name", ["password", "API_KEY", "authorization"])
def test_a_name_is_seen_through_levels_of_json_within_text(name: str, depth: int) -> None:
    value = {name: "hunter2"}
    for _ in range(depth):
        value = {"arguments": json.dumps(value, separators=(",", ":"))}
    text = json.dumps(value)
    assert may_hold_secret(text)
    assert "hunter2" not in clean_json_text(text)


def test_values_of_telling_names_are_replaced_in_json_within_text() -> None:
    inner = json.dumps({"headers": {"x-api-key": "hunter2"}}, separators=(",", ":"))
    text = json.dumps({"input.value": inner})
    assert may_hold_secret(text)
    assert json.loads(json.loads(clean_json_text(text))["input.value"]) == {
        "headers": {"x-api-key": "[redacted]"}
    }


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 5, "usage": {"total_tokens": 3}, "tokenizer": "bpe"},
        {"logprobs": [{"token": " Hello", "logprob": -0.1}]},
        {"text": "the secret of a good password is length; risk-free; ask-me; a key: value"},
        {"id": "chatcmpl-9xyz", "monkey": "banana", "keyboard": "qwerty"},
        {"session": "s-1", "finish_reason": "stop", "secret": None, "password": ""},
        {"commit": "4a5145f142f8054965993fee05ba3ea0268a3046"},
    ],
)
def test_ordinary_values_stay_as_they_are(value: Any) -> None:
    text = json.dumps(value)
    assert clean_json_text(text) == text
    if "secret" not in value:  # the names are there, the values are not
        assert not may_hold_secret(json.dumps(value, separators=(",", ":")))


@pytest.mark.parametrize(
    "text",
    [
        "a basic understanding; Basic input/output; bearer authentication; Basic line-wrapping",
        "password = getpass.getpass()\npassword=settings['a']; api_key = os.environ[name]",
        "authorization = base64.decodebytes(text); Authorization: required; key: value-of-it",
        "git@github.com:a/b.git https://example.com:8080/@scope/x postgresql://{user}:{password}@{host}",
        "mail ada@example.com; ssh://git@example.com:22/x; http://h/a:b@c; postgres://u:$PASSWORD@h",
        "risk-averse-and-more, xai-is-one, r8_a, hf_x, npm_config, asterisk-and-others-of-it",
    ],
)
def test_prose_and_code_stay_as_they_are(text: str) -> None:
    assert clean_plain(text) == text


def test_every_place_of_a_trace_is_clean_in_the_bytes_of_the_file(tmp_path: pathlib.Path) -> None:
    key = SECRETS["openai"]
    with recording_into(tmp_path / "traces.db") as store:
        with (  # noqa: PT012 - one scenario
            pytest.raises(RuntimeError),
            tracestore.start_span(
                "call", attributes={"api_key": "hunter2-hunter2", "note": key}
            ) as span,
        ):
            tracestore.update_current_trace(
                tags={"key": key}, metadata={"password": "hunter2-hunter2"}
            )
            span.set_inputs({"headers": {"Authorization": "hunter2-hunter2"}, "text": f"a {key}"})
            span.set_outputs([key])
            store.get_trace(span.trace_id)  # written while it runs
            raise RuntimeError(f"refused {key}")
        store.flush()
        (found,) = store.search_traces("status = 'ERROR'")
        assert found.data.spans[0].inputs["text"] == "a [redacted]"
        assert found.info.request_preview is not None
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (key, "hunter2"):
        assert secret.encode() not in written


def test_what_is_said_of_a_trace_later_is_clean_in_the_bytes_of_the_file(
    tmp_path: pathlib.Path,
) -> None:
    key = SECRETS["anthropic"]
    with recording_into(tmp_path / "traces.db") as store:
        with tracestore.start_span("call") as span:
            store.set_trace_tag(span.trace_id, "running", key)
        store.flush()
        store.set_trace_tag(span.trace_id, "key", f"is {key}")
        store.set_trace_tag(span.trace_id, "password", "hunter2")
        store.set_metadata([span.trace_id], "key", key)
        store.set_experiment_tag("0", "key", key)
        said = store.log_feedback(
            span.trace_id,
            "f",
            {"api_key": "hunter2", "text": key},
            rationale=key,
            metadata={"k": key},
        )
        store.log_feedback(span.trace_id, "failed", error=ValueError(f"refused {key}"))
        store.log_expectation(span.trace_id, "e", key, metadata={"secret": "hunter2"})
        store.override_feedback(span.trace_id, said.assessment_id or "", key, rationale=f"a {key}")
        store.update_assessment(
            span.trace_id, said.assessment_id or "", Feedback(name="f", value=[key], rationale=key)
        )
        found = store.get_trace(span.trace_id)
        assert found.info.tags["key"] == "is [redacted]"
        expected: Any = found.search_assessments("e")[0]
        assert expected.value == "[redacted]"
        assert store.count_traces("expectation.e = '[redacted]'") == 1
        store.flush()
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (key, "hunter2"):
        assert secret.encode() not in written


def test_the_mode_without_content_keeps_what_was_said_of_a_trace(recording: Store) -> None:
    runtime.configure(content=False)
    with tracestore.start_span("call") as span:
        pass
    recording.log_feedback(span.trace_id, "polite", "very", rationale="it greets")
    found: Any = recording.get_trace(span.trace_id).search_assessments("polite")[0]
    assert (found.value, found.rationale) == ("very", "it greets")


def test_the_switch_turns_it_off(recording: Store) -> None:
    runtime.configure(redact=False)
    with tracestore.start_span("call") as span:
        span.set_inputs({"api_key": "hunter2"})
    assert recording.get_trace(span.trace_id).data.spans[0].inputs == {"api_key": "hunter2"}


def test_the_mode_without_content_keeps_what_happened(recording: Store) -> None:
    runtime.configure(content=False)
    with pytest.raises(ValueError, match="words"), tracestore.start_span("call") as span:  # noqa: PT012 - one scenario
        span.set_inputs("words")
        span.set_outputs("words")
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.input.messages": '[{"role": "user", "content": "words"}]',
                "gen_ai.usage.input_tokens": 3,
                "gen_ai.request.model": "m",
            }
        )
        raise ValueError("words")
    found = recording.get_trace(span.trace_id)
    assert "words" not in found.to_json()
    (stored,) = found.data.spans
    assert (stored.span_type, stored.model_name) == ("CHAT_MODEL", "m")
    assert stored.events[0].attributes == {"exception.type": "ValueError"}
    assert found.info.token_usage is not None
    assert found.info.request_preview is None


@hypothesis.given(st.recursive(st.text() | st.integers() | st.none(), lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=10))  # fmt: skip
def test_cleaning_twice_changes_nothing_more(value: Any) -> None:
    once = clean_json_text(json.dumps({"api_key": value, "text": value}))
    assert clean_json_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "sk-" * 100_000,
        "eyJ" * 100_000,
        "eyJ" + "a" * 300_000,
        ("eyJ" + "a" * 20 + ".") * 10_000,
        "-----BEGIN PRIVATE KEY-----" * 10_000,
        "Bearer " * 50_000,
        "password=" * 40_000,
        "a://" * 75_000,
        "a" * 300_000 + "://x:y@",
        " " * 300_000 + "Bearer",
    ],
)
def test_hostile_text_costs_linear_time(text: str) -> None:
    started = time.perf_counter()
    clean_plain(text[: len(text) // 4])
    quarter_s = time.perf_counter() - started
    started = time.perf_counter()
    clean_plain(text)
    whole_s = time.perf_counter() - started
    assert whole_s < 8 * quarter_s + 0.5  # four times as long, in four times the time or so


def test_stored_secrets_are_wiped_from_the_bytes_of_the_file(recording: Store) -> None:
    runtime.configure(redact=False)
    key, mail = SECRETS["anthropic"], "ada@example.org"
    for number in range(30):
        with tracestore.start_span("call", attributes={"note": key}) as span:
            tracestore.update_current_trace(tags={"number": number, "key": key})
            span.set_inputs({"email": mail, "text": f"{number} {key}" + "x" * 9_000})
            span.set_outputs("fine")
        recording.log_feedback(span.trace_id, "quality", 1, rationale=f"used {key}")
    recording.flush()
    recording.index_text()
    assert recording.count_traces(f"text LIKE '%{key}%'") == 30
    done = recording.redact(names=["email"])
    assert (done.traces, done.changed >= 90) == (30, True)
    assert recording.redact(names=["email"]).changed == 0
    found = recording.search_traces("span.attributes.note = '[redacted]'", max_results=1)[0]
    assert found.data.spans[0].inputs["email"] == "[redacted]"
    assert found.data.spans[0].outputs == "fine"
    for text in (key, mail):
        assert recording.count_traces(f"text LIKE '%{text}%'") == 0
        for path in pathlib.Path(recording.path).parent.glob("*"):
            if path.is_file():
                assert text.encode() not in path.read_bytes(), path
    assert recording.check() == []  # the checksums are of what is there now
    with pytest.raises(tracestore.TracestoreError, match="can't be read"):
        recording.redact(patterns=["("])


@pytest.mark.parametrize("pattern", ["", "x*", "$"])
def test_pattern_that_matches_no_text_is_refused_before_it_replaces(
    recording: Store, pattern: str
) -> None:
    with tracestore.start_span("root") as span:
        span.set_inputs("a text")
    with pytest.raises(tracestore.TracestoreError, match="where there is no text"):
        recording.redact(patterns=[pattern])
    with pytest.raises(tracestore.TracestoreError, match="list of texts"):
        recording.redact(patterns="secret")
    assert recording.redact(patterns=[r"\b", "(?=t)"]).changed == 0
    assert recording.search_traces()[0].data.spans[0].inputs == "a text"


def test_tags_that_another_thread_sets_meanwhile_are_copied_whole() -> None:
    tags = {f"kept {number}": "value" for number in range(2_000)}
    stop = threading.Event()

    def change() -> None:
        for number in itertools.cycle(range(5_000)):
            tags[f"new {number}"] = "value"
            tags.pop(f"new {(number - 2_500) % 5_000}", None)
            if stop.is_set():
                return

    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            assert sum(key.startswith("kept") for key in redaction.clean_texts(tags)) == 2_000
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(switch_s)


def test_redaction_does_not_hide_that_a_span_was_damaged(recording: Store) -> None:
    runtime.configure(redact=False)
    for name in ("damaged", "older"):
        with tracestore.start_span(name) as span:
            span.set_inputs({"email": "ada@example.org", "n": 1})
    recording.flush()
    query(recording.path, "UPDATE spans SET end_time_ns = end_time_ns + 1 WHERE name = 'damaged'")
    query(recording.path, "UPDATE spans SET checksum = NULL WHERE name = 'older'")

    assert recording.redact(names=["email"]).changed == 2
    [finding] = recording.check()
    assert (finding.message, finding.count) == (CHANGED, 1)
    assert one(recording.path, "SELECT checksum FROM spans WHERE name = 'older'") is None


def test_the_command_asks_before_it_replaces(recording: Store) -> None:
    with tracestore.start_span("call") as span:
        span.set_inputs("card 1234123412341234")
    tracestore.flush()
    command = ["redact", "--pattern", "[0-9]{16}", "--db", recording.path]

    refused = click.testing.CliRunner().invoke(cli.main, command)
    assert (refused.exit_code, "nobody to ask" in refused.output) == (2, True)
    assert "1234123412341234" in str(recording.search_traces()[0].to_dict())
    assert click.testing.CliRunner().invoke(cli.main, [*command, "--yes"]).exit_code == 0
    assert "1234123412341234" not in str(recording.search_traces()[0].to_dict())
