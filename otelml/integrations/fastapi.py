"""FastAPI: a server span and HTTP metrics per request, and the request id in and out.

Requests are observed by ``otelml.integrations.asgi``, except of applications that somebody has instrumented with
upstream's ``opentelemetry-instrumentation-fastapi``: those keep upstream's spans, made private. FastAPI's own
telemetry is switched off for what is observed here. Health and metrics paths are left out. ``X-Request-ID`` is taken
from the request when it is valid, made otherwise, put into the context, and sent back with the response.

FastAPI is never imported from here: an application that was made before is observed from its next request on, one
that is made later from its first.
"""

from __future__ import annotations

import inspect
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

import wrapt

from otelml._guard import attempt, guard
from otelml.integrations import _routes
from otelml.integrations._applications import INSTRUMENTED, AsgiApplications, ServerInstrumentor, pattern
from otelml.integrations._private_spans import PrivateTracerProvider, stable_http_names

if TYPE_CHECKING:
    from collections.abc import Collection

    from otelml.integrations._routes import Routes

_LEFT_BY_UPSTREAM = (INSTRUMENTED, "build_middleware_stack")
_UPSTREAM = "opentelemetry.instrumentation.fastapi"
_RUN_IN_THREADS = ("fastapi.routing", "fastapi.dependencies.utils")
_NATIVE = "fastapi.telemetry"
"""FastAPI's own telemetry leaves alone what has this in its scope: there would be two spans, one with raw values."""
_ONLY_UPSTREAM = (
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
    "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS",
)


class _Patch(AsgiApplications):
    """What one ``instrument()`` changed, and how to put it back."""

    name, modules, native = "fastapi", ("fastapi",), {_NATIVE: None}
    routes: ClassVar[Routes] = _routes

    def __init__(self, *, tracer_provider: Any = None, meter_provider: Any = None, **more: Any) -> None:
        super().__init__(tracer_provider=tracer_provider, meter_provider=meter_provider, **more)
        self.defaults: dict[str, Any] = {
            "excluded_urls": ",".join(map(pattern, self.patterns)),
            "exclude_spans": ["send", "receive"],
            "tracer_provider": PrivateTracerProvider(tracer_provider),
            "meter_provider": meter_provider,
        }
        self.by_upstream = _only_upstream_can()
        self.apps: WeakSet[Any] = WeakSet()
        self.upstream: Any = None
        self.instrument_app: Any = None

    def begin(self) -> None:
        """Wait for upstream's instrumentation and for FastAPI."""
        wrapt.register_post_import_hook(self.stand_in, _UPSTREAM)
        super().begin()

    def apply(self, module: Any) -> None:
        """Wrap ``FastAPI.__call__`` and background tasks; called when fastapi is imported."""
        from starlette.background import BackgroundTask  # noqa: PLC0415 - FastAPI has imported it

        self.replace(_base(module.FastAPI), "__call__", self.wrapped)
        self.replace(BackgroundTask, "__call__", self.traced)
        if self.profiles is not None:
            for name in _RUN_IN_THREADS:
                self.replace(import_module(name), "run_in_threadpool", self.profiles.in_threads)
        if self.by_upstream:
            attempt(import_module, _UPSTREAM)

    def stand_in(self, module: Any) -> None:
        """Take the place of upstream's ``instrument_app``; called when its module is imported."""
        if not self.active:
            return
        with guard("integrations.fastapi"):
            self.upstream = module.FastAPIInstrumentor
            self.instrument_app = self.upstream.instrument_app
            self.signature = inspect.signature(self.instrument_app)
            self.upstream.instrument_app = staticmethod(self.instrument_app_privately)
            self.undoing.append(lambda: setattr(self.upstream, "instrument_app", staticmethod(self.instrument_app)))

    def undo(self) -> None:
        """Put everything back, running applications included."""
        super().undo()
        for app in list(self.apps):
            with guard("integrations.fastapi"):
                self.restore(app)

    def restore(self, app: Any) -> None:
        """Take upstream's middleware out of one application; its stack is built anew at the next request."""
        self.upstream.uninstrument_app(app)
        app.middleware_stack = None
        for name in _LEFT_BY_UPSTREAM:
            app.__dict__.pop(name, None)

    def instrument_app_privately(self, app: Any, *args: Any, **kwargs: Any) -> None:
        """Stand in for upstream's ``instrument_app``, whoever calls it: our defaults, the caller's own wishes."""
        given = self.signature.bind_partial(app, *args, **kwargs).arguments
        wishes = {name: value for name, value in given.items() if name != "app" and value is not None}
        provider = wishes.get("tracer_provider")
        if provider is not None and not isinstance(provider, PrivateTracerProvider):
            wishes["tracer_provider"] = PrivateTracerProvider(provider)
        self.instrument_app(app, **(self.defaults | wishes))
        self.apps.add(app)
        app.middleware_stack = None  # one that was built before is built anew

    def of_others(self, app: Any) -> bool:
        """Return whether upstream observes the application; it is made to where only it can do what is asked for."""
        if getattr(app, INSTRUMENTED, False):
            return True
        if not self.by_upstream or self.upstream is None:
            return False
        with guard("integrations.fastapi"):
            self.instrument_app_privately(app)
        return True


class OtelmlFastAPIInstrumentor(ServerInstrumentor):
    """Switches FastAPI on and off."""

    requirement, kind = "fastapi >= 0.110", _Patch

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: a missing FastAPI is no fault, it may even be installed later."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Instrument every FastAPI application, present and future."""
        with stable_http_names():
            super().instrument(**kwargs)


def _only_upstream_can() -> bool:
    """Return whether the environment asks for what only upstream's instrumentation does."""
    names = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "http").replace(" ", "").split(",")
    return "http" not in names or "http/dup" in names or any(map(os.environ.get, _ONLY_UPSTREAM))


def _base(fastapi_class: type[Any]) -> type[Any]:
    """Return FastAPI itself: upstream may have put a subclass in its place."""
    return next(kind for kind in fastapi_class.__mro__ if kind.__module__ == "fastapi.applications")
