"""OTLP over gRPC, through grpcio."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otelml.viewer.decode import MalformedError, Signal, parse
from otelml.viewer.http_body import MAX_BYTES
from otelml.viewer.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    Response = ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse

_SERVICES: dict[str, tuple[Signal, Callable[[], Response]]] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": ("traces", ExportTraceServiceResponse),
    "opentelemetry.proto.collector.metrics.v1.MetricsService": ("metrics", ExportMetricsServiceResponse),
    "opentelemetry.proto.collector.logs.v1.LogsService": ("logs", ExportLogsServiceResponse),
}
_GRACE = 2.0  # seconds a request under way has to finish


class GrpcServer:
    """Serves the three OTLP services into a store until ``close()``; OSError when the port is taken."""

    def __init__(self, store: Store, host: str, port: int) -> None:
        workers = ThreadPoolExecutor(4, thread_name_prefix="otelml-grpc")
        # Without so_reuseport 0 a second server on the port would start, and silently take half of the requests.
        options = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(workers, options=options)
        self._server.add_generic_rpc_handlers([_handler(store, service) for service in _SERVICES])
        try:
            self.port = int(self._server.add_insecure_port(f"{host}:{port}"))
        except RuntimeError as error:
            raise OSError(f"cannot bind {host}:{port}: {error}") from error
        self._server.start()

    def close(self) -> None:
        """Let requests under way finish, then close every connection."""
        self._server.stop(_GRACE).wait()


def _handler(store: Store, service: str) -> grpc.GenericRpcHandler:
    signal, response = _SERVICES[service]
    export = grpc.unary_unary_rpc_method_handler(
        # The body comes as bytes, so that a malformed one is the client's error and not an internal one.
        partial(_export, store, signal, response),
        request_deserializer=None,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {"Export": export})


def _export(
    store: Store, signal: Signal, response: Callable[[], Response], body: bytes, context: grpc.ServicerContext
) -> Response:
    try:
        store.add(signal, parse(signal, body, as_json=False))
    except MalformedError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except StoreError as error:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    return response()
