"""Sends telemetry whose every text is markup, with the plain SDK: any program may send anything."""

import logging
import warnings

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otelml import semconv

HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


def main():
    """Send one trace, one line and one counter."""
    warnings.simplefilter("ignore")  # the SDK's own handler is deprecated, and still what many use
    resource = Resource({"service.name": HOSTILE})
    traces, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(meters)
    set_logger_provider(logs)
    lines = logging.getLogger("hostile")
    lines.addHandler(LoggingHandler(logger_provider=logs))
    model = {semconv.MODEL_NAME: HOSTILE, semconv.MODEL_VERSION: HOSTILE}
    meters.get_meter("hostile").create_counter("hostile", "1", HOSTILE).add(1, {HOSTILE: HOSTILE})
    meters.get_meter("hostile").create_counter(semconv.REQUESTS.name, "{request}").add(1, model)
    with traces.get_tracer("hostile").start_as_current_span(HOSTILE, attributes={HOSTILE: HOSTILE, **model}) as span:
        span.add_event(HOSTILE, {HOSTILE: HOSTILE})
        span.set_status(trace.StatusCode.ERROR, HOSTILE)
        lines.error(HOSTILE)
    for provider in (traces, logs, meters):
        provider.shutdown()


if __name__ == "__main__":
    main()
