"""Requests at a steady rate over a few kept-alive connections, with as little work as possible for each."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

CONNECTIONS = 4
TIMEOUT = 30.0
_HEAD = b"POST /predict HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@dataclass
class Sent:
    """What one connection sent and was answered."""

    requests: int = 0
    answered: int = 0
    """Answers of status 200."""
    late: int = 0
    """Answers that expect the flight late: each is one log line of the service."""


class Load:
    """Sends from ``start()`` to ``stop()``. What is behind its time is sent at once, on the connection that is free.

    Args:
        port: Where the service listens.
        rate: Requests a second.
    """

    def __init__(self, port: int, rate: float) -> None:
        self._port, self._rate = port, rate
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._next = 0
        self._each = [Sent() for _ in range(CONNECTIONS)]
        self._clients = [threading.Thread(target=self._send_all, args=(sent,), daemon=True) for sent in self._each]

    def start(self) -> None:
        """Start sending."""
        self._began = time.monotonic()
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Send no more, and wait for the answers under way."""
        self._stop.set()
        for client in self._clients:
            client.join(TIMEOUT)

    @property
    def total(self) -> Sent:
        """What all connections sent so far."""
        return Sent(*(sum(getattr(sent, name) for sent in self._each) for name in ("requests", "answered", "late")))

    def _send_all(self, sent: Sent) -> None:
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", self._port), TIMEOUT))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (flight := self._due()) is not None:
                body = b'{"flight": %d}' % flight
                sent.requests += 1
                connection.sendall(_HEAD % (len(body), body))
                answer = _answer(connection)
                sent.answered += answer.startswith(b"HTTP/1.1 200 ")
                sent.late += b'"late":true' in answer

    def _due(self) -> int | None:
        """Return the number of the next request when it is due, None when it is time to stop."""
        with self._turn:
            number, self._next = self._next, self._next + 1
        wait = self._began + number / self._rate - time.monotonic()
        if wait > 0:
            self._stop.wait(wait)
        return None if self._stop.is_set() else number


def _answer(connection: socket.socket) -> bytes:
    """Return one whole answer; it has a Content-Length. ConnectionError when the service hangs up."""
    got = b""
    while True:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the service hung up")
        got += more
        head, end, body = got.partition(b"\r\n\r\n")
        if end:
            _, _, length = head.lower().partition(b"content-length: ")
            if len(body) >= int(length.split(b"\r\n", 1)[0]):
                return got
