"""Programs: search, its order, pages and limits, data frames, and deleting."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, program

_START_NS = 1_700_000_000_000_000_000


def _record(mlflow: Any, count: int = 6) -> list[str]:
    """Record traces a second apart, with names, states, tags and durations that differ."""
    ids = []
    for i in range(count):
        start = _START_NS + i * 1_000_000_000
        root = mlflow.start_span_no_context(
            f"t{i % 3}",
            inputs={"i": i},
            tags={"n": str(i), "even": str(i % 2 == 0)},
            metadata={"half": str(i < count // 2)},
            start_time_ns=start,
        )
        child = mlflow.start_span_no_context(
            "llm" if i % 2 else "tool",
            "LLM" if i % 2 else "TOOL",
            parent_span=root,
            start_time_ns=start,
        )
        child.end(outputs={"o": i}, end_time_ns=start + 1_000_000)
        root.end(
            outputs=i,
            status="ERROR" if i == 1 else "OK",
            end_time_ns=start + (count - i) * 10_000_000,
        )
        ids.append(str(root.trace_id))
    mlflow.flush_trace_async_logging()
    return ids


def _numbers(traces: Any) -> list[int]:
    return [int(trace.info.tags["n"]) for trace in traces]


@program()
def everything_newest_first(mlflow: Any, see: See) -> None:
    _record(mlflow)
    traces = mlflow.search_traces(return_type="list", flush=True)
    see("order", _numbers(traces))
    see("spans", [[span.name for span in trace.data.spans] for trace in traces])


@program()
def orders(mlflow: Any, see: See) -> None:
    _record(mlflow)
    for order in (
        ["timestamp_ms ASC"],
        ["timestamp_ms DESC"],
        ["execution_time_ms DESC"],
        ["execution_time ASC"],
        ["name ASC", "timestamp_ms DESC"],
        ["name DESC", "timestamp_ms ASC"],
        ["status ASC", "timestamp_ms ASC"],
        ["tags.n DESC"],
        ["timestamp"],
        [],
        None,
    ):
        see.result(
            str(order),
            lambda o=order: _numbers(mlflow.search_traces(order_by=o, return_type="list")),
        )
    see.result(
        "unknown", lambda: _numbers(mlflow.search_traces(order_by=["zzz"], return_type="list"))
    )
    see.result(
        "direction",
        lambda: _numbers(mlflow.search_traces(order_by=["timestamp_ms UP"], return_type="list")),
    )


@program()
def limits(mlflow: Any, see: See) -> None:
    _record(mlflow)
    for limit in (None, 0, -1, 1, 3, 100):
        see.result(
            f"fluent {limit}",
            lambda n=limit: _numbers(mlflow.search_traces(max_results=n, return_type="list")),
        )
    client, here = mlflow.MlflowClient(), [mlflow.set_experiment("searches.limits").experiment_id]
    for limit in (0, 1, 3, 50_000, 50_001):
        see.result(
            f"client {limit}",
            lambda n=limit: _numbers(client.search_traces(locations=here, max_results=n)),
        )


@program()
def pages(mlflow: Any, see: See) -> None:
    _record(mlflow, 7)
    client, here = mlflow.MlflowClient(), [mlflow.set_experiment("searches.pages").experiment_id]
    token, seen = None, []
    for _ in range(10):
        page = client.search_traces(
            locations=here, max_results=3, page_token=token, order_by=["timestamp_ms ASC"]
        )
        seen.append(_numbers(page))
        token = page.token
        if not token:
            break
    see("pages", seen)
    see.result("bad token", lambda: client.search_traces(locations=here, page_token="zzz"))
    see(
        "all in one page",
        [
            _numbers(client.search_traces(locations=here)),
            client.search_traces(locations=here).token,
        ],
    )


@program()
def a_page_that_is_exactly_full(mlflow: Any, see: See) -> None:
    _record(mlflow, 4)
    here = [mlflow.set_experiment("searches.a_page_that_is_exactly_full").experiment_id]
    page = mlflow.MlflowClient().search_traces(locations=here, max_results=4)
    see("token", page.token is None)


@program()
def filters(mlflow: Any, see: See) -> None:
    _record(mlflow)
    for text in (
        "status = 'ERROR'",
        "status != 'ERROR'",
        "name = 't1'",
        "name LIKE 't%'",
        "tags.even = 'True'",
        "tags.n != '3'",
        "metadata.half = 'True'",
        "execution_time_ms > 30",
        "execution_time_ms <= 30 AND status = 'OK'",
        "timestamp_ms >= 1700000003000",
        "span.name = 'llm'",
        "span.type = 'TOOL'",
        "span.type = 'TOOL' AND tags.n = '2'",
        "tags.missing = 'x'",
        "tags.missing IS NULL",
        "tags.n IS NOT NULL AND name = 't2'",
        "",
        None,
        "nonsense",
        "tags.n = 3",
        "name = ",
        "status = 'OK' OR name = 't1'",
    ):
        see.result(
            str(text),
            lambda t=text: _numbers(mlflow.search_traces(filter_string=t, return_type="list")),
        )


@program()
def a_blank_filter(mlflow: Any, see: See) -> None:
    _record(mlflow, 2)
    see.result("blank", lambda: len(mlflow.search_traces(filter_string=" ", return_type="list")))


@program()
def without_spans(mlflow: Any, see: See) -> None:
    _record(mlflow, 2)
    trace = mlflow.search_traces(include_spans=False, return_type="list")[0]
    see(
        "trace",
        [trace.data.spans, trace.data.request, trace.data.response, trace.info.request_preview],
    )


@program()
def of_other_experiments(mlflow: Any, see: See) -> None:
    _record(mlflow, 2)
    mine = mlflow.set_experiment("searches.of_other_experiments").experiment_id
    other = mlflow.set_experiment("searches another").experiment_id
    _record(mlflow, 3)
    see("active", len(mlflow.search_traces(return_type="list")))
    see("named", len(mlflow.search_traces(locations=[mine], return_type="list")))
    see("both", len(mlflow.search_traces(locations=[mine, other], return_type="list")))
    see("by position", len(mlflow.search_traces([mine], return_type="list")))
    see.result(
        "unknown", lambda: len(mlflow.search_traces(locations=["999999"], return_type="list"))
    )
    see.result("a text", lambda: len(mlflow.search_traces(locations=mine, return_type="list")))
    see.result(
        "both names",
        lambda: len(
            mlflow.search_traces(experiment_ids=[mine], locations=[mine], return_type="list")
        ),
    )
    see.warned("old name", lambda: mlflow.search_traces(experiment_ids=[mine], return_type="list"))


@program()
def return_types(mlflow: Any, see: See) -> None:
    _record(mlflow, 1)
    see("default", type(mlflow.search_traces()).__name__)
    see("pandas", type(mlflow.search_traces(return_type="pandas")).__name__)
    see("list", type(mlflow.search_traces(return_type="list")).__name__)
    see.result("unknown", lambda: mlflow.search_traces(return_type="zzz"))
    see.result(
        "extracted fields",
        lambda: mlflow.search_traces(return_type="list", extract_fields=["a.inputs"]),
    )


@program()
def a_data_frame(mlflow: Any, see: See) -> None:
    _record(mlflow, 2)
    frame = mlflow.search_traces()
    see("columns", list(frame.columns)[:12])
    row = frame.iloc[0]
    see("states", [str(row["state"]), int(row["execution_duration"]), int(row["request_time"])])
    see("payloads", [row["request"], int(row["response"])])
    see("tags", row["tags"]["n"])
    see(
        "kinds",
        [
            type(row["spans"]).__name__,
            type(row["assessments"]).__name__,
            type(row["trace"]).__name__,
        ],
    )
    see("spans", [sorted(span) for span in row["spans"]][:1])
    see("trace again", mlflow.entities.Trace.from_json(row["trace"]).info.tags["n"])


@program()
def an_empty_data_frame(mlflow: Any, see: See) -> None:
    frame = mlflow.search_traces()
    see("columns", list(frame.columns)[:12])
    see("rows", len(frame))


@program()
def extracted_fields(mlflow: Any, see: See) -> None:
    _record(mlflow, 2)
    frame = mlflow.search_traces(
        extract_fields=["tool.outputs.o", "t0.inputs", "missing.outputs"],
        filter_string="tags.n = '0'",
    )
    see(
        "columns",
        list(frame.columns)[-3:]
        if "status" not in frame.columns
        else [c for c in frame.columns if "." in c],
    )
    see(
        "values",
        [int(frame["tool.outputs.o"][0]), frame["t0.inputs"][0], frame["missing.outputs"][0]],
    )
    see.result("bad field", lambda: mlflow.search_traces(extract_fields=["a.foo"]))


@program()
def a_run(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s", run_id="run-7"):
        pass
    mlflow.flush_trace_async_logging()
    see(
        "by filter",
        len(
            mlflow.search_traces(
                filter_string="metadata.`mlflow.sourceRun` = 'run-7'", return_type="list"
            )
        ),
    )


@program()
def a_model(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(model_id="m-7")
    mlflow.flush_trace_async_logging()
    see("by argument", len(mlflow.search_traces(model_id="m-7", return_type="list")))
    see("another", len(mlflow.search_traces(model_id="m-8", return_type="list")))


@program()
def deleted_by_id(mlflow: Any, see: See) -> None:
    ids = _record(mlflow, 4)
    client, here = (
        mlflow.MlflowClient(),
        mlflow.set_experiment("searches.deleted_by_id").experiment_id,
    )
    see("deleted", client.delete_traces(here, trace_ids=ids[:2]))
    see("left", _numbers(mlflow.search_traces(return_type="list")))
    see("again", client.delete_traces(here, trace_ids=ids[:2]))
    see("of another experiment", client.delete_traces("0", trace_ids=ids[2:]))
    see.result("no ids", lambda: client.delete_traces(here, trace_ids=[]))
    see.result("nothing", lambda: client.delete_traces(here))
    see.result("both", lambda: client.delete_traces(here, trace_ids=ids, max_timestamp_millis=5))


@program()
def deleted_by_time(mlflow: Any, see: See) -> None:
    _record(mlflow, 6)
    client, here = (
        mlflow.MlflowClient(),
        mlflow.set_experiment("searches.deleted_by_time").experiment_id,
    )
    see("up to", client.delete_traces(here, max_timestamp_millis=1_700_000_001_000))
    see("left", _numbers(mlflow.search_traces(return_type="list")))
    see("at most", client.delete_traces(here, max_timestamp_millis=1_700_000_009_000, max_traces=1))
    see("oldest first", _numbers(mlflow.search_traces(return_type="list")))
    see.result(
        "a bad limit", lambda: client.delete_traces(here, max_timestamp_millis=1, max_traces=0)
    )


@program()
def the_client_sees_all_experiments(mlflow: Any, see: See) -> None:
    ids = _record(mlflow, 1)
    mlflow.set_experiment("searches elsewhere")
    found = mlflow.MlflowClient().search_traces(max_results=1000)
    see("found", ids[0] in [trace.info.trace_id for trace in found])
    see("nowhere", len(mlflow.MlflowClient().search_traces(locations=[])))


@program()
def feedback_in_filters(mlflow: Any, see: See) -> None:
    ids = _record(mlflow, 3)
    mlflow.log_feedback(trace_id=ids[0], name="good", value=True)
    mlflow.log_feedback(trace_id=ids[1], name="good", value=False)
    mlflow.log_feedback(trace_id=ids[1], name="score", value=4)
    for text in (
        "feedback.good = 'true'",
        "feedback.good = 'false'",
        "feedback.score = '4'",
        "feedback.good IS NULL",
        "feedback.good IS NOT NULL",
        "expectation.good = 'true'",
    ):
        see.result(
            text, lambda t=text: _numbers(mlflow.search_traces(filter_string=t, return_type="list"))
        )
