"""OTLP over HTTP: POST /v1/traces, /v1/metrics, /v1/logs, in protobuf or JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import select
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no types

from otelml.viewer.decode import SIGNALS, MalformedError, Signal, parse
from otelml.viewer.http_body import RefusedError, decompressed, read_body
from otelml.viewer.store import Store, StoreError

if TYPE_CHECKING:
    from collections import Counter

_PATHS: dict[str, Signal] = {f"/v1/{signal}": signal for signal in SIGNALS}
_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_INVALID_ARGUMENT = 3  # google.rpc.Code
_UNAVAILABLE = 14
_IDLE = 300.0  # seconds a kept-alive connection may stay silent; senders speak at least every minute
_GRACE = 2.0  # seconds that requests under way have when the server stops
_DRAIN = 1.0  # seconds spent reading what is left of a refused body
_POLL = 0.05

logger = logging.getLogger(__name__)


class HttpServer(ThreadingMixIn, TCPServer):
    """Serves OTLP/HTTP into a store, a thread per connection, until ``close()``; OSError when the port is taken."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, store: Store, rejected: Counter[int], address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.store = store
        self._rejected = rejected
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)
        self.port = int(self.server_address[1])
        serve = threading.Thread(target=self.serve_forever, args=(_POLL,), name="otelml-otlp-http", daemon=True)
        serve.start()

    def close(self) -> None:
        """Take no new connection, let requests under way finish, close the rest."""
        self.shutdown()
        self.server_close()
        # With its reading side shut, a connection that waits for a request ends; one that answers still can.
        self._each_connection(socket.SHUT_RD)
        deadline = time.monotonic() + _GRACE
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.005)
        self._each_connection(socket.SHUT_RDWR)

    def count_rejected(self, status: HTTPStatus) -> None:
        """Count one refused request."""
        with self._lock:
            self._rejected[status] += 1

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that ``close`` can end it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that has ended."""
        super().shutdown_request(request)
        with self._lock:
            self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        """Log what ended a connection early: mostly clients that went away."""
        logger.debug("otlp connection from %s ended early: %r", client_address, sys.exception())

    def _each_connection(self, how: int) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                connection.shutdown(how)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave in one segment
    timeout = _IDLE

    def do_POST(self) -> None:
        try:
            as_json = self._store()
        except RefusedError as error:
            self._refuse(error.status, str(error), _INVALID_ARGUMENT, unread=error.unread)
        except MalformedError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), _INVALID_ARGUMENT)
        except StoreError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _UNAVAILABLE)
        else:
            # An answer that accepts everything is an empty message.
            self._answer(HTTPStatus.OK, _JSON if as_json else _PROTOBUF, b"{}" if as_json else b"")

    def _store(self) -> bool:
        """Store the request; return whether it was JSON."""
        signal = _PATHS.get(self._path())
        if signal is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"no such path; there are {', '.join(_PATHS)}", unread=True)
        content_type = self._content_type()
        if content_type not in (_PROTOBUF, _JSON):
            message = f"Content-Type must be {_PROTOBUF} or {_JSON}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, unread=True)
        encoded = read_body(self.headers, cast("Any", self.rfile))
        body = decompressed(self.headers.get("Content-Encoding", ""), encoded)
        as_json = content_type == _JSON
        self._otlp.store.add(signal, parse(signal, body, as_json=as_json))
        return as_json

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
