# pip install "opentelemetry-instrumentation-openai-v2<2.2" openai opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
# mypy: ignore-errors
import contextlib
import os

import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()

tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


def said(text):
    return [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}]


url, key = os.environ["MODEL_URL"], os.environ["MODEL_KEY"]
with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
    create = client.chat.completions.create
    create(model="gpt-4", messages=said("why"))
    create(model="gpt-4", messages=said("use a tool"), tools=tools)
    list(
        create(
            model="gpt-4",
            messages=said("stream this"),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    with contextlib.suppress(openai.RateLimitError):
        create(model="gpt-4", messages=said("fail 429"))
    client.embeddings.create(model="embed", input=["a", "b"])
provider.shutdown()
