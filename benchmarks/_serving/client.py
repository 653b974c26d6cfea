"""Connections that ask as fast as they are answered, for as short as is wanted: wrk takes a second at least."""

from __future__ import annotations

import re
import selectors
import socket
from time import perf_counter
from typing import Any

REQUEST = b"GET /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Client:
    """Connections to one server, kept from one turn to the next."""

    def __init__(self, port: int, connections: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(connections)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(each, selectors.EVENT_READ)

    def load(self, seconds: float) -> dict[str, Any]:
        """Ask for so long, and wait for what is on the way; return the requests, the errors, and the time in s."""
        begun, answered, errors = perf_counter(), 0, 0
        end, waiting = begun + seconds, dict.fromkeys(self._sockets, b"")
        for each in self._sockets:
            each.sendall(REQUEST)
        while waiting:
            for key, _ in self._selector.select(30):
                connection: Any = key.fileobj
                waiting[connection] += connection.recv(65_536) or _closed()
                if not _is_whole(waiting[connection]):
                    continue
                answered += 1
                errors += not waiting[connection].startswith(b"HTTP/1.1 200")
                waiting[connection] = b""
                if perf_counter() < end:
                    connection.sendall(REQUEST)
                else:
                    del waiting[connection]
        return {"requests": answered, "errors": errors, "seconds": perf_counter() - begun}

    def close(self) -> None:
        """Close them."""
        self._selector.close()
        for each in self._sockets:
            each.close()


def _closed() -> bytes:
    raise ConnectionError("the server has closed a connection")


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return length is not None and len(body) >= int(length[1])
