"""OTLP over HTTP: POST /v1/traces, /v1/metrics, /v1/logs, in protobuf or JSON."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no types

from otelml.viewer.answers import accepted
from otelml.viewer.connections import ConnectionServer
from otelml.viewer.decode import SIGNALS, MalformedError, Signal, parse
from otelml.viewer.http_body import RefusedError, decompressed, read_body
from otelml.viewer.senders import UNAUTHORIZED, allowed
from otelml.viewer.store import Store, StoreError

if TYPE_CHECKING:
    from collections import Counter

_PATHS: dict[str, Signal] = {f"/v1/{signal}": signal for signal in SIGNALS}
_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_INVALID_ARGUMENT = 3  # google.rpc.Code
_UNAVAILABLE = 14
_UNAUTHENTICATED = 16
_IDLE = 300.0  # seconds a kept-alive connection may stay silent; senders speak at least every minute
_DRAIN = 1.0  # seconds spent reading what is left of a refused body


class HttpServer(ConnectionServer):
    """Serves OTLP/HTTP into a store until ``close()``; OSError when the port is taken."""

    def __init__(
        self, store: Store, rejected: Counter[int], address: tuple[str, int], token: str | None = None
    ) -> None:
        self.store = store
        self.token = token
        self._rejected = rejected
        super().__init__(address, _Handler, "otelml-otlp-http")

    def count_rejected(self, status: HTTPStatus) -> None:
        """Count one refused request."""
        with self.lock:
            self._rejected[status] += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave in one segment
    timeout = _IDLE

    def do_POST(self) -> None:
        try:
            answer, as_json = self._store()
        except RefusedError as error:
            code = _UNAUTHENTICATED if error.status is HTTPStatus.UNAUTHORIZED else _INVALID_ARGUMENT
            self._refuse(error.status, str(error), code, unread=error.unread)
        except MalformedError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), _INVALID_ARGUMENT)
        except StoreError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _UNAVAILABLE)
        else:
            body = MessageToJson(answer, indent=None).encode() if as_json else answer.SerializeToString()
            self._answer(HTTPStatus.OK, _JSON if as_json else _PROTOBUF, body)

    def _store(self) -> tuple[Any, bool]:
        """Store the request; return the answer, and whether the request was JSON."""
        signal = _PATHS.get(self._path())
        if signal is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"no such path; there are {', '.join(_PATHS)}", unread=True)
        if "Origin" in self.headers:  # a browser says so, also where a name of its own leads here (DNS rebinding)
            raise RefusedError(HTTPStatus.FORBIDDEN, "pages of web sites can't send here", unread=True)
        if not allowed(self._otlp.token, self.headers.get("Authorization")):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, UNAUTHORIZED, unread=True)
        content_type = self._content_type()
        if content_type not in (_PROTOBUF, _JSON):
            message = f"Content-Type must be {_PROTOBUF} or {_JSON}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, unread=True)
        encoded = read_body(self.headers, cast("Any", self.rfile))
        body = decompressed(self.headers.get("Content-Encoding", ""), encoded)
        as_json = content_type == _JSON
        refused = self._otlp.store.add(signal, parse(signal, body, as_json=as_json))
        return accepted(signal, refused, self._otlp.store), as_json

    def _not_post(self) -> None:
        """Answer every other method: nothing is served here."""
        if self._path() in _PATHS:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", _INVALID_ARGUMENT, unread=True)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "no such path", _INVALID_ARGUMENT, unread=True)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _not_post  # noqa: N815 - the base class's names

    def _refuse(self, status: HTTPStatus, message: str, code: int, *, unread: bool = False) -> None:
        self._otlp.count_rejected(status)
        if self._content_type() == _PROTOBUF:
            body, content_type = Status(code=code, message=message).SerializeToString(), _PROTOBUF
        else:
            body, content_type = json.dumps({"code": code, "message": message}).encode(), _JSON
        self.close_connection = self.close_connection or unread
        self._answer(status, content_type, body)
        if unread:
            self._drain()

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drain(self) -> None:
        """Read what is left of a refused body: closing before that would reset the connection and lose the answer."""
        self.wfile.flush()
        deadline = time.monotonic() + _DRAIN
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                if not select.select([self.connection], [], [], left)[0] or not self.connection.recv(1 << 16):
                    return

    @property
    def _otlp(self) -> HttpServer:
        return cast("HttpServer", self.server)

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def version_string(self) -> str:
        """Name the server in answers, without the versions of Python and the library."""
        return "otelml"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay quiet: the terminal belongs to the application."""
