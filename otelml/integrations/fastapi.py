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
import logging
import os
import re
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import context
from otelml._guard import attempt, guard
from otelml.config import EXCLUDED_URLS
from otelml.integrations._private_spans import PrivateTracerProvider, stable_http_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence

    from otelml.integrations.asgi import Requests

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger("otelml")

_EXCLUDED_VARIABLES = ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
_HEADER = context.HEADER.lower().encode()
_PLAIN_PATH = re.compile(r"/[\w./-]*")
_MARK = "otelml.request_id"
_STARTS = ("http.response.start", "websocket.accept")
_INSTRUMENTED = "_is_instrumented_by_opentelemetry"  # where upstream notes that an application is instrumented
_LEFT_BY_UPSTREAM = (_INSTRUMENTED, "build_middleware_stack")
_TRACED_BY_UPSTREAM = "_otel_original_call"  # where upstream keeps what it wrapped
_UPSTREAM = "opentelemetry.instrumentation.fastapi"
_NATIVE = "fastapi.telemetry"
"""FastAPI's own telemetry leaves alone what has this in its scope: there would be two spans, one with raw values."""
_ONLY_UPSTREAM = (
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
    "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS",
)


class OtelmlFastAPIInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches FastAPI on and off.

    ``instrument()`` takes five keyword arguments.

    Args:
        excluded_urls: Paths to leave out (``/health`` is also ``/api/health/``), or regular expressions;
            ``EXCLUDED_URLS`` when None.
        tracer_provider: Where spans go; the global provider when None.
        meter_provider: Where HTTP metrics go; the global provider when None.
        buckets: Bounds of our HTTP histograms by their name, where they are not the default ones.
        on_shutdown: Called without arguments when an application has shut down, before the server hears of it: a
            server that ends itself by a signal never runs exit handlers, so this is the last chance to send.
    """

    _patch: _Patch | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: a missing FastAPI is no fault, it may even be installed later."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Instrument every FastAPI application, present and future."""
        with stable_http_names():
            super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        patch = self._patch = _Patch(**kwargs)
        wrapt.register_post_import_hook(patch.stand_in, _UPSTREAM)
        wrapt.register_post_import_hook(patch.apply, "fastapi")

    def _uninstrument(self, **_: Any) -> None:
        patch, self._patch = self._patch, None
        if patch is not None:
            patch.undo()


class _Patch:
    """What one ``instrument()`` changed, and how to put it back."""

    def __init__(
        self,
        *,
        excluded_urls: Collection[str] | None = None,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        buckets: Mapping[str, Sequence[float]] | None = None,
        on_shutdown: Callable[[], object] | None = None,
        **_: Any,
    ) -> None:
        self.on_shutdown = on_shutdown
        patterns = (*(EXCLUDED_URLS if excluded_urls is None else excluded_urls), *_excluded_by_environment())
        self.defaults: dict[str, Any] = {
            "excluded_urls": ",".join(map(_pattern, patterns)),
            "exclude_spans": ["send", "receive"],
            "tracer_provider": PrivateTracerProvider(tracer_provider),
            "meter_provider": meter_provider,
        }
        self._observed = (patterns, tracer_provider, meter_provider, buckets)
        self.by_upstream = _only_upstream_can()
        self.active = True
        self.apps: WeakSet[Any] = WeakSet()
        self.upstream: Any = None
        self.instrument_app: Any = None
        self.undoing: list[Callable[[], None]] = []

    @cached_property
    def requests(self) -> Requests:
        """Return what observes requests; imported when there is an application to observe."""
        from otelml.integrations.asgi import Requests  # noqa: PLC0415 - see above

        return Requests(*self._observed)

    def apply(self, fastapi: Any) -> None:
        """Wrap ``FastAPI.__call__`` and background tasks; called when fastapi is imported."""
        if not self.active:
            return
        with guard("integrations.fastapi"):
            from starlette.background import BackgroundTask  # noqa: PLC0415 - FastAPI has imported it

            self.replace(_base(fastapi.FastAPI), "__call__", self.wrapped)
            self.replace(BackgroundTask, "__call__", self.traced)
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

    def replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Put a wrapper in the place of a method, to be taken out again where it is still there."""
        original = getattr(owner, name)
        wrapper = wrap(original)
        setattr(owner, name, wrapper)
        self.undoing.append(lambda: setattr(owner, name, original) if owner.__dict__.get(name) is wrapper else None)

    def undo(self) -> None:
        """Put everything back, running applications included."""
        self.active = False
        while self.undoing:
            self.undoing.pop()()
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

    def of_upstream(self, app: Any) -> bool:
        """Return whether upstream observes the application; it is made to where only it can do what is asked for."""
        if getattr(app, _INSTRUMENTED, False):
            return True
        if not self.by_upstream or self.upstream is None:
            return False
        with guard("integrations.fastapi"):
            self.instrument_app_privately(app)
        return True

    def ending(self, send: Send) -> Send:
        """Return ``send`` that calls ``on_shutdown`` before the server learns that the application has ended."""

        async def send_and_end(message: Message) -> None:
            if self.on_shutdown is not None and message["type"].startswith("lifespan.shutdown."):
                with guard("integrations.fastapi.shutdown"):
                    self.on_shutdown()
            await send(message)

        return send_and_end

    def wrapped(self, call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return ``FastAPI.__call__`` that observes requests."""

        async def __call__(app: Any, scope: Message, receive: Any, send: Send) -> None:  # noqa: N807 - stands for it
            if not self.active or _MARK in scope:  # an application mounted in another one
                return await call(app, scope, receive, send)
            if scope["type"] == "lifespan":
                self.of_upstream(app)  # before its middleware is built
                return await call(app, scope, receive, self.ending(send))
            if scope["type"] not in ("http", "websocket"):
                return await call(app, scope, receive, send)
            request = None if self.of_upstream(app) else self.requests.begin(app, scope, send)
            scope[_NATIVE] = None
            if request is None:
                with context.with_request_id(_incoming(scope)) as request_id:
                    scope[_MARK] = request_id
                    return await call(app, scope, receive, _echoing(send, request_id.encode()))
            scope[_MARK] = request.id
            try:
                return await call(app, scope, receive, request.send)
            except BaseException as error:
                request.failed(error)
                raise
            finally:
                request.finish()

        return __call__

    def traced(self, call: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        """Return ``BackgroundTask.__call__`` with a span of its own below that of an observed request."""
        from otelml.integrations import asgi  # noqa: PLC0415 - an application is about to be observed

        async def __call__(task: Any) -> None:  # noqa: N807 - stands for it
            request = asgi.current() if self.active and not hasattr(type(task), _TRACED_BY_UPSTREAM) else None
            if request is None:
                return await call(task)
            with guard("integrations.fastapi"):
                request.export()
            name = getattr(task.func, "__name__", type(task.func).__name__)
            with self.requests.private_tracer.start_as_current_span(f"BackgroundTask {name}"):
                return await call(task)

        return __call__


def _pattern(path: str) -> str:
    return f"{re.escape(path)}/?$" if _PLAIN_PATH.fullmatch(path) else path


def _excluded_by_environment() -> list[str]:
    given = ",".join(os.environ.get(name, "") for name in _EXCLUDED_VARIABLES)
    return [pattern.strip() for pattern in given.split(",") if pattern.strip()]


def _only_upstream_can() -> bool:
    """Return whether the environment asks for what only upstream's instrumentation does."""
    names = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "http").replace(" ", "").split(",")
    return "http" not in names or "http/dup" in names or any(map(os.environ.get, _ONLY_UPSTREAM))


def _base(fastapi_class: type[Any]) -> type[Any]:
    """Return FastAPI itself: upstream may have put a subclass in its place."""
    return next(kind for kind in fastapi_class.__mro__ if kind.__module__ == "fastapi.applications")


def _incoming(scope: Message) -> bytes | None:
    return next((value for key, value in scope.get("headers") or () if key.lower() == _HEADER), None)


def _echoing(send: Send, request_id: bytes) -> Send:
    """Return ``send`` that adds the header to the first message, unless the application set it."""

    async def echo(message: Message) -> None:
        if message["type"] in _STARTS:
            headers = list(message.get("headers") or ())
            if all(key.lower() != _HEADER for key, _ in headers):
                message = {**message, "headers": [*headers, (_HEADER, request_id)]}
        await send(message)

    return echo
