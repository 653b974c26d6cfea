"""Requests of WSGI applications, observed as those of ASGI: the environment is read as a scope."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from otelml import context
from otelml._guard import guard
from otelml.integrations._applications import HEADER, MARK, Applications

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otelml.integrations._http_requests import Request

    Start = Callable[..., Any]

SCOPE = "otelml.scope"
"""Where the environment holds what was read of it."""
_READ, _ANSWER, _BODY = guard("integrations.wsgi"), guard("integrations.wsgi.answer"), guard("integrations.wsgi.body")
_PLAIN = (("CONTENT_LENGTH", b"content-length"), ("CONTENT_TYPE", b"content-type"))
_INCOMING = "HTTP_X_REQUEST_ID"


def scope_of(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Return a WSGI environment as an ASGI scope; values are those of the server, in bytes of Latin-1."""
    headers = [
        (key[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    headers += [(name, environ[key].encode("latin-1")) for key, name in _PLAIN if environ.get(key)]
    host, port = environ.get("SERVER_NAME"), environ.get("SERVER_PORT", "")
    return {
        "type": "http",
        "method": environ.get("REQUEST_METHOD", ""),
        "scheme": environ.get("wsgi.url_scheme"),
        "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        "http_version": environ.get("SERVER_PROTOCOL", "").partition("/")[2],
        "server": (host, int(port) if port.isdigit() else None) if host else None,
        "headers": headers,
    }


class WsgiApplications(Applications):
    """Applications that speak WSGI: ``wrapped_wsgi`` stands for the ``__call__`` of their class."""

    def wrapped_wsgi(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``__call__`` that observes requests."""

        @wraps(call)
        def __call__(app: Any, environ: dict[str, Any], start_response: Start) -> Any:  # noqa: N807 - stands for it
            mounted = MARK in environ or self.requests.current() is not None
            if mounted or not self.active:
                return call(app, environ, start_response)
            request = None if self.of_others(app) else self._begun(environ)
            if request is None:
                with context.with_request_id(environ.get(_INCOMING)) as request_id:
                    environ[MARK] = request_id
                    return call(app, environ, _echoing(start_response, request_id))
            environ[MARK] = request.id
            try:
                body = call(app, environ, _answering(start_response, request))
            except BaseException as error:
                request.failed(error)
                request.finish()
                raise
            request.pause()
            return _observed(body, environ, request)

        return __call__

    def _begun(self, environ: dict[str, Any]) -> Request | None:
        with _READ:
            scope = environ[SCOPE] = scope_of(environ)
            return self.requests.begin(None, scope)
        return None


def _answering(start_response: Start, request: Request) -> Start:
    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        with _ANSWER:
            request.started(int(status[:3]))
            given = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            added = request.with_headers({"headers": given})["headers"][len(given) :]
            headers = [*headers, *((name.decode("latin-1"), value.decode("latin-1")) for name, value in added)]
        return start_response(status, headers, *error)

    return start


def _echoing(start_response: Start, request_id: str) -> Start:
    """Return ``start_response`` that adds the header, unless the application set it."""

    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        if all(name.lower() != HEADER.decode() for name, _ in headers):
            headers = [*headers, (context.HEADER, request_id)]
        return start_response(status, headers, *error)

    return start


def _observed(body: Any, environ: Mapping[str, Any], request: Request) -> Any:
    """Return a response's body; the request ends with it. What a server looks at closer is left as it is."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(body, list | tuple) or (isinstance(wrapper, type) and isinstance(body, wrapper)):
        request.finish()
        return body
    return _Body(body, request)


class _Body:
    """The body of a response while it is sent: made in the request's context, its end is the request's."""

    __slots__ = ("_body", "_iterator", "_open", "_request")

    def __init__(self, body: Any, request: Request) -> None:
        self._body, self._request, self._open = body, request, True
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        request = self._request
        request.resume()
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except StopIteration:
            request.ended()
            raise
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            request.pause()

    def close(self) -> None:
        """Close the application's own."""
        request = self._request
        request.resume()
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._finish()

    def __del__(self) -> None:
        if self._open:  # the server did not close it, or never began
            self._finish()

    def _finish(self) -> None:
        self._open = False
        with _BODY:
            self._request.finish()
