"""The 1,024 rows that ``otelml_rows`` and ``sdk_rows`` observe in one call."""

from __future__ import annotations

import numpy as np

from _contenders import METRICS

ROWS = 1024
CLASSES = np.where(np.arange(ROWS) % 3, "late", "on_time")
CONFIDENCES = 0.5 + np.arange(ROWS) % 50 / 100
MINUTES = np.arange(ROWS) % 90 / 2.0
"""Minutes late: a regression's value."""
EXPECTED = METRICS | {
    "spans": 1,
    "logs": 1,
    "ml.stage.duration": 0,
    "ml.predictions": ROWS,
    "ml.prediction.confidence": ROWS,
    "ml.prediction.value": ROWS,
}
