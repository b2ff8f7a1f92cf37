"""One way to record Anthropic's client or FastAPI, which trace themselves: `python -m tests.client_tracing WAY FILE`.

A process of its own, because a global tracer provider can't be unset. Records into FILE; prints nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import tracestore
from tests.instrumentations import run_anthropic
from tests.model_server import API_KEY, model_server

INSTRUMENTORS = (
    "openinference.instrumentation.anthropic",
    "opentelemetry.instrumentation.anthropic",
)


def with_content() -> None:
    """Nothing but our global provider; the client is told to say what was asked and answered."""
    os.environ["ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE"] = "content"
    tracestore.otel.autolog()
    call_anthropic()


def openinference() -> None:
    """Our global provider and the instrumentor, whose span is the one that is current."""
    tracestore.otel.autolog()
    tracestore.anthropic.autolog()
    call_anthropic()


def openllmetry() -> None:
    """Our global provider and an instrumentor whose span never is the current one."""
    tracestore.otel.autolog()
    instrument(INSTRUMENTORS[1], tracestore.otel.tracer_provider())
    call_anthropic()


def raw_stream() -> None:
    """A stream that the instrumentor does not look into: its span ends before the tokens are known."""
    tracestore.otel.autolog()
    tracestore.anthropic.autolog()
    read_raw_stream()


def raw_stream_in_application() -> None:
    """As `raw_stream`, with a provider of the application's SDK."""
    provider = application_provider()
    tracestore.otel.autolog()
    instrument(INSTRUMENTORS[0], provider)
    read_raw_stream()


def application() -> None:
    """A provider of the application's SDK with an instrumentor of its own."""
    provider = application_provider()
    tracestore.otel.autolog()
    instrument(INSTRUMENTORS[0], provider)
    call_anthropic()


def alone() -> None:
    """No instrumentor and no provider: the client is all there is."""
    hide_instrumentors()
    tracestore.anthropic.autolog()
    call_anthropic()


def alone_by_all() -> None:
    """As `alone`, with everything switched on."""
    hide_instrumentors()
    tracestore.autolog()
    tracestore.otel.autolog()
    call_anthropic()


def alone_in_application() -> None:
    """No instrumentor; the application's provider keeps its spans, and nobody else decides about content."""
    exporter = importlib.import_module(
        "opentelemetry.sdk.trace.export.in_memory_span_exporter"
    ).InMemorySpanExporter()
    processor = importlib.import_module("opentelemetry.sdk.trace.export").SimpleSpanProcessor
    provider = application_provider()
    provider.add_span_processor(processor(exporter))
    hide_instrumentors()
    tracestore.anthropic.autolog()
    call_anthropic()
    provider.get_tracer("another").start_span("not ours").end()
    assert len(exporter.get_finished_spans()) == 7
    tracestore.otel.autolog()  # a second processor records nothing twice
    call_anthropic()


def switched_off() -> None:
    """Clients that exist stop with `disable=True`, and go on when it begins again."""
    hide_instrumentors()
    tracestore.anthropic.autolog()
    anthropic = importlib.import_module("anthropic")
    original = anthropic.Anthropic.__init__.__wrapped__
    with (
        model_server() as url,
        anthropic.Anthropic(base_url=url, api_key=API_KEY) as client,
        anthropic.Anthropic(base_url=url, api_key=API_KEY, open_telemetry=False) as silent,
    ):

        def ask(said: str, of: Any = client) -> None:
            asked = [{"role": "user", "content": said}]
            of.messages.create(model="claude-x", max_tokens=1, messages=asked)

        ask("silent", silent)
        tracestore.anthropic.autolog(disable=True)
        assert anthropic.Anthropic.__init__ is original
        ask("off")
        tracestore.anthropic.autolog()
        ask("on")


def streams() -> None:
    """No instrumentor: the stream that the client itself puts together."""
    hide_instrumentors()
    tracestore.anthropic.autolog()
    with (
        model_server() as url,
        importlib.import_module("anthropic").Anthropic(base_url=url, api_key=API_KEY) as client,
        client.messages.stream(
            model="claude-x",
            max_tokens=1,
            system="be brief",
            messages=[{"role": "user", "content": "stream"}],
        ) as stream,
    ):
        assert "".join(stream.text_stream) == "STREAM"


def fastapi() -> None:
    """An application of FastAPI under our global provider."""
    tracestore.otel.autolog()
    application: Any = importlib.import_module("fastapi").FastAPI()
    client: Any = importlib.import_module("fastapi.testclient").TestClient(
        application, raise_server_exceptions=False
    )

    @tracestore.trace
    def work(number: int) -> int:
        if number > 9:
            raise ValueError("too large")
        return number + 1

    @tracestore.trace
    async def work_async(number: int) -> int:
        return work(number)

    def plain(number: int) -> int:
        return work(number)

    async def asynchronous(number: int) -> int:
        return await work_async(number)

    application.get("/plain")(plain)
    application.get("/async/{number}")(asynchronous)
    assert client.get("/plain?number=1").json() == 2
    assert client.get("/async/2").json() == 3
    assert client.get("/plain?number=10").status_code == 500


def call_anthropic() -> None:
    with model_server() as url, tracestore.start_span("request"):
        run_anthropic(url)


def read_raw_stream() -> None:
    given: dict[str, Any] = {"model": "claude-x", "max_tokens": 1, "stream": True}
    with (
        model_server() as url,
        importlib.import_module("anthropic").Anthropic(base_url=url, api_key=API_KEY) as client,
    ):
        asked = [{"role": "user", "content": "raw"}]
        response = client.messages.with_raw_response.create(**given, messages=asked)
        assert list(response.parse())


def application_provider() -> Any:
    provider = importlib.import_module("opentelemetry.sdk.trace").TracerProvider()
    importlib.import_module("opentelemetry.trace").set_tracer_provider(provider)
    return provider


def instrument(module: str, provider: Any) -> None:
    importlib.import_module(module).AnthropicInstrumentor().instrument(tracer_provider=provider)


def hide_instrumentors() -> None:
    """Have Python say that they are not installed."""
    sys.modules.update(dict.fromkeys(INSTRUMENTORS))  # type: ignore[arg-type]  # None is how one says so


WAYS: dict[str, Callable[[], None]] = {
    way.__name__: way
    for way in (
        with_content,
        openinference,
        openllmetry,
        raw_stream,
        raw_stream_in_application,
        application,
        alone,
        alone_by_all,
        alone_in_application,
        switched_off,
        streams,
        fastapi,
    )
}

if __name__ == "__main__":
    tracestore.set_tracking_uri(sys.argv[2])
    WAYS[sys.argv[1]]()
    tracestore.flush()
