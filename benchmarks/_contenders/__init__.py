"""The work of one fully observed prediction, once for each way to observe it; ``measure.Contender`` says what each has.

One prediction is a root span and four stage spans with attributes, a request counter, a counter by class, histograms of
duration, confidence and stage durations, a gauge of what is in flight, and one event correlated with the trace.
"""

from __future__ import annotations

from itertools import cycle

MODEL = "delay"
VERSION = "7"
STAGES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")
ANSWERS = cycle([("late" if i % 3 else "on_time", 0.5 + i % 50 / 100) for i in range(300)])
"""Predicted classes with their confidence."""
METRICS: dict[str, float] = {
    "ml.requests": 1,
    "ml.predictions": 1,
    "ml.prediction.duration": 1,
    "ml.prediction.confidence": 1,
    "ml.stage.duration": len(STAGES),
    "ml.requests.active": 0,
}
"""What each prediction adds to the metrics (observations, for histograms)."""
EXPECTED: dict[str, float] = {"spans": 1 + len(STAGES), "logs": 1, **METRICS}
DECORATED = EXPECTED | {"spans": 1, "ml.stage.duration": 0, "ml.prediction.confidence": 0}
"""What a decorated function that returns a class adds: a span without stages, and no confidence."""

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CONFIDENCE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
VALUE_BUCKETS = (
    *(-1e6 - 0.5, -1e5 - 0.5, -1e4 - 0.5, -1000.5, -100.5, -10.5, -1.5, -0.5, -0.1, 0.1),
    *(0.5, 1.5, 10.5, 100.5, 1000.5, 1e4 + 0.5, 1e5 + 0.5, 1e6 + 0.5),
)


def arrived() -> dict[str, float] | None:
    """Leave it to the receiver to say what arrived."""
    return None
