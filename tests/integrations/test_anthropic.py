"""Anthropic's client against a server on loopback that speaks its protocol: spans below the prediction, no content."""

import json

import pytest

anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed; scripts/test-integrations llm")
pytest.importorskip("opentelemetry.instrumentation.genai.anthropic", reason="scripts/test-integrations llm")

from llm_servers import CANARY, answering, call_below, switched_on  # noqa: E402 - the same

import otelml  # noqa: E402 - after the question whether the libraries are there
from otelml.integrations.anthropic import OtelmlAnthropicInstrumentor  # noqa: E402 - the same

ASKED = {"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": CANARY}]}
ANSWER = {
    "id": "m-1",
    "type": "message",
    "role": "assistant",
    "model": "tiny",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": CANARY}],
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 2},
}


@pytest.fixture
def client():
    """A client of a server that answers every message with a secret."""
    with answering(lambda *_: ("application/json", json.dumps(ANSWER))) as url:
        yield anthropic.Anthropic(base_url=url, api_key=CANARY, max_retries=0)


@pytest.fixture
def on(telemetry, monkeypatch):
    """Anthropic's client instrumented for one test."""
    monkeypatch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", raising=False)
    with switched_on(OtelmlAnthropicInstrumentor(), telemetry) as one:
        yield one


def test_a_message(telemetry, on, client):
    """Its span has the tokens and is below the prediction; prompt and completion are nowhere."""
    with otelml.prediction("answer"):
        answer = client.messages.create(**ASKED)
    assert answer.content[0].text == CANARY
    assert call_below(telemetry, "chat tiny").attributes["gen_ai.usage.input_tokens"] == 7
    assert telemetry.total("ml.requests") == 1


def test_undone(telemetry, on, client):
    """Afterwards a call makes no span."""
    on.uninstrument()
    with otelml.prediction("answer"):
        client.messages.create(**ASKED)
    assert [span.name for span in telemetry.spans()] == ["predict answer"]
