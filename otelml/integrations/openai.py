"""OpenAI's client, also of servers that speak its protocol: by upstream's instrumentation where that is installed.

Its spans and metrics have the ``gen_ai.*`` names, below the prediction that calls. Prompts and completions are off
by upstream's default, and stay so unless ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` asks for them.
"""

from __future__ import annotations

from otelml.integrations._upstream import UpstreamInstrumentor


class OtelmlOpenAIInstrumentor(UpstreamInstrumentor):
    """Switches ``opentelemetry-instrumentation-genai-openai`` on, or ``-openai-v2``, which was before it."""

    requirement, library = "openai >= 1.26", "openai"
    upstream = (
        ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
        ("opentelemetry.instrumentation.openai_v2", "OpenAIInstrumentor"),
    )
