"""Litestar: a server span and HTTP metrics per request, and the request id in and out."""

from __future__ import annotations

from typing import Any

from otelml._guard import attempt
from otelml.integrations._applications import AsgiApplications, ServerInstrumentor

_OWN = "OpenTelemetry"
"""How the names of Litestar's own plugin and middleware begin."""


class _Litestar(AsgiApplications):
    name, modules, swallows = "litestar", ("litestar.app",), True

    def apply(self, module: Any) -> None:
        self.replace(module.Litestar, "__call__", self.wrapped)

    def of_others(self, app: Any) -> bool:
        """Return whether Litestar's own plugin or middleware makes spans."""
        return attempt(_has_own, app)[0] is True


def _has_own(app: Any) -> bool:
    used = [*app.plugins, *(getattr(each, "middleware", each) for each in app.middleware)]
    names = (getattr(each, "__name__", type(each).__name__) for each in used)
    return any(name.startswith(_OWN) for name in names)


class LitestarInstrumentor(ServerInstrumentor):
    """Observes every Litestar application, present and future."""

    requirement, kind = "litestar >= 2.13", _Litestar
