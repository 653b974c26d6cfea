"""OTLP over gRPC, through grpcio."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from otelml.viewer.answers import accepted
from otelml.viewer.decode import MalformedError, Signal, parse
from otelml.viewer.http_body import MAX_BYTES
from otelml.viewer.senders import UNAUTHORIZED, allowed
from otelml.viewer.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}
_WORKERS = 16  # requests that come while one is being committed share the next commit
_GRACE = 2.0  # seconds a request under way has to finish


class GrpcServer:
    """Serves the three OTLP services into a store until ``close()``; OSError when the port is taken."""

    def __init__(self, store: Store, host: str, port: int, token: str | None = None) -> None:
        workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="otelml-grpc")
        # Without so_reuseport 0 a second server on the port would start, and silently take half of the requests.
        options = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(workers, options=options, interceptors=[_Token(token)])
        self._server.add_generic_rpc_handlers([_handler(store, service) for service in _SERVICES])
        try:
            self.port = int(self._server.add_insecure_port(f"{host}:{port}"))
        except RuntimeError as error:
            raise OSError(f"cannot bind {host}:{port}: {error}") from error
        self._server.start()

    def close(self) -> None:
        """Let requests under way finish, then close every connection."""
        self._server.stop(_GRACE).wait()


class _Token(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio ships no types
    """Refuses calls without the token, before their handler sees them."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse, None, None)

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Return the call's handler, or the one that refuses."""
        metadata = dict(handler_call_details.invocation_metadata)
        if allowed(self._token, metadata.get("authorization")):
            return continuation(handler_call_details)
        return self._refusal


def _refuse(_: bytes, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, UNAUTHORIZED)


def _handler(store: Store, service: str) -> grpc.GenericRpcHandler:
    export = grpc.unary_unary_rpc_method_handler(
        # The body comes as bytes, so that a malformed one is the client's error and not an internal one.
        partial(_export, store, _SERVICES[service]),
        request_deserializer=None,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {"Export": export})


def _export(store: Store, signal: Signal, body: bytes, context: grpc.ServicerContext) -> Any:
    refused = 0
    try:
        refused = store.add(signal, parse(signal, body, as_json=False))
    except MalformedError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except StoreError as error:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    return accepted(signal, refused, store)
