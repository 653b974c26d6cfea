"""An OTLP receiver on loopback: HTTP (protobuf and JSON) always, gRPC when asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

from otelml.viewer.http_server import HttpServer
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from types import TracebackType

    from otelml.viewer.grpc_server import GrpcServer

GRACE = 2.0
"""Seconds that requests under way have when the receiver stops."""


class Receiver:
    """Receives OTLP into a store, from ``start()`` (or ``with``) to ``stop()``.

    Args:
        store: Where to put it; a new store in memory when None.
        host: Address to bind. Anything but loopback lets other machines write to the store.
        http_port: Port of OTLP/HTTP; 0 takes a free one.
        grpc_port: Port of OTLP/gRPC; 0 takes a free one, None leaves gRPC off (and grpcio unimported).
        token: Senders have to send ``Authorization: Bearer TOKEN``, over either protocol; None lets anybody send.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        host: str = "127.0.0.1",
        http_port: int = 0,
        grpc_port: int | None = None,
        token: str | None = None,
    ) -> None:
        self.store = Store() if store is None else store
        self.host = host
        self.rejected: Counter[int] = Counter()
        """HTTP requests that were refused, by status code."""
        self._token = token
        self._http_port = http_port
        self._grpc_port = grpc_port
        self._http: HttpServer | None = None
        self._grpc: GrpcServer | None = None

    def start(self) -> Self:
        """Bind and serve; OSError when a port is taken."""
        if self._http is not None:
            return self
        self._http = HttpServer(self.store, self.rejected, (self.host, self._http_port), self._token)
        try:
            self._grpc = self._started_grpc()
        except OSError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Finish the requests under way, then close every connection. The store stays."""
        http, self._http = self._http, None
        grpc, self._grpc = self._grpc, None
        if grpc is not None:
            grpc.close()
        if http is not None:
            http.close(GRACE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def http_endpoint(self) -> str:
        """Base URL of OTLP/HTTP, such as ``http://127.0.0.1:4318``; RuntimeError unless started."""
        return f"http://{self._authority(self._http)}"

    @property
    def grpc_endpoint(self) -> str:
        """URL of OTLP/gRPC; RuntimeError unless started with ``grpc_port``."""
        return f"http://{self._authority(self._grpc)}"

    def _authority(self, server: HttpServer | GrpcServer | None) -> str:
        if server is None:
            raise RuntimeError("the receiver is not started, or not with this protocol")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{server.port}"

    def _started_grpc(self) -> GrpcServer | None:
        if self._grpc_port is None:
            return None
        # grpcio takes 100 ms and 10 MB to import: only who asks for gRPC pays.
        from otelml.viewer.grpc_server import GrpcServer  # noqa: PLC0415

        return GrpcServer(self.store, self.host, self._grpc_port, self._token)
