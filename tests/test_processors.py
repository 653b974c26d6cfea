"""The SDK's side of our queues."""

import gc
import weakref

from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otelml._drops import Drops
from otelml.export import BatchQueue
from otelml.outage import Outage
from otelml.processors import LogQueueProcessor, QueueMetricReader, SpanQueueProcessor, points


class Kept:
    """An exporter that keeps what it is given, or fails."""

    def __init__(self, result=SpanExportResult.SUCCESS):
        self.result, self.batches = result, []

    def export(self, batch):
        """Keep a batch."""
        self.batches.append(batch)
        return self.result

    def shutdown(self):
        """Close."""


def queue(exporter, what="span", **options):
    """Return a queue that exports when it is flushed."""
    return BatchQueue(what, lambda: exporter, Drops().add, Outage(), delay=60.0, **options)


def test_sampled_spans_are_queued():
    """Every sampled span that ends is exported, an unsampled one is not."""
    for sampler, count in ((None, 1), (ALWAYS_OFF, 0)):
        exporter = Kept()
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SpanQueueProcessor(queue(exporter)))
        provider.get_tracer("x").start_span("work").end()
        assert provider.force_flush()
        assert [span.name for batch in exporter.batches for span in batch] == ["work"] * count
        provider.shutdown()


def test_queued_log_records_keep_no_context_alive():
    """A record that waits is a copy which does not hold what the caller's context held."""

    class Request:
        """Something large."""

    held = Request()
    exporter = Kept()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(LogQueueProcessor(queue(exporter, "log")))
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    where = trace.set_span_in_context(span, Context({"request": held}))
    provider.get_logger("x").emit(LogRecord(body="said", context=where))
    gone = weakref.ref(held)
    del held, where
    gc.collect()
    assert gone() is None
    assert provider.force_flush()
    ((record,),) = exporter.batches
    assert (record.log_record.body, record.log_record.trace_id) == ("said", 1)
    provider.shutdown()


def test_metrics_say_whether_they_were_sent():
    """A collection is one item of the queue; its result is that of the export itself."""
    for result, expected in ((SpanExportResult.SUCCESS, True), (SpanExportResult.FAILURE, False)):
        exporter = Kept(result)
        sized = queue(exporter, "metric", batch=1, payload=lambda items: items[0], size=points)
        reader = QueueMetricReader(sized, 60.0, 30.0, {}, {})
        provider = MeterProvider([reader], shutdown_on_exit=False)
        provider.get_meter("x").create_counter("n").add(2)
        assert reader.force_flush() == expected
        assert [points(data) for data in exporter.batches] == [1]
        provider.shutdown()
