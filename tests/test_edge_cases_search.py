"""Edge cases 88 to 115: the filter language, the client, the command line and integrations."""

from __future__ import annotations

import importlib
import json
import time
from typing import Any

import pandas as pd
import pytest

import tracestore
from tests.capture_traces import only_trace
from tests.cli_program import run
from tests.edge_cases import CASES, COUNT, better, differs, follows
from tests.guides.openai_server import API_KEY, openai_server
from tracestore import MlflowClient, tracing
from tracestore.entities import SpanType
from tracestore.errors import AlreadyExistsError, FilterSyntaxError, InvalidArgumentError
from tracestore.store import Store


def record(name: str = "s", inputs: Any = None, **tags: str) -> str:
    with tracestore.start_span(name) as span:
        if inputs is not None:
            span.set_inputs(inputs)
        tracestore.update_current_trace(tags=tags)
    return span.trace_id


# The filter language ------------------------------------------------------------------------------------------


@follows(88)
def test_088_unequal_leaves_out_what_lacks_the_tag(recording: Store) -> None:
    record(k="v")
    record(k="w")
    record()
    assert recording.count_traces("tags.k != 'v'") == 1


@better(
    89,
    mlflow="`tags.name` is the trace's name",
    why="a tag is asked for by its key, whatever it is",
)
@pytest.mark.parametrize("key", ["name", "text", "timestamp", "run_id", "prompt"])
def test_089_a_tag_of_any_key_can_be_searched(recording: Store, key: str) -> None:
    with tracestore.start_span("s"):
        tracestore.update_current_trace(tags={key: "tagged"})
    assert recording.count_traces(f"tags.{key} = 'tagged'") == 1


@better(
    90, mlflow="`name IN` and `tags.k IN` are errors", why="every comparison works on every text"
)
def test_090_in_works_on_every_text(recording: Store) -> None:
    trace_id = record("a", k="v")
    for text in (
        "name IN ('a', 'b')",
        "status IN ('OK')",
        f"request_id IN ('{trace_id}')",
        "tags.k IN ('v')",
    ):
        assert recording.count_traces(text) == 1


@better(
    91,
    92,
    mlflow="only `trace.text`, and of the JSON with its escapes",
    why="text is what a person reads",
)
def test_091_092_text_is_searched_as_it_reads(recording: Store) -> None:
    record(inputs={"q": 'say "hello"'})
    for text in (
        "text LIKE '%hello%'",
        "trace.text LIKE '%hello%'",
        "trace.text LIKE '%\"hello\"%'",
    ):
        assert recording.count_traces(text) == 1


@better(93, mlflow="`=` finds nothing, `!=` everything", why="the attribute's value is compared")
def test_093_attributes_of_spans_are_compared(recording: Store) -> None:
    with tracestore.start_span("s", attributes={"model": "gpt-4"}):
        pass
    for operator, count in {
        "= 'gpt-4'": 1,
        "!= 'gpt-4'": 0,
        "LIKE 'gpt%'": 1,
        "RLIKE '^gpt-4$'": 1,
    }.items():
        assert recording.count_traces(f"span.attributes.model {operator}") == count


@follows(94)
def test_094_unequal_of_a_span_means_some_span(recording: Store) -> None:
    with tracestore.start_span("x"), tracestore.start_span("y"):
        pass
    assert recording.count_traces("span.name != 'x'") == 1


@better(
    95,
    mlflow="ILIKE folds ASCII, `\\%` is no escape, a bad pattern finds nothing",
    why="as databases have it",
)
def test_095_patterns(recording: Store) -> None:
    record("Äpfel 100%")
    assert recording.count_traces("name LIKE 'ä%'") == 0
    assert recording.count_traces("name ILIKE 'ä%'") == 1
    assert recording.count_traces(r"name LIKE '%100\%'") == 1
    with pytest.raises(FilterSyntaxError):
        recording.count_traces("name RLIKE '('")


@better(96, mlflow="`'it''s'` never matches", why="a doubled quote stands for one, as in SQL")
def test_096_quotes_within_quotes(recording: Store) -> None:
    record("it's")
    assert recording.count_traces("name = 'it''s'") == 1
    assert recording.count_traces('name = "it\'s"') == 1


@better(97, mlflow="a missing AND is taken for one", why="what is missing may have been an OR")
def test_097_a_missing_and_is_said(recording: Store) -> None:
    with pytest.raises(FilterSyntaxError):
        recording.count_traces("status = 'OK' tags.env = 'prod'")


@better(98, mlflow="errors, depending on the name", why="all names of one field take the same")
@pytest.mark.parametrize("value", ["1000.5", "'2024-01-01'", "0"])
@pytest.mark.parametrize("field", ["timestamp", "timestamp_ms"])
def test_098_times_are_numbers_or_dates(recording: Store, field: str, value: str) -> None:
    record()
    assert recording.count_traces(f"{field} > {value}") == 1


@better(
    99,
    mlflow="`end_time` and `client_request_id` can't be ordered by",
    why="fields that can be searched can be ordered by",
)
def test_099_orders(recording: Store) -> None:
    record("b")
    record("A")
    for order in (["end_time DESC"], ["client_request_id"]):
        assert len(recording.search_traces(order_by=order)) == 2
    assert [t.info.name for t in recording.search_traces(order_by=["name"])] == ["A", "b"]


@better(100, mlflow="an error about key `t`", why="one item needs no list")
def test_100_an_order_may_be_one_text(recording: Store) -> None:
    record()
    assert len(recording.search_traces(order_by="timestamp")) == 1


@better(101, mlflow="a blank filter is an error", why="blank is empty")
@pytest.mark.parametrize("text", ["", " ", None])
def test_101_no_filter_is_every_trace(recording: Store, text: str | None) -> None:
    record()
    assert recording.count_traces(text) == 1


@better(102, mlflow="nothing", why="what can't be true is a mistake, and said")
def test_102_a_length_of_time_is_no_text(recording: Store) -> None:
    with pytest.raises(FilterSyntaxError):
        recording.count_traces("execution_time > 'abc'")


@follows(103)
def test_103_a_field_that_is_none_is_refused(recording: Store) -> None:
    record()
    assert recording.path
    with pytest.raises(InvalidArgumentError):
        tracestore.search_traces(extract_fields=["a.foo"])


@follows(104)
def test_104_an_empty_frame_has_its_columns(recording: Store) -> None:
    assert recording.path
    frame = tracestore.search_traces()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:4] == ["trace_id", "trace", "client_request_id", "state"]
    assert (len(frame.columns) >= 12, len(frame)) == (True, 0)


# Client, command line and integrations ------------------------------------------------------------------------


@follows(105)
def test_105_deleting_nothing_is_refused_and_an_unknown_id_counts_none(recording: Store) -> None:
    client = MlflowClient()
    with pytest.raises(InvalidArgumentError):
        client.delete_traces("0", trace_ids=[])
    assert client.delete_traces("0", trace_ids=["tr-unknown"]) == 0
    assert recording.path


@follows(106)
def test_106_an_experiment_is_made_once_and_its_id_is_text(recording: Store) -> None:
    assert isinstance(tracestore.create_experiment("x"), str)
    with pytest.raises(AlreadyExistsError):
        tracestore.create_experiment("x")
    assert recording.path


@follows(107)
def test_107_the_older_keyword_works_with_a_warning(recording: Store) -> None:
    trace_id = record()
    with pytest.warns(FutureWarning):
        assert tracestore.get_trace(request_id=trace_id) is not None  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="older name"):
        tracestore.get_trace(trace_id, request_id=trace_id)  # type: ignore[call-arg]
    assert recording.path


@better(
    108,
    mlflow="durations N/A, JSON crashes on a full page, tracebacks",
    why="the command line is tested as it is used",
)
def test_108_the_command_line_prints_durations_pages_and_errors(recording: Store) -> None:
    for _ in range(3):
        record()
    tracestore.flush()
    table = run("search", "--db", recording.path)
    assert "N/A" not in table.out
    page = run("search", "--db", recording.path, "--max-results", "3", "--json")
    assert len(json.loads(page.out)["traces"]) == 3
    missing = run("show", "tr-missing", "--db", recording.path)
    assert (missing.code, "Traceback" in missing.err) == (1, False)


@better(
    109,
    mlflow="arguments are also attributes, once more",
    why="each argument is kept once, among the inputs",
)
def test_109_a_chat_is_named_by_its_class(recording: Store) -> None:
    openai = pytest.importorskip("openai")
    tracestore.openai.autolog()
    try:
        with (
            openai_server() as url,
            openai.OpenAI(base_url=url, api_key=API_KEY, max_retries=0) as client,
        ):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    finally:
        tracestore.openai.autolog(disable=True)
    [span] = only_trace(recording).data.spans
    assert (span.name, span.span_type) == ("Completions", SpanType.CHAT_MODEL)
    assert span.inputs["model"] == "m"


@better(
    110,
    mlflow="cached tokens are added to Anthropic's input tokens",
    why="tokens are those that the span reports",
)
def test_110_tokens_are_those_that_are_reported(recording: Store) -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6, "cache_read_input_tokens": 3}
    with tracestore.start_span("Messages.create") as span:
        span.set_attribute("mlflow.chat.tokenUsage", usage)
    assert only_trace(recording).info.token_usage == usage


@differs(
    111,
    mlflow="LangGraph's `thread_id` becomes the session",
    why="a session is what the program says",
)
def test_111_a_session_is_said_by_the_program(recording: Store) -> None:
    with tracestore.start_span("LangGraph"):
        tracestore.update_current_trace(session_id="thread-1")
    assert recording.count_traces("session = 'thread-1'") == 1


@better(
    112, mlflow="nothing is rendered without a server", why="a trace shows itself from its file"
)
def test_112_a_trace_shows_itself_in_a_notebook(recording: Store) -> None:
    record("shown")
    bundle = only_trace(recording)._repr_mimebundle_()
    assert "shown" in str(bundle)


@follows(113)
def test_113_a_malformed_header_does_not_raise(recording: Store) -> None:
    with tracing.set_tracing_context_from_http_request_headers({"traceparent": "zzz"}):
        record()
    assert only_trace(recording).data.spans[0].parent_id is None


@better(
    114,
    mlflow="tags stop the export to OpenTelemetry",
    why="what is stored does not depend on where else it goes",
)
def test_114_tags_are_kept_whatever_the_environment_exports(
    recording: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    record(env="prod")
    assert recording.count_traces("tags.env = 'prod'") == 1


@better(115, mlflow="5 to 7 s", why="a new file is one transaction")
def test_115_the_first_trace_of_a_new_file_is_soon_there(recording: Store) -> None:
    begun = time.perf_counter()
    record()
    assert len(recording.search_traces()) == 1
    assert time.perf_counter() - begun < 2.0  # about 0.05; a busy machine may take more


def test_every_case_has_its_test() -> None:
    for part in ("records", "spans"):  # each registers its cases when it is imported
        importlib.import_module(f"tests.test_edge_cases_{part}")
    assert sorted(CASES) == list(range(1, COUNT + 1))
    assert all(case.reason and case.mlflow for case in CASES.values() if case.verdict != "follows")
