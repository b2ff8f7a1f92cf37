"""What the real instrumentation packages record of the real libraries, against what a person expects to see.

`python -m tests.instrumentations` prints the table: package, version, spans, checks. The libraries talk to
tests/model_server.py over HTTP; nothing is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.guides.running import recording_into
from tests.model_server import API_KEY, model_server
from tracestore import autologging
from tracestore.entities import Span, Trace

OPENAI_TOKENS = {
    "input_tokens": 11,
    "output_tokens": 3,
    "total_tokens": 14,
    "cache_read_input_tokens": 5,
}
ANTHROPIC_TOKENS = {
    "input_tokens": 14,
    "output_tokens": 3,
    "total_tokens": 17,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 2,
}
CALL = ("weather", '{"city":"Paris"}')


class Expected(NamedTuple):
    """What one span of a model's call should say; each field is a check."""

    said: str
    answer: str | tuple[str, str] | None
    model: str | None
    tokens: dict[str, int] | None
    span_type: str = "CHAT_MODEL"
    status: str = "OK"


class Scenario(NamedTuple):
    """Calls of one library under one instrumentation package."""

    package: str
    target: str
    run: Callable[[str], None]
    expected: tuple[Expected, ...]


def chat(said: str) -> list[Any]:
    return [{"role": "system", "content": "be brief"}, {"role": "user", "content": said}]


def run_openai(url: str) -> None:
    openai = importlib.import_module("openai")
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    options = {"base_url": f"{url}/v1", "api_key": API_KEY, "max_retries": 0}
    with openai.OpenAI(**options) as client:
        create = client.chat.completions.create
        create(model="gpt-4", messages=chat("why"), temperature=0.5)
        create(model="gpt-4", messages=chat("use a tool"), tools=tools)
        stream = create(
            model="gpt-4",
            messages=chat("stream this"),
            stream=True,
            stream_options={"include_usage": True},
        )
        assert len(list(stream)) == 5
        with contextlib.suppress(openai.RateLimitError):
            create(model="gpt-4", messages=chat("fail 429"))

    async def ask() -> None:
        async with openai.AsyncOpenAI(**options) as client:
            await client.chat.completions.create(model="gpt-4", messages=chat("async"))

    asyncio.run(ask())


OPENAI = (
    Expected("why", "WHY", "gpt-4-2025", OPENAI_TOKENS),
    Expected("use a tool", CALL, "gpt-4-2025", OPENAI_TOKENS),
    Expected("stream this", "STREAM THIS", "gpt-4-2025", OPENAI_TOKENS),
    Expected("fail 429", None, None, None, status="ERROR"),
    Expected("async", "ASYNC", "gpt-4-2025", OPENAI_TOKENS),
)


def run_anthropic(url: str) -> None:
    anthropic = importlib.import_module("anthropic")
    tools = [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}]
    given: dict[str, Any] = {"model": "claude-x", "max_tokens": 10, "system": "be brief"}

    def ask(said: str) -> dict[str, Any]:
        return given | {"messages": [{"role": "user", "content": said}]}

    options = {"base_url": url, "api_key": API_KEY}
    with anthropic.Anthropic(**options, max_retries=2) as client:
        client.messages.create(**ask("why"))
        client.messages.create(**ask("use a tool"), tools=tools)
        client.messages.create(**ask("fail once"))
        list(client.messages.create(**ask("stream this"), stream=True))
    with (
        anthropic.Anthropic(**options, max_retries=0) as client,
        contextlib.suppress(anthropic.RateLimitError),
    ):
        client.messages.create(**ask("fail 429"))

    async def ask_async() -> None:
        async with anthropic.AsyncAnthropic(**options) as client:
            await client.messages.create(**ask("async"))

    asyncio.run(ask_async())


ANTHROPIC = (
    Expected("why", "WHY", "claude-x", ANTHROPIC_TOKENS),
    Expected("use a tool", CALL, "claude-x", ANTHROPIC_TOKENS),
    Expected("fail once", "FAIL ONCE", "claude-x", ANTHROPIC_TOKENS),
    Expected("stream this", "STREAM THIS", "claude-x", ANTHROPIC_TOKENS),
    Expected("fail 429", None, "claude-x", None, status="ERROR"),
    Expected("async", "ASYNC", "claude-x", ANTHROPIC_TOKENS),
)

#: OpenLLMetry adds what a stream's first event counts to its last one's count, which has it already.
_DOUBLED = {**ANTHROPIC_TOKENS, "output_tokens": 4, "total_tokens": 18}
ANTHROPIC_BY_OPENLLMETRY = tuple(
    expected._replace(tokens=_DOUBLED) if expected.said == "stream this" else expected
    for expected in ANTHROPIC
)


def run_langchain(url: str) -> None:
    model = importlib.import_module("langchain_openai").ChatOpenAI(
        base_url=f"{url}/v1", api_key=API_KEY, model="gpt-4", max_retries=0, stream_usage=True
    )
    prompts = importlib.import_module("langchain_core.prompts")
    core_tools = importlib.import_module("langchain_core.tools")

    def weather(city: str) -> str:
        """Say how the weather is."""
        return f"sunny in {city}"

    tool = core_tools.tool(weather)
    prompt = prompts.ChatPromptTemplate.from_messages(
        [("system", "be brief"), ("user", "{question}")]
    )
    chain = prompt | model
    chain.invoke({"question": "why"})
    prompt.pipe(model.bind_tools([tool])).invoke({"question": "use a tool"})
    list(chain.stream({"question": "stream this"}))
    with contextlib.suppress(importlib.import_module("openai").RateLimitError):
        chain.invoke({"question": "fail 429"})
    asyncio.run(chain.ainvoke({"question": "async"}))
    tool.invoke({"city": "Paris"})


LANGCHAIN = (
    Expected("why", "WHY", "gpt-4-2025", OPENAI_TOKENS),
    Expected("use a tool", CALL, "gpt-4-2025", OPENAI_TOKENS),
    Expected("stream this", "STREAM THIS", "gpt-4", OPENAI_TOKENS),
    Expected("fail 429", None, "gpt-4", None, status="ERROR"),
    Expected("async", "ASYNC", "gpt-4-2025", OPENAI_TOKENS),
)

SCENARIOS = (
    Scenario(
        "openinference-instrumentation-openai",
        "openinference.instrumentation.openai:OpenAIInstrumentor",
        run_openai,
        OPENAI,
    ),
    Scenario(
        "openinference-instrumentation-anthropic",
        "openinference.instrumentation.anthropic:AnthropicInstrumentor",
        run_anthropic,
        ANTHROPIC,
    ),
    Scenario(
        "opentelemetry-instrumentation-anthropic",
        "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
        run_anthropic,
        ANTHROPIC_BY_OPENLLMETRY,
    ),
    Scenario(
        "openinference-instrumentation-langchain",
        "openinference.instrumentation.langchain:LangChainInstrumentor",
        run_langchain,
        LANGCHAIN,
    ),
    # Last: its uninstrument leaves the chat completions wrapped.
    Scenario(
        "opentelemetry-instrumentation-openai",
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        run_openai,
        OPENAI,
    ),
)


def traces_of(scenario: Scenario, folder: pathlib.Path) -> list[Trace]:
    """Run a scenario; return its traces, the oldest first."""
    with recording_into(folder / "traces.db") as store, model_server() as url:
        autologging._start(scenario.target)
        try:
            scenario.run(url)
        finally:
            autologging._stop(scenario.target)
        return list(reversed(store.search_traces()))


def calls_in(traces: list[Trace]) -> list[Span]:
    """Return the spans that are calls of a model."""
    return [span for trace in traces for span in trace.data.spans if span.span_type == "CHAT_MODEL"]


def problems(span: Span, expected: Expected) -> list[str]:
    """Return what is not as expected, one line for each check that fails."""
    message = (span.outputs or {}).get("choices", [{}])[0].get("message", {})
    calls = [
        (call["function"]["name"], call["function"]["arguments"].replace(" ", ""))
        for call in message.get("tool_calls", ())
    ]
    seen = Expected(
        said=span.inputs["messages"][-1]["content"],
        answer=calls[0] if len(calls) == 1 else (message.get("content") or "").strip() or None,
        model=span.model_name if expected.model else None,
        tokens=span.get_attribute("mlflow.chat.tokenUsage"),
        span_type=span.span_type or "",
        status=span.status.status_code.value,
    )
    found = [
        f"{expected.said}: {field} is {got!r}, expected {wanted!r}"
        for field, got, wanted in zip(Expected._fields, seen, expected, strict=True)
        if got != wanted
    ]
    roles = [message["role"] for message in span.inputs["messages"]]
    if roles != ["system", "user"]:
        found.append(f"{expected.said}: roles are {roles}")
    return found


#: What `problems` checks of each span.
CHECKS_OF_A_SPAN = len(Expected._fields) + 1


class Outcome(NamedTuple):
    """What became of one scenario."""

    package: str
    version: str
    traces: int
    spans: int
    calls: int
    checks: int
    failed: list[str]


def outcome_of(scenario: Scenario) -> Outcome:
    """Run a scenario and check it."""
    with tempfile.TemporaryDirectory() as folder:
        traces = traces_of(scenario, pathlib.Path(folder))
    calls = calls_in(traces)
    failed = [
        problem
        for span, expected in zip(calls, scenario.expected, strict=False)
        for problem in problems(span, expected)
    ]
    if len(calls) != len(scenario.expected):
        failed.append(f"{len(calls)} calls, expected {len(scenario.expected)}")
    failed += [f"{t.trace_id} has the API key" for t in traces if API_KEY in t.to_json()]
    spans = sum(len(trace.data.spans) for trace in traces)
    return Outcome(
        scenario.package,
        importlib.metadata.version(scenario.package),
        len(traces),
        spans,
        len(calls),
        CHECKS_OF_A_SPAN * len(calls) + len(traces) + 1,
        failed,
    )


def main() -> None:
    """Print the table, or with --json one line of JSON for each row."""
    as_json = "--json" in sys.argv
    if not as_json:
        print("| package | version | traces | spans | model calls | checks | failed |")
        print("|---|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        outcome = outcome_of(scenario)
        if as_json:
            print(json.dumps(outcome._asdict()))
        else:
            cells = (*outcome[:-1], len(outcome.failed))
            print("| " + " | ".join(str(cell) for cell in cells) + " |")
            print("".join(f"{problem}\n" for problem in outcome.failed), end="")


if __name__ == "__main__":
    main()
