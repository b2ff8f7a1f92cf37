"""Wrong arguments: whatever a public callable is given, it answers or raises an error of this package.

What records never raises because of a value, but where its docstring says so.
"""

from __future__ import annotations

import http.server
import inspect
import logging
import pathlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tracestore
from tests import odd_arguments
from tests.odd_arguments import ODD, Call, Calls, Scene, captures, finish, odd, parameters, scene
from tracestore import MlflowClient, arguments, evaluation, otel, tracing
from tracestore.arguments import checked
from tracestore.entities import Feedback, Trace
from tracestore.errors import InvalidArgumentError, TracestoreError
from tracestore.store import Store

#: Callables without a value to get wrong, or that are no verbs of ours.
LEFT_OUT = {
    "FilterSyntaxError",
    "MlflowException",
    "TracestoreError",
    "Store.transact",
    "Store.reading",
    "otel.SpanProcessor",
    "otel.TracerProvider",
    "otel.autolog",  # takes switches, and makes a global provider
    "evaluation.Monitor",
    "evaluation.Scorer",
    "evaluation.evaluate",
    "evaluation.monitor",
    "evaluation.scorer",
}

#: What records and says in its docstring that it raises, by callable and parameter.
DOCUMENTED = {
    ("trace", "func"),
    ("trace", "output_reducer"),
    ("trace", "sampling_ratio_override"),
    ("update_current_trace", "request_preview"),
    ("update_current_trace", "response_preview"),
    ("update_current_trace", "state"),
    ("add_trace", "trace"),
    ("add_trace", "target"),
    ("LiveSpan.set_log_level", "level"),
    ("LiveSpan.set_status", "status"),
    ("LiveSpan.add_event", "event"),
    ("LiveSpan.add_link", "link"),
    ("LiveSpan.record_exception", "exception"),
    ("MlflowClient.start_span", "trace_id"),
    ("MlflowClient.start_span", "parent_id"),
    ("MlflowClient.end_trace", "trace_id"),
}

#: What is called back raises what it likes.
CALLABLE = {"lambda", "type"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A receiver of OTLP that takes everything."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def on(
    recording: Store,
    url: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Scene]:
    caplog.set_level(logging.CRITICAL, "tracestore")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # log_trace is an older name
        root = tracestore.start_span_no_context("running")
        yield scene(recording, root, url, tmp_path)
        root.end()
        tracestore.autolog(disable=True)
        tracestore.clear_active_model()
        tracing.nest_threads(False)
        tracing.reset()
        for trace in list(recording.live.values()):
            for span in list(trace.open_spans.values()):  # type: ignore[attr-defined]  # of a LiveTrace
                span.end()


def outcome(call: Call, **wrong: Any) -> BaseException | None:
    """Return what a call raises with other arguments, None where it returns."""
    try:
        with tracestore.start_span("around"):
            finish(call.function(**{**call.right, **wrong}))
    except Exception as error:  # noqa: BLE001 - what escapes is what is looked at
        return error
    return None


def is_ours(name: str, call: Call, error: BaseException) -> bool:
    if isinstance(error, OSError):
        return "OSError" in (inspect.getdoc(call.function) or "")  # as open() raises it
    if name.startswith("Recorded."):
        return isinstance(error, (TracestoreError, AssertionError))
    is_sequence = name == "Answer.__getitem__" and isinstance(error, IndexError)
    return isinstance(error, TracestoreError) or is_sequence


@pytest.mark.parametrize("group", odd_arguments.GROUPS, ids=lambda group: group.__name__)
def test_right_arguments_are_taken(on: Scene, group: Callable[[Scene], Calls]) -> None:
    for name, call in group(on).items():
        if name in ("get_session", "Store.get_session"):
            continue
        assert (name, outcome(call)) == (name, None)


@pytest.mark.parametrize("group", odd_arguments.GROUPS, ids=lambda group: group.__name__)
def test_wrong_arguments_raise_an_error_of_this_package(
    on: Scene, group: Callable[[Scene], Calls]
) -> None:
    escaped = []
    for name, call in group(on).items():
        for parameter in parameters(call):
            for kind in ODD:
                if parameter == "progress" and kind in CALLABLE:
                    continue
                error = outcome(call, **{parameter: odd(kind)})
                if error is not None and not is_ours(name, call, error):
                    escaped.append((name, parameter, kind, type(error).__name__, str(error)[:99]))
    assert escaped == []


def test_what_records_does_not_raise_because_of_a_value(on: Scene) -> None:
    escaped = []
    for name, parameter in [(n, p) for n, call in captures(on).items() for p in parameters(call)]:
        for kind in ODD:
            error = outcome(captures(on)[name], **{parameter: odd(kind)})
            documented = (name, parameter) in DOCUMENTED and isinstance(error, TracestoreError)
            if error is not None and not documented:
                escaped.append((name, parameter, kind, type(error).__name__, str(error)[:99]))
    assert escaped == []


def test_no_public_callable_is_forgotten(on: Scene) -> None:
    owners = {
        "": {name: getattr(tracestore, name) for name in tracestore.__all__},
        "Store.": vars(Store),
        "MlflowClient.": vars(MlflowClient),
        "tracing.": {name: getattr(tracing, name) for name in tracing.__all__},
        "otel.": {name: getattr(otel, name) for name in otel.__all__},
        "evaluation.": {name: getattr(evaluation, name) for name in evaluation.__all__},
        "Trace.": vars(Trace),
    }
    known = {name for group in odd_arguments.GROUPS for name in group(on)} | set(captures(on))
    public = {
        f"{prefix}{name}"
        for prefix, members in owners.items()
        for name, value in members.items()
        if name[0] != "_"
        and callable(value)
        and set(inspect.signature(value).parameters) - {"self"}
    }
    assert public - known == LEFT_OUT & public


def test_parts_of_entities_are_looked_at_too(on: Scene) -> None:
    odd_parts: list[dict[str, Any]] = [{"name": 5}, {"metadata": 5}, {"metadata": ["a"]}]
    for parts in odd_parts:
        with pytest.raises(InvalidArgumentError, match=next(iter(parts))):
            on.store.log_assessment(on.trace.trace_id, Feedback(**parts))


def test_no_trace_is_no_error_where_mlflow_takes_it(on: Scene) -> None:
    """A program passes on what get_last_active_trace_id gave, None where nothing was recorded."""
    nothing: Any = None
    assert tracestore.get_trace(nothing) is None
    assert tracestore.log_feedback(trace_id=nothing, value=1).assessment_id is None
    assert on.store.log_expectation(None, "right", 1).assessment_id is None


def test_verbs_take_what_they_took_before(on: Scene) -> None:
    package: Any = tracestore
    trace_id, ids = on.trace.trace_id, pd.Series([on.trace.trace_id])
    here = {"return_type": "list", "experiment_ids": [0]}
    by_name = package.search_traces(order_by="name", **here)
    assert len(by_name) == len(package.search_traces(max_results=np.int64(99), **here))
    assert on.store.span_counts(ids) == {trace_id: 1}  # type: ignore[arg-type]  # a column of a frame
    assert package.log_feedback(trace_id=trace_id, value=1, rationale=5).rationale == "5"


def _is_there(outputs: Any) -> bool:
    return outputs is not None


@pytest.mark.parametrize("forever", [float("inf"), 10**30])
def test_for_ever_is_a_time_to_wait(on: Scene, forever: float) -> None:
    with tracestore.start_span("queued"):
        pass
    assert tracestore.flush(forever).pending == 0
    with tracestore.monitor(_is_there, interval_s=forever) as watching:
        watching._thread.join(0.1)
        assert watching._thread.is_alive()  # it died of an OverflowError
    assert on.store.close(forever)


# ------------------------------------------------------------------------------------------ the rules


@checked
def _verb(
    text: str,
    words: list[str] | None = None,
    number: float = 1.0,
    *,
    most: int = 1,
    flag: bool = False,
    word: str | int = "",
    **more: Any,
) -> tuple[Any, ...]:
    """Say what was given."""
    return text, words, number, most, flag, word, more


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": 5}, "text is 5; it must be text"),
        ({"words": "one"}, "words is 'one'; it must be a list of texts or None"),
        ({"words": [1]}, r"words is \[1\]; it must be a list of texts or None"),
        ({"words": {"a": 1}}, "words is {'a': 1}; it must be a list of texts or None"),
        ({"number": float("nan")}, "number is nan; it must be a number"),
        ({"number": "1"}, "number is '1'; it must be a number"),
        (
            {"most": 2**63},
            "most is 9223372036854775808; it must be a whole number of at most 64 bits",
        ),
        ({"most": 1.0}, "most is 1.0; it must be a whole number"),
        ({"flag": "False"}, "flag is 'False'; it must be True or False"),
        ({"word": None}, "word is None; it must be text or a whole number"),
        ({"text": 10**5_000}, "text is of type int and can't be shown; it must be text"),
        ({"text": b"x" * 1_000}, "text is b'x{97}…; it must be text"),
    ],
)
def test_error_names_the_argument_the_value_and_the_rule(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{message}"):
        _verb(**{"text": "a", **given})


def test_what_means_the_same_is_taken() -> None:
    verb: Any = _verb
    words = pd.Series(["a", "b"])
    assert verb("a", words, np.float32(0.5), most=np.int64(3), flag=np.True_, other=5)[1:] == (
        ["a", "b"],
        0.5,
        3,
        True,
        "",
        {"other": 5},
    )
    assert _verb("a", (each for each in "ab"))[1] == ["a", "b"]  # type: ignore[arg-type]  # a generator


def test_a_missing_or_unknown_parameter_is_pythons_own_error() -> None:
    for arguments_ in ((), ("a", None, 1.0, 2)):
        with pytest.raises(TypeError, match=r"_verb\(\)"):
            _verb(*arguments_)


def test_checked_function_looks_like_itself() -> None:
    assert list(inspect.signature(_verb).parameters)[:2] == ["text", "words"]
    assert _verb.__doc__ == "Say what was given."
    assert "filter_string" in inspect.signature(Store.search_traces).parameters


@pytest.mark.parametrize("annotation", [Any, object, None, list, "Callable[..., Any]"])
def test_rule_of_an_annotation(annotation: Any) -> None:
    if isinstance(annotation, str):
        annotation = Callable[..., Any]
    rule = arguments.rule_of(annotation)
    assert rule is None or rule.words in ("None", "a list", "a function")
