"""FastAPI: a server span and HTTP metrics per request, and the request id in and out.

The spans are upstream's (``opentelemetry-instrumentation-fastapi``), without its send and receive spans, without health
and metrics paths, and without query, raw path, user agent and client address. ``X-Request-ID`` is taken from the
request when it is valid, made otherwise, put into the context, and sent back with the response.

FastAPI is never imported from here: an application that was made before is instrumented at its next request, one
that is made later at its first.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import context
from otelml._guard import guard
from otelml.config import EXCLUDED_URLS
from otelml.integrations._private_spans import PrivateTracerProvider, stable_http_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger("otelml")

_PLAIN_PATH = re.compile(r"/[\w./-]*")
_EXCLUDED_VARIABLES = ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
_MARK = "otelml.request_id"
_HEADER = context.HEADER.lower().encode()
_STARTS = ("http.response.start", "websocket.accept")
_INSTRUMENTED = "_is_instrumented_by_opentelemetry"  # where upstream notes that an application is instrumented
_LEFT_BY_UPSTREAM = (_INSTRUMENTED, "build_middleware_stack")


class OtelmlFastAPIInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches FastAPI on and off.

    ``instrument()`` takes four keyword arguments.

    Args:
        excluded_urls: Paths to leave out (``/health`` is also ``/api/health/``), or regular expressions;
            ``EXCLUDED_URLS`` when None.
        tracer_provider: Where spans go; the global provider when None.
        meter_provider: Where HTTP metrics go; the global provider when None.
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
        on_shutdown: Callable[[], object] | None = None,
        **_: Any,
    ) -> None:
        self.on_shutdown = on_shutdown
        patterns = EXCLUDED_URLS if excluded_urls is None else excluded_urls
        self.defaults: dict[str, Any] = {
            "excluded_urls": ",".join((*map(_pattern, patterns), *_excluded_by_environment())),
            "exclude_spans": ["send", "receive"],
            "tracer_provider": PrivateTracerProvider(tracer_provider),
            "meter_provider": meter_provider,
        }
        self.active = True
        self.apps: WeakSet[Any] = WeakSet()
        self.upstream: Any = None
        self.instrument_app: Any = None
        self.asgi_call: Any = None
        self.patched_call: Any = None

    def apply(self, fastapi: Any) -> None:
        """Wrap ``FastAPI.__call__`` and upstream's ``instrument_app``; called when fastapi is imported."""
        if not self.active:
            return
        try:
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - imports fastapi
        except ImportError as error:
            logger.debug("otelml: FastAPI is not instrumented: %s", error)
            return
        with guard("integrations.fastapi"):
            self.upstream = FastAPIInstrumentor
            self.instrument_app = FastAPIInstrumentor.instrument_app
            self.signature = inspect.signature(self.instrument_app)
            FastAPIInstrumentor.instrument_app = staticmethod(self.instrument_app_privately)  # type: ignore[method-assign]
            base = _base(fastapi.FastAPI)
            self.base, self.asgi_call = base, base.__call__
            self.patched_call = base.__call__ = self.wrapped(base.__call__)

    def undo(self) -> None:
        """Put everything back, running applications included."""
        self.active = False
        if self.upstream is None:
            return
        if self.base.__dict__.get("__call__") is self.patched_call:
            self.base.__call__ = self.asgi_call
        self.upstream.instrument_app = staticmethod(self.instrument_app)
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

    def ensure(self, app: Any) -> None:
        """Instrument ``app`` unless it is; a stack that was built before is dropped, to be built anew."""
        if getattr(app, _INSTRUMENTED, False):
            return
        self.instrument_app_privately(app)
        app.middleware_stack = None

    def ending(self, send: Send) -> Send:
        """Return ``send`` that calls ``on_shutdown`` before the server learns that the application has ended."""

        async def send_and_end(message: Message) -> None:
            if self.on_shutdown is not None and message["type"].startswith("lifespan.shutdown."):
                with guard("integrations.fastapi.shutdown"):
                    self.on_shutdown()
            await send(message)

        return send_and_end

    def wrapped(self, call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return ``FastAPI.__call__`` with the request id around it."""

        async def __call__(app: Any, scope: Message, receive: Any, send: Send) -> None:  # noqa: N807 - stands for it
            if not self.active or _MARK in scope:  # an application mounted in another one
                return await call(app, scope, receive, send)
            with guard("integrations.fastapi"):
                self.ensure(app)
            if scope["type"] == "lifespan":
                return await call(app, scope, receive, self.ending(send))
            if scope["type"] not in ("http", "websocket"):
                return await call(app, scope, receive, send)
            with context.with_request_id(_incoming(scope)) as request_id:
                scope[_MARK] = request_id
                return await call(app, scope, receive, _echoing(send, request_id.encode()))

        return __call__


def _pattern(path: str) -> str:
    return f"{re.escape(path)}/?$" if _PLAIN_PATH.fullmatch(path) else path


def _excluded_by_environment() -> Iterator[str]:
    yield from (os.environ[name] for name in _EXCLUDED_VARIABLES if os.environ.get(name))


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
