"""logfire, sending to the receiver: its log is a span of no duration, so a prediction has six spans and no record."""

from __future__ import annotations

import os
from time import perf_counter

import logfire

from _contenders import ANSWERS, METRICS, MODEL, STAGES, VERSION, arrived

EXPECTED: dict[str, float] = {"spans": 2 + len(STAGES), "logs": 0, **METRICS}
__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]

LABELS = {"ml.model.name": MODEL, "ml.model.version": VERSION}
BY_STAGE = {stage: {**LABELS, "ml.stage": stage} for stage in STAGES}
BY_CLASS = {label: {**LABELS, "ml.prediction.class": label} for label in ("late", "on_time")}

requests = logfire.metric_counter("ml.requests", unit="{request}")
predictions = logfire.metric_counter("ml.predictions", unit="{prediction}")
active = logfire.metric_up_down_counter("ml.requests.active", unit="{request}")
# It keeps histograms exponential and takes no buckets.
duration = logfire.metric_histogram("ml.prediction.duration", unit="s")
stage_duration = logfire.metric_histogram("ml.stage.duration", unit="s")
confidences = logfire.metric_histogram("ml.prediction.confidence", unit="1")


def start() -> None:
    """Configure with the exporters that the ``OTEL_*`` variables name, and no others."""
    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)


def predict() -> None:
    """Make one prediction."""
    active.add(1, LABELS)
    started = perf_counter()
    with logfire.span("predict {model}", model=MODEL, version=VERSION) as span:
        for stage in STAGES:
            stage_started = perf_counter()
            with logfire.span(stage, model=MODEL, version=VERSION, stage=stage):
                if stage == "inference":
                    label, confidence = next(ANSWERS)
            stage_duration.record(perf_counter() - stage_started, BY_STAGE[stage])
        took = perf_counter() - started
        prediction_id = os.urandom(16).hex()
        span.set_attributes(
            {"prediction_id": prediction_id, "batch_size": 1, "class": label, "confidence": confidence},
        )
        logfire.info(
            "{model} predicted {label} ({confidence:.2f})",
            model=MODEL,
            version=VERSION,
            label=label,
            confidence=confidence,
            batch_size=1,
            prediction_id=prediction_id,
            duration=took,
        )
        requests.add(1, LABELS)
        predictions.add(1, BY_CLASS[label])
        duration.record(took, LABELS)
        confidences.record(confidence, BY_CLASS[label])
    active.add(-1, LABELS)


def flush() -> None:
    """Export everything, or end with an error."""
    if not logfire.force_flush(60_000):
        raise SystemExit("logfire could not export everything")
