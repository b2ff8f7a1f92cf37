# pip install logfire openai anthropic
# mypy: ignore-errors
import contextlib
import os

import anthropic
import logfire
import openai

logfire.configure(send_to_logfire=False, console=False, service_name="logfire")
logfire.instrument_openai()
logfire.instrument_anthropic()

url, key = os.environ["MODEL_URL"], os.environ["MODEL_KEY"]
tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
system = {"role": "system", "content": "be brief"}


def said(text):
    return [system, {"role": "user", "content": text}]


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
    client.responses.create(model="gpt-5", instructions="be brief", input="hi")

# Its own spans are another matter, see tests/client_tracing.py.
with anthropic.Anthropic(base_url=url, api_key=key, open_telemetry=False) as client:
    given = {"model": "claude-x", "max_tokens": 10, "system": "be brief"}
    client.messages.create(**given, messages=[{"role": "user", "content": "why"}])
    with client.messages.stream(
        **given, messages=[{"role": "user", "content": "stream this"}]
    ) as stream:
        list(stream.text_stream)

logfire.force_flush()
