"""The gRPC side of an official OTLP exporter: one service, called with messages or with their bytes.

The exporter keeps its channel, metadata, credentials, compression, deadline and retries; only its stub is this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # it ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # the same

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICES = {"traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService", "logs": "logs.v1.LogsService"}
_DETAILS = "grpc-status-details-bin"
"""Where the specification puts a RetryInfo, inside a Status."""
_RETRY_INFO = "google.rpc.retryinfo-bin"
"""Where the official exporter looks for it."""


class Client:
    """What the official exporter calls; ``hear`` is given every answer as bytes, ``failed`` the code of a failure."""

    def __init__(
        self, channel: Any, signal: str, hear: Callable[[bytes], None], failed: Callable[[str], None] = lambda _: None
    ) -> None:
        method = f"/opentelemetry.proto.collector.{_SERVICES[signal]}/Export"
        self._call = channel.unary_unary(method, request_serializer=_as_bytes)
        self._hear, self._failed = hear, failed

    def Export(self, request: Any, **options: Any) -> bytes:  # noqa: N802 - the service calls it so
        """Send a request, a message or its bytes; ``options`` are those of a gRPC call.

        Raises:
            grpc.RpcError: The request failed.
        """
        try:
            answer: bytes = self._call(request, **options)
        except grpc.RpcError as error:
            self._failed(error.code().name)
            found = retry_info(error)
            if found is None:
                raise
            raise ThrottledError(error, found) from error
        self._hear(answer)
        return answer


class ThrottledError(grpc.RpcError):  # type: ignore[misc] # grpcio ships no types
    """A failed call whose RetryInfo stands where the official exporter looks for it."""

    def __init__(self, error: Any, info: bytes) -> None:
        super().__init__(*error.args)
        self.code, self.details = error.code, error.details
        self._metadata = (*(error.trailing_metadata() or ()), (_RETRY_INFO, info))

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return the metadata of the answer and the RetryInfo."""
        return self._metadata


def stub(
    signal: str, hear: Callable[[bytes], None], failed: Callable[[str], None] = lambda _: None
) -> Callable[[Any], Client]:
    """Return what makes the client of ``traces``, ``metrics`` or ``logs`` on a channel."""
    return lambda channel: Client(channel, signal, hear, failed)


def retry_info(error: Any) -> bytes | None:
    """Return the RetryInfo in the details of a failed call as bytes; None where there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                details = Status.FromString(value).details
            except DecodeError:
                return None
            return next((detail.value for detail in details if detail.Is(RetryInfo.DESCRIPTOR)), None)
    return None


def _as_bytes(request: Any) -> bytes:
    return request if type(request) is bytes else request.SerializeToString()
