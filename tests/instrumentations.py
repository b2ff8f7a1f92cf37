"""What the real instrumentation packages record of the real libraries, against what a person expects to see.

`python -m tests.instrumentations` prints the table: package, version, spans, checks; with `--write` it is kept in
instrumentations.json, for the README. The libraries talk to tests/model_server.py over HTTP; nothing is replaced. Packages that need another language, or releases that don't go
with each other, have been recorded: tests/foreign/otlp has their spans and the scripts that made them.

`python -m tests.instrumentations --rules` prints the table of conventions with the packages that each rule's
attributes were seen from.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import json
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tests.guides.running import recording_into
from tests.model_server import API_KEY, model_server
from tracestore import autologging
from tracestore.conventions.rules import reference_table
from tracestore.entities import Span, Trace
from tracestore.importing import import_into
from tracestore.store import Store

#: The rows of the README's table, as `--write` found them.
WRITTEN = pathlib.Path(__file__).parent / "instrumentations.json"

#: What was recorded of other programs.
FOREIGN = pathlib.Path(__file__).parent / "foreign" / "otlp"

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
    Expected("fail 429", None, "gpt-4", None, status="ERROR"),
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
    asked = (span.inputs or {}).get("messages", [])
    calls = [
        (call["function"]["name"], call["function"]["arguments"].replace(" ", ""))
        for call in message.get("tool_calls", ())
    ]
    seen = Expected(
        said=asked[-1]["content"] if asked else "",
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
    roles = [message["role"] for message in asked]
    if expected.said and roles[:2] != ["system", "user"]:
        found.append(f"{expected.said}: roles are {roles}")
    return found


#: What `problems` checks of each span.
CHECKS_OF_A_SPAN = len(Expected._fields) + 1


class Recorded(NamedTuple):
    """What a package sent, in a file beside tests/foreign/otlp/sources.json, and what it should say."""

    package: str
    file: str
    expected: tuple[Expected, ...]


_STREAM = Expected("stream this", "STREAM THIS", "gpt-4-2025", OPENAI_TOKENS)
_AGENT = (
    Expected("why", "WHY", "gpt-4-2025", OPENAI_TOKENS),
    Expected("use a tool", CALL, "gpt-4-2025", OPENAI_TOKENS),
    Expected("sunny in Paris", "SUNNY IN PARIS", "gpt-4-2025", OPENAI_TOKENS),
)
_RESPONSES_TOKENS = {
    "input_tokens": 6,
    "output_tokens": 2,
    "total_tokens": 8,
    "cache_read_input_tokens": 1,
}
_UNCACHED = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14}

RECORDED = (
    Recorded(
        "ai",
        "vercel.jsonl",
        (*OPENAI[:2], _STREAM, OPENAI[3]._replace(model="gpt-4")),
    ),
    Recorded(
        "logfire",
        "logfire.jsonl",
        (
            *OPENAI[:2],
            # Logfire's span of a stream ends before it is read; a second one has what was read.
            _STREAM._replace(answer=None, tokens=None, model="gpt-4"),
            _STREAM._replace(model="gpt-4"),
            OPENAI[3]._replace(model="gpt-4"),
            Expected("hi", "HI", "gpt-5", _RESPONSES_TOKENS),
            ANTHROPIC[0],
            Expected("stream this", None, "claude-x", None),
            Expected("stream this", "STREAM THIS", "claude-x", ANTHROPIC_TOKENS),
        ),
    ),
    Recorded("pydantic-ai-slim", "pydantic_ai.jsonl", _AGENT),
    Recorded("pydantic-ai-slim", "pydantic_ai_0_4.jsonl", _AGENT),
    # What was said is in log records there, which are no part of a trace.
    Recorded(
        "opentelemetry-instrumentation-openai-v2",
        "openai_v2_2_1.jsonl",
        (
            *(Expected("", None, "gpt-4-2025", _UNCACHED) for _ in range(3)),
            Expected("", None, "gpt-4", None, status="ERROR"),
        ),
    ),
)


def recorded_traces(recorded: Recorded, folder: pathlib.Path) -> list[Trace]:
    """Import what was recorded; return its traces, the oldest first."""
    with Store(folder / "traces.db") as store:
        import_into(store, str(FOREIGN / recorded.file))
        return list(reversed(store.search_traces()))


def version_of(recorded: Recorded) -> str:
    """Return the release that was recorded."""
    sources = json.loads((FOREIGN / "sources.json").read_text("utf-8"))
    return str(sources[recorded.file]["packages"][recorded.package])


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
    version = importlib.metadata.version(scenario.package)
    return checked(scenario.package, version, traces, scenario.expected)


def outcome_of_recorded(recorded: Recorded) -> Outcome:
    """Check what was recorded."""
    with tempfile.TemporaryDirectory() as folder:
        traces = recorded_traces(recorded, pathlib.Path(folder))
    return checked(recorded.package, version_of(recorded), traces, recorded.expected)


def checked(
    package: str, version: str, traces: list[Trace], expecteds: tuple[Expected, ...]
) -> Outcome:
    """Return what traces say beside what they should."""
    calls = calls_in(traces)
    failed = [
        problem
        for span, expected in zip(calls, expecteds, strict=False)
        for problem in problems(span, expected)
    ]
    if len(calls) != len(expecteds):
        failed.append(f"{len(calls)} calls, expected {len(expecteds)}")
    failed += [f"{t.trace_id} has the API key" for t in traces if API_KEY in t.to_json()]
    spans = sum(len(trace.data.spans) for trace in traces)
    return Outcome(
        package,
        version,
        len(traces),
        spans,
        len(calls),
        CHECKS_OF_A_SPAN * len(calls) + len(traces) + 1,
        failed,
    )


def seen_from(rows: Iterable[tuple[str, list[Trace]]]) -> dict[str, set[str]]:
    """Return the packages by the attributes and the events that their spans have, numbers in names left out."""
    found: dict[str, set[str]] = {}
    for package, traces in rows:
        for span in (span for trace in traces for span in trace.data.spans):
            names = [*span.attributes, *(event.name for event in span.events)]
            for name in {re.split(r"\.\d", name)[0] for name in names}:
                found.setdefault(name, set()).add(package)
    return found


def print_rules() -> None:
    """Print the table of conventions with the packages in whose spans each rule's attributes are."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        everything: tuple[Recorded | Scenario, ...] = (*RECORDED, *SCENARIOS)
        for number, one in enumerate(everything):
            below = pathlib.Path(folder, str(number))
            below.mkdir()
            if isinstance(one, Recorded):
                rows.append((f"{one.package} {version_of(one)}", recorded_traces(one, below)))
            else:
                version = importlib.metadata.version(one.package)
                rows.append((f"{one.package} {version}", traces_of(one, below)))
    seen = seen_from(rows)
    for line in reference_table().splitlines():
        names = [name.partition(".<n>")[0] for name in re.findall(r"`([^`]+)`", line)]
        packages = sorted({package for name in names for package in seen.get(name, ())})
        head = {"| meaning": " seen from |", "|---|---|---|": "---|"}
        added = next((end for start, end in head.items() if line.startswith(start)), None)
        print(line + (f" {', '.join(packages)} |" if added is None else added))


def written_outcomes() -> list[Outcome]:
    """Return what `--write` kept."""
    return [Outcome(**row) for row in json.loads(WRITTEN.read_text("utf-8"))]


def table(outcomes: Iterable[Outcome]) -> str:
    """Return outcomes as a Markdown table, by package."""
    lines = [
        "| package | version | traces | spans | model calls | checks | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in sorted(outcomes):
        cells = (*outcome[:-1], len(outcome.failed))
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
        lines += outcome.failed
    return "\n".join(lines)


def main() -> None:
    """Print the table, or with --json one line of JSON for each row, or with --rules the rules."""
    if "--rules" in sys.argv:
        print_rules()
        return
    outcomes = [
        outcome_of_recorded(one) if isinstance(one, Recorded) else outcome_of(one)
        for one in (*RECORDED, *SCENARIOS)
    ]
    if "--write" in sys.argv:
        rows = [outcome._asdict() for outcome in outcomes]
        WRITTEN.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    if "--json" in sys.argv:
        print("\n".join(json.dumps(outcome._asdict()) for outcome in outcomes))
    else:
        print(table(outcomes))


if __name__ == "__main__":
    main()
