"""The table of semantic conventions: which foreign attribute says what, and who says so.

Data only. Each rule names a meaning, the attributes that carry it (the first one present wins) and the source
that defines them. Rules of one meaning are tried in the order of this table, so newer conventions come first.
"""

from __future__ import annotations

from typing import NamedTuple

from tracestore.entities.span import SpanType

GENAI = "https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/"
GENAI_1_27 = "https://github.com/open-telemetry/semantic-conventions/blob/v1.27.0/docs/gen-ai/gen-ai-spans.md"
OPENINFERENCE = "https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md"
TRACELOOP = (
    "https://github.com/traceloop/openllmetry/blob/main/packages/"
    "opentelemetry-semantic-conventions-ai/opentelemetry/semconv_ai/__init__.py"
)
VERCEL = "https://ai-sdk.dev/docs/ai-sdk-core/telemetry#collected-data"
LOGFIRE = "https://logfire.pydantic.dev/docs/integrations/llms/openai/"
LOGFIRE_USAGE = "logfire 5.2.0, logfire/_internal/integrations/llm_providers/semconv.py"
PYDANTIC_AI = "https://ai.pydantic.dev/logfire/#data-format"
SESSIONS = "https://opentelemetry.io/docs/specs/semconv/registry/attributes/session/"
USERS = "https://opentelemetry.io/docs/specs/semconv/registry/attributes/user/"


class Rule(NamedTuple):
    """Where one meaning is found.

    Attributes:
        meaning: What it says, such as `input_tokens`; see `translation`.
        keys: Attributes, the first one present wins.
        source: Who defines them.
    """

    meaning: str
    keys: tuple[str, ...]
    source: str


#: Attributes with one value each.
RULES = (
    Rule("model", ("gen_ai.response.model", "gen_ai.request.model"), GENAI),
    Rule(
        "model",
        ("llm.response.model_name", "llm.model_name", "llm.request.model_name"),
        OPENINFERENCE,
    ),
    Rule("model", ("embedding.model_name", "reranker.model_name"), OPENINFERENCE),
    Rule("model", ("ai.response.model", "ai.model.id"), VERCEL),
    Rule("parameters", ("llm.invocation_parameters",), OPENINFERENCE),
    Rule("provider", ("gen_ai.provider.name",), GENAI),
    Rule("provider", ("gen_ai.system",), GENAI_1_27),
    Rule("provider", ("llm.provider", "llm.system"), OPENINFERENCE),
    Rule("provider", ("ai.model.provider",), VERCEL),
    Rule("input_tokens", ("gen_ai.usage.input_tokens",), GENAI),
    Rule("input_tokens", ("gen_ai.usage.prompt_tokens",), GENAI_1_27),
    Rule("input_tokens", ("llm.token_count.prompt",), OPENINFERENCE),
    Rule("input_tokens", ("llm.usage.prompt_tokens",), TRACELOOP),
    Rule(
        "input_tokens", ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"), VERCEL
    ),
    Rule("output_tokens", ("gen_ai.usage.output_tokens",), GENAI),
    Rule("output_tokens", ("gen_ai.usage.completion_tokens",), GENAI_1_27),
    Rule("output_tokens", ("llm.token_count.completion",), OPENINFERENCE),
    Rule("output_tokens", ("llm.usage.completion_tokens",), TRACELOOP),
    Rule("output_tokens", ("ai.usage.outputTokens", "ai.usage.completionTokens"), VERCEL),
    Rule("total_tokens", ("gen_ai.usage.total_tokens", "llm.usage.total_tokens"), TRACELOOP),
    Rule("total_tokens", ("llm.token_count.total",), OPENINFERENCE),
    Rule("total_tokens", ("ai.usage.totalTokens",), VERCEL),
    Rule("cache_read_input_tokens", ("gen_ai.usage.cache_read.input_tokens",), GENAI),
    Rule("cache_read_input_tokens", ("gen_ai.usage.cache_read_input_tokens",), TRACELOOP),
    Rule(
        "cache_read_input_tokens",
        ("gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cached_tokens"),
        PYDANTIC_AI,
    ),
    Rule("cache_read_input_tokens", ("llm.token_count.prompt_details.cache_read",), OPENINFERENCE),
    Rule("cache_read_input_tokens", ("ai.usage.cachedInputTokens",), VERCEL),
    Rule(
        "cache_creation_input_tokens",
        ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        GENAI,
    ),
    Rule("cache_creation_input_tokens", ("gen_ai.usage.cache_creation_input_tokens",), TRACELOOP),
    Rule("cache_creation_input_tokens", ("gen_ai.usage.details.cache_write_tokens",), PYDANTIC_AI),
    Rule(
        "cache_creation_input_tokens",
        ("llm.token_count.prompt_details.cache_write",),
        OPENINFERENCE,
    ),
    Rule("raw_usage", ("gen_ai.usage.raw",), LOGFIRE_USAGE),
    Rule("input_cost", ("llm.cost.prompt",), OPENINFERENCE),
    Rule("output_cost", ("llm.cost.completion",), OPENINFERENCE),
    Rule("total_cost", ("llm.cost.total",), OPENINFERENCE),
    Rule("total_cost", ("operation.cost",), PYDANTIC_AI),
    Rule("total_cost", ("gen_ai.usage.cost",), TRACELOOP),
    Rule("inputs", ("gen_ai.tool.call.arguments", "tool_arguments"), GENAI),
    Rule("inputs", ("traceloop.entity.input",), TRACELOOP),
    Rule("inputs", ("input.value",), OPENINFERENCE),
    Rule("inputs", ("request_data",), LOGFIRE),
    Rule("inputs", ("ai.prompt", "ai.toolCall.args"), VERCEL),
    Rule("json_inputs", ("ai.value", "ai.values"), VERCEL),
    Rule("outputs", ("gen_ai.tool.call.result", "tool_response"), GENAI),
    Rule("outputs", ("traceloop.entity.output",), TRACELOOP),
    Rule("outputs", ("output.value",), OPENINFERENCE),
    Rule("outputs", ("response_data", "final_result"), LOGFIRE),
    Rule(
        "outputs",
        ("ai.response.object", "ai.response.text", "ai.result.text", "ai.toolCall.result"),
        VERCEL,
    ),
    Rule("json_outputs", ("ai.embedding", "ai.embeddings"), VERCEL),
    Rule("input_messages", ("gen_ai.input.messages",), GENAI),
    Rule("input_messages", ("ai.prompt.messages",), VERCEL),
    Rule("conversation", ("pydantic_ai.all_messages", "all_messages_events"), PYDANTIC_AI),
    Rule("message_events", ("events",), PYDANTIC_AI),
    Rule("output_messages", ("gen_ai.output.messages",), GENAI),
    Rule("system", ("gen_ai.system_instructions",), GENAI),
    Rule("tools", ("gen_ai.tool.definitions",), GENAI),
    Rule("tools", ("ai.prompt.tools",), VERCEL),
    Rule("tools", ("llm.request.functions",), TRACELOOP),
    Rule("tool_calls", ("ai.response.toolCalls",), VERCEL),
    Rule("session", ("session.id",), SESSIONS),
    Rule("session", ("gen_ai.conversation.id",), GENAI),
    Rule("session", ("traceloop.association.properties.session_id",), TRACELOOP),
    Rule("session", ("ai.telemetry.metadata.sessionId",), VERCEL),
    Rule("user", ("user.id", "enduser.id"), USERS),
    Rule("user", ("traceloop.association.properties.user_id",), TRACELOOP),
    Rule("user", ("ai.telemetry.metadata.userId",), VERCEL),
)


class Flattened(NamedTuple):
    """Where a list is spread over numbered attributes: `<prefix>.<number>.<field>`."""

    meaning: str
    prefix: str
    source: str


#: Lists that are spread over numbered attributes.
FLATTENED = (
    Flattened("input_messages", "llm.input_messages", OPENINFERENCE),
    Flattened("output_messages", "llm.output_messages", OPENINFERENCE),
    Flattened("input_messages", "gen_ai.prompt", TRACELOOP),
    Flattened("output_messages", "gen_ai.completion", TRACELOOP),
    Flattened("documents", "retrieval.documents", OPENINFERENCE),
    Flattened("documents", "reranker.output_documents", OPENINFERENCE),
    Flattened("tools", "llm.tools", OPENINFERENCE),
    Flattened("tools", "llm.request.functions", TRACELOOP),
)


class Kinds(NamedTuple):
    """What an attribute's values mean as span types."""

    key: str
    types: dict[str, str]
    source: str


#: Attributes that say of what type a span is, the first one that is known wins.
KINDS = (
    Kinds(
        "openinference.span.kind",
        {
            "LLM": SpanType.CHAT_MODEL,
            "CHAIN": SpanType.CHAIN,
            "PROMPT": SpanType.CHAIN,
            "AGENT": SpanType.AGENT,
            "TOOL": SpanType.TOOL,
            "RETRIEVER": SpanType.RETRIEVER,
            "EMBEDDING": SpanType.EMBEDDING,
            "RERANKER": SpanType.RERANKER,
            "GUARDRAIL": SpanType.GUARDRAIL,
            "EVALUATOR": SpanType.EVALUATOR,
            "UNKNOWN": SpanType.UNKNOWN,
        },
        OPENINFERENCE,
    ),
    Kinds(
        "gen_ai.operation.name",
        {
            "chat": SpanType.CHAT_MODEL,
            "create_agent": SpanType.AGENT,
            "invoke_agent": SpanType.AGENT,
            "invoke_workflow": SpanType.WORKFLOW,
            "embeddings": SpanType.EMBEDDING,
            "execute_tool": SpanType.TOOL,
            "generate_content": SpanType.LLM,
            "text_completion": SpanType.LLM,
            "response": SpanType.LLM,
            "retrieval": SpanType.RETRIEVER,
        },
        GENAI,
    ),
    Kinds(
        "traceloop.span.kind",
        {
            "workflow": SpanType.WORKFLOW,
            "task": SpanType.TASK,
            "agent": SpanType.AGENT,
            "tool": SpanType.TOOL,
            "unknown": SpanType.UNKNOWN,
        },
        TRACELOOP,
    ),
    Kinds(
        "llm.request.type",
        {
            "chat": SpanType.CHAT_MODEL,
            "completion": SpanType.LLM,
            "embedding": SpanType.EMBEDDING,
            "rerank": SpanType.RERANKER,
        },
        TRACELOOP,
    ),
    Kinds(
        "ai.operationId",
        {
            "ai.generateText": SpanType.LLM,
            "ai.generateText.doGenerate": SpanType.CHAT_MODEL,
            "ai.streamText": SpanType.LLM,
            "ai.streamText.doStream": SpanType.CHAT_MODEL,
            "ai.generateObject": SpanType.LLM,
            "ai.generateObject.doGenerate": SpanType.CHAT_MODEL,
            "ai.streamObject": SpanType.LLM,
            "ai.streamObject.doStream": SpanType.CHAT_MODEL,
            "ai.toolCall": SpanType.TOOL,
            "ai.embed": SpanType.EMBEDDING,
            "ai.embed.doEmbed": SpanType.EMBEDDING,
            "ai.embedMany": SpanType.EMBEDDING,
            "ai.embedMany.doEmbed": SpanType.EMBEDDING,
        },
        VERCEL,
    ),
)

#: Attributes that only spans of one type have, where nothing else says it: attribute, type, source.
PRESENT = (
    ("gen_ai.tool.call.id", SpanType.TOOL, GENAI),
    ("all_messages_events", SpanType.AGENT, PYDANTIC_AI),
    ("pydantic_ai.all_messages", SpanType.AGENT, PYDANTIC_AI),
)

#: Events of a span that are messages: name of the event, role. Source: GENAI_1_27.
MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT = "gen_ai.choice"

#: Events that hold all messages as one attribute. Source: GENAI_1_27, GENAI.
CONTENT_EVENTS = {
    "gen_ai.content.prompt": ("gen_ai.prompt", "input_messages"),
    "gen_ai.content.completion": ("gen_ai.completion", "output_messages"),
    "gen_ai.client.inference.operation.details": ("", ""),
}

#: Attributes of which a span that has anything for `translate` has at least one.
MARKERS = frozenset(kinds.key for kinds in KINDS) | {key for rule in RULES for key in rule.keys}


def reference_table() -> str:
    """Return the rules as a Markdown table, for the documentation."""
    rows = [(rule.meaning, rule.keys, rule.source) for rule in RULES]
    rows += [(f.meaning, (f"{f.prefix}.<n>.…",), f.source) for f in FLATTENED]
    rows += [("span type", (kinds.key,), kinds.source) for kinds in KINDS]
    rows += [(f"span type {kind}", (key,), source) for key, kind, source in PRESENT]
    order = {meaning: place for place, (meaning, _, _) in reversed(list(enumerate(rows)))}
    rows.sort(key=lambda row: order[row[0]])
    lines = ["| meaning | attributes, the first present wins | source |", "|---|---|---|"]
    for meaning, keys, source in rows:
        names = ", ".join(f"`{key}`" for key in keys)
        lines.append(f"| {meaning} | {names} | {source} |")
    return "\n".join(lines)
