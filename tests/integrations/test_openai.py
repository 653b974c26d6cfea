"""OpenAI's client against a server on loopback that speaks its protocol: spans below the prediction, no content."""

import asyncio
import json
from importlib.util import find_spec

import pytest

openai = pytest.importorskip("openai", reason="openai is not installed; scripts/test-integrations llm")

from llm_servers import CANARY, answering, call_below, switched_on  # noqa: E402 - the same

import otelml  # noqa: E402 - after the question whether the library is there
from otelml.integrations.openai import OtelmlOpenAIInstrumentor  # noqa: E402 - the same

if not any(find_spec(f"opentelemetry.instrumentation.{name}") for name in ("genai", "openai_v2")):
    pytest.skip("upstream's instrumentation is not installed; scripts/test-integrations llm", allow_module_level=True)

MESSAGES = [{"role": "user", "content": CANARY}]
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def chunk(**delta):
    """Return one part of a streamed answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": [choice]}


def reply(_, asked):
    """Answer every chat with a secret."""
    if asked.get("stream"):
        parts = [chunk(role="assistant", content=CANARY), chunk()]
        return "text/event-stream", "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
    choice = {"index": 0, "message": {"role": "assistant", "content": CANARY}, "finish_reason": "stop"}
    answer = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "tiny"}
    return "application/json", json.dumps({**answer, "choices": [choice], "usage": USAGE})


@pytest.fixture
def server():
    """A server of OpenAI's protocol."""
    with answering(reply) as url:
        yield f"{url}/v1"


@pytest.fixture
def on(telemetry, monkeypatch):
    """OpenAI's client instrumented for one test."""
    monkeypatch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", raising=False)
    with switched_on(OtelmlOpenAIInstrumentor(), telemetry) as one:
        yield one


def test_a_chat(telemetry, on, server):
    """Its span has the tokens and is below the prediction; prompt and completion are nowhere."""
    client = openai.OpenAI(base_url=server, api_key=CANARY, max_retries=0)
    with otelml.prediction("answer"):
        answer = client.chat.completions.create(model="tiny", messages=MESSAGES)
    assert answer.choices[0].message.content == CANARY
    assert call_below(telemetry, "chat tiny").attributes["gen_ai.usage.input_tokens"] == 7
    assert telemetry.total("ml.requests") == 1


def test_a_streamed_chat(telemetry, on, server):
    """A stream that is read within the prediction is a span of it."""
    client = openai.OpenAI(base_url=server, api_key=CANARY, max_retries=0)
    with otelml.prediction("answer"):
        parts = client.chat.completions.create(model="tiny", messages=MESSAGES, stream=True)
        text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == CANARY
    call_below(telemetry, "chat tiny")


def test_an_asynchronous_chat(telemetry, on, server):
    """The asynchronous client's span is below the prediction too."""

    async def main():
        client = openai.AsyncOpenAI(base_url=server, api_key=CANARY, max_retries=0)
        async with client, otelml.prediction("answer"):
            return await client.chat.completions.create(model="tiny", messages=MESSAGES)

    assert asyncio.run(main()).choices[0].message.content == CANARY
    call_below(telemetry, "chat tiny")


def test_undone(telemetry, on, server):
    """Afterwards a call makes no span."""
    on.uninstrument()
    client = openai.OpenAI(base_url=server, api_key=CANARY, max_retries=0)
    with otelml.prediction("answer"):
        client.chat.completions.create(model="tiny", messages=MESSAGES)
    assert [span.name for span in telemetry.spans()] == ["predict answer"]
