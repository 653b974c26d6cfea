"""One-row calls of scikit-learn models, and one module for each way to observe them.

A contender has ``start()`` (configure), ``call(case)`` (return a function that makes one observed call), ``flush()``
(export everything), ``expected(name)`` (telemetry of one call of that case: ``spans``, ``logs`` and metrics by name)
and ``arrived()``: what arrived where that is not the receiver, else None.
"""

from __future__ import annotations

STAGES: dict[str, tuple[str, ...]] = {
    "scaler": ("preprocessing", "inference"),
    "columns": ("preprocessing", "inference"),
    "forest": ("inference",),
}
"""The stages of each case."""


def whole(name: str) -> dict[str, float]:
    """Return the telemetry of one call: a span, one for each stage, a record, and the metrics of a prediction."""
    stages = len(STAGES[name])
    return {
        "spans": 1 + stages,
        "logs": 1,
        "ml.requests": 1,
        "ml.predictions": 1,
        "ml.prediction.duration": 1,
        "ml.prediction.confidence": 0 if name == "forest" else 1,
        "ml.stage.duration": stages,
        "ml.requests.active": 0,
    }
