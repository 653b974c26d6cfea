"""Redis: a span of each command, by upstream's instrumentation where that is installed; keys, values are left out."""

from __future__ import annotations

from otelml.integrations._upstream import UpstreamInstrumentor


class RedisInstrumentor(UpstreamInstrumentor):
    """Switches ``opentelemetry-instrumentation-redis`` on."""

    requirement, library = "redis >= 5.0", "redis"
    upstream = (("opentelemetry.instrumentation.redis", "RedisInstrumentor"),)
