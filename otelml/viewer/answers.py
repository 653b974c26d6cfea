"""What senders are answered: an empty message where everything is stored, else how much is not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

if TYPE_CHECKING:
    from otelml.viewer.decode import Signal
    from otelml.viewer.store import Store

_RESPONSES = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}


def accepted(signal: Signal, refused: int, store: Store) -> Any:
    """Return the answer to a request of which so many points were refused, as they would have made too many series."""
    answer: Any = _RESPONSES[signal]()
    if refused:
        answer.partial_success.rejected_data_points = refused
        answer.partial_success.error_message = (
            f"more than {store.max_series} metric series: points of further ones are not stored."
            " Which attribute makes so many?"
        )
    return answer
