"""Programs: what a trace is given while it runs and afterwards: tags, metadata, previews, state, sessions, usage."""

from __future__ import annotations

from typing import Any

from tests.peer_mlflow.observing import See, own, program


def _messages(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in pairs]


@program()
def everything_at_once(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root"), mlflow.start_span("child"):
        mlflow.update_current_trace(
            tags={"a": "1"}, metadata={"m": "2"}, client_request_id="req-1", request_preview="asked",
            response_preview="answered", session_id="s1", user="ada", model_id="m-1",
        )  # fmt: skip
    see.last("trace")


@program()
def merged(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root"):
        mlflow.update_current_trace(tags={"a": "1", "b": "1"}, metadata={"x": "1"})
        mlflow.update_current_trace(tags={"b": "2", "c": "2"}, metadata={"x": "2"})
    trace = see.last()
    see("tags", own(trace.info.tags))
    see("metadata", own(trace.info.trace_metadata))


@program()
def by_position(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root"):
        mlflow.update_current_trace({"a": "1"}, {"m": "1"}, "id")
    trace = see.last()
    see(
        "read", [own(trace.info.tags), own(trace.info.trace_metadata), trace.info.client_request_id]
    )


@program()
def outside_a_trace(mlflow: Any, see: See) -> None:
    see.result("call", lambda: mlflow.update_current_trace(tags={"a": "1"}))


@program()
def states(mlflow: Any, see: See) -> None:
    for state in ("OK", "ERROR", "ok", "IN_PROGRESS", mlflow.entities.TraceState.ERROR, 5):
        label = getattr(state, "name", state)
        with mlflow.start_span("s"):
            see.result(
                f"{type(state).__name__} {label}",
                lambda s=state: mlflow.update_current_trace(state=s),
            )
        see(f"read {type(state).__name__} {label}", see.last().info.state)


@program()
def previews_that_are_no_text(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        see.result("request", lambda: mlflow.update_current_trace(request_preview=5))
        see.result("response", lambda: mlflow.update_current_trace(response_preview={"a": 1}))
        mlflow.update_current_trace(request_preview="")


@program()
def tags_that_are_no_text(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(tags={"int": 1, "float": 0.5})
    see("tags", own(see.last().info.tags))


@program()
def a_boolean_tag(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(tags={"t": True})
    see("tags", own(see.last().info.tags))


@program()
def a_tag_of_none(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(tags={"n": None, "a": "1"})
    see("tags", own(see.last().info.tags))


@program()
def metadata_that_is_an_object(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(tags={"a": "1"}, metadata={"m": {"x": 1}})
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True)
    see("tags", own(trace.info.tags))
    see("metadata", own(trace.info.trace_metadata))


@program()
def renamed_by_a_tag(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(tags={"mlflow.traceName": "renamed"})
    see("in the trace", see.last().info.tags["mlflow.traceName"])
    mlflow.set_trace_tag(mlflow.get_last_active_trace_id(), "mlflow.traceName", "again")
    see("afterwards", see.last().info.tags["mlflow.traceName"])
    mlflow.delete_trace_tag(mlflow.get_last_active_trace_id(), "mlflow.traceName")
    see("deleted", see.last().info.tags.get("mlflow.traceName"))


@program()
def tags_afterwards(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        mlflow.update_current_trace(tags={"a": "1"})
    mlflow.set_trace_tag(span.trace_id, "b", "2")
    mlflow.set_trace_tag(span.trace_id, "a", "changed")
    see("set", own(see.last().info.tags))
    mlflow.delete_trace_tag(span.trace_id, "a")
    see("deleted", own(see.last().info.tags))
    see.result(
        "delete one that is missing", lambda: mlflow.delete_trace_tag(span.trace_id, "missing")
    )
    see.result("empty key", lambda: mlflow.set_trace_tag(span.trace_id, "", "x"))
    see.result("long key", lambda: mlflow.set_trace_tag(span.trace_id, "k" * 251, "x"))
    see.result("a key of 250", lambda: mlflow.set_trace_tag(span.trace_id, "k" * 250, "x"))
    mlflow.set_trace_tag(span.trace_id, "number", 5)
    see("number", see.last().info.tags["number"])


@program()
def tags_of_the_running_trace(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        mlflow.set_trace_tag(span.trace_id, "a", "1")
        mlflow.set_trace_tag(span.trace_id, "b", "2")
        mlflow.delete_trace_tag(span.trace_id, "b")
        see.result(
            "delete one that is missing", lambda: mlflow.delete_trace_tag(span.trace_id, "zzz")
        )
    see("tags", own(see.last().info.tags))


@program()
def keys_of_tags(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        mlflow.update_current_trace(tags={"weird$key": "1", "a/b.c d:e-f_g": "2"})
    see("tags", own(see.last().info.tags))
    see.result("set afterwards", lambda: mlflow.set_trace_tag(span.trace_id, "a/b", "x"))
    see.result("dollar", lambda: mlflow.set_trace_tag(span.trace_id, "weird$key", "x"))


@program()
def a_long_tag(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        mlflow.update_current_trace(tags={"long": "x" * 9000})
    see("recorded", len(see.last().info.tags["long"]))
    mlflow.set_trace_tag(span.trace_id, "set", "x" * 9000)
    see("set", len(see.last().info.tags["set"]))


@program()
def unknown_traces(mlflow: Any, see: See) -> None:
    see.result("get", lambda: mlflow.get_trace("tr-nope"))
    see.result("silent", lambda: mlflow.get_trace("tr-nope", silent=True))
    see.result("client", lambda: mlflow.MlflowClient().get_trace("tr-nope"))
    see.result("feedback", lambda: mlflow.log_feedback(trace_id="tr-nope", name="n", value=1))
    see.result("tag", lambda: mlflow.set_trace_tag("tr-nope", "k", "v"))
    see.result("delete tag", lambda: mlflow.delete_trace_tag("tr-nope", "k"))


@program()
def previews_of_values(mlflow: Any, see: See) -> None:
    values = {
        "text": "hello", "number": 5, "none": None, "list": [1, 2], "object": {"b": 1, "a": "é"},
        "question": {"question": "why?"}, "long": "x" * 3000, "nested": {"a": {"b": {"c": 1}}}, "empty": {}, "true": True,
    }  # fmt: skip
    for label, value in values.items():
        with mlflow.start_span("s") as span:
            span.set_inputs(value)
            span.set_outputs(value)
        info = see.last().info
        see(label, [info.request_preview, info.response_preview])


@program()
def previews_of_chats(mlflow: Any, see: See) -> None:
    chats = {
        "messages": {
            "messages": _messages(
                ("system", "be kind"), ("user", "hi"), ("assistant", "hello"), ("user", "bye")
            )
        },
        "bare list": _messages(("user", "hi"), ("assistant", "ho")),
        "no user": {"messages": _messages(("system", "only"))},
        "empty messages": {"messages": []},
        "parts": {
            "messages": _messages(
                (
                    "user",
                    [{"type": "text", "text": "part one"}, {"type": "text", "text": "part two"}],
                )
            )
        },
        "image": {
            "messages": _messages(
                (
                    "user",
                    [
                        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                        {"type": "text", "text": "what is it"},
                    ],
                )
            )
        },
        "input list": {"input": _messages(("user", "from input"))},
        "input text": {"input": "only text"},
        "request": {"request": {"messages": _messages(("user", "nested"))}},
        "none content": {"messages": _messages(("user", None))},
        "long": {"messages": _messages(("user", "y" * 1500))},
    }
    for label, value in chats.items():
        with mlflow.start_span("s") as span:
            span.set_inputs(value)
        see(label, see.last().info.request_preview)


@program()
def previews_of_answers(mlflow: Any, see: See) -> None:
    answers = {
        "choices": {"choices": [{"message": {"role": "assistant", "content": "an answer"}}]},
        "message": {"role": "assistant", "content": "plain message"},
        "messages": {"messages": _messages(("user", "q"), ("assistant", "last answer"))},
        "output list": {
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "from responses"}],
                }
            ]
        },
        "no choices": {"choices": []},
        "tool call": {
            "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": []}}]
        },
        "list of messages": _messages(("user", "q"), ("assistant", "in a list")),
    }
    for label, value in answers.items():
        with mlflow.start_span("s") as span:
            span.set_outputs(value)
        see(label, see.last().info.response_preview)


@program()
def custom_previews_win(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        mlflow.update_current_trace(request_preview="mine", response_preview="p" * 2000)
        span.set_inputs("x")
        span.set_outputs("y")
    info = see.last().info
    see("previews", [info.request_preview, len(info.response_preview)])


def _usage(mlflow: Any, *usages: Any) -> Any:
    with mlflow.start_span("root") as root:
        if usages[0] is not None:
            root.set_attribute("mlflow.chat.tokenUsage", usages[0])
        for usage in usages[1:]:
            with mlflow.start_span("child") as child:
                child.set_attribute("mlflow.chat.tokenUsage", usage)
    return mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True).info.token_usage


@program()
def token_usage(mlflow: Any, see: See) -> None:
    one = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    see("none", _usage(mlflow, None))
    see("one child", _usage(mlflow, None, one))
    see("two children", _usage(mlflow, None, one, one))
    see("parent wins", _usage(mlflow, one, one))
    see(
        "cache",
        _usage(
            mlflow, None, {**one, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1}
        ),
    )


@program()
def odd_token_usage(mlflow: Any, see: See) -> None:
    see(
        "empty parent",
        _usage(mlflow, {}, {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}),
    )
    see("a part", _usage(mlflow, None, {"input_tokens": 3}))
    see("text", _usage(mlflow, None, "many"))


@program()
def cost_by_hand(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root"):
        for _ in range(2):
            with mlflow.start_span("llm") as span:
                span.set_attribute(
                    "mlflow.llm.cost", {"input_cost": 0.5, "output_cost": 0.25, "total_cost": 0.75}
                )
    trace = see.last()
    see("trace", trace.info.cost)
    see("span", trace.data.spans[1].llm_cost)


@program()
def model_names(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s") as span:
        span.set_attribute("mlflow.llm.model", "no-such-model")
    see("model", see.last().data.spans[0].model_name)


@program()
def sessions_and_users(mlflow: Any, see: See) -> None:
    for session, user in (("a", "u1"), ("b", "u2"), ("a", "u1"), (None, None)):
        with mlflow.start_span("s"):
            mlflow.update_current_trace(session_id=session, user=user)
    traces = mlflow.search_traces(return_type="list", flush=True)
    see("metadata", [own(trace.info.trace_metadata) for trace in traces])
    sessions = mlflow.search_sessions()
    see("ids", [session.id for session in sessions])
    see("lengths", [len(session) for session in sessions])
    see(
        "traces in order",
        [
            session.traces[0].info.request_time <= session.traces[-1].info.request_time
            for session in sessions
        ],
    )
    see(
        "indexed",
        [
            sessions[0][0].info.trace_id == sessions[0].traces[0].info.trace_id,
            len(list(sessions[0])),
        ],
    )
    see("at most one", len(mlflow.search_sessions(max_results=1)))
    see("none", len(mlflow.search_sessions(max_results=0)))


@program()
def contexts(mlflow: Any, see: See) -> None:
    with mlflow.tracing.context(tags={"a": "1"}, metadata={"m": "1"}, session_id="s", user="u"):
        with mlflow.start_span("one"):
            pass
        see.last("one")
        with (
            mlflow.tracing.context(tags={"a": "2", "b": "2"}, session_id="s2"),
            mlflow.start_span("two"),
        ):
            pass
        see.last("two")
    with mlflow.start_span("three"):
        pass
    see.last("three")


@program()
def a_context_inside_a_trace(mlflow: Any, see: See) -> None:
    with (
        mlflow.start_span("root"),
        mlflow.tracing.context(tags={"late": "1"}),
        mlflow.start_span("child"),
    ):
        pass
    see("tags", own(see.last().info.tags))


@program()
def a_context_that_names_the_trace(mlflow: Any, see: See) -> None:
    with mlflow.tracing.context(tags={"mlflow.traceName": "x"}), mlflow.start_span("root"):
        pass
    see("name", see.last().info.tags["mlflow.traceName"])


@program()
def a_context_that_switches_off(mlflow: Any, see: See) -> None:
    with mlflow.tracing.context(enabled=False):
        with mlflow.start_span("off") as span:
            see("span", type(span).__name__)
        with mlflow.tracing.context(enabled=True), mlflow.start_span("on") as span:
            see("on again", type(span).__name__)
    with mlflow.start_span("root") as root:
        with mlflow.tracing.context(enabled=False), mlflow.start_span("child") as child:
            see("child", type(child).__name__)
        see("current", mlflow.get_current_active_span() is root)
    see("spans", [span.name for span in see.last().data.spans])


@program()
def the_functions_context_too(mlflow: Any, see: See) -> None:
    see("the same", mlflow.context is mlflow.tracing.context)


@program()
def an_active_model(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s"):
        mlflow.update_current_trace(model_id="m-123")
    see("metadata", own(see.last().info.trace_metadata))


@program()
def a_run_id(mlflow: Any, see: See) -> None:
    with mlflow.start_span("s", run_id="run-1"):
        pass
    see("metadata", own(see.last().info.trace_metadata))


@program()
def client_request_ids(mlflow: Any, see: See) -> None:
    for given in ("r-1", 5, "x" * 300):
        with mlflow.start_span("s"):
            mlflow.update_current_trace(client_request_id=given)
        see(f"{given!s:.10}", see.last().info.client_request_id)
