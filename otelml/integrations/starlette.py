"""Starlette: a server span and HTTP metrics per request, and the request id in and out. FastAPI's are FastAPI's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from otelml.integrations import _routes
from otelml.integrations._applications import AsgiApplications, ServerInstrumentor

if TYPE_CHECKING:
    from otelml.integrations._routes import Routes


class _Starlette(AsgiApplications):
    name, modules = "starlette", ("starlette.applications",)
    routes: ClassVar[Routes] = _routes

    def apply(self, module: Any) -> None:
        from starlette.background import BackgroundTask  # noqa: PLC0415 - Starlette is there

        kind = next(each for each in module.Starlette.__mro__ if each.__module__ == module.__name__)
        self.replace(kind, "__call__", self.wrapped)
        self.replace(BackgroundTask, "__call__", self.traced)

    def left(self, app: Any) -> bool:
        """Leave FastAPI's to FastAPI's integration: where that is left off, they are to be left off."""
        return any(kind.__module__ == "fastapi.applications" for kind in type(app).__mro__)


class StarletteInstrumentor(ServerInstrumentor):
    """Observes every Starlette application, present and future."""

    requirement, kind = "starlette >= 0.37", _Starlette
