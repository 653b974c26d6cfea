"""aiohttp's server: a server span and HTTP metrics per request, and the request id in and out.

Not upstream's instrumentation, which puts a subclass in the place of ``web.Application`` and ends the span before the
response is sent. Clients are in ``aiohttp_client.py``.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from otelml import context
from otelml._guard import attempt, guard
from otelml.integrations._applications import Applications, ServerInstrumentor
from otelml.integrations._routes import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.integrations._http_requests import Request

_UPSTREAM = "opentelemetry.instrumentation.aiohttp_server"
_BEGIN, _END = guard("integrations.aiohttp"), guard("integrations.aiohttp.end")
_ANSWER = guard("integrations.aiohttp.answer")


class _Aiohttp(Applications):
    name, modules = "aiohttp", ("aiohttp.web_protocol", "aiohttp.web_response")

    def apply(self, module: Any) -> None:
        if module.__name__.endswith("protocol"):
            self.replace(module.RequestHandler, "_handle_request", self.wrapped)
            self.replace(module.RequestHandler, "handle_error", _noting_error)
        else:
            self.replace(module.StreamResponse, "prepare", _answering)

    def wrapped(self, handle: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``_handle_request`` that observes a request until its response is sent."""

        @wraps(handle)
        async def _handle_request(protocol: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.active:
                return await handle(protocol, request, *args, **kwargs)
            observed = None if self.of_others(args) else self._begun(request)
            if observed is None:
                with context.with_request_id(request.headers.get(context.HEADER)):
                    return await handle(protocol, request, *args, **kwargs)
            try:
                return await handle(protocol, request, *args, **kwargs)
            except BaseException as error:
                observed.failed(error)
                raise
            finally:
                with _END:
                    _note_route(request, observed)
                observed.finish()

        return _handle_request

    def _begun(self, request: Any) -> Request | None:
        with _BEGIN:
            return self.requests.begin(None, _scope_of(request))
        return None

    def of_others(self, app: Any) -> bool:
        """Return whether upstream makes spans."""
        return _UPSTREAM in sys.modules and attempt(_has_upstream, app)[0] is True


def _has_upstream(arguments: Any) -> bool:
    apps = [getattr(each, "__self__", None) for each in arguments]
    return any(
        getattr(middleware, "__module__", "").startswith(_UPSTREAM)
        for app in apps
        for middleware in getattr(app, "middlewares", ())
    )


def _scope_of(request: Any) -> dict[str, Any]:
    """Return a request of aiohttp as an ASGI scope."""
    headers = [(name.lower(), value) for name, value in request.raw_headers]
    websocket = request.headers.get("Upgrade", "").lower() == "websocket"
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return {
        "type": "websocket" if websocket else "http",
        "method": "" if websocket else request.method,
        "scheme": request.scheme,
        "path": request.path,
        "http_version": ".".join(map(str, request.version)),
        "server": (name[0], name[1]) if isinstance(name, tuple) else None,
        "headers": headers,
    }


def _note_route(request: Any, observed: Request) -> None:
    match = attempt(lambda: request.match_info)[0]  # a low-level server has no routes
    resource = getattr(getattr(match, "route", None), "resource", None)
    if resource is not None:
        observed.scope[TEMPLATE] = resource.canonical


def _answering(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``StreamResponse.prepare`` that adds the request id to headers not yet sent."""
    from otelml.integrations import asgi  # noqa: PLC0415 - the server is there

    @wraps(prepare)
    async def prepare_with_id(response: Any, request: Any) -> Any:
        with _ANSWER:
            observed, request_id = asgi.current(), context.request_id()
            if response.prepared:
                pass
            elif observed is not None:
                _answer(observed, response)
            elif request_id is not None:
                response.headers.setdefault(context.HEADER, request_id)
        return await prepare(response, request)

    return prepare_with_id


def _answer(observed: Request, response: Any) -> None:
    observed.started(response.status)
    length = response.content_length
    given = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    given += [] if length is None else [(b"content-length", str(length).encode())]
    for name, value in observed.with_headers({"headers": given})["headers"][len(given) :]:
        response.headers[name.decode()] = value.decode()


def _noting_error(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``handle_error`` that notes an exception answered with 500."""
    from otelml.integrations import asgi  # noqa: PLC0415 - the server is there

    @wraps(handle)
    def handle_error(protocol: Any, request: Any, status: int = 500, exc: Any = None, message: Any = None) -> Any:
        with _ANSWER:
            observed = asgi.current()
            if observed is not None:
                observed.note(exc)
        return handle(protocol, request, status, exc, message)

    return handle_error


class AiohttpInstrumentor(ServerInstrumentor):
    """Observes every aiohttp server, present and future."""

    requirement, kind = "aiohttp >= 3.9", _Aiohttp
