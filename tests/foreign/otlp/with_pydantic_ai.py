# pip install "pydantic-ai-slim[openai]" opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
# mypy: ignore-errors
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent
from pydantic_ai.models import openai
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.providers.openai import OpenAIProvider

tracer_provider = TracerProvider()
tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
Agent.instrument_all(InstrumentationSettings(tracer_provider=tracer_provider))
url = os.environ["MODEL_URL"]
provider = OpenAIProvider(base_url=f"{url}/v1", api_key=os.environ["MODEL_KEY"])
chat_model = getattr(openai, "OpenAIChatModel", None) or openai.OpenAIModel  # before 1.0
model = chat_model("gpt-4", provider=provider)

Agent(model, system_prompt="be brief", name="helper").run_sync("why")

agent = Agent(model, system_prompt="be brief", name="tooled")


@agent.tool_plain
def weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny in {city}"


agent.run_sync("use a tool")
tracer_provider.shutdown()
