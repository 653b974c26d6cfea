"""The SDK's side of our queues: what its providers and readers hand spans, log records and metrics to."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from otelml.export import BatchQueue, exporting

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.view import Aggregation

_SHUTDOWN = 5.0


class SpanQueueProcessor(SpanProcessor):
    """Puts every sampled span that ends into a queue."""

    def __init__(self, queue: BatchQueue[Any], *, takes_encoded: bool = False) -> None:
        self.queue, self.takes_encoded = queue, takes_encoded

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context and span.context.trace_flags.sampled:
            self.queue.put(span)

    def shutdown(self) -> None:
        """Export what waits and close, within five seconds."""
        self.queue.shutdown(_SHUTDOWN)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits, within the timeout."""
        return self.queue.force_flush(timeout_millis / 1000)


class LogQueueProcessor(LogRecordProcessor):
    """Puts every log record into a queue, except those that exporting itself causes."""

    def __init__(self, queue: BatchQueue[Any], *, takes_encoded: bool = False) -> None:
        self.queue, self.takes_encoded = queue, takes_encoded

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue a copy of the record that does not keep the caller's context alive."""
        if exporting():
            return
        record = copy.copy(log_record.log_record)
        record.context = Context()
        resource = log_record.resource or Resource.get_empty()
        self.queue.put(ReadableLogRecord(record, resource, log_record.instrumentation_scope, log_record.limits))

    def shutdown(self) -> None:
        """Export what waits and close, within five seconds."""
        self.queue.shutdown(_SHUTDOWN)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits, within the timeout."""
        return self.queue.force_flush(timeout_millis / 1000)


class QueueMetricExporter(MetricExporter):
    """Gives metrics to a queue of their own, so that a silent endpoint holds up neither flush nor exit."""

    def __init__(
        self,
        queue: BatchQueue[MetricsData],
        preferred_temporality: dict[type, AggregationTemporality],
        preferred_aggregation: dict[type, Aggregation],
    ) -> None:
        super().__init__(preferred_temporality, preferred_aggregation)
        self.queue = queue

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        """Export now, waiting no longer than the timeout."""
        before = self.queue.failures
        sent = self.queue.put(metrics_data) and self.queue.force_flush(timeout_millis / 1000)
        return MetricExportResult.SUCCESS if sent and self.queue.failures == before else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Export what waits, within the timeout."""
        return self.queue.force_flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Export what waits and close, within the timeout (the SDK's reader gives it as ``timeout``)."""
        self.queue.shutdown(max(0.0, kwargs.get("timeout", timeout_millis) / 1000))


def points(data: MetricsData) -> int:
    """Return the number of data points."""
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
