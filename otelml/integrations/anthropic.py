"""Anthropic's client: by upstream's instrumentation where that is installed, as OpenAI's; content is off."""

from __future__ import annotations

from otelml.integrations._upstream import UpstreamInstrumentor


class OtelmlAnthropicInstrumentor(UpstreamInstrumentor):
    """Switches ``opentelemetry-instrumentation-genai-anthropic`` on."""

    requirement, library = "anthropic >= 0.51", "anthropic"
    upstream = (("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor"),)
