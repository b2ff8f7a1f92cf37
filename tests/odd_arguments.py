"""Every public callable with arguments that are right, and values that fit hardly any parameter.

Each function of GROUPS names callables that answer or change, `captures` those that record. The tests replace one
argument at a time by each of ODD. A public callable that is in none of them fails tests/test_wrong_arguments.py.
"""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tracestore
from tracestore import MlflowClient, entities, evaluation, otel, tracing
from tracestore.entities import Feedback, MlflowExperimentLocation, Trace
from tracestore.otlp.export import lines
from tracestore.store import Store
from tracestore.testing import Recorded


class Unprintable:
    """A value that can't be made text."""

    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def _values() -> Mapping[str, Any]:
    return {
        "[]": [],
        "{}": {},
        "[5]": [5],
        "['']": [""],
        "5": 5,
        "-1": -1,
        "0": 0,
        "1.5": 1.5,
        "nan": float("nan"),
        "inf": float("inf"),
        "bytes": b"x",
        "object": object(),
        "empty": "",
        "blank": " ",
        "nul": "\0",
        "surrogate": "\ud800",
        "long": "a" * 100_000,
        "huge": 10**30,
        "negative huge": -(10**30),
        "digits": 10**5_000,
        "lambda": lambda: None,
        "unprintable": Unprintable(),
        "type": int,
        "None": None,
        "True": True,
        "generator": (each for each in ("a", 5)),
    }


#: Names of values that fit hardly any parameter; `odd` makes one.
ODD = tuple(_values())


def odd(name: str) -> Any:
    """Return a new value of ODD."""
    return _values()[name]


class Scene(NamedTuple):
    """A small store that is the active one, what is in it, and files beside it."""

    store: Store
    trace: Trace
    feedback: Feedback
    span: Any
    url: str
    copy: str
    document: str
    folder: pathlib.Path


def scene(store: Store, span: Any, url: str, folder: pathlib.Path) -> Scene:
    """Record two traces with tags, a session and feedback; `span` runs, `url` takes whatever is sent."""
    trace_ids = []
    for name in ("first", "second"):
        root = tracestore.start_span_no_context(
            name, parent_span=None, inputs={"question": "why?"}, tags={"k": "v"}
        )
        root.end("because")
        trace_ids.append(root.trace_id)
    feedback = store.log_feedback(trace_ids[1], "good", True)
    tracestore.set_experiment("work")
    tracestore.set_experiment_tag("k", "v")
    tracestore.delete_experiment(tracestore.create_experiment("deleted"))
    trace = store.get_trace(trace_ids[1])
    copy, document = str(folder / "copy.db"), folder / "traces.jsonl"
    store.backup(copy)
    document.write_bytes(b"\n".join(lines(iter([trace]))))
    return Scene(store, trace, feedback, span, url, copy, str(document), folder)


def _short(outputs: Any) -> bool:
    return len(str(outputs)) < 10


class Call(NamedTuple):
    """A callable and arguments that are right."""

    function: Callable[..., Any]
    right: Mapping[str, Any]


Calls = dict[str, Call]
Rights = dict[str, dict[str, Any]]


def _of(owner: Any, prefix: str, rights: Rights) -> Calls:
    return {f"{prefix}{name}": Call(getattr(owner, name), right) for name, right in rights.items()}


def _everywhere(on: Scene) -> Rights:
    """Return what the package, the store and the client have alike."""
    trace_id, experiment_id = on.trace.trace_id, {"experiment_id": "1"}
    of_assessment = {"trace_id": trace_id, "assessment_id": on.feedback.assessment_id}
    return {
        "get_trace": {"trace_id": trace_id},
        "get_assessment": of_assessment,
        "log_assessment": {"trace_id": trace_id, "assessment": Feedback("again", 1)},
        "log_expectation": {"trace_id": trace_id, "name": "right", "value": 1},
        "log_feedback": {"trace_id": trace_id, "name": "good", "value": 1},
        "override_feedback": {**of_assessment, "value": False},
        "update_assessment": {**of_assessment, "assessment": Feedback("good", False)},
        "delete_assessment": of_assessment,
        "create_experiment": {"name": "trials"},
        "restore_experiment": {"experiment_id": "2"},
        "get_experiment": experiment_id,
        "get_experiment_by_name": {"name": "work"},
        "search_experiments": {},
        "search_traces": {},
        "search_sessions": {},
        "set_trace_tag": {"trace_id": trace_id, "key": "k", "value": "v"},
        "delete_trace_tag": {"trace_id": trace_id, "key": "k"},
        "delete_experiment": experiment_id,
    }


def _of_experiments() -> Rights:
    """Return what the store and the client have alike, besides."""
    return {
        "set_experiment_tag": {"experiment_id": "1", "key": "k", "value": "v"},
        "delete_experiment_tag": {"experiment_id": "1", "key": "k"},
        "delete_traces": {"experiment_id": "1", "max_timestamp_millis": 1},
        "rename_experiment": {"experiment_id": "1", "new_name": "other"},
    }


def _questions(on: Scene) -> Rights:
    """Return what the package and the store have alike, besides."""
    return {
        "count_traces": {},
        "explain": {},
        "metrics": {},
        "compare": {"by": "tags.k"},
        "correlate": {"filter_string": "name = 'first'"},
        "report": {"path": str(on.folder / "page.html")},
    }


def of_the_package(on: Scene) -> Calls:
    """Return functions of the package."""
    rights: Rights = {
        **_questions(on),
        "set_experiment_tag": {"key": "k", "value": "v"},
        "delete_experiment_tag": {"key": "k"},
        "set_experiment_tags": {"tags": {"k": "v"}},
        "set_experiment": {"experiment_name": "work"},
        **_everywhere(on),
        "get_session": {"session_id": "s"},
        "autolog": {"disable": True},
        "set_active_model": {"name": "m"},
        "diff": {"a": on.trace.trace_id, "b": on.trace},
        "explore": {},
        "evaluate": {"traces": None, "scorers": _short},
        "monitor": {"scorers": _short},
        "scorer": {"function": _short},
        "import_traces": {"path": on.document},
        "repair": {"path": on.copy, "new_path": str(on.folder / "repaired.db")},
        "flush": {},
        "flush_trace_async_logging": {},
        "get_last_active_trace_id": {},
        "open": {"path": str(on.folder / "opened.db")},
        "MlflowClient": {},
        "Store": {"path": str(on.folder / "new.db")},
        "set_tracking_uri": {"uri": str(on.folder / "other.db")},
    }
    return _of(tracestore, "", rights)


def of_the_store(on: Scene) -> Calls:
    """Return methods of Store."""
    of_traces = {"trace_ids": [on.trace.trace_id]}
    rights: Rights = {
        **_questions(on),
        **_of_experiments(),
        **_everywhere(on),
        "get_session": {"session_id": "s"},
        "search_frame": {},
        "span_counts": of_traces,
        "failures": of_traces,
        "set_metadata": {**of_traces, "key": "k", "value": "v"},
        "delete_metadata": {**of_traces, "key": "k", "value": "v"},
        "get_or_create_experiment": {"name": "another"},
        "flush": {},
        "prune": {"older_than": "1d"},
        "set_retention": {"older_than": "1d"},
        "check": {},
        "backup": {"path": str(on.folder / "backup.db")},
        "extract": {"filter_string": None, "path": str(on.folder / "part.db")},
        "merge": {"other": on.copy},
        "vacuum": {},
        "redact": {},
        "close": {},
    }
    return _of(on.store, "Store.", rights)


def of_the_client(on: Scene) -> Calls:
    """Return methods of MlflowClient."""
    of_run = {"trace_ids": [on.trace.trace_id], "run_id": "r"}
    rights: Rights = {
        "link_traces_to_run": of_run,
        "unlink_traces_from_run": of_run,
        "link_prompt_versions_to_trace": {"prompt_versions": [], "trace_id": on.trace.trace_id},
        **_of_experiments(),
        **_everywhere(on),
    }
    return _of(MlflowClient(), "MlflowClient.", rights)


def of_tracing(on: Scene) -> Calls:
    """Return functions of tracestore.tracing."""
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    rights: Rights = {
        "configure": {},
        "set_destination": {"destination": MlflowExperimentLocation("0")},
        "nest_threads": {},
        "set_span_chat_tools": {"span": on.span, "tools": []},
        "set_span_chat_messages": {"span": on.span, "messages": [{"role": "user"}]},
        "set_tracing_context_from_http_request_headers": {"headers": {"traceparent": traceparent}},
    }
    return _of(tracing, "tracing.", rights)


def of_otel(on: Scene) -> Calls:
    """Return functions of tracestore.otel."""
    return _of(
        otel, "otel.", {"export": {"url": on.url}, "forward": {"url": on.url}, "SpanExporter": {}}
    )


def of_evaluation(_on: Scene) -> Calls:
    """Return the built-in scorers."""
    rights: Rights = {
        "contains": {"text": "a"},
        "is_json": {},
        "latency_below": {"seconds": 1},
        "tokens_below": {"tokens": 1},
        "matches_expectation": {},
        "retrieval_hit": {},
    }
    return _of(evaluation, "evaluation.", rights)


def of_objects(on: Scene) -> Calls:
    """Return methods of what the others return."""
    trace, span = on.trace, on.trace.data.spans[0]
    data = trace.to_dict()
    recorded = Recorded(on.store, "test", on.copy)
    of_trace: Rights = {
        "search_spans": {},
        "search_assessments": {},
        "to_json": {},
        "to_html": {},
        "from_dict": {"data": data},
        "from_json": {"text": trace.to_json()},
    }
    of_test: Rights = {
        "traces": {},
        "assert_no_trace": {"filter_string": "name = 'none'"},
        "assert_trace": {},
        "assert_no_worse": {},
    }
    return {
        **_of(trace, "Trace.", of_trace),
        **_of(trace.info, "TraceInfo.", {"from_dict": {"data": data["info"]}}),
        **_of(trace.data, "TraceData.", {"from_dict": {"data": data["data"]}}),
        **_of(
            span, "Span.", {"get_attribute": {"key": "k"}, "from_dict": {"data": span.to_dict()}}
        ),
        **_of(
            on.store.metrics(),
            "Answer.",
            {"frame": {}, "series": {"name": "count"}, "__getitem__": {"key": 0}},
        ),
        **_of(recorded, "Recorded.", of_test),
        **_of(tracestore.diff(trace, trace), "TraceDiff.", {"to_html": {}}),
    }


GROUPS: tuple[Callable[[Scene], Calls], ...] = (
    of_the_package,
    of_the_store,
    of_the_client,
    of_tracing,
    of_otel,
    of_evaluation,
    of_objects,
)


def captures(on: Scene) -> Calls:
    """Return every callable that records."""
    client = MlflowClient()
    root = client.start_trace("root")
    step = client.start_span("step", root.trace_id, root.span_id)
    of_span: Rights = {
        "set_inputs": {"inputs": 1},
        "set_outputs": {"outputs": 1},
        "set_attribute": {"key": "k", "value": 1},
        "set_attributes": {"attributes": {"k": 1}},
        "set_span_type": {"span_type": "TOOL"},
        "set_description": {"description": "d"},
        "set_log_level": {"level": "INFO"},
        "set_status": {"status": "OK"},
        "add_event": {"event": entities.SpanEvent("e")},
        "add_link": {"link": entities.Link("tr-1", "1")},
        "record_exception": {"exception": ValueError("x")},
        "get_attribute": {"key": "k"},
        "end": {},
    }
    of_package: Rights = {
        "start_span": {},
        "start_span_no_context": {"name": "n"},
        "trace": {"func": _short},
        "update_current_trace": {},
        "context": {},
        "add_trace": {"trace": on.trace},
        "log_trace": {},
    }
    of_client: Rights = {
        "start_trace": {"name": "n"},
        "start_span": {"name": "n", "trace_id": root.trace_id, "parent_id": root.span_id},
        "end_span": {"trace_id": root.trace_id, "span_id": step.span_id},
        "end_trace": {"trace_id": root.trace_id},
    }
    return {
        **_of(tracestore, "", of_package),
        **_of(tracing, "tracing.", {"context": {}}),
        **_of(root, "LiveSpan.", of_span),
        **_of(client, "MlflowClient.", of_client),
    }


def parameters(call: Call) -> Iterator[str]:
    """Yield the names of a callable's parameters."""
    for name, parameter in inspect.signature(call.function).parameters.items():
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            yield name


def finish(result: Any) -> None:
    """Stop, close, end or leave what a call gave."""
    for verb in ("stop", "close", "end"):
        if callable(getattr(result, verb, None)) and not inspect.isgenerator(result):
            getattr(result, verb)()
            return
    if hasattr(result, "__enter__"):
        with result:
            pass
