"""Programs: `MlflowClient`, experiments, and the older names."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, own, program


@program()
def a_trace_by_the_client(mlflow: Any, see: See) -> None:
    client = mlflow.MlflowClient()
    root = client.start_trace(
        "root", span_type="CHAIN", inputs={"q": 1}, attributes={"a": 1}, tags={"t": "1"}
    )
    see("not current", mlflow.get_current_active_span())
    child = client.start_span(
        "child", trace_id=root.trace_id, parent_id=root.span_id, span_type="TOOL", inputs={"x": 1}
    )
    client.end_span(
        trace_id=root.trace_id, span_id=child.span_id, outputs={"y": 2}, attributes={"z": 3}
    )
    client.end_trace(trace_id=root.trace_id, outputs="done", attributes={"end": True}, status="OK")
    mlflow.flush_trace_async_logging()
    see.trace("trace", client.get_trace(root.trace_id))


@program()
def given_times(mlflow: Any, see: See) -> None:
    client, start = mlflow.MlflowClient(), 1_700_000_000_000_000_000
    root = client.start_trace("root", start_time_ns=start)
    child = client.start_span("child", root.trace_id, root.span_id, start_time_ns=start + 1_000_000)
    client.end_span(root.trace_id, child.span_id, end_time_ns=start + 2_000_000)
    client.end_trace(root.trace_id, end_time_ns=start + 3_000_000)
    mlflow.flush_trace_async_logging()
    trace = client.get_trace(root.trace_id)
    see("times", [[s.start_time_ns, s.end_time_ns] for s in trace.data.spans])
    see("info", [trace.info.request_time, trace.info.execution_duration])


@program()
def errors_of_the_client(mlflow: Any, see: See) -> None:
    client = mlflow.MlflowClient()
    root = client.start_trace("root")
    see.result("no parent", lambda: client.start_span("s", root.trace_id, None))
    see.result("unknown parent", lambda: client.start_span("s", root.trace_id, "0" * 15 + "1"))
    see.result("unknown trace", lambda: client.start_span("s", "tr-unknown", root.span_id))
    see.result("end an unknown span", lambda: client.end_span(root.trace_id, "0" * 15 + "1"))
    see.result("end", lambda: client.end_trace(root.trace_id, status="ERROR"))
    see.result("end again", lambda: client.end_trace(root.trace_id))
    see.result("end an unknown trace", lambda: client.end_trace("tr-unknown"))
    mlflow.flush_trace_async_logging()
    see("state", client.get_trace(root.trace_id).info.state)


@program()
def inside_a_span(mlflow: Any, see: See) -> None:
    client = mlflow.MlflowClient()
    with mlflow.start_span("fluent") as span:
        see.result("start_trace", lambda: client.start_trace("root").name)
        child = client.start_span("by the client", span.trace_id, span.span_id)
        client.end_span(span.trace_id, child.span_id)
    see("spans", [s.name for s in see.last().data.spans])


@program()
def fluent_inside_a_client_trace(mlflow: Any, see: See) -> None:
    client = mlflow.MlflowClient()
    root = client.start_trace("root")
    with mlflow.start_span("fluent") as span:
        see("another trace", span.trace_id != root.trace_id)
    client.end_trace(root.trace_id)


@program()
def tags_by_the_client(mlflow: Any, see: See) -> None:
    client = mlflow.MlflowClient()
    with mlflow.start_span("s") as span:
        pass
    mlflow.flush_trace_async_logging()
    client.set_trace_tag(span.trace_id, "a", "1")
    client.set_trace_tag(span.trace_id, "b", "2")
    client.delete_trace_tag(span.trace_id, "a")
    see("tags", own(client.get_trace(span.trace_id).info.tags))
    see.result("missing", lambda: client.delete_trace_tag(span.trace_id, "zzz"))


@program()
def older_keywords(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        pass
    mlflow.flush_trace_async_logging()
    client = mlflow.MlflowClient()
    see.warned("get_trace", lambda: mlflow.get_trace(request_id=span.trace_id))
    see.warned(
        "set_trace_tag", lambda: mlflow.set_trace_tag(request_id=span.trace_id, key="k", value="v")
    )
    see.warned(
        "delete_trace_tag", lambda: mlflow.delete_trace_tag(request_id=span.trace_id, key="k")
    )
    see.warned("client", lambda: client.get_trace(request_id=span.trace_id))
    see.result("both", lambda: mlflow.get_trace(span.trace_id, request_id=span.trace_id))


@program()
def experiments(mlflow: Any, see: See) -> None:
    client = mlflow.MlflowClient()
    key = mlflow.create_experiment("clients one", tags={"team": "a"})
    see("id", [type(key).__name__, key.isdecimal()])
    found = mlflow.get_experiment(key)
    see(
        "found",
        [found.name, found.lifecycle_stage, found.tags.get("team"), found.experiment_id == key],
    )
    see("by name", mlflow.get_experiment_by_name("clients one").experiment_id == key)
    see("no such name", mlflow.get_experiment_by_name("CLIENTS ONE"))
    see.result("twice", lambda: mlflow.create_experiment("clients one"))
    see.result("missing", lambda: mlflow.get_experiment("99999"))
    see.result("empty name", lambda: mlflow.create_experiment(""))
    see(
        "default",
        [mlflow.get_experiment("0").name, mlflow.get_experiment_by_name("Default").experiment_id],
    )
    client.rename_experiment(key, "clients renamed")
    see("renamed", client.get_experiment(key).name)
    client.set_experiment_tag(key, "k", "v")
    see("tag", client.get_experiment(key).tags.get("k"))
    client.delete_experiment_tag(key, "k")
    see("tag deleted", client.get_experiment(key).tags.get("k"))
    client.delete_experiment(key)
    see("deleted", client.get_experiment(key).lifecycle_stage)
    see.result("set a deleted one", lambda: mlflow.set_experiment("clients renamed"))
    client.restore_experiment(key)
    see("restored", client.get_experiment(key).lifecycle_stage)


@program()
def setting_experiments(mlflow: Any, see: See) -> None:
    experiment = mlflow.set_experiment("clients set")
    see("made", [experiment.name, experiment.lifecycle_stage])
    see("again", mlflow.set_experiment("clients set").experiment_id == experiment.experiment_id)
    see("by id", mlflow.set_experiment(experiment_id=experiment.experiment_id).name)
    with mlflow.start_span("s"):
        pass
    see("recorded there", see.last().info.experiment_id == experiment.experiment_id)
    see.result("both", lambda: mlflow.set_experiment("x", experiment_id="0"))
    see.result("neither", mlflow.set_experiment)
    see.result("missing", lambda: mlflow.set_experiment(experiment_id="99999"))


@program()
def searched_experiments(mlflow: Any, see: See) -> None:
    for name in ("clients s1", "clients s2", "clients s3"):
        mlflow.create_experiment(name)
    names = [e.name for e in mlflow.search_experiments(filter_string="name LIKE 'clients s_'")]
    see("found", sorted(names))
    see("at most", len(mlflow.search_experiments(max_results=2)))
    see(
        "all",
        {"Default", "clients s1"}
        <= {e.name for e in mlflow.search_experiments(view_type=mlflow.entities.ViewType.ALL)},
    )


@program()
def destinations(mlflow: Any, see: See) -> None:
    location = mlflow.entities.trace_location.MlflowExperimentLocation
    other = mlflow.create_experiment("clients destination")
    with mlflow.start_span("s", trace_destination=location(other)):
        pass
    see("a span's", see.last().info.experiment_id == other)

    @mlflow.trace(trace_destination=location(other))
    def f() -> None:
        pass

    f()
    see("a function's", see.last().info.experiment_id == other)
    mlflow.tracing.set_destination(location(other))
    with mlflow.start_span("s"):
        pass
    see("global", see.last().info.experiment_id == other)
    mlflow.tracing.reset()
    see.result("a wrong one", lambda: mlflow.tracing.set_destination("x"))
    active = mlflow.set_experiment("clients.destinations").experiment_id
    with mlflow.start_span("s"):
        pass
    see("after a reset", see.last().info.experiment_id == active)
    span = mlflow.start_span_no_context("s", experiment_id=other)
    span.end()
    see("without context", see.last().info.experiment_id == other)


@program()
def set_experiment_cancels_a_destination(mlflow: Any, see: See) -> None:
    other = mlflow.create_experiment("clients cancelled")
    mlflow.tracing.set_destination(mlflow.entities.trace_location.MlflowExperimentLocation(other))
    active = mlflow.set_experiment("clients.after").experiment_id
    with mlflow.start_span("s"):
        pass
    see("experiment", see.last().info.experiment_id == active)


@program()
def a_local_destination(mlflow: Any, see: See) -> None:
    other = mlflow.create_experiment("clients local")
    location = mlflow.entities.trace_location.MlflowExperimentLocation(other)
    mlflow.tracing.set_destination(location, context_local=True)
    with mlflow.start_span("s"):
        pass
    see("experiment", see.last().info.experiment_id == other)
    mlflow.tracing.reset()


@program()
def names_beyond_tracing(mlflow: Any, see: See) -> None:
    for name in (
        "get_last_active_trace",
        "delete_traces",
        "tracing.set_span_chat_messages",
        "tracing.flush",
    ):
        target = mlflow
        for part in name.split("."):
            target = getattr(target, part, None)
        see(name, target is not None)


@program()
def added_traces(mlflow: Any, see: See) -> None:
    with mlflow.start_span("remote") as span:
        span.set_inputs({"q": 1})
        span.set_outputs("a")
    remote = see.last()
    with mlflow.start_span("local"):
        mlflow.add_trace(remote)
    see("merged", [[s.name, s.inputs] for s in see.last().data.spans])
    mlflow.add_trace(remote.to_dict())
    trace = see.last()
    see("alone", [s.name for s in trace.data.spans])
    see.result("something else", lambda: mlflow.add_trace("x"))


@program()
def logged_traces(mlflow: Any, see: See) -> None:
    trace_id = see.warned(
        "warning",
        lambda: mlflow.log_trace(
            name="task",
            request={"q": 1},
            response="a",
            tags={"t": "1"},
            attributes={"k": 1},
            start_time_ms=1_700_000_000_000,
            execution_time_ms=5,
        ),
    )
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(trace_id, flush=True)
    see.trace("trace", trace)
    see("times", [trace.info.request_time, trace.info.execution_duration])
    trace_id = mlflow.log_trace(request="q", intermediate_outputs={"step": 1})
    mlflow.flush_trace_async_logging()
    see("intermediate", mlflow.get_trace(trace_id, flush=True).data.intermediate_outputs)
