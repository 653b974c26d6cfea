"""The 1,024 rows that ``otelml_rows`` and ``sdk_rows`` observe in one call, and ``*_features`` with their inputs."""

from __future__ import annotations

import numpy as np

from _contenders import METRICS

ROWS = 1024
CLASSES = np.where(np.arange(ROWS) % 3, "late", "on_time")
CONFIDENCES = 0.5 + np.arange(ROWS) % 50 / 100
MINUTES = np.arange(ROWS) % 90 / 2.0
"""Minutes late: a regression's value."""
FEATURES = [f"feature_{i}" for i in range(30)]
INPUTS = np.random.default_rng(0).exponential(size=(ROWS, len(FEATURES)))
"""None is negative: the SDK's histograms leave those out."""
FEATURE_BUCKETS = (0.11, 0.22, 0.36, 0.51, 0.69, 0.92, 1.2, 1.61, 2.3)
"""Tenths of their distribution: as many bins as a reference makes."""
EXPECTED = METRICS | {
    "spans": 1,
    "logs": 1,
    "ml.stage.duration": 0,
    "ml.predictions": ROWS,
    "ml.prediction.confidence": ROWS,
    "ml.prediction.value": ROWS,
}
OBSERVED = EXPECTED | {"ml.feature.observations": ROWS * len(FEATURES)}
