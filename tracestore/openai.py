"""Auto-tracing of the `openai` package: completions, responses and embeddings as spans, the calls unchanged.

`autolog()` puts a recording function in place of `create` and `parse` of the client's resources, for sync and
async clients, plain and streaming; `autolog(disable=True)` puts the package's own back. This package does it
itself, with MLflow's names and shapes, because its guides begin with it and it needs nothing else; every other
library is traced by its instrumentor, see `autologging`. The call comes first: it gets its arguments untouched,
returns and raises what it would without this, and what fails here is counted and logged once.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from tracestore.capture.context import current, innermost
from tracestore.capture.scope import start
from tracestore.capture.span import LiveSpan
from tracestore.entities import SpanEvent, SpanType
from tracestore.entities.span import MODEL_KEY, USAGE_KEY
from tracestore.errors import MissingPackageError
from tracestore.runtime import runtime

#: Arguments that are about the connection: they may hold keys and say nothing about the question.
_NOT_RECORDED = frozenset({"api_key", "extra_headers", "extra_query", "timeout"})

#: Methods of the chat completions that are recorded; early releases have no `parse` there.
_METHODS = ("create", "parse")

#: The attribute by which a function of this module is known, and what it stands in for.
_ORIGINAL = "__tracestore_original__"

#: What `with_raw_response` gives in place of a completion, by the name of its class.
_RAW = "LegacyAPIResponse"


def autolog(log_traces: bool = True, disable: bool = False, silent: bool = False) -> None:
    """Record every chat completion, response and embedding of the `openai` package from now on.

    The span is called `Completions`, `Responses` or `Embeddings` (`AsyncCompletions`, …), is a CHAT_MODEL or
    EMBEDDING, and goes under the current one, else it starts a trace. Its inputs are the call's keyword arguments, never keys or headers; its outputs the completion. A
    streamed answer's span ends when the stream has been read, closed or dropped, with the completion
    assembled from what was read. Calling this twice changes nothing.

    Args:
        log_traces: False is the same as `disable=True`.
        disable: Stop recording and put the package's own functions back.
        silent: Kept for MLflow programs; nothing is said here anyway.

    Raises:
        MissingPackageError: `openai` is not installed, or older than 1.50.

    Example:
        >>> autolog()
    """
    del silent
    for resource in _resources():
        for method in _METHODS:
            if disable or not log_traces:
                _restore(resource, method)
            else:
                _replace(resource, method)


def _resources() -> Iterator[type]:
    """Yield the classes whose methods are recorded; early releases have no responses."""
    try:
        from openai.resources.chat.completions import (  # noqa: PLC0415 - half a second, and optional
            AsyncCompletions,
            Completions,
        )
    except ImportError as error:
        raise MissingPackageError(
            'tracing OpenAI calls needs the openai package: pip install "openai>=1.50"'
        ) from error
    yield from (Completions, AsyncCompletions)
    from openai import resources  # noqa: PLC0415 - as above

    for name in ("Embeddings", "AsyncEmbeddings"):
        yield getattr(resources, name)
    with contextlib.suppress(ImportError):
        from openai.resources import responses  # noqa: PLC0415 - as above

        yield from (responses.Responses, responses.AsyncResponses)


def _replace(resource: type, method: str) -> None:
    original = vars(resource).get(method)
    if original is None or hasattr(original, _ORIGINAL):  # also beneath another library's wrapper
        return
    wrap = _wrap_async if resource.__name__.startswith("Async") else _wrap_sync
    replacement = wrap(original, resource.__name__)
    setattr(replacement, _ORIGINAL, original)
    setattr(resource, method, replacement)


def _restore(resource: type, method: str) -> None:
    replacement = vars(resource).get(method)
    original = getattr(replacement, _ORIGINAL, None)
    if original is not None and getattr(replacement, "__wrapped__", None) is original:
        setattr(resource, method, original)


def _wrap_sync(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _Call(name, kwargs) as recording:
            response = original(self, *args, **kwargs)
            recording.take(response)
            return response

    return call


def _wrap_async(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _Call(name, kwargs) as recording:
            response = await original(self, *args, **kwargs)
            recording.take(response)
            return response

    return call


@contextlib.contextmanager
def _harmless(what: str) -> Iterator[None]:
    """Keep a failure of recording out of the traced program."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - tracing never breaks the traced program
        runtime.failed(what, error)


class _Call:
    """The span of one call, current while it runs."""

    __slots__ = ("_before", "_kwargs", "_name", "_span", "_streams")

    def __init__(self, name: str, kwargs: Mapping[str, Any]) -> None:
        self._name = name
        self._kwargs = kwargs
        self._streams = False

    def __enter__(self) -> _Call:  # noqa: PYI034 - Self is newer than Python 3.10
        self._before = current.get()
        is_embedding = self._name.endswith("Embeddings")
        span_type = SpanType.EMBEDDING if is_embedding else SpanType.CHAT_MODEL
        self._span = start(innermost(), self._name, span_type)
        if isinstance(self._span, LiveSpan):
            current.set(self._span)
            with _harmless("a request to OpenAI"):
                _record_request(self._span, self._kwargs)
        return self

    def take(self, response: Any) -> None:
        """Record what came back; a stream goes on being recorded while it is read."""
        if not isinstance(self._span, LiveSpan):
            return
        with _harmless("a response of OpenAI"):
            if type(response).__name__ == _RAW:
                response = (
                    response.parse()
                )  # it keeps what it parsed: the caller gets the same object
            if hasattr(response, "model_dump"):
                _record_completion(self._span, _dumped(response))
            elif hasattr(response, "_iterator") and hasattr(response, "response"):
                _watch(response, _StreamRecording(self._span))
                self._streams = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if current.get() is self._span:
            current.set(self._before)
        if exception is not None:
            self._span.record_exception(exception)
        if not self._streams:
            self._span.end()


def _record_request(span: LiveSpan, kwargs: Mapping[str, Any]) -> None:
    given = {
        key: value
        for key, value in kwargs.items()
        if key not in _NOT_RECORDED and not _is_absent(value)
    }
    span.set_inputs(given)
    span.set_attributes(
        {key: value for key, value in given.items() if key not in ("messages", "input")}
    )
    if "messages" in given:
        span.set_attribute("mlflow.message.format", "openai")
    if "tools" in given:
        span.set_attribute("mlflow.chat.tools", given["tools"])
    if "model" in given:
        span.set_attribute(MODEL_KEY, given["model"])


def _is_absent(value: Any) -> bool:
    """Whether this is one of the values by which the package says that nothing was given."""
    kind = type(value)
    return kind.__name__ in ("NotGiven", "Omit") and kind.__module__.partition(".")[0] == "openai"


def _dumped(model: Any) -> dict[str, Any]:
    # Compatible servers answer with values that the package's types don't foresee: no warning for that.
    return dict(model.model_dump(mode="json", warnings=False))


def _record_completion(span: LiveSpan, completion: Mapping[str, Any]) -> None:
    span.set_outputs(completion)
    if completion.get("model"):
        span.set_attribute(MODEL_KEY, completion["model"])
    usage = _token_usage(completion.get("usage"))
    if usage:
        span.set_attribute(USAGE_KEY, usage)


def _token_usage(usage: Any) -> dict[str, int]:
    """Return MLflow's token counts of OpenAI's, {} where there are none."""
    if not isinstance(usage, Mapping):
        return {}
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    counts = {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "total_tokens": usage.get("total_tokens"),
        "cache_read_input_tokens": details.get("cached_tokens"),
    }
    return {key: count for key, count in counts.items() if isinstance(count, int)}


# ------------------------------------------------------------------------------------------ streams


class _StreamRecording:
    """The span of a streamed answer. Ends once, however the stream ends; knows nothing of the stream."""

    __slots__ = ("_chunks", "_span", "reading")

    def __init__(self, span: LiveSpan) -> None:
        self._span = span
        self._chunks: list[dict[str, Any]] = []
        #: Whether the stream's own code runs, which closes the response as its last step.
        self.reading = False

    def take(self, chunk: Any) -> None:
        """Record one chunk: an event now, part of the completion at the end."""
        with _harmless("a chunk of OpenAI"):
            value = _dumped(chunk)
            name = f"mlflow.chunk.item.{len(self._chunks)}"
            self._chunks.append(value)
            self._span.add_event(SpanEvent(name, attributes={"mlflow.chunk.value": value}))

    def finish(self, error: BaseException | None = None) -> None:
        """End the span, with the exception that ended the stream, if any."""
        if self._span.end_time_ns is not None:
            return
        with _harmless("a stream of OpenAI"):
            if error is not None:
                self._span.record_exception(error)
            if self._chunks:
                _record_completion(self._span, assemble(self._chunks))
        self._span.end()

    def close(self) -> None:
        """End the span where the response was closed from outside."""
        if not self.reading:
            self.finish()


def _watch(stream: Any, recording: _StreamRecording) -> None:
    """Have a Stream or AsyncStream of the package tell `recording` what is read of it.

    In place: the caller gets the very object, with all its methods.
    """
    if hasattr(stream, "__aiter__"):
        stream._iterator = _watched_async(stream._iterator, recording)  # noqa: SLF001 - no public way
        closing = "aclose"
    else:
        stream._iterator = _watched_sync(stream._iterator, recording)  # noqa: SLF001 - no public way
        closing = "close"
    # A generator that was never started says nothing when it is dropped; nor does a reader that was left.
    weakref.finalize(stream, recording.finish)
    _watch_closing(stream.response, closing, recording)


def _watch_closing(response: Any, method: str, recording: _StreamRecording) -> None:
    """Have a response tell `recording` when it is closed: what a stream's `close` and `with` come down to."""
    original = getattr(response, method)

    @functools.wraps(original)
    def close() -> Any:
        recording.close()
        return original()

    setattr(response, method, close)


def _watched_sync(chunks: Iterator[Any], recording: _StreamRecording) -> Iterator[Any]:
    while True:
        recording.reading = True
        try:
            chunk = next(chunks)
        except StopIteration:
            recording.finish()
            return
        except BaseException as error:
            recording.finish(error)
            raise
        finally:
            recording.reading = False
        recording.take(chunk)
        yield chunk


async def _watched_async(
    chunks: AsyncIterator[Any], recording: _StreamRecording
) -> AsyncIterator[Any]:
    while True:
        recording.reading = True
        try:
            chunk = await chunks.__anext__()
        except StopAsyncIteration:
            recording.finish()
            return
        except BaseException as error:
            recording.finish(error)
            raise
        finally:
            recording.reading = False
        recording.take(chunk)
        yield chunk


def assemble(chunks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the chat completion, or response, that the chunks of a stream, as dictionaries, amount to."""
    whole = [chunk["response"] for chunk in chunks if isinstance(chunk.get("response"), dict)]
    if whole:  # a response's events: each of these has it as it stood
        return dict(whole[-1])
    completion: dict[str, Any] = {"object": "chat.completion"}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for key in ("id", "created", "model", "service_tier", "system_fingerprint", "usage"):
            if chunk.get(key) is not None:
                completion[key] = chunk[key]
        for part in chunk.get("choices") or ():
            index = part.get("index") or 0
            choice = choices.setdefault(
                index, {"index": index, "message": {}, "finish_reason": None}
            )
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
            _extend(choice["message"], part.get("delta") or {})
    return completion | {"choices": [_finished(choices[index]) for index in sorted(choices)]}


def _extend(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to a message: text is joined, the parts of a tool call are joined by their index."""
    for key, value in delta.items():
        if value is None:
            continue
        if key == "tool_calls":
            calls = message.setdefault(key, {})
            for call in value:
                _extend(calls.setdefault(call.get("index") or 0, {}), call)
        elif isinstance(value, Mapping):
            _extend(message.setdefault(key, {}), value)
        elif isinstance(value, str) and key not in ("role", "id", "type"):
            message[key] = message.get(key, "") + value
        else:
            message[key] = value


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **choice["message"]}
    calls = message.get("tool_calls")
    if calls:
        message["tool_calls"] = [
            {key: value for key, value in calls[index].items() if key != "index"}
            for index in sorted(calls)
        ]
    return choice | {"message": message}
