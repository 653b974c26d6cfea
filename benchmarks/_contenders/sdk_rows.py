"""1,024 rows with the OpenTelemetry SDK by hand: the same telemetry, one ``record()`` per number."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

from _contenders import MODEL, arrived, rows, sdk

CLASSES = rows.CLASSES.tolist()
CONFIDENCES = rows.CONFIDENCES.tolist()
MINUTES = rows.MINUTES.tolist()
EXPECTED = rows.EXPECTED
start, flush = sdk.start, sdk.flush
__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]


def predict() -> None:
    """Make one prediction of 1,024 rows."""
    sdk.active.add(1, sdk.LABELS)
    started = perf_counter()
    with sdk.tracer.start_as_current_span(f"predict {MODEL}", attributes=sdk.LABELS):
        for label, count in Counter(CLASSES).items():
            sdk.predictions.add(count, sdk.BY_CLASS[label])
        for label, confidence, minutes in zip(CLASSES, CONFIDENCES, MINUTES, strict=True):
            sdk.confidences.record(confidence, sdk.BY_CLASS[label])
            sdk.values.record(minutes, sdk.BY_CLASS[label])
        took = perf_counter() - started
        sdk.emit("1,024 rows", took, {"ml.batch.size": len(CLASSES)})
        sdk.requests.add(1, sdk.LABELS)
        sdk.duration.record(took, sdk.LABELS)
    sdk.active.add(-1, sdk.LABELS)
