"""httpx: calls of clients, sync and async; each hop of a redirect is one, as the network sees them."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from otelml.integrations._client_calls import Call, Calls, ClientInstrumentor
from otelml.integrations._patching import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

_UPSTREAM = "opentelemetry.instrumentation.httpx"
_MODULES = {"httpx": (_UPSTREAM, "HTTPXClientInstrumentor"), "httpx2": (_UPSTREAM, "HTTPX2ClientInstrumentor")}
"""Both have the same transports; transports of the application's own, such as mocks, reach no network."""


def _begun(calls: Calls, request: Any) -> Call | None:
    url = request.url
    call = calls.begin(request.method, url.scheme, url.host, url.port)
    if call is not None:
        for name, value in call.headers(request.headers.__contains__):
            request.headers[name] = value
    return call


def _sync(calls: Calls, handle: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(handle)
    def handle_request(transport: Any, request: Any) -> Any:
        call = _begun(calls, request)
        if call is None:
            return handle(transport, request)
        with call:
            response = handle(transport, request)
        call.finish(response.status_code)
        return response

    return handle_request


def _async(calls: Calls, handle: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(handle)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        call = _begun(calls, request)
        if call is None:
            return await handle(transport, request)
        with call:
            response = await handle(transport, request)
        call.finish(response.status_code)
        return response

    return handle_async_request


class HttpxInstrumentor(ClientInstrumentor):
    """Observes the calls of every client, present and future."""

    requirement = "httpx >= 0.23"
    upstream = _MODULES["httpx"]

    def patches(self, calls: Calls) -> tuple[Patch, ...]:
        """Return what is replaced: what the clients' transports do."""
        ways = (
            ("HTTPTransport.handle_request", _sync),
            ("AsyncHTTPTransport.handle_async_request", _async),
        )
        return tuple(
            Patch(module, path, partial(make, calls.of(upstream)))
            for module, upstream in _MODULES.items()
            for path, make in ways
        )
