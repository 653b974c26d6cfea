"""The answers over HTTP: one ASGI and one WSGI app, to mount or to serve alone. GET and HEAD; 200 or 503; JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otelml._guard import guard
from otelml.health.results import FAIL, MEDIA_TYPE, Report, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from otelml.health.service import Health

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

PATHS = ("livez", "readyz", "startupz", "statusz")
NOT_FOUND, METHOD_NOT_ALLOWED = 404, 405
_REASONS = {200: "OK", NOT_FOUND: "Not Found", METHOD_NOT_ALLOWED: "Method Not Allowed", 503: "Service Unavailable"}
_METHODS = ("GET", "HEAD")


class _App:
    def __init__(self, health: Health, *, detail: bool) -> None:
        self._health = health
        self._paths = PATHS if detail else PATHS[:-1]

    def _refused(self, method: str, path: str) -> int | None:
        """Return the status of a request that asks nothing of ours."""
        if path not in self._paths:
            return NOT_FOUND
        return None if method in _METHODS else METHOD_NOT_ALLOWED


class AsgiApp(_App):
    """Answers in the event loop: ``livez`` says that the loop turns. Checks run in threads of their own."""

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._answer(scope, send)

    async def _answer(self, scope: Mapping[str, Any], send: Send) -> None:
        method, path = scope["method"], _last(scope["path"])
        code, body = self._refused(method, path), b""
        if code is None:
            code, body = await self._said(path)
        headers = [(name.encode(), value.encode()) for name, value in _headers(code, body)]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _said(self, path: str) -> tuple[int, bytes]:
        answer = None
        with guard("health.asgi"):
            answer = await self._health.answer(path)
        return _written(answer)


class WsgiApp(_App):
    """Answers on the server's thread, which waits for the checks."""

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        method, path = environ["REQUEST_METHOD"], _last(environ.get("PATH_INFO", ""))
        code, body = self._refused(method, path), b""
        if code is None:
            asked: dict[str, Callable[[], Report | Status]] = {
                "livez": self._health.live,
                "readyz": self._health.ready,
                "startupz": self._health.started,
            }
            answer = None
            with guard("health.wsgi"):
                answer = asked.get(path, self._health.status)()
            code, body = _written(answer)
        start_response(f"{code} {_REASONS[code]}", _headers(code, body))
        return [b"" if method == "HEAD" else body]


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _written(answer: Report | Status | None) -> tuple[int, bytes]:
    if answer is None:  # a fault of ours: nobody can say that all is well
        answer = Report(FAIL)
    return answer.code, json.dumps(answer.to_dict()).encode()


def _headers(code: int, body: bytes) -> list[tuple[str, str]]:
    headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("cache-control", "no-store")]
    return headers if code != METHOD_NOT_ALLOWED else [*headers, ("allow", ", ".join(_METHODS))]


async def _live(receive: Receive, send: Send) -> None:
    """Take part in the lifespan of a server that serves this app alone."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
