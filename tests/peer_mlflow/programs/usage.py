"""Programs: as MLflow's documentation, its guides and its users write them."""

# ruff: noqa: ARG001, ARG002 - arguments are there to be recorded

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import dataclasses
import functools
import importlib
import inspect
import json
import math
import signal
import subprocess
import sys
import threading
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pydantic

from tests.peer_mlflow.observing import See, own, plain, program, spans_of


def _module(mlflow: Any, name: str) -> Any:
    return importlib.import_module(f"{mlflow.__name__}.{name}")


def _tree(trace: Any) -> list[Any]:
    return [[s["name"], s["parent"], s["inputs"], s["outputs"]] for s in spans_of(trace)]


# Imports ------------------------------------------------------------------------------------------------------

_IMPORTS = (
    "client.MlflowClient tracking.MlflowClient tracking.client.MlflowClient exceptions.MlflowException "
    "exceptions.MlflowTracingException entities.span.LiveSpan entities.span.NoOpSpan entities.span.SpanType "
    "entities.span_event.SpanEvent entities.span_status.SpanStatusCode entities.trace_info.TraceInfo "
    "entities.trace_data.TraceData entities.trace_state.TraceState entities.trace_status.TraceStatus "
    "entities.trace_location.TraceLocation entities.assessment.Feedback entities.assessment.AssessmentSource "
    "entities.assessment_source.AssessmentSourceType entities.assessment_error.AssessmentError "
    "entities.document.Document entities.session.Session tracing.fluent.start_span_no_context "
    "tracing.fluent.trace tracing.assessment.log_feedback tracing.distributed.get_tracing_context_headers_for_http_request "
    "tracing.provider.set_span_in_context tracing.provider.detach_span_from_context tracing.destination.MlflowExperiment "
    "tracing.attachments.Attachment tracing.constant.SpanAttributeKey tracing.constant.TRACE_SCHEMA_VERSION_KEY"
)


@program()
def imports(mlflow: Any, see: See) -> None:
    for path in _IMPORTS.split():
        module, _, name = path.rpartition(".")
        see.result(path, functools.partial(_has, mlflow, module, name))


def _has(mlflow: Any, module: str, name: str) -> bool:
    return hasattr(_module(mlflow, module), name)


# Spans --------------------------------------------------------------------------------------------------------


@program()
def start_span_as_a_decorator(mlflow: Any, see: See) -> None:
    @mlflow.start_span(name="decorated", span_type="TOOL")
    def work(x: int) -> int:
        mlflow.get_current_active_span().set_inputs({"x": x})
        return x * 2

    see("results", [work(1), work(2), work.__name__])
    see.last("trace")


@program()
def a_block_by_hand(mlflow: Any, see: See) -> None:
    block = mlflow.start_span("by hand")
    span = block.__enter__()
    see("current", mlflow.get_current_active_span() is span)
    block.__exit__(None, None, None)
    see("after", mlflow.get_current_active_span())
    block = mlflow.start_span("failing")
    block.__enter__()
    see("error goes on", not block.__exit__(ValueError, ValueError("x"), None))
    see.last("trace")


@program()
def an_exit_stack(mlflow: Any, see: See) -> None:
    with contextlib.ExitStack() as stack:
        for name in ("a", "b"):
            stack.enter_context(mlflow.start_span(name))
    see("tree", _tree(see.last()))


@program()
def a_handler_of_callbacks(mlflow: Any, see: See) -> None:
    provider = _module(mlflow, "tracing.provider")
    root = mlflow.start_span_no_context("chain", inputs={"q": 1})
    token = provider.set_span_in_context(root)
    with mlflow.start_span("llm") as span:
        span.set_outputs("hi")
    see("current", mlflow.get_current_active_span() is root)
    provider.detach_span_from_context(token)
    see("detached", mlflow.get_current_active_span())
    root.end(outputs={"a": 1})
    see("tree", _tree(see.last()))


@program()
def an_attachment(mlflow: Any, see: See) -> None:
    attachment = _module(mlflow, "tracing.attachments").Attachment
    image = attachment(content_type="image/png", content_bytes=b"PNG")
    see("image", [image.content_type, len(image.content_bytes)])
    with mlflow.start_span("draw") as span:
        span.set_outputs({"image": image})
    see("recorded", list(see.last().data.spans[0].outputs))


# Decorators ---------------------------------------------------------------------------------------------------


@program()
def library_functions(mlflow: Any, see: See) -> None:
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (math.factorial, (5,)), (math.pow, (2, 3)), (max, (1, 2)), (sorted, ([3, 1],)), (len, ("abc",)),
        (str.upper, ("a",)), (isinstance, (1, int)),
    ]  # fmt: skip
    for function, arguments in calls:
        name = function.__name__
        see.result(f"{name} result", functools.partial(mlflow.trace(function), *arguments))
        [span] = see.last().data.spans
        see(f"{name} span", [span.name, span.outputs, own(span.attributes).keys()])
        see(f"{name} inputs", list(span.inputs or ()))


@program()
def methods_of_an_agent(mlflow: Any, see: See) -> None:
    class Base:
        @mlflow.trace
        def run(self, x: int) -> int:
            return x + 1

    class Agent(Base):
        @mlflow.trace(span_type="AGENT")
        def __call__(self, q: str, *, k: int = 3, **more: Any) -> str:
            return q

        @mlflow.trace(name="child")
        def run(self, x: int) -> int:
            return int(super().run(x)) * 2

        @property
        @mlflow.trace
        def five(self) -> int:
            return 5

        async def wait(self) -> int:
            return 1

    agent: Any = Agent()
    calls: dict[str, Callable[[], Any]] = {
        "call": lambda: agent("q", z=1),
        "super": lambda: agent.run(1),
        "property": lambda: agent.five,
        "bound": lambda: asyncio.run(mlflow.trace(agent.wait)()),
        "patched": lambda: mlflow.trace(Agent.run, name="patched")(agent, 1),
    }
    for label, call in calls.items():
        see.result(label, call)
        see(f"{label} tree", _tree(see.last()))


@program()
def beside_other_decorators(mlflow: Any, see: See) -> None:
    @mlflow.trace
    @functools.lru_cache
    def cached(x: int) -> int:
        return x

    @functools.singledispatch
    @mlflow.trace
    def by_type(x: Any) -> str:
        return "any"

    @by_type.register
    @mlflow.trace
    def _int(x: int) -> str:
        return "int"

    @contextlib.contextmanager
    @mlflow.trace
    def managed(x: int) -> Iterator[int]:
        yield x

    see("cached", [cached(1), cached(1), cached.__name__, _tree(see.last())])
    see("by type", [by_type(1), by_type("a")])
    with managed(1), mlflow.start_span("within"):
        pass
    see("managed", _tree(see.last()))


@program()
def what_a_wrapper_keeps(mlflow: Any, see: See) -> None:
    def function(a: int, *c: float, d: list[int] | None = None, **e: Any) -> dict[str, int]:
        """Say what it does."""
        return {}

    function.custom = 5  # type: ignore[attr-defined]  # as frameworks do
    traced = mlflow.trace(function)
    see(
        "facts",
        [traced.__doc__, traced.__wrapped__ is function, traced.custom, traced.__mlflow_traced__],
    )
    see("signature", str(inspect.signature(traced)))
    see("hints", list(typing.get_type_hints(traced)))


@program()
def a_decorated_dataclass(mlflow: Any, see: See) -> None:
    @mlflow.trace
    @dataclasses.dataclass
    class Data:
        x: int
        y: int = 3

    see("field", Data(1).y)
    see("tree", _tree(see.last()))


# Concurrency --------------------------------------------------------------------------------------------------


@program()
def a_pool_with_contexts(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def worker(question: str) -> str:
        return question.upper()

    @mlflow.trace
    def main(questions: list[str]) -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(contextvars.copy_context().run, worker, q) for q in questions]
        return [job.result() for job in jobs]

    see("result", main(["a", "b", "c"]))
    see("parents", sorted(str(s["parent"]) for s in spans_of(see.last())))


@program()
def asyncio_of_all_kinds(mlflow: Any, see: See) -> None:
    @mlflow.trace
    async def leaf(i: int) -> int:
        await asyncio.sleep(0.001 * i)
        return i

    @mlflow.trace
    def blocking(i: int) -> int:
        return i

    @mlflow.trace
    async def root() -> list[int]:
        gathered = await asyncio.gather(*(leaf(i) for i in range(3)))
        task = asyncio.create_task(leaf(7))
        copied = contextvars.copy_context().run
        in_pool = await asyncio.get_running_loop().run_in_executor(None, copied, blocking, 6)
        return [*gathered, await task, await asyncio.to_thread(blocking, 5), in_pool]

    see("result", asyncio.run(root()))
    see("spans", sorted([s["name"], s["parent"], str(s["outputs"])] for s in spans_of(see.last())))


@program()
def streams_of_a_chat(mlflow: Any, see: See) -> None:
    @mlflow.trace(span_type="LLM", output_reducer="".join)
    async def stream(prompt: str) -> AsyncIterator[str]:
        for word in prompt.split():
            await asyncio.sleep(0)
            yield word

    @mlflow.trace
    async def consume() -> int:
        count = 0
        async for chunk in stream("x y"):
            count += 1
            with mlflow.start_span("per chunk") as span:
                span.set_inputs(chunk)
        return count

    see("result", asyncio.run(consume()))
    see("tree", _tree(see.last()))

    @mlflow.trace
    def through() -> Iterator[int]:
        yield from mlflow.trace(range_of)(2)

    def range_of(n: int) -> Iterator[int]:
        yield from range(n)

    see("through", list(through()))
    see("through tree", _tree(see.last()))


@program()
def a_child_process(mlflow: Any, see: See) -> None:
    code = (
        "import importlib, json, sys\n"
        "mlflow, tracing = (importlib.import_module(sys.argv[1] + end) for end in ('', '.tracing'))\n"
        "mlflow.set_tracking_uri(sys.argv[2])\n"
        "with tracing.set_tracing_context_from_http_request_headers(json.loads(sys.argv[3])):\n"
        "    with mlflow.start_span('in the child'):\n"
        "        pass\n"
        "mlflow.flush_trace_async_logging()\n"
    )
    with mlflow.start_span("parent"):
        headers = _module(mlflow, "tracing").get_tracing_context_headers_for_http_request()
        given = [mlflow.__name__, mlflow.get_tracking_uri(), json.dumps(headers)]
        see("exit", subprocess.run([sys.executable, "-c", code, *given], check=False).returncode)
    see("tree", _tree(see.last()))


@program()
def workers_of_a_server(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def handle(n: int) -> int:
        mlflow.update_current_trace(tags={"n": str(n)}, client_request_id=f"request {n}")
        return n

    seen: list[bool] = []

    def work(first: int) -> None:
        for n in range(first, first + 3):
            handle(n)
            mine = mlflow.get_trace(mlflow.get_last_active_trace_id(thread_local=True), flush=True)
            seen.append(mine.info.client_request_id == f"request {n}")

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    see("own", seen)
    traces = mlflow.search_traces(return_type="list", flush=True)
    see("all", sorted(int(trace.info.tags["n"]) for trace in traces))


@program()
def streams_within_a_trace(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def words(count: int) -> Iterator[int]:
        for i in range(count):
            with mlflow.start_span(f"word {i}"):
                pass
            yield i

    @mlflow.trace
    def whole() -> int:
        return sum(words(2))

    @mlflow.trace
    def nothing() -> Iterator[int]:
        yield from ()

    see("whole", whole())
    see("whole tree", _tree(see.last()))
    see("nothing", list(nothing()))
    see("nothing tree", _tree(see.last()))

    @mlflow.trace
    async def count(to: int) -> AsyncIterator[int]:
        for i in range(to):
            await asyncio.sleep(0)
            yield i

    async def take(to: int) -> list[int]:
        return [i async for i in count(to)]

    @mlflow.trace
    async def two_at_once() -> tuple[list[int], list[int]]:
        return await asyncio.gather(take(2), take(3))

    see("two", asyncio.run(two_at_once()))
    see("two tree", sorted(str(span) for span in _tree(see.last())))


@program()
def in_odd_places(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def function(x: str) -> str:
        return x

    class Dropped:
        def __del__(self) -> None:
            function("drop")

    timer = threading.Timer(0.01, function, ["timer"])
    timer.start()
    timer.join()
    before = signal.signal(signal.SIGUSR1, lambda *_: function("signal"))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    Dropped()
    contextvars.Context().run(function, "context")
    sorted(["key"], key=function)
    traces = mlflow.search_traces(return_type="list", flush=True)
    see("all", sorted(json.loads(trace.data.response) for trace in traces))


# Values -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Item:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list)
    parent: _Item | None = None


class _Point(typing.NamedTuple):
    x: int
    y: int = 2


class _Sub(pydantic.BaseModel):
    n: int


class _Request(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", populate_by_name=True)
    query: str = pydantic.Field(alias="q")
    subs: list[_Sub] = []
    secret: int = pydantic.Field(default=7, exclude=True)

    @pydantic.computed_field  # type: ignore[prop-decorator]  # mypy knows no computed property
    @property
    def twice(self) -> str:
        return self.query * 2


class _Numbers(pydantic.RootModel[list[int]]):
    pass


@program()
def typed_arguments(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def function(*values: Any) -> Any:
        return values[0]

    function(_Item("i", ["t"], _Item("p")), [_Item("e")], _Point(1), collections.Counter("aab"))
    see.last("standard")
    function(
        _Request.model_validate({"q": "x", "subs": [{"n": 1}], "more": "e"}),
        {"s": _Sub(n=3)},
        _Numbers([1, 2]),
    )
    see.last("pydantic")


# Reading ------------------------------------------------------------------------------------------------------


@program()
def a_chat_by_hand(mlflow: Any, see: See) -> None:
    key = _module(mlflow, "tracing.constant").SpanAttributeKey

    @mlflow.trace(span_type="CHAT_MODEL")
    def chat(messages: list[dict[str, Any]], model: str = "gpt-4o-mini") -> dict[str, Any]:
        span = mlflow.get_current_active_span()
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        span.set_attributes({key.CHAT_USAGE: usage, key.MODEL: model})
        return {"choices": [{"message": {"role": "assistant", "content": "hello"}}]}

    @mlflow.trace(span_type="AGENT")
    def agent(question: str) -> None:
        chat([{"role": "system", "content": "s"}, {"role": "user", "content": question}])
        chat([{"role": "user", "content": [{"type": "text", "text": "parts"}]}])

    agent("hi")
    info = see.last().info
    see("usage", [info.token_usage, sorted(info.cost), round(info.cost["total_cost"], 9)])
    chat([{"role": "user", "content": "question"}])
    trace = see.last()
    see("previews", [trace.info.request_preview, trace.info.response_preview])
    see("model", trace.data.spans[0].model_name)


@program()
def previews_of_calls(mlflow: Any, see: See) -> None:
    call = {"type": "function", "function": {"name": "get", "arguments": "{}"}}
    for label, calls in (("a call", [call]), ("a call without a name", [{"id": 1}])):
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        with mlflow.start_span("s") as span:
            span.set_outputs({"choices": [{"message": message}]})
        see(label, see.last().info.response_preview)
    with mlflow.start_span("s") as span:
        span.set_inputs({"input": {"messages": [{"role": "user", "content": "nested"}]}})
    see("nested", see.last().info.request_preview)


@program()
def a_frame_in_use(mlflow: Any, see: See) -> None:
    trace_of = _module(mlflow, "entities").Trace
    for i in range(4):
        with mlflow.start_span(f"t{i % 2}") as span:
            span.set_inputs({"i": i})
            mlflow.update_current_trace(tags={"n": str(i)})
            with mlflow.start_span("llm", span_type="LLM") as llm:
                llm.set_inputs({"model": "m"})
            span.set_outputs({"answer": i})
            if i == 3:
                span.set_status("ERROR")
    mlflow.flush_trace_async_logging()
    frame = mlflow.search_traces(order_by=["timestamp_ms ASC"])
    see("states", sorted(frame["state"].value_counts().items()))
    see("errors", len(frame[frame["state"] == "ERROR"]))
    see("tags", list(frame["tags"].apply(lambda tags: tags["n"])))
    see("payloads", [list(frame["request"]), list(frame["response"])])
    see("mean", 0 <= float(frame["execution_duration"].mean()) < 60_000)
    row = frame.iloc[0]
    see("row", {name: type(row[name]).__name__ for name in list(frame.columns)[:12]})
    see("spans", [[span["name"], sorted(span)] for span in row.spans])
    see("trace", trace_of.from_json(row.trace).data.spans[0].name)
    see("exploded", len(frame.explode("spans")))
    see("records", len(json.loads(frame.to_json(orient="records"))))
    fields = ["llm.inputs.model", "t0.inputs", "nope.inputs"]
    wider = mlflow.search_traces(order_by=["timestamp_ms ASC"], extract_fields=fields)
    see(
        "extracted",
        {
            name: list(wider[name].astype(object).where(wider[name].notna(), None))
            for name in fields
        },
    )


@program()
def a_trace_as_json(mlflow: Any, see: See) -> None:
    with mlflow.start_span("root", span_type="CHAIN") as span:
        span.set_inputs({"q": "é"})
        mlflow.update_current_trace(client_request_id="c", session_id="s")
        span.set_outputs([1, None, "x"])
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=span.trace_id, name="f", value=True, rationale="r")
    mlflow.log_expectation(trace_id=span.trace_id, name="e", value={"a": 1})
    trace = see.last()
    form = json.loads(trace.to_json())
    see("parts", {part: sorted(form[part]) for part in form})
    see(
        "span",
        {k: v for k, v in form["data"]["spans"][0].items() if k in ("name", "status", "events")},
    )
    see("assessments", [sorted(each) for each in form["info"]["assessments"]])
    see("pretty", trace.to_json(pretty=True).startswith('{\n  "info": {\n    "'))
    see("row", {k: type(v).__name__ for k, v in trace.to_pandas_dataframe_row().items()})


@program()
def entities_as_dataclasses(mlflow: Any, see: See) -> None:
    entities = _module(mlflow, "entities")
    with mlflow.start_span("s") as span:
        span.add_event(entities.SpanEvent("e", 1, {"a": [1]}))
    trace = see.last()
    [stored] = trace.data.spans
    see("event", dataclasses.asdict(stored.events[0]))
    see("status", dataclasses.asdict(stored.status))
    see("info", sorted(dataclasses.asdict(trace.info)))
    see("trace", sorted(dataclasses.asdict(trace)))
    see("replaced", dataclasses.replace(trace.info, trace_id="tr-1").trace_id)
    see("fields", [field.name for field in dataclasses.fields(entities.TraceInfo)])
    see("source", dataclasses.asdict(entities.AssessmentSource("HUMAN", "a")))
    see("feedback", sorted(dataclasses.asdict(entities.Feedback("n", 1))))
    see("span", dataclasses.is_dataclass(stored))
    see("status as text", str(stored.status.status_code))


@program()
def a_service_and_its_sessions(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def chat(message: str, user: str, session: str) -> str:
        metadata = {"mlflow.trace.user": user, "mlflow.trace.session": session}
        mlflow.update_current_trace(metadata=metadata, tags={"env": "dev"})
        return "hi"

    for i in range(3):
        chat(f"m{i}", f"user-{i % 2}", f"session-{i % 2}")
    mlflow.flush_trace_async_logging()
    for text in (
        "metadata.`mlflow.trace.user` = 'user-0'",
        'request_metadata."mlflow.trace.session" = "session-0"',
        "metadata.mlflow.trace.user = 'user-0' AND tags.env = 'dev' AND trace.status = 'OK'",
    ):
        see.result(text, functools.partial(_count, mlflow, text))
    see(
        "sessions",
        [
            [s.id, len(s), [json.loads(t.data.request)["message"] for t in s]]
            for s in mlflow.search_sessions()
        ],
    )


def _count(mlflow: Any, filter_string: str) -> int:
    return len(mlflow.search_traces(filter_string=filter_string, return_type="list"))


@program()
def errors_of_all_kinds(mlflow: Any, see: See) -> None:
    def fail(error: BaseException) -> None:
        raise error

    for error in (
        ValueError(), KeyError("k"), ValueError("a\nb"), ValueError(5), AssertionError(),
        FileNotFoundError(2, "No such file", "x.txt"), ValueError("a", "b"), StopIteration("s"),
    ):  # fmt: skip
        label = repr(error)
        see.result(f"{label} call", functools.partial(mlflow.trace(fail), error))
        [span] = see.last().data.spans
        attributes = span.events[0].attributes
        said = [attributes["exception.type"], attributes["exception.message"]]
        see(label, [span.status.status_code, span.status.description, *said])


@program()
def merged_into_another(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def remote(x: int) -> int:
        mlflow.update_current_trace(tags={"remote": "1"})
        with mlflow.start_span("inner"):
            return x + 1

    remote(1)
    form = json.loads(json.dumps(see.last().to_dict()))

    @mlflow.trace
    def predict(x: int) -> int:
        mlflow.add_trace(form)
        return x

    predict(5)
    trace = see.last()
    see("tree", _tree(trace))
    see("one id", len({span.trace_id for span in trace.data.spans}))
    mlflow.add_trace(form)
    see.last("alone")


@program()
def a_context_as_a_decorator(mlflow: Any, see: See) -> None:
    @mlflow.trace
    def function() -> int:
        return 1

    within = _module(mlflow, "tracing").context(tags={"a": "1"}, session_id="s")(function)
    see("result", within())
    info = see.last().info
    see("info", [own(info.tags), own(info.trace_metadata)])


@program()
def a_span_twice_set(mlflow: Any, see: See) -> None:
    values = {"a": [1]}
    with mlflow.start_span(
        "s", attributes={"model": "gpt", "none": None, "l": [1, {"b": 2}]}
    ) as span:
        span.set_inputs("first")
        span.set_inputs(values)
        values["a"].append(2)
        span.set_outputs(values)
        span.set_attributes({"model": "other", "pair": (1, 2)})
        see("live", plain([span.inputs, span.get_attribute("model"), span.get_attribute("pair")]))
    see.last("trace")


@program()
def calls_that_are_refused(mlflow: Any, see: See) -> None:
    entities, tracing = _module(mlflow, "entities"), _module(mlflow, "tracing")
    unknown = "tr-" + "0" * 32
    calls: dict[str, Callable[[], Any]] = {
        "expectation": lambda: mlflow.log_expectation(trace_id="tr-x", name="e", value=None),
        "source": lambda: mlflow.log_feedback(trace_id="tr-x", name="e", value=1, source="me"),
        "feedback": lambda: mlflow.log_feedback(trace_id=unknown, name="e", value=1),
        "order": lambda: mlflow.search_traces(order_by=["foo ASC"]),
        "filter": lambda: mlflow.search_traces(filter_string="foo"),
        "return type": lambda: mlflow.search_traces(return_type="dict"),
        "fields": lambda: mlflow.search_traces(return_type="list", extract_fields=["a.inputs"]),
        "field": lambda: mlflow.search_traces(extract_fields=["a.foo"]),
        "JSON": lambda: entities.Trace.from_json("{"),
        "dictionary": lambda: entities.Trace.from_dict({}),
        "no experiment": lambda: mlflow.set_experiment(None),
        "experiment": lambda: mlflow.set_experiment(experiment_id="999999"),
        "name": lambda: mlflow.create_experiment(None),
        "headers": lambda: tracing.set_tracing_context_from_http_request_headers({}).__enter__(),
        "reducer": lambda: mlflow.trace(output_reducer=list)(len),
        "document": entities.Document,
        "event": entities.SpanEvent,
        "assessment": lambda: mlflow.get_assessment("tr-x", "a-x"),
        "deletion": lambda: mlflow.delete_assessment("tr-x", "a-x"),
        "override": lambda: mlflow.override_feedback(trace_id="tr-x", assessment_id="a-x", value=1),
        "tag": lambda: mlflow.delete_trace_tag(unknown, "k"),
        "traces": lambda: mlflow.MlflowClient().delete_traces("0", trace_ids=["tr-x"]),
        "merged": lambda: mlflow.add_trace({"a": 1}),
        "merged number": lambda: mlflow.add_trace(5),
        "no trace": lambda: mlflow.get_trace(None),
    }
    for label, call in calls.items():
        see.result(label, call)
