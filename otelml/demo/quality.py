"""Is the model still right? Drift by feature and accuracy, from the telemetry that the receiver took in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otelml import drift, semconv
from otelml.features.counting import bin_labels

if TYPE_CHECKING:
    from otelml.drift import DriftReport, Reference
    from otelml.viewer.store import Store


def report(store: Store, model: str, reference: Reference) -> DriftReport:
    """Return the drift of all predictions received so far, from their summed counts by bin."""
    places = {f.name: {label: i for i, label in enumerate(bin_labels(f))} for f in reference.features}
    counts = reference.window().counts
    for point in store.latest(semconv.FEATURE_OBSERVATIONS.name):
        if point.attributes.get(semconv.MODEL_NAME) == model:
            name, label = (str(point.attributes.get(key)) for key in (semconv.FEATURE_NAME, semconv.FEATURE_BIN))
            counts[name][places[name][label]] += int(point.value or 0)
    rows = max((int(np.sum(c)) for c in counts.values()), default=0)
    return drift.compare(reference, drift.Window(counts, rows))


def figure(store: Store, row: semconv.Metric, model: str) -> float:
    """Return the value of a gauge, NaN where there is none."""
    values = [p.value for p in store.latest(row.name) if p.attributes.get(semconv.MODEL_NAME) == model]
    return math.nan if not values or values[-1] is None else float(values[-1])
