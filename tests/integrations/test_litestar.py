"""Litestar's own OpenTelemetry plugin stays in charge where an application has it."""

import pytest

pytest.importorskip("litestar", reason="litestar is not installed; scripts/test-integrations web")

from litestar import Litestar, get
from litestar.testing import TestClient
from web_servers import Telemetry

from otelml.integrations.litestar import LitestarInstrumentor


def test_its_own_plugin_gives_one_span():
    """An application with Litestar's plugin has one span a request, Litestar's; the request id comes back."""
    own = pytest.importorskip("litestar.contrib.opentelemetry")
    telemetry, one = Telemetry(), LitestarInstrumentor()

    @get("/x")
    async def x() -> str:
        return "x"

    config = own.OpenTelemetryConfig(tracer_provider=telemetry.tracers, exclude_spans=["send", "receive"])
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with TestClient(Litestar([x], plugins=[own.OpenTelemetryPlugin(config)])) as client:
            assert client.get("/x", headers={"X-Request-ID": "r-1"}).headers["X-Request-ID"] == "r-1"
    finally:
        one.uninstrument()
    assert {span.instrumentation_scope.name for span in telemetry.spans(1)} != {"otelml"}
    assert not [span for span in telemetry.spans() if span.instrumentation_scope.name == "otelml"]
