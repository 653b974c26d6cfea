"""A receiver with a file that outlives it, made to be killed at any instant: ``receiver.py STORE PORT ANSWERED``.

After each answer has left, a line with the signal and the number of its rows goes to the file ``ANSWERED``. What the
store holds beyond those lines was stored by requests whose answer never arrived, because of a kill, or because the
sender's time for it was over and it had hung up: the sender can't know about them.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from otelml.viewer import decode, http_server
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.viewer.decode import Signal

MAX_BYTES = 1 << 30
"""Rows kept: those of the last hours. Counts are of all."""
_KEYS = {"traces": ("spans", "span_id"), "logs": ("logs", "span_id || ' ' || event_name || ' ' || time_ns")}
"""Where each signal's rows are, and what two of them have in common when they are one that came twice."""
_stored = threading.local()
_ROWS: dict[Signal, Callable[[Any], list[Any]]] = {
    "traces": decode.spans,
    "metrics": decode.metric_points,
    "logs": decode.logs,
}


class Remembering(Store):
    """A store that tells each thread what it stored last."""

    def add(self, signal: Signal, request: Any) -> int:
        """Store a request."""
        refused = super().add(signal, request)
        _stored.line = f"{signal} {len(_ROWS[signal](request)) - refused}\n".encode()
        return refused

    def since(self, last: int) -> dict[str, Any]:
        """Return the rows after an id, by signal: how many, how many of them came twice; and how many were pruned."""
        (newest,) = self.query("SELECT greatest((SELECT max(id) FROM spans), (SELECT max(id) FROM logs), ?)", (last,))[
            0
        ]
        found: dict[str, Any] = {"last": newest}
        pruned = dict(self.pruned)
        for signal, (table, key) in _KEYS.items():
            sql = f"SELECT count(*), count(*) - count(DISTINCT {key}) FROM {table} WHERE id > ? AND id <= ?"  # noqa: S608 - ours
            found[signal] = [*self.query(sql, (last, newest))[0], pruned[signal]]  # type: ignore[index]  # the two above
        return found


class Handler(http_server._Handler):
    """Writes its line when the answer has left."""

    def do_POST(self) -> None:  # noqa: N802 - the base class's name
        """Store a request and answer it."""
        _stored.line = b""
        super().do_POST()
        self.wfile.flush()
        if not self._gone():
            os.write(self.server.lines, _stored.line)  # type: ignore[attr-defined] # the server below

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        """Answer ``/since/ID``: what came after it."""
        store: Any = self.server.store  # type: ignore[attr-defined] # the server below
        found = store.since(int(self.path.rpartition("/")[2]))
        self._answer(HTTPStatus.OK, "application/json", json.dumps(found).encode())

    def _gone(self) -> bool:
        """Whether the sender has hung up without waiting for the answer."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True


class Server(http_server.HttpServer):
    """Answers with the handler above."""

    def __init__(self, store: Store, port: int, lines: int) -> None:
        self.lines = lines
        super().__init__(store, Counter(), ("127.0.0.1", port))

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        Handler(request, client_address, self)


def main(store: str, port: str, answered: str) -> None:
    """Serve until killed, or until whoever started this ends."""
    lines = os.open(answered, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    server = Server(Remembering(store, max_bytes=MAX_BYTES), int(port), lines)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
