"""The upstream exporters send to the receiver: every field of every signal comes back out of the store."""

import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otelml.viewer.rows import Link, SpanEvent

RESOURCE = Resource({"service.name": "flights", "numbers": [1, 2]})
ATTRIBUTES = {
    "text": "Zürich ✈",
    "whole": 2**53 + 1,
    "one": 1.0,
    "yes": True,
    "texts": ["a", "b"],
    "wholes": [1, 2],
    "halves": [0.5, 1.0],
    "truths": [True, False],
    "empty": "",
}


def exporter_of(receiver, transport, http_kind, grpc_kind, path, **options):
    """Return one real exporter."""
    if transport == "grpc":
        return grpc_kind(endpoint=receiver.grpc_endpoint, insecure=True, **options)
    compression = {"gzip": Compression.Gzip, "deflate": Compression.Deflate, "http": Compression.NoCompression}
    return http_kind(endpoint=f"{receiver.http_endpoint}/v1/{path}", compression=compression[transport], **options)


def attributes(pairs):
    """Return attributes as the store gives them: sequences are lists."""
    return {key: list(value) if isinstance(value, (list, tuple)) else value for key, value in pairs.items()}


@pytest.mark.parametrize("transport", ["http", "gzip", "deflate", "grpc"])
def test_every_field_of_a_span_survives(receiver, transport):
    """What the SDK's spans held is what the store gives back, whatever the transport."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(
        SimpleSpanProcessor(exporter_of(receiver, transport, OTLPSpanExporter, GrpcSpans, "traces"))
    )
    tracer = provider.get_tracer("scope", "1.2", schema_url="https://example.com/1")
    with tracer.start_as_current_span("parent") as parent:
        pass
    context = trace.set_span_in_context(parent)
    link = trace.Link(parent.get_span_context(), {"why": "test"})
    span = tracer.start_span("child", context, trace.SpanKind.CLIENT, ATTRIBUTES, [link], 1_700_000_000_123_456_789)
    span.add_event("moment", {"n": 1}, timestamp=1_700_000_000_123_456_790)
    span.set_status(trace.StatusCode.ERROR, "broken")
    span.end(1_700_000_000_999_999_999)
    provider.shutdown()

    first, got = receiver.store.spans()
    ids = parent.get_span_context()
    trace_id, parent_id = trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id)
    assert (first.name, first.trace_id, first.span_id, first.parent_id) == ("parent", trace_id, parent_id, "")
    assert (first.kind, first.status, first.events, first.links) == ("internal", "unset", (), ())
    assert (got.name, got.trace_id, got.parent_id, got.kind) == ("child", trace_id, parent_id, "client")
    assert got.span_id == trace.format_span_id(span.get_span_context().span_id)
    assert (got.start_ns, got.end_ns) == (1_700_000_000_123_456_789, 1_700_000_000_999_999_999)
    assert (got.status, got.status_message) == ("error", "broken")
    assert got.attributes == ATTRIBUTES
    assert {key: type(value) for key, value in got.attributes.items()} == {k: type(v) for k, v in ATTRIBUTES.items()}
    assert got.events == (SpanEvent("moment", 1_700_000_000_123_456_790, {"n": 1}),)
    assert got.links == (Link(trace_id, parent_id, "", {"why": "test"}, flags=got.links[0].flags),)
    assert (got.scope, got.scope_version, got.scope_schema_url) == ("scope", "1.2", "https://example.com/1")
    assert got.resource == attributes(RESOURCE.attributes)


@pytest.mark.parametrize("transport", ["http", "gzip", "grpc"])
def test_every_field_of_a_log_record_survives(receiver, transport):
    """Nested bodies, bytes, None, severity, event name and trace ids come back as they were emitted."""
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(exporter_of(receiver, transport, OTLPLogExporter, GrpcLogs, "logs"))
    )
    body = {"list": [1, 2.5, None, "x"], "bytes": b"\x00\xff", "nested": {"deep": True}}
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        provider.get_logger("scope").emit(
            timestamp=1_700_000_000_000_000_001,
            observed_timestamp=1_700_000_000_000_000_002,
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body=body,
            attributes=ATTRIBUTES,
            event_name="ml.prediction",
        )
    provider.shutdown()

    (got,) = receiver.store.logs(event_name="ml.prediction")
    assert (got.time_ns, got.observed_ns) == (1_700_000_000_000_000_001, 1_700_000_000_000_000_002)
    assert (got.severity, got.severity_text) == (13, "WARN")
    assert got.body == body
    assert got.attributes == ATTRIBUTES
    assert got.trace_id == trace.format_trace_id(span.get_span_context().trace_id)
    assert got.span_id == trace.format_span_id(span.get_span_context().span_id)
    assert got.scope == "scope"
    assert got.resource == attributes(RESOURCE.attributes)


@pytest.mark.parametrize("transport", ["http", "gzip", "grpc"])
@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
def test_every_field_of_metric_points_survives_and_totals_add_up(receiver, transport, temporality):
    """Sums, gauges and both histograms arrive with buckets and exemplars; two exports give one total, either way."""
    preferred = dict.fromkeys((Counter, Histogram), temporality)
    exporter = exporter_of(
        receiver, transport, OTLPMetricExporter, GrpcMetrics, "metrics", preferred_temporality=preferred
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    wide = View(instrument_name="wide", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], RESOURCE, views=[View(instrument_name="*"), wide])
    meter = provider.get_meter("scope", "3")
    counter = meter.create_counter("requests", "{request}", "Requests.")
    histogram = meter.create_histogram("duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    spread, gauge = meter.create_histogram("wide"), meter.create_gauge("level")
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        for value in (0.05, 0.5, 5.0):
            counter.add(1, {"k": "v"})
            histogram.record(value)
            spread.record(value)
            gauge.set(value)
            provider.force_flush()
    provider.shutdown()

    store = receiver.store
    assert store.total("requests") == store.total("requests", k="v") == 3
    assert store.total("requests", k="other") == 0
    (point,) = store.latest("requests")
    assert type(point.value) is int
    assert (point.description, point.unit, point.kind, point.monotonic) == ("Requests.", "{request}", "sum", True)
    assert point.temporality == temporality.name.lower()
    assert 0 < point.start_ns < point.time_ns
    assert (point.scope, point.scope_version, point.resource) == ("scope", "3", attributes(RESOURCE.attributes))
    (point,) = store.latest("duration")
    assert (point.count, point.sum, point.min, point.max) == (3, 5.55, 0.05, 5.0)
    assert (point.bounds, point.bucket_counts) == ((0.1, 1.0), (1, 1, 1))
    assert point.exemplars[-1].value == 5.0
    assert point.exemplars[-1].trace_id == trace.format_trace_id(span.get_span_context().trace_id)
    assert point.exemplars[-1].span_id == trace.format_span_id(span.get_span_context().span_id)
    (point,) = store.latest("level")
    assert (point.kind, point.value) == ("gauge", 5.0)
    point = next(point for point in store.latest("wide") if point.kind == "exponential_histogram")
    assert (point.count, sum(point.exponential.positive)) == (3, 3)
    assert store.requests["metrics"] >= 3
