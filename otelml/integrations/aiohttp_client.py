"""aiohttp's client: calls of sessions, websockets too; redirects are part of a call. Servers are in ``aiohttp.py``."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt, guard
from otelml.integrations._client_calls import Call, Calls, ClientInstrumentor
from otelml.integrations._patching import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

_SEND = guard("integrations.aiohttp_client")


def _wrapped(calls: Calls, request: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(request)
    async def observed(session: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        url = attempt(session._build_url, str_or_url)[0]
        found = (None, None, None) if url is None else (url.scheme, url.host, url.port)
        call = calls.begin(method, *found)
        if call is None:
            return await request(session, method, str_or_url, **kwargs)
        with _SEND:
            kwargs = {**kwargs, "headers": _headers(call, session, kwargs.get("headers"))}
        with call:
            response = await request(session, method, str_or_url, **kwargs)
        call.finish(response.status)
        return response

    return observed


def _headers(call: Call, session: Any, given: Any) -> Any:
    """Return headers of ours and a copy of the caller's."""
    headers = type(session.headers)(given or ())
    for name, value in call.headers(lambda name: name in headers or name in session.headers):
        headers[name] = value
    return headers


class AiohttpClientInstrumentor(ClientInstrumentor):
    """Observes the calls of every session, present and future."""

    requirement = "aiohttp >= 3.9"
    upstream = ("opentelemetry.instrumentation.aiohttp_client", "AioHttpClientInstrumentor")

    def patches(self, calls: Calls) -> tuple[Patch, ...]:
        """Return what is replaced: what all methods of a session come to."""
        return (Patch("aiohttp.client", "ClientSession._request", partial(_wrapped, calls)),)
