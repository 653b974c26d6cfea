"""``otelml.health`` as people type it. Checked by ``mypy --strict``, never run."""

from typing import assert_type

from otelml import health


def probes() -> None:
    """Register, ask, mount."""
    health.check("db", lambda: True, timeout=0.5, critical=False, cache_seconds=5)
    health.model("delay", len, [1.0], accept=lambda answer: answer > 0, limit_seconds=1, every_seconds=30)
    with health.loading():
        pass
    assert_type(health.ready(), health.Report)
    assert_type(health.status(), health.Status)
    assert_type(health.drain_on_sigterm(5), bool)
    assert_type(health.asgi_app(), health.AsgiApp)
    assert_type(health.wsgi_app(health.Health(), detail=False), health.WsgiApp)
