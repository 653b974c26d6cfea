"""Is this process alive, has it started, can it answer: plain functions, and apps to mount. Nothing binds by itself.

The functions here work on ``default``, the health of this process; ``Health()`` makes another one::

    from otelml import health

    health.check("features", ping_the_feature_service)
    health.model("delay", model.predict, [[0.0, 1.0]])
    app.mount("/health", health.asgi_app())  # livez, readyz, startupz, statusz
"""

from __future__ import annotations

from otelml.health.apps import AsgiApp, WsgiApp
from otelml.health.results import FAIL, PASS, WARN, Report, Result, Status
from otelml.health.service import Health, Loading

__all__ = [
    "FAIL",
    "PASS",
    "WARN",
    "AsgiApp",
    "Health",
    "Loading",
    "Report",
    "Result",
    "Status",
    "WsgiApp",
    "asgi_app",
    "check",
    "default",
    "drain_on_sigterm",
    "live",
    "loaded",
    "loading",
    "model",
    "ready",
    "remove",
    "started",
    "status",
    "stopping",
    "wsgi_app",
]

default = Health()
check = default.check
model = default.model
remove = default.remove
loading = default.loading
loaded = default.loaded
stopping = default.stopping
drain_on_sigterm = default.drain_on_sigterm
live = default.live
ready = default.ready
started = default.started
status = default.status


def asgi_app(health: Health = default, *, detail: bool = True) -> AsgiApp:
    """Return an ASGI app: GET and HEAD of ``livez``, ``readyz`` and ``startupz``; with ``detail``, ``statusz`` too.

    It goes by the last part of the path, so that it can be mounted anywhere.
    """
    return AsgiApp(health, detail=detail)


def wsgi_app(health: Health = default, *, detail: bool = True) -> WsgiApp:
    """Return a WSGI app that answers as the one of ``asgi_app`` does."""
    return WsgiApp(health, detail=detail)
