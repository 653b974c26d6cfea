"""urllib3: calls of pools, also of libraries on top (boto3, Elasticsearch); below requests they are part of its."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from otelml._guard import guard
from otelml.integrations._client_calls import Call, Calls, ClientInstrumentor
from otelml.integrations._patching import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADERS_AT = 2
"""Where ``headers`` stands among the positional arguments after ``method`` and ``url``."""
_SEND = guard("integrations.urllib3")


def _wrapped(calls: Calls, urlopen: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(urlopen)
    def observed(pool: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
        call = calls.begin(method, pool.scheme, pool.host, pool.port)
        if call is None:
            return urlopen(pool, method, *args, **kwargs)
        with _SEND:
            args, kwargs = _with_headers(call, pool, args, kwargs)
        with call:
            response = urlopen(pool, method, *args, **kwargs)
        call.finish(getattr(response, "status", None))
        return response

    return observed


def _with_headers(call: Call, pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Return the arguments with headers of ours in a copy of the caller's."""
    place = _HEADERS_AT if len(args) > _HEADERS_AT else None
    given = kwargs.get("headers") if place is None else args[place]
    headers = (pool.headers if given is None else given).copy()
    present = {str(name).lower() for name in headers}
    for name, value in call.headers(lambda name: name.lower() in present):
        headers[name] = value
    if place is None:
        return args, {**kwargs, "headers": headers}
    return (*args[:place], headers, *args[place + 1 :]), kwargs


class Urllib3Instrumentor(ClientInstrumentor):
    """Observes the calls of every pool, present and future."""

    requirement = "urllib3 >= 1.26"
    upstream = ("opentelemetry.instrumentation.urllib3", "URLLib3Instrumentor")

    def patches(self, calls: Calls) -> tuple[Patch, ...]:
        """Return what is replaced."""
        return (Patch("urllib3.connectionpool", "HTTPConnectionPool.urlopen", partial(_wrapped, calls)),)
