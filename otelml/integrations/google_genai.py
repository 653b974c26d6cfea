"""Google's Gen AI client: by upstream's instrumentation where that is installed, as OpenAI's; content is off."""

from __future__ import annotations

from otelml.integrations._upstream import UpstreamInstrumentor


class OtelmlGoogleGenAIInstrumentor(UpstreamInstrumentor):
    """Switches ``opentelemetry-instrumentation-google-genai`` on."""

    requirement, library = "google-genai >= 1.32", "google.genai"
    upstream = (("opentelemetry.instrumentation.google_genai", "GoogleGenAiSdkInstrumentor"),)
