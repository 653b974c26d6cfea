"""A server with a thread for each connection that knows its connections, so that it can end them."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
import time
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any

_POLL = 0.05

logger = logging.getLogger(__name__)


class ConnectionServer(ThreadingMixIn, TCPServer):
    """Serves from its making to ``close()``.

    Args:
        address: Host and port; port 0 takes a free one. OSError when the port is taken.
        handler: Of one connection.
        name: Of the thread that takes connections.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseRequestHandler], name: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        super().__init__(address, handler)
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(_POLL,), name=name, daemon=True).start()

    def close(self, grace: float = 0.0) -> None:
        """Take no new connection, let requests under way finish within ``grace`` seconds, end the rest."""
        self.shutdown()
        self.server_close()
        # With its reading side shut, a connection that waits for a request ends; one that answers still can.
        self._each(socket.SHUT_RD)
        deadline = time.monotonic() + grace
        while self.connections and time.monotonic() < deadline:
            time.sleep(0.005)
        self._each(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that ``close`` can end it."""
        with self.lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that has ended."""
        super().shutdown_request(request)
        with self.lock:
            self.connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        """Log what ended a connection early: mostly clients that went away."""
        logger.debug("connection from %s ended early: %r", client_address, sys.exception())

    def _each(self, how: int) -> None:
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                connection.shutdown(how)
