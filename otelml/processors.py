"""The SDK's side of our queues: what its providers and readers hand spans, log records and metrics to."""

from __future__ import annotations

import copy
import threading
import time
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from otelml import processes
from otelml._guard import attempt
from otelml.export import drained
from otelml.outage import exporting
from otelml.servers import REST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.metrics.view import Aggregation

    from otelml.export import BatchQueue

_LAST = 0.5
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


class QueueMetricReader(MetricReader):
    """Collects every ``interval`` seconds, in ``timeout`` at most, into a queue.

    A silent endpoint holds up neither flush nor exit.
    The SDK's own reader holds a lock while it waits for its exporter, which a forked child inherits, and starts its
    thread where gevent may not have made threads of greenlets yet.
    """

    def __init__(
        self,
        queue: BatchQueue[MetricsData],
        interval: float,
        timeout: float,
        temporality: dict[type, AggregationTemporality],
        aggregation: dict[type, Aggregation],
    ) -> None:
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self.queue, self._interval, self._timeout = queue, interval, timeout
        self._closed = False
        self._wake = threading.Event()
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._tick, name="otelml-metrics", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """End the thread until ``renew()``: threads are about to change (``servers``)."""
        self._wake.set()
        self._thread.join(REST)

    def renew(self) -> None:
        """Go on in a new thread, after ``rest()`` and in a forked child."""
        self._wake = threading.Event()
        if not self._closed:
            self._start()

    def _tick(self) -> None:
        wake = self._wake
        while not wake.wait(self._interval):
            attempt(self.collect, self._timeout * 1000)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:  # noqa: ARG002 - the queue has its own limit
        self.queue.put(metrics_data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Collect and export, within the timeout; False where that failed."""
        deadline = time.monotonic() + timeout_millis / 1000
        super().force_flush(timeout_millis)
        return self.queue.force_flush(deadline - time.monotonic())

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Collect and export for the last time and close, within the timeout."""
        if self._closed:
            return
        deadline = time.monotonic() + timeout_millis / 1000
        self._closed = True
        self._wake.set()
        attempt(self.collect, timeout_millis)
        self.queue.shutdown(max(0.0, deadline - time.monotonic()))


def after_fork(readers: Iterable[MetricReader]) -> None:
    """Have readers go on in each forked child: after the provider was made, which is to name the child before that."""
    for reader in readers:
        if isinstance(reader, QueueMetricReader):
            processes.in_each_child(reader.renew)


def points(data: MetricsData) -> int:
    """Return the number of data points."""
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def shutdown_last(reader: MetricReader, others: list[BatchQueue[Any]], deadline: float) -> None:
    """Shut a reader down once other queues are empty, so that its last counts say what they dropped.

    Args:
        reader: What collects.
        others: The queues; one that is busy for half a second, for its endpoint, is waited for no longer.
        deadline: On the monotonic clock, in seconds.
    """
    drained(others, min(_LAST, deadline - time.monotonic()))
    reader.shutdown(max(0.0, deadline - time.monotonic()) * 1000)
