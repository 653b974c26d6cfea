"""One class from a decorated function: the OpenTelemetry SDK, whose span can be a decorator; the rest is by hand."""

from __future__ import annotations

import os
from time import perf_counter

from opentelemetry import trace

from _contenders import ANSWERS, DECORATED, MODEL, arrived, sdk

EXPECTED = DECORATED
start, flush = sdk.start, sdk.flush
__all__ = ["EXPECTED", "arrived", "flush", "predict", "start"]


@sdk.tracer.start_as_current_span(f"predict {MODEL}", attributes=sdk.LABELS)
def predict() -> str:
    """Make one prediction."""
    sdk.active.add(1, sdk.LABELS)
    started = perf_counter()
    label, _ = next(ANSWERS)
    took = perf_counter() - started
    facts: dict[str, str | int | float] = {
        "ml.prediction.id": os.urandom(16).hex(),
        "ml.batch.size": 1,
        "ml.prediction.class": label,
    }
    trace.get_current_span().set_attributes(facts)
    sdk.emit(label, took, facts)
    sdk.requests.add(1, sdk.LABELS)
    sdk.predictions.add(1, sdk.BY_CLASS[label])
    sdk.duration.record(took, sdk.LABELS)
    sdk.active.add(-1, sdk.LABELS)
    return label
