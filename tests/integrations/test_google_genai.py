"""Google's Gen AI client against a server on loopback that speaks its protocol: spans below the prediction alone."""

import json

import pytest

genai = pytest.importorskip("google.genai", reason="google-genai is not installed; scripts/test-integrations llm")
pytest.importorskip("opentelemetry.instrumentation.google_genai", reason="scripts/test-integrations llm")

from llm_servers import CANARY, answering, call_below, switched_on  # noqa: E402 - the same

import otelml  # noqa: E402 - after the question whether the libraries are there
from otelml.integrations.google_genai import OtelmlGoogleGenAIInstrumentor  # noqa: E402 - the same

ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": CANARY}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9},
    "modelVersion": "tiny",
}


@pytest.fixture
def client():
    """A client of a server that answers every prompt with a secret."""
    with answering(lambda *_: ("application/json", json.dumps(ANSWER))) as url:
        yield genai.Client(api_key=CANARY, http_options={"base_url": url})


@pytest.fixture
def on(telemetry, monkeypatch):
    """Google's client instrumented for one test."""
    monkeypatch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", raising=False)
    with switched_on(OtelmlGoogleGenAIInstrumentor(), telemetry) as one:
        yield one


def test_a_prompt(telemetry, on, client):
    """Its span has the tokens and is below the prediction; prompt and completion are nowhere."""
    with otelml.prediction("answer"):
        answer = client.models.generate_content(model="tiny", contents=CANARY)
    assert answer.text == CANARY
    assert call_below(telemetry, "generate_content tiny").attributes["gen_ai.usage.input_tokens"] == 7
    assert telemetry.total("ml.requests") == 1


def test_undone(telemetry, on, client):
    """Afterwards a call makes no span."""
    on.uninstrument()
    with otelml.prediction("answer"):
        client.models.generate_content(model="tiny", contents=CANARY)
    assert [span.name for span in telemetry.spans()] == ["predict answer"]
