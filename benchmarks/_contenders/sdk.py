"""The OpenTelemetry SDK by hand: the same telemetry, in the way its documentation shows."""

from __future__ import annotations

import os
from time import perf_counter, time_ns
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger, get_logger_provider, set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from _contenders import (
    ANSWERS,
    CONFIDENCE_BUCKETS,
    DURATION_BUCKETS,
    EXPECTED,
    MODEL,
    STAGES,
    VALUE_BUCKETS,
    VERSION,
    arrived,
)

__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]

LABELS = {"ml.model.name": MODEL, "ml.model.version": VERSION}
BY_STAGE = {stage: {**LABELS, "ml.stage": stage} for stage in STAGES}
BY_CLASS = {label: {**LABELS, "ml.prediction.class": label} for label in ("late", "on_time")}

tracer = trace.get_tracer("benchmark")
logger = get_logger("benchmark")
meter = metrics.get_meter("benchmark")
requests = meter.create_counter("ml.requests", "{request}")
predictions = meter.create_counter("ml.predictions", "{prediction}")
active = meter.create_up_down_counter("ml.requests.active", "{request}")
duration = meter.create_histogram("ml.prediction.duration", "s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS)
stage_duration = meter.create_histogram("ml.stage.duration", "s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS)
confidences = meter.create_histogram(
    "ml.prediction.confidence", "1", explicit_bucket_boundaries_advisory=CONFIDENCE_BUCKETS
)
values = meter.create_histogram("ml.prediction.value", "", explicit_bucket_boundaries_advisory=VALUE_BUCKETS)


def start() -> None:
    """Make the three providers; sizes of queues and the endpoint come from the environment."""
    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    set_logger_provider(logs)


def predict() -> None:
    """Make one prediction."""
    active.add(1, LABELS)
    started = perf_counter()
    with tracer.start_as_current_span(f"predict {MODEL}", attributes=LABELS) as span:
        for stage in STAGES:
            stage_started = perf_counter()
            with tracer.start_as_current_span(stage, attributes=BY_STAGE[stage]):
                if stage == "inference":
                    label, confidence = next(ANSWERS)
            stage_duration.record(perf_counter() - stage_started, BY_STAGE[stage])
        took = perf_counter() - started
        facts: dict[str, str | int | float] = {
            "ml.prediction.id": os.urandom(16).hex(),
            "ml.batch.size": 1,
            "ml.prediction.class": label,
            "ml.prediction.confidence": confidence,
        }
        span.set_attributes(facts)
        emit(f"{label} ({confidence:.2f})", took, facts)
        requests.add(1, LABELS)
        predictions.add(1, BY_CLASS[label])
        duration.record(took, LABELS)
        confidences.record(confidence, BY_CLASS[label])
    active.add(-1, LABELS)


def emit(said: str, took: float, facts: dict[str, str | int | float]) -> None:
    """Emit the event of a prediction, correlated by the current span."""
    logger.emit(
        LogRecord(
            timestamp=time_ns(),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=f"{MODEL} predicted {said} in {took * 1e3:.3g} ms",
            attributes={**LABELS, **facts, "ml.duration": took},
            event_name="ml.prediction",
        )
    )


def flush() -> None:
    """Export everything."""
    providers: tuple[Any, ...] = (trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider())
    for provider in providers:
        provider.force_flush(60_000)
